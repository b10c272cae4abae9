//! Small files that claim to be, or would become, something very large: each is refused by its head, or by a count,
//! before memory or time is spent on it.

use super::*;

fn refusal(bytes: &[u8]) -> ImageError {
    let mut refused = None;
    let memory = allocation_counter::measure(|| {
        refused = transform(bytes, &jpeg(64, 64), &Guards::default(), &|| false).err();
    });
    assert!(memory.bytes_max < 1 << 20, "{} octets of memory", memory.bytes_max);
    refused.unwrap()
}

#[test]
fn pictures_of_more_pixels_than_may_be_are_refused_by_their_heads() {
    let gif = [&b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0;"[..]].concat();
    let png = [
        &b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR"[..],
        &50_000u32.to_be_bytes(),
        &50_000u32.to_be_bytes(),
        b"\x01\0\0\0\0crc!\0\0\0\0IEND\xae\x42\x60\x82",
    ]
    .concat();
    let webp = b"RIFF\x16\0\0\0WEBPVP8 \x0a\0\0\0\0\0\0\x9d\x01\x2a\xff\x3f\xff\x3f";
    let lossless = b"RIFF\x12\0\0\0WEBPVP8L\x05\0\0\0\x2f\xff\xff\xff\x0f\0";
    for bomb in [&gif[..], &png, webp, lossless] {
        assert!(matches!(refusal(bomb), ImageError::TooManyPixels { .. }), "{:?}", refusal(bomb));
    }
}

#[test]
fn frames_are_counted_no_further_than_may_be() {
    let frame = b",\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0";
    let gif = [&b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"[..], &frame.repeat(100_000), b";"].concat();
    assert_eq!(refusal(&gif), ImageError::TooManyFrames { frames: 201, limit: 200 });
}

#[test]
fn ten_thousand_scans_are_not_walked_through() {
    let mut whole = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut whole, 80);
    encoder.set_progressive(true);
    encoder.encode(&[90; 64 * 64 * 3], 64, 64, jpeg_encoder::ColorType::Rgb).unwrap();
    let start = whole.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let length = 2 + whole[start + 2..].windows(2).position(|pair| pair[0] == 0xff && pair[1] != 0).unwrap();
    let scan = &whole[start..start + length];
    let bomb = [&whole[..start], &scan.repeat(10_000), &whole[start..]].concat();
    assert!(matches!(refusal(&bomb), ImageError::Damaged { .. }), "{:?}", refusal(&bomb));
}
