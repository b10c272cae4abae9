//! Instance ids and reg-ids: which device a Contact belongs to, and over which of its flows (RFC 5626 §4).

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// One more than the largest reg-id (RFC 5626 §4.2).
const REG_ID_END: u32 = 1 << 31;

/// Octets by which an instance is remembered or named where its id would be too long or too telling.
pub(crate) const DIGEST: usize = 8;

/// `+sip.instance` of a Contact's parameters, without quotes and angle brackets.
pub(crate) fn of(params: &[u8]) -> Option<Cow<'_, [u8]>> {
    let value = grammar::params(params).find_name(b"+sip.instance")?.value?;
    let id = match value.text() {
        Cow::Borrowed(text) => Cow::Borrowed(bare(text)),
        Cow::Owned(text) => Cow::Owned(bare(&text).to_vec()),
    };
    (!id.is_empty()).then_some(id)
}

/// `reg-id` of a Contact's parameters, 1 to 2^31-1. Beyond that range, and without an instance, it is ignored
/// (RFC 5626 §6): the 200 without `Require: outbound` tells the terminal. The instance is the caller's to look for.
pub(crate) fn reg_id(params: &[u8]) -> Option<u32> {
    let value = grammar::params(params).find_name(b"reg-id")?.value?;
    let number = u32::try_from(grammar::decimal(value.raw())?).ok()?;
    (1..REG_ID_END).contains(&number).then_some(number)
}

/// Whether two ids name one device: `urn:uuid` has no case, other URNs have some in the part that is their
/// namespace's own (RFC 8141 §3.1).
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    normal(one) == normal(other)
}

/// A digest of the id that is the same for ids that are.
pub(crate) fn digest(id: &[u8]) -> [u8; DIGEST] {
    Sha256::digest(normal(id)).first_chunk().copied().unwrap_or_default()
}

fn normal(id: &[u8]) -> Cow<'_, [u8]> {
    let namespace = id.iter().enumerate().filter(|(_, b)| **b == b':').nth(1).map_or(0, |(at, _)| at);
    let is_uuid = id.get(..namespace).is_some_and(|start| start.eq_ignore_ascii_case(b"urn:uuid"));
    let without_case = if is_uuid { id.len() } else { namespace };
    let (head, tail) = id.split_at_checked(without_case).unwrap_or((id, &[]));
    if head.iter().any(u8::is_ascii_uppercase) {
        return Cow::Owned([&head.to_ascii_lowercase(), tail].concat());
    }
    Cow::Borrowed(id)
}

fn bare(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"<").and_then(|text| text.strip_suffix(b">")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reg_id_counts_in_its_range() {
        for (params, number) in [
            (&b";+sip.instance=\"<urn:x:1>\";reg-id=1"[..], Some(1)),
            (b";reg-id=2147483647;+sip.instance=\"<urn:x:1>\"", Some(2_147_483_647)),
            (b";+sip.instance=\"<urn:x:1>\";reg-id=2147483648", None),
            (b";+sip.instance=\"<urn:x:1>\";reg-id=0", None),
            (b";+sip.instance=\"<urn:x:1>\";reg-id=-1", None),
            (b";+sip.instance=\"<urn:x:1>\";reg-id", None),
            (b";audio", None),
        ] {
            assert_eq!(reg_id(params), number, "{}", params.escape_ascii());
        }
    }

    #[test]
    fn a_uuid_has_no_case_and_another_name_has() {
        assert!(same(b"urn:uuid:00AF", b"URN:UUID:00af"));
        assert!(same(b"URN:Esn:Ab", b"urn:esn:Ab"));
        assert!(!same(b"urn:esn:Ab", b"urn:esn:ab"));
        assert!(!same(b"A", b"a"));
        assert_eq!(digest(b"urn:uuid:00AF"), digest(b"urn:uuid:00af"));
    }
}
