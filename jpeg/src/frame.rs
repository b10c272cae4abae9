//! The sizes of a picture at a fraction of its own, and how the blocks of each component become samples.

use fearless_simd::Simd;

use super::head::{Component, Head, Segments, Tables};
use super::idct::{Basis, Sums, UNUSED, ZIGZAG, scale};
use super::{Eighths, Plane, Unread};

/// Sizes that all scans share.
pub(super) struct Frame<'a> {
    head: &'a Head<'a>,
    eighths: Eighths,
    /// The largest sampling factors.
    most: (usize, usize),
    /// Units of all components, from left to right and from top to bottom.
    pub(super) units: (usize, usize),
}

impl<'a> Frame<'a> {
    pub(super) fn new(head: &'a Head<'a>, eighths: Eighths) -> Frame<'a> {
        // A single component has no subsampling, whatever its factors (T.81 §A.2.2).
        let factors = |of: fn(&Component) -> u8| match &head.components[..] {
            [_] => 1,
            all => usize::from(all.iter().map(of).max().unwrap_or(1)),
        };
        let (across, down) = (factors(|c| c.across), factors(|c| c.down));
        let units =
            (usize::from(head.width).div_ceil(8 * across), usize::from(head.height).div_ceil(8 * down));
        Frame { head, eighths, most: (across, down), units }
    }

    /// From behind the frame header on.
    pub(super) fn segments(&self) -> Segments<'a> {
        self.head.segments.clone()
    }

    /// How many components there are.
    pub(super) fn count(&self) -> usize {
        self.head.components.len()
    }

    /// Which component a scan means.
    pub(super) fn place(&self, id: u8) -> Result<usize, Unread> {
        let place = self.head.components.iter().position(|component| component.id == id);
        place.ok_or(Unread::Damaged("a scan of a component that is not there"))
    }
}

/// For each place of the zigzag, the factor of its quantiser and the frequency it is of, from top to bottom and from left
/// to right: what the smaller picture does not need is put where nobody looks, and so is what would lie behind the block.
type Slots = [(f32, u8, u8); 128];

fn slots(quantiser: &[u16; 64], size: usize) -> Slots {
    let mut slots = [(0.0, UNUSED, 0); 128];
    for (slot, (&factor, &(row, column))) in slots.iter_mut().zip(quantiser.iter().zip(&ZIGZAG)) {
        if usize::from(row.max(column)) < size {
            *slot = (f32::from(factor) * scale(row) * scale(column), row, column);
        }
    }
    slots
}

/// How one component is drawn.
pub(super) struct Shape {
    /// Which one it is.
    pub(super) place: usize,
    /// Blocks of a unit, from left to right and from top to bottom.
    pub(super) factors: (usize, usize),
    /// Coefficients up to the last one that is needed.
    pub(super) needed: usize,
    /// Samples that a side of a block becomes.
    size: usize,
    /// Blocks in all, those that only pad included.
    blocks: (usize, usize),
    /// The same without those that only pad.
    shown: (usize, usize),
    /// Eighths of a sample that the picture covers.
    covered: (u64, u64),
    slots: Slots,
    basis: Basis,
}

impl Shape {
    pub(super) fn new(frame: &Frame<'_>, place: usize, tables: &Tables<'_>) -> Result<Shape, Unread> {
        let wrong = Unread::Damaged("a component without its table");
        let component = frame.head.components.get(place).ok_or(wrong)?;
        let quantiser = tables.quantisers.get(usize::from(component.quantiser));
        let quantiser = quantiser.and_then(Option::as_ref).ok_or(wrong)?;
        // The first component is luma.
        let size = if place == 0 { frame.eighths.luma } else { frame.eighths.chroma };
        let size = usize::from(size.clamp(1, 8));
        let (across, down) = match frame.count() {
            1 => (1, 1),
            _ => (usize::from(component.across), usize::from(component.down)),
        };
        let (width, height) = (usize::from(frame.head.width), usize::from(frame.head.height));
        // Of a component that is sampled half as often, half of the pixels are covered.
        let covered = |pixels: usize, factor: usize, most: usize| (pixels * size * factor / most) as u64;
        let is_needed = |&(row, column): &(u8, u8)| usize::from(row.max(column)) < size;
        Ok(Shape {
            place,
            factors: (across, down),
            needed: ZIGZAG.iter().rposition(is_needed).unwrap_or_default(),
            size,
            blocks: (frame.units.0 * across, frame.units.1 * down),
            shown: ((width * across).div_ceil(8 * frame.most.0), (height * down).div_ceil(8 * frame.most.1)),
            covered: (covered(width, across, frame.most.0), covered(height, down, frame.most.1)),
            slots: slots(quantiser, size),
            basis: Basis::new(size),
        })
    }

    /// Blocks from left to right and from top to bottom, those that only pad included.
    pub(super) fn blocks(&self) -> (usize, usize) {
        self.blocks
    }

    /// The blocks of a scan of this component alone: those that only pad are left out (T.81 §A.2.3).
    pub(super) fn shown(&self) -> (usize, usize) {
        self.shown
    }

    /// Its samples, black.
    pub(super) fn plane(&self) -> Plane {
        let (stride, rows) = (self.blocks.0 * self.size, self.blocks.1 * self.size);
        Plane { stride, rows, samples: vec![0; stride * rows], eighths: self.covered }
    }

    /// Begins a block with its DC coefficient.
    #[inline(always)]
    pub(super) fn start<S: Simd>(&self, simd: S, dc: i32, sums: &mut Sums) {
        sums.start(simd, dc as f32 * self.slots.first().map_or(0.0, |(factor, ..)| *factor));
    }

    /// Adds the coefficient of a place in the zigzag, of up to 127.
    #[inline(always)]
    pub(super) fn add<S: Simd>(&self, simd: S, at: usize, value: i32, sums: &mut Sums) {
        let (factor, row, column) = self.slots.get(at & 127).copied().unwrap_or_default();
        if let Some(wave) = self.basis.across.get(usize::from(column & 7)) {
            sums.add(simd, value as f32 * factor, row, wave);
        }
    }

    /// Writes the samples of a block, by its place among all.
    #[inline(always)]
    pub(super) fn draw<S: Simd>(&self, simd: S, sums: &mut Sums, plane: &mut Plane, (x, y): (usize, usize)) {
        let (stride, size, basis) = (plane.stride, self.size, &self.basis);
        let top = y * size * stride;
        let rows = plane.samples.get_mut(top..top + size * stride).unwrap_or_default();
        let left = x * size;
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
