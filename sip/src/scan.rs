//! Looks at many octets at once, without `unsafe`: blocks of sixteen, of which the compiler makes one instruction
//! of the processor, and words of eight.

const ONES: u64 = u64::from_le_bytes([1; 8]);

/// Where the first octet stands that is not above CR: a line end, a NUL, rarely a tab or another control.
#[inline(always)]
pub(crate) fn low_octet(text: &[u8]) -> Option<usize> {
    // Sixteen octets are compared at once; the compiler makes one instruction of it.
    let is_low = |block: &[u8; 16]| block.iter().fold(false, |low, &b| low | (b <= b'\r'));
    let mut rest = text;
    while let Some((block, after)) = rest.split_first_chunk() {
        if is_low(block) {
            let both = u128::from_le_bytes(*block);
            let (low, high) = (low_octets(both as u64), low_octets((both >> 64) as u64));
            let at = if low == 0 { 64 + high.trailing_zeros() } else { low.trailing_zeros() };
            return Some(text.len() - rest.len() + (at / 8) as usize);
        }
        rest = after;
    }
    rest.iter().position(|&b| b <= b'\r').map(|at| text.len() - rest.len() + at)
}

/// The top bit of every octet that is not above CR; exact for the lowest one.
#[inline(always)]
const fn low_octets(word: u64) -> u64 {
    word.wrapping_sub(ONES * (b'\r' as u64 + 1)) & !word & (ONES * 0x80)
}

/// Whether `octet` stands in `text`.
#[inline(always)]
pub(crate) fn holds(text: &[u8], octet: u8) -> bool {
    let any = |block: &[u8; 16]| block.iter().fold(false, |any, &b| any | (b == octet));
    match (text.last_chunk(), text.as_chunks().0) {
        // The last block overlaps the one before it, so that nothing is left over.
        (Some(last), blocks) => any(last) || blocks.iter().any(any),
        (None, _) => text.contains(&octet),
    }
}

/// Whether `text` has neither blanks nor ASCII controls.
pub(crate) fn all_printable(text: &[u8]) -> bool {
    let (words, rest) = text.as_chunks();
    // The top bit of an octet that is below 0x21 or is DEL, of one at least if there is any.
    let marked = words.iter().fold(0, |marked, word| {
        let word = u64::from_le_bytes(*word);
        let delete = word ^ (ONES * 0x7f);
        marked | (word.wrapping_sub(ONES * 0x21) & !word) | (delete.wrapping_sub(ONES) & !delete)
    });
    marked & (ONES * 0x80) == 0 && rest.iter().all(|&b| b > b' ' && b != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_octet_is_found_wherever_it_stands() {
        for (len, at, octet) in
            (1..70).flat_map(|len| (0..len).flat_map(move |at| [0, 9, 10, 13].map(|b| (len, at, b))))
        {
            let mut text: Vec<u8> = (0..len).map(|i| [0x0e, 0x80, 0x8d, 0xff, b'a'][i % 5]).collect();
            assert_eq!(low_octet(&text), None);
            text[at] = octet;
            assert_eq!(low_octet(&text), Some(at), "{at} of {len}");
        }
    }

    #[test]
    fn an_octet_is_held_wherever_it_stands() {
        for (len, at) in (1..70).flat_map(|len| (0..len).map(move |at| (len, at))) {
            let mut text = vec![b'+'; len];
            assert!(!holds(&text, b','));
            text[at] = b',';
            assert!(holds(&text, b','), "{at} of {len}");
        }
        assert!(!holds(b"", b','));
    }

    #[test]
    fn printable_text_has_no_blank_and_no_control_anywhere() {
        for (at, octet) in (0..20).flat_map(|at| (0..=255u8).map(move |b| (at, b))) {
            let mut text = [b'x'; 20];
            text[at] = octet;
            assert_eq!(all_printable(&text), octet > b' ' && octet != 0x7f, "{octet} at {at}");
        }
    }
}
