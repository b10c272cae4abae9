//! The best Huffman code for the symbols of one picture, no code longer than 16 bits and none all ones (T.81 Annex K.2).

/// How many codes there are of each length from 1, and the symbols in the order of their codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Code {
    pub(super) counts: [u8; 16],
    pub(super) symbols: Vec<u8>,
}

impl Code {
    /// For symbols that come so often; `None` if none does.
    pub(super) fn best(frequencies: &[u32; 256]) -> Option<Code> {
        let mut symbols: Vec<(u32, u8)> =
            frequencies.iter().copied().zip(0..=255).filter(|(count, _)| *count > 0).collect();
        if symbols.is_empty() {
            return None;
        }
        symbols.sort_unstable_by_key(|&(count, symbol)| (count, 255 - symbol));
        // One more that never comes takes the code of all ones.
        let weights: Vec<u64> =
            std::iter::once(0).chain(symbols.iter().map(|&(count, _)| u64::from(count))).collect();
        let mut counts = lengths(&weights);
        limit(&mut counts);
        if let Some(longest) = counts.iter_mut().rev().find(|count| **count > 0) {
            *longest -= 1;
        }
        let mut of_length = [0; 16];
        of_length.iter_mut().zip(counts.iter().skip(1)).for_each(|(to, &count)| *to = count as u8);
        Some(Code {
            counts: of_length,
            symbols: symbols.into_iter().rev().map(|(_, symbol)| symbol).collect(),
        })
    }

    /// For each symbol its code above the length of it in the low octet.
    pub(super) fn words(&self) -> [u32; 256] {
        let mut words = [0; 256];
        let (mut next, mut symbols) = (0u32, self.symbols.iter());
        for (length, &count) in (1u32..).zip(&self.counts) {
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                if let Some(word) = words.get_mut(usize::from(symbol)) {
                    *word = next << 8 | length;
                }
                next += 1;
            }
            next <<= 1;
        }
        words
    }
}

/// Lengths there can be before they are limited.
const DEEPEST: usize = 258;

/// How many leaves of a Huffman tree lie at each depth. `weights` rise.
fn lengths(weights: &[u64]) -> [u32; DEEPEST] {
    let mut leaves = weights.iter().copied().enumerate().peekable();
    let leaf_count = weights.len();
    // Inner nodes are made in the order of their weights, so both queues rise.
    let mut inner: Vec<u64> = Vec::with_capacity(leaf_count);
    let mut parents = vec![0usize; leaf_count * 2];
    let mut taken = 0;
    while inner.len() + 1 < leaf_count {
        let mut sum = 0;
        for _ in 0..2 {
            let made = inner.get(taken).copied();
            let from_leaf = leaves.next_if(|&(_, weight)| made.is_none_or(|made| weight <= made));
            let (node, weight) = match (from_leaf, made) {
                (Some(leaf), _) => leaf,
                (None, Some(made)) => {
                    taken += 1;
                    (leaf_count + taken - 1, made)
                }
                (None, None) => continue,
            };
            sum += weight;
            if let Some(parent) = parents.get_mut(node) {
                *parent = leaf_count + inner.len();
            }
        }
        inner.push(sum);
    }
    // The root was made last: depths follow from it down.
    let nodes = leaf_count + inner.len();
    let mut depths = vec![0usize; nodes];
    let mut counts = [0; DEEPEST];
    for node in (0..nodes).rev() {
        let above = parents.get(node).filter(|_| node + 1 < nodes).and_then(|&parent| depths.get(parent));
        let depth = above.map_or(0, |above| above + 1);
        if let Some(slot) = depths.get_mut(node) {
            *slot = depth;
        }
        if node < leaf_count
            && let Some(count) = counts.get_mut(depth)
        {
            *count += 1;
        }
    }
    counts
}

/// Moves leaves that lie deeper than 16 up, as figure K.3 does.
fn limit(counts: &mut [u32; DEEPEST]) {
    for length in (17..DEEPEST).rev() {
        while counts.get(length).is_some_and(|&count| count > 0) {
            let shorter =
                (1..length - 1).rev().find(|&shorter| counts.get(shorter).is_some_and(|&count| count > 0));
            let Some(shorter) = shorter else { return };
            for (at, change) in [(length, -2), (length - 1, 1), (shorter + 1, 2), (shorter, -1)] {
                if let Some(count) = counts.get_mut(at) {
                    *count = count.saturating_add_signed(change);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(code: &Code) -> u32 {
        (1..=16).zip(code.counts).map(|(length, count)| u32::from(count) << (16 - length)).sum()
    }

    #[test]
    fn no_code_is_longer_than_16_bits_nor_all_ones() {
        // Weights of Fibonacci make the deepest tree there is.
        let mut frequencies = [0u32; 256];
        let (mut a, mut b) = (1u32, 1u32);
        for count in frequencies.iter_mut().take(40) {
            *count = a;
            (a, b) = (b, a + b);
        }
        let code = Code::best(&frequencies).unwrap();
        assert_eq!(code.symbols.len(), 40);
        assert_eq!(code.counts.iter().map(|&count| usize::from(count)).sum::<usize>(), 40);
        assert!(filled(&code) < 1 << 16);
        assert_eq!(code.symbols[0], 39, "what comes most has the shortest code");
    }

    #[test]
    fn one_symbol_has_a_code_of_one_bit() {
        let mut frequencies = [0; 256];
        frequencies[7] = 100;
        let code = Code::best(&frequencies).unwrap();
        assert_eq!((code.counts[0], &code.symbols[..]), (1, &[7u8][..]));
        assert_eq!(code.words()[7], 1);
        assert_eq!(Code::best(&[0; 256]), None);
    }

    #[test]
    fn all_symbols_alike_have_codes_of_eight_or_nine_bits() {
        let code = Code::best(&[5; 256]).unwrap();
        assert_eq!(code.counts[..7], [0; 7]);
        assert_eq!((code.counts[7], code.counts[8]), (255, 1));
        assert!(filled(&code) < 1 << 16);
    }
}
