//! What the operator decides. Names and defaults are those of the configuration file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::rtp::PacerError;
use crate::source;

/// `[annc]`
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where RTP is sent from, and what descriptions say; unspecified: the address the call came to.
    pub address: IpAddr,
    /// First and last port of RTP and RTCP.
    pub ports: (u16, u16),
    /// Streams at once.
    pub streams: usize,
    /// Seconds an announcement may play, all repetitions together.
    pub longest: Duration,
    /// Seconds of a clip that are decoded.
    pub seconds: u32,
    /// The child for what is not decoded or coded in process; `None`: there is none, such clips are answered 415.
    pub ffmpeg: Option<media::Ffmpeg>,
    /// Children at once; a call waits for its turn.
    pub children: usize,
    /// What decoding and coding an announcement may take.
    pub effort: Duration,
    /// Octets that all calls may hold together; at least one announcement.
    pub memory: usize,
    /// Whether an offer of ours is of SRTP, where keys may be sent.
    pub offer_srtp: bool,
    /// How long a call may be held.
    pub hold: Duration,
    /// How long nothing may come of a phone that was heard, or a port be closed.
    pub patience: Duration,
    /// The session interval where the caller knows session timers, in seconds; where he knows none he is asked twice
    /// in it whether he is still there.
    pub session: u32,
    /// Whether RTP follows the address that something comes from.
    pub symmetric: bool,
    /// Whether those may call who are no users of this server, where users prove their passwords.
    pub strangers: bool,
    /// Whether keys of SRTP are told and believed without TLS.
    pub keys_in_clear: bool,
    /// 404 or 400: the answer to what could not be fetched.
    pub failed: u16,
    /// Where announcements come from.
    pub sources: source::Settings,
}

/// Why there is no announcement service.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No thread.
    #[error(transparent)]
    Pacer(#[from] PacerError),
    /// No HTTP client.
    #[error("no HTTP client for announcements: {0}")]
    Web(#[from] reqwest::Error),
}

/// The roots that come with the system.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Why there is nobody to trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file holds no certificate of a root that can be read.
    #[error("{}: holds no certificate of a root that can be read", .0.display())]
    Roots(PathBuf),
    /// TLS does not start.
    #[error("TLS does not start: {0}")]
    Tls(rustls::Error),
}

/// Trust in the roots of a file; without one in the system's, of which there may be none.
///
/// # Errors
/// [`TrustError`].
pub fn trust(ca: Option<&Path>) -> Result<Arc<ClientConfig>, TrustError> {
    let path = ca.unwrap_or(Path::new(SYSTEM_ROOTS));
    let mut roots = RootCertStore::empty();
    let read = CertificateDer::pem_file_iter(path).map(|all| all.flatten().collect::<Vec<_>>());
    let (added, _) = roots.add_parsable_certificates(read.unwrap_or_default());
    if added == 0 && ca.is_some() {
        return Err(TrustError::Roots(path.to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.map_err(TrustError::Tls)?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}
