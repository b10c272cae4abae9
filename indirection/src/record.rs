//! What is kept of a link, in memory and on disk.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::content::{Content, hex, unhex};
use crate::state::Share;
use crate::token::Sum;

/// A link as the store knows it. Times are whole seconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    /// SHA-256 of the octets: the name of the blob.
    pub(crate) blob: Sum,
    pub(crate) expires: u64,
    /// Keyed hash of the AOR.
    pub(crate) recipient: Option<Sum>,
    /// Keyed hash of the sender's AOR.
    pub(crate) sender: Option<Sum>,
    /// Octets of the content.
    pub size: u64,
    /// SHA-1 of the content.
    pub sha1: [u8; 20],
    /// See [`Content::content_type`].
    pub content_type: String,
    /// See [`Content::serve_as`].
    pub serve_as: Option<String>,
    /// See [`Content::content_encoding`].
    pub content_encoding: Option<String>,
    /// See [`Content::disposition`].
    pub disposition: Option<String>,
    /// See [`Content::description`].
    pub description: Option<String>,
    /// See [`Content::fixed`].
    pub fixed: bool,
}

impl Record {
    pub(crate) fn new(content: Content, share: &Share, sha1: [u8; 20], expires: u64) -> Record {
        Record {
            blob: share.blob,
            expires,
            recipient: share.recipient,
            sender: share.sender,
            size: share.octets,
            sha1,
            content_type: content.content_type,
            serve_as: content.serve_as,
            content_encoding: content.content_encoding,
            disposition: content.disposition,
            description: content.description,
            fixed: content.fixed,
        }
    }

    /// The last moment it is served.
    pub fn expires(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.expires)
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(&OnDisk {
            v: VERSION,
            blob: hex(&self.blob),
            expires: self.expires,
            recipient: self.recipient.as_ref().map(|sum| hex(sum)),
            sender: self.sender.as_ref().map(|sum| hex(sum)),
            size: self.size,
            sha1: hex(&self.sha1),
            content_type: self.content_type.clone(),
            serve_as: self.serve_as.clone(),
            content_encoding: self.content_encoding.clone(),
            disposition: self.disposition.clone(),
            description: self.description.clone(),
            fixed: self.fixed,
        })
    }

    /// `None` if it is no record of this version.
    pub(crate) fn from_json(json: &[u8]) -> Option<Record> {
        let record: OnDisk = serde_json::from_slice(json).ok()?;
        (record.v == VERSION).then_some(())?;
        let person = |sum: &Option<String>| match sum {
            Some(sum) => unhex(sum).map(Some),
            None => Some(None),
        };
        Some(Record {
            blob: unhex(&record.blob)?,
            expires: record.expires,
            recipient: person(&record.recipient)?,
            sender: person(&record.sender)?,
            size: record.size,
            sha1: unhex(&record.sha1)?,
            content_type: record.content_type,
            serve_as: record.serve_as,
            content_encoding: record.content_encoding,
            disposition: record.disposition,
            description: record.description,
            fixed: record.fixed,
        })
    }
}

/// Without what people wrote, and without names of files that give the content away.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({}, {} octets, fixed {})", self.content_type, self.size, self.fixed)
    }
}

/// Length and sums of a content.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    pub(crate) size: u64,
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: Sum,
}

/// Whole seconds since 1970; a time before is 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

const VERSION: u8 = 1;

#[derive(Serialize, Deserialize)]
struct OnDisk {
    v: u8,
    blob: String,
    expires: u64,
    recipient: Option<String>,
    #[serde(default)]
    sender: Option<String>,
    size: u64,
    sha1: String,
    #[serde(rename = "type")]
    content_type: String,
    serve_as: Option<String>,
    #[serde(rename = "encoding")]
    content_encoding: Option<String>,
    disposition: Option<String>,
    description: Option<String>,
    fixed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let content = Content {
            content_type: "image/gif".into(),
            description: Some("Sunset \"é\"".into()),
            fixed: true,
            ..Content::default()
        };
        let share = Share { blob: [9; 32], octets: 3073, recipient: Some([1; 32]), sender: Some([2; 32]) };
        let record = Record::new(content, &share, [7; 20], 4_000_000_000);
        let json = record.to_json().unwrap();
        assert_eq!(Record::from_json(&json), Some(record));
        assert_eq!(Record::from_json(&json[1..]), None);
        let newer = String::from_utf8(json).unwrap().replace("\"v\":1", "\"v\":2");
        assert_eq!(Record::from_json(newer.as_bytes()), None);
    }
}
