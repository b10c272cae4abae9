use super::*;

fn frames(bytes: &[u8]) -> Vec<(gif::Frame<'static>, u16)> {
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes).unwrap();
    let mut frames = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        frames.push((frame.clone(), frame.delay));
    }
    frames
}

#[test]
fn all_frames_and_their_delays_are_kept() {
    let anim = file("anim_24f_320x240.gif");
    let made = make(&anim, &Spec::new(Kind::Gif, 160, 120));
    let delays = |bytes: &[u8]| frames(bytes).iter().map(|(_, delay)| *delay).collect::<Vec<_>>();
    assert_eq!(made.frames, 24);
    assert_eq!(delays(&made.bytes), delays(&anim));
    assert_eq!(made.work.decoded, 24 * 320 * 240);
}

#[test]
fn another_format_and_a_wish_for_a_still_take_the_first_frame() {
    let anim = file("anim_24f_320x240.gif");
    assert_eq!(make(&anim, &jpeg(160, 120)).frames, 1);
    let spec = Spec { animation: false, ..Spec::new(Kind::Gif, 160, 120) };
    let made = make(&anim, &spec);
    assert_eq!((made.frames, made.work.decoded), (1, 320 * 240));
}

#[test]
fn what_stands_still_is_not_written_again() {
    let mut gif = Vec::new();
    let mut encoder = gif::Encoder::new(&mut gif, 64, 64, &[0, 0, 0, 255, 0, 0]).unwrap();
    for at in 0..10u16 {
        let mut pixels = vec![0; 64 * 64];
        pixels[usize::from(at) * 64..][..8].fill(1);
        let frame =
            gif::Frame { width: 64, height: 64, delay: 7, buffer: pixels.into(), ..gif::Frame::default() };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    let made = make(&gif, &Spec::new(Kind::Gif, 64, 64));
    let made = frames(&made.bytes);
    assert_eq!(made.len(), 10);
    assert!(made.iter().skip(1).all(|(frame, delay)| (frame.width, frame.height, *delay) == (8, 2, 7)));
}

/// Frames of noise, which no palette and no comparison makes much shorter.
fn noise(frames: u32) -> Vec<u8> {
    let mut gif = Vec::new();
    let colours: Vec<u8> =
        (0..=255).flat_map(|at: u8| [at, at.wrapping_mul(7), at.wrapping_mul(31)]).collect();
    let mut encoder = gif::Encoder::new(&mut gif, 64, 64, &colours).unwrap();
    let mut state = 1u32;
    for _ in 0..frames {
        let pixels: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .take(64 * 64)
        .collect();
        let frame =
            gif::Frame { width: 64, height: 64, delay: 7, buffer: pixels.into(), ..gif::Frame::default() };
        encoder.write_frame(&frame).unwrap();
    }
    drop(encoder);
    gif
}

#[test]
fn an_animation_that_can_not_fit_loses_frames_and_lasts_as_long() {
    let floor = Floor { width: 64, height: 64, ..Floor::LOWEST };
    let limit = |octets| Spec { octets: Some(octets), floor, ..Spec::new(Kind::Gif, 64, 64) };
    let made = make(&noise(8), &limit(9000));
    assert!(made.bytes.len() <= 9000 && (2..=4).contains(&made.frames), "{} frames", made.frames);
    let delays: u16 = frames(&made.bytes).iter().map(|(_, delay)| delay).sum();
    assert_eq!(delays, 8 * 7);
    assert_eq!(make(&noise(8), &limit(4000)).frames, 1, "what is left at last is a still");
}
