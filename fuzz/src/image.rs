//! Pictures: whatever the octets, an answer within the guards and within the limit.

use adapter::image::{Guards, Kind, Spec, strip, transform};

/// Small enough that an input takes milliseconds.
const GUARDS: Guards = Guards { pixels: 1 << 18, frames: 8, expansion: 1000, memory: 32 << 20 };

const KINDS: [Kind; 6] = [Kind::Jpeg, Kind::Png, Kind::Gif, Kind::Webp, Kind::Bmp, Kind::Wbmp];

/// The first octet chooses the target, the rest is the picture.
pub fn run(data: &[u8]) {
    let Some((&choice, picture)) = data.split_first() else { return };
    let _ = strip(picture);
    let kind = KINDS[usize::from(choice & 3 | choice >> 1 & 4) % KINDS.len()];
    let limit = (choice & 4 != 0).then_some(2000);
    let spec = Spec { octets: limit, ..Spec::new(kind, 24, 18) };
    if let Ok(made) = transform(picture, &spec, &GUARDS, &|| false) {
        assert!(made.width <= 24 && made.height <= 18);
        assert!(limit.is_none_or(|limit| made.bytes.len() as u64 <= limit));
    }
}
