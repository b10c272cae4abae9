//! What an offer and we have in common (RFC 3264 §6; RFC 4568 §5.1.2 for keys).

use std::net::SocketAddr;

use super::crypto::Key;
use super::{Direction, Media, Session, bandwidth};
use crate::form::Form;
use crate::picture;

/// Octets of media in a packet, in milliseconds: what nobody asked otherwise for, and what may be asked for.
const PTIME: u32 = 20;
const PTIMES: [u32; 5] = [10, 20, 30, 40, 60];

/// What we can send.
#[derive(Clone, Debug, Default)]
pub struct Means {
    /// What the clip has as it is: best, since nothing is lost.
    pub passes: Vec<Form>,
    /// Bits a second that those take, where it was asked for.
    pub rates: Vec<(Form, u32)>,
    /// What its sound can be coded as in process.
    pub encodes: Vec<Form>,
    /// What a child makes of it, which costs most.
    pub transcodes: Vec<Form>,
    /// The `profile-level-id` of its H.264, three octets.
    pub h264: Option<[u8; 3]>,
    /// Whether keys in the description may be believed: it came where nobody else could read it.
    pub keys: bool,
}

/// How what is sent comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// The clip has it as it is.
    Pass,
    /// Coded in process.
    Encode,
    /// By a child.
    Transcode,
}

/// One medium that was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// What is sent.
    pub form: Form,
    /// How it comes about.
    pub making: Making,
    /// Its payload type.
    pub payload_type: u8,
    /// `a=fmtp` of the format, as it was offered.
    pub fmtp: Option<String>,
    /// Where RTP goes.
    pub rtp: SocketAddr,
    /// Where RTCP goes; the same as RTP with `a=rtcp-mux`.
    pub rtcp: SocketAddr,
    /// Whether nothing is to be sent now.
    pub is_held: bool,
    /// Milliseconds of sound in a packet.
    pub ptime: u32,
    /// Bits a second that may be sent.
    pub most: Option<u32>,
    /// The key of the other side: what we send is encrypted too, under a key of ours.
    pub key: Option<Key>,
}

/// What was agreed on of each medium in the offer, in its order; `None`: nothing.
pub type Agreement = Vec<Option<Agreed>>;

/// Why nothing was agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// Neither sound nor video is wanted, over no transport of ours.
    #[error("no medium that is played here is offered over RTP/AVP or RTP/SAVP")]
    Medium,
    /// No codec in common.
    #[error("no codec in common with the announcement")]
    Codec,
    /// Nothing that is played here takes so few bits.
    #[error("the bandwidth in the description is below what the announcement takes")]
    Bandwidth,
    /// No address that can be sent to.
    #[error("the description names no address that may be sent to")]
    Address,
    /// SRTP without a key that can be used.
    #[error("RTP/SAVP without a key that can be used")]
    Key,
    /// Keys were sent where others can read them.
    #[error("keys in the description came without TLS")]
    Clear,
}

impl Disagreement {
    /// The warn-code of RFC 3261 §20.43.
    pub const fn code(self) -> u16 {
        match self {
            Disagreement::Medium => 304,
            Disagreement::Codec => 305,
            Disagreement::Bandwidth => 370,
            Disagreement::Address => 301,
            Disagreement::Key | Disagreement::Clear => 302,
        }
    }
}

/// Agrees on one sound and one video of an offer, or of an answer to an offer of ours. `open` says whether an address
/// may be sent to.
///
/// # Errors
/// [`Disagreement`]: what the medium that came closest lacks.
pub fn agree(
    session: &Session,
    means: &Means,
    open: &dyn Fn(SocketAddr) -> bool,
) -> Result<Agreement, Disagreement> {
    let mut nearest = Disagreement::Medium;
    let mut agreement: Agreement = vec![None; session.media.len()];
    // Sound goes before pictures where a session may not have both.
    let (sound, pictures): (Vec<_>, Vec<_>) =
        session.media.iter().enumerate().partition(|(_, medium)| medium.kind == "audio");
    let mut left = bandwidth::total(session.limit);
    for (at, medium) in sound.into_iter().chain(pictures) {
        let is_taken = agreement.iter().flatten().any(|agreed| is_kind(medium, agreed.form));
        let most = bandwidth::most(medium, left);
        let agreed = if is_taken { Err(Disagreement::Medium) } else { on(medium, means, most, open) };
        let agreed = agreed.inspect_err(|why| nearest = further(nearest, *why)).ok();
        if let (Some(left), Some(agreed)) = (&mut left, &agreed) {
            *left = left.saturating_sub(bandwidth::least(agreed.form, agreed.making, means));
        }
        if let Some(place) = agreement.get_mut(at) {
            *place = agreed;
        }
    }
    if agreement.iter().all(Option::is_none) { Err(nearest) } else { Ok(agreement) }
}

fn further(one: Disagreement, other: Disagreement) -> Disagreement {
    if other == Disagreement::Medium { one } else { other }
}

fn on(
    medium: &Media,
    means: &Means,
    most: Option<u32>,
    open: &dyn Fn(SocketAddr) -> bool,
) -> Result<Agreed, Disagreement> {
    let is_srtp = is_srtp(medium)?;
    let lacking = || match choose(medium, means, None) {
        Some(_) => Disagreement::Bandwidth,
        None => Disagreement::Codec,
    };
    let chosen = choose(medium, means, most).ok_or_else(lacking)?;
    let agreed = arranged(medium, chosen, key(medium, means.keys, is_srtp)?, open)?;
    Ok(Agreed { most, ..agreed })
}

/// Whether a medium that is played here is offered over SRTP.
pub(super) fn is_srtp(medium: &Media) -> Result<bool, Disagreement> {
    let is_kind = matches!(medium.kind.as_str(), "audio" | "video");
    match medium.protocol.as_str() {
        _ if !is_kind || medium.port == 0 => Err(Disagreement::Medium),
        "RTP/AVP" | "RTP/AVPF" => Ok(false),
        "RTP/SAVP" | "RTP/SAVPF" => Ok(true),
        _ => Err(Disagreement::Medium),
    }
}

/// What was chosen of a medium, with all else that it says.
pub(super) fn arranged(
    medium: &Media,
    (form, making, format): (Form, Making, &str),
    key: Option<Key>,
    open: &dyn Fn(SocketAddr) -> bool,
) -> Result<Agreed, Disagreement> {
    let payload_type = format.parse().ok().filter(|number| *number < 128).ok_or(Disagreement::Codec)?;
    let rtp = SocketAddr::new(medium.address.ok_or(Disagreement::Address)?, medium.port);
    let rtcp = rtcp(medium, rtp);
    // The address of old phones on hold (RFC 3264 §8.4).
    let is_nowhere = rtp.ip().is_unspecified();
    let may_go = |addr: SocketAddr| addr.ip().is_unspecified() || open(addr);
    if !may_go(rtp) || !may_go(rtcp) {
        return Err(Disagreement::Address);
    }
    Ok(Agreed {
        form,
        making,
        payload_type,
        fmtp: medium.fmtp(format).map(str::to_owned),
        rtp,
        rtcp,
        is_held: is_nowhere || matches!(medium.direction, Direction::Send | Direction::Neither),
        ptime: ptime(medium),
        most: None,
        key,
    })
}

fn is_kind(medium: &Media, form: Form) -> bool {
    (medium.kind == "video") == form.is_video()
}

/// What the clip has as it is, in the order of the offer; else what can be made of it at the least cost. What takes more
/// than `most` bits is passed over.
fn choose<'m>(medium: &'m Media, means: &Means, most: Option<u32>) -> Option<(Form, Making, &'m str)> {
    let fits = |form: Form, making| most.is_none_or(|most| bandwidth::least(form, making, means) <= most);
    let tiers = [
        (Making::Pass, &means.passes),
        (Making::Encode, &means.encodes),
        (Making::Transcode, &means.transcodes),
    ];
    tiers.into_iter().find_map(|(making, forms)| {
        medium.formats.iter().find_map(|format| {
            let form = form_of(medium, format).filter(|form| forms.contains(form) && fits(*form, making))?;
            let fmtp = medium.fmtp(format).unwrap_or_default();
            takes(fmtp, form, making, means).then_some((form, making, format.as_str()))
        })
    })
}

/// The form of a format, if it can be sent in that medium.
pub(super) fn form_of(medium: &Media, format: &str) -> Option<Form> {
    let (name, clock, channels) = medium.rtpmap(format)?;
    Form::of(&name, clock).filter(|form| is_kind(medium, *form) && (channels <= 1 || *form == Form::Opus))
}

/// Whether the format's parameters allow what we would send.
pub(super) fn takes(fmtp: &str, form: Form, making: Making, means: &Means) -> bool {
    let value = |name: &str| picture::value(fmtp, name);
    match (form, making) {
        (Form::H264, Making::Pass) => {
            let fragments = value("packetization-mode") == Some("1");
            let offered = value("profile-level-id").and_then(|id| u32::from_str_radix(id, 16).ok());
            fragments && means.h264.is_none_or(|ours| plays(offered, ours))
        }
        // What is made has no slice that is longer than a packet, and keeps to the level.
        (Form::H264, _) => {
            let mode = value("packetization-mode").unwrap_or("0");
            matches!(mode, "0" | "1") && picture::recipe(form, Some(fmtp), [16, 16], None).is_some()
        }
        (Form::Vp8, Making::Transcode) => picture::recipe(form, Some(fmtp), [16, 16], None).is_some(),
        // Interleaving, robust sorting and CRCs are not written here.
        (Form::Amr | Form::AmrWb, making) => {
            // The one mode that is made is the best one.
            let mode = if form == Form::Amr { "7" } else { "8" };
            let is_made = |set: &str| set.split(',').any(|allowed| allowed.trim() == mode);
            let has_mode = making == Making::Pass || value("mode-set").is_none_or(is_made);
            has_mode
                && value("interleaving").is_none()
                && value("crc") != Some("1")
                && value("robust-sorting") != Some("1")
        }
        _ => true,
    }
}

/// Whether who said `offered` plays our profile: the same one, or constrained baseline, which everybody plays; up to
/// its level, where it says one (RFC 6184 §8.1).
fn plays(offered: Option<u32>, ours: [u8; 3]) -> bool {
    let [profile, constraints, level] = ours;
    let is_constrained = profile == 66 && constraints & 0x40 != 0;
    let Some([_, theirs, _, most]) = offered.map(u32::to_be_bytes) else { return is_constrained };
    (theirs == profile || is_constrained) && level <= most
}

/// The key of a medium; `is_safe` says whether it may be believed.
pub(super) fn key(medium: &Media, is_safe: bool, is_srtp: bool) -> Result<Option<Key>, Disagreement> {
    let lines = medium.attributes.iter().filter(|(name, _)| name == "crypto");
    let key = lines.filter_map(|(_, value)| Key::read(value)).next();
    match (key, is_srtp) {
        (Some(key), _) if is_safe => Ok(Some(key)),
        // Without SAVP a key is an offer to encrypt, which may be passed over.
        (_, false) => Ok(None),
        (Some(_), true) => Err(Disagreement::Clear),
        (None, true) => Err(Disagreement::Key),
    }
}

/// RFC 5761 §5.1.1, RFC 3605, else the next port.
fn rtcp(medium: &Media, rtp: SocketAddr) -> SocketAddr {
    if medium.attribute("rtcp-mux").is_some() {
        return rtp;
    }
    let mut rtcp = rtp;
    rtcp.set_port(rtp.port().saturating_add(1));
    let Some(named) = medium.attribute("rtcp") else { return rtcp };
    let mut words = named.split(' ');
    if let Some(port) = words.next().and_then(|port| port.parse().ok()) {
        rtcp.set_port(port);
    }
    if let Some(address) = words.nth(2).and_then(|address| address.parse().ok()) {
        rtcp.set_ip(address);
    }
    rtcp
}

fn ptime(medium: &Media) -> u32 {
    let asked = medium.attribute("ptime").and_then(|value| value.parse().ok()).unwrap_or(PTIME);
    longest(asked).min(most_ptime(medium))
}

/// The longest packets that a medium takes.
pub(super) fn most_ptime(medium: &Media) -> u32 {
    longest(medium.attribute("maxptime").and_then(|value| value.parse().ok()).unwrap_or(u32::MAX))
}

fn longest(most: u32) -> u32 {
    PTIMES.into_iter().rev().find(|ptime| *ptime <= most).unwrap_or(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS";

    fn means() -> Means {
        Means {
            passes: vec![Form::Pcma, Form::H264],
            encodes: vec![Form::Pcmu, Form::Opus],
            transcodes: vec![Form::Vp8, Form::H264],
            h264: Some([66, 0xc0, 13]),
            keys: true,
            ..Means::default()
        }
    }

    fn agreed(media: &str) -> Result<Agreement, Disagreement> {
        with(media, &means())
    }

    fn with(media: &str, means: &Means) -> Result<Agreement, Disagreement> {
        let text = format!("v=0\r\nc=IN IP4 192.0.2.7\r\n{media}\r\n");
        agree(&Session::read(text.as_bytes()).unwrap(), means, &|addr| addr.port() != 7)
    }

    fn first(media: &str) -> Agreed {
        agreed(media).unwrap().into_iter().flatten().next().unwrap()
    }

    #[test]
    fn what_the_clip_has_comes_before_what_must_be_made_and_then_the_offers_order() {
        assert_eq!(first("m=audio 4000 RTP/AVP 0 8").form, Form::Pcma);
        assert_eq!(first("m=audio 4000 RTP/AVP 9 96 0\r\na=rtpmap:96 opus/48000/2").form, Form::Opus);
        let agreed = first(
            "m=audio 4000 RTP/AVP 111 101\r\na=rtpmap:111 PCMU/8000\r\na=rtpmap:101 telephone-event/8000",
        );
        assert_eq!((agreed.form, agreed.payload_type), (Form::Pcmu, 111));
    }

    #[test]
    fn one_sound_and_one_video_are_taken_and_the_others_refused() {
        let agreement = agreed(
            "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0\r\nm=video 4004 RTP/AVP 99\r\n\
             a=rtpmap:99 H264/90000\r\na=fmtp:99 packetization-mode=1;profile-level-id=42e01f\r\nm=text 1 RTP/AVP 98",
        );
        let forms: Vec<_> =
            agreement.unwrap().into_iter().map(|agreed| agreed.map(|agreed| agreed.form)).collect();
        assert_eq!(forms, [Some(Form::Pcmu), None, Some(Form::H264), None]);
    }

    #[test]
    fn who_wants_to_send_only_is_sent_nothing() {
        let held = |direction: &str| first(&format!("m=audio 4000 RTP/AVP 0\r\na={direction}")).is_held;
        assert!(!held("recvonly") && !held("sendrecv"));
        assert!(held("sendonly") && held("inactive"));
        assert!(first("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0").is_held);
    }

    #[test]
    fn rtcp_goes_to_the_next_port_to_one_that_is_named_or_with_rtp() {
        let port = |line: &str| first(&format!("m=audio 4000 RTP/AVP 0\r\n{line}")).rtcp.to_string();
        assert_eq!(port("a=x"), "192.0.2.7:4001");
        assert_eq!(port("a=rtcp:4711"), "192.0.2.7:4711");
        assert_eq!(port("a=rtcp:4711 IN IP4 192.0.2.8"), "192.0.2.8:4711");
        assert_eq!(port("a=rtcp-mux"), "192.0.2.7:4000");
    }

    #[test]
    fn a_phone_on_hold_that_has_no_address_names_none_for_its_reports_either() {
        let rtcp =
            |attribute: &str| agreed(&format!("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\n{attribute}"));
        assert!(rtcp("a=x").is_ok());
        assert_eq!(rtcp("a=rtcp:7 IN IP4 192.0.2.8").err(), Some(Disagreement::Address));
    }

    #[test]
    fn packets_are_as_long_as_is_asked_for_within_reason() {
        let ptime = |lines: &str| first(&format!("m=audio 4000 RTP/AVP 0\r\n{lines}")).ptime;
        assert_eq!(ptime("a=x"), 20);
        assert_eq!(ptime("a=ptime:30"), 30);
        assert_eq!(ptime("a=ptime:50"), 40);
        assert_eq!(ptime("a=ptime:1"), 10);
        assert_eq!(ptime("a=ptime:1000\r\na=maxptime:20"), 20);
    }

    #[test]
    fn keys_are_used_where_nobody_else_could_read_them() {
        let savp = format!("m=audio 4000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 {SECRET}");
        let avp = savp.replace("SAVP", "AVP");
        assert!(first(&savp).key.is_some() && first(&avp).key.is_some());
        let in_clear = Means { keys: false, ..means() };
        assert_eq!(with(&savp, &in_clear), Err(Disagreement::Clear));
        assert_eq!(with(&avp, &in_clear).unwrap()[0].as_ref().unwrap().key, None);
        assert_eq!(agreed("m=audio 4000 RTP/SAVP 0"), Err(Disagreement::Key));
    }

    #[test]
    fn h264_is_sent_to_who_plays_its_profile_and_takes_fragments() {
        let plays = |fmtp: &str| {
            let media = format!("m=video 4000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 {fmtp}");
            with(&media, &Means { transcodes: Vec::new(), ..means() }).is_ok()
        };
        assert!(plays("packetization-mode=1;profile-level-id=42e01f"));
        assert!(plays("profile-level-id=640028; packetization-mode=1"));
        assert!(plays("packetization-mode=1"));
        assert!(!plays("profile-level-id=42e01f"));
        assert!(!plays("packetization-mode=1;profile-level-id=42e00a"), "level 1.0 is below 1.3");
    }

    #[test]
    fn what_the_phone_plays_is_made_only_if_it_can_not_pass() {
        let making = |media: &str| first(media).making;
        let h264 =
            |fmtp: &str| format!("m=video 4000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 {fmtp}");
        assert_eq!(making("m=audio 4000 RTP/AVP 0 8"), Making::Pass);
        assert_eq!(making("m=audio 4000 RTP/AVP 0"), Making::Encode);
        assert_eq!(making(&h264("packetization-mode=1;profile-level-id=42e01f")), Making::Pass);
        assert_eq!(making(&h264("profile-level-id=42e01f")), Making::Transcode, "whole units only");
        assert_eq!(making(&h264("packetization-mode=1;profile-level-id=42e00a")), Making::Transcode);
        let amr = |fmtp: &str| {
            let media = format!("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 AMR/8000\r\na=fmtp:97 {fmtp}");
            with(&media, &Means { transcodes: vec![Form::Amr], ..Means::default() }).is_ok()
        };
        assert!(amr("octet-align=1") && amr("mode-set=0, 7") && !amr("mode-set=0,1") && !amr("crc=1"));
        assert_eq!(agreed(&h264("packetization-mode=2")), Err(Disagreement::Codec));
        let two = "m=video 4000 RTP/AVP 100 99\r\na=rtpmap:100 VP8/90000\r\na=rtpmap:99 H264/90000\r\n\
                   a=fmtp:99 packetization-mode=1;profile-level-id=42e01f";
        assert_eq!((first(two).form, first(two).making), (Form::H264, Making::Pass));
    }

    #[test]
    fn what_is_lacking_is_told() {
        assert_eq!(agreed("m=audio 0 RTP/AVP 0"), Err(Disagreement::Medium));
        assert_eq!(agreed("m=audio 4000 UDP/TLS/RTP/SAVPF 0"), Err(Disagreement::Medium));
        assert_eq!(agreed("m=image 4000 RTP/AVP 0"), Err(Disagreement::Medium));
        assert_eq!(agreed("m=audio 4000 RTP/AVP 3"), Err(Disagreement::Codec));
        assert_eq!(agreed("m=audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000/2"), Err(Disagreement::Codec));
        assert_eq!(agreed("m=audio 7 RTP/AVP 0"), Err(Disagreement::Address));
        assert_eq!(agreed("m=audio 4000 RTP/AVP 0\r\nc=IN IP4 phone"), Err(Disagreement::Address));
        assert_eq!(agreed("m=audio 4000 RTP/AVP 0\r\na=rtcp:7"), Err(Disagreement::Address));
        assert_eq!(agreed("a=x"), Err(Disagreement::Medium));
    }
}
