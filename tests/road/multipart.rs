//! SMIL messages: kept together, or taken apart into links.

use crate::harness::http::get;
use crate::harness::picture::{Picture, picture};
use crate::harness::{self, Phone, Server, phone};
use crate::{deliver, example_to, parts};

/// T12
#[test]
fn a_smil_message_keeps_its_parts_and_only_its_picture_is_made_to_fit() {
    let server = Server::start();
    let example = harness::example("007");
    let accept = format!("{}, application/smil, multipart/related, audio/amr", example.get("Accept"));
    let received = example_to(
        &server,
        &[("Accept", &accept), ("Accept-Encoding", example.get("Accept-Encoding"))],
        "029",
    );

    assert!(received.get("Content-Type").starts_with("multipart/related"), "{received}");
    assert!(received.body.len() <= 32_768);
    let (before, after) = (parts(&harness::example("029")), parts(&received));
    assert_eq!(after.len(), 3);
    assert_eq!(after[2].body, before[2].body, "the sound is untouched");
    for (a, b) in after.iter().zip(&before) {
        assert_eq!(a.get("Content-ID"), b.get("Content-ID"));
        assert_eq!(a.get("Content-Type"), b.get("Content-Type"));
    }
    let seen = picture(&after[1].body);
    assert!(seen.kind == "image/jpeg" && seen.width <= 640 && seen.height <= 480, "{seen:?}");
    assert!(after[1].body.len() <= 16_383, "{} octets", after[1].body.len());
    assert!(after[1].get("Content-Adapted").contains("length=40130"), "{}", after[1]);
    let whole = received.get("Content-Adapted");
    assert!(
        whole.contains("ops=") && !whole.contains("type="),
        "only the operations stand in the SIP header: {whole}"
    );
    if seen.width == 640 {
        assert_eq!(after[0].body, before[0].body, "the layout is untouched when the size is");
    }
}

/// T13
#[test]
fn without_multipart_related_the_smil_goes_alone_with_links_to_its_parts() {
    let server = Server::start();
    let received = example_to(&server, &[("Accept", "application/smil, image/jpeg, audio/amr")], "029");
    assert!(received.get("Content-Type").starts_with("application/smil"), "{received}");
    let smil = String::from_utf8(received.body.clone()).unwrap();
    assert!(!smil.contains("cid:"), "{smil}");
    let urls: Vec<&str> = smil.split('"').filter(|word| word.starts_with("http://")).collect();
    assert_eq!(urls.len(), 2, "{smil}");
    let originals = parts(&harness::example("029"));
    for (url, original) in urls.iter().zip(&originals[1..]) {
        assert_eq!(get(server.http, url, &[]).body, original.body);
    }
    let adapted = received.get("Content-Adapted");
    assert!(adapted.contains("layout") && adapted.contains("indirect"), "{adapted}");
}

/// T13 with a small screen: the layout has the size in which the picture will be fetched.
#[test]
fn the_layout_of_a_smil_with_links_fits_the_screen_and_so_does_what_is_fetched() {
    let server = Server::start();
    let screen = "image/jpeg;media-pix-x=max+160;media-pix-y=max+120";
    let received =
        example_to(&server, &[("Accept", &format!("application/smil, {screen}, audio/amr"))], "029");
    let smil = String::from_utf8(received.body.clone()).unwrap();
    assert!(smil.contains(r#"<root-layout width="160" height="120"/>"#), "{smil}");
    let url = smil.split('"').find(|word| word.starts_with("http://")).unwrap();
    let shown = get(server.http, url, &[("Accept", screen)]);
    assert_eq!(picture(&shown.body), Picture { kind: "image/jpeg", width: 160, height: 120 });
}

/// CPI.md N2: what the sender allowed to be left out is told only where the operator wants it.
#[test]
fn a_line_tells_what_was_left_out_where_the_operator_wants_it() {
    let optional = "Content-Type: audio/amr\r\nContent-Disposition: attachment;handling=optional";
    let mut body =
        format!("--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n{optional}\r\n\r\n").into_bytes();
    body.extend([7; 3000]);
    body.extend(b"\r\n--b--\r\n");
    let message = phone::message_to("john").body("multipart/mixed;boundary=b", &body);
    for (settings, told) in
        [(&["content.store=off"][..], false), (&["content.store=off", "adapt.drop_note=true"][..], true)]
    {
        let server = Server::with(settings);
        let mut john = Phone::tcp("john");
        let limits = [
            ("Accept", "text/plain, multipart/mixed, audio/amr"),
            ("Accept-Encoding", "identity;length=max+900"),
        ];
        john.register(&server, &limits);
        let (received, answer) = deliver(&server, &mut john, &message);
        assert_eq!(answer.status(), 200, "{answer}");
        let text = String::from_utf8_lossy(&received.body).into_owned();
        assert!(text.contains("hello") && text.contains("left out: audio/amr, 3 KB") == told, "{received}");
    }
}
