//! What was made of a content for one kind of terminal, and how it lies on a disk.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::content::hex;
use crate::token::Sum;

/// A content and a wish; the same for all who wish the same of the same octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VariantKey {
    /// SHA-256 of the original.
    pub(crate) blob: Sum,
    /// SHA-256 of all else that it depends on.
    pub(crate) wish: Sum,
}

/// What came of an adaptation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Made {
    /// Other octets.
    Variant(Variant),
    /// The original is what is wanted.
    Original,
    /// Nothing the terminal takes can be made; why.
    Refused(String),
}

impl Made {
    /// Octets it takes in memory, roughly.
    pub(crate) fn octets(&self) -> u64 {
        const ENTRY: u64 = 512;
        let own = match self {
            Made::Variant(variant) => variant.body.len(),
            Made::Original => 0,
            Made::Refused(why) => why.len(),
        };
        ENTRY + own as u64
    }
}

/// An adapted content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    pub(crate) head: VariantHead,
    pub(crate) body: Bytes,
}

/// What is said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VariantHead {
    /// The complete Content-Type.
    #[serde(rename = "type")]
    pub(crate) content_type: String,
    /// The Content-Encoding.
    pub(crate) coding: Option<String>,
    /// Values of Content-Adapted (CPI.md §3.9).
    pub(crate) adapted: Vec<String>,
    /// All fields of the new body, for who adapts on behalf of others.
    pub(crate) fields: Vec<(String, String)>,
    /// With its quotes.
    pub(crate) etag: String,
}

impl Variant {
    pub(crate) fn new(content_type: String, fields: Vec<(String, String)>, body: Bytes) -> Variant {
        let sum = Sha256::new().chain_update(&content_type).chain_update([0]).chain_update(&body).finalize();
        let etag = format!("\"v-{}\"", hex(sum.get(..16).unwrap_or_default()));
        let named = |wanted: &str| {
            let wanted = wanted.to_owned();
            fields.iter().filter(move |(name, _)| name.eq_ignore_ascii_case(&wanted)).map(|(_, value)| value)
        };
        let coding = named("Content-Encoding").next().cloned();
        let adapted = named("Content-Adapted").cloned().collect();
        Variant { head: VariantHead { content_type, coding, adapted, fields, etag }, body }
    }

    /// A sum over the rest, the length of the head, the head, the body.
    pub(crate) fn to_octets(&self) -> Option<Vec<u8>> {
        let head = serde_json::to_vec(&self.head).ok()?;
        let mut octets = vec![0; SUM];
        octets.extend_from_slice(&u32::try_from(head.len()).ok()?.to_be_bytes());
        octets.extend_from_slice(&head);
        octets.extend_from_slice(&self.body);
        let (sum, rest) = octets.split_at_mut_checked(SUM)?;
        sum.copy_from_slice(&Sha256::digest(rest));
        Some(octets)
    }

    /// `None` for anything but what [`Variant::to_octets`] wrote: a file may have been cut off by a crash.
    pub(crate) fn from_octets(octets: &Bytes) -> Option<Variant> {
        let (sum, rest) = octets.split_at_checked(SUM)?;
        (*sum == *Sha256::digest(rest)).then_some(())?;
        let (length, rest) = rest.split_first_chunk()?;
        let (head, body) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        Some(Variant { head: serde_json::from_slice(head).ok()?, body: octets.slice_ref(body) })
    }
}

/// Octets of a SHA-256.
const SUM: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_is_read_as_it_was_written_and_no_other_way() {
        let variant = Variant::new(
            "image/gif".into(),
            vec![("Content-Adapted".into(), "h".into())],
            Bytes::from_static(b"GIF"),
        );
        let octets = Bytes::from(variant.to_octets().unwrap());
        assert_eq!(Variant::from_octets(&octets), Some(variant));
        for end in 0..octets.len() {
            assert_eq!(Variant::from_octets(&octets.slice(..end)), None, "cut off at {end}");
        }
        let mut broken = octets.to_vec();
        *broken.last_mut().unwrap() ^= 1;
        assert_eq!(Variant::from_octets(&broken.into()), None);
    }

    #[test]
    fn equal_octets_of_another_type_are_another_variant() {
        let of = |content_type: &str| Variant::new(content_type.into(), Vec::new(), Bytes::new());
        assert_ne!(of("text/plain").head.etag, of("text/html").head.etag);
    }
}
