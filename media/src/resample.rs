//! Another sampling rate and other channels.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler};

use crate::audio::Pcm;
use crate::error::DecodeError;
use crate::limits::Limits;

/// Frames that go through the filter at once, about: 20 ms of 44.1 kHz.
const CHUNK_FRAMES: usize = 1024;

/// Sound at another rate, band-limited, with one or two channels. Its length is that of the source to the frame.
pub struct Resampled {
    source: Box<dyn Pcm>,
    rate: u32,
    channels: u16,
    filter: Option<Fft<f32>>,
    /// Mixed samples that wait for a whole chunk.
    waiting: Vec<f32>,
    made: Vec<f32>,
    block: Vec<i16>,
    /// Frames in and out so far, for the length at the end.
    frames_in: u64,
    frames_out: u64,
    /// Frames the filter is late, not yet left out.
    delay: usize,
    ended: bool,
}

impl Resampled {
    /// `source` at `rate` with `channels`.
    ///
    /// # Errors
    /// [`DecodeError::Shape`] as for [`crate::Audio::at`].
    pub fn new(source: Box<dyn Pcm>, rate: u32, channels: u16) -> Result<Resampled, DecodeError> {
        let refused = DecodeError::Shape { rate, channels };
        if !Limits::take(rate, channels) || channels > 2 {
            return Err(refused);
        }
        let filter = if source.rate() == rate {
            None
        } else {
            let (from, to) = (source.rate() as usize, rate as usize);
            let filter = Fft::new(from, to, CHUNK_FRAMES, channels.into(), FixedSync::Both);
            Some(filter.map_err(|_| refused)?)
        };
        let delay = filter.as_ref().map_or(0, Resampler::output_delay);
        Ok(Resampled {
            source,
            rate,
            channels,
            filter,
            waiting: Vec::new(),
            made: Vec::new(),
            block: Vec::new(),
            frames_in: 0,
            frames_out: 0,
            delay,
            ended: false,
        })
    }

    /// Reads one block and mixes it; whether there was one.
    fn fill(&mut self) -> Result<bool, DecodeError> {
        let from = self.source.channels();
        let Some(block) = self.source.block()? else { return Ok(false) };
        self.frames_in += (block.len() / usize::from(from).max(1)) as u64;
        mix(block, from, self.channels, &mut self.waiting);
        Ok(true)
    }

    /// Puts every whole chunk that waits through the filter.
    fn filter(&mut self) -> Result<(), DecodeError> {
        let Some(filter) = &mut self.filter else {
            self.made.append(&mut self.waiting);
            return Ok(());
        };
        let channels = usize::from(self.channels);
        let (chunk, most) = (filter.input_frames_next(), filter.output_frames_max());
        let mut used = 0;
        while self.waiting.len() / channels - used >= chunk {
            let start = self.made.len();
            self.made.resize(start + most * channels, 0.0);
            let failed = |_| DecodeError::Broken("it can't be brought to that rate");
            let input = InterleavedSlice::new(&self.waiting, channels, self.waiting.len() / channels);
            let frames = self.made.len() / channels;
            let output = InterleavedSlice::new_mut(&mut self.made, channels, frames);
            let (Ok(input), Ok(mut output)) = (input, output) else {
                return Err(DecodeError::Broken("it can't be brought to that rate"));
            };
            let at = Indexing::new().input_offset(used).output_offset(start / channels);
            let (read, written) =
                filter.process_into_buffer(&input, &mut output, Some(&at)).map_err(failed)?;
            used += read;
            self.made.truncate(start + written * channels);
        }
        self.waiting.drain(..used * channels);
        Ok(())
    }

    /// Feeds silence behind the end until all that was in has come out.
    fn flush(&mut self) -> Result<(), DecodeError> {
        let due = self.due();
        let channels = usize::from(self.channels);
        while self.frames_out + (self.made.len() / channels).saturating_sub(self.delay) as u64 <= due {
            let Some(filter) = &self.filter else { break };
            let chunk = filter.input_frames_next() * channels;
            self.waiting.resize(self.waiting.len().next_multiple_of(chunk).max(chunk), 0.0);
            self.filter()?;
        }
        let late = self.delay * channels;
        // Below the frames of one clip.
        let due = usize::try_from(due - self.frames_out.min(due)).unwrap_or(usize::MAX);
        self.made.truncate(due.saturating_mul(channels).saturating_add(late));
        Ok(())
    }

    /// Frames that come out of those that went in.
    fn due(&self) -> u64 {
        (self.frames_in * u64::from(self.rate)).div_ceil(u64::from(self.source.rate()).max(1))
    }
}

impl Pcm for Resampled {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn block(&mut self) -> Result<Option<&[i16]>, DecodeError> {
        let channels = usize::from(self.channels);
        self.made.clear();
        while self.made.is_empty() && !self.ended {
            if self.fill()? {
                self.filter()?;
            } else {
                self.ended = true;
                self.flush()?;
            }
            let late = self.delay.min(self.made.len() / channels);
            self.delay -= late;
            self.made.drain(..late * channels);
        }
        if self.made.is_empty() {
            return Ok(None);
        }
        self.frames_out += (self.made.len() / channels) as u64;
        self.block.clear();
        self.block.extend(self.made.iter().map(|sample| narrow(*sample)));
        Ok(Some(&self.block))
    }
}

/// Channels become one or two: one is all of them at equal shares, two are the first two, each with the mean of the rest.
fn mix(block: &[i16], from: u16, to: u16, out: &mut Vec<f32>) {
    for frame in block.chunks_exact(usize::from(from).max(1)) {
        match (frame, to) {
            ([one], 1) => out.push(f32::from(*one)),
            ([one], _) => out.extend([f32::from(*one); 2]),
            ([left, right], 2) => out.extend([f32::from(*left), f32::from(*right)]),
            ([left, right, rest @ ..], 2) => {
                let rest = mean(rest);
                out.extend([left, right].map(|side| f32::midpoint(f32::from(*side), rest)));
            }
            (all, _) => out.push(mean(all)),
        }
    }
}

fn mean(samples: &[i16]) -> f32 {
    let sum: i64 = samples.iter().map(|sample| i64::from(*sample)).sum();
    sum as f32 / samples.len().max(1) as f32
}

fn narrow(sample: f32) -> i16 {
    // A cast of a float saturates.
    sample.round() as i16
}
