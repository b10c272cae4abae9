//! Links to external objects (CPI.md §5).

use presence::document::{Object, ObjectKind, Place, Target};

use super::*;

#[test]
fn links_are_found_wherever_they_may_stand_and_nowhere_else() {
    let document = read(&presence(
        "<tuple id=\"t1\"><status><basic>open</basic><b:ObjLink>cid:1@h</b:ObjLink></status><r:status-icon> cid:2@h </r:status-icon><c:icon>http://h/3</c:icon><other><b:ObjLink>cid:no@h</b:ObjLink></other></tuple><dm:person id=\"p\"><c:card>http://h/4</c:card><c:sound>cid:5@h</c:sound><c:map>http://h/6</c:map><r:status-icon>http://h/7</r:status-icon></dm:person><dm:device id=\"d\"><b:ObjLink>cid:8@h</b:ObjLink></dm:device><b:ObjLink ContentType=\"image/png\">http://h/9?a&amp;b</b:ObjLink><ObjLink xmlns=\"urn:other\">cid:no@h</ObjLink>",
    ));
    let tuple = || "t1".to_owned();
    let expected = [
        (ObjectKind::ObjLink, "cid:1@h", Place::Status(tuple())),
        (ObjectKind::StatusIcon, "cid:2@h", Place::Tuple(tuple())),
        (ObjectKind::Icon, "http://h/3", Place::Tuple(tuple())),
        (ObjectKind::Card, "http://h/4", Place::Person("p".into())),
        (ObjectKind::Sound, "cid:5@h", Place::Person("p".into())),
        (ObjectKind::Map, "http://h/6", Place::Person("p".into())),
        (ObjectKind::StatusIcon, "http://h/7", Place::Person("p".into())),
        (ObjectKind::ObjLink, "cid:8@h", Place::Device("d".into())),
        (ObjectKind::ObjLink, "http://h/9?a&b", Place::Presentity),
    ];
    let objects = document.objects();
    let found: Vec<_> =
        objects.iter().map(|object| (object.kind, &*object.target, object.place.clone())).collect();
    assert_eq!(found, expected);
    assert_eq!(objects[8].content_type.as_deref(), Some("image/png"));
}

#[test]
fn a_content_id_is_compared_decoded_and_as_written() {
    let object = |target: &str| Object {
        kind: ObjectKind::ObjLink,
        target: target.into(),
        content_type: None,
        place: Place::Presentity,
    };
    assert!(object("cid:a%25b@h").names("a%b@h"));
    assert!(object("CID:a%25b@h").names("a%25b@h"));
    assert!(!object("cid:a@h").names("A@h"));
    assert!(!object("http://h/a@h").names("http://h/a@h"));
    assert!(!object("").names(""));
    assert_eq!(object("cid:a%40h").content_id().unwrap(), "a@h");
}

#[test]
fn a_link_is_led_elsewhere_and_the_rest_stays() {
    let octets = document("054");
    let mut document = Document::read(&octets, &Limits::default()).unwrap();
    let changed = document.relink(|object| {
        object.names("own_photo@example.com").then(|| Target {
            uri: "https://store.example.com/c/a?b&c".into(),
            content_type: Some("image/jpeg".into()),
        })
    });
    assert_eq!(changed, 1);
    let expected = String::from_utf8(octets.to_vec()).unwrap().replace(
        "<b:ObjLink>cid:own_photo@example.com<",
        "<b:ObjLink ContentType=\"image/jpeg\">https://store.example.com/c/a?b&amp;c<",
    );
    let text = written(&document);
    // Only what stands between the attributes of a tag is not kept.
    let without_indents = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(without_indents(&text), without_indents(&expected));
}

#[test]
fn nothing_that_is_not_changed_is_written_anew() {
    let octets = document("054");
    let mut document = Document::read(&octets, &Limits::default()).unwrap();
    assert_eq!(document.relink(|_| None), 0);
    assert_eq!(document.unlink(|_| true), 0);
    document.set_entity("pres:john@example.com");
    assert_eq!(document.write(Form::Pidf), octets);
}

#[test]
fn a_link_that_leads_nowhere_can_be_taken_away() {
    let mut document = Document::read(&document("054"), &Limits::default()).unwrap();
    assert_eq!(document.unlink(|object| object.names("own_photo@example.com")), 1);
    let left = document.objects();
    assert_eq!(left.len(), 1);
    assert!(left[0].names("own_photo@example.com"));
    let mut inner = read(&presence(
        "<dm:person id=\"p\"><c:icon>cid:gone</c:icon><c:card>http://h/</c:card></dm:person>",
    ));
    assert_eq!(inner.unlink(|object| object.content_id().is_none()), 1);
    assert_eq!(inner.objects().len(), 1);
}

#[test]
fn no_more_links_than_the_limit_are_looked_at() {
    let mut document = read(&presence(&"<b:ObjLink>cid:a@h</b:ObjLink>".repeat(200)));
    assert_eq!(document.objects().len(), 128);
    let to = || Target { uri: "http://h/".into(), content_type: None };
    assert_eq!(document.relink(|_| Some(to())), 128);
}
