//! The formats of pictures, and their names.

/// A picture format this room reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// image/jpeg
    Jpeg,
    /// image/png
    Png,
    /// image/gif
    Gif,
    /// image/bmp
    Bmp,
    /// image/webp
    Webp,
    /// image/tiff; the first page
    Tiff,
    /// image/vnd.microsoft.icon; the largest picture in it
    Ico,
    /// image/vnd.wap.wbmp of type 0: black and white
    Wbmp,
}

/// A kind with all its names, the registered one first.
type Names = (Kind, &'static [&'static str]);

const NAMES: [Names; 8] = [
    (Kind::Jpeg, &["image/jpeg", "image/jpg", "image/pjpeg"]),
    (Kind::Png, &["image/png", "image/x-png", "image/apng"]),
    (Kind::Gif, &["image/gif"]),
    (Kind::Bmp, &["image/bmp", "image/x-ms-bmp", "image/x-bmp", "image/x-windows-bmp"]),
    (Kind::Webp, &["image/webp"]),
    (Kind::Tiff, &["image/tiff", "image/x-tiff"]),
    (Kind::Ico, &["image/vnd.microsoft.icon", "image/x-icon", "image/ico"]),
    (Kind::Wbmp, &["image/vnd.wap.wbmp", "image/x-wap-wbmp", "image/wbmp"]),
];

impl Kind {
    /// The format by its first octets, whatever the type says it is. WBMP has no signature: it is told by its head, which
    /// must ask for exactly the octets there are.
    pub fn sniff(bytes: &[u8]) -> Option<Kind> {
        match bytes {
            [0xff, 0xd8, 0xff, ..] => Some(Kind::Jpeg),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Kind::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some(Kind::Gif),
            [b'B', b'M', ..] => Some(Kind::Bmp),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some(Kind::Webp),
            [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => Some(Kind::Tiff),
            [0, 0, 1, 0, ..] => Some(Kind::Ico),
            [0, 0, ..] => super::wbmp::Head::read(bytes).map(|_| Kind::Wbmp),
            _ => None,
        }
    }

    /// The format a media type names, without its parameters; case-insensitive.
    pub fn of_type(media_type: &str) -> Option<Kind> {
        let is_named = |names: &[&str]| names.iter().any(|name| name.eq_ignore_ascii_case(media_type.trim()));
        NAMES.iter().find(|(_, names)| is_named(names)).map(|(kind, _)| *kind)
    }

    /// Every name of the format, the registered one first.
    pub fn names(self) -> &'static [&'static str] {
        NAMES.iter().find(|(kind, _)| *kind == self).map_or(&[], |(_, names)| names)
    }

    /// The registered media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Kind::Jpeg => "image/jpeg",
            Kind::Png => "image/png",
            Kind::Gif => "image/gif",
            Kind::Bmp => "image/bmp",
            Kind::Webp => "image/webp",
            Kind::Tiff => "image/tiff",
            Kind::Ico => "image/vnd.microsoft.icon",
            Kind::Wbmp => "image/vnd.wap.wbmp",
        }
    }

    /// Whether [`super::transform`] can write it.
    pub const fn is_writable(self) -> bool {
        !matches!(self, Kind::Tiff | Kind::Ico)
    }

    /// Whether writing it keeps every pixel as it was (CPI.md §3.6 weighs conversions by this). GIF has 256
    /// colours only, so it counts as lossy; WebP is written without loss, but may have been read with one.
    pub const fn is_lossless(self) -> bool {
        matches!(self, Kind::Png | Kind::Bmp)
    }

    /// Whether a terminal that takes `image/*` can be trusted to show it. The others are written only for who names
    /// them.
    pub const fn is_common(self) -> bool {
        matches!(self, Kind::Jpeg | Kind::Png | Kind::Gif)
    }

    /// Whether it may hold more than one picture that follow each other.
    pub const fn is_animatable(self) -> bool {
        matches!(self, Kind::Gif | Kind::Webp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_kind_and_the_registered_one_is_first() {
        for (kind, names) in NAMES {
            assert_eq!(names[0], kind.media_type());
            for name in names {
                assert_eq!(Kind::of_type(&name.to_uppercase()), Some(kind));
            }
        }
        assert_eq!(Kind::of_type("image/svg+xml"), None);
    }
}
