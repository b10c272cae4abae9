//! Colours by an ICC profile to those of sRGB, since what is written carries no profile. Who reads one is asked to believe
//! a stranger's tables, so a profile has few octets here, unpacked too, and what does not hold is passed over: the colours
//! are then shown as if they were sRGB, as a phone of 2003 would.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use moxcms::{
    ColorProfile, DataColorSpace, ParsingOptions, ToneReprCurve, TransformExecutor, TransformOptions, Xyzd,
};

use super::raster::{Layout, Raster};
use super::{Kind, container, tiff};

/// Most octets of a profile; those of screens and cameras have some hundred to some thousand, the largest half of this.
const MOST: usize = 256 << 10;

/// Most octets for one octet of a packed profile; real ones come to about three.
const EXPANSION: usize = 50;

/// Channels may differ by so much for a profile to be called sRGB: its makers round differently.
const SAME: u8 = 2;

/// How the colours of one picture become those of sRGB.
pub(super) struct ToSrgb {
    profile: Source,
}

enum Source {
    /// By layout, made of the profile; the one with alpha when it is asked for.
    Colours { profile: Box<ColorProfile>, rgb: Arc<Executor>, rgba: OnceCell<Option<Arc<Executor>>> },
    /// The gray that each gray becomes.
    Grays(Box<[u8; 256]>),
}

type Executor = dyn TransformExecutor<u8> + Send + Sync;

impl ToSrgb {
    /// `None` if the picture names no profile, one that can't be read, or that of sRGB.
    pub(super) fn of(bytes: &[u8], kind: Kind) -> Option<ToSrgb> {
        let profile = wide_gamut(bytes, kind).or_else(|| parsed(&packed(bytes, kind)?))?;
        let profile = match profile.color_space {
            DataColorSpace::Rgb if names_srgb(&profile) => return None,
            DataColorSpace::Rgb => {
                let rgb = executor(&profile, moxcms::Layout::Rgb, moxcms::Layout::Rgb)?;
                if is_srgb(&*rgb) {
                    return None;
                }
                Source::Colours { profile: Box::new(profile), rgb, rgba: OnceCell::new() }
            }
            DataColorSpace::Gray => {
                let gray = executor(&profile, moxcms::Layout::Gray, moxcms::Layout::Rgb)?;
                Source::Grays(Box::new(grays(&*gray)?))
            }
            // Inks become red, green and blue while they are decoded.
            _ => return None,
        };
        Some(ToSrgb { profile })
    }

    /// Turns the colours of the picture. A profile of the other kind, gray for colours or colours for gray, does nothing.
    pub(super) fn apply(&self, raster: &mut Raster) {
        let pixels = &mut raster.pixels;
        match (&self.profile, raster.layout) {
            (Source::Colours { rgb, .. }, Layout::Rgb8) => turn(&**rgb, pixels),
            (Source::Colours { profile, rgba, .. }, Layout::Rgba8) => {
                let rgba = rgba.get_or_init(|| executor(profile, moxcms::Layout::Rgba, moxcms::Layout::Rgba));
                if let Some(rgba) = rgba {
                    turn(&**rgba, pixels);
                }
            }
            (Source::Grays(grays), Layout::L8) => {
                pixels.iter_mut().for_each(|gray| *gray = look_up(grays, *gray))
            }
            (Source::Grays(grays), Layout::La8) => {
                pixels.as_chunks_mut::<2>().0.iter_mut().for_each(|[gray, _]| *gray = look_up(grays, *gray));
            }
            _ => {}
        }
    }
}

fn executor(profile: &ColorProfile, from: moxcms::Layout, to: moxcms::Layout) -> Option<Arc<Executor>> {
    profile.create_transform_8bit(from, &ColorProfile::new_srgb(), to, TransformOptions::default()).ok()
}

fn turn(executor: &Executor, pixels: &mut [u8]) {
    let mut turned = vec![0; pixels.len()];
    if executor.transform(pixels, &mut turned).is_ok() {
        pixels.copy_from_slice(&turned);
    }
}

fn look_up(grays: &[u8; 256], gray: u8) -> u8 {
    grays.get(usize::from(gray)).copied().unwrap_or(gray)
}

fn grays(executor: &Executor) -> Option<[u8; 256]> {
    let from: [u8; 256] = std::array::from_fn(|gray| gray as u8);
    let mut to = [0; 256 * 3];
    executor.transform(&from, &mut to).ok()?;
    let (to, _) = to.as_chunks::<3>();
    let mut grays = [0; 256];
    grays.iter_mut().zip(to).for_each(|(gray, [_, green, _])| *gray = *green);
    Some(grays)
}

/// Whether the profile is the sRGB of most cameras, told by its tables or the parameters of its curves: that costs less
/// than a transform, which only this one spares.
fn names_srgb(profile: &ColorProfile) -> bool {
    let srgb = ColorProfile::new_srgb();
    let near = |a: f64, b: f64| (a - b).abs() < 0.002;
    let same = |a: Xyzd, b: Xyzd| near(a.x, b.x) && near(a.y, b.y) && near(a.z, b.z);
    let curve = |curve: &Option<ToneReprCurve>| {
        // Its five parameters in the order of ICC.1 §10.18.
        const CURVE: [f64; 5] = [2.4, 1.0 / 1.055, 0.055 / 1.055, 1.0 / 12.92, 0.040_45];
        let table = match curve {
            Some(ToneReprCurve::Lut(table)) => table,
            Some(ToneReprCurve::Parametric(found)) => {
                return found.len() == CURVE.len()
                    && found.iter().zip(CURVE).all(|(&found, named)| near(found.into(), named));
            }
            None => return false,
        };
        let last = table.len().saturating_sub(1);
        let expected =
            |share: f64| if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) };
        let held = |(at, &value): (usize, &u16)| {
            near(f64::from(value) / 65_535.0, expected(at as f64 / last as f64))
        };
        last > 0 && table.iter().enumerate().step_by(last.div_ceil(32)).all(held)
    };
    profile.lut_a_to_b_perceptual.is_none()
        && same(profile.red_colorant, srgb.red_colorant)
        && same(profile.green_colorant, srgb.green_colorant)
        && same(profile.blue_colorant, srgb.blue_colorant)
        && [&profile.red_trc, &profile.green_trc, &profile.blue_trc].into_iter().all(curve)
}

/// Whether colours all over the cube stay where they are.
fn is_srgb(executor: &Executor) -> bool {
    const STEPS: [u8; 6] = [0, 51, 102, 153, 204, 255];
    let cube = STEPS.into_iter().flat_map(|r| STEPS.into_iter().flat_map(move |g| STEPS.map(|b| [r, g, b])));
    let from: Vec<u8> = cube.flatten().collect();
    let mut to = vec![0; from.len()];
    executor.transform(&from, &mut to).is_ok()
        && from.iter().zip(&to).all(|(from, to)| from.abs_diff(*to) <= SAME)
}

fn parsed(profile: &[u8]) -> Option<ColorProfile> {
    let limits = ParsingOptions {
        max_profile_size: MOST + 1,
        max_allowed_clut_size: MOST,
        max_allowed_trc_size: 4096,
    };
    ColorProfile::new_from_slice_with_options(profile, limits).ok()
}

/// The profile's octets as they stand in the file.
fn packed(bytes: &[u8], kind: Kind) -> Option<Cow<'_, [u8]>> {
    let profile = match kind {
        Kind::Jpeg => Cow::Owned(of_jpeg(bytes)?),
        Kind::Png => Cow::Owned(of_png(bytes)?),
        Kind::Webp => Cow::Borrowed(chunk(container::riff_chunks(bytes), b"ICCP")?),
        Kind::Tiff => Cow::Borrowed(tiff::profile(bytes)?),
        Kind::Gif | Kind::Bmp | Kind::Ico | Kind::Wbmp => return None,
    };
    (profile.len() <= MOST).then_some(profile)
}

fn chunk<'a>(mut chunks: impl Iterator<Item = container::Chunk<'a>>, name: &[u8; 4]) -> Option<&'a [u8]> {
    // It stands before the pixels, which may be many chunks.
    chunks.by_ref().take(64).find(|chunk| &chunk.name == name).map(|chunk| chunk.data)
}

/// ICC.1 B.4: pieces with a number each, from 1 on, and how many there are.
fn of_jpeg(bytes: &[u8]) -> Option<Vec<u8>> {
    let pieces = container::segments(bytes).take_while(|segment| segment.marker != container::SOS);
    let mut profile = Vec::new();
    let mut taken = 0u8;
    for segment in pieces.filter(|segment| segment.marker == 0xe2) {
        let Some([number, count, data @ ..]) = segment.data.strip_prefix(b"ICC_PROFILE\0") else { continue };
        taken = taken.checked_add(1)?;
        if *number != taken || profile.len() + data.len() > MOST {
            return None;
        }
        profile.extend_from_slice(data);
        if taken == *count {
            return Some(profile);
        }
    }
    None
}

/// RFC 2083 has none; PNG (third edition) §11.3.2.3: a name, how it is packed, the packed octets.
fn of_png(bytes: &[u8]) -> Option<Vec<u8>> {
    let data = chunk(container::png_chunks(bytes), b"iCCP")?;
    let name = data.iter().take(80).position(|&octet| octet == 0)?;
    let packed = data.get(name + 1..)?.strip_prefix(&[0])?;
    let most = packed.len().saturating_mul(EXPANSION).min(MOST);
    miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(packed, most).ok()
}

/// PNG (third edition) §11.3.2.6: colours named by code points instead of a profile. Display P3 is the one there is in
/// practice with the curve of sRGB; those of television need more than a turn of colours.
fn wide_gamut(bytes: &[u8], kind: Kind) -> Option<ColorProfile> {
    const DISPLAY_P3: u8 = 12;
    const SRGB_CURVE: u8 = 13;
    let data = if kind == Kind::Png { chunk(container::png_chunks(bytes), b"cICP")? } else { return None };
    (data == [DISPLAY_P3, SRGB_CURVE, 0, 1]).then(ColorProfile::new_display_p3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(path: &str, kind: Kind) -> ColorProfile {
        #[expect(clippy::disallowed_methods, reason = "the pictures lie in files")]
        let file = std::fs::read(format!("{}/../tests/data/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        parsed(&packed(&file, kind).unwrap()).unwrap()
    }

    #[test]
    fn the_profile_of_a_camera_is_known_by_itself_and_others_are_not() {
        assert!(names_srgb(&profile("images/phone_12mp_o6.jpg", Kind::Jpeg)));
        for name in ["p3.png", "linear-gray.png"] {
            assert!(!names_srgb(&profile(&format!("formats/{name}"), Kind::Png)), "{name}");
        }
    }
}
