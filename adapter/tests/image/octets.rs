use super::*;

#[test]
fn a_limit_is_held_in_few_attempts() {
    let files = ["life_640x480.jpg", "picos_1280x960.jpg", "astronaut_pal_800x600.png", "seed_1280x720.webp"];
    for name in files {
        let bytes = file(name);
        let head = probe(&bytes).unwrap();
        for kind in [Kind::Jpeg, Kind::Png, Kind::Gif] {
            for limit in [4096, 16_384, 40_000] {
                let spec = Spec { octets: Some(limit), ..Spec::new(kind, head.width / 2, head.height / 2) };
                let made = make(&bytes, &spec);
                assert!(made.bytes.len() as u64 <= limit, "{name} {kind:?} {limit}");
                assert!(made.bytes.len() as u64 * 2 > limit, "{name} {kind:?} {limit}: {}", made.bytes.len());
                assert!(made.work.encodes <= 4, "{name} {kind:?} {limit}: {} encodes", made.work.encodes);
                assert!(
                    made.width <= spec.width
                        && (made.width * spec.height / spec.width).abs_diff(made.height) <= 1
                );
                assert!(made.quality.is_none_or(|quality| (35..=85).contains(&quality)));
                rgba(&made);
            }
        }
    }
}

#[test]
fn a_phone_photo_fits_16384_octets_at_90x120() {
    let spec = Spec { octets: Some(16_383), ..jpeg(90, 120) };
    let made = make(&file("phone_12mp_o6.jpg"), &spec);
    assert_eq!((made.width, made.height, made.quality), (90, 120, Some(85)));
    assert_eq!(made.work.encodes, 1);
}

#[test]
fn a_jpeg_stays_as_large_as_a_fair_quality_allows() {
    for limit in [4096, 16_384] {
        let spec = Spec { octets: Some(limit), ..jpeg(640, 480) };
        let made = make(&file("life_640x480.jpg"), &spec);
        let quality = made.quality.unwrap();
        assert!(made.width < 640 && (35..=45).contains(&quality), "{}px q{quality}", made.width);
        assert!(made.bytes.len() as u64 * 100 > limit * 92, "{} of {limit}", made.bytes.len());
        assert!(made.work.encodes <= 3, "{} encodes", made.work.encodes);
    }
}

#[test]
fn a_limit_that_is_looser_never_gives_a_smaller_jpeg_or_a_poorer_one_of_the_same_size() {
    let photo = file("picos_1280x960.jpg");
    let mut last = (0, 0);
    let mut encodes = 0;
    for limit in (1..=24).map(|at| at * 2000) {
        let made = make(&photo, &Spec { octets: Some(limit), ..jpeg(320, 240) });
        let found = (made.width, made.quality.unwrap());
        assert!(found >= last, "{found:?} after {last:?} at {limit}");
        assert!(
            made.bytes.len() as u64 * 100 > limit * 92 || found == (320, 85),
            "{} of {limit}",
            made.bytes.len()
        );
        last = found;
        encodes += made.work.encodes;
    }
    assert!(encodes <= 3 * 24, "{encodes} encodes for 24 limits");
}

#[test]
fn what_can_not_fit_says_how_small_it_got() {
    let spec = Spec { octets: Some(500), ..jpeg(640, 480) };
    let made = transform(&file("life_640x480.jpg"), &spec, &Guards::default(), &|| false);
    assert!(matches!(made, Err(ImageError::CantFit { smallest, limit: 500 }) if smallest > 500), "{made:?}");
}

#[test]
fn the_floor_is_not_gone_below() {
    let floor = Floor { quality: 60, width: 400, height: 300 };
    let spec = Spec { octets: Some(16_384), floor, ..jpeg(640, 480) };
    let made = transform(&file("life_640x480.jpg"), &spec, &Guards::default(), &|| false);
    assert!(matches!(made, Err(ImageError::CantFit { .. })), "{made:?}");
    let floor = Floor { quality: 35, width: 400, height: 300 };
    let spec = Spec { octets: Some(40_000), floor, ..jpeg(640, 480) };
    assert!(make(&file("life_640x480.jpg"), &spec).width >= 400);
}

#[test]
fn palettes_as_small_as_asked_for() {
    let astronaut = file("astronaut_pal_800x600.png");
    for kind in [Kind::Png, Kind::Gif] {
        for colours in [2, 16, 64] {
            let spec = Spec { palette: Some(colours), ..Spec::new(kind, 80, 60) };
            let made = make(&astronaut, &spec);
            assert!(made.palette.unwrap() <= colours);
            let mut seen: Vec<[u8; 4]> = rgba(&made).pixels().map(|pixel| pixel.0).collect();
            seen.sort_unstable();
            seen.dedup();
            assert!(seen.len() <= usize::from(colours));
        }
    }
}

#[test]
fn predictions_are_near_and_seldom_low() {
    let files = ["life_1080p.jpg", "picos_1280x960.jpg", "friends_prog_1200x1600.jpg", "seed_1280x720.webp"];
    for name in files {
        let bytes = file(name);
        let head = probe(&bytes).unwrap();
        for (kind, quality, palette) in [
            (Kind::Jpeg, 85, None),
            (Kind::Jpeg, 50, None),
            (Kind::Gif, 85, None),
            (Kind::Png, 85, Some(64)),
            (Kind::Png, 85, None),
        ] {
            let spec = Spec { quality, palette, ..Spec::new(kind, head.width / 4, head.height / 4) };
            let (expected, made) =
                (predict(&head, bytes.len() as u64, &spec), make(&bytes, &spec).bytes.len() as u64);
            assert!(
                expected * 100 >= made * 95 && expected <= made * 2,
                "{name} {spec:?}: {expected} for {made}"
            );
        }
    }
}
