//! From the coded bits of a baseline file to planes (T.81 §A.2, §F.2): every block is drawn when it is read.

use fearless_simd::Simd;

use super::bits::{Bits, Reader, Window};
use super::frame::{Frame, Shape};
use super::head::{Segment, Segments, Tables};
use super::idct::Sums;
use super::lanes::{self, Lanes};
use super::symbols::{AcTable, DcTable, GROUP};
use super::{Plane, Unread};

pub(super) const CUT: Unread = Unread::Damaged("it ends within a scan");

/// Reads scans until every component was in one.
pub(super) fn all(frame: &Frame<'_>) -> Result<Vec<Plane>, Unread> {
    let mut planes: Vec<Option<Plane>> = vec![None; frame.count()];
    let mut segments = frame.segments();
    while planes.iter().any(Option::is_none) {
        let Segment::Scan(data) = next_scan(&mut segments)? else { return Err(CUT) };
        let mut parts = parts(data, frame, &segments.tables)?;
        for part in &parts {
            if planes.get(part.shape.place).is_none_or(Option::is_some) {
                return Err(Unread::Damaged("a component in two scans"));
            }
        }
        let mut bits = Bits::new(segments.rest());
        let restart = usize::from(segments.tables.restart);
        lanes::widest(Scan { frame, parts: &mut parts, bits: &mut bits, restart })?;
        segments.skip(bits.end());
        for mut part in parts {
            part.plane.pad();
            if let Some(plane) = planes.get_mut(part.shape.place) {
                *plane = Some(part.plane);
            }
        }
    }
    Ok(planes.into_iter().flatten().collect())
}

pub(super) fn next_scan<'a>(segments: &mut Segments<'a>) -> Result<Segment<'a>, Unread> {
    loop {
        match segments.next()? {
            Segment::Other(..) => {}
            Segment::Frame(..) => return Err(Unread::Damaged("two frame headers")),
            found => return Ok(found),
        }
    }
}

/// One component of a scan.
struct Part {
    shape: Shape,
    plane: Plane,
    dc: DcTable,
    ac: AcTable,
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
    let twice = |part: &Part| parts.iter().filter(|other| other.shape.place == part.shape.place).count() > 1;
    if parts.iter().any(twice) { Err(wrong) } else { Ok(parts) }
}

fn part(id: u8, codes: u8, frame: &Frame<'_>, tables: &Tables<'_>) -> Result<Part, Unread> {
    let wrong = Unread::Damaged("a scan of a table that is not there");
    let dc = tables.dc.get(usize::from(codes >> 4)).and_then(Option::as_ref).ok_or(wrong)?;
    let ac = tables.ac.get(usize::from(codes & 15)).and_then(Option::as_ref).ok_or(wrong)?;
    let shape = Shape::new(frame, frame.place(id)?, tables)?;
    Ok(Part { plane: shape.plane(), shape, dc: DcTable::new(dc)?, ac: AcTable::new(ac)?, last_dc: 0 })
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
        let ((across, down), alone) = units(frame, parts);
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
                    unit(simd, part, alone, (x, y), bits.window(), &mut reader, &mut sums);
                }
            }
            if bits.is_past_end(&reader) {
                return Err(CUT);
            }
        }
        Ok(())
    }
}

/// Units from left to right and from top to bottom, and whether a component has them alone: then they are its blocks.
fn units(frame: &Frame<'_>, parts: &[Part]) -> ((usize, usize), bool) {
    match parts {
        [part] => (part.shape.shown(), true),
        _ => (frame.units, false),
    }
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
    alone: bool,
    (x, y): (usize, usize),
    window: &Window,
    reader: &mut Reader,
    sums: &mut Sums,
) {
    let (across, down) = if alone { (1, 1) } else { part.shape.factors };
    for v in 0..down {
        for u in 0..across {
            coefficients(simd, part, window, reader, sums);
            part.shape.draw(simd, sums, &mut part.plane, (x * across + u, y * down + v));
        }
    }
}

/// Reads a block.
#[inline(always)]
fn coefficients<S: Simd>(simd: S, part: &mut Part, window: &Window, reader: &mut Reader, sums: &mut Sums) {
    reader.fill(window);
    part.last_dc = part.last_dc.wrapping_add(part.dc.next(reader));
    part.shape.start(simd, part.last_dc, sums);
    let mut at = 1;
    while at <= part.shape.needed {
        reader.fill(window);
        for _ in 0..GROUP {
            let (long, lead, value) = part.ac.next(reader, window);
            at += lead;
            part.shape.add(simd, at - 1, value, sums);
            sums.last = if at <= 64 { at - 1 } else { sums.last };
            if long || at > part.shape.needed {
                break;
            }
        }
    }
    part.ac.pass(reader, window, at);
}
