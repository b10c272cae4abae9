//! Our side of a description: an answer, or an offer to who made none.

use std::fmt::Write;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::agree::{Agreed, Agreement, Means};
use super::crypto::Key;
use super::{Media, Session};
use crate::form::Form;

/// What we say of ourselves.
#[derive(Clone, Debug)]
pub struct Local {
    /// The number of the session, and its version (RFC 8866 §5.2).
    pub id: u64,
    /// The version.
    pub version: u64,
    /// The address of our RTP.
    pub address: IpAddr,
    /// Our port and key of each medium, in the order of the description; `None`: none.
    pub media: Vec<Option<LocalMedium>>,
    /// Parameter sets of H.264, for `sprop-parameter-sets` (RFC 6184 §8.1).
    pub sets: Vec<Bytes>,
}

/// Our end of one medium.
#[derive(Clone, Debug)]
pub struct LocalMedium {
    /// The port of RTP; RTCP has the next one.
    pub port: u16,
    /// Under which we encrypt.
    pub key: Option<Key>,
}

/// The answer to an offer: each medium, agreed on or refused with port 0 (RFC 3264 §6).
pub fn answer(offer: &Session, agreement: &Agreement, local: &Local) -> String {
    let mut text = head(local, &offer.time);
    for (at, medium) in offer.media.iter().enumerate() {
        let agreed = agreement.get(at).and_then(Option::as_ref);
        let ours = local.media.get(at).and_then(Option::as_ref);
        match agreed.zip(ours) {
            Some((agreed, ours)) => accepted(&mut text, medium, agreed, ours, local),
            None => {
                let format = medium.formats.first().map_or("0", String::as_str);
                line(&mut text, &format!("m={} 0 {} {format}", medium.kind, medium.protocol));
            }
        }
    }
    text
}

/// An offer of all that `means` can send, each kind of medium at the port given for it (sound, video), encrypted under the
/// keys that stand beside it.
pub fn offer(means: &Means, local: &Local, ends: [Option<(u16, &[Key])>; 2]) -> String {
    let mut text = head(local, "0 0");
    for (kind, end) in ["audio", "video"].into_iter().zip(ends) {
        let Some((port, keys)) = end else { continue };
        let protocol = if keys.is_empty() { "RTP/AVP" } else { "RTP/SAVP" };
        let wanted = |form: &&Form| form.is_video() == (kind == "video");
        let mut forms: Vec<Form> = means.passes.iter().filter(wanted).copied().collect();
        for more in [&means.encodes, &means.transcodes] {
            let more: Vec<Form> =
                more.iter().filter(wanted).filter(|form| !forms.contains(form)).copied().collect();
            forms.extend(more);
        }
        let types: Vec<String> = forms.iter().map(|form| form.payload_type().to_string()).collect();
        line(&mut text, &format!("m={kind} {port} {protocol} {}", types.join(" ")));
        for form in forms {
            line(&mut text, &format!("a=rtpmap:{} {}", form.payload_type(), form.rtpmap()));
            if let Some(fmtp) = fmtp(form, None, local) {
                line(&mut text, &format!("a=fmtp:{} {fmtp}", form.payload_type()));
            }
        }
        line(&mut text, "a=sendonly");
        keys.iter().for_each(|key| line(&mut text, &format!("a=crypto:{}", key.write())));
    }
    text
}

fn head(local: &Local, time: &str) -> String {
    let mut text = String::new();
    let family = if local.address.is_ipv4() { "IP4" } else { "IP6" };
    let (id, version, address) = (local.id, local.version, local.address);
    line(&mut text, "v=0");
    line(&mut text, &format!("o=annc {id} {version} IN {family} {address}"));
    line(&mut text, "s=-");
    line(&mut text, &format!("c=IN {family} {address}"));
    // RFC 3264 §6: the time of the answer is that of the offer.
    line(&mut text, &format!("t={time}"));
    text
}

fn accepted(text: &mut String, medium: &Media, agreed: &Agreed, ours: &LocalMedium, local: &Local) {
    let number = agreed.payload_type;
    line(text, &format!("m={} {} {} {number}", medium.kind, ours.port, medium.protocol));
    line(text, &format!("a=rtpmap:{number} {}", agreed.form.rtpmap()));
    if let Some(fmtp) = fmtp(agreed.form, Some(agreed.fmtp.as_deref().unwrap_or_default()), local) {
        line(text, &format!("a=fmtp:{number} {fmtp}"));
    }
    if !agreed.form.is_video() {
        line(text, &format!("a=ptime:{}", agreed.ptime));
    }
    line(text, if agreed.is_held { "a=inactive" } else { "a=sendonly" });
    if agreed.rtcp == agreed.rtp && medium.attribute("rtcp-mux").is_some() {
        line(text, "a=rtcp-mux");
    }
    if let Some(key) = &ours.key {
        line(text, &format!("a=crypto:{}", key.write()));
    }
}

/// The parameters of what we send; `offered` is `None` in an offer of ours. Those of AMR are of the session: what was
/// offered holds (RFC 4867 §8.3.1), and so does the packetization mode of H.264 (RFC 6184 §8.2.2).
fn fmtp(form: Form, offered: Option<&str>, local: &Local) -> Option<String> {
    let fmtp = match form {
        Form::Amr | Form::AmrWb => offered.unwrap_or("octet-align=1").to_owned(),
        Form::H264 => {
            let ours = match (offered, profile(&local.sets)) {
                (Some(offered), _) => offered.to_owned(),
                (None, Some(id)) => format!("packetization-mode=1;profile-level-id={id}"),
                (None, None) => format!("packetization-mode=1;profile-level-id={MADE}"),
            };
            // A phone may repeat what was sent to it before.
            let pairs = ours.split(';').map(str::trim);
            let kept =
                pairs.filter(|pair| !pair.is_empty() && !pair.starts_with("sprop-")).map(str::to_owned);
            let sets = sets(&local.sets).map(|sets| format!("sprop-parameter-sets={sets}"));
            kept.chain(sets).collect::<Vec<_>>().join(";")
        }
        _ => return None,
    };
    Some(fmtp).filter(|fmtp| !fmtp.is_empty())
}

/// Octets of parameter sets in a description, as they are written. An encoder's are some fifty; a description with many
/// fits no datagram. They stand before the first picture too, so that who finds none here misses nothing.
const MOST_SETS: usize = 1024;

fn sets(sets: &[Bytes]) -> Option<String> {
    let octets: usize = sets.iter().map(|set| set.len().div_ceil(3) * 4 + 1).sum();
    let list = || sets.iter().map(|set| STANDARD.encode(set)).collect::<Vec<_>>().join(",");
    (octets > 0 && octets - 1 <= MOST_SETS).then(list)
}

/// What is made where the offer is ours: constrained baseline, up to level 3.1.
const MADE: &str = "42e01f";

/// The `profile-level-id` of a clip's own H.264: three octets of its sequence parameter set.
fn profile(sets: &[Bytes]) -> Option<String> {
    let id: &[u8; 3] = sets.first()?.get(1..4)?.first_chunk()?;
    Some(id.iter().map(|octet| format!("{octet:02x}")).collect())
}

fn line(text: &mut String, line: &str) {
    // Writing to a string can't fail.
    let _never = write!(text, "{line}\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::agree;
    use super::*;

    fn local(media: Vec<Option<LocalMedium>>) -> Local {
        let address = "192.0.2.1".parse().unwrap();
        Local {
            id: 7,
            version: 8,
            address,
            media,
            sets: vec![Bytes::from_static(b"g"), Bytes::from_static(b"h")],
        }
    }

    const fn medium(port: u16) -> Option<LocalMedium> {
        Some(LocalMedium { port, key: None })
    }

    #[test]
    fn an_answer_has_the_media_of_the_offer_in_its_order() {
        let offer = "v=0\r\nc=IN IP4 192.0.2.7\r\nt=1 2\r\nm=video 4002 RTP/AVP 34 35\r\nm=audio 4000 RTP/AVPF 0 101\r\n\
                     a=rtcp-mux\r\na=sendrecv\r\n";
        let offer = Session::read(offer.as_bytes()).unwrap();
        let means = Means { encodes: vec![Form::Pcmu], ..Means::default() };
        let agreement = agree(&offer, &means, &|_| true).unwrap();
        let text = answer(&offer, &agreement, &local(vec![None, medium(30_000)]));
        assert_eq!(
            text,
            "v=0\r\no=annc 7 8 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=1 2\r\nm=video 0 RTP/AVP 34\r\n\
             m=audio 30000 RTP/AVPF 0\r\na=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendonly\r\na=rtcp-mux\r\n"
        );
        assert!(Session::read(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_key_of_ours_and_parameter_sets_are_in_the_answer() {
        let offer = "v=0\r\nc=IN IP4 192.0.2.7\r\nm=video 4000 RTP/SAVP 99\r\na=rtpmap:99 H264/90000\r\n\
                     a=fmtp:99 packetization-mode=1; sprop-parameter-sets=x\r\na=inactive\r\n\
                     a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS\r\n";
        let offer = Session::read(offer.as_bytes()).unwrap();
        let means = Means { passes: vec![Form::H264], keys: true, ..Means::default() };
        let agreement = agree(&offer, &means, &|_| true).unwrap();
        let key = agreement[0].as_ref().unwrap().key.clone();
        let text = answer(&offer, &agreement, &local(vec![Some(LocalMedium { port: 30_000, key })]));
        assert!(text.contains("a=fmtp:99 packetization-mode=1;sprop-parameter-sets=Zw==,aA==\r\n"), "{text}");
        assert!(text.contains("a=crypto:3 AES_CM_128_HMAC_SHA1_32 inline:"), "{text}");
        assert!(text.contains("a=inactive\r\n"), "{text}");
    }

    #[test]
    fn parameter_sets_that_are_too_long_are_left_out() {
        let of = |lengths: &[usize]| {
            let all: Vec<Bytes> = lengths.iter().map(|length| vec![7; *length].into()).collect();
            sets(&all).map(|list| list.len())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[30, 4]), Some(40 + 1 + 8));
        assert_eq!(of(&[768]), Some(MOST_SETS));
        assert_eq!(of(&[769]), None);
        assert_eq!(of(&[1; 205]), Some(1024));
        assert_eq!(of(&[1; 206]), None);
    }

    #[test]
    fn an_offer_lists_what_passes_before_what_is_made() {
        let means =
            Means { passes: vec![Form::Mpa], encodes: vec![Form::Pcmu, Form::Opus], ..Means::default() };
        let text = offer(&means, &local(Vec::new()), [Some((30_000, &[])), None]);
        assert!(text.contains("m=audio 30000 RTP/AVP 14 0 96\r\na=rtpmap:14 MPA/90000\r\n"), "{text}");
        assert!(!text.contains("m=video"), "{text}");
    }
}
