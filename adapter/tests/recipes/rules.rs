//! CPI.md §3 rule by rule, where no recipe shows it: each test names its rule.

use adapter::{Action, Settings};

use super::*;

/// One part of a multipart/mixed with a header of its own.
fn part(header: &str, body: &[u8]) -> Entity {
    let mut whole = format!("--b\r\n{header}\r\n\r\n").into_bytes();
    whole.extend_from_slice(body);
    whole.extend_from_slice(b"\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b--\r\n");
    of("multipart/mixed; boundary=b", whole)
}

fn photo() -> Bytes {
    image("life_640x480.jpg")
}

#[test]
fn v1_n4_a_transfer_encoding_taken_off_is_not_reported() {
    use base64::Engine;
    let encoded = base64::engine::general_purpose::STANDARD.encode(entity("020").body);
    let from = part("Content-Type: image/gif\r\nContent-Transfer-Encoding: base64", encoded.as_bytes());
    let room = from.body.len() as u64 - 200;
    let cpi = accept(&[
        ("Accept", "image/gif, multipart/mixed"),
        ("Accept-Encoding", &format!("identity;length=max+{room}")),
    ]);
    let got = to(&cpi, &from).unwrap();
    assert_eq!(got.report.parts[0].action, Action::Decode);
    assert!(
        got.text("content-adapted").is_none() && !got.body().contains("Content-Adapted"),
        "{}",
        got.body()
    );
}

#[test]
fn v2_metadata_goes_before_any_pixel() {
    let comment = [&b"\xff\xfe\x40\x02"[..], &[b'x'; 0x4000]].concat();
    let photo = photo();
    let commented: Vec<u8> = [&photo[..2], &comment, &photo[2..]].concat();
    let cpi = accepts(&format!("image/jpeg;length=max+{}", photo.len() + 100));
    let got = to(&cpi, &of("image/jpeg", commented)).unwrap();
    assert_eq!(got.report.parts[0].action, Action::Strip);
    assert!(got.entity.body.len() <= photo.len());
    assert!(got.text("content-adapted").unwrap().contains("ops=\"strip\""));
}

#[test]
fn v3_q_never_makes_a_type_that_is_taken_into_another() {
    let from = of("image/jpeg", photo());
    assert!(to(&accepts("image/jpeg;q=0.1, image/png;q=1"), &from).unwrap().is_identical(&from));
}

#[test]
fn v4_a_least_size_is_a_filter_and_nothing_is_made_larger() {
    let from = of("image/jpeg", photo());
    let larger = accepts("image/jpeg;media-pix-x=min+800, text/plain");
    assert_eq!(linked(&larger, &from).unwrap().report.parts[0].action, Action::LinkText);
    // 640x480 into exactly 160x120 goes, into 160x90 does not.
    let exactly = |value: &str| linked(&accepts(&format!("image/jpeg;{value}, text/plain")), &from).unwrap();
    assert_eq!(size_of(&exactly("media-pix-x=160;media-pix-y=120").entity.body), [160, 120]);
    assert_eq!(exactly("media-pix-x=160;media-pix-y=90").report.parts[0].action, Action::LinkText);
}

#[test]
fn v5_i1_a_link_is_better_than_a_picture_of_an_eighth_of_its_width() {
    let cpi = accepts("image/png;length=max+900, text/plain, message/external-body");
    let from = of("image/png", image("astronaut_pal_800x600.png"));
    assert_eq!(linked(&cpi, &from).unwrap().report.parts[0].action, Action::Link);
    // Without a link what is poor is better than nothing.
    assert_eq!(to(&cpi, &from).unwrap().report.parts[0].action, Action::Shrink);
}

#[test]
fn v8_o2_only_what_may_be_left_out_is() {
    let of = |disposition: &str| part(&format!("Content-Type: audio/amr\r\n{disposition}"), &[7; 3000]);
    let cpi = accept(&[
        ("Accept", "text/plain, multipart/mixed, audio/amr"),
        ("Accept-Encoding", "identity;length=max+900"),
    ]);
    let optional = to(&cpi, &of("Content-Disposition: attachment;handling=optional")).unwrap();
    assert_eq!(optional.report.parts[0].action, Action::Drop);
    assert!(optional.text("content-adapted").unwrap().contains("drop"));
    for required in
        ["Content-Disposition: attachment;handling=required", "Content-Disposition: attachment", "X-A: b"]
    {
        assert_eq!(to(&cpi, &of(required)).map(|_| ()).unwrap_err().status, 413, "{required}");
    }
}

#[test]
fn p1_what_belongs_to_the_signalling_is_passed_and_never_stored() {
    let cpi = accepts("text/plain, multipart/mixed, message/external-body");
    for kind in [
        "application/sdp",
        "application/isup",
        "application/qsig",
        "message/sip",
        "message/sipfrag",
        "application/resource-lists+xml",
    ] {
        let from = of(kind, "v=0\r\n");
        let got = linked(&cpi, &from).unwrap();
        assert!(got.is_identical(&from) && got.stored.is_empty(), "{kind}");
        assert_eq!(got.report.parts[0].action, Action::Protected);
    }
    for disposition in ["session", "early-session", "signal", "recipient-list"] {
        let from = part(
            &format!("Content-Type: image/gif\r\nContent-Disposition: {disposition}"),
            &entity("020").body,
        );
        assert!(linked(&cpi, &from).unwrap().is_identical(&from), "{disposition}");
    }
}

#[test]
fn p2_p5_secured_and_state_documents_pass_or_are_linked_as_they_are() {
    let cpi = accepts("text/plain, message/external-body, */*;length=max+10");
    for kind in [
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
        "application/pkcs7-signature",
        "application/pgp-encrypted",
        "application/reginfo+xml",
        "application/watcherinfo+xml",
        "application/pidf-diff+xml",
        "application/dialog-info+xml",
    ] {
        let from = of(kind, "<document with more than ten octets/>");
        let got = linked(&cpi, &from).unwrap();
        assert_eq!(got.report.parts[0].action, Action::Link, "{kind}");
        assert_eq!((&got.stored[0].content, got.stored[0].fixed), (&from.body, true), "{kind}");
        let taken = linked(&accepts(kind), &from).unwrap();
        assert!(taken.is_identical(&from), "{kind}");
    }
}

#[test]
fn p6_what_can_not_be_decoded_is_not_looked_into() {
    let mut packed = of("image/jpeg", photo());
    packed.fields.push(Field::new("Content-Encoding", "gzip"));
    let cpi = accept(&[
        ("Accept", "image/jpeg;media-pix-x=max+160, text/plain, message/external-body"),
        ("Accept-Encoding", "identity, gzip"),
    ]);
    let got = linked(&cpi, &packed).unwrap();
    assert_eq!((got.report.parts[0].action, got.stored[0].fixed), (Action::Link, true));
    assert_eq!(got.stored[0].content_encoding.as_deref(), Some("gzip"));
    let strange = part("Content-Type: image/jpeg\r\nContent-Transfer-Encoding: x-uue", &photo());
    let got = linked(&cpi, &strange).unwrap();
    assert_eq!((got.report.parts[0].action, got.stored[0].fixed), (Action::Link, true));
}

#[test]
fn o1_the_senders_wish_holds_for_a_part_and_all_below_it() {
    let cpi = accepts("image/jpeg;media-pix-x=max+160, multipart/mixed, message/external-body");
    let wished = part("Content-Type: image/jpeg\r\nCache-Control: no-transform", &photo());
    let got = linked(&cpi, &wished).unwrap();
    assert_eq!((got.report.parts[0].action, got.stored[0].fixed), (Action::Link, true));
    let inner = part("Content-Type: image/jpeg", &photo());
    let outer = part(
        "Content-Type: multipart/mixed; boundary=b2\r\nCache-Control: no-transform",
        String::from_utf8_lossy(b"--b2\r\nContent-Type: text/html\r\n\r\n<p>x</p>\r\n--b2--").as_bytes(),
    );
    assert_eq!(linked(&cpi, &inner).unwrap().report.parts[0].action, Action::Scale);
    let plain = accepts("text/plain, multipart/mixed");
    assert!(linked(&plain, &outer).unwrap().is_identical(&outer), "the page below stays a page");
}

#[test]
fn m7_b1_all_limits_hold_at_once() {
    let from = of("image/jpeg", photo());
    for (type_limit, whole, max_size, least) in
        [(9_000, 20_000, 30_000, 9_000), (20_000, 9_000, 30_000, 9_000), (20_000, 30_000, 9_500, 9_500)]
    {
        let cpi = accept(&[
            ("Accept", &format!("image/jpeg;length=max+{type_limit}")),
            ("Accept-Encoding", &format!("identity;length=max+{whole}, *;length=max+1")),
            ("Max-Size", &max_size.to_string()),
        ]);
        let got = deliver(&from, Some(&cpi), &settings(), Budget { message: None, head: 300 }).unwrap();
        let octets = got.entity.body.len() as u64;
        assert!(octets <= least && octets > least / 2, "{octets} of {least}");
    }
}

#[test]
fn n1_the_note_describes_what_it_was_and_n2_tells_a_person() {
    let got = to(&accepts("image/gif;media-pix-x=max+100"), &of("image/jpeg", photo())).unwrap();
    let note = got.text("content-adapted").unwrap();
    let octets = photo().len();
    assert_eq!(
        note,
        format!(
            "proxy.example.com;ops=\"transcode,scale\";type=\"image/jpeg\";length={octets};media-pix-x=640;media-pix-y=480"
        )
    );
    let description = got.text("content-description").unwrap();
    assert!(
        description.contains("[adapted by proxy.example.com: ") && description.contains(" -> "),
        "{description}"
    );
}

#[test]
fn n2_a_line_tells_what_was_dropped_only_where_that_is_wanted() {
    let optional = "Content-Type: audio/amr\r\nContent-Disposition: attachment;handling=optional";
    let from = {
        let mut body = b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n--b\r\n".to_vec();
        body.extend(format!("{optional}\r\n\r\n").as_bytes());
        body.extend([7; 3000]);
        body.extend(b"\r\n--b--\r\n");
        of("multipart/mixed; boundary=b", body)
    };
    let cpi = accept(&[
        ("Accept", "text/plain, multipart/mixed, audio/amr"),
        ("Accept-Encoding", "identity;length=max+900"),
    ]);
    assert!(!to(&cpi, &from).unwrap().body().contains("left out"));
    let noted = Settings { drop_note: true, ..settings() };
    let got = deliver(&from, Some(&cpi), &noted, Budget::default()).unwrap();
    assert!(got.body().contains("[proxy.example.com left out: audio/amr, 3 KB]"), "{}", got.body());
}

#[test]
fn a_plan_is_made_from_heads_before_any_pixel_is_decoded() {
    let from = of("image/jpeg", image("phone_12mp_o6.jpg"));
    let cpi = accepts("image/jpeg;media-pix-x=max+640;length=max+200000, text/plain");
    let mut made = None;
    let memory = allocation_counter::measure(|| {
        made = Some(plan(&from, Some(&cpi), &with_store(), Budget::default()));
    });
    assert!(memory.bytes_max < 6 << 20, "{} octets; its pixels take 36 million", memory.bytes_max);
    let made = made.unwrap();
    let planned = made.report().parts[0].clone();
    assert_eq!((planned.pixels_before, planned.pixels_after), (Some([3024, 4032]), Some([640, 853])));
    assert_eq!(made.jobs().len(), 1, "only what was chosen is made");
}

#[test]
fn at_the_deadline_what_is_made_goes_out_and_the_rest_becomes_links() {
    let mut body = Vec::new();
    for _ in 0..3 {
        body.extend(b"--b\r\nContent-Type: image/jpeg\r\n\r\n");
        body.extend_from_slice(&photo());
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    let from = of("multipart/mixed; boundary=b", body);
    let cpi = accepts("image/jpeg;media-pix-x=max+160, text/plain, multipart/mixed");
    let made = plan(&from, Some(&cpi), &with_store(), Budget::default());
    let jobs = made.jobs();
    assert_eq!(jobs.len(), 3);
    let outcomes = jobs.iter().enumerate().map(|(at, job)| job.run(&|| at != 1)).collect();
    let cut = made.fallback(outcomes);
    assert!(cut.jobs().is_empty() && cut.report().deadline);
    let got = finish(&from, cut).unwrap();
    let actions: Vec<_> = got.report.parts.iter().map(|part| part.action).collect();
    assert_eq!(actions, [Action::LinkText, Action::Scale, Action::LinkText]);
    assert!(got.report.parts[0].why.contains("deadline") && got.report.deadline);
    assert_eq!(got.stored.len(), 2);
}

#[test]
fn under_a_budget_every_part_gets_its_share_of_it_and_no_octet_more() {
    let mut body = b"--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n".to_vec();
    for _ in 0..3 {
        body.extend(b"--b\r\nContent-Type: image/jpeg\r\n\r\n");
        body.extend_from_slice(&photo());
        body.extend(b"\r\n");
    }
    body.extend(b"--b--\r\n");
    let from = of("multipart/mixed; boundary=b", body);
    for budget in [20_000, 60_000, 150_000] {
        let cpi = accept(&[
            ("Accept", "image/jpeg, text/plain, multipart/mixed"),
            ("Accept-Encoding", &format!("identity;length=max+{budget}")),
        ]);
        let got = to(&cpi, &from).unwrap();
        let octets = got.entity.body.len() as u64;
        assert!(octets <= budget && octets > budget * 6 / 10, "{octets} of {budget}");
        assert!(got.body().contains("hello"));
        assert_eq!(got.report.parts.len(), 4);
    }
}
