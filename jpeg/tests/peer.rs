//! The planes at every fraction of the size beside libjpeg-turbo's `djpeg -scale N/8` (Debian:
//! libjpeg-turbo-progs), in every sampling.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a failed step here is a failed test, and a peer takes files"
)]

mod peer {
    use std::io::Write;
    use std::process::{Command, Stdio};

    use jpeg::{Eighths, Head, Plane, decode};
    use jpeg_encoder::{ColorType, Encoder, SamplingFactor};

    /// Width, height and luma by djpeg, its DCT in floats.
    fn theirs(file: &[u8], eighths: u8) -> (usize, usize, Vec<u8>) {
        let mut child = Command::new("djpeg")
            .args(["-grayscale", "-dct", "float", "-pnm", "-scale", &format!("{eighths}/8")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("djpeg is installed");
        let mut stdin = child.stdin.take().unwrap();
        let file = file.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&file));
        let made = child.wait_with_output().unwrap();
        feeder.join().unwrap().unwrap();
        assert!(made.status.success());
        // P5, width and height, 255.
        let mut lines = made.stdout.splitn(4, |&octet| octet == b'\n');
        assert_eq!(lines.next(), Some(&b"P5"[..]));
        let size = String::from_utf8(lines.next().unwrap().to_vec()).unwrap();
        let (width, height) = size.split_once(' ').unwrap();
        lines.next();
        (width.parse().unwrap(), height.parse().unwrap(), lines.next().unwrap().to_vec())
    }

    fn ours(file: &[u8], eighths: u8) -> Plane {
        decode(&Head::read(file).unwrap(), Eighths { luma: eighths, chroma: eighths }).unwrap().swap_remove(0)
    }

    /// Mean and largest difference.
    fn difference(file: &[u8], eighths: u8) -> (f64, u8) {
        let ((width, height, theirs), ours) = (theirs(file, eighths), ours(file, eighths));
        let (mut sum, mut most) = (0.0, 0);
        for (a, b) in theirs.chunks_exact(width).zip(ours.samples.chunks_exact(ours.stride)) {
            for (a, b) in a.iter().zip(b) {
                most = most.max(a.abs_diff(*b));
                sum += f64::from(a.abs_diff(*b));
            }
        }
        (sum / (width * height) as f64, most)
    }

    /// By eighths from 1. At 2/8 and 4/8 djpeg takes means of a whole inverse DCT, which keeps some of the higher
    /// frequencies that the others, and this decoder at every fraction, leave out; so there only what is far off is found.
    const FAR: [(f64, u8); 8] =
        [(0.1, 1), (4.5, 255), (0.1, 1), (4.5, 255), (0.1, 1), (0.1, 1), (0.1, 1), (0.1, 1)];

    fn compare(name: &str, file: &[u8]) {
        for (eighths, (mean, most)) in (1..).zip(FAR) {
            let found = difference(file, eighths);
            assert!(found.0 <= mean && found.1 <= most, "{name} at {eighths}/8: {found:?}");
        }
    }

    #[test]
    fn photos_are_what_djpeg_makes_of_them_at_every_fraction() {
        for name in ["life_640x480.jpg", "picos_1280x960.jpg", "life_1080p.jpg", "friends_prog_1200x1600.jpg"]
        {
            let path = format!("{}/../tests/data/images/{name}", env!("CARGO_MANIFEST_DIR"));
            compare(name, &std::fs::read(path).unwrap());
        }
    }

    #[test]
    fn every_sampling_is_what_djpeg_makes_of_it() {
        let shade = |x: usize, y: usize| {
            ((x * 5 + y * 3 + if (x / 9 + y / 7).is_multiple_of(2) { 60 } else { 0 }) % 240) as u8
        };
        let (width, height) = (107, 61);
        let pixels: Vec<u8> =
            (0..height).flat_map(|y| (0..width).flat_map(move |x| [shade(x, y), shade(y, x), 90])).collect();
        let samplings =
            [SamplingFactor::F_1_1, SamplingFactor::F_2_1, SamplingFactor::F_1_2, SamplingFactor::F_2_2];
        for sampling in samplings {
            for (optimised, progressive, restart) in
                [(false, false, None), (true, false, None), (false, false, Some(3)), (false, true, None)]
            {
                let mut file = Vec::new();
                let mut encoder = Encoder::new(&mut file, 85);
                encoder.set_sampling_factor(sampling);
                encoder.set_optimized_huffman_tables(optimised);
                encoder.set_progressive(progressive);
                if let Some(units) = restart {
                    encoder.set_restart_interval(units);
                }
                encoder.encode(&pixels, width as u16, height as u16, ColorType::Rgb).unwrap();
                compare(&format!("{sampling:?} {optimised} {progressive} {restart:?}"), &file);
            }
        }
    }
}
