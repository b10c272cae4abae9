//! Presence documents: whatever the octets, what is read is written so that it says the same, and a patch between two
//! documents makes one of the other.

use bytes::Bytes;
use presence::document::partial::{Partial, diff, full};
use presence::document::{Document, Form, Limits, Publication, Target, compose, lists, rules};
use presence::time::Moment;

/// Two documents, divided by the first NUL.
pub fn run(data: &[u8]) {
    let limits = Limits { octets: 16 << 10, ..Limits::default() };
    let middle = data.iter().position(|&octet| octet == 0).unwrap_or(data.len());
    let (first, second) = data.split_at(middle);
    let second = second.get(1..).unwrap_or_default();
    let rules = rules::Rules::read(first, &limits).ok();
    let _ = lists::resource_lists(first, &limits);
    let one = Document::read(&Bytes::copy_from_slice(first), &limits).ok();
    if let (Some(one), Ok(Partial::Diff { patch, .. })) = (&one, Partial::read(second, &limits)) {
        let mut patched = one.clone();
        if patched.apply(&patch).is_ok() {
            written(&patched);
        }
    }
    let two = Document::read(&Bytes::copy_from_slice(second), &limits).ok();
    for document in one.iter().chain(&two) {
        written(document);
        linked(document);
    }
    if let (Some(rules), Some(two)) = (&rules, &two) {
        viewed(rules, two);
    }
    if let (Some(one), Some(two)) = (&one, &two) {
        composed(one, two);
        compared(one, two);
    }
}

/// Larger than what is read: moved elements bring their declarations.
fn wide() -> Limits {
    Limits { octets: usize::MAX, attributes: usize::MAX, elements: usize::MAX, depth: usize::MAX }
}

fn again(octets: &Bytes) -> Document {
    let read = Document::read(octets, &wide());
    read.unwrap_or_else(|error| panic!("{error} in what was written: {}", String::from_utf8_lossy(octets)))
}

fn written(document: &Document) {
    for form in [Form::Pidf, Form::CpimPidf] {
        assert!(again(&document.write(form)).says_the_same(document));
        let mut changed = document.clone();
        changed.set_entity("sip:fuzz@example.com");
        assert!(again(&changed.write(form)).says_the_same(&changed));
    }
}

fn linked(document: &Document) {
    let mut changed = document.clone();
    let objects = changed.objects().len();
    let url = "https://fuzz.example/c/1?a&b<c>";
    let to = |_: &_| Some(Target { uri: url.into(), content_type: Some("a/\"b\"".into()) });
    assert_eq!(changed.relink(to), objects);
    assert!(changed.objects().iter().all(|object| object.target == url));
    assert!(again(&changed.write(Form::Pidf)).says_the_same(&changed));
    assert_eq!(changed.unlink(|_| false), objects);
}

/// What rules leave of a document is one, and shows no link that was not there.
fn viewed(rules: &rules::Rules, document: &Document) {
    for now in [0, 1_800_000_000].map(Moment::from_seconds) {
        let same = |one: &str, other: &str| one == other;
        let Some(view) = rules.view(Some("sip:user@example.com"), now, same) else { continue };
        let seen = view.of(document);
        written(&seen);
        assert!(seen.objects().len() <= document.objects().len());
        assert!(view.of(&seen).says_the_same(&seen), "to look twice hides no more");
    }
}

fn composed(one: &Document, two: &Document) {
    let publications =
        [Publication { document: one, published_at: 2 }, Publication { document: two, published_at: 1 }];
    let both = compose(&publications, "sip:fuzz@example.com");
    written(&both);
}

fn compared(one: &Document, two: &Document) {
    let Ok(Partial::Full { document, .. }) = Partial::read(&full(two, 7), &wide()) else {
        panic!("a full state is read")
    };
    assert!(document.says_the_same(two));
    let Some(octets) = diff(one, two, 8) else { return };
    let Ok(Partial::Diff { version: 8, patch }) = Partial::read(&octets, &wide()) else {
        panic!("a patch is read")
    };
    let mut patched = one.clone();
    let applied = patched.apply(&patch);
    assert!(applied.is_ok() && patched.says_the_same(two), "{}", String::from_utf8_lossy(&octets));
}
