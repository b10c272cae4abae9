//! The frames of animations, each as it looks on the screen.

use std::io::Cursor;
use std::num::NonZeroU64;

use super::decode::Frame;
use super::raster::{Layout, Raster};
use super::{ImageError, Kind, Probe, webp};

/// The frames of whatever moves.
pub(super) enum Film<'a> {
    Gif(Box<Gif<'a>>),
    Webp(webp::Film<'a>),
}

impl<'a> Film<'a> {
    pub(super) fn open(bytes: &'a [u8], probe: &Probe) -> Result<Film<'a>, ImageError> {
        match probe.kind {
            Kind::Webp => webp::Film::open(bytes, probe).map(Film::Webp),
            _ => Gif::open(bytes, probe).map(|gif| Film::Gif(Box::new(gif))),
        }
    }

    pub(super) fn repeat(&self) -> gif::Repeat {
        match self {
            Film::Gif(gif) => gif.repeat(),
            Film::Webp(webp) => webp.repeat(),
        }
    }

    /// The next frame; `None` after the last. What is broken behind the first one ends the film.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, ImageError> {
        match self {
            Film::Gif(gif) => gif.next_frame(),
            Film::Webp(webp) => webp.next_frame(),
        }
    }
}

const NO_FRAME: ImageError = ImageError::Damaged { kind: Kind::Gif, what: "it has no picture" };

/// The frames of a GIF.
pub(super) struct Gif<'a> {
    decoder: gif::Decoder<Cursor<&'a [u8]>>,
    screen: Raster,
    /// How the last frame leaves the screen, and what it covered.
    leaves: Leaves,
    shown: u32,
}

enum Leaves {
    AsIs,
    Clear(gif::Frame<'static>),
    Restore(Vec<u8>),
}

impl<'a> Gif<'a> {
    pub(super) fn open(bytes: &'a [u8], probe: &Probe) -> Result<Gif<'a>, ImageError> {
        let damaged = ImageError::Damaged { kind: Kind::Gif, what: "its header can't be read" };
        let memory = NonZeroU64::new(probe.pixels()).ok_or(damaged.clone())?;
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        options.set_memory_limit(gif::MemoryLimit::Bytes(memory));
        options.allow_unknown_blocks(true);
        let decoder = options.read_info(Cursor::new(bytes)).map_err(|_| damaged.clone())?;
        let octets = usize::try_from(probe.pixels().saturating_mul(4)).map_err(|_| damaged.clone())?;
        let screen = Raster::new(probe.width, probe.height, Layout::Rgba8, vec![0; octets]).ok_or(damaged)?;
        Ok(Gif { decoder, screen, leaves: Leaves::AsIs, shown: 0 })
    }

    fn repeat(&self) -> gif::Repeat {
        self.decoder.repeat()
    }

    /// The picture of its first frame.
    pub(super) fn into_first(mut self) -> Result<Raster, ImageError> {
        self.draw_next()?.ok_or(NO_FRAME)?;
        Ok(self.screen)
    }

    fn next_frame(&mut self) -> Result<Option<Frame>, ImageError> {
        let delay = self.draw_next()?;
        Ok(delay.map(|delay| Frame { raster: self.screen.clone(), delay }))
    }

    /// Draws the next frame on the screen and says how long it stands.
    fn draw_next(&mut self) -> Result<Option<u16>, ImageError> {
        let broken = ImageError::Damaged { kind: Kind::Gif, what: "its pixels can't be decoded" };
        let global = self.decoder.global_palette().map(<[u8]>::to_vec);
        let frame = match self.decoder.read_next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Ok(None),
            Err(_) if self.shown > 0 => return Ok(None),
            Err(_) => return Err(broken),
        };
        match std::mem::replace(&mut self.leaves, Leaves::AsIs) {
            Leaves::AsIs => {}
            Leaves::Clear(last) => for_rows(&mut self.screen, &last, |row, _| row.fill(0)),
            Leaves::Restore(pixels) => self.screen.pixels = pixels,
        }
        let leaves = match frame.dispose {
            gif::DisposalMethod::Any | gif::DisposalMethod::Keep => Leaves::AsIs,
            gif::DisposalMethod::Background => {
                Leaves::Clear(gif::Frame { buffer: Vec::new().into(), palette: None, ..frame.clone() })
            }
            gif::DisposalMethod::Previous => Leaves::Restore(self.screen.pixels.clone()),
        };
        let colours = frame.palette.as_deref().or(global.as_deref()).unwrap_or_default();
        let colours: Vec<[u8; 4]> =
            colours.as_chunks::<3>().0.iter().map(|&[r, g, b]| [r, g, b, 255]).collect();
        let clear = frame.transparent;
        for_rows(&mut self.screen, frame, |row, drawn| {
            for (on_screen, &index) in row.as_chunks_mut::<4>().0.iter_mut().zip(drawn) {
                if Some(index) != clear {
                    // An index without a colour is black, as browsers show it.
                    *on_screen = colours.get(usize::from(index)).copied().unwrap_or([0, 0, 0, 255]);
                }
            }
        });
        let delay = frame.delay;
        self.leaves = leaves;
        self.shown += 1;
        Ok(Some(delay))
    }
}

/// Calls `draw` for each row of the screen that `frame` covers, with the frame's own row; both are cut to
/// the screen.
fn for_rows(screen: &mut Raster, frame: &gif::Frame<'_>, draw: impl Fn(&mut [u8], &[u8])) {
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (width, height) = (usize::from(frame.width), usize::from(frame.height));
    let stride = screen.width as usize * 4;
    let end = (left + width).min(screen.width as usize);
    for (row, y) in screen.pixels.chunks_exact_mut(stride).skip(top).take(height).zip(0..) {
        let drawn = frame.buffer.get(y * width..(y + 1) * width).unwrap_or_default();
        if let Some(part) = row.get_mut(left * 4..end.max(left) * 4) {
            draw(part, drawn);
        }
    }
}
