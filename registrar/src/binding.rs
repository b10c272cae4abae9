//! A binding as a request's road needs it.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cpi::{Cpi, Features};
use sip::Uri;

use crate::instance;
use crate::record::Stored;

/// Where a REGISTER came from: opaque here, so that a request can go back the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Name of the transport as transport writes it (`UDP`, `TCP`, ..).
    pub transport: Cow<'static, str>,
    /// Our end.
    pub local: SocketAddr,
    /// The other end as seen on the socket, behind a NAT not what the Contact says.
    pub remote: SocketAddr,
    /// The flow's id. `None` in a binding of an earlier run, whose flows are gone.
    pub flow: Option<u64>,
}

/// One Contact of an AOR.
#[derive(Clone)]
pub struct Binding {
    /// The canonical AOR.
    pub aor: Arc<str>,
    /// The Contact URI.
    pub uri: Uri,
    /// The Contact's parameters in the order received, repeated ones too, from the first `;` on, without
    /// `expires`.
    pub params: Bytes,
    /// Preference in thousandths; 1000 if none was given.
    pub q: u16,
    /// When it ends.
    pub expires_at: SystemTime,
    /// When it was added or refreshed last.
    pub refreshed_at: SystemTime,
    /// What the terminal said of itself: REGISTER headers and Contact parameters merged (rules L1, L2, L5),
    /// shared by all bindings that said the same. It may name a device or features only, see
    /// [`Cpi::is_unknown`]; what counts for a target is told by [`crate::Registrar::cpi_for`].
    pub cpi: Option<Arc<Cpi>>,
    /// Path values in order (RFC 3327): the route to the terminal.
    pub path: Vec<Bytes>,
    /// Where its REGISTER came from.
    pub source: Source,
    /// Call-ID of that REGISTER.
    pub call_id: Bytes,
    /// Its CSeq number.
    pub cseq: u32,
    reg_id: Option<u32>,
}

impl Binding {
    /// `None` if what is stored is no URI, which is never written.
    pub(crate) fn of(stored: Stored, aor: Arc<str>, cpi: Option<Arc<Cpi>>, boot: u32) -> Option<Self> {
        let q = stored.q();
        let flow = stored.source.flow.filter(|_| stored.boot == boot);
        Some(Self {
            aor,
            uri: Uri::shared(stored.uri).ok()?,
            params: stored.params,
            q,
            expires_at: UNIX_EPOCH + Duration::from_secs(stored.expires_at),
            refreshed_at: UNIX_EPOCH + Duration::from_secs(stored.refreshed_at),
            cpi,
            path: stored.path,
            source: Source { flow, ..stored.source },
            call_id: stored.call_id,
            cseq: stored.cseq,
            reg_id: stored.reg_id,
        })
    }

    /// `+sip.instance` without quotes and angle brackets (RFC 5626 §4.1).
    pub fn instance(&self) -> Option<Cow<'_, [u8]>> {
        instance::of(&self.params)
    }

    /// The reg-id of its flow, where outbound processing was applied (RFC 5626 §6): the terminal is reached
    /// over that flow, or along [`Self::path`] to whoever keeps it, and no other way.
    pub const fn reg_id(&self) -> Option<u32> {
        self.reg_id
    }

    /// Its feature parameters (RFC 3840); by them [`cpi::caller`] chooses among targets (F6).
    pub fn features(&self) -> Option<&Features> {
        self.cpi.as_deref().map(|cpi| &cpi.features)
    }

    /// User-Agent of its REGISTER.
    pub fn user_agent(&self) -> Option<&str> {
        self.cpi.as_deref()?.user_agent.as_deref()
    }
}

/// Without the AOR, the user part and the Call-ID, which are not for logs.
impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Binding")
            .field("uri", &self.uri)
            .field("q", &self.q)
            .field("expires_at", &self.expires_at)
            .field("path", &self.path.len())
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
