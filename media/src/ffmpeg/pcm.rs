//! Samples out of its pipe.

use bytes::Bytes;

use super::{RunError, Running, Stop};
use crate::audio::Pcm;
use crate::error::DecodeError;

/// Octets of a block of samples that are all there.
const BLOCK_OCTETS: usize = 8192;

/// Sound that a child decodes.
pub(super) struct ChildPcm {
    running: Running,
    rate: u32,
    channels: u16,
    stop: Stop,
    octets: Vec<u8>,
    block: Vec<i16>,
}

impl ChildPcm {
    pub(super) fn new(running: Running, rate: u32, channels: u16, stop: Stop) -> ChildPcm {
        ChildPcm { running, rate, channels, stop, octets: Vec::new(), block: Vec::new() }
    }
}

impl Pcm for ChildPcm {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn block(&mut self) -> Result<Option<&[i16]>, DecodeError> {
        let frame = usize::from(self.channels) * 2;
        self.block.clear();
        while self.octets.len() < frame {
            let stop = &*self.stop;
            match self.running.read(&mut self.octets, &|| stop()) {
                Ok(0) => return Ok(None),
                Ok(_) => {}
                Err(RunError::Stopped) => return Err(DecodeError::Stopped),
                Err(_) => return Err(DecodeError::Broken("ffmpeg can't decode it")),
            }
        }
        let whole = self.octets.len() / frame * frame;
        let samples = self.octets.get(..whole).unwrap_or_default().as_chunks::<2>().0;
        self.block.extend(samples.iter().map(|sample| i16::from_le_bytes(*sample)));
        self.octets.drain(..whole);
        Ok(Some(&self.block))
    }
}

/// Samples that are all there: 16 bits, least significant octet first.
pub struct Samples {
    octets: Bytes,
    rate: u32,
    channels: u16,
    block: Vec<i16>,
}

impl Samples {
    /// `octets` at so many frames a second.
    pub fn new(octets: Bytes, rate: u32, channels: u16) -> Samples {
        Samples { octets, rate, channels: channels.max(1), block: Vec::new() }
    }
}

impl Pcm for Samples {
    fn rate(&self) -> u32 {
        self.rate
    }

    fn channels(&self) -> u16 {
        self.channels
    }

    fn block(&mut self) -> Result<Option<&[i16]>, DecodeError> {
        let frame = usize::from(self.channels) * 2;
        let whole = self.octets.len().min(BLOCK_OCTETS) / frame * frame;
        let taken = self.octets.split_to(whole);
        self.block.clear();
        self.block.extend(taken.as_chunks::<2>().0.iter().map(|sample| i16::from_le_bytes(*sample)));
        Ok(if self.block.is_empty() { None } else { Some(&self.block) })
    }
}
