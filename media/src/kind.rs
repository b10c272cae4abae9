//! What a clip is, by its first octets and by the media type it came with.

/// The kinds that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RIFF/WAVE.
    Wav,
    /// Sun's audio file, `.snd`.
    Au,
    /// Headerless mu-law, 8 kHz mono: audio/basic (RFC 2046 §4.3), audio/PCMU.
    Mulaw,
    /// Headerless A-law: audio/PCMA.
    Alaw,
    /// Headerless 16 bit samples, most significant octet first: audio/L16 (RFC 2586).
    L16,
    /// MPEG audio, layers 1 to 3.
    MpegAudio,
    /// AAC in ADTS.
    Adts,
    /// ISO base media: MP4, M4A, 3GP, QuickTime.
    Mp4,
    /// FLAC.
    Flac,
    /// Ogg.
    Ogg,
    /// Matroska and WebM.
    Matroska,
    /// AMR narrowband in its storage form (RFC 4867 §5).
    Amr,
    /// AMR wideband in its storage form.
    AmrWb,
    /// An MPEG program stream, or a video elementary stream.
    MpegVideo,
    /// RIFF/AVI.
    Avi,
    /// MPEG transport stream.
    TransportStream,
    /// Flash video.
    Flv,
}

impl Kind {
    /// By what the octets begin with; where that says nothing, by the type, whose parameters do not matter.
    pub fn of(media_type: &str, octets: &[u8]) -> Option<Kind> {
        Kind::by_magic(octets).or_else(|| Kind::by_type(media_type))
    }

    /// By the first octets alone. Headerless kinds have none that tell them.
    pub fn by_magic(octets: &[u8]) -> Option<Kind> {
        let at = |from: usize, magic: &[u8]| octets.get(from..).is_some_and(|rest| rest.starts_with(magic));
        if at(0, b"RIFF") || at(0, b"RF64") {
            return if at(8, b"WAVE") { Some(Kind::Wav) } else { at(8, b"AVI ").then_some(Kind::Avi) };
        }
        let table: [(usize, &[u8], Kind); 12] = [
            (0, b".snd", Kind::Au),
            (0, b"fLaC", Kind::Flac),
            (0, b"OggS", Kind::Ogg),
            (4, b"ftyp", Kind::Mp4),
            (0, b"\x1a\x45\xdf\xa3", Kind::Matroska),
            (0, b"#!AMR-WB\n", Kind::AmrWb),
            (0, b"#!AMR\n", Kind::Amr),
            (0, b"\x00\x00\x01\xba", Kind::MpegVideo),
            (0, b"\x00\x00\x01\xb3", Kind::MpegVideo),
            (0, b"FLV\x01", Kind::Flv),
            (0, b"ID3", Kind::MpegAudio),
            (188, b"\x47", Kind::TransportStream),
        ];
        let found = table.iter().find(|(from, magic, kind)| {
            at(*from, magic) && (*kind != Kind::TransportStream || at(0, b"\x47"))
        });
        found.map(|(_, _, kind)| *kind).or_else(|| Kind::by_sync(octets))
    }

    /// Twelve set bits begin a frame of MPEG audio or ADTS.
    fn by_sync(octets: &[u8]) -> Option<Kind> {
        let [first, second, third, ..] = *octets else { return None };
        if first != 0xff || second & 0xe0 != 0xe0 {
            return None;
        }
        match second & 0x06 {
            0 if second & 0xf0 == 0xf0 => Some(Kind::Adts),
            0 => None,
            // A bit rate and a sampling rate that exist.
            _ => (third >> 4 != 0x0f && third >> 2 & 3 != 3 && second & 0x18 != 0x08)
                .then_some(Kind::MpegAudio),
        }
    }

    /// Whether there may be pictures beside its sound.
    pub const fn may_have_pictures(self) -> bool {
        matches!(
            self,
            Kind::Mp4
                | Kind::Ogg
                | Kind::Matroska
                | Kind::MpegVideo
                | Kind::Avi
                | Kind::TransportStream
                | Kind::Flv
        )
    }

    /// By the media type, parameters left aside.
    pub fn by_type(media_type: &str) -> Option<Kind> {
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        Some(match essence.as_str() {
            "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => Kind::Wav,
            "audio/basic" | "audio/pcmu" => Kind::Mulaw,
            "audio/pcma" => Kind::Alaw,
            "audio/l16" => Kind::L16,
            "audio/au" | "audio/x-au" => Kind::Au,
            "audio/mpeg" | "audio/mp3" | "audio/x-mp3" | "audio/mpa" | "audio/x-mpeg" => Kind::MpegAudio,
            "audio/aac" | "audio/aacp" | "audio/x-aac" => Kind::Adts,
            "audio/mp4" | "audio/m4a" | "audio/x-m4a" | "video/mp4" | "video/3gpp" | "audio/3gpp"
            | "video/3gpp2" | "audio/3gpp2" | "video/quicktime" => Kind::Mp4,
            "audio/flac" | "audio/x-flac" => Kind::Flac,
            "audio/ogg" | "audio/opus" | "application/ogg" | "video/ogg" => Kind::Ogg,
            "audio/webm" | "video/webm" | "video/x-matroska" | "audio/x-matroska" => Kind::Matroska,
            "audio/amr" => Kind::Amr,
            "audio/amr-wb" => Kind::AmrWb,
            "video/mpeg" | "video/mpv" => Kind::MpegVideo,
            "video/x-msvideo" | "video/avi" => Kind::Avi,
            "video/mp2t" => Kind::TransportStream,
            "video/x-flv" => Kind::Flv,
            _ => return None,
        })
    }
}

/// The number a parameter of a media type has.
pub(crate) fn parameter(media_type: &str, name: &str) -> Option<u32> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        key.trim().eq_ignore_ascii_case(name).then(|| value.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_octets_know_better_than_the_label() {
        assert_eq!(Kind::of("audio/basic", b".snd\0\0\0 rest"), Some(Kind::Au));
        assert_eq!(Kind::of("audio/mpeg", b"RIFF....WAVEfmt "), Some(Kind::Wav));
        assert_eq!(Kind::of("audio/basic", b"\xe5\xc8\xba"), Some(Kind::Mulaw));
        assert_eq!(Kind::of("text/plain", b"hello"), None);
    }

    #[test]
    fn a_sync_word_is_mpeg_audio_or_adts() {
        assert_eq!(Kind::by_magic(b"\xff\xfb\x90\x64"), Some(Kind::MpegAudio));
        assert_eq!(Kind::by_magic(b"\xff\xf1\x50\x80"), Some(Kind::Adts));
        assert_eq!(Kind::by_magic(b"\xff\xff\xff\xff"), None);
    }

    #[test]
    fn parameters_are_numbers_by_name() {
        assert_eq!(parameter("audio/L16; rate=\"16000\";Channels=2", "rate"), Some(16000));
        assert_eq!(parameter("audio/L16; rate=16000;Channels=2", "channels"), Some(2));
        assert_eq!(parameter("audio/L16", "rate"), None);
    }
}
