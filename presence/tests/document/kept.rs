//! What is read stays: octets, unknown elements, order; and both forms.

use super::*;

#[test]
fn every_document_of_the_examples_is_written_as_it_was_read() {
    for (number, form) in [
        ("023", Form::Pidf),
        ("052", Form::CpimPidf),
        ("053", Form::CpimPidf),
        ("054", Form::Pidf),
        ("056", Form::CpimPidf),
        ("057", Form::Pidf),
        ("071", Form::Pidf),
    ] {
        let octets = document(number);
        let document = Document::read(&octets, &Limits::default()).unwrap();
        assert_eq!(document.write(form), octets, "{number}");
    }
}

#[test]
fn the_other_form_differs_in_the_namespace_alone() {
    for (number, other, form) in
        [("053", "054", Form::Pidf), ("054", "053", Form::CpimPidf), ("056", "057", Form::Pidf)]
    {
        let document_read = Document::read(&document(number), &Limits::default()).unwrap();
        let octets = document_read.write(form);
        let text = String::from_utf8(octets.to_vec()).unwrap();
        assert!(text.contains(&format!(
            "xmlns=\"{}\"",
            if form == Form::Pidf {
                "urn:ietf:params:xml:ns:pidf"
            } else {
                "urn:ietf:params:xml:ns:cpim-pidf"
            }
        )));
        let expected = Document::read(&document(other), &Limits::default()).unwrap();
        assert!(Document::read(&octets, &Limits::default()).unwrap().says_the_same(&expected));
        assert_eq!(document_read.entity(), "pres:john@example.com");
    }
}

#[test]
fn a_namespace_with_a_colon_at_its_end_is_read_and_not_written() {
    let document = read(
        "<presence xmlns='urn:ietf:params:xml:ns:cpim-pidf:' entity='pres:a@b'><tuple id='t'><status><basic>open</basic></status></tuple></presence>",
    );
    assert!(document.is_open());
    assert!(written(&document).contains("xmlns=\"urn:ietf:params:xml:ns:pidf\""), "{}", written(&document));
}

#[test]
fn unknown_elements_comments_and_references_stay_when_something_else_changes() {
    let inner = "<tuple id=\"t\"><status><basic>open</basic><x:y xmlns:x=\"urn:x\" x:z='\"1\"'>a &amp; b &#x20ac; <![CDATA[<c>]]></x:y></status></tuple><!-- note --><?do it?><q xmlns=\"\" w=\"&lt;\"/>";
    let mut document = read(&presence(inner));
    document.set_entity("sip:b@example.com");
    let text = written(&document);
    for kept in [
        "entity=\"sip:b@example.com\"",
        "<x:y xmlns:x=\"urn:x\" x:z='\"1\"'>a &amp; b &#x20ac; &lt;c&gt;</x:y>",
        "<!-- note --><?do it?><q xmlns=\"\" w=\"&lt;\"/>",
    ] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
    assert!(read(&text).says_the_same(&document));
}

#[test]
fn a_document_in_utf_16_is_read_and_written_in_utf_8() {
    let text =
        format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-16\"?>{}", presence("<note>Grüße €</note>"));
    for order in [u16::to_be_bytes, u16::to_le_bytes] {
        let octets: Vec<u8> = text.encode_utf16().flat_map(order).collect();
        let document = Document::read(&octets.into(), &Limits::default()).unwrap();
        assert_eq!(document.notes().collect::<Vec<_>>(), ["Grüße €"]);
        assert!(read(&written(&document)).says_the_same(&document));
    }
    assert_eq!(refused(&text.replace('\u{feff}', "")), DocumentError::Encoding);
}

#[test]
fn namespaces_may_be_named_anew_inside() {
    let document = read(
        "<a:presence xmlns:a='urn:ietf:params:xml:ns:pidf' entity='sip:x@y'><b:tuple xmlns:b='urn:ietf:params:xml:ns:pidf' xmlns:a='urn:other' id='1'><b:status><b:basic>open</b:basic></b:status><a:basic>closed</a:basic></b:tuple></a:presence>",
    );
    assert!(document.is_open());
    assert_eq!(document.tuples().collect::<Vec<_>>(), ["1"]);
}

#[test]
fn the_documents_that_are_made_are_those_of_the_schema() {
    let mut document = Document::new("sip:a@example.com")
        .object("http://h/p.jpg", Some("image/jpeg"))
        .note("At home & \"free\"")
        .tuple("t1", true, Some("sip:a@192.0.2.1"))
        .tuple("t2", false, None);
    document.set_entity("sip:a@example.com");
    assert_eq!(
        written(&document),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" xmlns:b=\"urn:ietf:params:xml:ns:pidf-ext-cont\" entity=\"sip:a@example.com\"><tuple id=\"t1\"><status><basic>open</basic></status><contact>sip:a@192.0.2.1</contact></tuple><tuple id=\"t2\"><status><basic>closed</basic></status></tuple><note>At home &amp; \"free\"</note><b:ObjLink ContentType=\"image/jpeg\">http://h/p.jpg</b:ObjLink></presence>\n"
    );
    assert!(document.is_open());
    let closed = Document::closed("sip:a@example.com");
    assert!(!closed.is_open());
    assert_eq!(closed.notes().count(), 0);
    assert_eq!(Document::pending("sip:a@example.com").notes().count(), 1);
}
