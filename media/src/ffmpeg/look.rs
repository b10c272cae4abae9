//! What a child finds in a clip that nothing in this process reads.

use crate::probe::{PictureShape, Probe, SoundShape};

/// Octets of what it says.
pub(super) const MOST_SAID: usize = 64 << 10;

/// No packet, only what a list of packets begins with: lines of `#name stream: value`. A cover is no picture (`V`).
pub(super) fn arguments() -> Vec<String> {
    ["-map", "0:a:0?", "-map", "0:V:0?", "-c", "copy", "-t", "0", "-f", "framecrc"]
        .map(str::to_owned)
        .to_vec()
}

/// The shapes in those lines. Channels are one or two: it names layouts.
pub(super) fn read(said: &str) -> Probe {
    let value = |name: &str, of: &str| {
        let mut lines = said.lines().filter_map(|line| line.strip_prefix('#')?.split_once(':'));
        let found = lines.find(|(key, _)| key.split_once(' ') == Some((name, of)));
        found.map(|(_, value)| value.trim())
    };
    let mut probe = Probe::default();
    for stream in ["0", "1"] {
        match value("media_type", stream) {
            Some("audio") => {
                let rate = value("sample_rate", stream).and_then(|rate| rate.parse().ok());
                let channels = if value("channel_layout_name", stream) == Some("mono") { 1 } else { 2 };
                probe.sound = rate.map(|rate| SoundShape { rate, channels });
            }
            Some("video") => {
                let sides = value("dimensions", stream).and_then(|sides| sides.split_once('x'));
                let pixels =
                    sides.and_then(|(width, height)| Some([width.parse().ok()?, height.parse().ok()?]));
                let pixels = pixels.filter(|[width, height]: &[u32; 2]| *width > 0 && *height > 0);
                probe.pictures = pixels.map(|pixels| PictureShape { pixels, frames: 0 });
            }
            _ => {}
        }
    }
    probe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_in_the_head_of_the_list() {
        let said = "#extradata 0:        5, 0x03460155\n#software: Lavf59.27.100\n#tb 0: 1/44100\n\
                    #media_type 0: audio\n#codec_id 0: aac\n#sample_rate 0: 44100\n#channel_layout_name 0: mono\n\
                    #media_type 1: video\n#dimensions 1: 352x288\n0, -1024, -1024, 1024, 258, 0x2c5b786a\n";
        let probe = read(said);
        assert_eq!(probe.sound, Some(SoundShape { rate: 44_100, channels: 1 }));
        assert_eq!(probe.pictures.unwrap().pixels, [352, 288]);
        let probe = read("#media_type 0: video\n#dimensions 0: 0x0\n");
        assert_eq!((probe.sound, probe.pictures), (None, None));
    }
}
