//! Texts of terminals in few octets: what nearly all of them write is one octet, and a UUID is sixteen. A record is
//! kept in memory as it is stored, so this is what a binding takes.
//!
//! Octets below 0x80 mean themselves. The list of phrases is part of the format on disk: it may grow at its end and
//! change nowhere else.

use std::sync::LazyLock;

use bytes::Bytes;

/// Sixteen octets of a UUID in lower case follow.
const UUID: u8 = 0xfe;

/// One octet that is not ASCII follows.
const OTHER: u8 = 0xff;

/// The first octet that means a phrase.
const FIRST: u8 = 0x80;

/// What the octets from [`FIRST`] on mean. Of two that begin alike the longer is taken.
const PHRASES: [&str; 64] = [
    ";+sip.instance=\"<urn:uuid:",
    ";+sip.instance=\"<urn:",
    ";+sip.instance=\"<",
    ">\"",
    ";reg-id=",
    ";reg-id=1",
    ";q=",
    ";type=\"",
    ";type=\"application\"",
    ";type=\"image/",
    ";type=\"text/plain\"",
    ";type=\"text/",
    ";encoding=\"",
    ";length=",
    ";media-pix-x=",
    ";media-pix-y=",
    "max+",
    "max-",
    ";mobility=\"",
    ";mobility=\"mobile\"",
    ";mobility=\"fixed\"",
    ";methods=\"",
    "INVITE",
    "MESSAGE",
    "OPTIONS",
    "CANCEL",
    "NOTIFY",
    "SUBSCRIBE",
    "REFER",
    "UPDATE",
    "PUBLISH",
    "PRACK",
    "INFO",
    "BYE",
    "ACK",
    ";audio",
    ";video",
    ";text",
    ";automata",
    ";application",
    ";class=\"",
    ";duplex=\"",
    ";description=\"",
    ";language=\"",
    ";schemes=\"",
    ";actor=\"",
    ";isfocus",
    ";+g.oma.sip-im",
    ";+g.3gpp.",
    ";+sip.ice",
    ";events=\"",
    ";extensions=\"",
    "sip:",
    "sips:",
    "<sip:",
    ";lr",
    ";lr>",
    ";ob",
    ";transport=udp",
    ";transport=tcp",
    ";transport=tls",
    ";transport=ws",
    ".invalid",
    "@192.168.",
];

/// An octet and the phrase it means.
type Phrase = (u8, &'static [u8]);

/// The phrases by their first octet, the longer ones first.
static BY_FIRST: LazyLock<Vec<Vec<Phrase>>> = LazyLock::new(|| {
    let mut by_first = vec![Vec::new(); usize::from(FIRST)];
    for (code, phrase) in (FIRST..).zip(PHRASES) {
        let phrase = phrase.as_bytes();
        let place = phrase.first().and_then(|first| by_first.get_mut(usize::from(*first)));
        place.into_iter().for_each(|same| same.push((code, phrase)));
    }
    by_first.iter_mut().for_each(|same| same.sort_by_key(|(_, phrase)| std::cmp::Reverse(phrase.len())));
    by_first
});

/// `text` in fewer octets, if it is an ordinary one.
pub(crate) fn pack(text: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        if let Some((code, behind)) = phrase(first, rest) {
            packed.push(code);
            rest = behind;
            if let Some((uuid, behind)) = uuid(rest).filter(|_| code == FIRST) {
                packed.push(UUID);
                packed.extend_from_slice(&uuid);
                rest = behind;
            }
            continue;
        }
        if !first.is_ascii() {
            packed.push(OTHER);
        }
        packed.push(first);
        rest = after;
    }
    packed
}

/// What [`pack`] made of a text; `None` if it can't have made that.
pub(crate) fn unpack(packed: &Bytes) -> Option<Bytes> {
    if packed.is_ascii() {
        return Some(packed.clone());
    }
    let mut text = Vec::with_capacity(packed.len() * 3);
    let mut rest = &packed[..];
    loop {
        let plain = rest.iter().position(|b| !b.is_ascii()).unwrap_or(rest.len());
        let (same, marked) = rest.split_at_checked(plain)?;
        text.extend_from_slice(same);
        let Some((&first, after)) = marked.split_first() else { break };
        rest = after;
        match first {
            UUID => {
                let (uuid, behind) = rest.split_first_chunk::<16>()?;
                write_uuid(&mut text, uuid);
                rest = behind;
            }
            OTHER => {
                let (&octet, behind) = rest.split_first()?;
                text.push(octet);
                rest = behind;
            }
            code => text.extend_from_slice(PHRASES.get(usize::from(code - FIRST))?.as_bytes()),
        }
    }
    Some(text.into())
}

fn phrase(first: u8, rest: &[u8]) -> Option<(u8, &[u8])> {
    let same = BY_FIRST.get(usize::from(first))?;
    same.iter().find_map(|(code, phrase)| Some((*code, rest.strip_prefix(*phrase)?)))
}

/// A UUID in lower case at the beginning of a text, and what follows.
fn uuid(text: &[u8]) -> Option<([u8; 16], &[u8])> {
    let (mut written, behind) = text.split_at_checked(36)?;
    let mut uuid = [0; 16];
    for (at, octet) in uuid.iter_mut().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            written = written.strip_prefix(b"-")?;
        }
        let ([high, low], rest) = written.split_first_chunk()?;
        *octet = digit(*high)? << 4 | digit(*low)?;
        written = rest;
    }
    Some((uuid, behind))
}

const fn digit(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    }
}

fn write_uuid(text: &mut Vec<u8>, uuid: &[u8; 16]) {
    for (at, octet) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push(b'-');
        }
        text.extend_from_slice(&[written(octet >> 4), written(octet & 0xf)]);
    }
}

/// The digit of a number below 16.
const fn written(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' + number - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &[u8]) -> usize {
        let packed = pack(text);
        assert_eq!(unpack(&packed.clone().into()).unwrap(), text, "{}", text.escape_ascii());
        packed.len()
    }

    #[test]
    fn an_ordinary_contact_takes_a_few_octets() {
        let params = b";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0000000000af>\";type=\"application\";mobility=\"mobile\"";
        assert_eq!(through(params), 1 + 1 + 16 + 1 + 2);
        assert_eq!(through(b"sip:u000001@127.0.0.1:5190;transport=tcp"), 1 + 22 + 1);
    }

    #[test]
    fn every_text_comes_back_as_it_was() {
        for text in [
            &b""[..],
            b"plain",
            b"\x00\x7f\x80\xfe\xff",
            b";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-0000000000AF>\"",
            b";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-00000000000",
            b";+sip.instance=\"<urn:uuid:000000000000-1000-8000-000000000000>\"",
            b";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000000000-00>\"",
            b";+sip.instance=\"<urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6>\";reg-id=12;q=0.5",
            "sip:jörg@example.com".as_bytes(),
        ] {
            through(text);
        }
        for phrase in PHRASES {
            assert!(through(phrase.as_bytes()) == 1, "{phrase}");
        }
        for first in 0..=255u8 {
            for second in [0, b';', b'=', 0x80, 0xfe, 0xff] {
                through(&[first, second, first]);
            }
        }
    }

    #[test]
    fn octets_that_were_never_packed_are_none() {
        for broken in [&[UUID][..], &[UUID, 1, 2], &[OTHER], &[FIRST + 64], &[0xfd]] {
            assert_eq!(unpack(&Bytes::copy_from_slice(broken)), None, "{}", broken.escape_ascii());
        }
    }
}
