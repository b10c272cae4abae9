//! Huffman tables made for one picture, without touching a coefficient: the symbols of a baseline scan are read
//! with the tables they were written with, counted, and written again with the best ones (ITU-T T.81 Annex K.2).
//! `jpeg-encoder` can do so too, but then writes a scan for each colour, which many small decoders (and
//! zune-jpeg) do not show.

use super::container::{self, EOI, SOS, Segment};

const DHT: u8 = 0xc4;

/// Rewrites `jpeg`, baseline with one scan and no restart markers. `None` if it is something else, or if
/// nothing is gained.
pub(super) fn tighten(jpeg: &[u8]) -> Option<Vec<u8>> {
    let mut before = Vec::new();
    let mut frame = None;
    let mut tables: [Option<Codes>; 4] = [const { None }; 4];
    let mut segments = container::segments(jpeg);
    let scan = loop {
        let segment = segments.next()?;
        match segment.marker {
            DHT => read_tables(segment.data, &mut tables)?,
            SOS => break segment,
            0xc0 | 0xc1 => frame = Some(segment.data),
            0xc2..=0xcf | 0xdd => return None,
            _ => {}
        }
        if segment.marker != DHT {
            before.extend_from_slice(segment.whole);
        }
    };
    let data = segments.next()?.data;
    if segments.next()?.marker != EOI {
        return None;
    }
    let layout = Layout::of(frame?, &scan)?;
    let tokens = layout.read(data, &tables)?;
    let written = write(before, &scan, &tokens);
    (written.len() < jpeg.len()).then_some(written)
}

/// Which tables the blocks of an MCU use, and how many MCUs there are.
struct Layout {
    /// One entry a block: the component, its DC and its AC table. Tables 0 and 1 are DC, 2 and 3 AC.
    blocks: Vec<(u8, u8)>,
    mcus: usize,
}

impl Layout {
    fn of(frame: &[u8], scan: &Segment<'_>) -> Option<Layout> {
        let &[_, h0, h1, w0, w1, count, ref components @ ..] = frame else { return None };
        let (width, height) = (u16::from_be_bytes([w0, w1]), u16::from_be_bytes([h0, h1]));
        let components = components.as_chunks::<3>().0;
        let (&scanned, selectors) = scan.data.split_first()?;
        if scanned != count || components.len() != usize::from(count) {
            return None;
        }
        let factors = |&[_, factors, _]: &[u8; 3]| (usize::from(factors >> 4), usize::from(factors & 15));
        let (wide, high) = components.iter().map(factors).fold((1, 1), |(w, h), (x, y)| (w.max(x), h.max(y)));
        let single = count == 1;
        let mut blocks = Vec::new();
        for (component, &[_, tables]) in components.iter().zip(selectors.as_chunks::<2>().0) {
            let (x, y) = factors(component);
            let of_mcu = if single { 1 } else { x * y };
            let (dc, ac) = (tables >> 4, tables & 15);
            if dc > 1 || ac > 1 || of_mcu == 0 || of_mcu > 4 {
                return None;
            }
            blocks.extend(std::iter::repeat_n((dc, 2 + ac), of_mcu));
        }
        let (wide, high) = if single { (1, 1) } else { (wide, high) };
        let mcus = usize::from(width).div_ceil(8 * wide) * usize::from(height).div_ceil(8 * high);
        Some(Layout { blocks, mcus })
    }

    fn read(&self, data: &[u8], tables: &[Option<Codes>; 4]) -> Option<Vec<Token>> {
        let mut bits = Bits::new(data);
        let mut tokens = Vec::with_capacity(data.len() * 2);
        for _ in 0..self.mcus {
            for &(dc, ac) in &self.blocks {
                let (dc_codes, ac_codes) =
                    (tables.get(usize::from(dc))?.as_ref()?, tables.get(usize::from(ac))?.as_ref()?);
                let size = bits.symbol(dc_codes)?;
                tokens.push(Token::new(dc, size, bits.take(size)?));
                let mut at = 1;
                while at < 64 {
                    let symbol = bits.symbol(ac_codes)?;
                    tokens.push(Token::new(ac, symbol, bits.take(symbol & 15)?));
                    match symbol {
                        0 => break,
                        0xf0 => at += 16,
                        _ => at += 1 + usize::from(symbol >> 4),
                    }
                }
            }
        }
        Some(tokens)
    }
}

/// A symbol, the table it is of, and the bits that follow it.
#[derive(Clone, Copy)]
struct Token {
    table: u8,
    symbol: u8,
    extra: u16,
}

impl Token {
    const fn new(table: u8, symbol: u8, extra: u16) -> Token {
        Token { table, symbol, extra }
    }

    const fn extra_bits(self) -> u8 {
        if self.table < 2 { self.symbol } else { self.symbol & 15 }
    }
}

/// How to read a table: for every 16 bits, the symbol they start with and its length (0: none).
struct Codes(Vec<(u8, u8)>);

fn read_tables(mut data: &[u8], tables: &mut [Option<Codes>; 4]) -> Option<()> {
    while let Some((&class, rest)) = data.split_first() {
        let (counts, rest) = rest.split_first_chunk::<16>()?;
        let total = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(total)?;
        data = rest;
        let mut codes = Vec::with_capacity(1 << 16);
        let mut symbols = symbols.iter();
        for (length, &count) in (1u8..=16).zip(counts) {
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                codes.extend(std::iter::repeat_n((symbol, length), 1 << (16 - length)));
            }
        }
        codes.resize(1 << 16, (0, 0));
        let slot = usize::from(class >> 4) * 2 + usize::from(class & 15);
        *tables.get_mut(slot).filter(|_| class & 15 < 2)? = Some(Codes(codes));
    }
    Some(())
}

/// Reads a scan bit by bit, its stuffed zeros left out.
struct Bits<'a> {
    data: std::slice::Iter<'a, u8>,
    held: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Bits<'a> {
        Bits { data: data.iter(), held: 0, count: 0 }
    }

    /// Behind the end there are ones, as an encoder fills its last octet.
    fn fill(&mut self) {
        while self.count <= 48 {
            let octet = self.data.next().copied().unwrap_or(0xff);
            if octet == 0xff {
                self.data.next();
            }
            self.held = self.held << 8 | u64::from(octet);
            self.count += 8;
        }
    }

    fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        self.fill();
        let next = (self.held >> (self.count - 16)) & 0xffff;
        let &(symbol, length) = codes.0.get(next as usize)?;
        self.count -= u32::from(length);
        (length > 0).then_some(symbol)
    }

    fn take(&mut self, bits: u8) -> Option<u16> {
        if bits > 15 {
            return None;
        }
        self.fill();
        self.count -= u32::from(bits);
        Some(((self.held >> self.count) & ((1 << bits) - 1)) as u16)
    }
}

fn write(mut out: Vec<u8>, scan: &Segment<'_>, tokens: &[Token]) -> Vec<u8> {
    let mut frequencies = [[0u32; 257]; 4];
    for token in tokens {
        if let Some(count) = frequencies
            .get_mut(usize::from(token.table))
            .and_then(|table| table.get_mut(usize::from(token.symbol)))
        {
            *count += 1;
        }
    }
    // For every symbol its code and the length of it.
    let mut codes = [[(0u16, 0u8); 256]; 4];
    for ((class, table), codes) in [0x00u8, 0x01, 0x10, 0x11].iter().zip(&frequencies).zip(&mut codes) {
        if table.iter().all(|&count| count == 0) {
            continue;
        }
        let (counts, symbols) = best_table(table);
        out.extend_from_slice(&[0xff, DHT]);
        out.extend_from_slice(&(symbols.len() as u16 + 19).to_be_bytes());
        out.push(*class);
        out.extend_from_slice(&counts);
        out.extend_from_slice(&symbols);
        let lengths =
            (1u8..=16).zip(counts).flat_map(|(length, count)| std::iter::repeat_n(length, count.into()));
        let (mut code, mut last) = (0u32, 0);
        for (symbol, length) in symbols.iter().zip(lengths) {
            code <<= length - last;
            last = length;
            if let Some(slot) = codes.get_mut(usize::from(*symbol)) {
                *slot = (code as u16, length);
            }
            code += 1;
        }
    }
    out.extend_from_slice(scan.whole);
    let (mut held, mut count) = (0u64, 0u32);
    for token in tokens {
        let codes = codes.get(usize::from(token.table));
        let (code, length) =
            codes.and_then(|codes| codes.get(usize::from(token.symbol))).copied().unwrap_or_default();
        held = (held << length | u64::from(code)) << token.extra_bits() | u64::from(token.extra);
        count += u32::from(length) + u32::from(token.extra_bits());
        while count >= 8 {
            count -= 8;
            push_stuffed(&mut out, (held >> count) as u8);
        }
    }
    if count > 0 {
        push_stuffed(&mut out, (held << (8 - count)) as u8 | (0xff >> count));
    }
    out.extend_from_slice(&[0xff, EOI]);
    out
}

fn push_stuffed(out: &mut Vec<u8>, octet: u8) {
    out.push(octet);
    if octet == 0xff {
        out.push(0);
    }
}

/// Annex K.2: how many codes there are of each length, and the symbols in the order of their codes. The entry 256
/// keeps the code of all ones unused.
#[expect(clippy::indexing_slicing, reason = "every index is a symbol up to 256, or a length that K.2 bounds")]
fn best_table(frequencies: &[u32; 257]) -> ([u8; 16], Vec<u8>) {
    let mut weights = *frequencies;
    weights[256] = 1;
    let mut lengths = [0usize; 257];
    let mut next: [Option<usize>; 257] = [None; 257];
    loop {
        let mut lightest = (0..257).filter(|&at| weights[at] > 0).collect::<Vec<_>>();
        lightest.sort_by_key(|&at| (weights[at], usize::MAX - at));
        let [first, second, ..] = lightest[..] else { break };
        weights[first] += weights[second];
        weights[second] = 0;
        // Both trees move one bit down, and the second is hung behind the first.
        let mut at = first;
        loop {
            lengths[at] += 1;
            match next[at] {
                Some(behind) => at = behind,
                None => break,
            }
        }
        next[at] = Some(second);
        let mut at = Some(second);
        while let Some(here) = at {
            lengths[here] += 1;
            at = next[here];
        }
    }
    let mut counts = [0u32; 258];
    for &length in lengths.iter().filter(|&&length| length > 0) {
        counts[length] += 1;
    }
    for length in (17..258).rev() {
        while counts[length] > 0 {
            let mut shorter = length - 2;
            while counts[shorter] == 0 {
                shorter -= 1;
            }
            counts[length] -= 2;
            counts[length - 1] += 1;
            counts[shorter + 1] += 2;
            counts[shorter] -= 1;
        }
    }
    if let Some(longest) = (1..=16).rev().find(|&length| counts[length] > 0) {
        counts[longest] -= 1;
    }
    let mut symbols: Vec<usize> = (0..256).filter(|&symbol| lengths[symbol] > 0).collect();
    symbols.sort_by_key(|&symbol| lengths[symbol]);
    (std::array::from_fn(|at| counts[at + 1] as u8), symbols.into_iter().map(|symbol| symbol as u8).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(width: u16, height: u16, sampling: jpeg_encoder::SamplingFactor) -> Vec<u8> {
        let pixels: Vec<u8> = (0..u32::from(width) * u32::from(height))
            .flat_map(|i| [(i * 7) as u8, (i * i / 31) as u8, (i / 97) as u8])
            .collect();
        let mut jpeg = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
        encoder.set_sampling_factor(sampling);
        encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        jpeg
    }

    #[test]
    fn every_coefficient_stays_and_octets_go() {
        use jpeg_encoder::SamplingFactor::{F_1_1, F_2_1, F_2_2};
        for (width, height) in [(1, 1), (8, 8), (17, 33), (160, 120)] {
            for sampling in [F_1_1, F_2_1, F_2_2] {
                let before = drawn(width, height, sampling);
                let after = tighten(&before).unwrap();
                assert!(after.len() < before.len());
                let pixels = |jpeg: &[u8]| image::load_from_memory(jpeg).unwrap().to_rgb8();
                assert_eq!(pixels(&after), pixels(&before), "{width}x{height} {sampling:?}");
            }
        }
    }

    #[test]
    fn gray_has_one_component_and_two_tables() {
        let mut jpeg = Vec::new();
        let encoder = jpeg_encoder::Encoder::new(&mut jpeg, 80);
        let pixels: Vec<u8> = (0..50 * 40u32).map(|i| (i * 13) as u8).collect();
        encoder.encode(&pixels, 50, 40, jpeg_encoder::ColorType::Luma).unwrap();
        let after = tighten(&jpeg).unwrap();
        let pixels = |jpeg: &[u8]| image::load_from_memory(jpeg).unwrap().to_luma8();
        assert_eq!(pixels(&after), pixels(&jpeg));
    }

    #[test]
    fn no_code_is_longer_than_16_bits_nor_all_ones() {
        // Weights of Fibonacci make the deepest tree there is.
        let mut frequencies = [0u32; 257];
        let (mut a, mut b) = (1u32, 1u32);
        for count in frequencies.iter_mut().take(40) {
            *count = a;
            (a, b) = (b, a + b);
        }
        let (counts, symbols) = best_table(&frequencies);
        assert_eq!(symbols.len(), 40);
        assert_eq!(counts.iter().map(|&count| usize::from(count)).sum::<usize>(), 40);
        let filled: u32 = (1..=16).zip(counts).map(|(length, count)| u32::from(count) << (16 - length)).sum();
        assert!(filled < 1 << 16);
    }

    #[test]
    fn a_scan_that_is_cut_short_is_left_as_it_is() {
        let whole = drawn(64, 64, jpeg_encoder::SamplingFactor::F_2_2);
        for at in (0..whole.len()).step_by(7) {
            assert!(tighten(&whole[..at]).is_none());
        }
    }
}
