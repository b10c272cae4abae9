//! Single pictures: T1, T2, T3, T5, T8, T11, T16 and the demo's photo.

use adapter::{Action, Settings, Tiers, adapt_one};

use super::*;

#[test]
fn t1_a_gif_is_scaled_into_the_best_tier() {
    let got = to(&registered("005"), &entity("020")).unwrap();
    assert_eq!(size_of(&got.entity.body), [158, 119]);
    assert_eq!(got.text("content-type").unwrap(), "image/gif");
    assert_eq!(
        got.text("content-adapted").unwrap(),
        "proxy.example.com;ops=\"scale\";type=\"image/gif\";length=3073;media-pix-x=320;media-pix-y=240"
    );
    assert_eq!(
        got.text("content-description").unwrap(),
        "Sunset [adapted by proxy.example.com: image/gif 320x240 -> 158x119]"
    );
    assert_eq!(got.text("content-disposition").unwrap(), "render");
    assert_eq!(got.report.parts[0].action, Action::Scale);
    assert_eq!(got.report.parts[0].utility, 696);
}

#[test]
fn t1_with_minimal_tiers_the_body_is_identical() {
    let from = entity("020");
    let minimal = Settings { tiers: Tiers::Minimal, ..settings() };
    let got = deliver(&from, Some(&registered("005")), &minimal, Budget::default()).unwrap();
    assert!(got.is_identical(&from));
    assert_eq!(got.report.parts[0].action, Action::Keep);
}

#[test]
fn t2_the_more_specific_entry_overrides() {
    let got = to(&registered("006"), &entity("020")).unwrap();
    assert_eq!(size_of(&got.entity.body), [160, 120]);
    assert_eq!(got.text("content-type").unwrap(), "image/gif");
}

#[test]
fn t3_contact_groups_decide_as_accept_does() {
    let by_contact = to(&registered("008"), &entity("020")).unwrap();
    let by_accept = to(&registered("005"), &entity("020")).unwrap();
    assert_eq!(by_contact.entity.body, by_accept.entity.body);
}

#[test]
fn t5_a_gif_becomes_a_small_jpeg() {
    let cpi = accepts("text/plain, image/jpeg;media-pix-x=max+160;media-pix-y=max+120");
    let got = to(&cpi, &entity("020")).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "image/jpeg");
    assert_eq!(size_of(&got.entity.body), [160, 120]);
    let adapted = got.text("content-adapted").unwrap();
    assert!(
        adapted.contains("ops=\"transcode,scale\"") && adapted.contains("type=\"image/gif\""),
        "{adapted}"
    );
    assert_eq!(got.report.parts[0].utility, 630);
}

#[test]
fn t8_no_transform_is_not_scaled_when_it_fits_a_lower_tier() {
    let from = entity("031");
    assert!(to(&registered("005"), &from).unwrap().is_identical(&from));
}

#[test]
fn t11_what_a_signature_covers_and_plain_text_go_out_untouched() {
    let sealed = Settings { sealed: true, ..with_store() };
    let from = entity("078");
    let got = deliver(&from, Some(&accepts("text/plain")), &sealed, Budget::default()).unwrap();
    assert!(got.is_identical(&from));
    assert_eq!(got.report.parts[0].action, Action::Protected);
    let text = entity("037");
    assert!(to(&registered("005"), &text).unwrap().is_identical(&text));
    let sdp = of("application/sdp", "v=0\r\n");
    assert!(linked(&accepts("text/plain"), &sdp).unwrap().is_identical(&sdp));
}

#[test]
fn t11_078_is_recognised_as_sealed() {
    let (fields, _) = message("078");
    let head = || fields.iter().map(|field| (&*field.name, &*field.value));
    assert!(adapter::seals_body(head(), &["example.com"]));
    let (fields, _) = message("020");
    assert!(!adapter::seals_body(fields.iter().map(|field| (&*field.name, &*field.value)), &[]));
}

#[test]
fn t16_every_kind_against_the_edge_cases() {
    let cpi = registered("018");
    let png = |[width, height]: [u32; 2]| {
        let spec = adapter::image::Spec::new(adapter::image::Kind::Png, width, height);
        let guards = adapter::image::Guards::default();
        adapter::image::transform(&bmp(width, height), &spec, &guards, &|| false).unwrap().bytes
    };
    let drawn = linked(&cpi, &of("image/bmp", bmp(40, 40))).unwrap();
    assert_eq!(
        (drawn.text("content-type").unwrap().as_str(), size_of(&drawn.entity.body)),
        ("image/png", [40, 40])
    );

    let small = linked(&cpi, &of("image/png", png([16, 16]))).unwrap();
    assert_eq!(small.report.parts[0].action, Action::LinkText, "below min 32, never made larger");

    let large = linked(&cpi, &of("image/png", png([1280, 720]))).unwrap();
    assert_eq!(size_of(&large.entity.body), [640, 360]);

    let video = of("video/mp4", vec![7u8; 5 * 1024]);
    assert!(linked(&cpi, &video).unwrap().is_identical(&video));

    let sound = linked(&cpi, &of("audio/amr", vec![7u8; 5000])).unwrap();
    assert_eq!(sound.report.parts[0].action, Action::LinkText);
    assert_eq!(sound.body(), "Sound (audio/amr, 5 KB): https://store.example.com/c/token-0000000000");

    let html = linked(&cpi, &of("text/html", "<p>Hello <b>world</b></p>")).unwrap();
    assert_eq!(html.text("content-type").unwrap(), "text/plain; charset=utf-8");
    assert!(html.body().contains("Hello") && !html.body().contains('<'));
}

#[test]
fn a_12_megapixel_photo_reaches_the_phone_of_2003_upright_and_small() {
    let cpi = accepts("image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+16384");
    let got = linked(&cpi, &of("image/jpeg", image("phone_12mp_o6.jpg"))).unwrap();
    assert_eq!(size_of(&got.entity.body), [90, 120]);
    assert!(got.entity.body.len() <= 16384);
    assert!(got.stored.is_empty());
}

#[test]
fn a_length_limit_is_met_by_quality_and_is_a_hard_one() {
    let cpi = accepts("image/jpeg;length=max-16384");
    let got = to(&cpi, &of("image/jpeg", image("life_640x480.jpg"))).unwrap();
    assert!(got.entity.body.len() < 16384, "{}", got.entity.body.len());
    assert_eq!(got.report.parts[0].action, Action::Shrink);
    assert!(got.report.parts[0].quality.is_some());
}

#[test]
fn the_head_of_a_message_counts_against_max_size() {
    let from = of("image/jpeg", image("life_640x480.jpg"));
    let cpi = accept(&[("Accept", "image/jpeg"), ("Max-Size", "20000")]);
    let got = deliver(&from, Some(&cpi), &settings(), Budget { message: None, head: 600 }).unwrap();
    let fields: u64 = got.entity.fields.iter().map(Field::octets).sum();
    assert!(got.entity.body.len() as u64 + fields + 600 <= 20_000);
    assert!(got.entity.body.len() > 12_000, "the room is used: {}", got.entity.body.len());
}

#[test]
fn a_broken_picture_is_linked_or_refused_and_kept_when_nothing_limits_it() {
    let mut broken = entity("020").body.to_vec();
    broken.truncate(400);
    let from = of("image/gif", broken);
    assert_eq!(linked(&registered("006"), &from).unwrap().report.parts[0].action, Action::LinkText);
    assert_eq!(to(&registered("006"), &from).map(|_| ()).unwrap_err().status, 415);
    assert!(to(&accepts("image/gif"), &from).unwrap().is_identical(&from));
}

#[test]
fn one_body_for_one_fetch_says_what_it_became() {
    let got = adapt_one(&entity("020"), &registered("005"), &settings(), &|| false).unwrap();
    let said = serde_json::to_value(&got).unwrap();
    assert_eq!(said["type"], "image/gif");
    assert_eq!((&said["width"], &said["height"]), (&158.into(), &119.into()));
    assert_eq!(said["octets"], got.body.len());
    assert_eq!(said["ops"], serde_json::json!(["scale"]));
    assert!(adapt_one(&entity("020"), &accepts("audio/amr"), &settings(), &|| false).is_err());
    let kept = adapt_one(&entity("020"), &accepts("image/*"), &settings(), &|| false).unwrap();
    assert!(kept.adapted.is_none() && kept.ops.is_empty() && kept.width == Some(320));
}

#[test]
fn the_same_input_gives_the_same_octets() {
    let cpi =
        accept(&[("Accept", "image/jpeg, text/plain"), ("Accept-Encoding", "identity;length=max+9000")]);
    let from = of("image/jpeg", image("life_640x480.jpg"));
    let once = to(&cpi, &from).unwrap();
    let again = to(&cpi, &from).unwrap();
    assert_eq!(once.entity.body, again.entity.body);
    assert_eq!(once.entity.fields, again.entity.fields);
    assert_eq!(once.report, again.report);
}

/// A BMP of 24 bits a pixel.
fn bmp(width: u32, height: u32) -> Vec<u8> {
    let pixels = width * height * 3;
    let mut file = b"BM".to_vec();
    for word in [54 + pixels, 0, 54, 40, width, height, 1 | 24 << 16, 0, pixels, 2835, 2835, 0, 0] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    let row = |row: u32| (0..width * 3).map(move |_| u8::try_from(row / 8 % 251).unwrap());
    file.extend((0..height).flat_map(row));
    file
}
