//! The Contact tables of CPI.md §1.4 (RFC 3840 forms) and §1.5 (the draft's groups), rules F1-F6 and K1-K7.

use cpi::{ContactCpi, Extensions, Features, Interval, MediaEntry, Term, WholeLimit, contact};

fn decode(params: &str) -> ContactCpi {
    contact::decode(grammar::params(params.as_bytes()), &Extensions::NONE)
}

fn names(contact: &ContactCpi) -> Vec<String> {
    contact.diags.iter().map(ToString::to_string).collect()
}

/// `range q[ x..hi][ y..hi]` of every group.
fn groups(contact: &ContactCpi) -> Vec<String> {
    contact.groups.iter().flatten().map(short).collect()
}

fn short(entry: &MediaEntry) -> String {
    let mut text = format!("{} {}", entry.range, entry.q);
    for (name, interval) in [("x", entry.pix_x), ("y", entry.pix_y), ("n", entry.length)] {
        match (interval.lo, interval.hi) {
            (None, None) => {}
            (None, Some(hi)) => text += &format!(" {name}<={hi}"),
            (lo, hi) => text += &format!(" {name}={lo:?}..{hi:?}"),
        }
    }
    text
}

#[test]
fn every_row_of_the_groups_table() {
    let rows: [(&str, Option<u16>, &[&str]); 7] = [
        (r#";type="image/gif";q=0.5"#, Some(500), &["image/gif 1000"]),
        (r#";q=0.3;type="image/gif";q=0.5"#, Some(300), &["image/gif 500"]),
        (r#";type="image/gif";q=0.5;media-pix-x=max+160"#, None, &["image/gif 500 x<=160"]),
        (r#";type="image/gif";q=0.5;media-pix-x=max+160;q=0.9"#, Some(900), &["image/gif 500 x<=160"]),
        (
            r#";type="image/gif";q=0.5;type="image/jpeg";q=0.4;expires=60"#,
            None,
            &["image/gif 500", "image/jpeg 400"],
        ),
        (
            r##";type="image/gif,image/jpeg";+media-pix-x="#<=640";q=0.5"##,
            Some(500),
            &["image/gif 1000 x<=640", "image/jpeg 1000 x<=640"],
        ),
        (r#";type="!image/gif,image/png""#, None, &["image/gif 0", "image/png 1000"]),
    ];
    for (text, q, expected) in rows {
        let contact = decode(text);
        assert_eq!(contact.q, q, "{text}");
        assert_eq!(groups(&contact), expected, "{text}");
        assert!(
            contact.diags.is_empty() && contact.whole.is_empty() && contact.implicit.is_empty(),
            "{text}"
        );
    }
}

#[test]
fn limits_before_any_group_list_no_types() {
    let contact = decode(";media-pix-x=max+160;length=max+32768;q=0.8");
    assert_eq!(contact.q, Some(800));
    assert_eq!(contact.groups, None);
    let implicit: Vec<String> = contact.implicit.iter().map(short).collect();
    assert_eq!(implicit, ["image/* 1000 x<=160", "video/* 1000 x<=160"]);
    assert_eq!(contact.whole, [WholeLimit::identity(Interval::at_most(32768))]);
}

#[test]
fn every_row_of_the_rfc_3840_table() {
    let list = |values: &[&str]| Term::List(values.iter().map(|&value| value.to_owned()).collect());
    let rows = [
        ("audio", "audio", Term::Flag(true)),
        (r#"language="en,de""#, "language", list(&["en", "de"])),
        (r#"description="<PC>""#, "description", Term::Text { string: "PC".into() }),
        (r##"+r="#-4:+5.125""##, "+r", list(&["#-4:+5.125"])),
        (r#"mobility="fixed""#, "mobility", list(&["fixed"])),
        (r#"events="!presence""#, "events", list(&["!presence"])),
        (r##"+x="#<=5""##, "+x", list(&["#<=5"])),
        (r##"+x="#=5""##, "+x", list(&["#=5"])),
        ("+sip.newparam", "+sip.newparam", Term::Flag(true)),
    ];
    for (text, tag, expected) in rows {
        let contact = decode(text);
        assert_eq!(contact.features.term(tag), Some(&expected), "{text}");
        assert_eq!(contact.features.iter().count(), 1, "{text}");
        assert!(contact.other.is_empty() && contact.diags.is_empty(), "{text}");
    }
}

#[test]
fn all_base_tags_are_features_without_a_plus() {
    let tags = "audio automata class duplex data control mobility description events priority methods schemes \
                application video language isfocus actor text extensions";
    for tag in tags.split_whitespace() {
        assert!(decode(&tag.to_uppercase()).features.term(tag).is_some(), "{tag}");
    }
}

#[test]
fn what_belongs_to_the_contact_is_no_feature() {
    let contact =
        decode(r#"reg-id=1;+sip.instance="<urn:uuid:1>";pub-gruu="sip:a@b;gr";temp-gruu="sip:t;gr";ob"#);
    assert_eq!(contact.features, Features::default());
    assert_eq!(contact.other("reg-id"), Some("1"));
    assert_eq!(contact.other("+sip.instance"), Some("<urn:uuid:1>"));
    assert_eq!(contact.other("ob"), Some(""));
    assert_eq!(contact.other.len(), 5);
}

#[test]
fn contact_scoped_parameters_may_stand_inside_a_group() {
    let contact = decode(r#"type="image/gif";reg-id=2;audio;expires=60;media-pix-x=max+160;q=.5"#);
    assert_eq!(groups(&contact), ["image/gif 500 x<=160"]);
    assert_eq!((contact.q, contact.expires), (None, Some(60)));
    assert_eq!(contact.other("reg-id"), Some("2"));
    assert!(contact.features.term("audio").is_some());
}

#[test]
fn types_are_read_in_every_tolerated_spelling() {
    for text in ["image/gif", "<image/gif>", "image'gif", " IMAGE/GIF "] {
        assert_eq!(groups(&decode(&format!("type=\"{text}\""))), ["image/gif 1000"], "{text}");
        assert_eq!(groups(&decode(&format!("+type=\"{text}\""))), ["image/gif 1000"], "+{text}");
    }
    assert_eq!(groups(&decode("type=image/*")), ["image/* 1000"]);
}

#[test]
fn a_group_with_no_readable_type_lists_nothing() {
    let contact = decode("type=\"gif\";q=.5;type");
    assert_eq!(contact.groups, None);
    assert_eq!(names(&contact), ["q-no-leading-zero", "bad-range:gif"]);
}

#[test]
fn encoding_groups_are_limits_of_the_whole_message() {
    let contact = decode(r#"encoding="identity,gzip,!deflate";length=max+32768;q=.5;media-pix-x=5"#);
    let whole: Vec<_> = contact.whole.iter().map(|w| (w.coding.as_str(), w.q, w.length.hi)).collect();
    assert_eq!(
        whole,
        [("identity", 500, Some(32768)), ("gzip", 500, Some(32768)), ("deflate", 0, Some(32768))]
    );
    assert_eq!(contact.groups, None);
    assert_eq!(names(&contact), ["q-no-leading-zero", "misplaced:encoding"]);
}

#[test]
fn a_q_that_has_no_place_is_named_and_ignored() {
    let rows: [(&str, Option<u16>, &str); 4] = [
        (r#"q=0.3;q=0.4"#, Some(300), ""),
        (r#"type="image/gif";q=0.5;q=0.4"#, Some(500), "image/gif 1000"),
        (r#"q=0.1;type="image/gif";q=0.5;q=0.4"#, Some(100), "image/gif 500"),
        (
            r#"type="image/gif";media-pix-x=5;q=0.5;q=0.4;q=0.3"#,
            Some(400),
            "image/gif 500 x=Some(5)..Some(5)",
        ),
    ];
    for (text, q, group) in rows {
        let contact = decode(text);
        assert_eq!(contact.q, q, "{text}");
        assert_eq!(groups(&contact).join(""), group, "{text}");
        assert_eq!(names(&contact), ["extra-q"], "{text}");
    }
}

#[test]
fn a_configured_extension_constrains_its_group() {
    let extensions: Extensions = ["Audio-Rate"].into_iter().collect();
    let decode = |text: &str| contact::decode(grammar::params(text.as_bytes()), &extensions);
    for name in ["audio-rate", "+audio-rate"] {
        let contact = decode(&format!("type=\"audio/amr\";{name}=max+8000"));
        let groups = contact.groups.unwrap();
        assert_eq!(groups[0].ext.get("audio-rate"), Some(&Interval::at_most(8000)), "{name}");
    }
    assert!(decode("audio-rate=max+8000").implicit.is_empty());
}

#[test]
fn expires_is_read_as_a_registrar_must() {
    for (text, expected) in [("60", 60), ("soon", 3600), ("99999999999", u32::MAX), ("", 3600), ("+5", 3600)]
    {
        assert_eq!(decode(&format!("expires={text}")).expires, Some(expected), "{text}");
    }
    assert_eq!(decode("q=1").expires, None);
}

#[test]
fn the_echo_keeps_order_and_duplicates() {
    let text = "type=\"image/gif\";q=0.5\r\n ;Type = \"image/gif\" ;q=1;x";
    assert_eq!(decode(text).raw, [r#"type="image/gif""#, "q=0.5", r#"Type = "image/gif""#, "q=1", "x"]);
}

#[test]
fn the_methods_of_a_contact_decide_whether_it_takes_a_message() {
    assert!(decode(r#"methods="INVITE,MESSAGE""#).features.takes("MESSAGE"));
    assert!(!decode(r#"methods="INVITE,BYE""#).features.takes("MESSAGE"));
    assert!(decode("audio").features.takes("MESSAGE"));
}

#[test]
fn a_contact_of_thousands_of_types_stops_at_the_limit() {
    let many = vec!["a/b"; cpi::decode::MAX_ENTRIES + 1].join(",");
    let contact = decode(&format!("type=\"{many}\""));
    assert_eq!(contact.groups.as_ref().unwrap().len(), cpi::decode::MAX_ENTRIES);
    assert_eq!(names(&contact), ["too-many-entries"]);
}
