//! Pictures in, pictures out: what a phone gets, what it must never get, and what no file can make us do.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "the pictures lie in files")]

use adapter::image::{
    Floor, Guards, Image, ImageError, Kind, Op, Spec, predict, probe, probe_within, strip, transform,
};

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/images/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn sunset() -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/020-fig1-message-original.msg");
    let message = std::fs::read(path).unwrap();
    message[message.len() - 3073..].to_vec()
}

fn make(bytes: &[u8], spec: &Spec) -> Image {
    transform(bytes, spec, &Guards::default(), &|| false).unwrap()
}

fn jpeg(width: u32, height: u32) -> Spec {
    Spec::new(Kind::Jpeg, width, height)
}

/// Decoded by a library this room does not use for it.
fn rgba(image: &Image) -> image::RgbaImage {
    let decoded = image::load_from_memory(&image.bytes).unwrap().to_rgba8();
    assert_eq!(decoded.dimensions(), (image.width, image.height));
    decoded
}

mod heads {
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
            .write_frame(&gif::Frame {
                width,
                height,
                buffer: pixels.clone().into(),
                ..gif::Frame::default()
            })
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
}

mod scaling {
    use super::*;

    #[test]
    fn an_upright_phone_photo_becomes_90x120_and_stands() {
        let phone = file("phone_12mp_o6.jpg");
        let small = make(&phone, &jpeg(90, 120));
        assert_eq!((small.width, small.height), (90, 120));
        assert_eq!(small.ops, [Op::Scale]);
        // The same as decoding whole, turning by an independent library, and averaging.
        let full = image::load_from_memory(&phone).unwrap().rotate90().thumbnail_exact(90, 120).to_rgba8();
        let ours = rgba(&small);
        let far: u64 = ours.as_raw().iter().zip(full.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(far / (90 * 120 * 4) <= 6, "mean difference {}", far / (90 * 120 * 4));
    }

    #[test]
    fn position_exif_and_thumbnail_are_gone() {
        let phone = file("phone_12mp_o6.jpg");
        assert!(phone.windows(4).any(|w| w == b"Exif"));
        for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
            let small = make(&phone, &Spec::new(kind, 90, 120));
            for word in [&b"Exif"[..], b"eXIf", b"GPS", b"http://ns.adobe.com", b"ICC_PROFILE"] {
                assert!(!small.bytes.windows(word.len()).any(|w| w == word), "{kind:?}");
            }
            assert!(!probe(&small.bytes).unwrap().metadata);
        }
    }

    #[test]
    fn never_up() {
        let sunset = sunset();
        for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
            let same = make(&sunset, &Spec::new(kind, 4000, 3000));
            assert_eq!((same.width, same.height), (320, 240));
        }
    }

    #[test]
    fn the_sunset_fits_a_phone_of_2003() {
        let small = make(&sunset(), &Spec::new(Kind::Gif, 158, 119));
        assert_eq!((small.kind, small.width, small.height), (Kind::Gif, 158, 119));
        assert!(small.bytes.len() < 3073, "{}", small.bytes.len());
        rgba(&small);
    }

    #[test]
    fn a_decoded_pixel_is_decoded_once_and_one_attempt_is_made() {
        let work = make(&file("life_1080p.jpg"), &jpeg(160, 90)).work;
        assert_eq!((work.decoded, work.encoded, work.encodes), (1920 * 1080, 160 * 90, 1));
    }

    #[test]
    fn every_kind_becomes_every_kind() {
        let mut bmp = Vec::new();
        let drawn = image::RgbImage::from_fn(64, 48, |x, y| image::Rgb([x as u8 * 3, y as u8 * 4, 99]));
        drawn.write_to(&mut std::io::Cursor::new(&mut bmp), image::ImageFormat::Bmp).unwrap();
        let sources = [
            bmp,
            sunset(),
            file("seed_1280x720.webp"),
            file("seed_16bit_320x240.png"),
            file("astronaut_pal_800x600.png"),
        ];
        for source in sources {
            let head = probe(&source).unwrap();
            for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
                let made = make(&source, &Spec::new(kind, head.width / 2, head.height / 2));
                let there = probe(&made.bytes).unwrap();
                assert_eq!((there.kind, there.width, there.height), (kind, head.width / 2, head.height / 2));
                assert_eq!(made.ops.contains(&Op::Transcode), kind != head.kind);
                rgba(&made);
            }
        }
    }

    #[test]
    fn a_progressive_photo_comes_out_baseline_and_like_itself() {
        let made = make(&file("friends_prog_1200x1600.jpg"), &jpeg(120, 160));
        assert!(!probe(&made.bytes).unwrap().progressive);
        let reference = image::load_from_memory(&file("friends_prog_1200x1600.jpg")).unwrap();
        let reference = reference.thumbnail_exact(120, 160).to_rgba8();
        let ours = rgba(&made);
        let far: u64 =
            ours.as_raw().iter().zip(reference.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert!(far / (120 * 160 * 4) <= 6);
    }

    #[test]
    fn cmyk_photos_keep_their_colours() {
        // Cyan, magenta, yellow and paper white; Adobe stores them inverted, as the encoder here does.
        let squares: Vec<u8> = (0..64 * 64usize)
            .flat_map(|i| match (i % 64 / 32, i / 64 / 32) {
                (0, 0) => [255, 0, 0, 0],
                (1, 0) => [0, 255, 0, 0],
                (0, 1) => [0, 0, 255, 0],
                _ => [0, 0, 0, 0],
            })
            .collect();
        let mut cmyk = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut cmyk, 95);
        encoder.encode(&squares, 64, 64, jpeg_encoder::ColorType::Cmyk).unwrap();
        for kind in [Kind::Jpeg, Kind::Png] {
            let made = rgba(&make(&cmyk, &Spec::new(kind, 32, 32)));
            for ((x, y), expected) in [
                ((8, 8), [0, 255, 255]),
                ((24, 8), [255, 0, 255]),
                ((8, 24), [255, 255, 0]),
                ((24, 24), [255; 3]),
            ] {
                let [r, g, b, _] = made.get_pixel(x, y).0;
                let far =
                    [r, g, b].iter().zip(expected).map(|(a, b): (&u8, u8)| a.abs_diff(b)).max().unwrap();
                assert!(far < 40, "{kind:?} at {x},{y}: {:?}", [r, g, b]);
            }
        }
    }

    #[test]
    fn transparency_is_white_in_jpeg_and_stays_in_png_and_gif() {
        let screenshot = file("screenshot_rgba_1080x1920.png");
        let corner = |kind| rgba(&make(&screenshot, &Spec::new(kind, 108, 192))).get_pixel(0, 0).0;
        let [r, g, b, a] = corner(Kind::Jpeg);
        assert!(r > 230 && g > 230 && b > 230 && a == 255);
        assert!(corner(Kind::Png)[3] < 64);
        assert_eq!(corner(Kind::Gif)[3], 0);
    }

    #[test]
    fn a_stop_between_the_stages_is_heeded() {
        let asked = std::cell::Cell::new(0);
        let stop = || asked.replace(asked.get() + 1) >= 1;
        let made = transform(&file("life_640x480.jpg"), &jpeg(160, 120), &Guards::default(), &stop);
        assert_eq!(made.unwrap_err(), ImageError::Stopped);
    }

    #[test]
    fn only_what_can_be_written_is_asked_for() {
        let made = transform(&sunset(), &Spec::new(Kind::Webp, 10, 10), &Guards::default(), &|| false);
        assert_eq!(made.unwrap_err(), ImageError::NotWritable { kind: Kind::Webp });
    }
}

mod octets {
    use super::*;

    #[test]
    fn a_limit_is_held_in_few_attempts() {
        let files =
            ["life_640x480.jpg", "picos_1280x960.jpg", "astronaut_pal_800x600.png", "seed_1280x720.webp"];
        for name in files {
            let bytes = file(name);
            let head = probe(&bytes).unwrap();
            for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
                for limit in [4096, 16_384, 40_000] {
                    let spec =
                        Spec { octets: Some(limit), ..Spec::new(kind, head.width / 2, head.height / 2) };
                    let made = make(&bytes, &spec);
                    assert!(made.bytes.len() as u64 <= limit, "{name} {kind:?} {limit}");
                    assert!(
                        made.bytes.len() as u64 * 2 > limit,
                        "{name} {kind:?} {limit}: {}",
                        made.bytes.len()
                    );
                    assert!(made.work.encodes <= 4, "{name} {kind:?} {limit}: {} encodes", made.work.encodes);
                    assert!(
                        made.width <= spec.width
                            && (made.width * spec.height / spec.width).abs_diff(made.height) <= 1
                    );
                    assert!(made.quality.is_none_or(|quality| (35..=85).contains(&quality)));
                    rgba(&made);
                }
            }
        }
    }

    #[test]
    fn a_phone_photo_fits_16384_octets_at_90x120() {
        let spec = Spec { octets: Some(16_383), ..jpeg(90, 120) };
        let made = make(&file("phone_12mp_o6.jpg"), &spec);
        assert_eq!((made.width, made.height, made.quality), (90, 120, Some(85)));
        assert_eq!(made.work.encodes, 1);
    }

    #[test]
    fn fewer_pixels_at_a_fair_quality_beat_many_at_a_poor_one() {
        let spec = Spec { octets: Some(16_384), ..jpeg(640, 480) };
        let made = make(&file("life_640x480.jpg"), &spec);
        assert!(made.width < 640 && made.quality.unwrap() >= 60, "{}px q{:?}", made.width, made.quality);
    }

    #[test]
    fn what_can_not_fit_says_how_small_it_got() {
        let spec = Spec { octets: Some(500), ..jpeg(640, 480) };
        let made = transform(&file("life_640x480.jpg"), &spec, &Guards::default(), &|| false);
        assert!(
            matches!(made, Err(ImageError::CantFit { smallest, limit: 500 }) if smallest > 500),
            "{made:?}"
        );
    }

    #[test]
    fn the_floor_is_not_gone_below() {
        let floor = Floor { quality: 60, width: 400, height: 300 };
        let spec = Spec { octets: Some(16_384), floor, ..jpeg(640, 480) };
        let made = transform(&file("life_640x480.jpg"), &spec, &Guards::default(), &|| false);
        assert!(matches!(made, Err(ImageError::CantFit { .. })), "{made:?}");
        let floor = Floor { quality: 35, width: 400, height: 300 };
        let spec = Spec { octets: Some(40_000), floor, ..jpeg(640, 480) };
        assert!(make(&file("life_640x480.jpg"), &spec).width >= 400);
    }

    #[test]
    fn palettes_as_small_as_asked_for() {
        let astronaut = file("astronaut_pal_800x600.png");
        for kind in [Kind::Png, Kind::Gif] {
            for colours in [2, 16, 64] {
                let spec = Spec { palette: Some(colours), ..Spec::new(kind, 80, 60) };
                let made = make(&astronaut, &spec);
                assert!(made.palette.unwrap() <= colours);
                let mut seen: Vec<[u8; 4]> = rgba(&made).pixels().map(|pixel| pixel.0).collect();
                seen.sort_unstable();
                seen.dedup();
                assert!(seen.len() <= usize::from(colours));
            }
        }
    }

    #[test]
    fn predictions_are_near_and_seldom_low() {
        let files =
            ["life_1080p.jpg", "picos_1280x960.jpg", "friends_prog_1200x1600.jpg", "seed_1280x720.webp"];
        for name in files {
            let bytes = file(name);
            let head = probe(&bytes).unwrap();
            for (kind, quality, palette) in [
                (Kind::Jpeg, 85, None),
                (Kind::Jpeg, 50, None),
                (Kind::Gif, 85, None),
                (Kind::Png, 85, Some(64)),
                (Kind::Png, 85, None),
            ] {
                let spec = Spec { quality, palette, ..Spec::new(kind, head.width / 4, head.height / 4) };
                let (expected, made) =
                    (predict(&head, bytes.len() as u64, &spec), make(&bytes, &spec).bytes.len() as u64);
                assert!(
                    expected * 100 >= made * 95 && expected <= made * 2,
                    "{name} {spec:?}: {expected} for {made}"
                );
            }
        }
    }
}

mod animation {
    use super::*;

    fn frames(bytes: &[u8]) -> Vec<(gif::Frame<'static>, u16)> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(bytes).unwrap();
        let mut frames = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            frames.push((frame.clone(), frame.delay));
        }
        frames
    }

    #[test]
    fn all_frames_and_their_delays_are_kept() {
        let anim = file("anim_24f_320x240.gif");
        let made = make(&anim, &Spec::new(Kind::Gif, 160, 120));
        let delays = |bytes: &[u8]| frames(bytes).iter().map(|(_, delay)| *delay).collect::<Vec<_>>();
        assert_eq!(made.frames, 24);
        assert_eq!(delays(&made.bytes), delays(&anim));
        assert_eq!(made.work.decoded, 24 * 320 * 240);
    }

    #[test]
    fn another_format_and_a_wish_for_a_still_take_the_first_frame() {
        let anim = file("anim_24f_320x240.gif");
        assert_eq!(make(&anim, &jpeg(160, 120)).frames, 1);
        let spec = Spec { animation: false, ..Spec::new(Kind::Gif, 160, 120) };
        let made = make(&anim, &spec);
        assert_eq!((made.frames, made.work.decoded), (1, 320 * 240));
    }

    #[test]
    fn what_stands_still_is_not_written_again() {
        let mut gif = Vec::new();
        let mut encoder = gif::Encoder::new(&mut gif, 64, 64, &[0, 0, 0, 255, 0, 0]).unwrap();
        for at in 0..10u16 {
            let mut pixels = vec![0; 64 * 64];
            pixels[usize::from(at) * 64..][..8].fill(1);
            let frame = gif::Frame {
                width: 64,
                height: 64,
                delay: 7,
                buffer: pixels.into(),
                ..gif::Frame::default()
            };
            encoder.write_frame(&frame).unwrap();
        }
        drop(encoder);
        let made = make(&gif, &Spec::new(Kind::Gif, 64, 64));
        let made = frames(&made.bytes);
        assert_eq!(made.len(), 10);
        assert!(made.iter().skip(1).all(|(frame, delay)| (frame.width, frame.height, *delay) == (8, 2, 7)));
    }

    #[test]
    fn an_animation_that_can_not_fit_gives_its_first_frame() {
        let spec = Spec { octets: Some(4096), ..Spec::new(Kind::Gif, 160, 120) };
        let made = make(&file("anim_24f_320x240.gif"), &spec);
        assert_eq!(made.frames, 1);
        assert!(made.bytes.len() <= 4096);
    }
}

mod stripping {
    use super::*;

    fn with_exif(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let mut tiff = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        tiff.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
        let mut out = jpeg[..2].to_vec();
        out.extend_from_slice(&[0xff, 0xe1]);
        out.extend_from_slice(&(tiff.len() as u16 + 2).to_be_bytes());
        out.extend_from_slice(&tiff);
        out.extend_from_slice(b"\xff\xfe\x00\x08secret");
        out.extend_from_slice(b"\xff\xe2\x00\x10ICC_PROFILE\0\x01\x01");
        out.extend_from_slice(&jpeg[2..]);
        out.extend_from_slice(b"a video behind the end");
        out
    }

    #[test]
    fn exif_and_comments_go_and_every_pixel_stays() {
        let life = file("life_640x480.jpg");
        let stripped = strip(&with_exif(&life, 1)).unwrap();
        for word in [&b"Exif"[..], b"secret", b"video"] {
            assert!(!stripped.windows(word.len()).any(|w| w == word));
        }
        assert!(stripped.windows(11).any(|w| w == b"ICC_PROFILE"));
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
        assert_eq!(pixels(&stripped), pixels(&life));
        assert_eq!(strip(&stripped), None);
    }

    #[test]
    fn a_photo_that_lies_on_its_side_is_not_stripped() {
        assert_eq!(strip(&with_exif(&file("life_640x480.jpg"), 6)), None);
        assert_eq!(strip(&file("phone_12mp_o6.jpg")), None);
    }

    #[test]
    fn a_progressive_photo_keeps_all_its_scans() {
        let friends = file("friends_prog_1200x1600.jpg");
        let stripped = strip(&with_exif(&friends, 1)).unwrap();
        let pixels = |bytes: &[u8]| image::load_from_memory(bytes).unwrap().to_rgb8();
        assert_eq!(pixels(&stripped), pixels(&friends));
    }

    #[test]
    fn texts_of_a_png_go_and_its_colours_stay() {
        let mut png = Vec::new();
        let mut encoder = png::Encoder::new(&mut png, 2, 2);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.add_text_chunk("Author".into(), "someone".into()).unwrap();
        encoder.set_source_gamma(png::ScaledFloat::new(0.45));
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[1, 2, 3, 4]).unwrap();
        writer.finish().unwrap();
        assert!(probe(&png).unwrap().metadata);
        let stripped = strip(&png).unwrap();
        assert!(!stripped.windows(7).any(|w| w == b"someone"));
        assert!(stripped.windows(4).any(|w| w == b"gAMA"));
        assert_eq!(image::load_from_memory(&stripped).unwrap().to_luma8().as_raw(), &[1, 2, 3, 4]);
    }
}

mod hostile {
    use proptest::prelude::*;

    use super::*;

    fn small() -> Vec<Vec<u8>> {
        let photo = file("life_640x480.jpg");
        let mut seeds = vec![sunset()];
        for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
            seeds.push(make(&photo, &Spec::new(kind, 40, 30)).bytes.to_vec());
        }
        seeds.push(make(&file("anim_24f_320x240.gif"), &Spec::new(Kind::Gif, 32, 24)).bytes.to_vec());
        let drawn = image::RgbaImage::from_fn(20, 20, |x, y| image::Rgba([x as u8, y as u8, 0, 200]));
        for format in [image::ImageFormat::Bmp, image::ImageFormat::WebP] {
            let mut bytes = Vec::new();
            drawn.write_to(&mut std::io::Cursor::new(&mut bytes), format).unwrap();
            seeds.push(bytes);
        }
        seeds
    }

    fn all(bytes: &[u8]) {
        let guards = Guards { pixels: 1 << 20, frames: 16, expansion: 1000 };
        let _ = strip(bytes);
        for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
            let spec = Spec { octets: Some(2000), ..Spec::new(kind, 16, 12) };
            if let Ok(made) = transform(bytes, &spec, &guards, &|| false) {
                assert!(made.bytes.len() <= 2000);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

        #[test]
        fn no_change_to_a_picture_makes_it_panic(
            seed in 0usize..7,
            changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
            cut in proptest::option::of(any::<prop::sample::Index>()),
        ) {
            use std::sync::OnceLock;
            static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
            let mut bytes = SEEDS.get_or_init(small)[seed].clone();
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            if let Some(cut) = cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            all(&bytes);
        }

        #[test]
        fn no_octets_behind_a_signature_make_it_panic(seed in 0usize..5, tail in proptest::collection::vec(any::<u8>(), 0..200)) {
            let signatures: [&[u8]; 5] =
                [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", b"GIF89a", b"BM", b"RIFF\0\0\0\0WEBPVP8"];
            all(&[signatures[seed], &tail].concat());
        }
    }
}
