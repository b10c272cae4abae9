//! Texts of one form for terminals that read another.

use super::*;

const CARD: &str =
    "BEGIN:VCARD\r\nVERSION:4.0\r\nFN:Jörg Müller\r\nTEL;TYPE=cell;PREF=1:+49 151 1\r\nEND:VCARD\r\n";

#[test]
fn enriched_text_becomes_plain_in_the_terminals_charset() {
    let from = of("text/enriched; charset=utf-8", "<bold>Grüße</bold>\r\naus <italic>Köln</italic>");
    let got = to(&accepts("text/plain"), &from).unwrap();
    assert_eq!(got.text("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(got.body(), "Grüße aus Köln");
    assert_eq!(
        got.text("content-adapted").unwrap(),
        "proxy.example.com;ops=\"transcode\";type=\"text/enriched; charset=utf-8\";length=51"
    );
    let ascii = accept(&[("Accept", "text/plain"), ("Accept-Charset", "us-ascii")]);
    assert_eq!(to(&ascii, &from).unwrap().body(), "Gruesse aus Koeln");
}

#[test]
fn a_vcard_becomes_the_version_that_the_terminal_takes() {
    let from = of("text/vcard; charset=utf-8", CARD);
    for (accepted, version, content_type) in [
        ("text/x-vcard", "2.1", "text/x-vcard; charset=utf-8"),
        ("text/directory;profile=vCard", "3.0", "text/directory; profile=vCard; charset=utf-8"),
        ("text/vcard;version=3.0", "3.0", "text/vcard; version=3.0; charset=utf-8"),
    ] {
        let got = to(&accepts(&format!("text/plain, {accepted}")), &from).unwrap();
        assert_eq!(got.text("content-type").as_deref(), Some(content_type));
        assert!(got.body().contains(&format!("VERSION:{version}\r\n")), "{}", got.body());
        assert!(got.text("content-adapted").unwrap().contains("ops=\"transcode\""));
    }
    let back = of("text/x-vcard", to(&accepts("text/x-vcard"), &from).unwrap().entity.body);
    let new = to(&accepts("text/vcard"), &back).unwrap();
    // What every card of 2.1 must have stays in it.
    assert_eq!(new.body(), CARD.replace("TEL;", "N:Müller;Jörg\r\nTEL;"));
}

#[test]
fn a_vcard_that_is_taken_stays_and_what_is_none_is_a_link() {
    let from = of("text/vcard", CARD);
    assert!(to(&accepts("text/vcard"), &from).unwrap().is_identical(&from));
    let broken = of("text/vcard", "no card at all");
    let got = linked(&accepts("text/plain, text/x-vcard"), &broken).unwrap();
    assert!(got.body().contains("https://store.example.com/c/"), "{}", got.body());
}

#[test]
fn a_directory_without_the_profile_is_no_vcard() {
    let from = of("text/directory", CARD);
    let got = linked(&accepts("text/plain, text/x-vcard"), &from).unwrap();
    assert!(got.body().contains("https://store.example.com/c/"), "{}", got.body());
}
