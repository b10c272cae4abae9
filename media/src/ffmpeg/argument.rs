//! What stands on its command line before the recipe.

use bytes::Bytes;

use super::Bounds;
use crate::kind::Kind;

/// A clip and what it is.
#[derive(Clone, Debug)]
pub struct Source {
    pub(super) octets: Bytes,
    pub(super) kind: Kind,
}

/// Decoders it may use: those of clips that phones and mail carry. None of them opens anything else.
const DECODERS: &str = "aac,aac_fixed,ac3,alac,amrnb,amrwb,flac,gsm,gsm_ms,mp1,mp1float,mp2,mp2float,mp3,mp3float,opus,\
                        libopus,vorbis,pcm_alaw,pcm_mulaw,pcm_f32be,pcm_f32le,pcm_s16be,pcm_s16le,pcm_s24be,pcm_s24le,\
                        pcm_s32be,pcm_s32le,pcm_s8,pcm_u8,adpcm_ima_wav,adpcm_ms,adpcm_g722,h261,h263,h263i,h264,hevc,\
                        mjpeg,mpeg1video,mpeg2video,mpeg4,msmpeg4,msmpeg4v2,flv,theora,vp8,vp9,libvpx,libvpx-vp9,av1,\
                        libdav1d,wmav1,wmav2,wmv1,wmv2";

/// The one demuxer that reads a kind.
pub(super) fn demuxer(kind: Kind, octets: &[u8]) -> Option<&'static str> {
    Some(match kind {
        Kind::Wav => "wav",
        Kind::Au => "au",
        Kind::Mulaw => "mulaw",
        Kind::Alaw => "alaw",
        Kind::MpegAudio => "mp3",
        Kind::Adts => "aac",
        Kind::Mp4 => "mov",
        Kind::Flac => "flac",
        Kind::Ogg => "ogg",
        Kind::Matroska => "matroska",
        Kind::Amr if octets.starts_with(b"#!AMR") => "amr",
        Kind::Amr => "amrnb",
        Kind::AmrWb if octets.starts_with(b"#!AMR") => "amr",
        Kind::AmrWb => "amrwb",
        Kind::MpegVideo if octets.starts_with(b"\0\0\x01\xba") => "mpeg",
        Kind::MpegVideo => "mpegvideo",
        Kind::Avi => "avi",
        Kind::TransportStream => "mpegts",
        Kind::Flv => "flv",
        // Its rate is in its label, which is read in process.
        Kind::L16 => return None,
    })
}

/// Everything up to the input.
pub(super) fn input(source: &Source, bounds: Bounds) -> Vec<String> {
    let demuxer = demuxer(source.kind, &source.octets).unwrap_or("null");
    let seconds = bounds.seconds.to_string();
    let pixels = bounds.pixels.to_string();
    let mut all = vec!["-nostdin", "-hide_banner", "-loglevel", "error", "-filter_threads", "1"];
    all.extend(["-protocol_whitelist", "file", "-format_whitelist", demuxer, "-codec_whitelist", DECODERS]);
    all.extend(["-threads", "1", "-max_pixels", &pixels, "-t", &seconds]);
    if matches!(source.kind, Kind::Mulaw | Kind::Alaw) {
        all.extend(["-ar", "8000", "-ac", "1"]);
    }
    // Its own standard input, by a name that can be sought in.
    all.extend(["-f", demuxer, "-i", "file:/proc/self/fd/0"]);
    all.extend(["-threads", "1", "-map_metadata", "-1", "-map_chapters", "-1", "-sn", "-dn"]);
    all.into_iter().map(str::to_owned).collect()
}

/// Output as samples of 16 bits.
pub(super) fn samples(rate: u32, channels: u16) -> Vec<String> {
    let (rate, channels) = (rate.to_string(), channels.to_string());
    ["-map", "0:a:0", "-vn", "-c:a", "pcm_s16le", "-ar", &rate, "-ac", &channels, "-f", "s16le"]
        .map(str::to_owned)
        .to_vec()
}
