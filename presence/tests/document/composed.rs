//! Several publications, one document.

use presence::document::{Publication, compose};

use super::*;

fn composed(documents: &[(&str, u64)]) -> Document {
    let read: Vec<(Document, u64)> = documents.iter().map(|(text, at)| (read(text), *at)).collect();
    let publications: Vec<Publication<'_>> = read
        .iter()
        .map(|(document, published_at)| Publication { document, published_at: *published_at })
        .collect();
    let one = compose(&publications, "sip:a@example.com");
    // What is composed can be read again, and says the same then.
    assert!(self::read(&written(&one)).says_the_same(&one), "{}", written(&one));
    one
}

fn expect(one: &Document, inner: &str) {
    let expected = read(&presence(inner));
    assert!(one.says_the_same(&expected), "{}", written(one));
}

#[test]
fn nothing_published_looks_like_a_polite_no() {
    let nothing = compose(&[], "sip:a@example.com");
    assert_eq!(written(&nothing), written(&Document::closed("sip:a@example.com")));
}

#[test]
fn one_publication_goes_out_as_it_came() {
    let octets = document("071");
    let document = Document::read(&octets, &Limits::default()).unwrap();
    let one = Publication { document: &document, published_at: 1 };
    assert_eq!(compose(&[one], "pres:john@example.com").write(Form::Pidf), octets);
    assert_eq!(compose(&[one], "sip:john@example.com").entity(), "sip:john@example.com");
}

#[test]
fn tuples_are_one_by_id_and_the_newer_wins_at_its_old_place() {
    let tuple =
        |id: &str, basic: &str| format!("<tuple id=\"{id}\"><status><basic>{basic}</basic></status></tuple>");
    let desk = presence(&(tuple("1", "open") + &tuple("desk", "open")));
    let phone = presence(&(tuple("1", "closed") + &tuple("phone", "open")));
    let newer_phone = composed(&[(&desk, 1), (&phone, 2)]);
    expect(&newer_phone, &(tuple("1", "closed") + &tuple("desk", "open") + &tuple("phone", "open")));
    let newer_desk = composed(&[(&desk, 3), (&phone, 2)]);
    expect(&newer_desk, &(tuple("1", "open") + &tuple("desk", "open") + &tuple("phone", "open")));
    let same_time = composed(&[(&desk, 2), (&phone, 2)]);
    assert!(same_time.says_the_same(&newer_phone));
}

#[test]
fn tuples_without_an_id_are_nobody_elses() {
    let tuple = "<tuple><status><basic>open</basic></status></tuple>";
    assert_eq!(composed(&[(&presence(tuple), 1), (&presence(tuple), 2)]).tuples().count(), 2);
}

#[test]
fn there_is_one_person_and_of_it_each_kind_is_the_newest_known() {
    let old = presence(
        "<dm:person id=\"old\"><r:mood><r:happy/></r:mood><c:icon>http://h/old</c:icon><dm:note>old</dm:note><dm:timestamp>1</dm:timestamp></dm:person>",
    );
    let new = presence(
        "<dm:person id=\"new\"><r:activities><r:meeting/></r:activities><r:mood><r:angry/></r:mood><dm:timestamp>2</dm:timestamp></dm:person>",
    );
    let merged = "<dm:person id=\"new\"><r:mood><r:angry/></r:mood><c:icon>http://h/old</c:icon><r:activities><r:meeting/></r:activities><dm:note>old</dm:note><dm:timestamp>2</dm:timestamp></dm:person>";
    expect(&composed(&[(&old, 1), (&new, 2)]), merged);
}

#[test]
fn devices_are_one_by_their_device_id_and_others_stand_apart() {
    let old = presence(
        "<dm:device id=\"x\"><r:user-input>active</r:user-input><dm:deviceID>mac:1</dm:deviceID></dm:device><dm:device id=\"z\"><dm:deviceID>mac:9</dm:deviceID></dm:device>",
    );
    let new = presence(
        "<dm:device id=\"y\"><r:user-input>idle</r:user-input><dm:deviceID>mac:1</dm:deviceID></dm:device>",
    );
    expect(
        &composed(&[(&old, 1), (&new, 2)]),
        "<dm:device id=\"y\"><r:user-input>idle</r:user-input><dm:deviceID>mac:1</dm:deviceID></dm:device><dm:device id=\"z\"><dm:deviceID>mac:9</dm:deviceID></dm:device>",
    );
}

#[test]
fn notes_are_the_newest_of_each_language_and_extensions_the_newest_of_each_kind() {
    let old = presence(
        "<note>hello</note><note xml:lang=\"de\">hallo</note><x xmlns=\"urn:x\">1</x><y xmlns=\"urn:x\">1</y>",
    );
    let new = presence("<note>bye</note><note>really</note><x xmlns=\"urn:x\">2</x><x xmlns=\"urn:x\">3</x>");
    expect(
        &composed(&[(&old, 1), (&new, 2)]),
        "<note>bye</note><note>really</note><note xml:lang=\"de\">hallo</note><x xmlns=\"urn:x\">2</x><x xmlns=\"urn:x\">3</x><y xmlns=\"urn:x\">1</y>",
    );
}

#[test]
fn links_to_objects_add_up_the_newest_first() {
    let old = presence("<b:ObjLink>cid:1</b:ObjLink><b:ObjLink>cid:2</b:ObjLink>");
    let new = presence("<b:ObjLink>cid:3</b:ObjLink><b:ObjLink>cid:2</b:ObjLink>");
    let one = composed(&[(&old, 1), (&new, 2)]);
    let targets: Vec<String> = one.objects().into_iter().map(|object| object.target).collect();
    assert_eq!(targets, ["cid:3", "cid:2", "cid:1"]);
}

#[test]
fn what_means_different_things_in_two_documents_still_means_what_it_did() {
    let one = "<p:presence xmlns:p=\"urn:ietf:params:xml:ns:pidf\" xmlns:x=\"urn:one\" xmlns=\"urn:default\" entity=\"sip:a@example.com\"><p:tuple id=\"1\"><p:status><x:s/><d/></p:status></p:tuple></p:presence>";
    let two = "<presence xmlns=\"urn:ietf:params:xml:ns:cpim-pidf\" xmlns:x=\"urn:two\" entity=\"sip:a@example.com\"><tuple id=\"2\"><status><x:s type=\"x:q\"/></status></tuple></presence>";
    let both = composed(&[(one, 1), (two, 2)]);
    expect(
        &both,
        "<tuple id=\"1\"><status><s xmlns=\"urn:one\"/><d xmlns=\"urn:default\"/></status></tuple><tuple id=\"2\"><status><s xmlns=\"urn:two\" type=\"x:q\"/></status></tuple>",
    );
    // A name in a value finds its prefix where it stood.
    assert!(written(&both).contains("<tuple xmlns:x=\"urn:two\" id=\"2\">"), "{}", written(&both));
}

#[test]
fn an_account_of_a_person_brings_its_prefixes() {
    let old = presence("<dm:person id=\"o\" xmlns:q=\"urn:old\"><q:a/><q:b/></dm:person>");
    let new = presence("<dm:person id=\"n\" xmlns:q=\"urn:new\"><q:a/></dm:person>");
    expect(
        &composed(&[(&old, 1), (&new, 2)]),
        "<dm:person id=\"n\"><a xmlns=\"urn:old\"/><b xmlns=\"urn:old\"/><a xmlns=\"urn:new\"/></dm:person>",
    );
}
