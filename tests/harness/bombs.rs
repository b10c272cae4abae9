//! Small files that claim to be, or would become, something very large.

use super::data;

/// Each bomb with its media type and a name.
pub(crate) fn pictures() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    vec![
        ("GIF of 65535x65535", "image/gif", gif()),
        ("GIF of 100000 frames", "image/gif", frames()),
        ("PNG of 50000x50000", "image/png", png(50_000)),
        (
            "WebP of 16383x16383",
            "image/webp",
            b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f".to_vec(),
        ),
        (
            "WebP of 16384x16384, lossless",
            "image/webp",
            b"RIFF\x12\0\0\0WEBPVP8L\x05\0\0\0\x2f\xff\xff\xff\x0f\0".to_vec(),
        ),
        ("WebP of 100000 frames", "image/webp", moving()),
        ("AVIF of 65535x65535", "image/avif", avif()),
        ("TIFF of 65535x65535", "image/tiff", tiff()),
        ("ICO with a PNG of 50000x50000", "image/vnd.microsoft.icon", ico()),
        ("JPEG of 10000 scans", "image/jpeg", scans()),
        ("SVG of a million rectangles", "image/svg+xml", svg()),
    ]
}

/// A GIF of 469 octets whose screen and only frame claim 65535x65535.
pub(crate) fn gif() -> Vec<u8> {
    let mut out = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\xff\xff\xff\xff\0\x02".to_vec();
    // Two blocks of data, an empty one, the trailer.
    for length in [255, 469 - 2 - out.len() - 256 - 1] {
        out.push(u8::try_from(length).unwrap());
        out.extend(std::iter::repeat_n(0x84, length));
    }
    out.extend(b"\0;");
    assert_eq!(out.len(), 469);
    out
}

fn frames() -> Vec<u8> {
    let frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    [&b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"[..], &frame.repeat(100_000), b";"].concat()
}

/// An RGBA PNG head of that side, with almost no data behind it.
pub(crate) fn png(side: u32) -> Vec<u8> {
    let mut head = [side.to_be_bytes(), side.to_be_bytes()].concat();
    head.extend([8, 6, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n".to_vec();
    out.extend(chunk(b"IHDR", &head));
    out.extend(chunk(b"IDAT", b"\x78\x9c\xed\xc1\x01\x01\0\0\0\x80\x90\xfe\xaf\xee\x08\x0a"));
    out.extend(chunk(b"IEND", b""));
    out
}

/// A chunk of a PNG.
pub(crate) fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&name[..], data].concat();
    let length = u32::try_from(data.len()).unwrap();
    [&length.to_be_bytes()[..], &named, &crc32(&named).to_be_bytes()].concat()
}

/// The checksum of PNG.
pub(crate) fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0u32, |crc, &octet| {
        (0..8).fold(crc ^ u32::from(octet), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Its four frames, 25,000 times.
fn moving() -> Vec<u8> {
    let file = data("formats/moving.webp");
    let start = file.windows(4).position(|name| name == b"ANMF").unwrap();
    let whole = [&file[12..start], &file[start..].repeat(25_000)].concat();
    let length = u32::try_from(whole.len() + 4).unwrap();
    [&b"RIFF"[..], &length.to_le_bytes(), b"WEBP", &whole].concat()
}

fn avif() -> Vec<u8> {
    let mut file = data("formats/rgb.avif");
    let size = file.windows(4).position(|name| name == b"ispe").unwrap() + 8;
    file[size..size + 8].copy_from_slice(&[0, 0, 0xff, 0xff, 0, 0, 0xff, 0xff]);
    file
}

fn tiff() -> Vec<u8> {
    let mut out = b"II*\0\x08\0\0\0\x06\0".to_vec();
    for (tag, value) in [(256u16, 65_535u32), (257, 65_535), (259, 8), (262, 1), (273, 8), (279, 90)] {
        out.extend([tag.to_le_bytes(), [4, 0]].concat());
        out.extend([1u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    out.extend([0; 4]);
    out
}

fn ico() -> Vec<u8> {
    let png = png(50_000);
    let length = u32::try_from(png.len()).unwrap();
    let head = [0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0, 32, 0];
    [&head[..], &length.to_le_bytes(), &22u32.to_le_bytes(), &png].concat()
}

fn scans() -> Vec<u8> {
    let file = data("formats/scans.jpg");
    let start = file.windows(2).rposition(|pair| pair == [0xff, 0xda]).unwrap();
    let scan = &file[start..file.len() - 2];
    [&file[..start], &scan.repeat(10_000), b"\xff\xd9"].concat()
}

fn svg() -> Vec<u8> {
    let lol = (1..10).map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)));
    let entities: String = lol.collect();
    format!("<!DOCTYPE svg [<!ENTITY l0 \"<rect/>\">{entities}]><svg xmlns=\"http://www.w3.org/2000/svg\">&l6;</svg>")
        .into_bytes()
}
