//! Pictures and text that are made to fit.

use crate::harness::picture::{Picture, picture};
use crate::harness::{self, Line, Phone, Server, phone};
use crate::{deliver, example_to, url_of};

const EXTERNAL: &str = "message/external-body";

/// T1
#[test]
fn a_gif_is_scaled_into_the_preferred_tier() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register_as(&server, "005");
    let sent = harness::example("020");
    let (received, answer) = deliver(&server, &mut phone, &sent);

    assert_eq!(answer.status(), 200);
    assert_eq!(received.request_uri(), phone.uri());
    assert_eq!(received.get("Content-Type"), "image/gif");
    assert_eq!(picture(&received.body), Picture { kind: "image/gif", width: 158, height: 119 });
    assert_eq!(received.get("Content-Length"), received.body.len().to_string());
    assert_eq!(received.get("Max-Forwards"), "69");
    for name in ["Call-ID", "CSeq", "From", "To", "Content-Disposition"] {
        assert_eq!(received.get(name), sent.get(name));
    }
    let adapted = received.get("Content-Adapted");
    for piece in ["ops=\"scale\"", "type=\"image/gif\"", "length=3073", "media-pix-x=320", "media-pix-y=240"]
    {
        assert!(adapted.contains(piece), "{piece} in {adapted}");
    }
    assert!(received.get("Content-Description").starts_with("Sunset [adapted by "), "{received}");
}

/// T1 with `cpi.tiers=minimal`
#[test]
fn minimal_tiers_leave_a_picture_that_fits_any_tier() {
    let server = Server::with(&["cpi.tiers=minimal"]);
    let mut phone = Phone::tcp("john");
    phone.register_as(&server, "005");
    let sent = harness::example("020");
    let (received, _) = deliver(&server, &mut phone, &sent);
    assert_eq!(received.body, sent.body);
    assert_eq!(received.header("Content-Adapted"), None);
}

/// T2
#[test]
fn a_specific_range_overrides_a_generic_one_of_equal_q() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register_as(&server, "006");
    let (received, _) = deliver(&server, &mut phone, &harness::example("020"));
    assert_eq!(picture(&received.body), Picture { kind: "image/gif", width: 160, height: 120 });
}

/// T3
#[test]
fn contact_groups_adapt_as_accept_does_and_are_echoed_in_order() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    let ok = phone.register_as(&server, "008");
    let contact = ok.get("Contact");
    let groups = concat!(
        r#";type="image/gif";q=0.5;media-pix-x=max+640;media-pix-y=max+480"#,
        r#";type="image/gif";q=1;media-pix-x=max-160;media-pix-y=max-120"#
    );
    assert!(contact.replace(' ', "").contains(groups), "{contact}");
    assert!(contact.contains("expires="), "{contact}");

    let (received, _) = deliver(&server, &mut phone, &harness::example("020"));
    assert_eq!(picture(&received.body), Picture { kind: "image/gif", width: 158, height: 119 });
}

/// T4
#[test]
fn an_unknown_phone_is_asked_once_by_options() {
    let server = Server::with(&["cpi.unknown=options"]);
    let mut phone = Phone::tcp("john");
    phone.register(&server, &[]);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&harness::example("020")).octets());

    let options = phone.receive();
    assert_eq!(options.method(), "OPTIONS");
    assert_eq!(options.request_uri(), phone.uri());
    let mut knows = options.answer(200, "OK");
    for (name, value) in harness::example("028").headers {
        if name.starts_with("Accept") {
            knows = knows.with(&name, &value);
        }
    }
    phone.respond(&knows);
    let first = phone.take();
    assert_eq!(picture(&first.body), Picture { kind: "image/gif", width: 160, height: 120 });
    assert_eq!(sender.final_response().status(), 200);

    let (second, _) = deliver(&server, &mut phone, &harness::example("020"));
    assert_eq!(second.method(), "MESSAGE", "the answer to OPTIONS is remembered");
    assert_eq!(picture(&second.body).width, 160);
}

/// T5
#[test]
fn a_gif_becomes_a_jpeg_for_a_phone_that_knows_no_gif() {
    let server = Server::start();
    let accept = "text/plain, image/jpeg;media-pix-x=max+160;media-pix-y=max+120";
    let received = example_to(&server, &[("Accept", accept)], "020");
    let seen = picture(&received.body);
    assert_eq!(seen, Picture { kind: "image/jpeg", width: 160, height: 120 });
    assert_eq!(received.get("Content-Type"), "image/jpeg");
    let adapted = received.get("Content-Adapted");
    assert!(
        adapted.contains("ops=\"transcode,scale\"") && adapted.contains("type=\"image/gif\""),
        "{adapted}"
    );
}

/// T5, where the phone says so in a 415
#[test]
fn a_415_teaches_what_the_phone_can_show_and_the_message_is_sent_again() {
    let server = Server::start();
    let mut phone = Phone::tcp("john");
    phone.register(&server, &[]);
    let mut sender = Line::tcp(server.sip);
    sender.send(&sender.with_via(&harness::example("020")).octets());

    let first = phone.receive();
    assert_eq!(first.body, harness::example("020").body, "nothing is known of the phone yet");
    let mut refusal = first.answer(415, "Unsupported Media Type");
    for (name, value) in harness::example("034").headers {
        if name.starts_with("Accept") {
            refusal = refusal.with(&name, &value);
        }
    }
    phone.respond(&refusal);
    let mut second = phone.receive();
    if second.method() == "ACK" {
        second = phone.receive();
    }
    assert_ne!(
        second.get("Via").split("branch=").nth(1),
        first.get("Via").split("branch=").nth(1),
        "a new branch"
    );
    phone.respond(&second.answer(200, "OK"));
    assert_eq!(picture(&second.body), Picture { kind: "image/jpeg", width: 160, height: 120 });
    assert_eq!(sender.final_response().status(), 200);
}

/// T16
#[test]
fn every_kind_of_body_meets_the_edge_cases_of_018() {
    let server = Server::start();
    let mut john = Phone::tcp("john");
    john.register_as(&server, "018");
    let mut send = |kind: &str, body: &[u8]| {
        let message = phone::message_to("john").body(kind, body);
        let (received, answer) = deliver(&server, &mut john, &message);
        assert_eq!(answer.status(), 200, "{kind}: {answer}");
        received
    };

    let bmp = send("image/bmp", &bmp(200, 100));
    assert_eq!(picture(&bmp.body), Picture { kind: "image/png", width: 200, height: 100 });

    let small = send("image/png", &png(16, 16));
    assert!(links(&small), "never upscaled to the least width of 32: {small}");

    let wide = send("image/png", &png(1280, 720));
    assert_eq!(picture(&wide.body), Picture { kind: "image/png", width: 640, height: 360 });

    let video = vec![7; 5_000];
    assert_eq!(send("video/mp4", &video).body, video);

    assert!(links(&send("audio/amr", &[b"#!AMR\n", &[0x3c; 4_994][..]].concat())), "over 4096 octets");
    assert_eq!(send("audio/amr", b"#!AMR\n\x3c").body, b"#!AMR\n\x3c");

    let html = send("text/html", b"<html><body><p>Fish &amp; chips</p></body></html>");
    assert!(html.get("Content-Type").starts_with("text/plain"), "{html}");
    assert_eq!(String::from_utf8_lossy(&html.body).trim(), "Fish & chips");
}

/// The photo of a modern phone, upright, at a phone of 2003.
#[test]
fn a_12_megapixel_photo_fits_a_phone_of_2003_and_another_gets_it_as_a_link() {
    let server = Server::start();
    let mut old = Phone::tcp("old");
    old.register(
        &server,
        &[("Accept", "image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+16384")],
    );
    let mut linked = Phone::tcp("linked");
    linked.register(&server, &[("Accept", &format!("text/plain, {EXTERNAL}, image/jpeg;length=max+0"))]);
    let photo = harness::data("images/phone_12mp_o6.jpg");

    let message = phone::message_to("old").body("image/jpeg", &photo);
    let (received, answer) = deliver(&server, &mut old, &message);
    assert_eq!(answer.status(), 200);
    assert_eq!(picture(&received.body), Picture { kind: "image/jpeg", width: 90, height: 120 });
    assert!(received.body.len() < 16_384, "{} octets", received.body.len());
    assert!(!received.body.windows(4).any(|w| w == b"Exif"), "no place, no thumbnail goes along");

    let message = phone::message_to("linked").body("image/jpeg", &photo);
    let (received, _) = deliver(&server, &mut linked, &message);
    let url = url_of(received.get("Content-Type"));
    let accept = "image/jpeg;media-pix-x=max+160;media-pix-y=max+120;length=max+16384";
    let fitted = harness::http::get(server.http, &url, &[("Accept", accept)]);
    assert_eq!(fitted.status(), 200, "{fitted}");
    assert_eq!(picture(&fitted.body), Picture { kind: "image/jpeg", width: 90, height: 120 });
}

fn links(message: &harness::Message) -> bool {
    message.get("Content-Type").starts_with(EXTERNAL)
        || String::from_utf8_lossy(&message.body).contains("http://")
}

/// A 24-bit BMP of one colour.
fn bmp(width: u32, height: u32) -> Vec<u8> {
    let row = (width * 3).div_ceil(4) * 4;
    let mut out = b"BM".to_vec();
    for field in
        [54 + row * height, 0, 54, 40, width, height, 1 | 24 << 16, 0, row * height, 2835, 2835, 0, 0]
    {
        out.extend(field.to_le_bytes());
    }
    out.resize((54 + row * height) as usize, 0x60);
    out
}

/// A PNG of grey steps.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> =
        (0..height).flat_map(|y| (0..width).map(move |x| (x / 16 + y / 16) as u8)).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    out
}
