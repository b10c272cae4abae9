//! Which transaction a message belongs to (RFC 3261 §17.1.3, §17.2.3), and the branches we write.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};

use crate::{Request, via};

/// What every branch of RFC 3261 begins with (§8.1.1.7), as we write it.
const COOKIE: &str = "z9hG4bK";

/// Octets of the longest branch of ours without its suffix: cookie, shard, seed and number.
const ROOM: usize = COOKIE.len() + 4 + 1 + 16 + 16 + 1;

/// A branch of ours: the cookie, the shard that owns the transaction, a part that is never used twice (`seed`
/// can't be guessed from other branches, `number` is of the transaction), and what the caller wants to find
/// again in it (RFC 5393 §4.2.1).
pub fn branch(shard: u16, seed: u64, number: u64, suffix: Option<&str>) -> String {
    let digits = |number: u64| number.checked_ilog2().unwrap_or(0) / 4 + 1;
    let mut branch = String::with_capacity(ROOM + suffix.map_or(0, str::len));
    branch.push_str(COOKIE);
    grammar::push_hex(&mut branch, shard.into(), digits(shard.into()));
    branch.push('-');
    grammar::push_hex(&mut branch, seed, 16);
    grammar::push_hex(&mut branch, number, digits(number));
    if let Some(suffix) = suffix {
        branch.push('.');
        branch.push_str(suffix);
    }
    branch
}

/// The shard a branch of ours names. `None` if it is none of ours.
pub fn shard_of(branch: &[u8]) -> Option<u16> {
    let (shard, _) = grammar::split_once(branch.strip_prefix(COOKIE.as_bytes())?, |b| b == b'-')?;
    u16::from_str_radix(std::str::from_utf8(shard).ok()?, 16).ok()
}

/// A number that is the same for all requests of one transaction, its CANCEL and the ACK to its 300-699
/// included, and that an outsider who does not know the hasher's key can't aim.
pub fn affinity(request: &Request, hasher: &impl BuildHasher) -> u64 {
    let mut key = Vec::with_capacity(128);
    identity(request, &mut key);
    hasher.hash_one(&key)
}

/// What a transaction is found by: a digest of what identifies it, under two keys that nobody outside knows, so that
/// no two can be made to meet. It takes a sixth of the octets it stands for, for as long as Timer J runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key([u64; 2]);

/// Makes keys of one table.
#[derive(Debug, Default)]
pub(super) struct Keys([RandomState; 2]);

impl Keys {
    pub(super) fn of(&self, identity: &[u8]) -> Key {
        Key(self.0.each_ref().map(|hasher| hasher.hash_one(identity)))
    }
}

/// Half of it is enough to find its place.
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Key([half, _]) = *self;
        state.write_u64(half);
    }
}

/// For what is a digest already.
pub(super) type Digested = BuildHasherDefault<AsItIs>;

/// See [`Digested`].
#[derive(Debug, Default)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, octets: &[u8]) {
        self.0 = octets.iter().fold(self.0, |hash, octet| hash.rotate_left(8) ^ u64::from(*octet));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The key of a server transaction: the method that created it and what identifies the request.
pub(super) fn server(request: &Request, method: &[u8], key: &mut Vec<u8>) {
    begin(b's', method, key);
    identity(request, key);
}

/// The key of a client transaction: method of the CSeq and branch (§17.1.3).
pub(super) fn client(branch: &[u8], method: &[u8], key: &mut Vec<u8>) {
    begin(b'c', method, key);
    key.extend_from_slice(branch);
}

/// No method holds a line end.
fn begin(kind: u8, method: &[u8], key: &mut Vec<u8>) {
    key.clear();
    key.push(kind);
    key.extend_from_slice(method);
    key.push(b'\n');
}

fn identity(request: &Request, key: &mut Vec<u8>) {
    let via = request.top_via();
    key.extend(via.host.iter().map(u8::to_ascii_lowercase));
    key.push(b':');
    key.extend_from_slice(&via.port().unwrap_or_default().to_be_bytes());
    key.push(b'\n');
    let branch = request.branch().unwrap_or_default();
    key.extend_from_slice(branch);
    if !via::is_transaction_branch(branch) {
        rfc2543(request, key);
    }
}

/// Clients from before the cookie. Deviation from §17.2.3: To tags are not compared, because the ACK has one
/// that its INVITE had not; From tag, Call-ID and CSeq tell the transactions of one client apart already.
fn rfc2543(request: &Request, key: &mut Vec<u8>) {
    let number = request.cseq().number.to_be_bytes();
    let uri = request.uri_octets();
    for part in [uri, request.from_tag().unwrap_or_default(), request.call_id(), &number] {
        key.push(b'\n');
        key.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_of_ours_names_its_shard_and_carries_the_suffix() {
        let ours = branch(300, 7, 1, Some("abc"));
        assert_eq!(ours, "z9hG4bK12c-00000000000000071.abc");
        assert_eq!(shard_of(ours.as_bytes()), Some(300));
        let longest = branch(u16::MAX, u64::MAX, u64::MAX, None);
        assert_eq!(longest, "z9hG4bKffff-ffffffffffffffffffffffffffffffff");
        assert!(longest.len() <= ROOM);
        assert_eq!(branch(0, 1, 0, None), "z9hG4bK0-00000000000000010");
    }

    #[test]
    fn a_foreign_branch_names_no_shard() {
        for foreign in [&b"z9hG4bK776asdhds"[..], b"z9hG4bK-1", b"z9hG4bK10000-1", b"1-2", b""] {
            assert_eq!(shard_of(foreign), None);
        }
    }
}
