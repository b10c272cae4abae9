//! What a stranger may send.

use super::*;

#[test]
fn no_dtd_and_no_entity_is_read() {
    let bomb = format!(
        "<!DOCTYPE presence [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>{}",
        presence("<note>&b;</note>")
    );
    assert_eq!(refused(&bomb), DocumentError::Dtd);
    assert!(matches!(refused(&presence("<note>&b;</note>")), DocumentError::Entity(_)));
    assert!(matches!(refused(&presence("<note a=\"&b;\"/>")), DocumentError::Entity(_)));
    assert!(matches!(refused(&presence("<note>&#0;</note>")), DocumentError::Entity(_)));
    assert_eq!(read(&presence("<note>&lt;&#65;&quot;</note>")).notes().next().unwrap(), "<A\"");
}

#[test]
fn each_limit_is_held() {
    let limits = Limits { octets: 4096, depth: 8, elements: 16, attributes: 4 };
    let refused = |text: &str| {
        Document::read(&Bytes::copy_from_slice(text.as_bytes()), &limits).map(|_| ()).unwrap_err()
    };
    let plain = |inner: &str| format!("<presence xmlns=\"urn:ietf:params:xml:ns:pidf\">{inner}</presence>");
    let ok = |inner: &str| Document::read(&Bytes::from(plain(inner)), &limits).is_ok();
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(ok(&nested(7)));
    assert_eq!(refused(&plain(&nested(8))), DocumentError::TooDeep(8));
    assert!(ok(&"<a/>".repeat(15)));
    assert_eq!(refused(&plain(&"<a/>".repeat(16))), DocumentError::TooMany(16));
    assert!(ok("<a b='' c='' d='' e=''/>"));
    assert_eq!(refused(&plain("<a b='' c='' d='' e='' xmlns:f='g'/>")), DocumentError::TooWide(4));
    assert_eq!(refused(&plain(&" ".repeat(4096))), DocumentError::TooLong(4096));
    for error in [DocumentError::TooDeep(1), DocumentError::TooLong(1)] {
        assert!(error.is_size());
    }
    assert!(!DocumentError::Dtd.is_size());
}

#[test]
fn no_setting_lets_a_document_be_deeper_than_the_deepest() {
    let limits = Limits { depth: usize::MAX, octets: usize::MAX, ..Limits::default() };
    let deep = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    let text = Bytes::from(presence(&deep));
    assert_eq!(
        Document::read(&text, &limits).map(|_| ()).unwrap_err(),
        DocumentError::TooDeep(Limits::DEEPEST)
    );
}

#[test]
fn ten_megabytes_are_refused_before_a_tag_is_read() {
    let text = presence(&"<note>long</note>".repeat(700_000));
    assert!(text.len() > 10_000_000);
    assert_eq!(refused(&text), DocumentError::TooLong(Limits::default().octets));
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for inner in [
        "<a>",
        "</a>",
        "<a></b>",
        "<a b></a>",
        "<a b=c/>",
        "<a b='1' b='2'/>",
        "<a xmlns:x='u' xmlns:y='u' x:b='1' y:b='2'/>",
        "<a b='<'/>",
        "<a & b/>",
        "<a b='&'/>",
        "a & b",
        "a ]]> b",
        "<!-- a -- b -->",
        "<:a/>",
        "<a:/>",
        "<b:a:c/>",
        "<1/>",
        "<a\"b/>",
        "<note>\u{1}</note>",
        "<note>\u{fffe}</note>",
        "<![CDATA[",
        "<!-- ",
        "<?x ",
        "<",
    ] {
        assert!(matches!(refused(&presence(inner)), DocumentError::Malformed(_)), "{inner}");
    }
    for text in ["", " ", "text", "<!-- only -->", "<?xml version='1.0'?>"] {
        assert!(matches!(refused(text), DocumentError::Malformed(_)), "{text}");
    }
    for text in
        [format!("{0}{0}", presence("")), format!("{} text", presence("")), format!("text {}", presence(""))]
    {
        assert!(matches!(refused(&text), DocumentError::Malformed(_)), "{text}");
    }
    assert!(matches!(refused(&format!(" {}", "<?xml version='1.0'?><a/>")), DocumentError::Malformed(_)));
}

#[test]
fn prefixes_that_stand_for_nothing_or_must_not_stand_are_refused() {
    for inner in [
        "<x:a/>",
        "<a x:b=''/>",
        "<a xmlns:x=''/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:xml='u'/>",
        "<a xmlns:x='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:x='u'/><x:b/>",
    ] {
        assert!(matches!(refused(&presence(inner)), DocumentError::Namespace(_)), "{inner}");
    }
    assert!(
        read(&presence("<note xml:lang='de' xmlns:xml='http://www.w3.org/XML/1998/namespace'>x</note>"))
            .notes()
            .count()
            == 1
    );
}

#[test]
fn another_root_or_encoding_is_refused() {
    assert_eq!(refused("<presence/>"), DocumentError::Root("presence"));
    assert_eq!(refused("<tuple xmlns='urn:ietf:params:xml:ns:pidf'/>"), DocumentError::Root("presence"));
    let latin = "<?xml version='1.0' encoding='ISO-8859-1'?><presence xmlns='urn:ietf:params:xml:ns:pidf'/>";
    assert_eq!(refused(latin), DocumentError::Encoding);
    for octets in [&b"\xff"[..], b"\xfe\xff\xd8\x00", b"\xfe\xff\x00"] {
        let error =
            Document::read(&Bytes::copy_from_slice(octets), &Limits::default()).map(|_| ()).unwrap_err();
        assert_eq!(error, DocumentError::Encoding);
    }
}
