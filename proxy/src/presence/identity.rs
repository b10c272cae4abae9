//! Who watches or publishes, and whether there is somebody to watch.

use std::sync::Arc;

use registrar::{Lookup, UserName};
use sip::{HeaderId, NameAddr, Uri};

use super::Presence;
use crate::authenticate;
use crate::journey::Journey;
use crate::metrics;
use crate::refuse::Refused;
use crate::relay::Standing;
use crate::route::Way;
use crate::target;

/// Who sent a request.
pub(super) struct Identity {
    /// His address of record.
    pub(super) aor: Arc<str>,
    /// Whether he proved it, or nobody has to.
    pub(super) proven: bool,
}

/// Who sent a request. Users of ours are asked for their password with 401: who is asked is the recipient
/// (RFC 3856 §6.6, RFC 3903 §14).
///
/// # Errors
/// As [`authenticate::check_recipient`]; [`Refused::Busy`] for a user who sends more than he may (`limits.user_rate`).
pub(super) fn of(journey: &Journey, way: &Way) -> Result<Identity, Refused> {
    authenticate::check_recipient(journey)?;
    // Where nobody proves anything he was counted before.
    if matches!(journey.standing(), Standing::User(_)) && !authenticate::is_in_rate(journey, way) {
        metrics::overload("user");
        return Err(Refused::Busy);
    }
    let claimed = || journey.request.from().uri().map(|uri| uri.aor()).unwrap_or_default();
    let (aor, proven) = match journey.standing() {
        Standing::User(user) => (user.aor(), true),
        Standing::Peer => (asserted(journey).unwrap_or_else(claimed), true),
        Standing::Stranger => (claimed(), !journey.rooms.registrar.is_guarded()),
    };
    Ok(Identity { aor: aor.into(), proven })
}

/// Whom a neighbour vouches for (RFC 3325).
fn asserted(journey: &Journey) -> Option<String> {
    let value = journey.request.values(HeaderId::PAssertedIdentity).next()?;
    Some(NameAddr::parse(value).ok()?.uri().ok()?.aor())
}

/// The address of record that a request is for, if it is that of a user of ours.
pub(super) fn presentity(journey: &Journey, presence: &Presence, uri: &Uri) -> Option<Arc<str>> {
    // A device of the user is the user.
    let aor = target::aor(journey, uri)?;
    let bare = Uri::parse(&[b"sip:", aor.user()?, b"@", aor.host_octets()?].concat()).ok()?.aor();
    is_known(journey, presence, &bare).then(|| bare.into())
}

/// Where nobody needs a password, everybody may be a user.
fn is_known(journey: &Journey, presence: &Presence, aor: &str) -> bool {
    let registrar = &journey.rooms.registrar;
    if !registrar.is_guarded() || presence.shelf.version(aor).is_some() {
        return true;
    }
    let Ok(uri) = aor.parse::<Uri>() else { return false };
    let has_password = UserName::of(&uri).is_some_and(|name| registrar.users().contains(&name));
    has_password || !matches!(registrar.lookup(&uri, journey.arrived), Lookup::Unknown)
}
