//! Finding which header a name is. A line begins with its name in the buffer, so sixteen octets are loaded at
//! once and compared as one number, without a loop over letters: this runs for every line of every message.

use super::{COMPACT, HeaderId, KNOWN};

/// A name of up to 16 letters and hyphens, as the number its octets make.
#[derive(Clone, Copy)]
struct Key {
    word: u128,
    /// The bit by which the two cases of a letter differ, for every letter.
    cases: u128,
    id: HeaderId,
    /// Told apart from the word, to which NULs add nothing.
    len: u8,
    /// The next key of the same slot.
    next: u8,
}

struct Table {
    slots: [u8; SLOTS],
    keys: [Key; KNOWN.len() + COMPACT.len()],
}

const SLOTS: usize = 512;
const NONE: u8 = u8::MAX;
const ONES: u128 = u128::from_le_bytes([1; 16]);

/// The octets of a name, by its length up to 15.
static MASKS: [u128; 16] = masks();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn masks() -> [u128; 16] {
    let mut masks = [0; 16];
    let mut len = 0;
    while len < 16 {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
}

static TABLE: Table = table();

/// The header whose name and colon begin `line`, and the length of the name. `None` for names that are
/// unknown, have 16 letters or more, or stand before a blank: those take the long way.
#[inline(always)]
pub(crate) fn at_line_start(line: &[u8; 16]) -> Option<(HeaderId, u8)> {
    let word = u128::from_le_bytes(*line);
    let colon = word ^ (ONES * b':' as u128);
    // The top bit of every octet that is zero; exact for the lowest one.
    let zeros = colon.wrapping_sub(ONES) & !colon & (ONES * 0x80);
    let len = zeros.trailing_zeros() as usize / 8;
    let word = word & *MASKS.get(len)?;
    let mut at = TABLE.slots.get(slot(word)).copied().unwrap_or(NONE);
    while let Some(key) = TABLE.keys.get(usize::from(at)) {
        if (word ^ key.word) & !key.cases == 0 && usize::from(key.len) == len {
            return Some((key.id, key.len));
        }
        at = key.next;
    }
    None
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
const fn slot(word: u128) -> usize {
    // Octets behind the name are zero and become blanks, the same ones for every case.
    let folded = word | (ONES * 0x20);
    let mixed = (folded as u64 ^ ((folded >> 64) as u64).rotate_left(29)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - SLOTS.trailing_zeros())) as usize
}

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn table() -> Table {
    let unused = Key { word: u128::MAX, cases: 0, id: HeaderId::Other, len: 0, next: NONE };
    let mut table = Table { slots: [NONE; SLOTS], keys: [unused; KNOWN.len() + COMPACT.len()] };
    assert!(table.keys.len() < NONE as usize);
    let mut at = 0;
    while at < table.keys.len() {
        let (id, name) = if at < KNOWN.len() { KNOWN[at] } else { COMPACT[at - KNOWN.len()] };
        if name.len() < 16 {
            let (word, cases) = number(name.as_bytes());
            let slot = slot(word);
            table.keys[at] = Key { word, cases, id, len: name.len() as u8, next: table.slots[slot] };
            table.slots[slot] = at as u8;
        }
        at += 1;
    }
    table
}

/// The number that `name` makes, and where it has letters.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler, where a bad index is an error")]
const fn number(name: &[u8]) -> (u128, u128) {
    let (mut word, mut cases) = ([0; 16], [0; 16]);
    let mut at = 0;
    while at < name.len() {
        word[at] = name[at];
        if name[at].is_ascii_alphabetic() {
            cases[at] = 0x20;
        }
        at += 1;
    }
    (u128::from_le_bytes(word), u128::from_le_bytes(cases))
}
