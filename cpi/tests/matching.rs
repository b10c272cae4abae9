//! CPI.md §2: rules M1-M12 and the table of test vectors.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use cpi::decode::from_headers;
use cpi::matching::{
    Item, Options, accepts_external_body, charset_ok, coding_quality, implied, language_quality, quality,
    tiers, type_quality, whole_limit,
};
use cpi::{Cpi, Extensions, Interval};

const LOOSE: Options<'static> = Options { strict_specificity: false, implied: &[] };
const STRICT: Options<'static> = Options { strict_specificity: true, implied: &[] };

fn head(fields: &[(&str, &str)]) -> Cpi {
    from_headers(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), &Extensions::NONE).0
}

fn accept(value: &str) -> Cpi {
    head(&[("Accept", value)])
}

fn message(cpi: &Cpi, media_type: &str) -> u16 {
    let options = Options { implied: implied("MESSAGE", None), ..LOOSE };
    quality(cpi, &Item { media_type, length: Some(100), ..Item::default() }, options)
}

/// `type[ WxH][ n]`: an item of that size and length.
fn item(text: &str) -> Item<'_> {
    let mut words = text.split(' ');
    let mut item = Item { media_type: words.next().unwrap(), ..Item::default() };
    for word in words {
        if let Some((width, height)) = word.split_once('x') {
            (item.width, item.height) = (Some(width.parse().unwrap()), Some(height.parse().unwrap()));
        } else {
            item.length = Some(word.parse().unwrap());
        }
    }
    item
}

const TIERS_005: &str = "image/gif;q=0.5;media-pix-x=max+640;media-pix-y=max+480, image/gif;media-pix-x=max-160;media-pix-y=max-120";
const OVERRIDE_006: &str = "image/*;q=0.7;media-pix-x=max+640;media-pix-y=max+480, image/gif;q=0.7;media-pix-x=max+160;media-pix-y=max+120";
const LOWER_GENERIC: &str = "image/*;q=0.5;media-pix-x=max+640, image/gif;media-pix-x=max+160";

#[test]
fn every_test_vector_of_the_digest() {
    let rows: [(&str, &[(&str, u16)]); 8] = [
        (
            TIERS_005,
            &[
                ("image/gif 159x119", 1000),
                ("image/gif 160x120", 500),
                ("image/gif 640x480", 500),
                ("image/gif 641x480", 0),
                ("image/png 1x1", 0),
            ],
        ),
        (
            OVERRIDE_006,
            &[
                ("image/gif 160x120", 700),
                ("image/gif 320x240", 0),
                ("image/png 640x480", 700),
                ("image/png 641x480", 0),
            ],
        ),
        (LOWER_GENERIC, &[("image/gif 160x1", 1000), ("image/gif 320x1", 500), ("image/gif 700x1", 0)]),
        (
            "image/*;q=1;media-pix-x=max+640, image/gif;q=.5;media-pix-x=max+160",
            &[("image/gif 160x1", 500), ("image/gif 320x1", 0)],
        ),
        ("image/*;q=.7, image/gif;q=0", &[("image/gif 1x1", 0), ("image/png 1x1", 700)]),
        ("image/jpeg;length=max-16384", &[("image/jpeg 16383", 1000), ("image/jpeg 16384", 0)]),
        (
            "audio/amr;length=4096",
            &[("audio/amr 100", 1000), ("audio/amr 4096", 1000), ("audio/amr 4097", 0)],
        ),
        (
            "image/png;media-pix-x=min+32;media-pix-x=max+640",
            &[("image/png 31x1", 0), ("image/png 32x1", 1000), ("image/png 640x1", 1000)],
        ),
    ];
    for (value, items) in rows {
        let cpi = accept(value);
        for &(text, expected) in items {
            assert_eq!(quality(&cpi, &item(text), LOOSE), expected, "{text} for {value}");
        }
    }
}

#[test]
fn strict_specificity_switches_the_lower_generic_tiers_off() {
    let cpi = accept(LOWER_GENERIC);
    assert_eq!(quality(&cpi, &item("image/gif 160x1"), STRICT), 1000);
    assert_eq!(quality(&cpi, &item("image/gif 320x1"), STRICT), 0);
    assert_eq!(tiers(&cpi, "image/gif", &[], STRICT).len(), 1);
    assert_eq!(quality(&cpi, &item("image/png 320x1"), STRICT), 500);
}

#[test]
fn the_most_specific_range_is_own_and_item_parameters_do_not_hurt() {
    let cpi = accept("*/*;q=.1, text/*;q=.2, text/plain;q=.3, text/plain;format=flowed;q=.4");
    let of = |media_type, params| quality(&cpi, &Item { media_type, params, ..Item::default() }, LOOSE);
    assert_eq!(of("text/plain", &[("Format", "FLOWED"), ("x", "y")]), 400);
    assert_eq!(of("text/plain", &[("format", "fixed")]), 300);
    assert_eq!(of("TEXT/plain", &[]), 300);
    assert_eq!(of("text/html", &[]), 200);
    assert_eq!(of("textual/html", &[]), 100);
    assert_eq!(of("nonsense", &[]), 100);
}

#[test]
fn text_without_a_charset_is_utf_8() {
    let cpi = accept("text/plain;charset=utf-8;q=0.9");
    let of = |params| quality(&cpi, &Item { media_type: "text/plain", params, ..Item::default() }, LOOSE);
    assert_eq!(of(&[]), 900);
    assert_eq!(of(&[("charset", "UTF-8")]), 900);
    assert_eq!(of(&[("charset", "us-ascii")]), 900);
    assert_eq!(of(&[("charset", "iso-8859-1")]), 0);
}

#[test]
fn tiers_come_best_first_then_more_constrained_then_in_list_order() {
    let cpi = accept(
        "image/*;q=.2, image/gif;q=.5;length=max+1, image/gif;q=.5;length=max+2;media-pix-x=max+3, image/gif;q=.5;length=max+4, image/gif",
    );
    let lengths: Vec<_> = tiers(&cpi, "image/gif", &[], LOOSE).iter().map(|t| (t.q, t.length.hi)).collect();
    assert_eq!(lengths, [(1000, None), (500, Some(2)), (500, Some(1)), (500, Some(4)), (200, None)]);
}

#[test]
fn q_0_with_constraints_forbids_only_what_is_inside() {
    let cpi = accept("image/gif;media-pix-x=max+640, image/gif;q=0;media-pix-x=max+15, image/*;q=.5");
    assert_eq!(quality(&cpi, &item("image/gif 15x1"), LOOSE), 0);
    assert_eq!(quality(&cpi, &item("image/gif 16x1"), LOOSE), 1000);
    assert_eq!(quality(&cpi, &item("image/gif 641x1"), LOOSE), 500);
    let only = accept("image/gif;q=0;media-pix-x=max+15, image/*;q=.5");
    assert_eq!(quality(&only, &item("image/gif 15x1"), LOOSE), 0);
    assert_eq!(quality(&only, &item("image/gif 16x1"), STRICT), 500);
}

#[test]
fn a_refused_range_is_not_passed_by_for_a_wider_one() {
    let cpi = accept("image/gif;media-pix-x=max+160, image/*;q=0, */*;q=.5");
    assert_eq!(quality(&cpi, &item("image/gif 320x1"), LOOSE), 0);
    assert_eq!(tiers(&cpi, "image/gif", &[], LOOSE).len(), 1);
    assert_eq!(type_quality(&cpi, "image/png", &[], LOOSE), 0);
    assert_eq!(type_quality(&cpi, "audio/amr", &[], LOOSE), 500);
}

#[test]
fn an_entry_that_can_not_be_satisfied_is_skipped() {
    let cpi = accept("image/gif;length=max-0, image/*;q=.5");
    assert_eq!(quality(&cpi, &item("image/gif 0"), LOOSE), 500);
    assert_eq!(type_quality(&accept("image/gif;length=max-0"), "image/gif", &[], LOOSE), 0);
    assert_eq!(type_quality(&accept("image/gif;length=max+0"), "image/gif", &[], LOOSE), 1000);
}

#[test]
fn pixels_count_for_images_and_video_only() {
    let cpi = accept("image/*;media-pix-x=max+9, video/*;media-pix-x=max+9, text/html;media-pix-x=max+9");
    for (text, expected) in
        [("image/gif 10x1", 0), ("video/mp4 10x1", 0), ("video/mp4 9x1", 1000), ("text/html 10x1", 1000)]
    {
        assert_eq!(quality(&cpi, &item(text), LOOSE), expected, "{text}");
    }
    assert!(tiers(&cpi, "text/html", &[], LOOSE)[0].pix_x.is_unlimited());
}

#[test]
fn an_image_of_unknown_size_does_not_hold_to_a_pixel_limit() {
    let cpi = accept("image/gif;media-pix-x=max+160, image/png");
    assert_eq!(quality(&cpi, &item("image/gif"), LOOSE), 0);
    assert_eq!(quality(&cpi, &item("image/png"), LOOSE), 1000);
}

#[test]
fn extension_constraints_hold_where_the_value_is_known() {
    let value = b"audio/amr;audio-rate=max+8000";
    let extensions: Extensions = ["audio-rate"].into_iter().collect();
    let (cpi, _) = from_headers([(&b"Accept"[..], &value[..])], &extensions);
    let of = |ext| quality(&cpi, &Item { media_type: "audio/amr", ext, ..Item::default() }, LOOSE);
    assert_eq!((of(&[("audio-rate", 8000)]), of(&[("audio-rate", 16000)]), of(&[])), (1000, 0, 1000));
    assert_eq!(tiers(&cpi, "audio/amr", &[], LOOSE)[0].constraints(), 1);
}

#[test]
fn unknown_types_are_not_restricted() {
    let cpi = head(&[("Accept-Encoding", "identity;length=max+9")]);
    assert_eq!(quality(&cpi, &item("image/gif 9999x9999"), LOOSE), 1000);
    assert_eq!(tiers(&cpi, "image/gif", &[], LOOSE).len(), 1);
}

#[test]
fn an_empty_list_accepts_only_what_is_implied() {
    let cpi = accept("");
    assert_eq!(message(&cpi, "text/plain"), 1000);
    assert_eq!(message(&cpi, "multipart/mixed"), 1000);
    assert_eq!(message(&cpi, "multipart/alternative"), 1000);
    assert_eq!(message(&cpi, "multipart/related"), 0);
    assert_eq!(message(&cpi, "image/gif"), 0);
}

#[test]
fn what_is_implied_yields_to_its_own_entry() {
    assert_eq!(message(&accept("image/gif"), "text/plain"), 1000);
    assert_eq!(message(&accept("image/gif, text/plain;q=0"), "text/plain"), 0);
    assert_eq!(message(&accept("text/plain;q=.3;length=max+99"), "text/plain"), 0);
    assert_eq!(message(&accept("text/*;q=.3"), "text/plain"), 300);
    assert_eq!(message(&accept("*/*;q=.1;length=max+0"), "text/plain"), 1000);
    assert_eq!(message(&accept("*/*;q=0"), "text/plain"), 0);
    let options = Options { implied: implied("MESSAGE", None), ..LOOSE };
    assert_eq!(tiers(&accept("image/gif"), "text/plain", &[], options)[0].q, 1000);
}

#[test]
fn each_package_implies_its_document() {
    for (method, event, document) in [
        ("MESSAGE", None, "text/plain"),
        ("NOTIFY", Some("presence"), "application/pidf+xml"),
        ("NOTIFY", Some("reg"), "application/reginfo+xml"),
        ("NOTIFY", Some("presence.winfo"), "application/watcherinfo+xml"),
        ("INVITE", None, "multipart/mixed"),
    ] {
        assert!(implied(method, event).contains(&document), "{method} {event:?}");
    }
    assert!(!implied("NOTIFY", Some("presence")).contains(&"text/plain"));
}

#[test]
fn external_bodies_must_be_named() {
    let rows = [
        ("message/external-body, image/gif", true),
        ("message/*, image/gif", true),
        ("*/*", false),
        ("image/gif", false),
        ("message/external-body, image/png", false),
        ("message/external-body;q=0, image/gif, */*", false),
        ("message/external-body;q=.1, image/gif;length=max+0", true),
    ];
    for (value, expected) in rows {
        assert_eq!(accepts_external_body(&accept(value), "image/gif", LOOSE), expected, "{value}");
    }
    assert!(!accepts_external_body(&Cpi::default(), "image/gif", LOOSE));
    assert_eq!(type_quality(&accept("*/*"), "Message/External-Body", &[], LOOSE), 0);
}

#[test]
fn implicit_entries_only_limit() {
    let contact = |text: &str| {
        let contact = cpi::contact::decode(grammar::params(text.as_bytes()), &Extensions::NONE);
        cpi::merge::binding(&Cpi::default(), &contact)
    };
    let alone = contact("media-pix-x=max+160");
    assert_eq!(quality(&alone, &item("image/gif 160x9"), LOOSE), 1000);
    assert_eq!(quality(&alone, &item("image/gif 161x9"), LOOSE), 0);
    assert_eq!(quality(&alone, &item("audio/amr 99"), LOOSE), 1000);
    assert_eq!(tiers(&alone, "image/gif", &[], LOOSE)[0].pix_x, Interval::at_most(160));
    let listed = contact(r#"media-pix-x=max+160;type="image/gif";media-pix-y=max+120"#);
    let gif = tiers(&listed, "image/gif", &[], LOOSE);
    assert_eq!((gif[0].pix_x.hi, gif[0].pix_y.hi), (Some(160), Some(120)));
    assert_eq!(quality(&listed, &item("image/gif 161x9"), LOOSE), 0);
    assert_eq!(quality(&listed, &item("image/png 1x1"), LOOSE), 0);
    assert!(
        tiers(&contact(r#"media-pix-x=max+15;type="image/gif";media-pix-x=min+16"#), "image/gif", &[], LOOSE)
            .is_empty()
    );
}

#[test]
fn the_whole_limit_is_that_of_the_coding_else_of_any() {
    let cpi =
        head(&[("Accept-Encoding", "identity;length=max+100, identity;length=max+50, *;length=max+10")]);
    assert_eq!(whole_limit(&cpi, "Identity"), Interval::at_most(50));
    assert_eq!(whole_limit(&cpi, "gzip"), Interval::at_most(10));
    assert_eq!(whole_limit(&Cpi::default(), "identity"), Interval::UNLIMITED);
    assert_eq!(
        whole_limit(&head(&[("Accept-Encoding", "identity;length=max-0")]), "identity"),
        Interval::UNLIMITED
    );
}

#[test]
fn identity_is_accepted_unless_refused_and_others_only_if_listed() {
    let of = |value: &str, coding| coding_quality(&head(&[("Accept-Encoding", value)]), coding);
    assert_eq!((of("gzip;q=0.5", "gzip"), of("gzip", "identity"), of("gzip", "deflate")), (500, 1000, 0));
    assert_eq!(
        (of("*;q=0", "identity"), of("identity;q=0, *", "identity"), of("*;q=.2", "gzip")),
        (0, 0, 200)
    );
    assert_eq!((of("", "identity"), of("", "gzip")), (1000, 0));
    assert_eq!(coding_quality(&Cpi::default(), "gzip"), 0);
}

#[test]
fn without_a_list_utf_8_and_us_ascii_are_read() {
    let silent = Cpi::default();
    assert!(charset_ok(&silent, "UTF-8") && charset_ok(&silent, "us-ascii"));
    assert!(!charset_ok(&silent, "iso-8859-1"));
    let of = |value: &str, charset| charset_ok(&head(&[("Accept-Charset", value)]), charset);
    assert!(of("iso-8859-1", "ISO-8859-1") && !of("iso-8859-1", "utf-8"));
    assert!(of("utf-8", "us-ascii") && !of("utf-8, us-ascii;q=0", "us-ascii"));
    assert!(of("*;q=.1", "koi8-r") && !of("*, koi8-r;q=0", "koi8-r"));
}

#[test]
fn the_longest_language_range_counts() {
    let cpi = head(&[("Accept-Language", "en;q=0.7, en-gb;q=0.8, fi, *;q=0.1")]);
    for (language, expected) in [("en-GB", 800), ("en-US", 700), ("EN", 700), ("fi", 1000), ("fil", 100)] {
        assert_eq!(language_quality(&cpi, language), expected, "{language}");
    }
    assert_eq!(language_quality(&Cpi::default(), "xx"), 1000);
    assert_eq!(language_quality(&head(&[("Accept-Language", "fi")]), "en"), 0);
}
