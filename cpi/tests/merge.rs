//! CPI.md §1.7: which CPI counts, rules L1-L5.

use cpi::decode::from_headers;
use cpi::{ContactCpi, Cpi, Extensions, Interval, Source, WholeLimit, contact, merge};

fn head(fields: &[(&str, &str)]) -> Cpi {
    from_headers(fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), &Extensions::NONE).0
}

fn params(text: &str) -> ContactCpi {
    contact::decode(grammar::params(text.as_bytes()), &Extensions::NONE)
}

fn ranges(cpi: &Cpi) -> Vec<&str> {
    cpi.media.iter().flatten().map(|entry| entry.range.as_str()).collect()
}

fn header_cpi() -> Cpi {
    head(&[
        ("Accept", "text/plain, image/jpeg"),
        ("Accept-Encoding", "identity;length=max+32768"),
        ("Accept-Charset", "utf-8"),
        ("Max-Size", "60000"),
        ("User-Agent", "phone"),
    ])
}

#[test]
fn contact_groups_replace_the_accept_of_a_register_and_the_rest_stays() {
    let binding = merge::binding(&header_cpi(), &params(r#"type="image/gif";media-pix-x=max+160;audio"#));
    assert_eq!(ranges(&binding), ["image/gif"]);
    assert_eq!(binding.whole, [WholeLimit::identity(Interval::at_most(32768))]);
    assert_eq!((binding.max_size, binding.user_agent.as_deref()), (Some(60000), Some("phone")));
    assert!(binding.charsets.is_some() && binding.features.term("audio").is_some());
    assert_eq!(binding.source, Source::Binding);
}

#[test]
fn an_encoding_group_replaces_accept_encoding() {
    let binding = merge::binding(&header_cpi(), &params("encoding=identity;length=max+5"));
    assert_eq!(binding.whole, [WholeLimit::identity(Interval::at_most(5))]);
    assert_eq!(ranges(&binding), ["text/plain", "image/jpeg"]);
}

#[test]
fn a_contact_without_groups_takes_the_headers() {
    let binding = merge::binding(&header_cpi(), &params("q=0.3;expires=60"));
    assert_eq!(binding, header_cpi().with_source(Source::Binding));
}

#[test]
fn in_an_options_answer_the_header_wins_over_the_tag() {
    let contact = params(r#"type="image/png";encoding=gzip;media-pix-x=max+5"#);
    let learned = merge::headers_win(&header_cpi(), Some(&contact), Source::Learned);
    assert_eq!(ranges(&learned), ["text/plain", "image/jpeg"]);
    assert_eq!(learned.whole, [WholeLimit::identity(Interval::at_most(32768))]);
    assert!(learned.implicit.is_empty());
    assert_eq!(learned.source, Source::Learned);
    let alone = merge::headers_win(&Cpi::default(), Some(&contact), Source::Dialog);
    assert_eq!((ranges(&alone), alone.whole.len(), alone.source), (vec!["image/png"], 1, Source::Dialog));
    assert_eq!(merge::headers_win(&header_cpi(), None, Source::Dialog).source, Source::Dialog);
}

#[test]
fn the_language_tag_stands_in_for_accept_language() {
    let of = |text: &str| {
        let languages = merge::binding(&Cpi::default(), &params(text)).languages.unwrap();
        languages.into_iter().map(|each| (each.name, each.q)).collect::<Vec<_>>()
    };
    assert_eq!(of(r#"language="en,DE""#), [("en".to_owned(), 1000), ("de".to_owned(), 1000)]);
    assert_eq!(of(r#"language="!en""#), [("en".to_owned(), 0), ("*".to_owned(), 1000)]);
    let said = merge::binding(&head(&[("Accept-Language", "fi")]), &params("language=en"));
    assert_eq!(said.languages.unwrap()[0].name, "fi");
}

#[test]
fn the_source_decides_whose_cpi_counts_and_who_says_nothing_does_not() {
    let of = |source| header_cpi().with_source(source);
    let all = [of(Source::Profile), of(Source::Dialog), of(Source::Binding), of(Source::Learned)];
    assert_eq!(merge::effective(&all).unwrap().source, Source::Dialog);
    assert_eq!(merge::effective([&all[3], &all[2]]).unwrap().source, Source::Binding);
    assert_eq!(merge::effective([&all[3], &all[0]]).unwrap().source, Source::Learned);
    let silent = head(&[("User-Agent", "phone")]).with_source(Source::Binding);
    assert_eq!(merge::effective([&silent, &all[0]]).unwrap().source, Source::Profile);
    assert_eq!(merge::effective([&silent]), None);
}

#[test]
fn a_refresh_without_cpi_keeps_the_header_cpi_of_its_call_id() {
    let stored = header_cpi();
    let silent = head(&[("User-Agent", "newer")]);
    let kept = merge::refresh(Some(&stored), silent.clone(), true);
    assert_eq!(kept, Cpi { user_agent: Some("newer".into()), ..stored.clone() });
    assert_eq!(merge::refresh(Some(&stored), Cpi::default(), true), stored);
    assert_eq!(merge::refresh(Some(&stored), silent.clone(), false), silent);
    assert_eq!(merge::refresh(None, silent.clone(), true), silent);
}

#[test]
fn a_refresh_with_any_cpi_header_replaces_all_of_it() {
    for (name, value) in [
        ("Accept", "image/gif"),
        ("Accept-Encoding", ""),
        ("Accept-Charset", "utf-8"),
        ("Accept-Language", "fi"),
        ("Max-Size", "5"),
    ] {
        let fresh = head(&[(name, value)]);
        assert_eq!(merge::refresh(Some(&header_cpi()), fresh.clone(), true), fresh, "{name}");
    }
}
