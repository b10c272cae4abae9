//! Finding which header a name is. A line begins with its name in the buffer, so sixteen octets are loaded at
//! once and compared as two numbers, without a loop over letters: this runs for every line of every message.

use super::{COMPACT, HeaderId, KNOWN};

/// Sixteen octets as two numbers.
type Words = [u64; 2];

/// A name of up to 15 letters and hyphens.
#[derive(Clone, Copy)]
struct Key {
    /// The numbers that its octets make in lower case, with the colon.
    words: Words,
    /// The bit by which the two cases of a letter differ, for every letter.
    cases: Words,
    id: HeaderId,
    /// The next key of the same slot.
    next: u8,
}

struct Table {
    slots: [u8; SLOTS],
    keys: [Key; KNOWN.len() + COMPACT.len()],
}

const SLOTS: usize = 512;
const NONE: u8 = u8::MAX;
const ONES: u64 = u64::from_le_bytes([1; 8]);

static TABLE: Table = table();

/// The header whose name and colon begin `line`, and the length of the name. `None` for names that are
/// unknown, have 16 letters or more, or stand before a blank: those take the long way.
#[inline(always)]
pub(crate) fn at_line_start(line: &[u8; 16]) -> Option<(HeaderId, u8)> {
    let [low, high] = words(line);
    let (len, words) = match colon(low) {
        Some(at) => (at, [low & upto(at), 0]),
        None => {
            let at = colon(high)?;
            (at + 8, [low, high & upto(at)])
        }
    };
    let mut at = TABLE.slots.get(slot(words)).copied().unwrap_or(NONE);
    while let Some(key) = TABLE.keys.get(usize::from(at)) {
        let ([low, high], [low_case, high_case]) = (words, key.cases);
        if [low | low_case, high | high_case] == key.words {
            return Some((key.id, len as u8));
        }
        at = key.next;
    }
    None
}

/// Where the first colon of eight octets stands.
#[inline(always)]
const fn colon(word: u64) -> Option<u32> {
    let differs = word ^ (ONES * b':' as u64);
    // The top bit of every octet that is zero; exact for the lowest one.
    let zeros = differs.wrapping_sub(ONES) & !differs & (ONES * 0x80);
    if zeros == 0 { None } else { Some(zeros.trailing_zeros() / 8) }
}

/// The octets up to and with the one at `at`.
#[inline(always)]
const fn upto(at: u32) -> u64 {
    u64::MAX >> (56 - 8 * at)
}

#[inline(always)]
const fn words(octets: &[u8; 16]) -> Words {
    let both = u128::from_le_bytes(*octets);
    [both as u64, (both >> 64) as u64]
}

/// Which header `name` is.
pub(super) fn id_of(name: &[u8]) -> HeaderId {
    let mut line = [0; 16];
    if let (Some(start), false) = (line.get_mut(..name.len()), name.is_empty()) {
        start.copy_from_slice(name);
        if let Some(end) = line.get_mut(name.len()) {
            *end = b':';
            let found = at_line_start(&line).filter(|&(_, len)| usize::from(len) == name.len());
            return found.map_or(HeaderId::Other, |(id, _)| id);
        }
    }
    let same = |known: &&(HeaderId, &str)| known.1.as_bytes().eq_ignore_ascii_case(name);
    LONG.iter().find(same).map_or(HeaderId::Other, |&(id, _)| id)
}

/// The names too long for a key.
static LONG: [(HeaderId, &str); long_names()] = long();

const fn long_names() -> usize {
    let (mut count, mut rest) = (0, KNOWN);
    while let [first, after @ ..] = rest {
        if first.1.len() >= 16 {
            count += 1;
        }
        rest = after;
    }
    count
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn long() -> [(HeaderId, &'static str); long_names()] {
    let mut long = [(HeaderId::Other, ""); long_names()];
    let (mut count, mut rest) = (0, KNOWN);
    while let [first, after @ ..] = rest {
        if first.1.len() >= 16 {
            long[count] = *first;
            count += 1;
        }
        rest = after;
    }
    long
}

/// A slot that does not depend on case.
#[inline(always)]
const fn slot([low, high]: Words) -> usize {
    // Octets behind the colon are zero and become blanks, the same ones for every case.
    let folded = (low | (ONES * 0x20)) ^ (high | (ONES * 0x20)).rotate_left(29);
    (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn table() -> Table {
    let unused = Key { words: [u64::MAX; 2], cases: [0; 2], id: HeaderId::Other, next: NONE };
    let mut table = Table { slots: [NONE; SLOTS], keys: [unused; KNOWN.len() + COMPACT.len()] };
    assert!(table.keys.len() < NONE as usize);
    let mut at = 0;
    while at < table.keys.len() {
        let (id, name) = if at < KNOWN.len() { KNOWN[at] } else { COMPACT[at - KNOWN.len()] };
        if name.len() < 16 {
            let (words, cases) = numbers(name.as_bytes());
            let slot = slot(words);
            table.keys[at] = Key { words, cases, id, next: table.slots[slot] };
            table.slots[slot] = at as u8;
        }
        at += 1;
    }
    table
}

/// The numbers that `name` makes with its colon, and where it has letters.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn numbers(name: &[u8]) -> (Words, Words) {
    let (mut word, mut cases) = ([0; 16], [0; 16]);
    let mut at = 0;
    while at < name.len() {
        word[at] = name[at].to_ascii_lowercase();
        if name[at].is_ascii_alphabetic() {
            cases[at] = 0x20;
        }
        at += 1;
    }
    word[at] = b':';
    (words(&word), words(&cases))
}
