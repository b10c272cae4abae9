//! Multiparts: T12, T13, alternatives, drops, collapsing, transfer encodings.

use adapter::{Action, Settings};

use super::*;

fn smil_phone(related: bool) -> Cpi {
    if related {
        let (fields, _) = message("007");
        let own = fields.iter().map(|field| (&*field.name, &*field.value));
        let more = (&b"Accept"[..], &b"application/smil, multipart/related, audio/amr"[..]);
        return cpi::decode::from_headers(own.chain([more]), &Extensions::NONE).0;
    }
    accepts("application/smil, image/jpeg, audio/amr")
}

#[test]
fn t12_the_picture_shrinks_and_everything_round_it_stays() {
    let from = entity("029");
    let got = linked(&smil_phone(true), &from).unwrap();
    assert!(got.entity.body.len() <= 32768);
    assert_eq!(
        got.text("content-type"),
        Some(String::from_utf8(from.field("content-type").unwrap().to_vec()).unwrap())
    );
    let adapted = got.text("content-adapted").unwrap();
    assert!(
        adapted == "proxy.example.com;ops=\"scale\"" || adapted == "proxy.example.com;ops=\"recompress\"",
        "{adapted}"
    );
    let old = adapter::mime::Tree::read(&from, &settings().guards);
    let new = adapter::mime::Tree::read(&got.entity, &settings().guards);
    assert_eq!((old.carried(1), old.carried(3)), (new.carried(1), new.carried(3)), "SMIL and AMR untouched");
    let picture = new.node(2).unwrap();
    assert_eq!(picture.content_id().as_deref(), Some("pic@example.org"));
    assert!(
        picture.text("content-adapted").unwrap().contains("length=40130;media-pix-x=640;media-pix-y=480")
    );
    let octets = new.content(2).unwrap();
    assert!(octets.len() <= 16383);
    let [width, height] = size_of(&octets);
    assert!(width <= 640 && height <= 480);
}

#[test]
fn t13_without_multipart_related_the_smil_shows_its_parts_from_the_store() {
    let got = linked(&smil_phone(false), &entity("029")).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "application/smil");
    assert_eq!(
        got.text("content-adapted").unwrap(),
        "proxy.example.com;ops=\"layout,indirect\";type=\"multipart/related\""
    );
    assert!(got.body().contains(r#"<img src="https://store.example.com/c/token-0000000001" region="i"/>"#));
    assert!(got.body().contains(r#"<audio src="https://store.example.com/c/token-0000000002"/>"#));
    assert!(got.body().contains(r#"width="640""#));
    let types: Vec<_> = got.stored.iter().map(|request| request.content_type.as_str()).collect();
    assert_eq!(types, ["image/jpeg", "audio/amr"]);
}

#[test]
fn t13_the_layout_fits_the_screen_that_will_fetch_the_picture() {
    let cpi = accepts("application/smil, audio/amr, image/jpeg;media-pix-x=max+160;media-pix-y=max+120");
    let got = linked(&cpi, &entity("029")).unwrap();
    assert!(got.body().contains(r#"<root-layout width="160" height="120"/>"#), "{}", got.body());
    assert!(got.body().contains(r#"<img src="https://store.example.com/c/token-0000000001" region="i"/>"#));
    assert_eq!(size_of(&got.stored[0].content), [640, 480], "stored as it was, made smaller at the fetch");
}

#[test]
fn t13_without_a_store_the_container_takes_another_name() {
    let got = to(&smil_phone(false), &entity("029")).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "multipart/mixed; boundary=bs029");
    assert_eq!(got.text("content-adapted").unwrap(), "proxy.example.com;ops=\"layout\"");
}

#[test]
fn a_smaller_screen_scales_the_layout_with_the_picture() {
    let cpi = accepts(
        "application/smil, multipart/related, audio/amr, image/jpeg;media-pix-x=max+160;media-pix-y=max+120",
    );
    let got = linked(&cpi, &entity("029")).unwrap();
    assert!(got.body().contains(r#"<root-layout width="160" height="120"/>"#), "{}", &got.body()[..400]);
    assert!(got.body().contains(r#"src="cid:pic@example.org""#));
    assert_eq!(got.text("content-adapted").unwrap(), "proxy.example.com;ops=\"scale,layout\"");
}

#[test]
fn a_part_the_terminal_cant_show_is_shown_from_the_store_inside_its_smil() {
    let cpi = accepts("application/smil, multipart/related, image/jpeg");
    let got = linked(&cpi, &entity("029")).unwrap();
    assert!(got.body().contains(r#"<audio src="https://store.example.com/c/token-0000000002"/>"#));
    assert!(got.text("content-type").unwrap().starts_with("multipart/related"));
    assert_eq!(got.report.parts[2].action, Action::LinkReference);
}

#[test]
fn a_presence_document_whose_container_goes_points_to_the_store() {
    let notify = Settings { method: adapter::Method::Notify, ..with_store() };
    let cpi = accepts("application/pidf+xml, image/jpeg");
    let got = deliver(&entity("023"), Some(&cpi), &notify, Budget::default()).unwrap();
    assert!(got.text("content-type").unwrap().starts_with("application/pidf+xml"));
    assert!(
        got.body()
            .contains(r#"ObjLink ContentType="image/jpeg">https://store.example.com/c/token-0000000001</"#),
        "{}",
        got.body()
    );
}

/// A multipart of these parts, each with its header lines.
fn multipart(kind: &str, parts: &[(&str, &[u8])]) -> Entity {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(format!("--bb\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--bb--\r\n");
    of(&format!("multipart/{kind}; boundary=bb"), body)
}

#[test]
fn of_alternatives_the_acceptable_ones_stay_and_one_takes_the_containers_place() {
    let from = multipart(
        "alternative",
        &[("Content-Type: text/plain", b"plain"), ("Content-Type: text/html", b"<b>rich</b>")],
    );
    let got = to(&accepts("text/plain"), &from).unwrap();
    assert_eq!((got.text("content-type").unwrap().as_str(), got.body().as_str()), ("text/plain", "plain"));
    assert_eq!(
        got.text("content-adapted").unwrap(),
        "proxy.example.com;ops=\"select\";type=\"multipart/alternative\""
    );
    let both = to(&accepts("text/plain, text/html"), &from).unwrap();
    assert!(both.is_identical(&from));
}

#[test]
fn of_alternatives_none_of_which_is_acceptable_the_last_is_adapted() {
    let from = multipart(
        "alternative",
        &[("Content-Type: image/gif", &entity("020").body), ("Content-Type: text/html", b"<b>rich</b>")],
    );
    let got = to(&accepts("image/jpeg, text/plain"), &from).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "text/plain; charset=utf-8");
    assert!(got.body().contains("rich"));
}

#[test]
fn under_pressure_the_alternative_of_the_highest_q_stays() {
    let long = "x".repeat(700);
    let html = format!("<p>{long}</p>");
    let from = multipart(
        "alternative",
        &[("Content-Type: text/plain", long.as_bytes()), ("Content-Type: text/html", html.as_bytes())],
    );
    let of_q = |accept_line: &str| {
        let cpi = accept(&[("Accept", accept_line), ("Accept-Encoding", "identity;length=max+900")]);
        to(&cpi, &from).unwrap().text("content-type").unwrap()
    };
    assert_eq!(of_q("text/plain;q=0.9, text/html;q=0.5"), "text/plain");
    assert_eq!(of_q("text/plain, text/html"), "text/html", "of equals the last");
}

#[test]
fn an_optional_part_is_dropped_only_when_nothing_else_fits() {
    let optional = "Content-Type: audio/amr\r\nContent-Disposition: attachment;handling=optional";
    let from = multipart("mixed", &[("Content-Type: text/plain", b"hello"), (optional, &[1; 3000])]);
    let cpi = accept(&[("Accept", "text/plain, audio/amr"), ("Accept-Encoding", "identity;length=max+1000")]);
    let got = to(&cpi, &from).unwrap();
    assert_eq!(got.body(), "hello");
    assert_eq!(
        got.text("content-adapted").unwrap(),
        "proxy.example.com;ops=\"drop\";type=\"multipart/mixed\""
    );
    assert_eq!(linked(&cpi, &from).unwrap().report.parts[1].action, Action::LinkText);
    assert!(to(&accepts("audio/amr"), &from).unwrap().is_identical(&from));
}

#[test]
fn a_text_tells_what_was_dropped_when_that_is_wanted() {
    let optional = "Content-Type: audio/amr\r\nContent-Disposition: attachment;handling=optional";
    let from = multipart("mixed", &[("Content-Type: text/plain", b"hello"), (optional, &[1; 3000])]);
    let noting = Settings { drop_note: true, ..settings() };
    let got = deliver(&from, Some(&accepts("text/plain")), &noting, Budget::default()).unwrap();
    assert_eq!(got.body(), "hello\r\n[proxy.example.com left out: audio/amr, 3 KB]");
}

#[test]
fn a_required_part_is_never_dropped() {
    let from = multipart(
        "mixed",
        &[("Content-Type: text/plain", b"hello"), ("Content-Type: audio/amr", &[1; 3000])],
    );
    assert_eq!(to(&accepts("text/plain"), &from).map(|_| ()).unwrap_err().status, 415);
    let small = accept(&[("Accept", "audio/amr"), ("Accept-Encoding", "identity;length=max+1000")]);
    assert_eq!(to(&small, &from).map(|_| ()).unwrap_err().status, 413);
}

#[test]
fn base64_is_taken_off_for_room_and_for_scaling() {
    use base64::Engine;
    let gif = entity("020").body;
    let encoded = base64::engine::general_purpose::STANDARD.encode(&gif);
    let head = "Content-Type: image/gif\r\nContent-Transfer-Encoding: base64";
    let from = multipart("mixed", &[("Content-Type: text/plain", b"look"), (head, encoded.as_bytes())]);
    assert!(to(&accepts("image/gif"), &from).unwrap().is_identical(&from));
    let tight = accept(&[("Accept", "image/gif"), ("Accept-Encoding", "identity;length=max+3400")]);
    let got = to(&tight, &from).unwrap();
    let tree = adapter::mime::Tree::read(&got.entity, &settings().guards);
    assert_eq!(tree.carried(2), gif);
    assert_eq!(tree.node(2).unwrap().text("content-transfer-encoding").as_deref(), Some("binary"));
    assert_eq!(got.text("content-adapted"), None, "taking the transfer encoding off is not reported");
    let scaled = to(&registered("006"), &from).unwrap();
    let tree = adapter::mime::Tree::read(&scaled.entity, &settings().guards);
    assert_eq!(size_of(&tree.carried(2)), [160, 120]);
    let link = linked(&accepts("text/plain"), &from).unwrap();
    assert_eq!(link.stored[0].content, gif, "the store gets the octets without their transfer encoding");
}

#[test]
fn when_even_the_cheapest_is_too_big_one_link_stands_for_everything() {
    let part = |at: u8| vec![at; 400];
    let parts: Vec<Vec<u8>> = (0..12).map(part).collect();
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|part| ("Content-Type: audio/amr", &part[..])).collect();
    let from = multipart("mixed", &parts);
    let cpi = accept(&[
        ("Accept", "audio/amr, message/external-body"),
        ("Accept-Encoding", "identity;length=max+700"),
    ]);
    let got = linked(&cpi, &from).unwrap();
    assert!(got.report.whole_link);
    assert_eq!(got.stored.len(), 1);
    assert_eq!(got.stored[0].content, from.body);
    assert!(got.body().starts_with("Content-Type: multipart/mixed; boundary=bb\r\n"));
    assert!(got.entity.body.len() <= 700);
}

#[test]
fn a_new_body_that_holds_the_boundary_gets_another_one() {
    let html = "<p>--bb is a line</p><p>--bespoke-0</p>";
    let from = multipart(
        "mixed",
        &[("Content-Type: image/gif", &entity("020").body), ("Content-Type: text/html", html.as_bytes())],
    );
    let got = to(&accepts("text/plain, image/gif"), &from).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "multipart/mixed; boundary=bespoke-1");
    let tree = adapter::mime::Tree::read(&got.entity, &settings().guards);
    assert_eq!(tree.children(0).len(), 2);
    assert_eq!(tree.carried(1), entity("020").body);
}

#[test]
fn others_notes_stay_and_ours_is_added() {
    let mut from = entity("020");
    from.fields.push(Field::new("Content-Adapted", "other.example.net;ops=\"strip\""));
    let got = to(&registered("006"), &from).unwrap();
    let notes: Vec<_> = got.entity.fields.iter().filter(|field| field.is("content-adapted")).collect();
    assert_eq!(notes.len(), 2);
    assert_eq!(notes[0].value, "other.example.net;ops=\"strip\"");
}

#[test]
fn a_text_in_a_charset_the_terminal_cant_read_is_converted() {
    let from = of("text/plain; charset=iso-8859-15", b"gr\xfc\xdfe \xa4".to_vec());
    let got = to(&accepts("text/plain"), &from).unwrap();
    assert_eq!(
        (got.text("content-type").unwrap().as_str(), got.body().as_str()),
        ("text/plain; charset=utf-8", "grüße €")
    );
    assert!(got.text("content-adapted").unwrap().contains("ops=\"charset\""));
}

#[test]
fn a_length_in_the_header_of_a_part_does_not_outlive_its_body() {
    let gif = entity("020").body;
    let head = "Content-Type: image/gif\r\nContent-Length: 3073";
    let from = multipart("mixed", &[("Content-Type: text/plain", b"x"), (head, &gif)]);
    let got = to(&accepts("text/plain, image/gif;media-pix-x=max+160"), &from).unwrap();
    assert!(got.body().contains("Content-Adapted"));
    assert!(!got.body().contains("Content-Length"));
}

#[test]
fn markup_does_not_count_against_the_limit_on_the_text_in_it() {
    let html = format!("<p {}>hello</p>", "class='x' ".repeat(200));
    let got = to(&accepts("text/plain;length=max+100"), &of("text/html", html)).unwrap();
    assert_eq!(got.body(), "hello");
}

#[test]
fn a_text_that_just_fits_is_converted_to_another_charset() {
    let cpi = accept(&[("Accept", "text/plain;length=max+5"), ("Accept-Charset", "utf-8")]);
    let got = to(&cpi, &of("text/plain; charset=iso-8859-1", &b"Gr\xf6e"[..])).unwrap();
    assert_eq!(got.body(), "Gröe");
}

fn wrapped(kind: &str, body: &[u8]) -> Entity {
    let head = format!(
        "From: <im:alice@example.org>\r\nTo: <im:john@example.com>\r\n\r\nContent-Type: {kind}\r\n\r\n"
    );
    of("message/cpim", [head.as_bytes(), body].concat())
}

#[test]
fn what_cpim_wraps_is_adapted_where_the_operator_says_so_and_its_headers_never() {
    let phone = accepts("message/cpim, image/jpeg;media-pix-x=max+160");
    let from = wrapped("image/jpeg", &image("life_640x480.jpg"));
    assert!(to(&phone, &from).unwrap().is_identical(&from), "off unless it is switched on");
    let on = Settings { cpim: true, ..settings() };
    let got = deliver(&from, Some(&phone), &on, Budget::default()).unwrap();
    assert_eq!(got.text("content-type").unwrap(), "message/cpim");
    let text = got.body();
    let mut pieces = text.splitn(3, "\r\n\r\n");
    assert_eq!(pieces.next(), Some("From: <im:alice@example.org>\r\nTo: <im:john@example.com>"));
    assert!(pieces.next().unwrap().contains("Content-Adapted: proxy.example.com;ops=\"scale\""), "{text}");
    let start =
        got.entity.body.windows(4).enumerate().filter(|(_, four)| four == b"\r\n\r\n").nth(1).unwrap().0;
    assert_eq!(size_of(&got.entity.body[start + 4..]), [160, 120]);

    let signed = wrapped("multipart/signed; boundary=s", b"--s\r\n\r\nx\r\n--s--\r\n");
    assert!(deliver(&signed, Some(&phone), &on, Budget::default()).unwrap().is_identical(&signed));
    let small = wrapped("image/jpeg", &got.entity.body[start + 4..]);
    assert!(deliver(&small, Some(&phone), &on, Budget::default()).unwrap().is_identical(&small));
}
