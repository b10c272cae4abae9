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
