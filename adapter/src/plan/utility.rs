//! What a variant is worth (CPI.md §3.6), in whole thousandths, every product floored.

/// q of the tier, less what the variant loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Utility(pub(crate) u32);

impl Utility {
    /// V0, V1, V2: nothing is lost.
    pub(crate) fn kept(q: u16) -> Utility {
        Utility(u32::from(q))
    }

    /// V6: message/external-body, or a reference that leads to the store.
    pub(crate) fn linked(q: u16) -> Utility {
        Utility::kept(q).times(35, 100)
    }

    /// V7: the link as a line of text.
    pub(crate) fn linked_as_text(q: u16) -> Utility {
        Utility::kept(q).times(30, 100)
    }

    /// V3.
    pub(crate) fn converted(self, lossless: bool) -> Utility {
        self.times(if lossless { 95 } else { 90 }, 100)
    }

    /// V4 and the scale steps of V5, by widths.
    pub(crate) fn scaled(self, new: u32, old: u32) -> Utility {
        let (new, old) = (u64::from(new), u64::from(old.max(1)));
        self.times(4 * old + 6 * new.min(old), 10 * old)
    }

    /// V5: JPEG quality.
    pub(crate) fn at_quality(self, quality: u8) -> Utility {
        self.times(100 + u64::from(quality.min(100)), 200)
    }

    /// V5: colours of a palette.
    pub(crate) fn with_colours(self, colours: u16) -> Utility {
        match colours {
            0..=16 => self.times(75, 100),
            17..=64 => self.times(90, 100),
            _ => self,
        }
    }

    fn times(self, numerator: u64, denominator: u64) -> Utility {
        let product = u64::from(self.0) * numerator / denominator.max(1);
        Utility(u32::try_from(product).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_3_6_in_thousandths() {
        assert_eq!(Utility::kept(1000).0, 1000);
        assert_eq!(Utility::kept(1000).converted(true).0, 950);
        assert_eq!(Utility::kept(1000).converted(false).0, 900);
        assert_eq!(Utility::kept(1000).scaled(158, 320).0, 696);
        assert_eq!(Utility::kept(500).scaled(160, 320).0, 350);
        assert_eq!(Utility::kept(1000).converted(false).scaled(160, 320).0, 630);
        assert_eq!(Utility::kept(900).at_quality(85).0, 832);
        assert_eq!(Utility::kept(1000).at_quality(35).0, 675);
        assert_eq!(Utility::kept(1000).scaled(480, 640).at_quality(50).0, 637);
        assert_eq!(Utility::kept(1000).with_colours(256).0, 1000);
        assert_eq!(Utility::kept(1000).with_colours(64).0, 900);
        assert_eq!(Utility::kept(1000).with_colours(16).0, 750);
        assert_eq!(Utility::linked(1000).0, 350);
        assert_eq!(Utility::linked_as_text(900).0, 270);
    }

    #[test]
    fn a_picture_of_no_width_and_one_made_larger_are_no_trap() {
        assert_eq!(Utility::kept(1000).scaled(5, 0).0, 1000);
        assert_eq!(Utility::kept(1000).scaled(10, 5).0, 1000);
    }
}
