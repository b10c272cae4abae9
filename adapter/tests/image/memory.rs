use super::*;

/// A PNG with alpha whose pixels change from row to row.
fn large(side: u32, interlaced: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let mut info = png::Info::with_size(side, side);
    (info.color_type, info.bit_depth) = (png::ColorType::Rgba, png::BitDepth::Eight);
    let mut writer = png::Encoder::with_info(&mut out, info).unwrap();
    writer.set_compression(png::Compression::Fastest);
    let mut writer = writer.write_header().unwrap();
    let mut stream = writer.stream_writer().unwrap();
    for y in 0..side {
        let shade = (y * 255 / side) as u8;
        std::io::Write::write_all(&mut stream, &[shade, 0, 255 - shade, 255].repeat(side as usize)).unwrap();
    }
    stream.finish().unwrap();
    drop(writer);
    if interlaced {
        // The head alone says so; its pixels are never reached.
        out[28] = 1;
        let crc = crc32(&out[12..29]);
        out[29..33].copy_from_slice(&crc.to_be_bytes());
    }
    out
}

fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(!0u32, |crc, &octet| {
        (0..8).fold(crc ^ u32::from(octet), |crc, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

#[test]
fn a_large_png_that_is_shown_small_never_lies_in_memory_whole() {
    let file = large(3000, false);
    let mut made = None;
    let memory = allocation_counter::measure(|| {
        made = Some(make(&file, &Spec::new(Kind::Png, 120, 120)));
    });
    assert!(memory.bytes_max < 4 << 20, "{} of the 36 MB it decodes to", memory.bytes_max);
    let made = made.unwrap();
    assert_eq!(made.work.decoded, 9_000_000);
    let shown = rgba(&made);
    for (y, shade) in [(0, 1), (60, 128), (119, 254)] {
        let [r, g, b, a] = shown.get_pixel(60, y).0;
        assert!(r.abs_diff(shade) <= 2 && b.abs_diff(255 - shade) <= 2, "row {y}: {r} {b}");
        assert_eq!((g, a), (0, 255));
    }
}

#[test]
fn what_would_take_more_memory_than_it_may_is_not_decoded() {
    let guards = Guards { memory: 8 << 20, expansion: u64::MAX, ..Guards::default() };
    let refused = |file: &[u8], side| transform(file, &Spec::new(Kind::Png, side, side), &guards, &|| false);
    let flat = large(2000, false);
    assert_eq!(
        refused(&flat, 1500).unwrap_err(),
        ImageError::TooMuchMemory { octets: 32_000_000, limit: 8 << 20 }
    );
    assert!(refused(&flat, 100).is_ok());
    let interlaced = large(2000, true);
    assert!(matches!(refused(&interlaced, 100), Err(ImageError::TooMuchMemory { .. })));
}

#[test]
fn a_photo_takes_the_planes_of_its_fraction_and_little_more() {
    let photo = file("phone_12mp_o6.jpg");
    // Two eighths of the size leave 1.75 times the target: 1.1 MB of planes, of 36 MB of pixels.
    for (spec, most) in [(jpeg(360, 480), 4 << 20), (jpeg(90, 120), 2 << 20)] {
        let memory = allocation_counter::measure(|| {
            make(&photo, &spec);
        });
        assert!(memory.bytes_max < most, "{} octets for {}x{}", memory.bytes_max, spec.width, spec.height);
    }
}
