//! What holds for every input: no panic, bounded results, and reading back what was written.

use std::collections::BTreeMap;

use cpi::matching::{Item, Options, fit, implied, quality, tiers, type_quality};
use cpi::model::Preference;
use cpi::{Cpi, Extensions, Interval, MediaEntry, Source, WholeLimit, contact, decode, expr, render};
use proptest::prelude::*;

fn extensions() -> Extensions {
    ["audio-rate"].into_iter().collect()
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..5u64, 100..1000u64, Just(i64::MAX as u64)]
}

/// What a header can say: one-sided, equal, or nothing.
fn one_sided() -> impl Strategy<Value = Interval> {
    prop_oneof![
        3 => Just(Interval::UNLIMITED),
        2 => number().prop_map(Interval::at_most),
        1 => number().prop_map(Interval::below),
        1 => number().prop_map(Interval::at_least),
        1 => number().prop_map(Interval::above),
        1 => number().prop_map(Interval::exactly),
    ]
}

fn two_sided() -> impl Strategy<Value = Interval> {
    prop_oneof![
        one_sided(),
        (0..500u64, 0..500u64).prop_map(|(lo, size)| Interval { lo: Some(lo), hi: Some(lo + size) }),
    ]
}

fn range() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["image/gif", "image/png", "image/*", "text/plain", "*/*", "video/mp4"])
        .prop_map(str::to_owned)
}

fn entry(interval: BoxedStrategy<Interval>) -> impl Strategy<Value = MediaEntry> {
    let params = prop::collection::btree_map("[a-e]{1,3}", "[ -~]{0,6}", 0..2);
    let ext = prop_oneof![
        Just(BTreeMap::new()),
        interval
            .clone()
            .prop_filter("unlimited isn't kept", |interval| !interval.is_unlimited())
            .prop_map(|interval| BTreeMap::from([("audio-rate".to_owned(), interval)])),
    ];
    (range(), params, 0..=1000u16, [interval.clone(), interval.clone(), interval], ext).prop_map(
        |(range, params, q, [length, pix_x, pix_y], ext)| MediaEntry {
            range,
            params,
            q,
            length,
            pix_x,
            pix_y,
            ext,
        },
    )
}

fn limit(interval: BoxedStrategy<Interval>) -> impl Strategy<Value = WholeLimit> {
    (prop::sample::select(vec!["identity", "gzip", "*"]), 0..=1000u16, interval)
        .prop_map(|(coding, q, length)| WholeLimit { coding: coding.to_owned(), q, length })
}

fn preference() -> impl Strategy<Value = Preference> {
    ("[a-z]{1,8}", 0..=1000u16).prop_map(|(name, q)| Preference { name, q })
}

fn cpi() -> impl Strategy<Value = Cpi> {
    let media = prop::option::of(prop::collection::vec(entry(one_sided().boxed()), 0..6));
    let whole = prop::collection::vec(limit(one_sided().boxed()), 0..4);
    let preferences = || prop::option::of(prop::collection::vec(preference(), 1..4));
    (media, whole, preferences(), preferences(), prop::option::of(number()), "[!-~]{1,20}").prop_map(
        |(media, whole, charsets, languages, max_size, user_agent)| Cpi {
            media,
            whole,
            charsets,
            languages,
            max_size,
            user_agent: Some(user_agent),
            ..Cpi::default()
        },
    )
}

fn item_sizes() -> impl Strategy<Value = (u64, u32, u32)> {
    (0..1200u64, 1..1200u32, 1..1200u32)
}

fn text_of_cpi() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "image/gif",
        "*/*",
        ";",
        ",",
        "=",
        "q",
        "type",
        "encoding",
        "length",
        "media-pix-x",
        "max+",
        "#<=",
        "640",
        "\"",
        "\\",
        "<",
        ">",
        "(",
        ")",
        "&",
        "|",
        "!",
        "[",
        "]",
        "..",
        "\r\n ",
        " ",
        "+",
        ".5",
        "'",
        "expires",
    ]);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn no_header_panics(name in "(Accept(-Encoding|-Charset|-Language)?|Max-Size|User-Agent)", value: Vec<u8>) {
        decode::from_headers([(name.as_bytes(), &value[..])], &extensions());
    }

    #[test]
    fn nothing_made_of_cpi_words_panics(text in text_of_cpi()) {
        let (cpi, _) = decode::from_headers([(&b"Accept"[..], text.as_bytes())], &extensions());
        let contact = contact::decode(grammar::params(text.as_bytes()), &extensions());
        prop_assert!(contact.q.is_none_or(|q| q <= 1000));
        prop_assert!(cpi.media.iter().flatten().all(|entry| entry.q <= 1000));
        let expression = expr::parse(&text, &extensions());
        prop_assert!(expression.media.iter().all(|entry| entry.q <= 1000));
        let start = b"REGISTER sip:a SIP/2.0";
        let (message, _) = cpi::index::describe(start, [(&b"Contact"[..], text.as_bytes())], &extensions());
        serde_json::to_string(&message).unwrap();
    }

    #[test]
    fn no_expression_panics(text in "\\PC*") {
        expr::parse(&text, &extensions());
    }

    #[test]
    fn headers_read_back_as_they_were_written(cpi in cpi()) {
        let mut fields = vec![("User-Agent", cpi.user_agent.clone().unwrap())];
        if let Some(media) = &cpi.media {
            fields.push(("Accept", render::accept(media)));
        }
        if !cpi.whole.is_empty() {
            fields.push(("Accept-Encoding", render::accept_encoding(&cpi.whole)));
        }
        if let Some(charsets) = &cpi.charsets {
            fields.push(("Accept-Charset", render::preferences(charsets)));
        }
        if let Some(languages) = &cpi.languages {
            fields.push(("Accept-Language", render::preferences(languages)));
        }
        if let Some(max_size) = cpi.max_size {
            fields.push(("Max-Size", max_size.to_string()));
        }
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let (read, diags) = decode::from_headers(fields, &extensions());
        prop_assert_eq!(read, cpi);
        prop_assert_eq!(diags, []);
    }

    #[test]
    fn contact_parameters_read_back_as_they_were_written(
        q in prop::option::of(0..=1000u16),
        whole in prop::collection::vec(limit(two_sided().boxed()), 0..3),
        media in prop::collection::vec(entry(two_sided().boxed()), 0..4),
    ) {
        let text = render::contact_params(q, &whole, &media);
        let read = contact::decode(grammar::params(text.as_bytes()), &extensions());
        prop_assert!(read.q == q || (q, read.q) == (None, Some(1000)), "{}", text);
        prop_assert_eq!(read.whole, whole, "{}", text);
        prop_assert_eq!(read.groups.unwrap_or_default(), media, "{}", text);
        prop_assert_eq!(read.diags, [], "{}", text);
    }

    #[test]
    fn the_stored_form_reads_back_and_is_one_for_equal_values(cpi in cpi()) {
        let cpi = cpi.with_source(Source::Learned);
        let text = serde_json::to_string(&cpi).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Cpi>(&text).unwrap(), &cpi);
        prop_assert_eq!(serde_json::to_string(&cpi.clone()).unwrap(), text);
    }

    #[test]
    fn a_quality_is_that_of_a_tier_which_holds_the_item(
        cpi in cpi(),
        strict_specificity: bool,
        media_type in prop::sample::select(vec!["image/gif", "image/png", "text/plain", "video/mp4", "message/external-body"]),
        (length, width, height) in item_sizes(),
    ) {
        let options = Options { strict_specificity, implied: implied("MESSAGE", None) };
        let item = Item {
            media_type,
            length: Some(length),
            width: Some(width),
            height: Some(height),
            ..Item::default()
        };
        let q = quality(&cpi, &item, options);
        let tiers = tiers(&cpi, media_type, &[], options);
        let holds = tiers.iter().find(|tier| {
            tier.length.within_high(length) && tier.pix_x.contains(width.into()) && tier.pix_y.contains(height.into())
        });
        prop_assert!(q == 0 || holds.is_some_and(|tier| tier.q == q), "{} {:?}", q, tiers);
        prop_assert!(q <= type_quality(&cpi, media_type, &[], options));
        let forbids = cpi.media.iter().flatten().any(|entry| entry.q == 0);
        prop_assert!(forbids || q == holds.map_or(0, |tier| tier.q), "{} {:?}", q, tiers);
        prop_assert!(tiers.iter().all(|tier| (1..=1000).contains(&tier.q)));
        prop_assert!(tiers.is_sorted_by_key(|tier| std::cmp::Reverse(tier.q)));
    }

    #[test]
    fn what_is_fitted_is_inside_and_never_larger(
        width: u32,
        height: u32,
        pix_x in two_sided(),
        pix_y in two_sided(),
    ) {
        if let Some((x, y)) = fit(width, height, &pix_x, &pix_y) {
            prop_assert!(x >= 1 && y >= 1 && x <= width && y <= height);
            prop_assert!(pix_x.contains(x.into()) && pix_y.contains(y.into()));
        }
    }
}
