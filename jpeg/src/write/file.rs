//! From tokens to a file (T.81 §B.2).

use super::Spectrum;
use super::code::Code;
use super::tables::Quantisers;
use super::tokens::Tokens;

/// Octets around the scan, about.
pub(super) fn overhead(gray: bool) -> f64 {
    if gray { 190.0 } else { 350.0 }
}

pub(super) fn write(spectrum: &Spectrum, quantisers: &Quantisers, tokens: &Tokens) -> Vec<u8> {
    let mut out = Vec::with_capacity(tokens.list.len() + 1024);
    out.extend_from_slice(&[0xff, 0xd8]);
    segment(&mut out, 0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let tables: &[_] =
        if spectrum.gray { &[&quantisers.luma] } else { &[&quantisers.luma, &quantisers.chroma] };
    let data: Vec<u8> =
        (0u8..).zip(tables).flat_map(|(at, table)| std::iter::once(at).chain(table.steps)).collect();
    segment(&mut out, 0xdb, &data);
    let ([h1, h0], [w1, w0]) = (spectrum.height.to_be_bytes(), spectrum.width.to_be_bytes());
    if spectrum.gray {
        segment(&mut out, 0xc0, &[8, h1, h0, w1, w0, 1, 1, 0x11, 0]);
    } else {
        segment(&mut out, 0xc0, &[8, h1, h0, w1, w0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]);
    }
    let words = codes(&mut out, tokens);
    if spectrum.gray {
        segment(&mut out, 0xda, &[1, 1, 0, 0, 63, 0]);
    } else {
        segment(&mut out, 0xda, &[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    }
    scan(&mut out, tokens, &words);
    out.extend_from_slice(&[0xff, 0xd9]);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, data: &[u8]) {
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&(data.len() as u16 + 2).to_be_bytes());
    out.extend_from_slice(data);
}

/// Writes the tables of codes and gives the codes by [`super::tokens::Token::code`].
fn codes(out: &mut Vec<u8>, tokens: &Tokens) -> Vec<u32> {
    let mut words = Vec::with_capacity(1024);
    let mut data = Vec::new();
    for (class, counts) in [0x00, 0x10, 0x01, 0x11].into_iter().zip(tokens.counts.as_chunks::<256>().0) {
        let Some(code) = Code::best(counts) else {
            words.extend_from_slice(&[0; 256]);
            continue;
        };
        data.push(class);
        data.extend_from_slice(&code.counts);
        data.extend_from_slice(&code.symbols);
        words.extend_from_slice(&code.words());
    }
    segment(out, 0xc4, &data);
    words
}

fn scan(out: &mut Vec<u8>, tokens: &Tokens, words: &[u32]) {
    let Some(words) = words.first_chunk::<1024>() else { return };
    let (mut held, mut count) = (0u64, 0u32);
    for token in &tokens.list {
        let word = words.get(token.code()).copied().unwrap_or_default();
        let (code, length, more) = (word >> 8, word & 0xff, token.extra_bits());
        held = held << (length + more) | u64::from(code << more | token.extra());
        count += length + more;
        if count >= 32 {
            count -= 32;
            let octets = ((held >> count) as u32).to_be_bytes();
            if octets.contains(&0xff) {
                octets.into_iter().for_each(|octet| push_stuffed(out, octet));
            } else {
                out.extend_from_slice(&octets);
            }
        }
    }
    while count >= 8 {
        count -= 8;
        push_stuffed(out, (held >> count) as u8);
    }
    if count > 0 {
        push_stuffed(out, (held << (8 - count)) as u8 | (0xff >> count));
    }
}

fn push_stuffed(out: &mut Vec<u8>, octet: u8) {
    out.push(octet);
    if octet == 0xff {
        out.push(0);
    }
}
