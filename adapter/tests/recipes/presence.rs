//! Presence documents with pictures (CPI.md §5): examples 022 -> 023 and 050 to 057, and each of the three methods.

use adapter::mime::Tree;
use adapter::{Action, Method, Settings};

use super::*;

fn notify() -> Settings {
    let implied = cpi::matching::implied("NOTIFY", Some("presence"));
    Settings { method: Method::Notify, implied, ..with_store() }
}

/// What the watcher said in its SUBSCRIBE.
fn subscribed(number: &str) -> Cpi {
    let (fields, _) = message(number);
    let headers = fields.iter().map(|field| (&*field.name, &*field.value));
    cpi::decode::from_headers(headers, &Extensions::NONE).0
}

fn told(watcher: &Cpi, from: &Entity) -> Delivered {
    deliver(from, Some(watcher), &notify(), Budget::default()).unwrap()
}

/// The document of an example with a picture of ours in the place of its own.
fn with_picture(number: &str, content_type: &str, name: &str) -> Entity {
    let from = entity(number);
    let tree = Tree::read(&from, &settings().guards);
    let picture = tree.node(2).unwrap();
    let mut body = from.body[..picture.header.start].to_vec();
    let header = String::from_utf8(from.body[picture.header.clone()].to_vec()).unwrap();
    body.extend_from_slice(header.replace("image/jpeg", content_type).as_bytes());
    body.extend_from_slice(&image(name));
    body.extend_from_slice(&from.body[picture.body.end..]);
    Entity { body: body.into(), ..from }
}

fn parts(entity: &Entity) -> Tree {
    Tree::read(entity, &settings().guards)
}

/// The link that a document has, with its attributes.
fn objlinks(document: &[u8]) -> Vec<(String, String)> {
    adapter::mime::objlinks(document).into_iter().map(|link| (link.attributes, link.target)).collect()
}

#[test]
fn a_published_photo_comes_as_small_as_the_watcher_of_figure_2_asks() {
    let from = with_picture("023", "image/jpeg", "life_640x480.jpg");
    let got = told(&subscribed("022"), &from);
    assert!(got.entity.body.len() <= 8192);
    let (old, new) = (parts(&from), parts(&got.entity));
    assert_eq!(
        got.text("content-type"),
        Some(String::from_utf8_lossy(from.field("content-type").unwrap()).into_owned())
    );
    assert_eq!(new.carried(1), old.carried(1), "the document is as it was");
    let picture = new.node(2).unwrap();
    assert_eq!(picture.content_type.essence, "image/jpeg");
    assert_eq!(picture.content_id().as_deref(), Some("face1@example.org"));
    assert_eq!(picture.disposition().as_deref(), Some("icon"));
    let octets = new.content(2).unwrap();
    assert!(octets.len() <= 4096);
    assert_eq!(size_of(&octets), [64, 48]);
}

#[test]
fn what_fits_is_embedded_as_it_is() {
    for (subscribe, document) in [("022", "023"), ("050", "053"), ("051", "054")] {
        let from = entity(document);
        assert!(told(&subscribed(subscribe), &from).is_identical(&from), "{document}");
    }
}

#[test]
fn the_broken_example_is_understood_and_passes_a_watcher_who_takes_all_of_it() {
    let from = entity("052");
    assert!(told(&subscribed("050"), &from).is_identical(&from));
    let diags = parts(&from).diags().to_vec();
    assert_eq!(
        diags,
        [
            "no-close-delimiter",
            "external-params-on-inner-header",
            "missing-semicolon-before-size",
            "bad-date"
        ]
    );
}

#[test]
fn a_watcher_who_takes_no_multipart_gets_links_in_the_document_as_in_056_and_057() {
    let image1 = "http://www.ex.com/company_party/image1.png";
    for (document, accept, form, group) in [
        (
            "053",
            "application/cpim-pidf+xml, image/*",
            "application/cpim-pidf+xml",
            " ContentType=\"image/png\"",
        ),
        ("054", "application/pidf+xml", "application/pidf+xml", " ContentType=\"image/png\""),
        // The broken one does not say of what type its second picture is.
        ("052", "application/cpim-pidf+xml, image/*", "application/cpim-pidf+xml", ""),
    ] {
        let from = entity(document);
        let got = told(&accepts(accept), &from);
        assert_eq!(got.text("content-type").unwrap().split(';').next(), Some(form), "{document}");
        let photo = "https://store.example.com/c/token-0000000001";
        assert_eq!(
            objlinks(&got.entity.body),
            [(" ContentType=\"image/jpeg\"".into(), photo.into()), (group.to_owned(), image1.to_owned())],
            "{document}"
        );
        assert_eq!(got.stored.len(), 1, "what lies elsewhere is not stored here");
        assert_eq!(got.stored[0].content, parts(&from).content(2).unwrap());
        // Nothing else of the document changes (P5).
        let was = String::from_utf8(parts(&from).content(1).unwrap().to_vec()).unwrap();
        let expected = was
            .replace(
                "ObjLink>cid:own_photo@example.com",
                &format!("ObjLink ContentType=\"image/jpeg\">{photo}"),
            )
            .replace("ObjLink>cid:image1@example.com", &format!("ObjLink{group}>{image1}"));
        assert_eq!(got.body(), expected, "{document}");
    }
    assert_eq!(subscribed("055").media.map(|media| media.len()), Some(2));
}

#[test]
fn the_direct_link_of_057_stays_for_everybody() {
    for (subscribe, document) in [("055", "056"), ("051", "057"), ("050", "056")] {
        let from = entity(document);
        assert!(told(&subscribed(subscribe), &from).is_identical(&from), "{document}");
    }
}

#[test]
fn an_object_too_big_is_an_external_body_whose_inner_content_id_is_the_objects() {
    let from = with_picture("054", "image/jpeg", "life_640x480.jpg");
    let watcher = accepts(
        "application/pidf+xml, multipart/related, message/external-body, image/png, image/jpeg;length=max+0",
    );
    let got = told(&watcher, &from);
    let (old, new) = (parts(&from), parts(&got.entity));
    assert_eq!(new.carried(1), old.carried(1));
    assert_eq!(new.carried(3), old.carried(3), "the link that came in");
    assert_eq!(got.report.parts[1].action, Action::Link);
    let header = String::from_utf8(got.entity.body[new.node(2).unwrap().header.clone()].to_vec()).unwrap();
    assert!(header.contains("message/external-body; access-type=\"URL\""), "{header}");
    assert!(!header.contains("Content-ID"), "{header}");
    let inner = String::from_utf8(new.carried(2).to_vec()).unwrap();
    assert!(
        inner.starts_with("Content-Type: image/jpeg\r\nContent-ID: <own_photo@example.com>\r\n"),
        "{inner}"
    );
    assert_eq!(got.stored[0].content, image("life_640x480.jpg"));
}

#[test]
fn a_watcher_of_another_format_gets_it_under_the_same_content_id() {
    let from = with_picture("054", "image/png", "astronaut_pal_800x600.png");
    let watcher = accepts(
        "application/pidf+xml, multipart/related, message/external-body, image/jpeg;media-pix-x=max+120;media-pix-y=max+120",
    );
    let got = told(&watcher, &from);
    let new = parts(&got.entity);
    assert_eq!(new.carried(1), parts(&from).carried(1));
    let picture = new.node(2).unwrap();
    assert_eq!(picture.content_type.essence, "image/jpeg");
    assert_eq!(picture.content_id().as_deref(), Some("own_photo@example.com"));
    assert_eq!(size_of(&new.content(2).unwrap()), [120, 90]);
}

#[test]
fn a_picture_that_can_be_neither_embedded_nor_an_external_body_is_a_link_in_the_document() {
    let from = entity("023");
    let got = told(&accepts("application/pidf+xml, multipart/related"), &from);
    assert_eq!(got.text("content-type").unwrap().split(';').next(), Some("application/pidf+xml"));
    assert_eq!(
        objlinks(&got.entity.body),
        [(
            " ContentType=\"image/jpeg\"".to_owned(),
            "https://store.example.com/c/token-0000000001".to_owned()
        )]
    );
}

/// A document with these links, and a picture for each.
fn rich(links: &str, ids: &[&str]) -> Entity {
    let document = format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:dm=\"urn:ietf:params:xml:ns:pidf:data-model\" xmlns:r=\"urn:ietf:params:xml:ns:pidf:rpid\" xmlns:c=\"urn:ietf:params:xml:ns:pidf:cipid\" entity=\"sip:a@h\"><dm:person id=\"p\">{links}</dm:person></presence>"
    );
    let mut body = format!("--bb\r\nContent-Type: application/pidf+xml\r\n\r\n{document}\r\n").into_bytes();
    for id in ids {
        body.extend_from_slice(
            format!("--bb\r\nContent-Type: image/jpeg\r\nContent-ID: <{id}>\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(&image("life_640x480.jpg"));
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--bb--\r\n");
    of("multipart/related; type=\"application/pidf+xml\"; boundary=bb", body)
}

#[test]
fn icons_of_rpid_and_cipid_are_rewritten_too_and_nothing_that_looks_like_them() {
    let from = rich(
        "<r:status-icon>cid:a@h</r:status-icon><c:icon>cid:b%40h</c:icon><c:homepage>cid:a@h</c:homepage><icon xmlns=\"urn:x\">cid:a@h</icon><c:icon>http://elsewhere/</c:icon>",
        &["a@h", "b@h"],
    );
    let got = told(&accepts("application/pidf+xml, image/jpeg"), &from);
    let body = got.body();
    for expected in [
        "<r:status-icon>https://store.example.com/c/token-0000000001</r:status-icon>",
        "<c:icon>https://store.example.com/c/token-0000000002</c:icon>",
        "<c:homepage>cid:a@h</c:homepage><icon xmlns=\"urn:x\">cid:a@h</icon><c:icon>http://elsewhere/</c:icon>",
    ] {
        assert!(body.contains(expected), "{expected} in {body}");
    }
}

#[test]
fn icons_are_embedded_as_small_as_the_watcher_asks() {
    let from = rich("<r:status-icon>cid:a@h</r:status-icon><c:icon>cid:b@h</c:icon>", &["a@h", "b@h"]);
    let watcher = accepts("application/pidf+xml, multipart/related, image/jpeg;media-pix-x=max+48");
    let got = told(&watcher, &from);
    let new = parts(&got.entity);
    assert_eq!(new.carried(1), parts(&from).carried(1));
    for node in [2, 3] {
        assert_eq!(size_of(&new.content(node).unwrap()), [48, 36]);
    }
}

#[test]
fn a_cid_that_points_nowhere_stays_and_hurts_nobody() {
    let from = rich("<r:status-icon>cid:gone@h</r:status-icon><c:icon>cid:b@h</c:icon>", &["b@h"]);
    let got = told(&accepts("application/pidf+xml, image/jpeg"), &from);
    assert!(
        got.body().contains("<r:status-icon>cid:gone@h</r:status-icon><c:icon>https://store.example.com/c/")
    );
    let all = accepts("application/pidf+xml, multipart/related, image/jpeg");
    assert!(told(&all, &from).is_identical(&from));
}

/// A part with its header lines.
fn part(lines: &str, octets: &[u8]) -> Vec<u8> {
    [lines.as_bytes(), b"\r\n\r\n", octets].concat()
}

/// A photo of that name.
fn photo(id: &str) -> Vec<u8> {
    part(&format!("Content-Type: image/jpeg\r\nContent-ID: <{id}>"), &image("life_640x480.jpg"))
}

fn icon_of(id: &str) -> Vec<u8> {
    let document = format!(
        "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:b=\"urn:ietf:params:xml:ns:pidf-ext-cont\" entity=\"sip:a@h\"><b:ObjLink>cid:{id}</b:ObjLink></presence>"
    );
    part("Content-Type: application/pidf+xml", document.as_bytes())
}

/// These parts in a container.
fn container(kind: &str, boundary: &str, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    part(&format!("Content-Type: {kind}; boundary={boundary}"), &body)
}

fn message_of(kind: &str, parts: &[Vec<u8>]) -> Entity {
    let whole = container(kind, "outer", parts);
    let at = whole.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    of(&format!("{kind}; boundary=outer"), whole[at + 4..].to_vec())
}

/// CPI.md §5: the whole message is searched, not the container of the document alone.
#[test]
fn a_cid_is_found_wherever_in_the_message_its_part_stands() {
    let related = |parts: &[Vec<u8>]| container("multipart/related", "inner", parts);
    for (place, from) in [
        ("outside", message_of("multipart/mixed", &[related(&[icon_of("a@h")]), photo("a@h")])),
        ("no related", message_of("multipart/mixed", &[icon_of("a@h"), photo("a@h")])),
        (
            "deeper",
            message_of(
                "multipart/related",
                &[icon_of("a@h"), container("multipart/mixed", "inner", &[photo("a@h")])],
            ),
        ),
    ] {
        let small = accepts("application/pidf+xml, multipart/related, image/jpeg;media-pix-x=max+48");
        let got = told(&small, &from);
        let text = String::from_utf8_lossy(&got.entity.body).into_owned();
        assert!(
            text.contains("cid:a@h</b:ObjLink>") && text.contains("Content-ID: <a@h>"),
            "{place}: {text}"
        );

        // No picture is taken, and no part with a link: the document leads to the store.
        let got = told(&accepts("application/pidf+xml, multipart/related"), &from);
        let text = String::from_utf8_lossy(&got.entity.body).into_owned();
        let link = "ContentType=\"image/jpeg\">https://store.example.com/c/token-0000000001</b:ObjLink>";
        assert!(text.contains(link), "{place}: {text}");
        assert!(!text.contains("cid:a@h") && !text.contains("image/jpeg\r\n"), "{place}: {text}");
        assert_eq!(got.stored.len(), 1, "{place}");
    }
}

#[test]
fn all_parts_below_a_related_that_goes_are_links_in_its_document() {
    let inner = container("multipart/mixed", "inner", &[photo("a@h")]);
    let from = message_of("multipart/related", &[icon_of("a@h"), inner]);
    let got = told(&accepts("application/pidf+xml, image/jpeg"), &from);
    assert_eq!(got.text("content-type").as_deref(), Some("application/pidf+xml"));
    assert!(objlinks(&got.entity.body)[0].1.starts_with("https://store.example.com/"));

    // What stands outside needs no link when only the related goes.
    let inner = container("multipart/related", "inner", &[icon_of("a@h")]);
    let from = message_of("multipart/mixed", &[inner, photo("a@h")]);
    let got = told(&accepts("application/pidf+xml, image/jpeg"), &from);
    let text = String::from_utf8_lossy(&got.entity.body).into_owned();
    assert!(text.contains("cid:a@h</b:ObjLink>") && text.contains("Content-ID: <a@h>"), "{text}");
    assert!(got.stored.is_empty());
}

#[test]
fn of_alternatives_under_one_content_id_the_container_s_rule_selects() {
    let png = part("Content-Type: image/png\r\nContent-ID: <a@h>", &image("astronaut_pal_800x600.png"));
    let choice = container("multipart/alternative", "inner", &[photo("a@h"), png]);
    let from = message_of("multipart/related", &[icon_of("a@h"), choice]);
    let got = told(&accepts("application/pidf+xml, multipart/related, image/png"), &from);
    let text = String::from_utf8_lossy(&got.entity.body).into_owned();
    assert!(text.contains("cid:a@h") && text.contains("image/png") && !text.contains("image/jpeg"), "kept");
    let got = told(&accepts("application/pidf+xml, image/png"), &from);
    assert_eq!(got.text("content-type").as_deref(), Some("application/pidf+xml"));
    assert_eq!(objlinks(&got.entity.body)[0].0, " ContentType=\"image/png\"");
    assert_eq!(got.stored.len(), 1);
}

/// A part beside the document goes before one of the same name that is farther away.
#[test]
fn the_nearest_part_of_a_name_is_meant() {
    let mine = container("multipart/related", "inner", &[icon_of("a@h"), photo("a@h")]);
    let png = part("Content-Type: image/png\r\nContent-ID: <a@h>", &image("astronaut_pal_800x600.png"));
    let from = message_of("multipart/mixed", &[png, mine]);
    let got = told(&accepts("application/pidf+xml, image/png"), &from);
    let photo = image("life_640x480.jpg");
    assert_eq!(got.stored.iter().filter(|stored| stored.content == photo).count(), 1);
    let text = String::from_utf8_lossy(&got.entity.body).into_owned();
    assert!(text.contains("Content-ID: <a@h>") && !text.contains("cid:a@h"), "the other one stays: {text}");
}

#[test]
fn a_bomb_in_a_presence_document_is_carried_and_not_opened() {
    let bomb = "<!DOCTYPE p [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><p xmlns=\"urn:ietf:params:xml:ns:pidf-ext-cont\"><ObjLink>cid:&b;</ObjLink></p>";
    let mut body = format!("--bb\r\nContent-Type: application/pidf+xml\r\n\r\n{bomb}\r\n").into_bytes();
    body.extend_from_slice(b"--bb\r\nContent-Type: image/jpeg\r\nContent-ID: <x>\r\n\r\n");
    body.extend_from_slice(&image("life_640x480.jpg"));
    body.extend_from_slice(b"\r\n--bb--\r\n");
    let from = of("multipart/related; boundary=bb", body);
    let got = told(&accepts("application/pidf+xml, multipart/related, image/jpeg;media-pix-x=max+48"), &from);
    assert_eq!(parts(&got.entity).carried(1), bomb.as_bytes());
}
