//! Type and pixels of a picture, read from its own octets.

/// What a picture says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) kind: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

/// Reads the head of a GIF, PNG or JPEG.
pub(crate) fn picture(octets: &[u8]) -> Picture {
    if octets.starts_with(b"GIF8") {
        let side = |at: usize| u32::from(u16::from_le_bytes([octets[at], octets[at + 1]]));
        return Picture { kind: "image/gif", width: side(6), height: side(8) };
    }
    if octets.starts_with(b"\x89PNG") {
        let side = |at: usize| u32::from_be_bytes(octets[at..at + 4].try_into().unwrap());
        return Picture { kind: "image/png", width: side(16), height: side(20) };
    }
    assert!(
        octets.starts_with(&[0xff, 0xd8]),
        "not a GIF, PNG or JPEG: {:?}",
        &octets[..octets.len().min(16)]
    );
    let mut at = 2;
    loop {
        assert_eq!(octets[at], 0xff, "a JPEG marker at {at}");
        let marker = octets[at + 1];
        let side = |from: usize| u32::from(u16::from_be_bytes([octets[from], octets[from + 1]]));
        if matches!(marker, 0xc0..=0xc2) {
            return Picture { kind: "image/jpeg", width: side(at + 7), height: side(at + 5) };
        }
        at += 2 + side(at + 2) as usize;
    }
}
