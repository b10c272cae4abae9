//! Capabilities in header fields and Contact parameters: whatever the octets, bounded values that are stored
//! and read back equal, and a match within its range.

use cpi::matching::{Item, Options, fit, implied, quality, tiers};
use cpi::{Cpi, Extensions, Source, contact, decode, index, merge};

/// A head of `Name: value` lines, from which all is read that may come in one.
pub fn run(data: &[u8]) {
    let extensions: Extensions = ["audio-rate"].into_iter().collect();
    let fields = || grammar::fields(data).map(|field| (field.name, field.value));
    let (headers, _) = decode::from_headers(fields(), &extensions);
    let contact = contact::decode(grammar::params(data), &extensions);
    matched(&headers);
    matched(&merge::binding(&headers, &contact));
    stored(&merge::headers_win(&headers, Some(&contact), Source::Learned));
    let (message, _) = index::describe(b"REGISTER sip:a SIP/2.0", fields(), &extensions);
    assert!(serde_json::to_string(&message).is_ok());
}

fn matched(cpi: &Cpi) {
    let options = Options { strict_specificity: false, implied: implied("MESSAGE", None) };
    for media_type in ["image/gif", "text/plain", "message/external-body"] {
        let item =
            Item { media_type, length: Some(3073), width: Some(320), height: Some(240), ..Item::default() };
        assert!(quality(cpi, &item, options) <= 1000);
        for tier in tiers(cpi, media_type, &[], options) {
            assert!((1..=1000).contains(&tier.q));
            if let Some((width, height)) = fit(320, 240, &tier.pix_x, &tier.pix_y) {
                assert!(width <= 320 && height <= 240);
            }
        }
    }
}

fn stored(cpi: &Cpi) {
    let text = serde_json::to_string(cpi).unwrap_or_default();
    assert_eq!(serde_json::from_str::<Cpi>(&text).ok().as_ref(), Some(cpi));
}
