//! Pictures of few colours: an exact palette where there are few, else one found by cutting the boxes of colour
//! space that vary most. Integers only and no randomness, so the same picture always gets the same palette.

use std::collections::HashMap;

use super::raster::Raster;

/// Alpha from which a pixel counts as opaque where there is only one transparent colour.
const OPAQUE: u8 = 128;

/// Colours of at most 256, the transparent one, if any, the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Palette {
    pub(super) colours: Vec<[u8; 4]>,
    pub(super) transparent: Option<u8>,
    exact: Option<HashMap<[u8; 4], u8>>,
}

impl Palette {
    /// A palette of at most `most` colours (2..=256) for all of `pictures` together. `spare` keeps an entry for
    /// transparency even if no pixel has any.
    pub(super) fn of(pictures: &[&Raster], most: u16, spare: bool) -> Palette {
        let most = usize::from(most.clamp(2, 256));
        Self::exact(pictures, most, spare).unwrap_or_else(|| Self::cut(pictures, most, spare))
    }

    /// The palette that loses nothing, if there are few enough colours. Half-transparent ones need a format
    /// that has them, so they never count as few.
    pub(super) fn exact(pictures: &[&Raster], most: usize, spare: bool) -> Option<Palette> {
        let mut found = HashMap::new();
        let mut colours = Vec::new();
        let mut transparent = spare;
        for pixel in pictures.iter().flat_map(|picture| picture.rgba()) {
            match pixel {
                [_, _, _, 0] => transparent = true,
                [_, _, _, 255] => {
                    let next = u8::try_from(colours.len()).ok();
                    if let std::collections::hash_map::Entry::Vacant(entry) = found.entry(pixel) {
                        entry.insert(next?);
                        colours.push(pixel);
                    }
                }
                _ => return None,
            }
            if colours.len() + usize::from(transparent) > most {
                return None;
            }
        }
        Some(Palette { exact: Some(found), ..Self::with_transparent(colours, transparent) })
    }

    fn cut(pictures: &[&Raster], most: usize, spare: bool) -> Palette {
        let mut cells = vec![Cell::default(); 1 << 15];
        let mut transparent = spare;
        for [r, g, b, a] in pictures.iter().flat_map(|picture| picture.rgba()) {
            if a < OPAQUE {
                transparent = true;
                continue;
            }
            let at = usize::from(r >> 3) << 10 | usize::from(g >> 3) << 5 | usize::from(b >> 3);
            if let Some(cell) = cells.get_mut(at) {
                cell.add([r, g, b]);
            }
        }
        cells.retain(|cell| cell.count > 0);
        let boxes = cut_boxes(cells, most - usize::from(transparent));
        let colours = boxes.iter().map(|cells| total(cells).mean()).collect();
        Self::with_transparent(colours, transparent)
    }

    fn with_transparent(mut colours: Vec<[u8; 4]>, transparent: bool) -> Palette {
        let transparent = u8::try_from(colours.len()).ok().filter(|_| transparent);
        if transparent.is_some() || colours.is_empty() {
            colours.push([0; 4]);
        }
        Palette { colours, transparent, exact: None }
    }

    /// The index of each pixel's colour.
    pub(super) fn map(&self, picture: &Raster) -> Vec<u8> {
        if let Some(exact) = &self.exact {
            let clear = self.transparent.unwrap_or(0);
            return picture.rgba().map(|pixel| exact.get(&pixel).copied().unwrap_or(clear)).collect();
        }
        // Pixels that agree in 6 bits of each sample are looked up once.
        let mut known = vec![u16::MAX; 1 << 18];
        let opaque = usize::from(self.transparent.unwrap_or(u8::MAX)).min(self.colours.len());
        let colours = self.colours.get(..opaque.max(1)).unwrap_or_default();
        let clear = self.transparent;
        let index = |[r, g, b, a]: [u8; 4]| {
            if let Some(clear) = clear.filter(|_| a < OPAQUE) {
                return clear;
            }
            let at = usize::from(r >> 2) << 12 | usize::from(g >> 2) << 6 | usize::from(b >> 2);
            match known.get_mut(at) {
                Some(slot) if *slot == u16::MAX => {
                    let found = nearest(colours, [r, g, b]);
                    *slot = u16::from(found);
                    found
                }
                Some(slot) => *slot as u8,
                None => 0,
            }
        };
        picture.rgba().map(index).collect()
    }
}

/// Pixels whose colours agree in 5 bits of each sample.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    count: u64,
    sum: [u64; 3],
    /// Of squares, all three samples.
    squares: u64,
}

impl Cell {
    fn add(&mut self, colour: [u8; 3]) {
        self.count += 1;
        for (sum, sample) in self.sum.iter_mut().zip(colour) {
            *sum += u64::from(sample);
            self.squares += u64::from(sample) * u64::from(sample);
        }
    }

    fn merge(self, other: &Cell) -> Cell {
        let mut sum = self.sum;
        sum.iter_mut().zip(other.sum).for_each(|(a, b)| *a += b);
        Cell { count: self.count + other.count, sum, squares: self.squares + other.squares }
    }

    fn sample(&self, axis: usize) -> u64 {
        self.sum.get(axis).copied().unwrap_or(0) / self.count.max(1)
    }

    fn mean(&self) -> [u8; 4] {
        let round = |sum: u64| ((sum + self.count / 2) / self.count.max(1)) as u8;
        let [r, g, b] = self.sum;
        [round(r), round(g), round(b), 255]
    }

    /// The squared error of showing all its pixels in its mean colour.
    fn error(&self) -> u64 {
        let means: u64 = self.sum.iter().map(|&sum| square_over(sum, self.count)).sum();
        self.squares.saturating_sub(means)
    }
}

/// `sum * sum / count` without overflow.
fn square_over(sum: u64, count: u64) -> u64 {
    let square = u128::from(sum) * u128::from(sum) / u128::from(count.max(1));
    u64::try_from(square).unwrap_or(u64::MAX)
}

fn total(cells: &[Cell]) -> Cell {
    cells.iter().fold(Cell::default(), Cell::merge)
}

/// Cuts the box with the largest error in two until there are `most`, or none is worth a cut.
fn cut_boxes(cells: Vec<Cell>, most: usize) -> Vec<Vec<Cell>> {
    if cells.is_empty() {
        return Vec::new();
    }
    let error = total(&cells).error();
    let mut boxes = vec![(error, cells)];
    while boxes.len() < most {
        let Some(widest) = (0..boxes.len()).max_by_key(|&at| boxes.get(at).map(|(error, _)| *error)) else {
            break;
        };
        let (error, cells) = boxes.swap_remove(widest);
        if error == 0 || cells.len() < 2 {
            boxes.push((0, cells));
            if error == 0 {
                break;
            }
            continue;
        }
        for half in cut_in_two(cells) {
            boxes.push((total(&half).error(), half));
        }
    }
    boxes.into_iter().map(|(_, cells)| cells).collect()
}

/// The cut, along any of the three axes, that leaves the least error. Needs two cells or more.
fn cut_in_two(mut cells: Vec<Cell>) -> [Vec<Cell>; 2] {
    let whole = total(&cells);
    let mut best = (u64::MAX, 0, 1);
    for axis in 0..3 {
        cells.sort_by_key(|cell| cell.sample(axis));
        let mut left = Cell::default();
        for (at, cell) in cells.iter().enumerate().take(cells.len() - 1) {
            left = left.merge(cell);
            let right = Cell {
                count: whole.count - left.count,
                sum: std::array::from_fn(|i| {
                    whole.sum.get(i).copied().unwrap_or(0) - left.sum.get(i).copied().unwrap_or(0)
                }),
                squares: whole.squares - left.squares,
            };
            let error = left.error().saturating_add(right.error());
            if error < best.0 {
                best = (error, axis, at + 1);
            }
        }
    }
    let (_, axis, at) = best;
    cells.sort_by_key(|cell| cell.sample(axis));
    let right = cells.split_off(at.min(cells.len()));
    [cells, right]
}

fn nearest(colours: &[[u8; 4]], [r, g, b]: [u8; 3]) -> u8 {
    let distance = |&[cr, cg, cb, _]: &[u8; 4]| {
        let square = |a: u8, b: u8, weight: u32| u32::from(a.abs_diff(b)).pow(2) * weight;
        // The eye sees green best and blue least.
        square(r, cr, 3) + square(g, cg, 5) + square(b, cb, 2)
    };
    let found = (0u8..=255).zip(colours).min_by_key(|(_, colour)| distance(colour));
    found.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::super::raster::Layout;
    use super::*;

    #[test]
    fn few_colours_are_kept_exactly() {
        let picture = Raster::new(2, 2, Layout::Rgb8, vec![1, 2, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9]).unwrap();
        let palette = Palette::of(&[&picture], 256, false);
        assert_eq!(palette.colours, [[1, 2, 3, 255], [4, 5, 6, 255], [7, 8, 9, 255]]);
        assert_eq!(palette.map(&picture), [0, 0, 1, 2]);
    }

    #[test]
    fn many_colours_are_cut_down_and_stay_near() {
        let pixels = (0..64 * 64u32).flat_map(|i| [(i % 256) as u8, (i / 16) as u8, 128]).collect();
        let picture = Raster::new(64, 64, Layout::Rgb8, pixels).unwrap();
        let palette = Palette::of(&[&picture], 64, false);
        assert_eq!(palette.colours.len(), 64);
        let worst = palette.map(&picture).into_iter().zip(picture.rgba()).map(|(index, [r, g, b, _])| {
            let [pr, pg, pb, _] = palette.colours[usize::from(index)];
            r.abs_diff(pr).max(g.abs_diff(pg)).max(b.abs_diff(pb))
        });
        assert!(worst.max().unwrap() <= 40);
    }

    #[test]
    fn transparency_takes_one_entry_of_the_limit() {
        let pixels = (0..=255).flat_map(|i| [i, 0, 0, if i < 9 { 0 } else { 255 }]).collect();
        let picture = Raster::new(16, 16, Layout::Rgba8, pixels).unwrap();
        let palette = Palette::of(&[&picture], 16, false);
        assert_eq!(palette.colours.len(), 16);
        assert_eq!(palette.transparent, Some(15));
        assert_eq!(palette.map(&picture)[0], 15);
    }

    #[test]
    fn a_wholly_transparent_picture_has_a_palette_too() {
        let picture = Raster::new(1, 1, Layout::Rgba8, vec![0; 4]).unwrap();
        assert_eq!(Palette::of(&[&picture], 2, false).map(&picture), [0]);
    }
}
