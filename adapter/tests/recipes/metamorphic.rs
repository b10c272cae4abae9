//! What must hold between one adaptation and another, whatever they are of.

use std::sync::OnceLock;

use adapter::image::{Guards, Kind, Spec};
use proptest::prelude::*;

use super::*;

/// A media type and its octets.
type Leaf = (&'static str, Bytes);

/// Small pictures of several kinds, a text and a page.
fn leaves() -> &'static [Leaf] {
    static LEAVES: OnceLock<Vec<Leaf>> = OnceLock::new();
    LEAVES.get_or_init(made)
}

fn made() -> Vec<Leaf> {
    let photo = image("life_640x480.jpg");
    let small = |kind, width, height| {
        adapter::image::transform(&photo, &Spec::new(kind, width, height), &Guards::default(), &|| false)
            .unwrap()
            .bytes
    };
    let example = |name: &str| Bytes::from(std::fs::read(format!("{IMAGES}../formats/{name}")).unwrap());
    vec![
        ("image/jpeg", small(Kind::Jpeg, 200, 150)),
        ("image/png", small(Kind::Png, 90, 120)),
        ("image/gif", small(Kind::Gif, 160, 120)),
        ("image/gif", example("moving.gif")),
        ("image/webp", example("rgba-lossy.webp")),
        ("image/tiff", example("rgb-lzw.tiff")),
        ("image/x-icon", example("bitmap.ico")),
        ("text/plain", Bytes::from_static("The sea, in the evening: \u{e4}\u{f6}\u{fc}.".as_bytes())),
        ("text/html", Bytes::from_static(b"<p>The <b>sea</b>, in the evening.</p>")),
        ("audio/amr", Bytes::from_static(&[7; 900])),
    ]
}

fn message_of(parts: &[(&str, Bytes)]) -> Entity {
    if let [(kind, body)] = parts {
        return of(kind, body.clone());
    }
    let mut body = Vec::new();
    for (kind, octets) in parts {
        body.extend(format!("--xyz\r\nContent-Type: {kind}\r\n\r\n").as_bytes());
        body.extend_from_slice(octets);
        body.extend(b"\r\n");
    }
    body.extend(b"--xyz--\r\n");
    of("multipart/mixed; boundary=xyz", body)
}

fn range() -> impl Strategy<Value = String> {
    let kind = prop::sample::select(vec![
        "image/jpeg",
        "image/png",
        "image/gif",
        "image/webp",
        "image/bmp",
        "image/vnd.wap.wbmp",
        "image/*",
        "*/*",
        "text/plain",
        "text/html",
        "audio/amr",
        "message/external-body",
    ]);
    let side = || prop::option::of(8u32..300);
    (kind, side(), side(), prop::option::of(200u32..12_000), 1u32..10).prop_map(|(kind, x, y, length, q)| {
        let mut range = format!("{kind};q=0.{q}");
        for (name, limit) in [("media-pix-x", x), ("media-pix-y", y), ("length", length)] {
            range.extend(limit.map(|limit| format!(";{name}=max+{limit}")));
        }
        range
    })
}

fn terminal() -> impl Strategy<Value = Cpi> {
    (prop::collection::vec(range(), 1..5), prop::option::of(900u32..30_000)).prop_map(|(ranges, whole)| {
        let whole = whole.map_or("identity".into(), |whole| format!("identity;length=max+{whole}"));
        accept(&[("Accept", &ranges.join(", ")), ("Accept-Encoding", &whole)])
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn what_was_adapted_is_not_adapted_again(
        cpi in terminal(),
        picked in prop::collection::vec(0usize..10, 1..5),
        store in any::<bool>(),
    ) {
        let all = leaves();
        let parts: Vec<_> = picked.iter().map(|&at| all[at].clone()).collect();
        let settings = if store { with_store() } else { settings() };
        if let Ok(once) = deliver(&message_of(&parts), Some(&cpi), &settings, Budget::default()) {
            let twice = deliver(&once.entity, Some(&cpi), &settings, Budget::default());
            let twice = twice.map_err(|refusal| TestCaseError::fail(format!("refused: {refusal}: {:?}", once.report)))?;
            prop_assert!(twice.is_identical(&once.entity), "{:#?}\n{:#?}", once.report, twice.report);
        }
    }

    #[test]
    fn the_order_of_parts_does_not_change_what_each_becomes(
        ranges in prop::collection::vec(range(), 1..5),
        picked in prop::collection::vec(0usize..10, 2..5),
        turn in 1usize..4,
    ) {
        let cpi = accepts(&format!("{}, multipart/mixed", ranges.join(", ")));
        let all = leaves();
        let mut parts: Vec<_> = picked.iter().map(|&at| all[at].clone()).collect();
        // A store that names links by content, as links are named by place here otherwise.
        let bodies = |parts: &[(&str, Bytes)]| -> Option<Vec<(String, Vec<u8>)>> {
            let got = deliver(&message_of(parts), Some(&cpi), &settings(), Budget::default()).ok()?;
            let tree = adapter::mime::Tree::read(&got.entity, &settings().guards);
            let leaf = |at| (tree.node(at).unwrap().content_type.written.clone(), tree.content(at).unwrap().to_vec());
            Some((1..tree.nodes().len()).map(leaf).collect())
        };
        let straight = bodies(&parts);
        let turn = turn % parts.len();
        parts.rotate_left(turn);
        let turned = bodies(&parts);
        let mut straight = straight;
        if let Some(straight) = &mut straight {
            straight.rotate_left(turn);
        }
        prop_assert_eq!(straight, turned);
    }
}

/// How far a picture is from the one it was made of, seen at the size of that one.
fn distance(octets: &[u8], original: &image::RgbImage) -> f64 {
    let shown = image::load_from_memory(octets).unwrap().to_rgb8();
    let shown = image::imageops::resize(
        &shown,
        original.width(),
        original.height(),
        image::imageops::FilterType::Triangle,
    );
    let sum: u64 = shown.iter().zip(original.iter()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / original.len() as f64
}

#[test]
fn a_looser_limit_never_gives_a_worse_picture() {
    let photo = image("life_640x480.jpg");
    let original = image::load_from_memory(&photo).unwrap().to_rgb8();
    let from = of("image/jpeg", photo);
    let pixels =
        (4..20).step_by(2).map(|step| format!("media-pix-x=max+{}", step * step * 2)).collect::<Vec<_>>();
    let octets = (0..14)
        .step_by(2)
        .map(|step| format!("length=max+{}", (2000.0 * 1.35f64.powi(step)) as u64))
        .collect::<Vec<_>>();
    for kind in ["image/jpeg", "image/png", "image/gif", "image/webp"] {
        for limits in [&pixels, &octets] {
            let mut best = f64::INFINITY;
            for limit in limits {
                let got = to(&accepts(&format!("{kind};{limit}")), &from);
                let Ok(got) = got else {
                    assert_eq!(best, f64::INFINITY, "{kind} fitted less, and not {limit}");
                    continue;
                };
                let now = distance(&got.entity.body, &original);
                assert!(
                    now <= best * 1.03,
                    "{kind} of {limit}: {now} from the original, and {best} with less"
                );
                best = best.min(now);
            }
            assert!(best < f64::INFINITY, "{kind} fits nothing");
        }
    }
}
