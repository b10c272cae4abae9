//! A palette PNG on its way into a JPEG: its few colours are turned once, and each pixel looks up what its colour became.

use std::io::Cursor;

use jpeg::Plane;

use super::decode::{PNG_OVERHEAD, admitted};
use super::{Probe, planes};

/// Y, Cb and Cr at full size; `None` for any other PNG, where something is transparent, and for a broken one.
pub(super) fn decode(bytes: &[u8], probe: &Probe) -> Option<Vec<Plane>> {
    if probe.palette.is_none() || probe.depth != 8 || probe.progressive || probe.alpha {
        return None;
    }
    let decoded = probe.pixels().saturating_add(PNG_OVERHEAD);
    let limits = png::Limits { bytes: usize::try_from(decoded).ok()? };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().ok()?;
    let info = reader.info();
    let plain = (info.color_type, info.bit_depth) == (png::ColorType::Indexed, png::BitDepth::Eight);
    if !plain || info.interlaced || info.trns.is_some() {
        return None;
    }
    let (width, height) = admitted(info.width, info.height, probe)?;
    let (colours, _) = info.palette.as_ref()?.as_chunks::<3>();
    let colours = colours.to_vec();
    let mut indices = vec![0; reader.output_buffer_size()?];
    reader.next_frame(&mut indices).ok()?;
    Some(planes::of(jpeg::colour::indexed(&indices, &colours, width as usize), (width, height)))
}
