//! What is published for one user, as it is stored: one record for all of it, so that a PUBLISH is one swap.

use bytes::Bytes;

use crate::codec::{Reader, Writer};

/// The digest of an object's octets, SHA-256: what it is stored under.
pub type Digest = [u8; 32];

/// An object that came with a document, as a part of the same multipart/related.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its Content-ID without angle brackets, which a link of the document names behind `cid:`.
    pub id: Bytes,
    /// Of the whole part, its head included.
    pub digest: Digest,
    /// Octets of the whole part.
    pub octets: u32,
}

/// One publication (RFC 3903): what one of the user's terminals says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its entity-tag now; another with each PUBLISH.
    pub tag: u64,
    /// When it ends; Unix seconds.
    pub expires_at: u64,
    /// When the document came; Unix milliseconds. A refresh leaves it.
    pub published_at: u64,
    /// The presence document as it came.
    pub document: Bytes,
    /// What it shows.
    pub objects: Vec<Object>,
}

/// All publications of one user, in the order of their documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publications {
    /// When a document came or went last; Unix seconds.
    pub changed_at: u64,
    /// None of them the same tag.
    pub entries: Vec<Publication>,
}

/// The first octet of a record.
const FORM: u8 = 1;

impl Publications {
    /// The octets to store.
    pub fn encode(&self) -> Bytes {
        let mut writer = Writer::default();
        writer.fixed(&[FORM]);
        writer.number(self.changed_at);
        writer.all(&self.entries, |writer, entry| {
            writer.fixed(&entry.tag.to_be_bytes());
            writer.number(entry.expires_at);
            writer.number(entry.published_at);
            writer.octets(&entry.document);
            writer.all(&entry.objects, |writer, object| {
                writer.octets(&object.id);
                writer.fixed(&object.digest);
                writer.number(object.octets.into());
            });
        });
        writer.finish()
    }

    /// What [`Self::encode`] wrote, sharing the octets; `None` for anything else.
    pub fn decode(octets: Bytes) -> Option<Self> {
        let mut reader = Reader::new(octets);
        let [form] = reader.fixed()?;
        let changed_at = reader.number().filter(|_| form == FORM)?;
        let entries = reader.all(|reader| {
            Some(Publication {
                tag: u64::from_be_bytes(reader.fixed()?),
                expires_at: reader.number()?,
                published_at: reader.number()?,
                document: reader.octets()?,
                objects: reader.all(|reader| {
                    Some(Object { id: reader.octets()?, digest: reader.fixed()?, octets: reader.small()? })
                })?,
            })
        })?;
        Some(Self { changed_at, entries })
    }

    /// Without what has ended at `now` (Unix seconds); `None` if nothing has.
    pub fn without_expired(&self, now: u64) -> Option<Self> {
        let is_over = |entry: &Publication| entry.expires_at <= now;
        self.entries.iter().any(is_over).then(|| Self {
            changed_at: now,
            entries: self.entries.iter().filter(|entry| !is_over(entry)).cloned().collect(),
        })
    }

    /// When the first of them ends; Unix seconds.
    pub fn next_end(&self) -> Option<u64> {
        self.entries.iter().map(|entry| entry.expires_at).min()
    }

    /// Whether an object is among those of any.
    pub fn shows(&self, digest: &Digest) -> bool {
        self.digests().any(|known| known == digest)
    }

    /// The digests of all objects.
    pub fn digests(&self) -> impl Iterator<Item = &Digest> {
        self.entries.iter().flat_map(|entry| &entry.objects).map(|object| &object.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let object = Object { id: "photo@x".into(), digest: [7; 32], octets: 300 };
        let entry = Publication {
            tag: u64::MAX,
            expires_at: 1,
            published_at: 2,
            document: "<presence/>".into(),
            objects: vec![object],
        };
        let all =
            Publications { changed_at: 5, entries: vec![entry.clone(), Publication { tag: 3, ..entry }] };
        assert_eq!(Publications::decode(all.encode()), Some(all.clone()));
        let octets = all.encode();
        for end in 0..octets.len() {
            assert_eq!(Publications::decode(octets.slice(..end)), None, "{end}");
        }
    }

    #[test]
    fn what_has_ended_goes_and_what_has_not_stays() {
        let entry = |tag, expires_at| Publication {
            tag,
            expires_at,
            published_at: 0,
            document: Bytes::new(),
            objects: Vec::new(),
        };
        let all = Publications { changed_at: 0, entries: vec![entry(1, 10), entry(2, 20)] };
        assert_eq!(all.without_expired(9), None);
        let left = all.without_expired(10).unwrap();
        assert_eq!((left.entries.len(), left.changed_at, left.next_end()), (1, 10, Some(20)));
    }
}
