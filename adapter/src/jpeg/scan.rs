//! From coded bits to planes (T.81 §A.2, §F.2).

use super::bits::{Bits, COEFFICIENT};
use super::head::{Component, Head, Segment, Segments, Tables};
use super::idct::{Basis, Block, UNUSED, ZIGZAG, sample, scale};
use super::symbols::{AcTable, DcTable, LOOK};
use super::{Plane, Unread};

const CUT: Unread = Unread::Damaged("it ends within a scan");

/// Reads scans until every component was in one.
pub(super) fn all(head: &Head<'_>, eighths: u8) -> Result<Vec<Plane>, Unread> {
    let frame = Frame::new(head, eighths);
    let mut planes: Vec<Option<Plane>> = vec![None; head.components.len()];
    let mut segments = head.segments.clone();
    while planes.iter().any(Option::is_none) {
        let Segment::Scan(data) = next_scan(&mut segments)? else { return Err(CUT) };
        let mut parts = parts(data, &frame, &segments.tables)?;
        for part in &parts {
            if planes.get(part.place).is_none_or(Option::is_some) {
                return Err(Unread::Damaged("a component in two scans"));
            }
        }
        let mut bits = Bits::new(segments.rest());
        let restart = usize::from(segments.tables.restart);
        Scan { frame: &frame, parts: &mut parts, bits: &mut bits, restart }.at(frame.eighths)?;
        segments.skip(bits.end());
        for mut part in parts {
            part.plane.pad();
            if let Some(plane) = planes.get_mut(part.place) {
                *plane = Some(part.plane);
            }
        }
    }
    Ok(planes.into_iter().flatten().collect())
}

fn next_scan<'a>(segments: &mut Segments<'a>) -> Result<Segment<'a>, Unread> {
    loop {
        match segments.next()? {
            Segment::Other(..) => {}
            Segment::Frame(..) => return Err(Unread::Damaged("two frame headers")),
            found => return Ok(found),
        }
    }
}

/// Sizes that all scans share.
struct Frame<'a> {
    head: &'a Head<'a>,
    eighths: usize,
    /// The largest sampling factors.
    across: usize,
    down: usize,
    /// Units of all components, from left to right and from top to bottom.
    units: (usize, usize),
}

impl<'a> Frame<'a> {
    fn new(head: &'a Head<'a>, eighths: u8) -> Frame<'a> {
        // A single component has no subsampling, whatever its factors (T.81 §A.2.2).
        let factors = |of: fn(&Component) -> u8| match &head.components[..] {
            [_] => 1,
            all => usize::from(all.iter().map(of).max().unwrap_or(1)),
        };
        let (across, down) = (factors(|c| c.across), factors(|c| c.down));
        let units =
            (usize::from(head.width).div_ceil(8 * across), usize::from(head.height).div_ceil(8 * down));
        Frame { head, eighths: eighths.into(), across, down, units }
    }

    fn factors(&self, component: &Component) -> (usize, usize) {
        match self.head.components.len() {
            1 => (1, 1),
            _ => (component.across.into(), component.down.into()),
        }
    }

    fn plane(&self, component: &Component) -> Plane {
        let (across, down) = self.factors(component);
        let (stride, rows) = (self.units.0 * across * self.eighths, self.units.1 * down * self.eighths);
        // Of a component that is sampled half as often, half of the pixels are covered.
        let covered = |size: u16, factor: usize, most: usize| {
            u64::from(size) * (self.eighths * factor) as u64 / most as u64
        };
        let eighths =
            (covered(self.head.width, across, self.across), covered(self.head.height, down, self.down));
        Plane { stride, rows, samples: vec![0; stride * rows], eighths }
    }
}

/// For each place of the zigzag, the factor of its quantiser and where in a block it belongs: what the smaller picture
/// does not need is put where nobody looks, and so is what would lie behind the block.
type Slots = [(f32, u8); 128];

fn slots(quantiser: &[u16; 64], eighths: usize) -> Slots {
    let mut slots = [(0.0, UNUSED); 128];
    for (slot, (&factor, &(row, column))) in slots.iter_mut().zip(quantiser.iter().zip(&ZIGZAG)) {
        let needed = usize::from(row.max(column)) < eighths;
        let factor = f32::from(factor) * scale(row) * scale(column);
        *slot = (factor, if needed { column * 8 + row } else { UNUSED });
    }
    slots
}

/// One component of a scan.
struct Part {
    place: usize,
    /// Blocks of a unit.
    across: usize,
    down: usize,
    plane: Plane,
    dc: DcTable,
    ac: AcTable,
    slots: Slots,
    /// Coefficients up to the last one that is needed.
    needed: usize,
    last_dc: i32,
}

fn parts(data: &[u8], frame: &Frame<'_>, tables: &Tables<'_>) -> Result<Vec<Part>, Unread> {
    let wrong = Unread::Damaged("a scan header that makes no sense");
    let (&count, rest) = data.split_first().ok_or(wrong)?;
    let (chosen, rest) = rest.split_at_checked(usize::from(count) * 2).ok_or(wrong)?;
    if rest.len() != 3 || chosen.is_empty() {
        return Err(wrong);
    }
    let chosen = chosen.as_chunks().0.iter();
    let parts: Vec<Part> =
        chosen.map(|&[id, codes]| part(id, codes, frame, tables)).collect::<Result<_, _>>()?;
    let twice = |part: &Part| parts.iter().filter(|other| other.place == part.place).count() > 1;
    if parts.iter().any(twice) { Err(wrong) } else { Ok(parts) }
}

fn part(id: u8, codes: u8, frame: &Frame<'_>, tables: &Tables<'_>) -> Result<Part, Unread> {
    let wrong = Unread::Damaged("a scan of a component or table that is not there");
    let components = &frame.head.components;
    let place = components.iter().position(|component| component.id == id).ok_or(wrong)?;
    let component = components.get(place).ok_or(wrong)?;
    let dc = tables.dc.get(usize::from(codes >> 4)).and_then(Option::as_ref).ok_or(wrong)?;
    let ac = tables.ac.get(usize::from(codes & 15)).and_then(Option::as_ref).ok_or(wrong)?;
    let quantiser =
        tables.quantisers.get(usize::from(component.quantiser)).and_then(Option::as_ref).ok_or(wrong)?;
    let is_needed = |&(row, column): &(u8, u8)| usize::from(row.max(column)) < frame.eighths;
    let (across, down) = frame.factors(component);
    Ok(Part {
        place,
        across,
        down,
        plane: frame.plane(component),
        dc: DcTable::new(dc)?,
        ac: AcTable::new(ac)?,
        slots: slots(quantiser, frame.eighths),
        needed: ZIGZAG.iter().rposition(is_needed).unwrap_or_default(),
        last_dc: 0,
    })
}

/// What a block is read with.
struct Coded<'a> {
    ac: &'a AcTable,
    slots: &'a Slots,
    needed: usize,
}

/// Makes the samples of a block.
trait Draw {
    /// Samples of a side.
    const SIZE: usize;

    /// Reads the rest of a block of which `block` has the DC coefficient, and draws it into `rows` from `left` on. The
    /// other coefficients are zero before and after.
    fn block(
        &self,
        block: &mut Block,
        part: &Coded<'_>,
        bits: &mut Bits<'_>,
        rows: &mut [u8],
        stride: usize,
        left: usize,
    );
}

/// One sample a block: its mean.
struct Means;

impl Draw for Means {
    const SIZE: usize = 1;

    #[inline(always)]
    fn block(
        &self,
        block: &mut Block,
        part: &Coded<'_>,
        bits: &mut Bits<'_>,
        rows: &mut [u8],
        _: usize,
        left: usize,
    ) {
        part.ac.pass(bits, 1);
        let [dc, ..] = block.coefficients;
        if let Some(to) = rows.get_mut(left) {
            *to = sample(dc + 128.0);
        }
    }
}

impl<const N: usize> Draw for Basis<N> {
    const SIZE: usize = N;

    #[inline(always)]
    fn block(
        &self,
        block: &mut Block,
        part: &Coded<'_>,
        bits: &mut Bits<'_>,
        rows: &mut [u8],
        stride: usize,
        left: usize,
    ) {
        let mut at = 1;
        block.last = 0;
        while at <= part.needed {
            bits.fill(4 * LOOK);
            // So many can be read before the next bits are needed; a long one says so itself.
            for _ in 0..4 {
                let (long, run, value) = part.ac.next(bits);
                at += run;
                let (factor, place) = part.slots.get(at & 127).copied().unwrap_or_default();
                if let Some(to) = block.coefficients.get_mut(usize::from(place)) {
                    *to = value as f32 * factor;
                }
                block.last = if at < 64 { at } else { block.last };
                at += 1;
                if long || at > part.needed {
                    break;
                }
            }
        }
        part.ac.pass(bits, at);
        self.draw(block, rows, stride, left);
    }
}

/// One scan while it is read.
struct Scan<'a, 'b> {
    frame: &'a Frame<'a>,
    parts: &'a mut [Part],
    bits: &'a mut Bits<'b>,
    /// Units between restart markers; 0: none.
    restart: usize,
}

impl Scan<'_, '_> {
    fn at(&mut self, eighths: usize) -> Result<(), Unread> {
        match eighths {
            1 => self.read(&Means),
            2 => self.read(&Basis::<2>::new()),
            3 => self.read(&Basis::<3>::new()),
            4 => self.read(&Basis::<4>::new()),
            5 => self.read(&Basis::<5>::new()),
            6 => self.read(&Basis::<6>::new()),
            7 => self.read(&Basis::<7>::new()),
            _ => self.read(&Basis::<8>::new()),
        }
    }

    fn read<D: Draw>(&mut self, draw: &D) -> Result<(), Unread> {
        let units = self.units();
        let mut left = self.restart;
        // Its own copy lies in registers.
        let mut bits = *self.bits;
        let mut block = Block::empty();
        for y in 0..units.1 {
            for x in 0..units.0 {
                if self.restart > 0 {
                    if left == 0 {
                        self.start_again(&mut bits)?;
                        left = self.restart;
                    }
                    left -= 1;
                }
                for part in self.parts.iter_mut() {
                    unit(part, (x, y), &mut bits, draw, &mut block);
                }
            }
            if bits.is_past_end() {
                return Err(CUT);
            }
        }
        *self.bits = bits;
        Ok(())
    }

    /// Units from left to right and from top to bottom. Alone in its scan, a component comes block by block, and blocks
    /// that only pad are left out (T.81 §A.2.3).
    fn units(&mut self) -> (usize, usize) {
        let (frame, [part]) = (self.frame, &mut *self.parts) else { return self.frame.units };
        let blocks =
            |pixels: u16, factor: usize, most: usize| (usize::from(pixels) * factor).div_ceil(8 * most);
        let units = (
            blocks(frame.head.width, part.across, frame.across),
            blocks(frame.head.height, part.down, frame.down),
        );
        (part.across, part.down) = (1, 1);
        units
    }

    fn start_again(&mut self, bits: &mut Bits<'_>) -> Result<(), Unread> {
        if bits.is_past_end() || !bits.restart() {
            return Err(CUT);
        }
        self.parts.iter_mut().for_each(|part| part.last_dc = 0);
        Ok(())
    }
}

/// The blocks of one component in one unit.
#[inline(always)]
fn unit<D: Draw>(part: &mut Part, (x, y): (usize, usize), bits: &mut Bits<'_>, draw: &D, block: &mut Block) {
    let coded = Coded { ac: &part.ac, slots: &part.slots, needed: part.needed };
    let first = part.slots.first().map_or(0.0, |(factor, _)| *factor);
    let stride = part.plane.stride;
    for down in 0..part.down {
        let top = (y * part.down + down) * D::SIZE * stride;
        let rows = part.plane.samples.get_mut(top..top + D::SIZE * stride).unwrap_or_default();
        for across in 0..part.across {
            bits.fill(COEFFICIENT);
            part.last_dc = part.last_dc.wrapping_add(part.dc.next(bits));
            if let Some(dc) = block.coefficients.first_mut() {
                *dc = part.last_dc as f32 * first;
            }
            draw.block(block, &coded, bits, rows, stride, (x * part.across + across) * D::SIZE);
        }
    }
}
