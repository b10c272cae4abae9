//! When a picture of an MP4 is shown after it is decoded, which symphonia's demuxer does not say (ISO 14496-12 §8.6.1.3).

use bytes::{Buf, Bytes};

use crate::boxes;

/// Offsets from decoding to showing, one for each sample in the order of decoding.
pub(super) struct Composition {
    /// Runs that are left: how many samples, and by how much.
    runs: Bytes,
    left: u32,
    offset: i32,
}

impl Composition {
    /// Those of a track; `None` if its pictures are shown as they are decoded.
    pub(super) fn of(file: &Bytes, track: u32) -> Option<Composition> {
        let trak = boxes::track(file, track)?;
        let table = boxes::at(&trak, &[b"mdia", b"minf", b"stbl", b"ctts"])?;
        // Version and flags, the number of runs.
        Some(Composition { runs: table.get(8..).map(|runs| table.slice_ref(runs))?, left: 0, offset: 0 })
    }

    /// The next sample's. Behind the end of the table there is none.
    pub(super) fn step(&mut self) -> i64 {
        while self.left == 0 {
            let (Ok(count), Ok(offset)) = (self.runs.try_get_u32(), self.runs.try_get_i32()) else {
                return 0;
            };
            self.left = count;
            self.offset = offset;
        }
        self.left -= 1;
        self.offset.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boxes::boxed;

    fn file(track: u8) -> Bytes {
        let runs = [[0, 0, 0, 1, 0, 0, 2, 0], [0, 0, 0, 2, 0xff, 0xff, 0xff, 0]].concat();
        let ctts = boxed(b"ctts", &[&[1, 0, 0, 0, 0, 0, 0, 2][..], &runs].concat());
        let media = boxed(b"mdia", &boxed(b"minf", &boxed(b"stbl", &[boxed(b"stts", &[]), ctts].concat())));
        let tkhd = boxed(b"tkhd", &[&[0; 15][..], &[track]].concat());
        let other = boxed(b"trak", &boxed(b"tkhd", &[&[0; 15][..], &[99]].concat()));
        let trak = boxed(b"trak", &[tkhd, media].concat());
        [boxed(b"ftyp", b"isom"), boxed(b"moov", &[other, trak].concat())].concat().into()
    }

    #[test]
    fn each_sample_has_the_offset_of_its_run() {
        let mut offsets = Composition::of(&file(7), 7).unwrap();
        assert_eq!([(); 4].map(|()| offsets.step()), [512, -256, -256, 0]);
    }

    #[test]
    fn a_track_without_a_table_has_none_and_one_cut_off_comes_to_no_harm() {
        assert!(Composition::of(&file(7), 99).is_none());
        let whole = file(7);
        for end in 0..whole.len() {
            if let Some(mut offsets) = Composition::of(&whole.slice(..end), 7) {
                offsets.step();
            }
        }
    }
}
