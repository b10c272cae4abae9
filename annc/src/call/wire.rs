//! What requests of the caller meet, at once and under a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sip::{HeaderId, Method, Outgoing, Request, ResponseBuilder};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::{Opening, Unacked};
use crate::desk::{self, ALLOW, Answered, Inside, Meeting, Open};
use crate::dialog::{Dialog, SessionTimer};
use crate::order::{Order, Repeat};
use crate::refusal::Refusal;
use crate::rtp::{Event, Plan, Protector, Sender, Stage};
use crate::sdp::{self, Agreed, Agreement, Means, Session};

/// What requests of the caller meet.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(super) inside: Arc<Inside>,
    state: Mutex<State>,
    pub(super) changed: Notify,
    /// An ACK of a new INVITE in the call came.
    pub(super) acks: Notify,
}

/// What a call is at.
pub(super) struct State {
    pub(super) dialog: Dialog,
    pub(super) order: Order,
    pub(super) opening: Opening,
    pub(super) timer: Option<SessionTimer>,
    /// When the session was begun or refreshed.
    pub(super) refreshed: Instant,
    /// When a refresh that could not be had is tried again.
    pub(super) retry: Option<Instant>,
    /// Whether the other side knows UPDATE (RFC 3311 §4).
    pub(super) allows_update: bool,
    /// The value of our Contact.
    pub(super) contact: String,
    /// Where media may be sent.
    pub(super) open: Open,
    pub(super) acked: bool,
    /// The INVITE within the call whose 200 waits for its ACK.
    pub(super) unacked: Option<u32>,
    /// The answer to an offer of ours.
    pub(super) answer: Option<Result<Session, Refusal>>,
    pub(super) over: bool,
    /// It is to be ended from here.
    pub(super) hang_up: bool,
    pub(super) held_since: Option<Instant>,
    pub(super) tell: mpsc::Sender<Event>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("acked", &self.acked).field("over", &self.over).finish_non_exhaustive()
    }
}

impl Wire {
    #[expect(clippy::too_many_arguments, reason = "all that was found out on the way to the call")]
    pub(super) fn new(
        inside: Arc<Inside>,
        dialog: Dialog,
        order: Order,
        opening: Opening,
        invite: &Request,
        meeting: &Meeting,
        timer: Option<SessionTimer>,
        tell: mpsc::Sender<Event>,
    ) -> Wire {
        let state = State {
            dialog,
            order,
            opening,
            timer,
            refreshed: Instant::now(),
            retry: None,
            allows_update: allows_update(invite),
            contact: meeting.contact.clone(),
            open: Arc::clone(&meeting.open),
            acked: false,
            unacked: None,
            answer: None,
            over: false,
            hang_up: false,
            held_since: None,
            tell,
        };
        Wire { inside, state: Mutex::new(state), changed: Notify::new(), acks: Notify::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self) {
        let id = self.state().dialog.id().clone();
        self.inside.forget(&id);
    }

    /// Waits for a BYE of either side.
    pub(super) async fn to_be_ended(&self) {
        while !self.is_to_be_ended() {
            self.changed.notified().await;
        }
    }

    fn is_to_be_ended(&self) -> bool {
        let state = self.state();
        state.over || state.hang_up
    }

    /// Lets the call end from here.
    pub(crate) fn hang_up(&self) {
        self.state().hang_up = true;
        self.changed.notify_one();
    }

    /// Takes the ACK, and in it the answer to an offer of ours.
    pub(crate) fn acknowledged(&self, ack: &Request) {
        let mut state = self.state();
        if state.acked {
            if state.unacked == Some(ack.cseq().number) {
                state.unacked = None;
                drop(state);
                self.acks.notify_waiters();
            }
            return;
        }
        if ack.cseq().number > state.dialog.received() {
            return;
        }
        if state.opening.media.is_empty() {
            let answer = desk::description(ack).and_then(|session| session.ok_or(Refusal::Body));
            state.answer = Some(answer);
        }
        state.acked = true;
        state.refreshed = Instant::now();
        drop(state);
        self.changed.notify_one();
    }

    /// The answer to a request within the dialog.
    pub(crate) fn request(
        self: &Arc<Self>,
        request: &Request,
        meeting: &Meeting,
    ) -> Result<Answered, Refusal> {
        let mut state = self.state();
        if state.over {
            return Err(Refusal::NoDialog);
        }
        if !state.dialog.takes(request) {
            return Err(Refusal::Sequence);
        }
        let answer = || ResponseBuilder::to_request(request, 200, "OK").header("Allow", ALLOW);
        match request.method() {
            Method::Bye => {
                state.end();
                drop(state);
                self.changed.notify_one();
                Ok(ResponseBuilder::to_request(request, 200, "OK").build().into())
            }
            Method::Invite | Method::Update => {
                let again = state.again(request, meeting, &self.inside);
                let is_invite = request.method() == Method::Invite && again.is_ok();
                let number = request.cseq().number;
                if is_invite {
                    state.unacked = Some(number);
                }
                drop(state);
                self.changed.notify_one();
                // What waited for an older ACK waits no more.
                self.acks.notify_waiters();
                let unacked = is_invite.then(|| Unacked::new(Arc::clone(self), number));
                Ok(Answered { response: again?, unacked })
            }
            Method::Options => Ok(answer().header("Accept", "application/sdp").build().into()),
            // DTMF and the like: taken note of by nobody.
            Method::Info => Ok(ResponseBuilder::to_request(request, 200, "OK").build().into()),
            _ => Ok(ResponseBuilder::to_request(request, 405, "Method Not Allowed")
                .header("Allow", ALLOW)
                .build()
                .into()),
        }
    }
}

impl State {
    pub(super) fn end(&mut self) {
        self.over = true;
        self.unacked = None;
        for medium in self.opening.media.iter_mut().flatten() {
            medium.playing = None;
        }
    }

    /// Begins to play all media, at the same time as far as that is possible; says how many.
    pub(super) fn play(&mut self, inside: &Inside) -> Result<usize, Refusal> {
        let cname: Arc<str> = format!("{:016x}", self.opening.local.id).into();
        let longest = inside.settings.longest;
        let limit = self.order.duration.map_or(longest, |asked| asked.min(longest));
        let times = match self.order.repeat {
            Repeat::Times(times) => Some(times),
            Repeat::Forever => None,
        };
        let mut count = 0;
        for medium in self.opening.media.iter_mut().flatten() {
            let plan = Plan {
                track: Arc::clone(&medium.track),
                times,
                delay: self.order.delay,
                limit,
                payload_type: medium.agreed.payload_type,
                cname: Arc::clone(&cname),
            };
            let sender = Sender::new(plan, medium.key.as_ref().map(Protector::new), desk::random()?);
            medium.is_held = medium.agreed.is_held;
            let stage = Stage {
                sender,
                sockets: Arc::clone(&medium.sockets),
                rtp: medium.agreed.rtp,
                rtcp: medium.agreed.rtcp,
                peer: medium.agreed.key.as_ref().map(Protector::new),
                symmetric: inside.settings.symmetric,
                is_held: medium.is_held,
                patience: inside.settings.patience,
                events: self.tell.clone(),
            };
            medium.playing = Some(inside.pacer.play(stage).map_err(|_| Refusal::Ports)?);
            count += 1;
        }
        self.note_hold();
        Ok(count)
    }

    fn note_hold(&mut self) {
        let all = self.opening.media.iter().flatten().all(|medium| medium.is_held);
        self.held_since = all.then(|| self.held_since.unwrap_or_else(Instant::now));
    }

    /// A re-INVITE or an UPDATE: refreshes the session; with an offer it may hold, let go on, and move, but what is
    /// sent stays what was agreed on first.
    fn again(&mut self, request: &Request, meeting: &Meeting, inside: &Inside) -> Result<Outgoing, Refusal> {
        let timer = SessionTimer::of(request, inside.settings.session).map_err(Refusal::Interval)?;
        let offer = desk::description(request)?;
        let mut builder = ResponseBuilder::to_request(request, 200, "OK")
            .header(HeaderId::Contact, &meeting.contact)
            .header("Allow", ALLOW)
            .header("Supported", "timer");
        if let Some(timer) = timer {
            builder = builder.header("Session-Expires", timer.header());
        }
        let wants_body = request.method() == Method::Invite || offer.is_some();
        if let Some(offer) = offer {
            self.take(&offer, meeting)?;
        }
        if wants_body {
            builder = builder.header("Content-Type", "application/sdp").body(self.opening.body.clone());
        }
        self.dialog.moved(request.contacts());
        self.timer = timer.or(self.timer);
        (self.refreshed, self.retry) = (Instant::now(), None);
        self.allows_update |= allows_update(request);
        Ok(builder.build())
    }

    fn take(&mut self, offer: &Session, meeting: &Meeting) -> Result<(), Refusal> {
        let means = Means { keys: meeting.secure || self.opening.means.keys, ..self.opening.means.clone() };
        let agreement = sdp::agree(offer, &means, &*meeting.open)?;
        self.follow(&agreement)?;
        let local = &mut self.opening.local;
        local.version += 1;
        self.opening.body = sdp::answer(offer, &agreement, local);
        Ok(())
    }

    /// Holds, lets go on and moves what is played.
    pub(super) fn follow(&mut self, agreement: &Agreement) -> Result<(), Refusal> {
        let what = |agreed: &Agreed| (agreed.form, agreed.payload_type, agreed.key.is_some());
        let before =
            self.opening.media.iter().map(|medium| medium.as_ref().map(|medium| what(&medium.agreed)));
        if !agreement.iter().map(|agreed| agreed.as_ref().map(what)).eq(before) {
            return Err(sdp::Disagreement::Codec.into());
        }
        for (agreed, medium) in agreement.iter().zip(&mut self.opening.media) {
            let (Some(agreed), Some(medium)) = (agreed, medium) else { continue };
            if let Some(playing) = &medium.playing {
                let is_elsewhere = (agreed.rtp, agreed.rtcp) != (medium.agreed.rtp, medium.agreed.rtcp);
                if is_elsewhere && !agreed.rtp.ip().is_unspecified() {
                    playing.redirect(agreed.rtp, agreed.rtcp).map_err(|_| Refusal::Ports)?;
                }
                if agreed.is_held != medium.is_held {
                    playing.hold(agreed.is_held).map_err(|_| Refusal::Ports)?;
                }
            }
            medium.is_held = agreed.is_held;
            medium.agreed = agreed.clone();
        }
        self.note_hold();
        Ok(())
    }
}

/// Whether who sent a request says that he knows UPDATE.
fn allows_update(request: &Request) -> bool {
    request.values(HeaderId::Allow).any(|method| method == b"UPDATE")
}
