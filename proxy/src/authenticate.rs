//! Whom a request comes from (RFC 3261 §16.3 step 6, §22, §26.3.2.2): a trusted neighbour, a user who proves the
//! password, a side of a dialog that was set up through here, or a stranger.
//!
//! Who claims to be a user of ours must prove it or come from a neighbour who vouches for it; so must whoever wants
//! something relayed that only users may have relayed. Strangers from other domains may send to our users, as with
//! mail. ACK and CANCEL can't be challenged (§22.1).

use std::net::SocketAddr;

use registrar::{Asked, UserName, Verdict};
use sip::{HeaderId, Method, NameAddr, Uri};

use crate::edge;
use crate::journey::Journey;
use crate::metrics;
use crate::ours::Place;
use crate::record::Side;
use crate::refuse::Refused;
use crate::relay::{Relay, Standing};
use crate::route::Way;
use crate::target;

/// Finds out who sent a request and notes it. A REGISTER, or whatever else this server itself answers, is asked
/// nothing here.
///
/// # Errors
/// 407 for who must prove a password, 403 for who proved another user's or failed too often, 400 for credentials
/// that can't be read.
pub(crate) fn check(journey: &Journey, way: &Way, recipient: bool) -> Result<(), Refused> {
    let method = journey.request.method();
    if journey.is_from_peer() {
        journey.stands(Standing::Peer);
    } else if !recipient && !goes_on(journey, way) && !matches!(method, Method::Ack | Method::Cancel) {
        prove(journey, way)?;
    }
    Ok(())
}

fn prove(journey: &Journey, way: &Way) -> Result<(), Refused> {
    if !journey.rooms.registrar.is_guarded() {
        return Ok(());
    }
    let request = &journey.request;
    let credentials = fields(journey, HeaderId::ProxyAuthorization);
    let from = request.from().uri().ok();
    let domain = from.as_ref().and_then(|from| journey.policy.ours.claimed(from, journey.flow.local.ip()));
    let relays = journey.policy.settings.relay == Relay::Authenticated
        && target::leaves(journey, way)
        && !edge::passes(journey, way);
    let offered = || credentials.iter().find_map(|value| journey.policy.ours.realm_of(value));
    let Some(realm) = domain.or_else(offered).or_else(|| journey.policy.ours.realm().filter(|_| relays))
    else {
        return Ok(());
    };
    let claimed = domain.zip(from.as_ref()).and_then(|(domain, from)| UserName::at(from.user()?, domain));
    let verdict = judge(journey, realm, credentials, claimed.as_ref(), &|uri| {
        let is = |other: &Uri| is_same_resource(uri, other);
        let at_us = |uri: &Uri| journey.place(uri) != Place::Foreign;
        is(&journey.uri)
            || is(&way.uri)
            || request.to().uri().is_ok_and(|to| is(&to))
            || (at_us(uri) && at_us(&way.uri))
    });
    let Some(user) = proven(verdict, 407)? else { return Ok(()) };
    if domain.is_some() && claimed.as_ref() != Some(&user) {
        return Err(Refused::Forbidden("From is not the user whose password was proven"));
    }
    journey.stands(Standing::User(user));
    Ok(())
}

/// Steps 3 and 4 of CPI.md 6.1 (RFC 3261 §10.3): who sends a REGISTER, and whether the address of record is that
/// one's. A neighbour need not be asked if it asserts that very user (RFC 3325); the users behind one that only
/// passes REGISTERs on must prove themselves.
///
/// # Errors
/// As for [`check`], with 401 in place of 407.
pub(crate) fn check_register(journey: &Journey) -> Result<(), Refused> {
    if !journey.rooms.registrar.is_guarded() {
        return Ok(());
    }
    let request = &journey.request;
    let ours = &journey.policy.ours;
    let local = journey.flow.local.ip();
    let to = request.to().uri().ok();
    let domain =
        to.as_ref().and_then(|to| ours.claimed(to, local)).or_else(|| ours.claimed(&request.uri(), local));
    let Some(realm) = domain.or_else(|| ours.realm()) else { return Err(Refused::UnknownUser) };
    let user = to.as_ref().and_then(|to| UserName::at(to.user()?, realm));
    if journey.is_from_peer() && user.as_ref().is_some_and(|user| is_asserted(journey, user)) {
        return Ok(());
    }
    let credentials = fields(journey, HeaderId::Authorization);
    let accepts = |uri: &Uri| journey.place(uri) != Place::Foreign;
    let proven = proven(judge(journey, realm, credentials, user.as_ref(), &accepts), 401)?;
    if proven.is_some() && proven != user {
        return Err(Refused::Forbidden("The address of record is another user's"));
    }
    Ok(())
}

/// Who sends a request that this server is the recipient of, and that is anybody's to send: a PUBLISH or a SUBSCRIBE.
/// Noted as [`check`] notes it. Strangers from other domains are asked nothing.
///
/// # Errors
/// As for [`check`], with 401 in place of 407.
pub(crate) fn check_recipient(journey: &Journey) -> Result<(), Refused> {
    if journey.is_from_peer() || !journey.rooms.registrar.is_guarded() {
        return Ok(());
    }
    let ours = &journey.policy.ours;
    let credentials = fields(journey, HeaderId::Authorization);
    let from = journey.request.from().uri().ok();
    let domain = from.as_ref().and_then(|from| ours.claimed(from, journey.flow.local.ip()));
    let offered = || credentials.iter().find_map(|value| ours.realm_of(value));
    let Some(realm) = domain.or_else(offered) else { return Ok(()) };
    let claimed = domain.zip(from.as_ref()).and_then(|(domain, from)| UserName::at(from.user()?, domain));
    let accepts = |uri: &Uri| journey.place(uri) != Place::Foreign;
    let Some(user) = proven(judge(journey, realm, credentials, claimed.as_ref(), &accepts), 401)? else {
        return Ok(());
    };
    if domain.is_some() && claimed.as_ref() != Some(&user) {
        return Err(Refused::Forbidden("From is not the user whose password was proven"));
    }
    journey.stands(Standing::User(user));
    Ok(())
}

fn judge(
    journey: &Journey,
    realm: &str,
    credentials: Vec<&[u8]>,
    claimed: Option<&UserName>,
    accepts: &dyn Fn(&Uri) -> bool,
) -> Option<Verdict> {
    let request = &journey.request;
    let asked = Asked {
        method: request.raw().method_octets().unwrap_or_default(),
        body: request.raw().body_octets(),
        credentials,
        realm,
        claimed,
        source: journey.flow.remote.ip(),
    };
    journey.rooms.registrar.judge(&asked, accepts, journey.arrived)
}

/// The user of a verdict; `None` if nobody is asked for a password.
fn proven(verdict: Option<Verdict>, status: u16) -> Result<Option<UserName>, Refused> {
    let Some(verdict) = verdict else { return Ok(None) };
    metrics::authentication(verdict.word());
    match verdict {
        Verdict::Proven(user) => Ok(Some(user)),
        Verdict::Challenge { fields, .. } => Err(Refused::Unproven { status, challenges: fields }),
        Verdict::Banned { seconds } => Err(Refused::Banned { seconds }),
        Verdict::Malformed(why) => Err(Refused::BadCredentials(why.to_string())),
        Verdict::OtherUri => {
            Err(Refused::BadCredentials("Credentials Are For Another Request-URI".to_owned()))
        }
    }
}

/// Whether a request belongs to a dialog that was set up through here and needs no password to go on in it. It goes
/// to the other side then and nowhere else (see [`target::find`]); who says to be a user of ours must in addition
/// send from where that user was, and to where the other side is. If not, a password shows who it is.
fn goes_on(journey: &Journey, way: &Way) -> bool {
    let Some(side) = way.side.filter(|_| journey.request.to_tag().is_some()) else { return false };
    !is_from_user(journey) || (is_at_home(journey, way) && leads_to(way, &side))
}

/// Whether a request is the ACK that a user of ours sends in a dialog set up with the password, from where that was:
/// nobody can be asked for one on an ACK, and the contact in the 200 may be anywhere.
pub(crate) fn is_users_ack(journey: &Journey, way: &Way) -> bool {
    journey.request.method() == Method::Ack
        && journey.policy.settings.relay == Relay::Authenticated
        && journey.rooms.registrar.is_guarded()
        && way.in_dialog()
        && is_from_user(journey)
        && is_at_home(journey, way)
}

/// Whether a request says it is from a user of ours.
fn is_from_user(journey: &Journey) -> bool {
    let is_ours = |from: Uri| journey.policy.ours.claimed(&from, journey.flow.local.ip()).is_some();
    journey.request.from().uri().is_ok_and(is_ours)
}

/// Whether a request comes from where its end of the dialog was.
fn is_at_home(journey: &Journey, way: &Way) -> bool {
    let here = journey.flow.remote.ip().to_canonical();
    way.home.is_some_and(|home| home.remote.ip().to_canonical() == here)
}

/// Whether the next URI of a request leads to that side, as far as that can be told before it is looked up.
fn leads_to(way: &Way, side: &Side) -> bool {
    let Some(next) = way.next() else { return false };
    let address = next.host().and_then(|host| host.ip());
    let port = next.port().unwrap_or(side.protocol.default_port());
    side.only_flow || address.is_none_or(|ip| side.is_at(SocketAddr::new(ip, port)))
}

/// Whether the user who sends a request is within his rate: who proved to be one, or where nobody has to, who says
/// so. Requests that fail to prove it count against nobody but their source.
pub(crate) fn is_in_rate(journey: &Journey, way: &Way) -> bool {
    let Some(users) = &journey.rooms.users else { return true };
    let request = &journey.request;
    let is_register = request.method() == Method::Register;
    let named = || {
        let user = if is_register { request.to() } else { request.from() }.uri().ok()?;
        (journey.place(&user) != Place::Foreign).then(|| user.aor())
    };
    let is_open = !journey.rooms.registrar.is_guarded();
    let user = match journey.standing() {
        Standing::Peer => None,
        Standing::User(user) => Some(user.aor()),
        Standing::Stranger if is_open || is_register || way.in_dialog() => named(),
        Standing::Stranger => None,
    };
    user.is_none_or(|user| users.take(user))
}

/// Whether the request says, under P-Asserted-Identity, that it is from that user.
fn is_asserted(journey: &Journey, user: &UserName) -> bool {
    let mut asserted = journey.request.values(HeaderId::PAssertedIdentity);
    asserted.any(|value| {
        let uri = NameAddr::parse(value).ok().and_then(|address| address.uri().ok());
        uri.and_then(|uri| UserName::of(&uri)).is_some_and(|name| name == *user)
    })
}

fn fields(journey: &Journey, id: HeaderId) -> Vec<&[u8]> {
    // Not as a comma list: the commas of credentials separate their parameters.
    journey.request.headers().filter(|header| header.id == id).map(|header| header.value).collect()
}

/// Whether both mean the same user at the same host; what else a URI says changes on the way.
fn is_same_resource(one: &Uri, other: &Uri) -> bool {
    one.user().map(grammar::percent_decode) == other.user().map(grammar::percent_decode)
        && one.host().is_some()
        && one.host() == other.host()
}
