//! From coded bits to planes (T.81 §A.2, §F.2).

use super::bits::{Bits, Reader, Window};
use super::head::{Component, Head, Segment, Segments, Tables};
use super::idct::{Basis, Sums, UNUSED, ZIGZAG, scale};
use super::symbols::{AcTable, DcTable, GROUP};
use super::{Eighths, Plane, Unread};
use crate::lanes::{self, Lanes};
use fearless_simd::Simd;

const CUT: Unread = Unread::Damaged("it ends within a scan");

/// Reads scans until every component was in one.
pub(super) fn all(head: &Head<'_>, eighths: Eighths) -> Result<Vec<Plane>, Unread> {
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
        lanes::widest(Scan { frame: &frame, parts: &mut parts, bits: &mut bits, restart })?;
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
    eighths: Eighths,
    /// The largest sampling factors.
    across: usize,
    down: usize,
    /// Units of all components, from left to right and from top to bottom.
    units: (usize, usize),
}

impl<'a> Frame<'a> {
    fn new(head: &'a Head<'a>, eighths: Eighths) -> Frame<'a> {
        // A single component has no subsampling, whatever its factors (T.81 §A.2.2).
        let factors = |of: fn(&Component) -> u8| match &head.components[..] {
            [_] => 1,
            all => usize::from(all.iter().map(of).max().unwrap_or(1)),
        };
        let (across, down) = (factors(|c| c.across), factors(|c| c.down));
        let units =
            (usize::from(head.width).div_ceil(8 * across), usize::from(head.height).div_ceil(8 * down));
        Frame { head, eighths, across, down, units }
    }

    fn factors(&self, component: &Component) -> (usize, usize) {
        match self.head.components.len() {
            1 => (1, 1),
            _ => (component.across.into(), component.down.into()),
        }
    }

    /// Samples that a side of a component's blocks becomes: the first component is luma.
    fn eighths(&self, place: usize) -> usize {
        let eighths = if place == 0 { self.eighths.luma } else { self.eighths.chroma };
        eighths.clamp(1, 8).into()
    }

    fn plane(&self, component: &Component, eighths: usize) -> Plane {
        let (across, down) = self.factors(component);
        let (stride, rows) = (self.units.0 * across * eighths, self.units.1 * down * eighths);
        // Of a component that is sampled half as often, half of the pixels are covered.
        let covered =
            |size: u16, factor: usize, most: usize| u64::from(size) * (eighths * factor) as u64 / most as u64;
        let eighths =
            (covered(self.head.width, across, self.across), covered(self.head.height, down, self.down));
        Plane { stride, rows, samples: vec![0; stride * rows], eighths }
    }
}

/// For each place of the zigzag, the factor of its quantiser and the frequency it is of, from top to bottom and from left
/// to right: what the smaller picture does not need is put where nobody looks, and so is what would lie behind the block.
type Slots = [(f32, u8, u8); 128];

fn slots(quantiser: &[u16; 64], eighths: usize) -> Slots {
    let mut slots = [(0.0, UNUSED, 0); 128];
    for (slot, (&factor, &(row, column))) in slots.iter_mut().zip(quantiser.iter().zip(&ZIGZAG)) {
        if usize::from(row.max(column)) < eighths {
            *slot = (f32::from(factor) * scale(row) * scale(column), row, column);
        }
    }
    slots
}

/// One component of a scan.
struct Part {
    place: usize,
    /// Samples that a side of a block becomes.
    eighths: usize,
    /// Blocks of a unit.
    across: usize,
    down: usize,
    plane: Plane,
    dc: DcTable,
    ac: AcTable,
    slots: Slots,
    basis: Basis,
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
    let eighths = frame.eighths(place);
    let is_needed = |&(row, column): &(u8, u8)| usize::from(row.max(column)) < eighths;
    let (across, down) = frame.factors(component);
    Ok(Part {
        place,
        eighths,
        across,
        down,
        plane: frame.plane(component, eighths),
        dc: DcTable::new(dc)?,
        ac: AcTable::new(ac)?,
        slots: slots(quantiser, eighths),
        basis: Basis::new(eighths),
        needed: ZIGZAG.iter().rposition(is_needed).unwrap_or_default(),
        last_dc: 0,
    })
}

/// One scan, to be read.
struct Scan<'a, 'b> {
    frame: &'a Frame<'a>,
    parts: &'a mut [Part],
    bits: &'a mut Bits<'b>,
    /// Units between restart markers; 0: none.
    restart: usize,
}

impl Lanes for Scan<'_, '_> {
    type Made = Result<(), Unread>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Result<(), Unread> {
        let Scan { frame, parts, bits, restart } = self;
        let (across, down) = units(frame, parts);
        let mut left = restart;
        let mut reader = Reader::default();
        let mut sums = Sums::empty();
        for y in 0..down {
            for x in 0..across {
                if restart > 0 {
                    if left == 0 {
                        start_again(parts, bits, &mut reader)?;
                        left = restart;
                    }
                    left -= 1;
                }
                bits.ready(&mut reader);
                for part in parts.iter_mut() {
                    unit(simd, part, (x, y), bits.window(), &mut reader, &mut sums);
                }
            }
            if bits.is_past_end(&reader) {
                return Err(CUT);
            }
        }
        Ok(())
    }
}

/// Units from left to right and from top to bottom. Alone in its scan, a component comes block by block, and blocks
/// that only pad are left out (T.81 §A.2.3).
fn units(frame: &Frame<'_>, parts: &mut [Part]) -> (usize, usize) {
    let [part] = parts else { return frame.units };
    let blocks = |pixels: u16, factor: usize, most: usize| (usize::from(pixels) * factor).div_ceil(8 * most);
    let units = (
        blocks(frame.head.width, part.across, frame.across),
        blocks(frame.head.height, part.down, frame.down),
    );
    (part.across, part.down) = (1, 1);
    units
}

fn start_again(parts: &mut [Part], bits: &mut Bits<'_>, reader: &mut Reader) -> Result<(), Unread> {
    if bits.is_past_end(reader) || !bits.restart(reader) {
        return Err(CUT);
    }
    parts.iter_mut().for_each(|part| part.last_dc = 0);
    Ok(())
}

/// The blocks of one component in one unit.
#[inline(always)]
fn unit<S: Simd>(
    simd: S,
    part: &mut Part,
    (x, y): (usize, usize),
    window: &Window,
    reader: &mut Reader,
    sums: &mut Sums,
) {
    let (stride, size) = (part.plane.stride, part.eighths);
    for down in 0..part.down {
        let top = (y * part.down + down) * size * stride;
        for across in 0..part.across {
            coefficients(simd, part, window, reader, sums);
            let rows = part.plane.samples.get_mut(top..top + size * stride).unwrap_or_default();
            let left = (x * part.across + across) * size;
            let basis = &part.basis;
            match size {
                1 => basis.draw::<S, 1>(simd, sums, rows, stride, left),
                2 => basis.draw::<S, 2>(simd, sums, rows, stride, left),
                3 => basis.draw::<S, 3>(simd, sums, rows, stride, left),
                4 => basis.draw::<S, 4>(simd, sums, rows, stride, left),
                5 => basis.draw::<S, 5>(simd, sums, rows, stride, left),
                6 => basis.draw::<S, 6>(simd, sums, rows, stride, left),
                7 => basis.draw::<S, 7>(simd, sums, rows, stride, left),
                _ => basis.draw::<S, 8>(simd, sums, rows, stride, left),
            }
        }
    }
}

/// Reads a block.
#[inline(always)]
fn coefficients<S: Simd>(simd: S, part: &mut Part, window: &Window, reader: &mut Reader, sums: &mut Sums) {
    reader.fill(window);
    part.last_dc = part.last_dc.wrapping_add(part.dc.next(reader));
    sums.start(simd, part.last_dc as f32 * part.slots.first().map_or(0.0, |(factor, ..)| *factor));
    let mut at = 1;
    while at <= part.needed {
        reader.fill(window);
        for _ in 0..GROUP {
            let (long, lead, value) = part.ac.next(reader, window);
            at += lead;
            let (factor, row, column) = part.slots.get((at - 1) & 127).copied().unwrap_or_default();
            if let Some(wave) = part.basis.across.get(usize::from(column & 7)) {
                sums.add(simd, value as f32 * factor, row, wave);
            }
            sums.last = if at <= 64 { at - 1 } else { sums.last };
            if long || at > part.needed {
                break;
            }
        }
    }
    part.ac.pass(reader, window, at);
}
