//! Loop detection (RFC 3261 §16.3 step 4 as RFC 5393 §4.2 has it).
//!
//! The branch of every Via we push ends in a second part, after its last dot: a hash of all that decides
//! where a request goes. A request that comes back with the same second part in a Via of ours has come
//! round unchanged; with another one it spirals, which is allowed.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The second part for a request as received: its Request-URI, its Route values and its Call-ID, never
/// its method (CANCEL and ACK share their INVITE's branch).
pub(crate) fn second_part<'a>(
    request_uri: &[u8],
    routes: impl Iterator<Item = &'a [u8]>,
    call_id: &[u8],
) -> String {
    // Fixed keys: the value must be the same for every request this server sees. Someone who finds a
    // collision refuses a request of his own.
    let mut hash = DefaultHasher::new();
    request_uri.hash(&mut hash);
    for route in routes {
        route.hash(&mut hash);
    }
    call_id.hash(&mut hash);
    let mut part = String::with_capacity(16);
    grammar::push_hex(&mut part, hash.finish(), 16);
    part
}

/// Whether a branch has this second part; if it is that of a Via of ours, the request has looped.
pub(crate) fn is_marked(branch: &[u8], second_part: &str) -> bool {
    branch.rsplit(|&b| b == b'.').next().is_some_and(|part| part == second_part.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(uri: &str, routes: &[&str], call_id: &str) -> String {
        second_part(uri.as_bytes(), routes.iter().map(|r| r.as_bytes()), call_id.as_bytes())
    }

    #[test]
    fn the_second_part_varies_with_all_that_decides_the_way() {
        let base = part("sip:a@b", &["<sip:r;lr>"], "c");
        assert_eq!(base, part("sip:a@b", &["<sip:r;lr>"], "c"));
        for other in [
            part("sip:a@c", &["<sip:r;lr>"], "c"),
            part("sip:a@b", &[], "c"),
            part("sip:a@b", &["<sip:r;lr>"], "d"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn an_equal_second_part_is_a_loop_and_another_a_spiral() {
        let mine = part("sip:a@b", &[], "c");
        let branch = format!("z9hG4bK1x.77.{mine}");
        assert!(is_marked(branch.as_bytes(), &mine));
        assert!(!is_marked(branch.as_bytes(), &part("sip:z@b", &[], "c")));
        assert!(!is_marked(b"z9hG4bKplain", &mine));
    }
}
