//! Huffman codes as tables of what the next bits mean (T.81 §C, §F.2.2).

use super::Unread;
use super::bits::{Bits, COEFFICIENT, extend};

/// A table as its DHT segment gives it: codes of each length from 1, and their symbols.
#[derive(Clone, Debug)]
pub(super) struct Code<'a> {
    pub(super) counts: &'a [u8; 16],
    pub(super) symbols: &'a [u8],
}

/// Bits the tables look ahead: with more they don't stay in the first cache, with fewer more codes are long.
pub(super) const LOOK: u32 = 11;
const SIZE: usize = 1 << LOOK;

/// Decodes one symbol at a time.
#[derive(Debug)]
struct Symbols {
    /// For what the next bits are: the symbol above, the length of its code in the low octet; 0 for longer codes.
    short: Box<[u16; SIZE]>,
    /// For each length, the first code beyond those of that length, left-aligned in 16 bits.
    beyond: [u32; 17],
    /// For each length, what turns a code into the place of its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Symbols {
    fn new(code: &Code<'_>) -> Result<Symbols, Unread> {
        let mut short = boxed::<u16>();
        let (mut beyond, mut offset) = ([0; 17], [0; 17]);
        let (mut next, mut at) = (0u32, 0usize);
        let lengths = (1u32..).zip(code.counts).zip(beyond.iter_mut().zip(&mut offset).skip(1));
        for ((length, &count), (beyond, offset)) in lengths {
            *offset = at as i32 - next as i32;
            for _ in 0..count {
                let symbol = *code.symbols.get(at).ok_or(Unread::Damaged("a code without its symbols"))?;
                at += 1;
                if length <= LOOK {
                    let first = (next << (LOOK - length)) as usize;
                    let entries = short.get_mut(first..first + (1 << (LOOK - length)));
                    let entries = entries.ok_or(Unread::Damaged("more codes than there can be"))?;
                    entries.fill(u16::from(symbol) << 8 | length as u16);
                }
                next += 1;
            }
            if next > 1 << length {
                return Err(Unread::Damaged("more codes than there can be"));
            }
            *beyond = next << (16 - length);
            next <<= 1;
        }
        Ok(Symbols { short, beyond, offset, symbols: code.symbols.to_vec() })
    }

    /// The next symbol and the length of its code. An unknown code is taken for symbol 0 of 16 bits: what it spoils
    /// lies within the picture.
    #[inline(always)]
    fn next(&self, bits: &Bits<'_>) -> (u8, u32) {
        match self.short.get(bits.peek::<LOOK>()) {
            Some(&entry) if entry != 0 => ((entry >> 8) as u8, u32::from(entry & 0xff)),
            _ => self.long(bits.peek::<16>() as u32),
        }
    }

    #[cold]
    #[inline(never)]
    fn long(&self, ahead: u32) -> (u8, u32) {
        let mut lengths = (0u32..).zip(self.beyond.iter().zip(&self.offset)).skip(LOOK as usize + 1);
        let found = lengths.find(|(_, (beyond, _))| ahead < **beyond);
        let symbol = found.and_then(|(length, (_, offset))| {
            let at = usize::try_from((ahead >> (16 - length)) as i32 + offset).ok()?;
            Some((*self.symbols.get(at)?, length))
        });
        symbol.unwrap_or((0, 16))
    }
}

/// The codes of the differences of DC coefficients.
#[derive(Debug)]
pub(super) struct DcTable(Symbols);

impl DcTable {
    pub(super) fn new(code: &Code<'_>) -> Result<DcTable, Unread> {
        Ok(DcTable(Symbols::new(code)?))
    }

    /// The next difference. Takes at most 31 bits.
    #[inline(always)]
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> i32 {
        let (size, length) = self.0.next(bits);
        bits.skip(length);
        bits.extended(u32::from(size & 15))
    }
}

/// The run of zeros that ends a block, wherever it stands.
const END: u8 = 64;

/// The codes of AC coefficients.
#[derive(Debug)]
pub(super) struct AcTable {
    symbols: Symbols,
    /// Where code and value lie within the look ahead: the value in the upper half, the run in bits 8 to 14, the bits
    /// taken below; 0 elsewhere.
    values: Box<[u32; SIZE]>,
    /// As many whole coefficients as lie within the look ahead, to be passed over: how far they reach in bits 8 to 14,
    /// the bits taken below, [`ENDS`] if the block ends with them; 0 if there is none.
    passed: Box<[u16; SIZE]>,
}

const ENDS: u16 = 1 << 15;

impl AcTable {
    pub(super) fn new(code: &Code<'_>) -> Result<AcTable, Unread> {
        let symbols = Symbols::new(code)?;
        let (mut values, mut passed) = (boxed::<u32>(), boxed::<u16>());
        for (ahead, value) in values.iter_mut().enumerate() {
            *value = value_of(&symbols, ahead);
        }
        for (ahead, pass) in passed.iter_mut().enumerate() {
            *pass = pass_of(&symbols, ahead);
        }
        Ok(AcTable { symbols, values, passed })
    }

    /// The next coefficient, how many zeros stand before it, and whether it was none of the short ones, so that more
    /// bits than [`LOOK`] are gone. Sixteen zeros are a run of fifteen before a zero; [`END`] leads behind any block.
    #[inline(always)]
    pub(super) fn next(&self, bits: &mut Bits<'_>) -> (bool, usize, i32) {
        let entry = self.values.get(bits.peek::<LOOK>()).copied().unwrap_or_default();
        if entry != 0 {
            bits.skip(entry & 0xff);
            return (false, (entry >> 8 & 0x7f) as usize, entry as i32 >> 16);
        }
        bits.fill(COEFFICIENT);
        let (symbol, length) = self.symbols.next(bits);
        bits.skip(length);
        match (symbol >> 4, symbol & 15) {
            (15, 0) => (true, 15, 0),
            (_, 0) => (true, END.into(), 0),
            (run, size) => (true, run.into(), bits.extended(u32::from(size))),
        }
    }

    /// Passes over what is left of a block, whose next coefficient is `at`.
    #[inline(always)]
    pub(super) fn pass(&self, bits: &mut Bits<'_>, mut at: usize) {
        while at < 64 {
            bits.fill(4 * LOOK);
            for _ in 0..4 {
                let entry = self.passed.get(bits.peek::<LOOK>()).copied().unwrap_or_default();
                let reach = usize::from(entry >> 8 & 0x7f);
                // At 64 the block has ended by itself: what follows is the next one's.
                if entry == 0 || at + reach + usize::from(entry / ENDS) > 64 {
                    bits.fill(COEFFICIENT);
                    let (_, run, _) = self.next(bits);
                    at += run + 1;
                    break;
                }
                bits.skip(u32::from(entry & 0xff));
                at += reach;
                if entry & ENDS != 0 || at == 64 {
                    return;
                }
            }
        }
    }
}

/// The entry of [`AcTable::values`] for these bits ahead.
fn value_of(symbols: &Symbols, ahead: usize) -> u32 {
    let Some(&entry) = symbols.short.get(ahead).filter(|&&entry| entry != 0) else { return 0 };
    let (length, run, size) = (u32::from(entry & 0xff), entry >> 12, u32::from(entry >> 8 & 15));
    let taken = length + size;
    if taken > LOOK {
        return 0;
    }
    if size == 0 {
        let run = if run == 15 { 15 } else { u32::from(END) };
        return run << 8 | taken;
    }
    let raw = (ahead >> (LOOK - taken)) & ((1 << size) - 1);
    let value = extend(raw as i32, size);
    (value as u32) << 16 | u32::from(run) << 8 | taken
}

/// The entry of [`AcTable::passed`] for these bits ahead.
fn pass_of(symbols: &Symbols, ahead: usize) -> u16 {
    let (mut taken, mut reach) = (0u32, 0u16);
    loop {
        let entry = symbols.short.get((ahead << taken) & (SIZE - 1)).copied().unwrap_or_default();
        let (length, run, size) = (u32::from(entry & 0xff), entry >> 12, u32::from(entry >> 8 & 15));
        // Bits behind the look ahead are not known: a code must lie within it whole.
        if entry == 0 || taken + length + size > LOOK {
            break;
        }
        if size == 0 && run != 15 {
            return ENDS | reach << 8 | (taken + length) as u16;
        }
        if reach + run + 1 > 64 {
            break;
        }
        taken += length + size;
        reach += run + 1;
        if taken == LOOK {
            break;
        }
    }
    if reach == 0 { 0 } else { reach << 8 | taken as u16 }
}

/// A table of zeros, made where it stays: it is too large for the stack of a thread.
fn boxed<T: Copy + Default>() -> Box<[T; SIZE]> {
    let table = vec![T::default(); SIZE].into_boxed_slice();
    match table.try_into() {
        Ok(table) => table,
        Err(_) => Box::new([T::default(); SIZE]),
    }
}
