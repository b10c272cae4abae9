//! Every clip of `tests/data/media`, decoded, brought to telephony's rate, and split.

#![expect(clippy::unwrap_used, reason = "a failed step here is a failed test")]

use std::path::Path;

use bytes::Bytes;
use media::{Codec, Coding, DecodeError, Frame, Limits, Pcm};

fn clip(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/media").join(name);
    std::fs::read(path).unwrap().into()
}

fn samples(mut pcm: Box<dyn Pcm>) -> Vec<i16> {
    let mut all = Vec::new();
    while let Some(block) = pcm.block().unwrap() {
        assert!(!block.is_empty());
        all.extend_from_slice(block);
    }
    all
}

/// The share of the energy that is at `hertz` (Goertzel).
fn share(samples: &[i16], rate: u32, hertz: f64) -> f64 {
    let step = 2.0 * std::f64::consts::PI * hertz / f64::from(rate);
    let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let sample = f64::from(*sample);
        sine += sample * (step * at as f64).sin();
        cosine += sample * (step * at as f64).cos();
        energy += sample * sample;
    }
    2.0 * (sine * sine + cosine * cosine) / (samples.len() as f64 * energy)
}

const TONES: &[(&str, &str, u32, u16)] = &[
    ("tone_pcm16.wav", "audio/x-wav", 16_000, 1),
    ("tone_ulaw.wav", "audio/wav", 8000, 1),
    ("tone_alaw.wav", "audio/wav", 8000, 1),
    ("tone.au", "audio/basic", 8000, 1),
    ("tone.ul", "audio/basic", 8000, 1),
    ("tone.mp3", "audio/mpeg", 44_100, 2),
    ("tone.m4a", "audio/mp4", 44_100, 1),
    ("tone.flac", "audio/flac", 16_000, 1),
    ("tone.ogg", "audio/ogg", 16_000, 1),
    ("clip.mp4", "video/mp4", 44_100, 1),
    #[cfg(feature = "opus")]
    ("tone.opus", "audio/ogg", 48_000, 1),
    #[cfg(feature = "opus")]
    ("clip.webm", "video/webm", 48_000, 1),
];

#[test]
fn every_tone_is_heard_at_its_rate_and_at_every_other() {
    for &(name, media_type, rate, channels) in TONES {
        let audio = media::decode(clip(name), media_type, Limits::default()).unwrap();
        assert_eq!((audio.rate(), audio.channels()), (rate, channels), "{name}");
        for to in [8000, 16_000, 48_000] {
            let audio = media::decode(clip(name), media_type, Limits::default()).unwrap();
            let heard = samples(audio.at(to, 1).unwrap());
            let seconds = heard.len() as f64 / f64::from(to);
            assert!((2.98..3.02).contains(&seconds), "{name} at {to}: {seconds} s");
            assert!(share(&heard, to, 440.0) > 0.98, "{name} at {to}: {}", share(&heard, to, 440.0));
        }
    }
}

#[test]
fn what_is_not_decoded_here_is_said_to_be_so() {
    for (name, media_type) in
        [("tone.amrraw", "audio/amr"), ("clip.mpg", "video/mpeg"), ("pic.png", "image/png")]
    {
        let refused = media::decode(clip(name), media_type, Limits::default()).err();
        assert!(matches!(refused, Some(DecodeError::Unsupported(_))), "{name}: {refused:?}");
    }
    #[cfg(not(feature = "opus"))]
    {
        let refused = media::decode(clip("tone.opus"), "audio/ogg", Limits::default()).err();
        assert!(matches!(refused, Some(DecodeError::Unsupported(_))), "{refused:?}");
    }
}

#[test]
fn a_rate_that_is_brought_down_does_not_fold_back() {
    // 6 kHz of a stream of 16 kHz would come out as 2 kHz of one of 8 kHz.
    let wave: Vec<u8> = (0..48_000u32)
        .flat_map(|at| {
            let angle = 2.0 * std::f64::consts::PI * 6000.0 * f64::from(at) / 16_000.0;
            ((angle.sin() * 16_000.0) as i16).to_be_bytes()
        })
        .collect();
    let audio = media::decode(wave.into(), "audio/L16;rate=16000", Limits::default()).unwrap();
    let heard = samples(audio.at(8000, 1).unwrap());
    assert_eq!(heard.len(), 24_000);
    // The edges of the clip are steps, which hold every frequency.
    assert!(heard[1000..23_000].iter().all(|sample| sample.unsigned_abs() < 30));
}

#[test]
fn channels_are_mixed_and_doubled() {
    let stereo: Vec<u8> = [1000i16, 3000].repeat(100).iter().flat_map(|s| s.to_be_bytes()).collect();
    let open = || media::decode(stereo.clone().into(), "audio/L16;rate=8000;channels=2", Limits::default());
    assert_eq!(samples(open().unwrap().at(8000, 1).unwrap()), vec![2000; 100]);
    let mono: Vec<u8> = 700i16.to_be_bytes().repeat(10);
    let mono = media::decode(mono.into(), "audio/L16;rate=8000", Limits::default()).unwrap();
    assert_eq!(samples(mono.at(8000, 2).unwrap()), vec![700; 20]);
}

#[test]
fn limits_end_what_is_too_long_or_too_large_or_of_no_shape() {
    let short = Limits { seconds: 1, ..Limits::default() };
    let mut audio = media::decode(clip("tone.ul"), "audio/basic", short).unwrap();
    let mut heard = 0;
    let error = loop {
        match audio.block() {
            Ok(Some(block)) => heard += block.len(),
            Ok(None) => panic!("it ended by itself"),
            Err(error) => break error,
        }
    };
    assert_eq!((heard, error), (8000, DecodeError::TooLong));
    let small = Limits { octets: 100, ..Limits::default() };
    assert_eq!(media::decode(clip("tone.ul"), "audio/basic", small).err(), Some(DecodeError::TooLarge));
    for shape in ["rate=1", "rate=8000;channels=0", "rate=8000;channels=90000", "rate=4000000000"] {
        let refused = media::decode(clip("tone.ul"), &format!("audio/L16;{shape}"), Limits::default()).err();
        assert!(matches!(refused, Some(DecodeError::Shape { .. })), "{shape}: {refused:?}");
    }
}

#[test]
fn a_clip_cut_anywhere_ends_or_is_refused() {
    for &(name, media_type, ..) in TONES {
        let whole = clip(name);
        for end in (0..whole.len()).step_by(997) {
            let Ok(mut audio) = media::decode(whole.slice(..end), media_type, Limits::default()) else {
                continue;
            };
            while let Ok(Some(_)) = audio.block() {}
            let Ok(streams) = media::streams(whole.slice(..end), media_type, Limits::default(), 20) else {
                continue;
            };
            for stream in streams {
                assert!(stream.frames.count() < 100_000);
            }
        }
    }
}

#[test]
fn frames_for_rtp_have_the_right_octets_and_times() {
    for (codec, octets, ticks) in [(Codec::Pcmu, 160, 160), (Codec::Pcma, 160, 160), (Codec::G722, 160, 160)]
    {
        let audio = media::decode(clip("tone.mp3"), "audio/mpeg", Limits::default()).unwrap();
        let frames: Vec<Frame> =
            media::encode(Box::new(audio), codec, 20).unwrap().map(Result::unwrap).collect();
        assert!((149..=151).contains(&frames.len()), "{codec:?}: {}", frames.len());
        for (at, frame) in frames.iter().enumerate() {
            assert_eq!((frame.octets.len(), frame.duration), (octets, ticks));
            assert_eq!(frame.timestamp, at as u64 * u64::from(ticks));
        }
    }
}

#[cfg(feature = "opus")]
#[test]
fn opus_is_written_and_is_what_it_was() {
    let audio = media::decode(clip("tone.mp3"), "audio/mpeg", Limits::default()).unwrap();
    let frames: Vec<Frame> =
        media::encode(Box::new(audio), Codec::Opus, 20).unwrap().map(Result::unwrap).collect();
    assert!((149..=153).contains(&frames.len()));
    assert!(frames.iter().all(|frame| frame.duration == 960 && frame.octets.len() < 400));
}

#[test]
fn companded_samples_are_those_of_the_file() {
    // Decoded and encoded again nothing changes: the tables are each other's inverse.
    let audio = media::decode(clip("tone.ul"), "audio/basic", Limits::default()).unwrap();
    let again: Vec<u8> = media::encode(Box::new(audio), Codec::Pcmu, 20)
        .unwrap()
        .flat_map(|frame| frame.unwrap().octets)
        .collect();
    assert!(again == clip("tone.ul"));
    let passed = media::streams(clip("tone_alaw.wav"), "audio/wav", Limits::default(), 20).unwrap();
    let passed: Vec<u8> =
        passed.into_iter().flat_map(|stream| stream.frames).flat_map(|frame| frame.unwrap().octets).collect();
    let audio = media::decode(clip("tone_alaw.wav"), "audio/wav", Limits::default()).unwrap();
    let again: Vec<u8> = media::encode(Box::new(audio), Codec::Pcma, 20)
        .unwrap()
        .flat_map(|frame| frame.unwrap().octets)
        .collect();
    assert!(again == passed);
}

fn split(name: &str, media_type: &str) -> Vec<(Coding, u32, Vec<Frame>)> {
    let streams = media::streams(clip(name), media_type, Limits::default(), 20).unwrap();
    streams
        .into_iter()
        .map(|stream| (stream.coding, stream.clock, stream.frames.map(Result::unwrap).collect()))
        .collect()
}

#[test]
fn every_clip_is_split_into_the_frames_it_has() {
    let table: [(&str, &str, Coding, u32, usize); 10] = [
        ("tone_ulaw.wav", "audio/wav", Coding::Pcmu, 8000, 150),
        ("tone_alaw.wav", "audio/wav", Coding::Pcma, 8000, 150),
        ("tone.au", "audio/basic", Coding::Pcmu, 8000, 150),
        ("tone.ul", "audio/basic", Coding::Pcmu, 8000, 150),
        ("tone.amrraw", "audio/amr", Coding::Amr, 8000, 150),
        ("tone.mp3", "audio/mpeg", Coding::Mpa, 90_000, 116),
        ("tone.opus", "audio/ogg", Coding::Opus, 48_000, 151),
        ("clip.mp4", "video/mp4", Coding::H264, 90_000, 75),
        ("clip.webm", "video/webm", Coding::Vp8, 90_000, 75),
        ("clip.mpg", "video/mpeg", Coding::Mpv, 90_000, 75),
    ];
    for (name, media_type, coding, clock, count) in table {
        let streams = split(name, media_type);
        let (_, ticks, frames) = streams.iter().find(|(found, ..)| *found == coding).unwrap();
        let ends: Vec<&Frame> = frames.iter().filter(|frame| frame.last).collect();
        assert_eq!((ends.len(), *ticks), (count, clock), "{name}");
        let length: u64 = ends.iter().map(|frame| u64::from(frame.duration)).sum();
        let seconds = length as f64 / f64::from(clock);
        assert!((2.9..3.1).contains(&seconds), "{name}: {seconds} s");
    }
}

#[test]
fn sound_and_pictures_of_a_clip_are_streams_of_their_own() {
    let codings = |name, media_type| split(name, media_type).into_iter().map(|(coding, ..)| coding).collect();
    let found: Vec<Coding> = codings("clip.webm", "video/webm");
    assert_eq!(found, [Coding::Vp8, Coding::Opus]);
    let found: Vec<Coding> = codings("clip.mpg", "video/mpeg");
    assert_eq!(found, [Coding::Mpv, Coding::Mpa]);
    // AAC is not passed on.
    let found: Vec<Coding> = codings("clip.mp4", "video/mp4");
    assert_eq!(found, [Coding::H264]);
}

#[test]
fn h264_begins_with_its_parameter_sets() {
    let streams = media::streams(clip("clip.mp4"), "video/mp4", Limits::default(), 20).unwrap();
    let stream = streams.into_iter().next().unwrap();
    assert_eq!(stream.pixels, Some([352, 288]));
    let kinds: Vec<u8> = stream.setup.iter().map(|set| set[0] & 0x1f).collect();
    assert_eq!(kinds, [7, 8]);
    let first: Vec<u8> = stream.frames.take(4).map(|unit| unit.unwrap().octets[0] & 0x1f).collect();
    assert_eq!(first[..2], [7, 8]);
    assert!(first.contains(&5), "{first:?}");
}

#[test]
fn slices_of_mpeg_video_carry_the_header_of_their_picture() {
    let (_, _, units) = split("clip.mpg", "video/mpeg").remove(0);
    let first = &units[0];
    assert!(first.octets.starts_with(b"\0\0\x01\xb3"));
    // S, B, E, and the first picture is an I.
    assert_eq!(first.head.unwrap()[2], 0x20 | 0x18 | 1);
    assert!(units[1].octets.starts_with(b"\0\0\x01\x07"));
    assert_eq!(units[1].head.unwrap()[2], 0x18 | 1);
    // Shown at even distances, each once.
    let mut times: Vec<u64> = units.iter().filter(|unit| unit.last).map(|unit| unit.timestamp).collect();
    times.sort_unstable();
    let times: Vec<u64> = times.iter().map(|time| time - times[0]).collect();
    assert_eq!(times, (0..75).map(|at| at * 3600).collect::<Vec<u64>>());
}

#[test]
fn clips_of_codings_without_a_name_here_say_what_they_are_all_the_same() {
    let probe = media::probe(&clip("clip.3gp"), "video/3gpp", Limits::default()).unwrap();
    assert_eq!(probe.pictures.map(|pictures| (pictures.pixels, pictures.frames)), Some(([176, 144], 15)));
    assert_eq!(probe.sound.map(|sound| (sound.rate, sound.channels)), Some((8000, 1)));
    assert!(probe.millis.is_some_and(|millis| (2900..3100).contains(&millis)), "{probe:?}");
    let whole = clip("clip.3gp");
    for end in (0..whole.len()).step_by(97).chain(whole.len() - 3000..whole.len()) {
        let _ = media::probe(&whole.slice(..end), "video/3gpp", Limits::default());
    }
}
