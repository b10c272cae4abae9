//! What a new description in a call may change of what plays (RFC 3264 §8): where it goes, whether it is held, its payload
//! type and its keys. The packets were made before the call was answered and stay what they are.

use std::net::SocketAddr;

use super::agree::{self, Agreed, Agreement, Disagreement, Making, Means};
use super::{Media, Session, bandwidth};
use crate::form::Form;
use crate::picture;

/// Agrees on a further offer, or on the answer to one of ours, in a call that plays `before`, each with the bits a second
/// that it takes. Media beyond those are refused one by one; what plays must stay possible, or be given up by its port 0 as
/// long as another is left (RFC 3264 §6, §8.2).
///
/// # Errors
/// [`Disagreement`]: what a medium that plays lacks, or that none is left.
pub fn again(
    session: &Session,
    before: &[Option<(&Agreed, u32)>],
    means: &Means,
    open: &dyn Fn(SocketAddr) -> bool,
) -> Result<Agreement, Disagreement> {
    if session.media.len() < before.len() {
        // RFC 3264 §8: none is taken away.
        return Err(Disagreement::Medium);
    }
    let media = session.media.iter().enumerate();
    let agreement: Agreement = media
        .map(|(at, medium)| match before.get(at).copied().flatten().filter(|_| medium.port > 0) {
            Some((before, rate)) => {
                let most = bandwidth::most(medium, bandwidth::total(session.limit));
                let is_below = |most: u32| most < rate && before.most.is_none_or(|was| most < was);
                match most.is_some_and(is_below) {
                    true => Err(Disagreement::Bandwidth),
                    false => on(medium, before, means, open)
                        .map(|agreed| Some(Agreed { most: most.or(before.most), ..agreed })),
                }
            }
            None => Ok(None),
        })
        .collect::<Result<_, _>>()?;
    if agreement.iter().all(Option::is_none) { Err(Disagreement::Medium) } else { Ok(agreement) }
}

fn on(
    medium: &Media,
    before: &Agreed,
    means: &Means,
    open: &dyn Fn(SocketAddr) -> bool,
) -> Result<Agreed, Disagreement> {
    let is_srtp = agree::is_srtp(medium)?;
    let is_number = |format: &&String| format.parse() == Ok(before.payload_type);
    let sent = || medium.formats.iter().filter(|format| is_sent(medium, format, before, means));
    let format = sent().find(is_number).or_else(|| sent().next()).ok_or(Disagreement::Codec)?;
    let is_longer = !before.form.is_video() && before.ptime > agree::most_ptime(medium);
    if is_longer {
        return Err(Disagreement::Codec);
    }
    let key = match (agree::key(medium, means.keys, is_srtp)?, &before.key) {
        (None, Some(_)) if means.keys => return Err(Disagreement::Key),
        // Either it has none, or one that may not be believed.
        (None, Some(_)) => return Err(Disagreement::Clear),
        (Some(_), None) if is_srtp => return Err(Disagreement::Key),
        // Without SAVP a key is an offer to encrypt, which was passed over before.
        (Some(_), None) => None,
        (key, _) => key,
    };
    let agreed = agree::arranged(medium, (before.form, before.making, format), key, open)?;
    Ok(Agreed { ptime: before.ptime, ..agreed })
}

/// Whether a format takes the packets that there are.
fn is_sent(medium: &Media, format: &str, before: &Agreed, means: &Means) -> bool {
    let fmtp = medium.fmtp(format).unwrap_or_default();
    agree::form_of(medium, format) == Some(before.form)
        && agree::takes(fmtp, before.form, before.making, means)
        && is_packed_alike(before, fmtp)
}

/// Whether packets that were made for the parameters before are what others ask for.
fn is_packed_alike(before: &Agreed, fmtp: &str) -> bool {
    let was = before.fmtp.as_deref().unwrap_or_default();
    let same = |name: &str, default: &str| {
        picture::value(was, name).unwrap_or(default) == picture::value(fmtp, name).unwrap_or(default)
    };
    let is_as_large = || {
        before.making == Making::Pass || picture::most(before.form, was) == picture::most(before.form, fmtp)
    };
    match before.form {
        Form::Amr | Form::AmrWb => same("octet-align", "0"),
        Form::H264 => same("packetization-mode", "0") && is_as_large(),
        Form::Vp8 => is_as_large(),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::Key;

    const ONE: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:C0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS";
    const OTHER: &str = "a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:d0uJXOJCTk66l01HPVJjFYOy0eSwVbQ7xlMwjcGS";

    fn means(form: Form, making: Making) -> Means {
        let of = |wanted| if making == wanted { vec![form] } else { Vec::new() };
        Means {
            passes: of(Making::Pass),
            encodes: of(Making::Encode),
            transcodes: of(Making::Transcode),
            keys: true,
            ..Means::default()
        }
    }

    fn session(media: &str) -> Session {
        Session::read(format!("v=0\r\nc=IN IP4 192.0.2.7\r\n{media}\r\n").as_bytes()).unwrap()
    }

    const fn playing(agreed: &Option<Agreed>) -> Option<(&Agreed, u32)> {
        match agreed {
            Some(agreed) => Some((agreed, 64_000)),
            None => None,
        }
    }

    /// What becomes of a call of the first description by the second.
    fn renewed(form: Form, making: Making, first: &str, then: &str) -> Result<Agreed, Disagreement> {
        let means = means(form, making);
        let before = agree::agree(&session(first), &means, &|_| true).unwrap();
        let before: Vec<_> = before.iter().map(playing).collect();
        again(&session(then), &before, &means, &|_| true).map(|agreed| agreed[0].clone().unwrap())
    }

    #[test]
    fn a_payload_type_may_change_and_the_old_one_is_kept_where_it_is_offered() {
        let pcmu = "m=audio 4000 RTP/AVP 97 0\r\na=rtpmap:97 PCMU/8000";
        let number = |then: &str| renewed(Form::Pcmu, Making::Encode, pcmu, then).unwrap().payload_type;
        assert_eq!(number("m=audio 4000 RTP/AVP 0 97\r\na=rtpmap:97 PCMU/8000"), 97);
        assert_eq!(number("m=audio 4000 RTP/AVP 8 0"), 0);
        let refused = renewed(Form::Pcmu, Making::Encode, pcmu, "m=audio 4000 RTP/AVP 8");
        assert_eq!(refused, Err(Disagreement::Codec));
    }

    #[test]
    fn packets_stay_as_long_as_they_are_or_the_offer_is_refused() {
        let pcmu = |lines: &str| format!("m=audio 4000 RTP/AVP 0\r\n{lines}");
        let then = |lines: &str| renewed(Form::Pcmu, Making::Encode, &pcmu("a=ptime:30"), &pcmu(lines));
        assert_eq!(then("a=ptime:10").unwrap().ptime, 30);
        assert_eq!(then("a=maxptime:30").unwrap().ptime, 30);
        assert_eq!(then("a=maxptime:20"), Err(Disagreement::Codec));
    }

    #[test]
    fn amr_is_not_packed_anew() {
        let amr = |fmtp: &str| format!("m=audio 4000 RTP/AVP 97\r\na=rtpmap:97 AMR/8000\r\na=fmtp:97 {fmtp}");
        let then =
            |fmtp: &str| renewed(Form::Amr, Making::Transcode, &amr("octet-align=1"), &amr(fmtp)).map(|_| ());
        assert_eq!(then("mode-set=7;octet-align=1"), Ok(()));
        assert_eq!(then("octet-align=0"), Err(Disagreement::Codec));
        assert_eq!(then("mode-set=7"), Err(Disagreement::Codec));
        let two = amr("mode-set=7").replace("97\r\n", "97 98\r\n")
            + "\r\na=rtpmap:98 AMR/8000\r\na=fmtp:98 octet-align=1";
        let kept = renewed(Form::Amr, Making::Transcode, &amr("octet-align=1"), &two).unwrap();
        assert_eq!(kept.payload_type, 98, "the one that is packed as they are");
    }

    #[test]
    fn pictures_are_not_made_anew() {
        let h264 =
            |fmtp: &str| format!("m=video 4000 RTP/AVP 99\r\na=rtpmap:99 H264/90000\r\na=fmtp:99 {fmtp}");
        let first = h264("packetization-mode=1;profile-level-id=42e01f");
        for making in [Making::Pass, Making::Transcode] {
            let then = |fmtp: &str| renewed(Form::H264, making, &first, &h264(fmtp)).map(|_| ());
            assert_eq!(then("profile-level-id=42e01f; packetization-mode=1"), Ok(()));
            assert_eq!(then("profile-level-id=42e01f"), Err(Disagreement::Codec));
        }
        let then = |fmtp: &str| renewed(Form::H264, Making::Transcode, &first, &h264(fmtp)).map(|_| ());
        assert_eq!(then("packetization-mode=1;profile-level-id=42e00d"), Err(Disagreement::Codec));
        let vp8 =
            |fmtp: &str| format!("m=video 4000 RTP/AVP 100\r\na=rtpmap:100 VP8/90000\r\na=fmtp:100 {fmtp}");
        let then =
            |fmtp: &str| renewed(Form::Vp8, Making::Transcode, &vp8("max-fs=99"), &vp8(fmtp)).map(|_| ());
        assert_eq!((then("max-fs=99"), then("max-fs=50")), (Ok(()), Err(Disagreement::Codec)));
    }

    #[test]
    fn keys_may_change_and_neither_go_nor_come() {
        let with = |protocol: &str, line: &str| format!("m=audio 4000 {protocol} 0\r\n{line}");
        let then = |first: &str, then: &str| {
            let agreed = renewed(Form::Pcmu, Making::Encode, first, then)?;
            Ok(agreed.key.map(|key: Key| key.tag))
        };
        let secret = with("RTP/SAVP", ONE);
        assert_eq!(then(&secret, &with("RTP/SAVP", OTHER)), Ok(Some(2)));
        assert_eq!(then(&secret, &with("RTP/AVP", "a=x")), Err(Disagreement::Key));
        let clear = with("RTP/AVP", "a=x");
        assert_eq!(then(&clear, &with("RTP/AVP", ONE)), Ok(None), "an offer that is passed over");
        assert_eq!(then(&clear, &secret), Err(Disagreement::Key));
    }

    #[test]
    fn keys_that_came_in_clear_are_not_believed() {
        let means = means(Form::Pcmu, Making::Encode);
        let offer = session(&format!("m=audio 4000 RTP/AVP 0\r\n{ONE}"));
        let before = agree::agree(&offer, &means, &|_| true).unwrap();
        let before: Vec<_> = before.iter().map(playing).collect();
        let clear = Means { keys: false, ..means };
        assert_eq!(again(&offer, &before, &clear, &|_| true), Err(Disagreement::Clear));
    }

    #[test]
    fn media_are_added_for_nothing_and_not_taken_away() {
        let means = means(Form::Pcmu, Making::Encode);
        let one = session("m=audio 4000 RTP/AVP 0");
        let two = session("m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 0");
        let agreement = |session: &Session, before: &Agreement| {
            let before: Vec<_> = before.iter().map(playing).collect();
            again(session, &before, &means, &|_| true)
        };
        let before = agree::agree(&one, &means, &|_| true).unwrap();
        let more = agreement(&two, &before).unwrap();
        assert!(matches!(more.as_slice(), [Some(_), None]));
        assert_eq!(agreement(&one, &more), Err(Disagreement::Medium));
    }

    #[test]
    fn one_of_two_media_may_be_given_up_and_the_last_may_not() {
        let means = Means { encodes: vec![Form::Pcmu, Form::Vp8], keys: true, ..Means::default() };
        let both = |audio: u16, video: u16| {
            session(&format!(
                "m=audio {audio} RTP/AVP 0\r\nm=video {video} RTP/AVP 100\r\na=rtpmap:100 VP8/90000"
            ))
        };
        let agreement = |session: &Session, before: &Agreement| {
            let before: Vec<_> = before.iter().map(playing).collect();
            again(session, &before, &means, &|_| true)
        };
        let before = agree::agree(&both(4000, 4002), &means, &|_| true).unwrap();
        assert!(matches!(before.as_slice(), [Some(_), Some(_)]));
        let sound = agreement(&both(4000, 0), &before).unwrap();
        assert!(matches!(sound.as_slice(), [Some(_), None]));
        assert!(matches!(agreement(&both(0, 4002), &before).unwrap().as_slice(), [None, Some(_)]));
        assert_eq!(agreement(&both(0, 0), &before), Err(Disagreement::Medium));
        let back = agreement(&both(4000, 4002), &sound).unwrap();
        assert!(matches!(back.as_slice(), [Some(_), None]), "its packets are gone");
    }
}
