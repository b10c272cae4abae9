//! Sound and video that strangers sent, as far as it is read in process: heads, containers, decoders, frames.

use bytes::Bytes;
use media::{Limits, Pcm};

const TYPES: [&str; 8] = [
    "audio/basic",
    "audio/L16;rate=8000",
    "audio/pcma",
    "audio/mpeg",
    "audio/aac",
    "audio/amr",
    "audio/amr-wb",
    "video/mpeg",
];

const LIMITS: Limits = Limits { octets: 64 << 10, seconds: 2 };

/// The first octet says what it is labelled as; its own octets know better.
pub fn run(data: &[u8]) {
    let Some((choice, clip)) = data.split_first() else { return };
    let kind = TYPES[usize::from(*choice) % TYPES.len()];
    let clip = Bytes::copy_from_slice(clip);
    let _ = media::probe(&clip, kind, LIMITS);
    if let Ok(audio) = media::decode(clip.clone(), kind, LIMITS) {
        heard(Box::new(audio));
    }
    if let Ok(audio) = media::decode(clip.clone(), kind, LIMITS)
        && let Ok(telephony) = audio.at(8000, 1)
    {
        heard(telephony);
    }
    for stream in media::streams(clip, kind, LIMITS, 20).into_iter().flatten() {
        let end = u64::from(LIMITS.seconds) * u64::from(stream.clock);
        let mut octets = 0;
        for (number, frame) in stream.frames.enumerate() {
            let Ok(frame) = frame else { break };
            assert!(frame.timestamp < end, "a frame behind the limit");
            octets += frame.octets.len();
            // Nothing is given out twice, but for headers, which are before what they belong to.
            assert!(octets <= 4 * LIMITS.octets && number <= LIMITS.octets, "more than went in");
        }
    }
}

/// Whole frames, never none, and no more of them than there are seconds.
fn heard(mut pcm: Box<dyn Pcm>) {
    let (rate, channels) = (pcm.rate(), usize::from(pcm.channels()));
    let most = u64::from(LIMITS.seconds) * u64::from(rate) + 1;
    let mut frames = 0;
    while let Ok(Some(block)) = pcm.block() {
        assert!(!block.is_empty() && block.len() % channels == 0);
        frames += (block.len() / channels) as u64;
        assert!(frames <= most, "more than the seconds that are read");
    }
}
