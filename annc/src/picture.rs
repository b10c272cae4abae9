//! How large, how many and how costly the pictures may be that are made for a phone.

use media::{Coding, Pictures};

use crate::form::Form;

/// Pictures a second at most, and at least where the size can be chosen for it.
const MOST_FRAMES: u32 = 30;
const LEAST_FRAMES: u32 = 15;

/// Bits a second of what is made, at least.
pub(crate) const LEAST_BITS: u32 = 32_000;

/// What a decoder takes: macroblocks of 16x16 a second, macroblocks of a picture, bits a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Most {
    rate: u32,
    picture: u32,
    bits: u32,
    frames: u32,
}

/// By `level_idc` (H.264 table A-1); what is above the last plays that too.
const LEVELS: [(u8, u32, u32, u32); 9] = [
    (10, 1485, 99, 64_000),
    (11, 3000, 396, 192_000),
    (12, 6000, 396, 384_000),
    (13, 11_880, 396, 768_000),
    (20, 11_880, 396, 2_000_000),
    (21, 19_800, 792, 4_000_000),
    (22, 20_250, 1620, 4_000_000),
    (30, 40_500, 1620, 10_000_000),
    (31, 108_000, 3600, 14_000_000),
];

/// The recipe for a phone that said `fmtp`, of pictures of that size; `None` if it plays nothing that is made. `bandwidth`
/// is what may be sent in bits a second.
pub(crate) fn recipe(
    form: Form,
    fmtp: Option<&str>,
    pixels: [u32; 2],
    bandwidth: Option<u32>,
) -> Option<Pictures> {
    let (coding, level, most, thousandths) = most(form, fmtp.unwrap_or_default())?;
    let pixels = fitted(pixels, most.picture.min(most.rate / LEAST_FRAMES))?;
    let frames = (most.rate / macroblocks(pixels).max(1)).min(most.frames).clamp(1, MOST_FRAMES);
    let bits = u64::from(pixels[0]) * u64::from(pixels[1]) * u64::from(frames) * thousandths / 1000;
    let bits = u32::try_from(bits).unwrap_or(u32::MAX).clamp(LEAST_BITS, most.bits.max(LEAST_BITS));
    let bits = bits.min(bandwidth.unwrap_or(u32::MAX)).max(LEAST_BITS);
    Some(Pictures { coding, pixels, frames, bits, level })
}

/// Coding, level, what the phone's decoder takes, and the thousandths of a bit that a pixel is worth.
pub(crate) fn most(form: Form, fmtp: &str) -> Option<(Coding, u8, Most, u64)> {
    let number = |name| value(fmtp, name).and_then(|number| number.parse::<u32>().ok());
    Some(match form {
        Form::H264 => {
            let (level, most) = h264(fmtp)?;
            (Coding::H264, level, most, 100)
        }
        // RFC 7741 §6.1: macroblocks of a picture, pictures a second.
        Form::Vp8 => {
            let (picture, frames) =
                (number("max-fs").unwrap_or(3600), number("max-fr").unwrap_or(MOST_FRAMES));
            (Coding::Vp8, 0, Most { rate: u32::MAX, picture, bits: 2_000_000, frames }, 100)
        }
        // Main level of MPEG-2, which everybody who says MPV plays.
        Form::Mpv => (
            Coding::Mpv,
            0,
            Most { rate: u32::MAX, picture: 1620, bits: 4_000_000, frames: MOST_FRAMES },
            300,
        ),
        _ => return None,
    })
}

/// Without a profile and level the least one is meant (RFC 6184 §8.1). Level 1b is taken for 1.
fn h264(fmtp: &str) -> Option<(u8, Most)> {
    let id = match value(fmtp, "profile-level-id") {
        Some(id) => u32::from_str_radix(id, 16).ok()?,
        None => 0x0042_000a,
    };
    let [_, _, constraints, level] = id.to_be_bytes();
    let is_1b = level == 11 && constraints & 0x10 != 0;
    let level = if is_1b { 10 } else { level };
    let (level, rate, picture, bits) = LEVELS.into_iter().rfind(|(known, ..)| *known <= level)?;
    Some((level, Most { rate, picture, bits, frames: MOST_FRAMES }))
}

/// A parameter of `a=fmtp`.
pub(crate) fn value<'f>(fmtp: &'f str, name: &str) -> Option<&'f str> {
    let mut all = fmtp.split(';').filter_map(|pair| pair.trim().split_once('='));
    all.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

fn macroblocks([width, height]: [u32; 2]) -> u32 {
    width.div_ceil(16).saturating_mul(height.div_ceil(16))
}

/// The largest even size of that shape with so many macroblocks at most; `None` if not one is allowed.
fn fitted(pixels: [u32; 2], most: u32) -> Option<[u32; 2]> {
    let mut share = (f64::from(most) / f64::from(macroblocks(pixels).max(1))).sqrt().min(1.0);
    // Down by a hundredth each time; sides of any length are below the least after so many.
    for _ in 0..4000 {
        // A cast of a float saturates.
        let size = pixels.map(|side| ((f64::from(side) * share) as u32 / 2 * 2).max(16));
        if macroblocks(size) <= most {
            return Some(size);
        }
        share *= 0.99;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(form: Form, fmtp: &str, pixels: [u32; 2]) -> Pictures {
        recipe(form, Some(fmtp), pixels, None).unwrap()
    }

    #[test]
    fn h264_keeps_to_the_level_of_the_phone() {
        let cif = [352, 288];
        let one = made(Form::H264, "", cif);
        assert_eq!((one.level, one.bits), (10, 38_016));
        assert!(macroblocks(one.pixels) <= 99 && macroblocks(one.pixels) * one.frames <= 1485, "{one:?}");
        let three = made(Form::H264, "profile-level-id=42e00d;packetization-mode=1", cif);
        assert_eq!((three.level, three.pixels, three.frames), (13, cif, 30));
        let high = made(Form::H264, "profile-level-id=640034", [1920, 1080]);
        assert_eq!((high.level, macroblocks(high.pixels) <= 3600), (31, true), "{high:?}");
        let least = made(Form::H264, "profile-level-id=42f00b", cif);
        assert_eq!(least.level, 10, "1b");
        assert_eq!(recipe(Form::H264, Some("profile-level-id=420009"), cif, None), None);
    }

    #[test]
    fn vp8_keeps_to_the_size_and_number_the_phone_says() {
        let small = made(Form::Vp8, "max-fr=10; max-fs=99", [640, 480]);
        assert_eq!((small.frames, macroblocks(small.pixels) <= 99), (10, true), "{small:?}");
        assert_eq!(made(Form::Vp8, "", [640, 480]).pixels, [640, 480]);
        assert_eq!(recipe(Form::Vp8, Some("max-fs=0"), [640, 480], None), None);
    }

    #[test]
    fn pictures_take_no_more_bits_than_may_be_sent() {
        let bits = |most| recipe(Form::Mpv, None, [640, 480], most).unwrap().bits;
        assert!(bits(None) > 384_000);
        assert_eq!(bits(Some(384_000)), 384_000);
        assert_eq!(bits(Some(0)), LEAST_BITS);
    }

    #[test]
    fn sides_of_any_length_come_to_no_harm() {
        for pixels in [[1, 1], [u32::MAX, 1], [u32::MAX, u32::MAX], [0, 0], [17, 4000]] {
            let size = made(Form::Mpv, "", pixels).pixels;
            assert!(size.iter().all(|side| side % 2 == 0 && *side >= 16), "{pixels:?}: {size:?}");
            assert!(macroblocks(size) <= 1620, "{pixels:?}: {size:?}");
        }
    }
}
