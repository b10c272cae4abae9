//! The forms of media that leave here, as a description names them.

/// What an RTP stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722,
    /// Opus (RFC 7587).
    Opus,
    /// AMR narrowband (RFC 4867).
    Amr,
    /// AMR wideband.
    AmrWb,
    /// MPEG audio (RFC 2250).
    Mpa,
    /// H.264 (RFC 6184).
    H264,
    /// VP8 (RFC 7741).
    Vp8,
    /// MPEG-1 and MPEG-2 video (RFC 2250).
    Mpv,
}

impl Form {
    /// All there are.
    pub const ALL: [Form; 10] = [
        Form::Opus,
        Form::G722,
        Form::Pcmu,
        Form::Pcma,
        Form::AmrWb,
        Form::Amr,
        Form::Mpa,
        Form::H264,
        Form::Vp8,
        Form::Mpv,
    ];

    /// That of an encoding name in lower case and a clock.
    pub fn of(name: &str, clock: u32) -> Option<Form> {
        Form::ALL.into_iter().find(|form| form.name().eq_ignore_ascii_case(name) && form.clock() == clock)
    }

    /// The encoding name in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Form::Pcmu => "PCMU",
            Form::Pcma => "PCMA",
            Form::G722 => "G722",
            Form::Opus => "opus",
            Form::Amr => "AMR",
            Form::AmrWb => "AMR-WB",
            Form::Mpa => "MPA",
            Form::H264 => "H264",
            Form::Vp8 => "VP8",
            Form::Mpv => "MPV",
        }
    }

    /// Ticks a second of its timestamps; that of G.722 is 8000 by mistake (RFC 3551 §4.5.2).
    pub const fn clock(self) -> u32 {
        match self {
            Form::Pcmu | Form::Pcma | Form::G722 | Form::Amr => 8000,
            Form::AmrWb => 16_000,
            Form::Opus => 48_000,
            Form::Mpa | Form::H264 | Form::Vp8 | Form::Mpv => 90_000,
        }
    }

    /// Bits a second of sound that a child makes in it; 0 of what no child makes, and of video, whose rate goes by its size.
    pub const fn bits(self) -> u32 {
        match self {
            Form::Opus => 32_000,
            Form::Mpa => 64_000,
            Form::Amr => 12_200,
            Form::AmrWb => 23_850,
            Form::Pcmu | Form::Pcma | Form::G722 | Form::H264 | Form::Vp8 | Form::Mpv => 0,
        }
    }

    /// Whether it is video.
    pub const fn is_video(self) -> bool {
        matches!(self, Form::H264 | Form::Vp8 | Form::Mpv)
    }

    /// The value of `a=rtpmap` behind the payload type.
    pub fn rtpmap(self) -> String {
        let channels = if self == Form::Opus { "/2" } else { "" };
        format!("{}/{}{channels}", self.name(), self.clock())
    }

    /// Its payload type in an offer of ours: the static one of RFC 3551, or a dynamic one.
    pub const fn payload_type(self) -> u8 {
        match self {
            Form::Pcmu => 0,
            Form::Pcma => 8,
            Form::G722 => 9,
            Form::Mpa => 14,
            Form::Mpv => 32,
            Form::Opus => 96,
            Form::Amr => 97,
            Form::AmrWb => 98,
            Form::H264 => 99,
            Form::Vp8 => 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_known_by_name_and_clock() {
        assert_eq!(Form::of("pcmu", 8000), Some(Form::Pcmu));
        assert_eq!(Form::of("AMR-wb", 16_000), Some(Form::AmrWb));
        assert_eq!(Form::of("pcmu", 16_000), None);
        assert_eq!(Form::of("telephone-event", 8000), None);
        assert_eq!(Form::Opus.rtpmap(), "opus/48000/2");
    }
}
