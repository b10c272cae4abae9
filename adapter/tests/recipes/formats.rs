//! Which format a terminal gets, by the names it knows them under.

use adapter::Action;
use adapter::image::Kind;

use super::*;

fn example(name: &str) -> Bytes {
    std::fs::read(format!("{IMAGES}../formats/{name}")).unwrap().into()
}

fn kind(delivered: &Delivered) -> Option<Kind> {
    Kind::sniff(&delivered.entity.body)
}

#[test]
fn a_phone_of_black_and_white_gets_the_photo_dithered() {
    let cpi = accepts("image/vnd.wap.wbmp;media-pix-x=max+96;media-pix-y=max+65");
    let got = linked(&cpi, &of("image/jpeg", image("life_640x480.jpg"))).unwrap();
    assert_eq!((kind(&got), size_of(&got.entity.body)), (Some(Kind::Wbmp), [86, 65]));
    assert_eq!(got.text("content-type").unwrap(), "image/vnd.wap.wbmp");
    assert!(got.stored.is_empty(), "{:?}", got.report);
}

#[test]
fn black_and_white_is_for_who_takes_nothing_better() {
    let cpi = accepts("image/vnd.wap.wbmp, image/jpeg;media-pix-x=max+160");
    let got = linked(&cpi, &of("image/png", example("rgb-8.png"))).unwrap();
    assert_eq!(kind(&got), Some(Kind::Jpeg));
    let own = of("image/vnd.wap.wbmp", example("bilevel.wbmp"));
    assert!(linked(&cpi, &own).unwrap().is_identical(&own));
}

#[test]
fn any_picture_means_the_formats_that_every_phone_shows() {
    let cpi = accepts("image/*, image/tiff;q=0, image/vnd.microsoft.icon;q=0, image/bmp;q=0");
    for (name, own) in
        [("rgb.tiff", "image/tiff"), ("png.ico", "image/vnd.microsoft.icon"), ("rgb.bmp", "image/bmp")]
    {
        let got = linked(&cpi, &of(own, example(name))).unwrap();
        assert!(kind(&got).unwrap().is_common(), "{name} became {:?}", kind(&got));
        assert_eq!(size_of(&got.entity.body), [24, 20]);
    }
}

#[test]
fn another_name_of_a_format_is_no_reason_to_touch_a_pixel() {
    for (name, from, known) in [
        ("rgb.bmp", "image/x-ms-bmp", "image/bmp"),
        ("rgb.bmp", "image/bmp", "image/x-ms-bmp"),
        ("png.ico", "image/x-icon", "image/vnd.microsoft.icon"),
        ("p3.jpg", "image/pjpeg", "image/jpeg"),
        // A label that is wrong, too.
        ("rgb-8.png", "image/gif", "image/png"),
    ] {
        let from = of(from, example(name));
        let got = to(&accepts(known), &from).unwrap();
        assert_eq!(got.entity.body, from.body, "{name}");
        assert_eq!(got.text("content-type").unwrap(), known);
    }
}

#[test]
fn an_old_phone_gets_bitmaps_under_the_name_it_gave() {
    let cpi = accepts("image/x-ms-bmp;media-pix-x=max+96;length=max+10000");
    let got = to(&cpi, &of("image/jpeg", image("life_640x480.jpg"))).unwrap();
    assert_eq!((kind(&got), got.text("content-type").unwrap().as_str()), (Some(Kind::Bmp), "image/x-ms-bmp"));
    assert!(got.entity.body.len() <= 10_000);
}

#[test]
fn who_takes_webp_only_gets_it_without_loss_and_within_its_limit() {
    let cpi = accepts("image/webp;media-pix-x=max+160;length=max+20000");
    let got = to(&cpi, &of("image/jpeg", image("life_640x480.jpg"))).unwrap();
    assert_eq!(kind(&got), Some(Kind::Webp));
    assert!(got.entity.body.len() <= 20_000, "{}", got.entity.body.len());
    let animation = of("image/webp", example("moving.webp"));
    let gif = to(&accepts("image/gif"), &animation).unwrap();
    assert_eq!(adapter::image::probe(&gif.entity.body).unwrap().frames, 4);
    assert!(to(&cpi, &animation).unwrap().is_identical(&animation));
}

#[test]
fn what_no_decoder_here_reads_is_linked() {
    let cpi = accepts("text/plain, image/jpeg;media-pix-x=max+160");
    for (name, kind) in
        [("rgb.avif", "image/avif"), ("rgb.avif", "image/heic"), ("rgb-jpeg.tiff", "image/tiff")]
    {
        let got = linked(&cpi, &of(kind, example(name))).unwrap();
        assert_eq!(got.report.parts[0].action, Action::LinkText, "{name}");
        assert_eq!(got.stored[0].content, example(name));
    }
    let svg =
        of("image/svg+xml", r#"<svg xmlns="http://www.w3.org/2000/svg" width="99999" height="99999"/>"#);
    assert_eq!(linked(&cpi, &svg).unwrap().report.parts[0].action, Action::LinkText);
}
