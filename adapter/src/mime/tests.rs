#![expect(clippy::disallowed_methods, reason = "the example messages lie in files")]

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn entity(content_type: &str, body: impl Into<Bytes>) -> Entity {
    Entity { fields: vec![Field::new("Content-Type", content_type.to_owned())], body: body.into() }
}

fn read(content_type: &str, body: impl Into<Bytes>) -> Tree {
    Tree::read(&entity(content_type, body), &Guards::default())
}

/// Head and body of an example message.
fn example(name: &str) -> Entity {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/{}"), name);
    let octets = Bytes::from(std::fs::read(path).unwrap());
    let head_end = memchr::memmem::find(&octets, b"\r\n\r\n").unwrap() + 2;
    let start = memchr::memchr(b'\n', &octets).unwrap() + 1;
    let fields = grammar::fields(&octets[start..head_end])
        .filter(|field| Entity::describes(field.name))
        .map(|field| Field::new(octets.slice_ref(field.name), octets.slice_ref(field.value)))
        .collect();
    Entity { fields, body: octets.slice(head_end + 2..) }
}

#[test]
fn every_example_message_is_described_as_the_index_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/INDEX.json");
    let index: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut bodies = 0;
    for (name, expected) in index.as_object().unwrap() {
        if !name.ends_with(".msg") {
            continue;
        }
        let found = serde_json::to_value(describe(&example(name), &Guards::default())).unwrap();
        for key in ["mime", "content-adapted"] {
            assert_eq!(found.get(key), expected.get(key), "{name} {key}");
        }
        if expected.get("mime").is_some() {
            assert_eq!(found.get("diag"), expected.get("diag"), "{name}");
            bodies += 1;
        }
    }
    assert!(bodies > 25, "{bodies}");
}

#[test]
fn a_tree_a_thousand_deep_is_opaque_below_the_eighth() {
    let mut body = String::from("text");
    for level in (0..1000).rev() {
        body = format!(
            "--b{level}\r\nContent-Type: multipart/mixed; boundary=b{}\r\n\r\n{body}\r\n--b{level}--\r\n",
            level + 1
        );
    }
    let tree = read("multipart/mixed; boundary=b0", body);
    assert_eq!(tree.nodes().len(), 9);
    assert!(matches!(tree.node(8).unwrap().shape, Shape::Opaque));
    assert_eq!(tree.path(8), "1.1.1.1.1.1.1.1.1");
}

#[test]
fn more_than_128_parts_make_the_container_opaque() {
    let of = |parts: usize| format!("{}--b--\r\n", "--b\r\n\r\nx\r\n".repeat(parts));
    assert_eq!(read("multipart/mixed; boundary=b", of(128)).nodes().len(), 129);
    let over = read("multipart/mixed; boundary=b", of(129));
    assert_eq!(over.nodes().len(), 1);
    assert!(matches!(over.root().unwrap().shape, Shape::Opaque));
}

#[test]
fn a_part_header_over_8_kib_makes_the_container_opaque() {
    let of = |octets: usize| format!("--b\r\nX: {}\r\n\r\nx\r\n--b--\r\n", "a".repeat(octets));
    assert_eq!(read("multipart/mixed; boundary=b", of(8000)).nodes().len(), 2);
    assert_eq!(read("multipart/mixed; boundary=b", of(8192)).nodes().len(), 1);
    let no_line_end = format!("--b\r\n{}", "a:".repeat(5000));
    assert_eq!(read("multipart/mixed; boundary=b", no_line_end).nodes().len(), 1);
}

#[test]
fn without_a_boundary_or_a_delimiter_it_is_opaque() {
    assert!(matches!(read("multipart/mixed", "--b\r\n\r\nx").root().unwrap().shape, Shape::Opaque));
    assert!(matches!(read("multipart/mixed; boundary=b", "x").root().unwrap().shape, Shape::Opaque));
}

#[test]
fn a_longer_boundary_that_begins_alike_is_no_delimiter() {
    let tree = read("multipart/mixed; boundary=b", "--b\r\n\r\none\r\n--bb\r\ntwo\r\n--b--\r\n");
    assert_eq!(tree.carried(1), "one\r\n--bb\r\ntwo");
}

#[test]
fn bare_line_feeds_preamble_padding_and_epilogue_are_read() {
    let tree = read("multipart/mixed; boundary=\"b\"", "pre\n--b \t\nA: 1\n\none\n--b\n\n--b--\npost");
    assert_eq!(tree.carried(1), "one");
    assert_eq!(tree.node(1).unwrap().field("a").unwrap(), b"1");
    assert_eq!(tree.carried(2), "");
    let Shape::Multipart { preamble, epilogue, .. } = tree.root().unwrap().shape.clone() else { panic!() };
    assert_eq!(tree.slice(preamble), "pre");
    assert_eq!(tree.slice(epilogue), "post");
}

#[test]
fn a_part_without_header_is_text_and_one_without_an_empty_line_is_all_header() {
    let tree =
        read("multipart/mixed; boundary=b", "--b\r\njust text\r\n--b\r\nContent-Type: image/gif\r\n--b--");
    assert_eq!(
        (&*tree.node(1).unwrap().content_type.essence, &*tree.carried(1)),
        ("text/plain", &b"just text"[..])
    );
    assert_eq!((&*tree.node(2).unwrap().content_type.essence, tree.carried(2).len()), ("image/gif", 0));
}

#[test]
fn dispositions_and_cache_control_are_understood() {
    let head = "Content-Disposition: attachment; handling=Optional\r\nCache-Control: no-store, No-Transform";
    let tree = read("multipart/mixed; boundary=b", format!("--b\r\n{head}\r\n\r\nx\r\n--b--"));
    let node = tree.node(1).unwrap();
    assert!(node.is_optional() && node.cache_control("no-transform"));
    assert_eq!(node.disposition().as_deref(), Some("attachment"));
}

proptest! {
    #[test]
    fn reading_never_panics_and_ranges_stay_inside(body in "(--b(--)?[ ]?(\r\n|\n)?|Content-Type: (multipart/mixed; boundary=b|message/external-body; x=\"y\" z=1)(\r\n)+|[a-z: ]{0,6}(\r\n)?|\r\n){0,40}") {
        let tree = read("multipart/mixed; boundary=b", body.clone());
        for (id, node) in tree.nodes() {
            prop_assert!(node.header.end <= node.body.start || id == 0);
            prop_assert!(node.body.start <= node.body.end && node.body.end <= body.len());
        }
        let _ = describe(&entity("multipart/mixed; boundary=b", body), &Guards::default());
    }
}
