use super::*;

#[test]
fn every_test_picture_says_what_it_is() {
    for (name, kind, width, height, frames) in [
        ("phone_12mp_o6.jpg", Kind::Jpeg, 3024, 4032, 1),
        ("friends_prog_1200x1600.jpg", Kind::Jpeg, 1200, 1600, 1),
        ("life_1080p.jpg", Kind::Jpeg, 1920, 1080, 1),
        ("anim_24f_320x240.gif", Kind::Gif, 320, 240, 24),
        ("astronaut_pal_800x600.png", Kind::Png, 800, 600, 1),
        ("screenshot_rgba_1080x1920.png", Kind::Png, 1080, 1920, 1),
        ("seed_16bit_320x240.png", Kind::Png, 320, 240, 1),
        ("seed_1280x720.webp", Kind::Webp, 1280, 720, 1),
    ] {
        let head = probe(&file(name)).unwrap();
        assert_eq!(
            (head.kind, head.width, head.height, head.frames),
            (kind, width, height, frames),
            "{name}"
        );
    }
    assert!(probe(&file("friends_prog_1200x1600.jpg")).unwrap().progressive);
    assert!(probe(&file("screenshot_rgba_1080x1920.png")).unwrap().alpha);
    assert_eq!(probe(&file("astronaut_pal_800x600.png")).unwrap().palette, Some(256));
    assert_eq!(probe(&file("seed_16bit_320x240.png")).unwrap().depth, 16);
    assert_eq!(probe(&file("phone_12mp_o6.jpg")).unwrap().orientation, 6);
}

#[test]
fn a_head_is_enough() {
    let phone = file("phone_12mp_o6.jpg");
    let guards = Guards { expansion: u64::MAX, ..Guards::default() };
    let head = probe_within(&phone[..64 * 1024], &guards).unwrap();
    assert_eq!((head.width, head.height), (3024, 4032));
}

#[test]
fn a_small_gif_that_claims_65535_squared_is_refused_by_its_head() {
    let mut gif = b"GIF89a\xff\xff\xff\xff\x80\0\0\0\0\0\xff\xff\xff".to_vec();
    gif.extend_from_slice(b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0");
    gif.resize(468, 0);
    gif.push(0x3b);
    let refused = probe(&gif).unwrap_err();
    assert_eq!(refused, ImageError::TooManyPixels { pixels: 65535 * 65535, limit: 40_000_000 });
}

#[test]
fn a_gif_frame_larger_than_its_screen_counts_with_its_own_size() {
    let gif = b"GIF89a\x01\0\x01\0\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x44\x01\0\x3b";
    assert!(matches!(probe(gif), Err(ImageError::TooManyPixels { .. })));
}

#[test]
fn a_png_bomb_is_refused_by_its_expansion() {
    // 144 MB of one colour deflate to 140 KB.
    let mut bomb = Vec::new();
    let mut encoder = png::Encoder::new(&mut bomb, 6000, 6000);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_compression(png::Compression::High);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![0; 6000 * 6000 * 4]).unwrap();
    writer.finish().unwrap();
    assert!(bomb.len() < 216_000, "{}", bomb.len());
    assert_eq!(probe(&bomb), Err(ImageError::Expansion { limit: 200 }));
    assert_eq!(
        transform(&bomb, &jpeg(160, 120), &Guards::default(), &|| false).unwrap_err(),
        ImageError::Expansion { limit: 200 }
    );
}

#[test]
fn what_needs_much_memory_is_held_tighter() {
    // 16 Mpixel of gray are 16 MB; as a GIF they would be 144 MB.
    let (width, height) = (4096u16, 4096u16);
    let mut gif = Vec::new();
    let mut encoder = gif::Encoder::new(&mut gif, width, height, &[0, 0, 0, 255, 255, 255]).unwrap();
    let pixels = vec![0; usize::from(width) * usize::from(height)];
    encoder
        .write_frame(&gif::Frame { width, height, buffer: pixels.clone().into(), ..gif::Frame::default() })
        .unwrap();
    drop(encoder);
    assert_eq!(probe(&gif), Err(ImageError::Expansion { limit: 200 }));
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width.into(), height.into());
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    assert!(probe(&png).is_ok());
}

#[test]
fn a_flat_drawing_of_common_size_is_no_bomb() {
    let mut flat = Vec::new();
    let mut encoder = png::Encoder::new(&mut flat, 1920, 1080);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&vec![255; 1920 * 1080 * 3]).unwrap();
    writer.finish().unwrap();
    assert!(probe(&flat).is_ok());
    let tight = Guards { expansion: 100, ..Guards::default() };
    assert_eq!(probe_within(&flat, &tight), Err(ImageError::Expansion { limit: 100 }));
}

#[test]
fn frames_beyond_the_guard_are_refused_without_counting_them_all() {
    let mut gif = b"GIF89a\x01\0\x01\0\0\0\0".to_vec();
    for _ in 0..100_000 {
        gif.extend_from_slice(b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0");
    }
    gif.push(0x3b);
    assert_eq!(probe(&gif), Err(ImageError::TooManyFrames { frames: 201, limit: 200 }));
}

#[test]
fn a_jpeg_with_a_scan_for_each_colour_is_refused_rather_than_shown_in_false_ones() {
    let mut separate = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut separate, 90);
    encoder.set_optimized_huffman_tables(true);
    encoder.encode(&[200; 64 * 64 * 3], 64, 64, jpeg_encoder::ColorType::Rgb).unwrap();
    assert!(matches!(probe(&separate), Err(ImageError::Unsupported { kind: Kind::Jpeg, .. })));
}

#[test]
fn each_guard_is_held() {
    let life = file("life_640x480.jpg");
    let guards = Guards { pixels: 640 * 480 - 1, ..Guards::default() };
    assert!(matches!(probe_within(&life, &guards), Err(ImageError::TooManyPixels { .. })));
    let anim = file("anim_24f_320x240.gif");
    let guards = Guards { frames: 23, ..Guards::default() };
    assert!(matches!(probe_within(&anim, &guards), Err(ImageError::TooManyFrames { .. })));
    let guards = Guards { pixels: 24 * 320 * 240 / 4 - 1, ..Guards::default() };
    let spec = Spec::new(Kind::Gif, 32, 24);
    assert!(matches!(transform(&anim, &spec, &guards, &|| false), Err(ImageError::TooManyPixels { .. })));
}

#[test]
fn what_is_no_picture_says_so() {
    assert_eq!(probe(b""), Err(ImageError::Unknown));
    assert_eq!(probe(b"<svg/>"), Err(ImageError::Unknown));
    assert!(matches!(probe(b"\xff\xd8\xff\xd9"), Err(ImageError::Damaged { kind: Kind::Jpeg, .. })));
    assert!(matches!(probe(b"\x89PNG\r\n\x1a\n"), Err(ImageError::Damaged { kind: Kind::Png, .. })));
}
