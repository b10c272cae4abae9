//! A new INVITE or an UPDATE in a call, and answers to offers of ours: they refresh the session, hold, let go on, move, and
//! change payload types and keys. What is sent stays what was agreed on first.

use sip::{HeaderId, Method, Outgoing, Request, ResponseBuilder};
use tokio::time::Instant;

use super::Medium;
use super::wire::{State, Waiting};
use crate::desk::{self, ALLOW, Inside, Meeting};
use crate::dialog::{self, SessionTimer};
use crate::refusal::Refusal;
use crate::rtp::{Change, Protector};
use crate::sdp::{self, Agreed, Agreement, Disagreement, Key, LocalMedium, Means, Session};

/// Whose keys come first: who answers takes the suite of the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// It is their offer, and we answer.
    Answerer,
    /// It is the answer to ours.
    Offerer,
}

impl State {
    /// Answers a re-INVITE or an UPDATE; what waits for its ACK if it was the former.
    pub(super) fn again(
        &mut self,
        request: &Request,
        meeting: &Meeting,
        inside: &Inside,
    ) -> Result<(Outgoing, Option<Waiting>), Refusal> {
        let timer = SessionTimer::of(request, inside.settings.session).map_err(Refusal::Interval)?;
        let offer = desk::description(request)?;
        let is_invite = request.method() == Method::Invite;
        let wants_body = is_invite || offer.is_some();
        if wants_body && (self.is_inviting || self.is_unanswered()) {
            return Err(Refusal::Pending);
        }
        let is_safe = inside.is_safe(meeting.secure);
        match &offer {
            Some(offer) => self.take(offer, is_safe)?,
            None if is_invite => self.offer(is_safe)?,
            None => {}
        }
        let mut builder = ResponseBuilder::to_request(request, 200, "OK")
            .header(HeaderId::Contact, &meeting.contact)
            .header("Allow", ALLOW)
            .header("Supported", "timer");
        if let Some(timer) = timer {
            builder = desk::timed(builder, timer);
        }
        if wants_body {
            builder = builder.header("Content-Type", "application/sdp").body(self.opening.body.clone());
        }
        self.dialog.moved(request.contacts());
        self.timer = timer;
        self.least = self.least.max(dialog::least(request));
        (self.refreshed, self.retry) = (Instant::now(), None);
        self.allows_update |= desk::allows_update(request);
        let waiting = Waiting { number: request.cseq().number, has_offer: offer.is_none() };
        Ok((builder.build(), is_invite.then_some(waiting)))
    }

    /// Whether an offer of ours has no answer yet.
    fn is_unanswered(&self) -> bool {
        self.opening.media.is_empty() || self.unacked.is_some_and(|waiting| waiting.has_offer)
    }

    /// Whether our description holds keys.
    pub(super) fn has_keys(&self) -> bool {
        self.opening.media.iter().flatten().any(|medium| medium.key.is_some())
    }

    /// Takes an offer, and makes the answer to it.
    fn take(&mut self, offer: &Session, is_safe: bool) -> Result<(), Refusal> {
        let agreement = self.agreed(offer, is_safe)?;
        self.follow(agreement, Role::Answerer)?;
        self.describe(offer, false);
        self.opening.theirs = Some(offer.outline());
        Ok(())
    }

    /// Makes an offer of what is played, to who made none. Who holds us may let go on by his answer.
    fn offer(&mut self, is_safe: bool) -> Result<(), Refusal> {
        if self.has_keys() && !is_safe {
            return Err(Disagreement::Clear.into());
        }
        if let Some(theirs) = self.opening.theirs.clone() {
            self.describe(&theirs, true);
        }
        Ok(())
    }

    /// Takes the answer in an ACK to an offer of ours in a 200 (RFC 3261 §13.2.1). One that is none to what was offered ends
    /// the call: both sides mean something else by it. Without one all stays as it was.
    pub(super) fn concluded(&mut self, ack: &Request, is_safe: bool) {
        let taken = match desk::description(ack) {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => self.conclude(&answer, is_safe),
            Err(refusal) => Err(refusal),
        };
        self.hang_up |= taken.is_err();
    }

    pub(super) fn conclude(&mut self, answer: &Session, is_safe: bool) -> Result<(), Refusal> {
        let agreement = self.agreed(answer, is_safe)?;
        self.follow(agreement, Role::Offerer)?;
        self.opening.theirs = Some(answer.outline());
        Ok(())
    }

    /// The first answer was followed: from here on our description is of what is played.
    pub(super) fn took(&mut self, answer: &Session) {
        let tracks = self.opening.media.iter().flatten().map(|medium| &medium.track);
        self.opening.local.sets = tracks.flat_map(|track| track.sets.iter().cloned()).collect();
        let theirs = answer.outline();
        self.describe(&theirs, false);
        self.opening.theirs = Some(theirs);
    }

    fn agreed(&self, session: &Session, is_safe: bool) -> Result<Agreement, Disagreement> {
        let means = Means { keys: is_safe, ..self.opening.means.clone() };
        let media = self.opening.media.iter();
        let before: Vec<_> =
            media.map(|medium| medium.as_ref().map(|medium| (&medium.agreed, medium.track.rate()))).collect();
        sdp::again(session, &before, &means, &*self.open)
    }

    /// Writes our description of what is played, after the media of theirs; the same version where nothing changed
    /// (RFC 3264 §8).
    fn describe(&mut self, theirs: &Session, is_offer: bool) {
        let opening = &mut self.opening;
        let media = opening.media.iter();
        let agreement: Agreement = media
            .map(|medium| {
                let agreed = medium.as_ref()?.agreed.clone();
                Some(Agreed { is_held: agreed.is_held && !is_offer, ..agreed })
            })
            .collect();
        let end = |medium: &Medium| LocalMedium { port: medium.sockets.port, key: medium.key.clone() };
        opening.local.media = opening.media.iter().map(|medium| medium.as_ref().map(end)).collect();
        let text = sdp::answer(theirs, &agreement, &opening.local);
        if text != opening.body {
            opening.local.version += 1;
            opening.body = sdp::answer(theirs, &agreement, &opening.local);
        }
    }

    /// Does what was agreed on.
    fn follow(&mut self, agreement: Agreement, role: Role) -> Result<(), Refusal> {
        let media = &mut self.opening.media;
        // Media that were added are refused, and stay so.
        media.resize_with(agreement.len(), || None);
        let own = |(agreed, medium): (&Option<Agreed>, &Option<Medium>)| match (agreed, medium) {
            (Some(agreed), Some(medium)) => own(agreed, medium, role),
            _ => Ok(None),
        };
        let keys = agreement.iter().zip(&*media).map(own).collect::<Result<Vec<_>, _>>()?;
        for ((agreed, medium), key) in agreement.into_iter().zip(media).zip(keys) {
            match (agreed, &mut *medium) {
                (Some(agreed), Some(medium)) => medium.turn(agreed, key)?,
                // RFC 3264 §8.2: it is given up.
                _ => *medium = None,
            }
        }
        self.note_hold();
        Ok(())
    }
}

/// Our key from now on. To a new key of an offer the answer is a new one of ours (RFC 4568 §7.1.4): who made the offer may
/// be somebody else than before, who knows nothing of the old one.
fn own(agreed: &Agreed, medium: &Medium, role: Role) -> Result<Option<Key>, Refusal> {
    let (Some(theirs), Some(ours)) = (&agreed.key, &medium.key) else { return Ok(None) };
    let was = medium.agreed.key.as_ref();
    let is_same = was.is_some_and(|was| was.is_same(theirs));
    match role {
        Role::Offerer if (theirs.tag, theirs.suite) == (ours.tag, ours.suite) => Ok(Some(ours.clone())),
        Role::Offerer => Err(Disagreement::Key.into()),
        Role::Answerer if is_same => Ok(Some(Key { tag: theirs.tag, ..ours.clone() })),
        Role::Answerer => desk::fresh_key(theirs.tag, theirs.suite).map(Some),
    }
}

impl Medium {
    /// Goes on as was agreed, under that key of ours.
    fn turn(&mut self, agreed: Agreed, key: Option<Key>) -> Result<(), Refusal> {
        if let Some(playing) = &self.playing {
            let before = &self.agreed;
            let is_elsewhere = (agreed.rtp, agreed.rtcp) != (before.rtp, before.rtcp);
            let own = newer(self.key.as_ref(), key.as_ref());
            let change = Change {
                is_held: (agreed.is_held != self.is_held).then_some(agreed.is_held),
                to: (is_elsewhere && !agreed.rtp.ip().is_unspecified()).then_some((agreed.rtp, agreed.rtcp)),
                payload_type: Some(agreed.payload_type),
                own: own.map(|own| Ok::<_, Refusal>((own, desk::random()?))).transpose()?,
                peer: newer(before.key.as_ref(), agreed.key.as_ref()),
            };
            playing.change(change).map_err(|_| Refusal::Ports)?;
        }
        self.is_held = agreed.is_held;
        self.agreed = agreed;
        self.key = key;
        Ok(())
    }
}

/// What follows from a key that is another than before.
fn newer(before: Option<&Key>, now: Option<&Key>) -> Option<Protector> {
    let now = now.filter(|now| before.is_none_or(|before| !before.is_same(now)))?;
    Some(Protector::new(now))
}
