//! Progressive files (T.81 §G): the coefficients of all blocks are kept until the last scan, then drawn as those of a
//! baseline file are. Of coefficients that the smaller picture does not need, only whether they are zero is kept, which
//! the scans that refine them depend on; where means alone are needed, scans of anything else are passed over.

use fearless_simd::Simd;

use super::bits::{Bits, Reader, Window};
use super::frame::{Frame, Shape};
use super::head::{Segment, Tables};
use super::idct::Sums;
use super::lanes::{self, Lanes};
use super::scan::{CUT, next_scan};
use super::symbols::Symbols;
use super::{Plane, Unread};

/// Scans of a file: each one walks the whole picture. Cameras and libjpeg write about ten.
const MOST_SCANS: usize = 64;

/// Reads all scans.
pub(super) fn all(frame: &Frame<'_>) -> Result<Vec<Plane>, Unread> {
    let mut segments = frame.segments();
    let mut parts: Vec<Option<Part>> = (0..frame.count()).map(|_| None).collect();
    for _ in 0..MOST_SCANS {
        let Segment::Scan(data) = next_scan(&mut segments)? else { return drawn(parts) };
        let header = Header::read(data)?;
        let mut bits = Bits::new(segments.rest());
        let mut chosen = Vec::new();
        for &[id, codes] in header.components {
            let place = frame.place(id)?;
            let slot = parts.get_mut(place).ok_or(CUT)?;
            let part = match slot.take() {
                Some(part) => part,
                None => Part::new(Shape::new(frame, place, &segments.tables)?),
            };
            chosen.push(Chosen { part, dc: None, ac: None, last_dc: 0 }.with(
                &header,
                codes,
                &segments.tables,
            )?);
        }
        let needed = header.from == 0 || chosen.iter().any(|one| one.part.shape.needed > 0);
        let scan = Scan {
            frame,
            header: &header,
            chosen: &mut chosen,
            bits: &mut bits,
            restart: segments.tables.restart.into(),
        };
        if needed {
            lanes::widest(scan)?;
        }
        segments.skip(bits.end());
        for Chosen { part, .. } in chosen {
            if let Some(slot) = parts.get_mut(part.shape.place) {
                *slot = Some(part);
            }
        }
    }
    Err(Unread::Damaged("too many scans"))
}

/// One component.
struct Part {
    shape: Shape,
    /// Blocks from left to right, those that only pad included.
    stride: usize,
    blocks: Vec<Block>,
    /// Whether a scan had its DC coefficients.
    begun: bool,
}

/// Coefficients in the order of the zigzag, and which of them are not zero: of those that are not needed, that alone.
#[derive(Clone, Copy)]
struct Block {
    values: [i16; 64],
    found: u64,
}

impl Part {
    fn new(shape: Shape) -> Part {
        let (stride, rows) = shape.blocks();
        let blocks = vec![Block { values: [0; 64], found: 0 }; stride * rows];
        Part { shape, stride, blocks, begun: false }
    }
}

/// What a scan header says: which coefficients (`from` to `to`), and which of their bits.
struct Header<'a> {
    components: &'a [[u8; 2]],
    from: usize,
    to: usize,
    /// Whether the higher bits are known already.
    refines: bool,
    low: u32,
}

impl<'a> Header<'a> {
    fn read(data: &'a [u8]) -> Result<Header<'a>, Unread> {
        let wrong = Unread::Damaged("a scan header that makes no sense");
        let (&count, rest) = data.split_first().ok_or(wrong)?;
        let (chosen, rest) = rest.split_at_checked(usize::from(count) * 2).ok_or(wrong)?;
        let &[from, to, bits] = rest else { return Err(wrong) };
        let (components, (from, to)) = (chosen.as_chunks().0, (usize::from(from), usize::from(to)));
        let (high, low) = (bits >> 4, u32::from(bits & 15));
        let band = if from == 0 { to == 0 } else { to >= from && to < 64 && components.len() == 1 };
        let ids = components.iter().map(|[id, _]| id);
        let twice = ids.clone().enumerate().any(|(at, id)| ids.clone().skip(at + 1).any(|other| other == id));
        if !band || components.is_empty() || twice || low > 13 {
            return Err(wrong);
        }
        Ok(Header { components, from, to, refines: high != 0, low })
    }
}

/// A component with what its scan is read by.
struct Chosen {
    part: Part,
    dc: Option<Symbols>,
    ac: Option<Symbols>,
    last_dc: i32,
}

impl Chosen {
    fn with(mut self, header: &Header<'_>, codes: u8, tables: &Tables<'_>) -> Result<Chosen, Unread> {
        let wrong = Unread::Damaged("a scan of a table that is not there");
        let table = |of: &[Option<_>; 4], at: u8| -> Result<Symbols, Unread> {
            Symbols::new(of.get(usize::from(at)).and_then(Option::as_ref).ok_or(wrong)?)
        };
        match (header.from, header.refines) {
            (0, true) => {}
            (0, false) => self.dc = Some(table(&tables.dc, codes >> 4)?),
            _ => self.ac = Some(table(&tables.ac, codes & 15)?),
        }
        self.part.begun |= header.from == 0;
        Ok(self)
    }
}

/// One scan, to be read.
struct Scan<'a, 'b> {
    frame: &'a Frame<'a>,
    header: &'a Header<'a>,
    chosen: &'a mut [Chosen],
    bits: &'a mut Bits<'b>,
    /// Units between restart markers; 0: none.
    restart: usize,
}

impl Lanes for Scan<'_, '_> {
    type Made = Result<(), Unread>;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> Result<(), Unread> {
        let Scan { frame, header, chosen, bits, restart } = self;
        let single = chosen.len() == 1;
        let units = match chosen {
            [one] => one.part.shape.shown(),
            _ => frame.units,
        };
        let (mut left, mut reader, mut run) = (restart, Reader::default(), 0);
        for y in 0..units.1 {
            for x in 0..units.0 {
                if restart > 0 && left == 0 {
                    if bits.is_past_end(&reader) || !bits.restart(&mut reader) {
                        return Err(CUT);
                    }
                    chosen.iter_mut().for_each(|one| one.last_dc = 0);
                    (left, run) = (restart, 0);
                }
                left = left.saturating_sub(1);
                bits.ready(&mut reader);
                for one in chosen.iter_mut() {
                    let (across, down) = if single { (1, 1) } else { one.part.shape.factors };
                    for (v, u) in (0..down).flat_map(|v| (0..across).map(move |u| (v, u))) {
                        let at = (y * down + v) * one.part.stride + x * across + u;
                        block(one, at, header, bits.window(), &mut reader, &mut run);
                    }
                }
            }
            if bits.is_past_end(&reader) {
                return Err(CUT);
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn block(
    one: &mut Chosen,
    at: usize,
    header: &Header<'_>,
    window: &Window,
    reader: &mut Reader,
    run: &mut u32,
) {
    let needed = one.part.shape.needed;
    let Some(block) = one.part.blocks.get_mut(at) else { return };
    match (&one.dc, &one.ac) {
        (Some(dc), _) => {
            reader.fill(window);
            let (symbol, length) = dc.next(reader);
            let size = u32::from(symbol & 15);
            one.last_dc = one.last_dc.wrapping_add(reader.value(length + size, size));
            let [first, ..] = &mut block.values;
            *first = (one.last_dc << header.low) as i16;
        }
        (None, Some(ac)) if header.refines => refined(block, ac, header, needed, window, reader, run),
        (None, Some(ac)) => first(block, ac, header, needed, window, reader, run),
        (None, None) => {
            reader.fill(window);
            let [first, ..] = &mut block.values;
            *first |= (reader.bits(1) as i16) << header.low;
        }
    }
}

/// The first bits of coefficients (§G.1.2.2). `run`: blocks that have no more of them.
#[inline(always)]
fn first(
    block: &mut Block,
    ac: &Symbols,
    header: &Header<'_>,
    needed: usize,
    window: &Window,
    reader: &mut Reader,
    run: &mut u32,
) {
    if *run > 0 {
        *run -= 1;
        return;
    }
    let mut at = header.from;
    while at <= header.to {
        reader.fill(window);
        let (symbol, length) = ac.next(reader);
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            reader.skip(length);
            if zeros < 15 {
                *run = (1 << zeros) - 1 + reader.bits(zeros as u32) as u32;
                return;
            }
            at += 16;
            continue;
        }
        at += zeros;
        let value = reader.value(length + size, size) << header.low;
        if at > header.to {
            return;
        }
        block.found |= 1 << at;
        if at <= needed
            && let Some(to) = block.values.get_mut(at)
        {
            *to = value as i16;
        }
        at += 1;
    }
}

/// One more bit of coefficients, and those that are not zero from here on (§G.1.2.3).
#[inline(always)]
fn refined(
    block: &mut Block,
    ac: &Symbols,
    header: &Header<'_>,
    needed: usize,
    window: &Window,
    reader: &mut Reader,
    run: &mut u32,
) {
    let mut at = header.from;
    if *run == 0 {
        while at <= header.to {
            reader.fill(window);
            let (symbol, length) = ac.next(reader);
            reader.skip(length);
            let (zeros, size) = (u32::from(symbol >> 4), symbol & 15);
            if size == 0 && zeros < 15 {
                *run = (1 << zeros) + reader.bits(zeros) as u32;
                break;
            }
            let sign = if size == 0 { 0 } else { reader.bits(1) as i16 * 2 - 1 };
            // The place behind so many zeros; every one that is not zero on the way has a bit of its own.
            let mut free = !block.found & (u64::MAX << at);
            for _ in 0..zeros {
                free &= free.wrapping_sub(1);
            }
            let place = (free.trailing_zeros() as usize).min(header.to + 1);
            corrected(block, (at, place), header, needed, window, reader);
            if sign != 0 && place <= header.to {
                block.found |= 1 << place;
                if place <= needed
                    && let Some(to) = block.values.get_mut(place)
                {
                    *to = sign << header.low;
                }
            }
            at = place + 1;
        }
    }
    if *run > 0 {
        *run -= 1;
        corrected(block, (at, header.to + 1), header, needed, window, reader);
    }
}

/// Reads a bit for each coefficient that is not zero, from one place to before another.
#[inline(always)]
fn corrected(
    block: &mut Block,
    (from, to): (usize, usize),
    header: &Header<'_>,
    needed: usize,
    window: &Window,
    reader: &mut Reader,
) {
    if from >= to {
        return;
    }
    let within = (u64::MAX << from) & (u64::MAX >> (64 - to));
    let mut left = block.found & within;
    while left != 0 {
        reader.fill(window);
        // As many as were filled.
        for _ in 0..left.count_ones().min(56) {
            let at = left.trailing_zeros() as usize;
            left &= left - 1;
            let bit = reader.bits(1) as i16;
            if at <= needed
                && let Some(value) = block.values.get_mut(at)
            {
                let step = bit << header.low;
                *value = if *value < 0 { value.wrapping_sub(step) } else { value.wrapping_add(step) };
            }
        }
    }
}

/// The planes, once all is read.
fn drawn(parts: Vec<Option<Part>>) -> Result<Vec<Plane>, Unread> {
    let parts: Option<Vec<Part>> = parts.into_iter().map(|part| part.filter(|part| part.begun)).collect();
    Ok(parts.ok_or(CUT)?.into_iter().map(|part| lanes::widest(Drawing(part))).collect())
}

struct Drawing(Part);

impl Lanes for Drawing {
    type Made = Plane;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Plane {
        let Drawing(Part { shape, stride, blocks, .. }) = self;
        let mut plane = shape.plane();
        let mut sums = Sums::empty();
        let needed = u64::MAX >> (63 - shape.needed.min(63));
        for (y, row) in blocks.chunks_exact(stride.max(1)).enumerate() {
            for (x, block) in row.iter().enumerate() {
                let [dc, ..] = block.values;
                shape.start(simd, dc.into(), &mut sums);
                let mut left = block.found & needed;
                while left != 0 {
                    let at = left.trailing_zeros() as usize;
                    left &= left - 1;
                    shape.add(simd, at, block.values.get(at).copied().unwrap_or_default().into(), &mut sums);
                    sums.last = at;
                }
                shape.draw(simd, &mut sums, &mut plane, (x, y));
            }
        }
        plane.pad();
        plane
    }
}
