//! Octets of a stored record: numbers of variable length, octet strings with their length in front.

use bytes::Bytes;

#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    pub(crate) fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.0.extend_from_slice(octets);
    }

    pub(crate) fn fixed(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// As many of them as there are, each written by `write`.
    pub(crate) fn all<T>(&mut self, items: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
    }

    pub(crate) fn finish(self) -> Bytes {
        self.0.into()
    }
}

/// Reads what [`Writer`] wrote; `None` where the octets end early or make no sense. What it returns shares
/// the octets of the record.
#[derive(Debug)]
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) const fn new(octets: Bytes) -> Self {
        Self(octets)
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let (mut value, mut shift) = (0u64, 0u32);
        loop {
            let [octet] = self.fixed::<1>()?;
            value |= u64::from(octet & 0x7f).checked_shl(shift)?;
            if octet < 0x80 {
                return Some(value);
            }
            shift += 7;
        }
    }

    pub(crate) fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    pub(crate) fn octets(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    pub(crate) fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, _) = self.0.split_first_chunk::<N>()?;
        let head = *head;
        drop(self.0.split_to(N));
        Some(head)
    }

    /// What [`Writer::all`] wrote. No more room is made than the octets that are left could fill.
    pub(crate) fn all<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok().filter(|count| *count <= self.0.len())?;
        let mut items = Vec::with_capacity(count);
        for _ in 0..count {
            items.push(read(self)?);
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut writer = Writer::default();
        for number in [0, 127, 128, u64::MAX] {
            writer.number(number);
        }
        writer.octets(b"abc");
        writer.all(&[1, 2, 3], |writer, number| writer.number(*number));
        let mut reader = Reader::new(writer.finish());
        for number in [0, 127, 128, u64::MAX] {
            assert_eq!(reader.number(), Some(number));
        }
        assert_eq!(reader.octets().unwrap(), "abc");
        assert_eq!(reader.all(Reader::number), Some(vec![1, 2, 3]));
    }

    #[test]
    fn short_and_senseless_octets_are_none() {
        let read = |octets: &'static [u8]| Reader::new(Bytes::from_static(octets));
        assert_eq!(read(b"").number(), None);
        assert_eq!(read(&[0xff; 11]).number(), None);
        assert_eq!(read(b"\x05abc").octets(), None);
        assert_eq!(
            read(b"\xff\xff\xff\xff\x0f\x01").all(Reader::number),
            None,
            "a count of what is not there"
        );
    }
}
