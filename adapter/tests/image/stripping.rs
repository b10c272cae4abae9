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
fn a_picture_that_is_made_tells_nothing_of_the_one_it_was_made_of() {
    let made = make(&with_exif(&file("life_640x480.jpg"), 6), &jpeg(120, 160));
    assert_eq!((made.width, made.height), (120, 160), "it stands upright");
    for word in [&b"Exif"[..], b"secret", b"video", b"ICC_PROFILE"] {
        assert!(!made.bytes.windows(word.len()).any(|w| w == word));
    }
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

#[test]
fn where_a_photo_was_taken_goes_and_it_stands_upright_at_every_size() {
    let photo = file("phone_12mp_o6.jpg");
    assert!(photo.windows(4).any(|word| word == b"Exif"), "the photo says where it was taken");
    for (width, height) in [(30, 40), (90, 120), (360, 480), (1512, 2016)] {
        for kind in [Kind::Jpeg, Kind::Png] {
            if kind == Kind::Png && width > 100 {
                continue;
            }
            let made = make(&photo, &Spec::new(kind, width, height));
            assert_eq!((made.width, made.height), (width, height));
            for word in [&b"Exif"[..], b"GPS", b"ICC_PROFILE", b"iCCP", b"eXIf", b"tEXt"] {
                assert!(!made.bytes.windows(word.len()).any(|w| w == word), "{word:?} at {width}x{height}");
            }
        }
    }
}

#[test]
fn every_orientation_is_applied_to_what_was_decoded_small() {
    let life = file("life_640x480.jpg");
    let upright = rgba(&make(&life, &Spec::new(Kind::Png, 80, 60)));
    for orientation in 1..=8 {
        let lying = with_exif(&life, orientation);
        let (width, height) = if orientation >= 5 { (60, 80) } else { (80, 60) };
        let made = rgba(&make(&lying, &Spec::new(Kind::Png, width, height)));
        let planes = rgba(&make(&lying, &Spec { quality: 95, ..jpeg(width, height) }));
        let turned = match orientation {
            2 => image::imageops::flip_horizontal(&upright),
            3 => image::imageops::rotate180(&upright),
            4 => image::imageops::flip_vertical(&upright),
            5 => image::imageops::rotate90(&image::imageops::flip_vertical(&upright)),
            6 => image::imageops::rotate90(&upright),
            7 => image::imageops::rotate90(&image::imageops::flip_horizontal(&upright)),
            8 => image::imageops::rotate270(&upright),
            _ => upright.clone(),
        };
        assert_eq!(made, turned, "orientation {orientation}");
        let far = |a: &image::RgbaImage, b: &image::RgbaImage| {
            let sum: u64 = a.iter().zip(b.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            sum as f64 / a.len() as f64
        };
        assert!(far(&planes, &turned) < 4.0, "orientation {orientation}: {}", far(&planes, &turned));
    }
}

#[test]
fn a_thumbnail_inside_is_never_what_is_shown() {
    // What was cropped from the photo may still stand in its thumbnail.
    let mut red = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut red, 80);
    encoder.encode(&[255, 0, 0].repeat(160 * 120), 160, 120, jpeg_encoder::ColorType::Rgb).unwrap();
    let mut tiff = b"Exif\0\0II*\0\x08\0\0\0\0\0\x0e\0\0\0\x03\0".to_vec();
    for (tag, kind, value) in [(0x0103u16, 3u16, 6u32), (0x0201, 4, 56), (0x0202, 4, red.len() as u32)] {
        tiff.extend_from_slice(&tag.to_le_bytes());
        tiff.extend_from_slice(&kind.to_le_bytes());
        tiff.extend_from_slice(&1u32.to_le_bytes());
        tiff.extend_from_slice(&value.to_le_bytes());
    }
    tiff.extend_from_slice(&[0; 4]);
    tiff.extend_from_slice(&red);
    let life = file("life_640x480.jpg");
    let mut photo = vec![0xff, 0xd8, 0xff, 0xe1];
    photo.extend_from_slice(&(tiff.len() as u16 + 2).to_be_bytes());
    photo.extend_from_slice(&tiff);
    photo.extend_from_slice(&life[2..]);
    for (width, height) in [(160, 120), (80, 60), (32, 24)] {
        assert_eq!(make(&photo, &jpeg(width, height)).bytes, make(&life, &jpeg(width, height)).bytes);
    }
}
