//! A message ready for the wire.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// Head and body, encoded once: TCP writes both vectored, UDP joins them, a retransmission clones it.
#[derive(Clone, PartialEq, Eq)]
pub struct Encoded {
    /// Start line, header lines, empty line.
    pub head: Bytes,
    /// The body; of a message that was forwarded unchanged, the octets that came in.
    pub body: Bytes,
}

impl Encoded {
    /// Octets of head and body.
    pub const fn len(&self) -> usize {
        self.head.len() + self.body.len()
    }

    /// Whether there is nothing to send.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The status code, if it is a response.
    pub fn status(&self) -> Option<u16> {
        let code = self.head.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
        u16::try_from(grammar::decimal(code)?).ok()
    }

    /// Head and body in one piece, copied unless one of them is empty.
    pub fn to_bytes(&self) -> Bytes {
        if self.body.is_empty() {
            return self.head.clone();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        whole.extend_from_slice(&self.head);
        whole.extend_from_slice(&self.body);
        whole.freeze()
    }
}

/// Sizes only: what stands in a message is not for logs.
impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoded {{ head: {}, body: {} }}", self.head.len(), self.body.len())
    }
}
