//! Huffman codes as tables of what the next bits mean (T.81 §C, §F.2.2).

use super::Unread;
use super::bits::{Reader, Window};

/// A table as its DHT segment gives it: codes of each length from 1, and their symbols.
#[derive(Clone, Debug)]
pub(super) struct Code<'a> {
    pub(super) counts: &'a [u8; 16],
    pub(super) symbols: &'a [u8],
}

/// Bits the tables look ahead: with more they don't stay in the first cache, with fewer more codes are long.
const LOOK: u32 = 12;
const SIZE: usize = 1 << LOOK;

/// Bits a coefficient may take that [`AcTable::next`] reads without looking for more: three of them are filled at once.
const SHORT: u32 = 18;

/// Coefficients that are read between two fillings.
pub(super) const GROUP: usize = 3;

/// Decodes one symbol at a time.
#[derive(Debug)]
pub(super) struct Symbols {
    /// For what the next bits are: the symbol above, the length of its code in the low octet; 0 for longer codes.
    short: Box<[u16; SIZE]>,
    /// For each length, the first code beyond those of that length, left-aligned in 16 bits.
    beyond: [u32; 17],
    /// For each length, what turns a code into the place of its symbol.
    offset: [i32; 17],
    symbols: Vec<u8>,
}

impl Symbols {
    pub(super) fn new(code: &Code<'_>) -> Result<Symbols, Unread> {
        let mut short = boxed();
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

    /// The next symbol and the length of its code, at most 16 bits, which have been filled and stay.
    #[inline(always)]
    pub(super) fn next(&self, reader: &Reader) -> (u8, u32) {
        match self.short.get(reader.peek::<LOOK>()) {
            Some(&entry) if entry != 0 => ((entry >> 8) as u8, u32::from(entry & 0xff)),
            _ => self.long(reader.peek::<16>() as u32),
        }
    }

    /// The symbol that the next 16 bits begin with and the length of its code. An unknown code is taken for symbol 0 of
    /// 16 bits: what it spoils lies within the picture.
    #[cold]
    #[inline(never)]
    fn long(&self, ahead: u32) -> (u8, u32) {
        let mut lengths = (0u32..).zip(self.beyond.iter().zip(&self.offset)).skip(1);
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

    /// The next difference. Takes at most 31 bits, which have been filled.
    #[inline(always)]
    pub(super) fn next(&self, reader: &mut Reader) -> i32 {
        let (size, length) = self.0.next(reader);
        let size = u32::from(size & 15);
        reader.value(length + size, size)
    }
}

/// What leads behind a block, wherever it stands.
const END: u16 = 64;

/// The codes of AC coefficients.
#[derive(Debug)]
pub(super) struct AcTable {
    symbols: Symbols,
    /// For what the next bits are: how far the coefficient leads in bits 9 to 15, how many bits its value has in bits 5
    /// to 8, how many it takes with its code below; 0 for codes longer than [`LOOK`], coefficients longer than [`SHORT`].
    values: Box<[u16; SIZE]>,
    /// As many whole coefficients as lie within the look ahead, to be passed over: how far they reach in bits 8 to 14,
    /// the bits taken below, [`ENDS`] if the block ends with them; 0 if there is none.
    passed: Box<[u16; SIZE]>,
}

const ENDS: u16 = 1 << 15;

impl AcTable {
    pub(super) fn new(code: &Code<'_>) -> Result<AcTable, Unread> {
        let symbols = Symbols::new(code)?;
        let (mut values, mut passed) = (boxed(), boxed());
        for ((value, pass), &symbol) in values.iter_mut().zip(passed.iter_mut()).zip(symbols.short.iter()) {
            (*value, *pass) = (value_of(symbol), 0);
        }
        for (ahead, pass) in passed.iter_mut().enumerate() {
            *pass = pass_of(&symbols, ahead);
        }
        Ok(AcTable { symbols, values, passed })
    }

    /// The next coefficient, how far it leads, and whether it was none of the short ones, of which [`GROUP`] can be read
    /// between two fillings. Sixteen zeros are a zero that leads sixteen on; the end of a block leads behind any.
    #[inline(always)]
    pub(super) fn next(&self, reader: &mut Reader, window: &Window) -> (bool, usize, i32) {
        let entry = self.values.get(reader.peek::<LOOK>()).copied().unwrap_or_default();
        if entry == 0 {
            return self.long(reader, window);
        }
        let value = reader.value(u32::from(entry & 31), u32::from(entry >> 5 & 15));
        (false, usize::from(entry >> 9), value)
    }

    #[inline(always)]
    fn long(&self, reader: &mut Reader, window: &Window) -> (bool, usize, i32) {
        reader.fill(window);
        let (symbol, length) = self.symbols.long(reader.peek::<16>() as u32);
        let size = u32::from(symbol & 15);
        (true, usize::from(leads(symbol)), reader.value(length + size, size))
    }

    /// Passes over what is left of a block, whose next coefficient is `at`.
    #[inline(always)]
    pub(super) fn pass(&self, reader: &mut Reader, window: &Window, mut at: usize) {
        while at < 64 {
            reader.fill(window);
            for _ in 0..4 {
                let entry = self.passed.get(reader.peek::<LOOK>()).copied().unwrap_or_default();
                let reach = usize::from(entry >> 8 & 0x7f);
                // At 64 the block has ended by itself: what follows is the next one's.
                if entry == 0 || at + reach + usize::from(entry / ENDS) > 64 {
                    reader.fill(window);
                    at += self.next(reader, window).1;
                    break;
                }
                reader.skip(u32::from(entry & 0xff));
                at += reach;
                if entry & ENDS != 0 || at == 64 {
                    return;
                }
            }
        }
    }
}

/// How far the coefficient of a symbol leads.
fn leads(symbol: u8) -> u16 {
    match (symbol >> 4, symbol & 15) {
        (15, 0) => 16,
        (_, 0) => END,
        (run, _) => u16::from(run) + 1,
    }
}

/// The entry of [`AcTable::values`] for that of [`Symbols::short`].
fn value_of(entry: u16) -> u16 {
    let (symbol, length) = ((entry >> 8) as u8, entry & 0xff);
    let size = u16::from(symbol & 15);
    if entry == 0 || u32::from(length + size) > SHORT {
        0
    } else {
        leads(symbol) << 9 | size << 5 | (length + size)
    }
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
fn boxed() -> Box<[u16; SIZE]> {
    let table = vec![0; SIZE].into_boxed_slice();
    table.try_into().unwrap_or_else(|_| Box::new([0; SIZE]))
}
