//! Accept and its companions: CPI.md §1.1, §1.2 (rules G1-G7), and the header forms of every example of §1.6.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use cpi::decode::{MAX_ENTRIES, USER_AGENT_OCTETS, from_headers};
use cpi::{Cpi, Extensions, Interval, MediaEntry, WholeLimit};

fn decode(fields: &[(&str, &str)]) -> (Cpi, Vec<String>) {
    let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let (cpi, diags) = from_headers(fields, &Extensions::NONE);
    (cpi, diags.iter().map(ToString::to_string).collect())
}

fn accept(value: &str) -> (Vec<MediaEntry>, Vec<String>) {
    let (cpi, diags) = decode(&[("Accept", value)]);
    (cpi.media.unwrap(), diags)
}

fn entry(range: &str, q: u16, x: Option<u64>, y: Option<u64>, length: Option<u64>) -> MediaEntry {
    let up_to = |hi| Interval { lo: None, hi };
    MediaEntry { q, pix_x: up_to(x), pix_y: up_to(y), length: up_to(length), ..MediaEntry::new(range) }
}

#[test]
fn every_header_form_of_the_draft_decodes_as_its_row_says() {
    let rows = [
        ("E2", "image/jpeg; q=0.8;length=max+32768", vec![entry("image/jpeg", 800, None, None, Some(32768))]),
        (
            "E3",
            "image/jpeg ;q=0.9;media-pix-x=max+640;media-pix-y=max+480, image/gif;q=1;media-pix-x=max+160;media-pix-y=max+120",
            vec![
                entry("image/jpeg", 900, Some(640), Some(480), None),
                entry("image/gif", 1000, Some(160), Some(120), None),
            ],
        ),
        (
            "E4",
            "image/*;q=.7;media-pix-x=max+640;media-pix-y=max+480",
            vec![entry("image/*", 700, Some(640), Some(480), None)],
        ),
        (
            "E5",
            "image/gif;q=0.5; media-pix-x=max+640;media-pix-y=max+480, image/gif;q=1; media-pix-x=max-160;media-pix-y=max-120",
            vec![
                entry("image/gif", 500, Some(640), Some(480), None),
                entry("image/gif", 1000, Some(159), Some(119), None),
            ],
        ),
        (
            "A6",
            "image/*;q=0.7; media-pix-x=max+640;media-pix-y=max+480, image/gif;q=0.7; media-pix-x=max+160;media-pix-y=max+120",
            vec![
                entry("image/*", 700, Some(640), Some(480), None),
                entry("image/gif", 700, Some(160), Some(120), None),
            ],
        ),
        (
            "E6",
            "image/jpeg;q=.9;media-pix-x=max+640;media-pix-y=max+480; length=max-16384, image/gif;q=.8;media-pix-x=max+160; media-pix-y=max+120;length=max-16384",
            vec![
                entry("image/jpeg", 900, Some(640), Some(480), Some(16383)),
                entry("image/gif", 800, Some(160), Some(120), Some(16383)),
            ],
        ),
    ];
    for (row, value, expected) in rows {
        assert_eq!(accept(value).0, expected, "{row}");
        let folded = value.replace(';', "\r\n ; \r\n\t").replace('=', " = ");
        assert_eq!(accept(&folded).0, expected, "{row} with white space at every separator");
    }
    let (cpi, _) = decode(&[("Accept-Encoding", "identity;length=max+32768")]);
    assert_eq!(cpi.whole, [WholeLimit::identity(Interval::at_most(32768))], "E1");
    assert_eq!(cpi.media, None, "E1");
}

#[test]
fn parameters_before_q_belong_to_the_type_and_those_behind_it_to_nobody() {
    let (media, diags) =
        accept("Text/Plain;media-pix-x=5;Charset=UTF-8;format=\"a b\";q=0.5;ext=1;length=max+9");
    assert_eq!(media[0].range, "text/plain");
    let params: Vec<_> =
        media[0].params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(params, [("charset", "UTF-8"), ("format", "a b")]);
    assert_eq!(media[0].length, Interval::at_most(9));
    assert_eq!(media[0].pix_x, Interval::exactly(5));
    assert!(diags.is_empty());
}

#[test]
fn several_fields_are_one_list_and_names_have_no_case() {
    let (cpi, _) = decode(&[("accept", "a/b"), ("X", "y"), ("ACCEPT", "c/d , , e/f")]);
    let ranges: Vec<_> = cpi.media.unwrap().into_iter().map(|entry| entry.range).collect();
    assert_eq!(ranges, ["a/b", "c/d", "e/f"]);
}

#[test]
fn an_empty_accept_accepts_nothing_and_none_is_unknown() {
    assert_eq!(decode(&[("Accept", "")]).0.media, Some(Vec::new()));
    assert_eq!(decode(&[]).0, Cpi::default());
}

#[test]
fn a_bad_constraint_is_dropped_alone() {
    for value in ["huge", "max640", "max+-5", "max--5", "9223372036854775808", "\"max\""] {
        let (media, diags) = accept(&format!("image/png;media-pix-x=max+640;media-pix-y={value};q=0.5"));
        assert_eq!(media, [entry("image/png", 500, Some(640), None, None)], "{value}");
        assert_eq!(diags, [format!("bad-constraint:{}", value.trim_matches('"'))], "{value}");
    }
    assert_eq!(accept("a/b;length").1, ["bad-constraint:"]);
}

#[test]
fn a_range_that_is_none_is_dropped_alone() {
    for value in ["gif", "image/", "/gif", "*/gif", "im age/gif", "a/b/c", ";q=1"] {
        let (media, diags) = accept(&format!("{value}, text/plain"));
        assert_eq!(media.len(), 1, "{value}");
        assert!(diags[0].starts_with("bad-range:"), "{value}: {diags:?}");
    }
    assert_eq!(accept("image / gif").0[0].range, "image/gif");
    assert_eq!(accept("*;q=.2").0[0].range, "*/*");
}

#[test]
fn a_contradiction_is_kept_but_never_satisfied() {
    let (media, _) = accept("image/gif;length=max-0, image/png;media-pix-x=min+5;media-pix-x=max+4");
    assert!(media.iter().all(MediaEntry::is_unsatisfiable));
}

#[test]
fn companions_read_their_own_parameters() {
    let (cpi, diags) = decode(&[
        ("Accept-Encoding", "GZIP;q=0.5;length=max+65536;x=1, *;q=0"),
        ("Accept-Charset", "UTF-8, iso-8859-1;q=0.5"),
        ("Accept-Language", "fi, en-GB;q=0.8"),
        ("Accept-Language", "*;q=0.1"),
        ("Max-Size", "60000"),
        ("Max-Size", "50000"),
        ("User-Agent", "Nokia7650/1.0(05.00)\r\n  Mozilla"),
        ("User-Agent", "second"),
    ]);
    let whole: Vec<_> = cpi.whole.iter().map(|w| (w.coding.as_str(), w.q, w.length.hi)).collect();
    assert_eq!(whole, [("gzip", 500, Some(65536)), ("*", 0, None)]);
    let charsets: Vec<_> = cpi.charsets.iter().flatten().map(|p| (p.name.as_str(), p.q)).collect();
    assert_eq!(charsets, [("utf-8", 1000), ("iso-8859-1", 500)]);
    let languages: Vec<_> = cpi.languages.iter().flatten().map(|p| (p.name.as_str(), p.q)).collect();
    assert_eq!(languages, [("fi", 1000), ("en-gb", 800), ("*", 100)]);
    assert_eq!(cpi.max_size, Some(50000));
    assert_eq!(cpi.user_agent.as_deref(), Some("Nokia7650/1.0(05.00) Mozilla"));
    assert!(diags.is_empty());
}

#[test]
fn an_empty_accept_encoding_is_identity_and_bad_companions_are_named() {
    assert_eq!(decode(&[("Accept-Encoding", "")]).0.whole, [WholeLimit::identity(Interval::UNLIMITED)]);
    let (cpi, diags) =
        decode(&[("Max-Size", "much"), ("Accept-Charset", "<>"), ("Accept-Encoding", "g zip;q=0.5")]);
    assert_eq!(cpi, Cpi::default());
    assert_eq!(diags, ["bad-max-size:much", "bad-token:<>", "bad-token:g zip"]);
}

#[test]
fn names_in_the_extension_table_carry_constraints_and_others_do_not() {
    let extensions: Extensions = ["audio-rate"].into_iter().collect();
    let value = b"audio/amr;Audio-Rate=max+8000;video-rate=5;q=1";
    let (cpi, _) = from_headers([(&b"Accept"[..], &value[..])], &extensions);
    let media = cpi.media.unwrap();
    assert_eq!(media[0].ext.get("audio-rate"), Some(&Interval::at_most(8000)));
    assert_eq!(media[0].params.get("video-rate").map(String::as_str), Some("5"));
}

#[test]
fn lists_user_agents_and_diagnostics_have_limits() {
    let many = vec!["a/b;length=x"; 10 * MAX_ENTRIES].join(",");
    let (media, diags) = accept(&many);
    assert_eq!(media.len(), MAX_ENTRIES);
    assert_eq!(diags.len(), cpi::diag::MAX_DIAGS);
    let (cpi, diags) = decode(&[
        ("Accept-Charset", &vec!["a"; 2 * MAX_ENTRIES].join(",")),
        ("Accept-Encoding", &vec!["a"; 2 * MAX_ENTRIES].join(",")),
        ("User-Agent", &"x".repeat(10_000)),
    ]);
    assert_eq!(cpi.charsets.unwrap().len(), MAX_ENTRIES);
    assert_eq!(cpi.whole.len(), MAX_ENTRIES);
    assert_eq!(cpi.user_agent.unwrap().len(), USER_AGENT_OCTETS);
    assert_eq!(diags, ["too-many-entries", "too-many-entries"]);
    let (_, diags) = accept(&format!("a/b;length={}", "x".repeat(10_000)));
    assert_eq!(diags[0].len(), "bad-constraint:".len() + cpi::diag::QUOTED_OCTETS);
}
