//! From red, green and blue to what a JPEG keeps of a picture: Y of every pixel, Cb and Cr of the means of every two by two
//! (JFIF 1.02, in 16-bit fixed point). At the right and at the lower edge the last pixels stand for those that are missing.

use fearless_simd::Simd;

use crate::lanes::{self, Lanes};

/// Y, Cb and Cr of a picture that is `width` pixels wide; a last row that is not whole is left out.
pub fn planes(rgb: &[[u8; 3]], width: usize) -> [Vec<u8>; 3] {
    lanes::widest(Pixels::<false> { pixels: rgb, width })
}

/// The same of pixels that are Y, Cb and Cr beside each other.
pub fn split(ycbcr: &[[u8; 3]], width: usize) -> [Vec<u8>; 3] {
    lanes::widest(Pixels::<true> { pixels: ycbcr, width })
}

/// Y, Cb and Cr of a picture of few colours that is `width` pixels wide, from the index of each pixel's colour. A colour
/// that is missing is black.
pub fn indexed(indices: &[u8], colours: &[[u8; 3]], width: usize) -> [Vec<u8>; 3] {
    lanes::widest(Indexed { indices, colours, width })
}

/// JFIF 1.02.
#[inline(always)]
pub fn luma([r, g, b]: [u8; 3]) -> u8 {
    let sum = 19_595 * u32::from(r) + 38_470 * u32::from(g) + 7_471 * u32::from(b);
    ((sum + (1 << 15)) >> 16) as u8
}

/// Cb and Cr of the sums of four pixels.
#[inline(always)]
fn chroma([r, g, b]: [u16; 3]) -> [u8; 2] {
    const HALF: i32 = (1 << 17) - 1;
    const CENTRE: i32 = 128 << 18;
    let (r, g, b) = (i32::from(r), i32::from(g), i32::from(b));
    [
        ((-11_059 * r - 21_709 * g + 32_768 * b + CENTRE + HALF) >> 18) as u8,
        ((32_768 * r - 27_439 * g - 5_329 * b + CENTRE + HALF) >> 18) as u8,
    ]
}

/// Pixels, `READY` if they are Y, Cb and Cr.
struct Pixels<'a, const READY: bool> {
    pixels: &'a [[u8; 3]],
    width: usize,
}

impl<const READY: bool> Lanes for Pixels<'_, READY> {
    type Made = [Vec<u8>; 3];

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [Vec<u8>; 3] {
        let Pixels { pixels, width } = self;
        let width = width.max(1);
        let (mut y, mut cb, mut cr) = room(pixels.len(), width);
        let mut sums = vec![[0u16; 3]; width.next_multiple_of(2)];
        for rows in pixels.chunks(width * 2) {
            let Some((above, below)) = rows.split_at_checked(width) else { break };
            let below = if below.len() == width { below } else { above };
            for (sum, (above, below)) in sums.iter_mut().zip(above.iter().zip(below)) {
                for (sum, (&above, &below)) in sum.iter_mut().zip(above.iter().zip(below)) {
                    *sum = u16::from(above) + u16::from(below);
                }
            }
            if width % 2 == 1
                && let [.., last, beyond] = &mut sums[..]
            {
                *beyond = *last;
            }
            for (to, &pixel) in more(&mut y, rows.len() / width * width).iter_mut().zip(rows) {
                let [first, ..] = pixel;
                *to = if READY { first } else { luma(pixel) };
            }
            for &[[a, b, c], [d, e, f]] in sums.as_chunks::<2>().0 {
                let [blue, red] = if READY {
                    [(b + e + 2) / 4, (c + f + 2) / 4].map(|mean| mean as u8)
                } else {
                    chroma([a + d, b + e, c + f])
                };
                cb.push(blue);
                cr.push(red);
            }
        }
        [y, cb, cr]
    }
}

struct Indexed<'a> {
    indices: &'a [u8],
    colours: &'a [[u8; 3]],
    width: usize,
}

impl Lanes for Indexed<'_> {
    type Made = [Vec<u8>; 3];

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> [Vec<u8>; 3] {
        let Indexed { indices, colours, width } = self;
        let width = width.max(1);
        let (mut y, mut cb, mut cr) = room(indices.len(), width);
        let (mut lumas, mut colour) = ([0; 256], [0u64; 256]);
        for ((luma_of, all), &of) in lumas.iter_mut().zip(&mut colour).zip(colours) {
            *luma_of = luma(of);
            // Sums of four lie within 16 bits each.
            let [r, g, b] = of.map(u64::from);
            *all = r | g << 16 | b << 32;
        }
        for rows in indices.chunks(width * 2) {
            let Some((above, below)) = rows.split_at_checked(width) else { break };
            let below = if below.len() == width { below } else { above };
            for (to, &index) in more(&mut y, rows.len() / width * width).iter_mut().zip(rows) {
                *to = lumas.get(usize::from(index)).copied().unwrap_or_default();
            }
            let half = width.div_ceil(2);
            let to = more(&mut cb, half).iter_mut().zip(more(&mut cr, half));
            let ((above, last_above), (below, last_below)) = (above.as_chunks::<2>(), below.as_chunks::<2>());
            let last = last_above.iter().zip(last_below).map(|(&a, &c)| ([a, a], [c, c]));
            let both = above.iter().zip(below).map(|(&above, &below)| (above, below)).chain(last);
            for ((blue, red), ([a, b], [c, d])) in to.zip(both) {
                let sum = of(&colour, a) + of(&colour, b) + of(&colour, c) + of(&colour, d);
                [*blue, *red] = chroma([sum as u16, (sum >> 16) as u16, (sum >> 32) as u16]);
            }
        }
        [y, cb, cr]
    }
}

#[inline(always)]
fn of(colours: &[u64; 256], index: u8) -> u64 {
    colours.get(usize::from(index)).copied().unwrap_or_default()
}

/// So many samples more, black.
#[inline(always)]
fn more(plane: &mut Vec<u8>, samples: usize) -> &mut [u8] {
    let from = plane.len();
    plane.resize(from + samples, 0);
    plane.get_mut(from..).unwrap_or_default()
}

fn room(pixels: usize, width: usize) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let half = width.div_ceil(2) * (pixels / width).div_ceil(2);
    (Vec::with_capacity(pixels), Vec::with_capacity(half), Vec::with_capacity(half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_is_that_colour_in_every_plane() {
        for (colour, [y, cb, cr]) in [
            ([255, 0, 0], [76, 85, 255]),
            ([0, 0, 255], [29, 255, 107]),
            ([255, 255, 255], [255, 128, 128]),
            ([0, 0, 0], [0, 128, 128]),
        ] {
            let found = planes(&[colour; 9], 3);
            assert_eq!(found, [vec![y; 9], vec![cb; 4], vec![cr; 4]], "{colour:?}");
            assert_eq!(
                indexed(&[7; 9], &[[9; 3]; 7].into_iter().chain([colour]).collect::<Vec<_>>(), 3),
                found
            );
        }
    }

    #[test]
    fn what_is_split_already_keeps_its_luma_and_the_mean_of_its_chroma() {
        let pixels = [[1, 10, 100], [2, 20, 110], [3, 30, 120], [4, 40, 131]];
        assert_eq!(split(&pixels, 2), [vec![1, 2, 3, 4], vec![25], vec![115]]);
    }

    #[test]
    fn few_colours_and_all_colours_are_the_same_picture() {
        let colours: Vec<[u8; 3]> =
            (0..=255u8).map(|at| [at, at.wrapping_mul(7), at.wrapping_mul(29)]).collect();
        for (width, height) in [(1, 1), (2, 2), (5, 3), (64, 7), (33, 20)] {
            let indices: Vec<u8> = (0..width * height).map(|at| (at * at / 3) as u8).collect();
            let rgb: Vec<[u8; 3]> = indices.iter().map(|&index| colours[usize::from(index)]).collect();
            let found = indexed(&indices, &colours, width);
            assert_eq!(found, planes(&rgb, width), "{width}x{height}");
            let half = width.div_ceil(2) * height.div_ceil(2);
            assert_eq!(found.map(|plane| plane.len()), [width * height, half, half]);
        }
    }
}
