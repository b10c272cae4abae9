//! Every way of writing a format that comes in, and every format that goes out, against what the pixels are: by the
//! formulas of `tests/data/formats/make.py`, or as libwebp, libjpeg and littlecms decoded them.

use super::*;

const WIDTH: u32 = 24;
const HEIGHT: u32 = 20;

fn example(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/formats/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn pixel(x: u32, y: u32) -> [u8; 4] {
    let alpha = if (x + y).is_multiple_of(3) { x * 10 } else { 255 };
    [x * 255 / (WIDTH - 1), y * 255 / (HEIGHT - 1), (x * 7 + y * 13) * 3 % 256, alpha]
        .map(|sample| sample as u8)
}

fn opaque(x: u32, y: u32) -> [u8; 4] {
    let [r, g, b, _] = pixel(x, y);
    [r, g, b, 255]
}

fn gray(x: u32, y: u32) -> u32 {
    (x * 11 + y * 5) % 256
}

fn shade(gray: u32) -> [u8; 4] {
    [gray as u8, gray as u8, gray as u8, 255]
}

fn bilevel(x: u32, y: u32) -> [u8; 4] {
    shade(if gray(x, y) >= 128 { 255 } else { 0 })
}

fn indexed(x: u32, y: u32) -> [u8; 4] {
    let colour = (x + y * 3) % 256;
    [colour as u8, (255 - colour) as u8, (colour * 7 % 256) as u8, 255]
}

/// What `make.py` put there, at the place of a pixel.
type Formula = Box<dyn Fn(u32, u32) -> [u8; 4]>;

/// The same of a picture that needs nothing else to be told.
type Plain = fn(u32, u32) -> [u8; 4];

fn pngs() -> Vec<(String, Formula)> {
    let mut all: Vec<(String, Formula)> = Vec::new();
    for tag in ["", "-interlaced"] {
        for depth in [1, 2, 4, 8, 16u32] {
            let most = (1u32 << depth) - 1;
            let of = move |x, y| shade(((gray(x, y) * 257) >> (16 - depth)) * 255 / most);
            all.push((format!("gray-{depth}{tag}.png"), Box::new(of)));
        }
        for depth in [8, 16] {
            all.push((format!("rgb-{depth}{tag}.png"), Box::new(opaque)));
            all.push((format!("rgba-{depth}{tag}.png"), Box::new(pixel)));
            let of = |x, y| [gray(x, y) as u8, gray(x, y) as u8, gray(x, y) as u8, pixel(x, y)[3]];
            all.push((format!("graya-{depth}{tag}.png"), Box::new(of)));
        }
        for depth in [1, 2, 4, 8u32] {
            let colours = 1u32 << depth;
            let of = move |x, y| {
                let colour = (x + y * 3) % colours;
                let share = (colour * 255 / (colours - 1)) as u8;
                [share, 255 - share, colour as u8, 255]
            };
            all.push((format!("palette-{depth}{tag}.png"), Box::new(of)));
        }
    }
    let key = |x, y| if gray(x, y) == gray(3, 3) { [0; 4] } else { shade(gray(x, y)) };
    all.push(("gray-8-key.png".into(), Box::new(key)));
    all.push(("gray-16-between.png".into(), Box::new(|x, y| shade((gray(x, y) + 1).min(255)))));
    all
}

fn others() -> Vec<(String, Formula)> {
    let mut all: Vec<(String, Formula)> = Vec::new();
    let mut add = |names: &[&str], of: Plain| {
        all.extend(names.iter().map(|name| ((*name).to_owned(), Box::new(of) as Formula)));
    };
    let rgb = ["rgb.tiff", "rgb-lzw.tiff", "rgb-deflate.tiff", "rgb-packbits.tiff", "rgb-big-endian.tiff"];
    add(&rgb, opaque);
    add(&["rgb.bmp", "rgba.bmp", "cmyk.tiff"], opaque);
    add(&["rgba.tiff", "rgba-lossless.webp", "png.ico", "bitmap.ico"], pixel);
    add(&["gray.bmp", "gray.tiff", "gray-16.tiff"], |x, y| shade(gray(x, y)));
    add(&["bilevel.bmp", "bilevel.tiff", "bilevel-group4.tiff", "bilevel.wbmp"], bilevel);
    add(&["palette.bmp", "palette.tiff", "palette.gif", "palette-interlaced.gif"], indexed);
    all
}

#[test]
fn what_loses_nothing_comes_out_pixel_for_pixel() {
    for (name, of) in pngs().into_iter().chain(others()) {
        let file = example(&name);
        let probe = probe(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!((probe.width, probe.height), (WIDTH, HEIGHT), "{name}");
        let made = transform(&file, &Spec::new(Kind::Png, WIDTH, HEIGHT), &Guards::default(), &|| false);
        let made = made.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(made.work.decoded, u64::from(WIDTH * HEIGHT), "{name}");
        for (x, y, shown) in rgba(&made).enumerate_pixels() {
            let expected = of(x, y);
            // The colour of what can't be seen is nobody's.
            let same = shown.0 == expected || (shown.0[3] == 0 && expected[3] == 0);
            assert!(same, "{name} at {x},{y}: {:?} instead of {expected:?}", shown.0);
        }
    }
}

#[test]
fn a_tiff_that_lies_on_its_side_is_turned() {
    let made = make(&example("rgb-turned.tiff"), &Spec::new(Kind::Png, HEIGHT, WIDTH));
    for (x, y, shown) in rgba(&made).enumerate_pixels() {
        assert_eq!(shown.0, opaque(y, HEIGHT - 1 - x), "{x},{y}");
    }
}

/// The mean and the largest difference of any sample.
fn difference(one: &image::RgbaImage, other: &image::RgbaImage) -> (f64, u8) {
    assert_eq!(one.dimensions(), other.dimensions());
    let each = || one.as_raw().iter().zip(other.as_raw()).map(|(a, b)| a.abs_diff(*b));
    let sum: u64 = each().map(u64::from).sum();
    (sum as f64 / one.as_raw().len() as f64, each().max().unwrap())
}

fn reference(name: &str) -> image::RgbaImage {
    image::load_from_memory(&example(name)).unwrap().to_rgba8()
}

#[test]
fn lossy_webp_is_what_libwebp_sees_in_it() {
    for name in ["rgb-lossy.webp", "rgba-lossy.webp"] {
        let made = make(&example(name), &Spec::new(Kind::Png, WIDTH * 4, HEIGHT * 4));
        let (mean, most) = difference(&rgba(&made), &reference(&format!("{name}.reference.png")));
        assert!(mean < 0.5 && most <= 4, "{name}: {mean} in the mean, {most} at most");
    }
}

#[test]
fn wide_colours_become_those_of_srgb() {
    for (name, expected, mean_limit, limit) in [
        ("p3.png", "p3.png.reference.png", 0.6, 3),
        ("p3-cicp.png", "p3.png.reference.png", 0.6, 3),
        ("adobe.tiff", "adobe.reference.png", 0.6, 3),
        ("adobe.webp", "adobe.reference.png", 0.6, 3),
        ("linear-gray.png", "linear-gray.png.reference.png", 0.6, 3),
        ("p3.jpg", "p3.jpg.reference.png", 1.5, 16),
    ] {
        let file = example(name);
        let expected = reference(expected);
        let made = make(&file, &Spec::new(Kind::Png, expected.width(), expected.height()));
        let (mean, most) = difference(&rgba(&made), &expected);
        assert!(mean < mean_limit && most <= limit, "{name}: {mean} in the mean, {most} at most");
        let untouched =
            image::load_from_memory(&file).unwrap_or_else(|_| image::load_from_memory(&made.bytes).unwrap());
        if !name.ends_with(".tiff") {
            let (turned, _) = difference(&untouched.to_rgba8(), &expected);
            assert!(turned > 3.0 * mean, "{name} names colours that are none of sRGB: {turned}");
        }
    }
}

#[test]
fn wide_colours_are_turned_on_the_way_to_a_jpeg_too() {
    let made = make(&example("p3.jpg"), &Spec { quality: 95, ..jpeg(WIDTH * 2, HEIGHT * 2) });
    let smaller = reference("p3.jpg.reference.png");
    let smaller =
        image::imageops::resize(&smaller, WIDTH * 2, HEIGHT * 2, image::imageops::FilterType::Lanczos3);
    let (mean, _) = difference(&rgba(&made), &smaller);
    assert!(mean < 6.0, "{mean} in the mean");
    assert!(!made.bytes.windows(11).any(|octets| octets == b"ICC_PROFILE"));
}

#[test]
fn a_profile_of_srgb_changes_nothing() {
    let made = make(&example("srgb.png"), &Spec::new(Kind::Png, WIDTH, HEIGHT));
    assert!(rgba(&made).enumerate_pixels().all(|(x, y, shown)| shown.0 == opaque(x, y)));
}

#[test]
fn a_profile_packed_a_thousand_to_one_is_passed_over() {
    let file = example("icc-bomb.png");
    let mut made = None;
    let memory = allocation_counter::measure(|| {
        made = Some(make(&file, &Spec::new(Kind::Png, WIDTH, HEIGHT)));
    });
    assert!(memory.bytes_max < 1 << 20, "{} octets of memory", memory.bytes_max);
    assert!(rgba(&made.unwrap()).enumerate_pixels().all(|(x, y, shown)| shown.0 == opaque(x, y)));
}

#[test]
fn a_webp_animation_becomes_a_gif_of_the_same_length() {
    let file = example("moving.webp");
    assert_eq!(probe(&file).unwrap().frames, 4);
    let made = make(&file, &Spec::new(Kind::Gif, WIDTH, HEIGHT));
    assert_eq!((made.frames, made.work.decoded), (4, 4 * u64::from(WIDTH * HEIGHT)));
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(std::io::Cursor::new(&made.bytes[..])).unwrap();
    let mut delays = Vec::new();
    while let Some(frame) = decoder.read_next_frame().unwrap() {
        delays.push(frame.delay);
    }
    assert_eq!(delays, [7, 13, 4, 30], "70, 125, 40 and 300 ms, none of them lost by rounding");
    let still = make(&file, &Spec { animation: false, ..Spec::new(Kind::Png, WIDTH, HEIGHT) });
    assert_eq!(rgba(&still).get_pixel(4, 5).0, [0, 0, 250, 255]);
    assert_eq!(rgba(&still).get_pixel(20, 18).0, [200, 0, 0, 255]);
}

/// One of each format that comes in, all of the same picture or of its gray.
const SOURCES: [(&str, Plain); 8] = [
    ("rgb-8.png", opaque),
    ("palette.gif", indexed),
    ("rgb.bmp", opaque),
    ("rgba-lossless.webp", pixel),
    ("rgb-lzw.tiff", opaque),
    ("png.ico", pixel),
    ("bilevel.wbmp", bilevel),
    ("bitmap.ico", pixel),
];

#[test]
fn every_format_becomes_every_format() {
    for (name, of) in SOURCES {
        let shown = image::RgbaImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let [r, g, b, a] = of(x, y).map(u32::from);
            let over = |sample: u32| ((sample * a + 255 * (255 - a) + 127) / 255) as u8;
            image::Rgba([over(r), over(g), over(b), 255])
        });
        for kind in [Kind::Png, Kind::Webp, Kind::Bmp, Kind::Gif, Kind::Jpeg] {
            let made = make(&example(name), &Spec { quality: 95, ..Spec::new(kind, WIDTH, HEIGHT) });
            assert_eq!(Kind::sniff(&made.bytes), Some(kind));
            let mut decoded = rgba(&made);
            for pixel in decoded.pixels_mut() {
                let [r, g, b, a] = pixel.0.map(u32::from);
                let over = |sample: u32| ((sample * a + 255 * (255 - a) + 127) / 255) as u8;
                pixel.0 = [over(r), over(g), over(b), 255];
            }
            let (mean, most) = difference(&decoded, &shown);
            let (mean_limit, limit) = match kind {
                Kind::Png | Kind::Webp | Kind::Bmp => (0.1, 1),
                // 256 colours, and nothing half transparent.
                Kind::Gif => (14.0, 255),
                // Half the chroma of colours that change with each pixel.
                _ => (30.0, 255),
            };
            assert!(
                mean <= mean_limit && most <= limit,
                "{name} as {kind:?}: {mean} in the mean, {most} at most"
            );
        }
    }
}

#[test]
fn every_format_becomes_black_and_white_as_bright_as_it_was() {
    for (name, of) in SOURCES {
        let made = make(&example(name), &Spec::new(Kind::Wbmp, WIDTH, HEIGHT));
        assert_eq!(made.bytes.len(), 4 + 3 * 20, "{name}");
        let again = make(&made.bytes, &Spec::new(Kind::Png, WIDTH, HEIGHT));
        let shown = rgba(&again);
        assert!(shown.pixels().all(|pixel| matches!(pixel.0, [0, 0, 0, 255] | [255, 255, 255, 255])));
        let bright = |[r, g, b, a]: [u8; 4]| {
            let gray = 0.299 * f64::from(r) + 0.587 * f64::from(g) + 0.114 * f64::from(b);
            (gray - 255.0) * f64::from(a) / 255.0 + 255.0
        };
        let mean = |of: &dyn Fn(u32, u32) -> [u8; 4]| {
            let all = (0..WIDTH).flat_map(|x| (0..HEIGHT).map(move |y| (x, y)));
            all.map(|(x, y)| bright(of(x, y))).sum::<f64>() / f64::from(WIDTH * HEIGHT)
        };
        let (was, is) = (mean(&of), mean(&|x, y| shown.get_pixel(x, y).0));
        assert!((was - is).abs() < 4.0, "{name}: {was} became {is}");
    }
}

#[test]
fn formats_that_do_not_compress_meet_a_limit_by_their_size() {
    let photo = file("life_640x480.jpg");
    for (kind, limit) in [(Kind::Wbmp, 1000), (Kind::Bmp, 20_000), (Kind::Bmp, 3_000), (Kind::Webp, 20_000)] {
        let made = make(&photo, &Spec { octets: Some(limit), ..Spec::new(kind, 160, 120) });
        let octets = made.bytes.len() as u64;
        let least = if kind == Kind::Webp { limit / 2 } else { limit * 85 / 100 };
        assert!(octets <= limit && octets >= least, "{kind:?} of {octets} for {limit}");
        assert!(made.work.encodes <= if kind == Kind::Webp { 5 } else { 1 }, "{} tries", made.work.encodes);
    }
}

#[test]
fn what_is_not_read_says_what_it_is() {
    let of = |name| probe(&example(name)).unwrap_err();
    assert_eq!(of("rgb-jpeg.tiff"), ImageError::Unsupported { kind: Kind::Tiff, what: "JPEG compression" });
    assert_eq!(of("rgb.avif"), ImageError::Unknown);
}
