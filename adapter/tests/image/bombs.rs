//! Small files that claim to be, or would become, something very large: each is refused by its head, or by a count,
//! before memory or time is spent on it.

use super::*;

#[path = "../../../tests/harness/bombs.rs"]
mod made;

fn data(path: &str) -> Vec<u8> {
    std::fs::read(format!("{}/../tests/data/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn refusal(bytes: &[u8]) -> ImageError {
    let mut refused = None;
    let memory = allocation_counter::measure(|| {
        refused = transform(bytes, &jpeg(64, 64), &Guards::default(), &|| false).err();
    });
    assert!(memory.bytes_max < 1 << 20, "{} octets of memory", memory.bytes_max);
    refused.unwrap()
}

#[test]
fn no_bomb_is_decoded_or_takes_memory() {
    for (name, _, bomb) in made::pictures() {
        let refused = refusal(&bomb);
        let expected = match name.split(' ').next().unwrap() {
            _ if name.contains("frames") => {
                matches!(refused, ImageError::TooManyFrames { frames: 201, limit: 200 })
            }
            "AVIF" | "SVG" => refused == ImageError::Unknown,
            "JPEG" => matches!(refused, ImageError::Damaged { kind: Kind::Jpeg, .. }),
            _ => matches!(refused, ImageError::TooManyPixels { .. }),
        };
        assert!(expected, "{name}: {refused:?}");
    }
}
