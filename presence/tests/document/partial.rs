//! Partial notification: what a watcher makes of the patches is what there is.

use presence::document::partial::{Partial, diff, full};
use proptest::prelude::*;

use super::*;

fn patched(old: &Document, octets: &[u8]) -> Document {
    let Partial::Diff { patch, .. } = Partial::read(octets, &Limits::default()).unwrap() else {
        panic!("no diff")
    };
    let mut copy = old.clone();
    copy.apply(&patch).unwrap();
    copy
}

/// The patch, after it was seen to do what it should.
fn difference(old: &str, new: &str) -> String {
    let filler = format!("<note xml:lang=\"x\">{}</note>", "long ".repeat(400));
    let (old, new) = (read(&presence(&(filler.clone() + old))), read(&presence(&(filler + new))));
    let octets = diff(&old, &new, 2).unwrap();
    let made = patched(&old, &octets);
    assert!(made.says_the_same(&new), "{} of {}", written(&made), String::from_utf8_lossy(&octets));
    let text = String::from_utf8(octets.to_vec()).unwrap();
    let start = text.find("version=\"2\"").unwrap() + "version=\"2\"".len() + 1;
    text[start..].trim_end().trim_end_matches("</p:pidf-diff>").to_owned()
}

#[test]
fn the_full_state_of_the_example_is_read_and_written() {
    let Partial::Full { version, document } = Partial::read(&example("076"), &Limits::default()).unwrap()
    else {
        panic!("it is full")
    };
    assert_eq!(version, 1);
    assert_eq!(
        String::from_utf8(full(&document, 1).to_vec()).unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<p:pidf-full xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" entity=\"pres:john@example.com\" version=\"1\"><tuple id=\"t1\"><status><basic>open</basic></status></tuple></p:pidf-full>\n"
    );
}

#[test]
fn the_patch_of_the_example_is_made_and_is_what_we_make() {
    let Partial::Full { document: old, .. } = Partial::read(&example("076"), &Limits::default()).unwrap()
    else {
        panic!("it is full")
    };
    let new = patched(&old, &example("077"));
    assert!(!new.is_open());
    let change = difference(
        "<tuple id=\"t1\"><status><basic>open</basic></status></tuple>",
        "<tuple id=\"t1\"><status><basic>closed</basic></status></tuple>",
    );
    assert_eq!(change, "<p:replace sel=\"*/tuple[@id='t1']/status/basic/text()\">closed</p:replace>");
}

#[test]
fn each_kind_of_change_is_said_as_the_rfc_says_it() {
    assert_eq!(difference("<note>a</note>", ""), "<p:remove sel=\"*/note[2]\"/>");
    assert_eq!(difference("", "<tuple id=\"x\"/>"), "<p:add sel=\"*\"><tuple id=\"x\"/></p:add>");
    assert_eq!(
        difference("<tuple id=\"y\"/>", "<tuple id=\"x\"/><tuple id=\"y\"/>"),
        "<p:add sel=\"*/note\" pos=\"after\"><tuple id=\"x\"/></p:add>"
    );
    assert_eq!(
        difference("<contact priority=\"1\">a</contact>", "<contact priority=\"0.5\">a</contact>"),
        "<p:replace sel=\"*/contact/@priority\">0.5</p:replace>"
    );
    assert_eq!(
        difference("<contact>a</contact>", "<contact priority=\"0.5\">a</contact>"),
        "<p:add sel=\"*/contact\" type=\"@priority\">0.5</p:add>"
    );
    assert_eq!(
        difference("<contact priority=\"1\">a</contact>", "<contact>a</contact>"),
        "<p:remove sel=\"*/contact/@priority\"/>"
    );
    assert_eq!(
        difference(
            "<dm:person id=\"p\"><r:activities><r:busy/><r:away/></r:activities></dm:person>",
            "<dm:person id=\"p\"><r:activities><r:away/></r:activities></dm:person>"
        ),
        "<p:remove sel=\"*/dm:person[@id='p']/r:activities/r:busy\"/>"
    );
    assert_eq!(
        difference(
            "<tuple id=\"it's\"><contact>a</contact></tuple>",
            "<tuple id=\"it's\"><contact/></tuple>"
        ),
        "<p:remove sel=\"*/tuple[@id=&quot;it's&quot;]/contact/text()\"/>"
    );
    assert_eq!(
        difference("<q xmlns=\"\">a</q>", "<q xmlns=\"\">b</q>"),
        "<p:replace sel=\"*/*[2]/text()\">b</p:replace>"
    );
}

#[test]
fn a_namespace_that_only_the_old_document_declared_gets_a_prefix() {
    let change = difference(
        "<tuple id=\"t\"><n:x xmlns:n=\"urn:n\">1</n:x></tuple>",
        "<tuple id=\"t\"><x xmlns=\"urn:n\">2</x></tuple>",
    );
    assert!(change.ends_with("<p:replace sel=\"*/tuple[@id='t']/n:x/text()\">2</p:replace>"), "{change}");
}

#[test]
fn where_a_patch_would_be_no_shorter_there_is_none() {
    let old = read(&presence("<note>a</note>"));
    let new = read("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\"/>");
    assert!(diff(&old, &new, 2).is_none());
}

#[test]
fn what_did_not_change_is_an_empty_patch() {
    let document = read(&presence(&format!("<note>{}</note>", "long ".repeat(100))));
    let octets = diff(&document, &document, 7).unwrap();
    assert!(matches!(Partial::read(&octets, &Limits::default()).unwrap(), Partial::Diff { version: 7, .. }));
    assert!(patched(&document, &octets).says_the_same(&document));
}

#[test]
fn a_patch_that_fits_nowhere_changes_nothing() {
    let mut document = read(&presence("<tuple id=\"1\"/><tuple id=\"2\"/><note>a</note>"));
    let before = written(&document);
    for operation in [
        "<p:remove sel=\"*/tuple\"/>",
        "<p:remove sel=\"*/tuple[@id='3']\"/>",
        "<p:remove sel=\"*\"/>",
        "<p:remove/>",
        "<p:remove sel=\"\"/>",
        "<p:remove sel=\"//tuple[1]\"/>",
        "<p:remove sel=\"*/tuple[last()]\"/>",
        "<p:remove sel=\"*/x:tuple\"/>",
        "<p:remove sel=\"*/tuple[1]/text()\"/>",
        "<p:remove sel=\"*/note/text()/a\"/>",
        "<p:remove sel=\"*/note/@a\"/>",
        "<p:remove sel=\"a[\"/>",
        "<p:replace sel=\"*/note/text()\">b</p:replace><p:remove sel=\"*/gone\"/>",
        "<p:replace sel=\"*/note\">text</p:replace>",
        "<p:add sel=\"*/note/text()\">b</p:add>",
        "<p:add sel=\"*/note\" pos=\"middle\"><x/></p:add>",
        "<p:add sel=\"*\" pos=\"before\"><x/></p:add>",
        "<p:add sel=\"*/tuple[1]\" type=\"@id\">b</p:add>",
        "<p:add sel=\"*\" type=\"namespace::x\">urn:x</p:add>",
        "<p:move sel=\"*/note\"/>",
    ] {
        let text = format!(
            "<p:pidf-diff xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" version=\"2\">{operation}</p:pidf-diff>"
        );
        let Partial::Diff { patch, .. } = Partial::read(text.as_bytes(), &Limits::default()).unwrap() else {
            panic!("a diff")
        };
        assert!(document.apply(&patch).is_err(), "{operation}");
        assert_eq!(written(&document), before, "{operation}");
    }
    for text in [
        "<a/>",
        "<p:pidf-diff xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\"/>",
        "<p:x xmlns:p=\"urn:ietf:params:xml:ns:pidf-diff\" version=\"1\"/>",
    ] {
        assert!(Partial::read(text.as_bytes(), &Limits::default()).is_err(), "{text}");
    }
}

/// Elements that are alike enough for changes of every kind.
fn content(depth: u32) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        "[a-c]{0,3}".prop_map(|text| format!("<note>{text}</note>")),
        ("[a-c]", "[a-c]{1,2}").prop_map(|(attribute, text)| format!(
            "<r:mood {attribute}=\"x\" xml:lang=\"{attribute}\">{text}</r:mood>"
        )),
        "[ab]".prop_map(|text| format!("<q xmlns=\"\">{text}</q>")),
        "[ab]".prop_map(|name| format!("<n:{name} xmlns:n=\"urn:{name}\"/>")),
    ];
    if depth == 0 {
        return leaf.boxed();
    }
    let inner = || proptest::collection::vec(content(depth - 1), 0..4).prop_map(|all| all.concat());
    prop_oneof![
        leaf,
        ("[1-4'\"]", inner()).prop_map(|(id, inner)| {
            format!("<tuple id=\"{}\">{inner}</tuple>", id.replace('"', "&quot;"))
        }),
        ("[12]", inner()).prop_map(|(id, inner)| format!("<dm:person id=\"{id}\">{inner}</dm:person>")),
        (inner(), "[a-c]").prop_map(|(inner, text)| format!("<mixed>{text}{inner}</mixed>")),
    ]
    .boxed()
}

fn documents() -> impl Strategy<Value = Document> {
    proptest::collection::vec(content(2), 0..8).prop_map(|all| read(&presence(&all.concat())))
}

proptest! {
    #[test]
    fn diff_then_apply_is_the_new_document(old in documents(), new in documents()) {
        if let Some(octets) = diff(&old, &new, 3) {
            let made = patched(&old, &octets);
            prop_assert!(made.says_the_same(&new), "{}\n{}\n{}\n{}", written(&old), written(&new), written(&made), String::from_utf8_lossy(&octets));
            prop_assert!(octets.len() < full(&new, 3).len());
        }
        let Partial::Full { version, document } = Partial::read(&full(&new, 3), &Limits::default()).unwrap() else {
            panic!("it is full")
        };
        prop_assert_eq!(version, 3);
        prop_assert!(document.says_the_same(&new));
    }

    #[test]
    fn what_is_written_says_what_was_read(document in documents()) {
        for form in [Form::Pidf, Form::CpimPidf] {
            let mut changed = document.clone();
            changed.set_entity("sip:other@example.com");
            let again = Document::read(&changed.write(form), &Limits::default()).unwrap();
            prop_assert!(again.says_the_same(&changed));
        }
    }
}
