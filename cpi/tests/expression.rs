//! CPI.md §1.3: the irregular forms X1-X6 and the scopes S1-S4. The draft's own E1-E6 are in INDEX.json.

use cpi::expr::{MAX_DEPTH, MAX_FILTERS, MAX_OCTETS, parse};
use cpi::{Expression, Extensions, Interval, MediaEntry, Source};

fn read(text: &str) -> Expression {
    parse(text, &Extensions::NONE)
}

/// `range q[ x<interval>][ y..][ n..]` of every entry.
fn media(text: &str) -> Vec<String> {
    read(text).media.iter().map(short).collect()
}

fn short(entry: &MediaEntry) -> String {
    let mut text = format!("{} {}", entry.range, entry.q);
    for (name, interval) in [("x", entry.pix_x), ("y", entry.pix_y), ("n", entry.length)] {
        if !interval.is_unlimited() {
            text += &format!(" {name}{}", span(interval));
        }
    }
    text
}

fn span(interval: Interval) -> String {
    let end = |end: Option<u64>| end.map(|end| end.to_string()).unwrap_or_default();
    format!("[{},{}]", end(interval.lo), end(interval.hi))
}

fn whole(text: &str) -> Vec<String> {
    read(text).whole.iter().map(|w| format!("{} {} {}", w.coding, w.q, span(w.length))).collect()
}

fn diags(text: &str) -> Vec<String> {
    read(text).diags.iter().map(ToString::to_string).collect()
}

#[test]
fn every_relation_becomes_an_interval() {
    for (test, expected) in [
        ("media-pix-x<=640", "[,640]"),
        ("media-pix-x>=16", "[16,]"),
        ("media-pix-x=5", "[5,5]"),
        ("MEDIA-PIX-X < 160", "[,159]"),
        ("media-pix-x>160", "[161,]"),
        ("media-pix-x=[16..480]", "[16,480]"),
        ("media-pix-x=16..480", "[16,480]"),
        ("media-pix-x<=5/2", "[,2]"),
        ("media-pix-x=+7", "[7,7]"),
    ] {
        assert_eq!(
            media(&format!("(&(type=\"image/gif\")({test}))")),
            [format!("image/gif 1000 x{expected}")],
            "{test}"
        );
    }
}

#[test]
fn strict_relations_and_parentheses_are_named() {
    assert_eq!(diags("(&(type=\"a/b\")(length<5)(length>1))"), ["strict-relation", "strict-relation"]);
    assert_eq!(diags("(type=\"a/b\"))) "), ["extra-close-paren", "extra-close-paren"]);
    assert_eq!(diags("(&(type=\"a/b\")(length<=5"), ["missing-close-paren", "missing-close-paren"]);
    assert_eq!(media("(&(type=\"a/b\")(length<=5"), ["a/b 1000 n[,5]"]);
    assert_eq!(diags("((type=\"a/b\")(length<=5))"), ["implied-and"]);
    assert_eq!(diags("(type=\"a/b\")(type=\"c/d\")"), ["implied-and"]);
}

#[test]
fn what_can_not_be_read_is_dropped_alone() {
    for (text, diag) in [
        ("(&(type=\"a/b\")(nonsense))", "bad-filter:nonsense"),
        ("(&(type=\"a/b\") junk )", "bad-filter:junk "),
        ("(&(type=\"a/b\")(length<=huge))", "bad-constraint:huge"),
        ("(&(type=\"a/b\")(length=[1,x]))", "bad-constraint:x"),
        ("(&(type=\"a/b\")(type=\"gif\"))", "bad-range:\"gif\""),
        ("(&(type=\"a/b\")(type<=\"c/d\"))", "bad-filter:type<=\"c/d\""),
        ("(&(type=\"a/b\")(encoding=\"a b\"))", "bad-token:\"a b\""),
    ] {
        assert_eq!(diags(text), [diag], "{text}");
        assert_eq!(media(text), ["a/b 1000"], "{text}");
    }
    assert_eq!(diags("(&(type=\"a/b\")(colour=red)(sip.audio=TRUE))"), [""; 0]);
    assert_eq!(diags(""), ["bad-filter:"]);
}

#[test]
fn the_q_of_an_entry_is_the_product_along_its_path() {
    assert_eq!(media("(|(&(type=\"a/b\"));q=.5 (type=\"c/d\");q=0.3);q=0.5"), ["a/b 250", "c/d 150"]);
    assert_eq!(media("(&(type=\"a/b\");q=0.5);q=0.333"), ["a/b 167"]);
    assert_eq!(media("(&(type=\"a/b\");q=0.5);q=0.332"), ["a/b 166"]);
    assert_eq!(media("(((type=\"a/b\");q=0.9);q=0.9);q=0.9"), ["a/b 729"]);
    assert_eq!(whole("(&(encoding=gzip)(length<=5));q=0.4"), ["gzip 400 [,5]"]);
    assert_eq!(diags("(type=\"a/b\");q=.5"), ["q-no-leading-zero"]);
    assert_eq!(media("(type=\"a/b\") ; level=2 ; q = 0.5"), ["a/b 500"]);
    assert_eq!(media("(type=\"a/b\"));q=0.5"), ["a/b 500"]);
}

#[test]
fn length_beside_an_encoding_is_the_whole_messages() {
    let text = "(&(encoding=[\"gzip\",identity])(length<=100)(|(&(type=\"a/b\")(length<=9))(type=\"c/d\")))";
    assert_eq!(whole(text), ["gzip 1000 [,100]", "identity 1000 [,100]"]);
    assert_eq!(media(text), ["a/b 1000 n[,9]", "c/d 1000"]);
}

#[test]
fn an_and_with_neither_limits_the_whole_and_hands_pixels_down() {
    let text =
        "(&(length<=100)(media-pix-x<=640)(|(&(type=\"image/gif\")(media-pix-x<=160))(type=\"image/png\")))";
    assert_eq!(whole(text), ["identity 1000 [,100]"]);
    assert_eq!(media(text), ["image/gif 1000 x[,160]", "image/png 1000 x[,640]"]);
}

#[test]
fn a_type_set_is_an_entry_per_type() {
    let text = "(&(type=[\"image/gif\",\"image/png\"])(length<=9))";
    assert_eq!(media(text), ["image/gif 1000 n[,9]", "image/png 1000 n[,9]"]);
    assert_eq!(media("(|(type=\"a/b\")(type=\"c/d\"))"), ["a/b 1000", "c/d 1000"]);
    assert_eq!(whole("(length<=7)"), ["identity 1000 [,7]"]);
}

#[test]
fn alternatives_below_a_type_are_its_tiers() {
    let text = "(&(type=\"image/gif\")(|(&(media-pix-x<=640)(length<=9));q=0.5(media-pix-x<=160);q=1))";
    assert_eq!(media(text), ["image/gif 500 x[,640] n[,9]", "image/gif 1000 x[,160]"]);
    assert_eq!(
        media("(&(type=\"image/gif\")(media-pix-x=[16,32..48]))"),
        ["image/gif 1000 x[16,16]", "image/gif 1000 x[32,48]"]
    );
}

#[test]
fn negations_go_inwards() {
    assert_eq!(media("(!(type=\"a/b\"))"), ["a/b 0"]);
    assert_eq!(media("(!(!(type=\"a/b\")))"), ["a/b 1000"]);
    assert_eq!(media("(!(|(type=\"a/b\")(type=\"c/d\")))"), ["a/b 0", "c/d 0"]);
    assert_eq!(media("(&(type=\"image/gif\")(!(media-pix-x>=160)))"), ["image/gif 1000 x[,159]"]);
    assert_eq!(
        media("(&(type=\"image/gif\")(!(&(media-pix-x>=161)(media-pix-y>=121))))"),
        ["image/gif 1000 x[,160]", "image/gif 1000 y[,120]"]
    );
    assert_eq!(
        media("(&(type=\"image/gif\")(!(|(media-pix-x>=161)(media-pix-y>=121))))"),
        ["image/gif 1000 x[,160] y[,120]"]
    );
    assert_eq!(
        media("(&(type=\"image/gif\")(!(media-pix-x=5)))"),
        ["image/gif 1000 x[,4]", "image/gif 1000 x[6,]"]
    );
    assert_eq!(
        media("(&(type=\"image/*\")(!(type=\"image/bmp\"))(media-pix-x<=9))"),
        ["image/* 1000 x[,9]", "image/bmp 0"]
    );
    assert_eq!(whole("(!(encoding=gzip))"), ["gzip 0 [,]"]);
}

#[test]
fn pixel_limits_above_no_type_limit_images_and_video() {
    let expression = read("(&(media-pix-x<=160)(length<=9))");
    let implicit: Vec<String> = expression.implicit.iter().map(short).collect();
    assert_eq!(implicit, ["image/* 1000 x[,160]", "video/* 1000 x[,160]"]);
    let cpi = expression.into_cpi(Source::Profile);
    assert_eq!((cpi.media.as_ref(), cpi.source), (None, Source::Profile));
    assert_eq!(cpi.whole.len(), 1);
}

#[test]
fn extension_names_are_read_where_the_table_has_them() {
    let extensions: Extensions = ["audio-rate"].into_iter().collect();
    let found = parse("(&(type=\"audio/amr\")(audio-rate<=8000))", &extensions);
    assert_eq!(found.media[0].ext.get("audio-rate"), Some(&Interval::at_most(8000)));
}

#[test]
fn over_each_limit_the_whole_expression_is_ignored() {
    let nested = |depth: usize| format!("{}(type=\"a/b\"){}", "(&".repeat(depth - 1), ")".repeat(depth - 1));
    let wide = |filters: usize| format!("(|{})", "(type=\"a/b\")".repeat(filters - 1));
    let long = |octets: usize| format!("(type=\"a/b\"){}", " ".repeat(octets - "(type=\"a/b\")".len()));
    let sets = |size: usize| {
        let values = (0..size).map(|n| (2 * n).to_string()).collect::<Vec<_>>().join(",");
        format!("(&(type=\"a/b\")(length=[{values}])(media-pix-x=[1,3]))")
    };
    let set = |size: usize| format!("(!(type=[{}]))", vec!["\"a/b\""; size].join(","));
    for (inside, outside) in [
        (set(MAX_FILTERS - 1), set(MAX_FILTERS)),
        (nested(MAX_DEPTH), nested(MAX_DEPTH + 1)),
        (wide(MAX_FILTERS), wide(MAX_FILTERS + 1)),
        (long(MAX_OCTETS), long(MAX_OCTETS + 1)),
        (sets(MAX_FILTERS / 2), sets(MAX_FILTERS / 2 + 1)),
    ] {
        assert!(!read(&inside).media.is_empty(), "{:.60}", inside);
        let ignored = read(&outside);
        assert!(ignored.media.is_empty() && ignored.whole.is_empty(), "{:.60}", outside);
        assert_eq!(diags(&outside), ["too-complex"], "{:.60}", outside);
    }
    assert_eq!(diags(&"(".repeat(60_000)), ["too-complex"]);
}
