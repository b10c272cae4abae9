//! How many bits a second may be sent: `b=` lines (RFC 4566 §5.8, RFC 3890), and what each form takes.
//!
//! Deviation: `AS` counts the heads of IP, UDP and RTP (RFC 3550 §6.2), `TIAS` does not. Phones write the rate of their
//! codec in either, as `b=AS:64` beside PCMU; so both are held against the media alone, and nothing is refused that was
//! meant to fit.

use super::agree::{Making, Means};
use super::{Direction, Media};
use crate::form::Form;
use crate::picture;

/// A limit in bits a second, and which line it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// `b=TIAS`, which is exact and goes before the others (RFC 3890 §6.4).
    Exact(u32),
    /// `b=AS` or `b=CT`.
    Rough(u32),
}

impl Limit {
    /// Reads the value of a `b=` line; `None` for one that says nothing of what may be sent, or can't be read.
    pub(super) fn read(value: &str) -> Option<Limit> {
        let (kind, number) = value.split_once(':')?;
        let number: u32 = number.trim().parse().ok()?;
        match kind {
            "TIAS" => Some(Limit::Exact(number)),
            "AS" | "CT" => Some(Limit::Rough(number.saturating_mul(1000))),
            _ => None,
        }
    }

    /// The limit after a further line.
    pub(super) fn and(before: Option<Limit>, further: Option<Limit>) -> Option<Limit> {
        match (before, further) {
            (Some(Limit::Exact(_)), Some(Limit::Rough(_))) | (_, None) => before,
            _ => further,
        }
    }

    const fn bits(self) -> u32 {
        match self {
            Limit::Exact(bits) | Limit::Rough(bits) => bits,
        }
    }
}

/// Bits a second that a medium takes at most; `left` is what its session has left. Nothing is sent to who holds, so
/// that nothing limits it.
pub(super) fn most(medium: &Media, left: Option<u32>) -> Option<u32> {
    match medium.direction {
        Direction::Send | Direction::Neither => None,
        Direction::Both | Direction::Receive => {
            let own = medium.limit.map(Limit::bits);
            own.into_iter().chain(left).min()
        }
    }
}

/// What all media of a session take together at most.
pub(super) fn total(limit: Option<Limit>) -> Option<u32> {
    limit.map(Limit::bits)
}

/// Bits a second that a form takes at least, made so.
pub(super) fn least(form: Form, making: Making, means: &Means) -> u32 {
    match (form, making) {
        (Form::Pcmu | Form::Pcma | Form::G722, _) => 64_000,
        (_, Making::Pass) => {
            let rate = means.rates.iter().find(|(of, _)| *of == form);
            rate.map_or(0, |(_, rate)| *rate)
        }
        (Form::Opus, Making::Encode) => 64_000,
        (Form::Opus | Form::Amr | Form::AmrWb | Form::Mpa, _) => form.bits(),
        (Form::H264 | Form::Vp8 | Form::Mpv, _) => picture::LEAST_BITS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::{Agreed, Disagreement, Session, again, agree};

    fn means() -> Means {
        Means {
            passes: vec![Form::Mpa],
            rates: vec![(Form::Mpa, 128_000)],
            encodes: vec![Form::Pcmu],
            transcodes: vec![Form::Opus, Form::Amr, Form::Vp8],
            ..Means::default()
        }
    }

    fn agreed(session: &str, media: &str) -> Result<Vec<Option<Agreed>>, Disagreement> {
        let text = format!("v=0\r\nc=IN IP4 192.0.2.7\r\n{session}t=0 0\r\n{media}\r\n");
        agree(&Session::read(text.as_bytes()).unwrap(), &means(), &|_| true)
    }

    fn form(lines: &str) -> Result<Form, Disagreement> {
        let formats = "a=rtpmap:96 opus/48000/2\r\na=rtpmap:97 AMR/8000";
        let media = format!("m=audio 4000 RTP/AVP 14 0 96 97\r\n{lines}{formats}");
        Ok(agreed("", &media)?[0].clone().unwrap().form)
    }

    #[test]
    fn what_fits_is_chosen_and_what_does_not_fit_is_refused() {
        assert_eq!(form(""), Ok(Form::Mpa), "it passes as it is");
        assert_eq!(form("b=AS:128\r\n"), Ok(Form::Mpa));
        assert_eq!(form("b=AS:127\r\n"), Ok(Form::Pcmu));
        assert_eq!(form("b=TIAS:63999\r\n"), Ok(Form::Opus));
        assert_eq!(form("b=AS:13\r\n"), Ok(Form::Amr));
        assert_eq!(form("b=AS:12\r\n"), Err(Disagreement::Bandwidth));
        assert_eq!(Disagreement::Bandwidth.code(), 370);
    }

    #[test]
    fn the_exact_limit_goes_before_the_rough_one_and_others_say_nothing() {
        assert_eq!(form("b=AS:10\r\nb=TIAS:64000\r\n"), Ok(Form::Pcmu));
        assert_eq!(form("b=TIAS:64000\r\nb=AS:10\r\n"), Ok(Form::Pcmu));
        assert_eq!(form("b=RR:0\r\nb=AS:many\r\nb=X-YZ:1\r\n"), Ok(Form::Mpa));
        assert_eq!(form("b=AS:4294967295\r\n"), Ok(Form::Mpa));
    }

    #[test]
    fn who_holds_is_limited_by_nothing() {
        assert_eq!(form("b=AS:0\r\na=inactive\r\n"), Ok(Form::Mpa));
        assert_eq!(form("b=AS:0\r\n"), Err(Disagreement::Bandwidth));
    }

    #[test]
    fn what_a_session_takes_is_for_its_sound_and_the_rest_for_its_pictures() {
        let media = "m=video 4000 RTP/AVP 100\r\na=rtpmap:100 VP8/90000\r\nm=audio 4002 RTP/AVP 0";
        let most = |session: &str| -> Vec<_> {
            let agreement = agreed(session, media).unwrap();
            agreement.into_iter().map(|agreed| agreed.map(|agreed| agreed.most)).collect()
        };
        assert_eq!(most(""), [Some(None), Some(None)]);
        assert_eq!(most("b=CT:200\r\n"), [Some(Some(136_000)), Some(Some(200_000))]);
        assert_eq!(most("b=AS:80\r\n"), [None, Some(Some(80_000))], "sound alone");
    }

    #[test]
    fn a_limit_that_comes_later_holds_too() {
        let session = |line: &str| {
            let text = format!("v=0\r\nc=IN IP4 192.0.2.7\r\nm=audio 4000 RTP/AVP 0\r\n{line}");
            Session::read(text.as_bytes()).unwrap()
        };
        let before = agree(&session("b=AS:64\r\n"), &means(), &|_| true).unwrap();
        let before: Vec<_> = before.iter().map(|agreed| agreed.as_ref().map(|one| (one, 64_100))).collect();
        let then = |line: &str| again(&session(line), &before, &means(), &|_| true).map(|_| ());
        assert_eq!(then("b=AS:64\r\n"), Ok(()), "a limit that was kept to is kept to");
        assert_eq!((then(""), then("b=AS:65\r\n")), (Ok(()), Ok(())));
        assert_eq!(then("b=AS:63\r\n"), Err(Disagreement::Bandwidth));
        assert_eq!(then("b=AS:0\r\na=inactive\r\n"), Ok(()));
    }
}
