//! What must not be touched (CPI.md §3.2, §3.3).

use crate::mime::{Node, Shape, TransferEncoding};

/// How far a node may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarding {
    /// As far as it helps.
    Free,
    /// It passes, or a link to its very octets takes its place. Why, in words.
    Unaltered(&'static str),
    /// The same, but the link must say all that the part says of itself: message/external-body, not text.
    Unit(&'static str),
    /// It passes as it is, whatever the terminal says.
    Untouchable(&'static str),
    /// It passes if the terminal takes it; it may not be stored either (O1 with no-store).
    NotStored(&'static str),
}

impl Guarding {
    /// Of the node by itself; what stands above it does not matter, because a guarded container is not looked into.
    pub(crate) fn of(node: &Node) -> Guarding {
        let kind = node.content_type.essence.as_str();
        let disposition = node.disposition();
        let disposition = disposition.as_deref().unwrap_or_default();
        if matches!(disposition, "session" | "early-session" | "signal" | "recipient-list")
            || is_signalling(kind)
        {
            return Guarding::Untouchable("it belongs to the session's signalling");
        }
        if node.cache_control("no-transform") && node.cache_control("no-store") {
            return Guarding::NotStored("the sender forbids changing and storing it");
        }
        if is_secured(kind) {
            return Guarding::Unit("it is signed or encrypted");
        }
        if node.cache_control("no-transform") {
            return Guarding::Unaltered("the sender forbids changing it");
        }
        match kind {
            "message/cpim" => return Guarding::Unit("message/cpim must not be modified"),
            "application/reginfo+xml"
            | "application/watcherinfo+xml"
            | "application/pidf-diff+xml"
            | "application/rlmi+xml"
            | "application/dialog-info+xml"
            | "application/pidf+xml"
            | "application/cpim-pidf+xml" => return Guarding::Unit("a state document is never altered"),
            _ => {}
        }
        if node.content_encoding().is_some() {
            return Guarding::Unaltered("its content coding is not one we decode");
        }
        if node.transfer_encoding() == TransferEncoding::Unknown {
            return Guarding::Unaltered("its transfer encoding is not one we know");
        }
        if matches!(node.shape, Shape::Opaque) {
            return Guarding::Unaltered("its parts can't be told apart within the limits");
        }
        Guarding::Free
    }

    /// Whether the octets may be stored and linked.
    pub(crate) const fn is_storable(self) -> bool {
        matches!(self, Guarding::Free | Guarding::Unaltered(_) | Guarding::Unit(_))
    }

    /// The reason, if it is guarded.
    pub(crate) const fn why(self) -> Option<&'static str> {
        match self {
            Guarding::Free => None,
            Guarding::Unaltered(why)
            | Guarding::Unit(why)
            | Guarding::Untouchable(why)
            | Guarding::NotStored(why) => Some(why),
        }
    }
}

/// P1
fn is_signalling(kind: &str) -> bool {
    matches!(
        kind,
        "application/sdp"
            | "application/isup"
            | "application/qsig"
            | "message/sip"
            | "message/sipfrag"
            | "application/resource-lists+xml"
    )
}

/// P2
fn is_secured(kind: &str) -> bool {
    matches!(
        kind,
        "multipart/signed"
            | "multipart/encrypted"
            | "application/pkcs7-mime"
            | "application/x-pkcs7-mime"
            | "application/pkcs7-signature"
            | "application/x-pkcs7-signature"
    ) || kind.strip_prefix("application/").is_some_and(|sub| sub.starts_with("pgp-"))
}

/// Whether the head of a request covers its body, so that it must not be touched (CPI.md P3): credentials
/// with `qop=auth-int` for a realm that is not among `ours`, or `Identity` with `Identity-Info` (RFC 4474).
pub fn seals_body<'a>(head: impl IntoIterator<Item = (&'a [u8], &'a [u8])>, ours: &[&str]) -> bool {
    let (mut identity, mut info) = (false, false);
    // Of the names below, in either case.
    let may_count = |name: &[u8]| name.first().is_some_and(|first| b"apiynAPIYN".contains(first));
    for (name, value) in head.into_iter().filter(|(name, _)| may_count(name)) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if (is("authorization") || is("proxy-authorization")) && covers_body(value, ours) {
            return true;
        }
        identity |= is("identity") || is("y");
        info |= is("identity-info") || is("n");
    }
    identity && info
}

fn covers_body(credentials: &[u8], ours: &[&str]) -> bool {
    let Some((_, rest)) = grammar::split_once(grammar::trim(credentials), grammar::is_lws) else {
        return false;
    };
    let (mut auth_int, mut foreign) = (false, true);
    for param in grammar::split_commas(rest).flat_map(grammar::params) {
        let value = param.value.map(|value| value.text()).unwrap_or_default();
        if param.is(b"qop") {
            auth_int = value.eq_ignore_ascii_case(b"auth-int");
        } else if param.is(b"realm") {
            foreign = !ours.iter().any(|realm| realm.as_bytes() == &*value);
        }
    }
    auth_int && foreign
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_int_for_another_realm_and_identity_seal_the_body() {
        let credentials = br#"Digest username="a", realm="example.org", qop=auth-int, nc=00000001"#;
        let head = [(&b"Proxy-Authorization"[..], &credentials[..])];
        assert!(seals_body(head, &["example.com"]));
        assert!(!seals_body(head, &["example.org"]));
        let auth = [(&b"Authorization"[..], &br#"Digest realm="x", qop=auth"#[..])];
        assert!(!seals_body(auth, &[]));
        assert!(seals_body([(&b"Identity"[..], &b"x"[..]), (&b"Identity-Info"[..], &b"y"[..])], &[]));
        assert!(!seals_body([(&b"Identity"[..], &b"x"[..])], &[]));
    }
}
