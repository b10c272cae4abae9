//! What requests of the caller meet, at once and under a lock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sip::{Method, Request, ResponseBuilder};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;

use super::{Beginning, Opening, Unacked};
use crate::desk::{self, ALLOW, Answered, Inside, Meeting, Open};
use crate::dialog::{Dialog, SessionTimer};
use crate::order::{Order, Repeat};
use crate::refusal::Refusal;
use crate::rtp::{Event, Plan, Protector, Sender, Stage};
use crate::sdp::Session;

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
    /// The largest Min-SE that came within the call (RFC 4028 §7.4).
    pub(super) least: Option<u32>,
    /// An INVITE of ours has no answer yet.
    pub(super) is_inviting: bool,
    /// Whether the other side knows UPDATE (RFC 3311 §4).
    pub(super) allows_update: bool,
    /// The value of our Contact.
    pub(super) contact: String,
    /// Where media may be sent.
    pub(super) open: Open,
    pub(super) acked: bool,
    /// The INVITE within the call whose 200 waits for its ACK.
    pub(super) unacked: Option<Waiting>,
    /// The answer to an offer of ours, and whether keys in it may be believed.
    pub(super) answer: Option<Result<(Session, bool), Refusal>>,
    pub(super) over: bool,
    /// It is to be ended from here.
    pub(super) hang_up: bool,
    pub(super) held_since: Option<Instant>,
    pub(super) tell: mpsc::Sender<Event>,
}

/// A 200 that waits for its ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The CSeq of its INVITE.
    pub(super) number: u32,
    /// Whether it holds an offer, so that the ACK holds the answer.
    pub(super) has_offer: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("acked", &self.acked).field("over", &self.over).finish_non_exhaustive()
    }
}

impl Wire {
    pub(super) fn new(beginning: Beginning, tell: mpsc::Sender<Event>) -> (Wire, OwnedSemaphorePermit) {
        let Beginning { inside, dialog, order, opening, timer, allows_update, contact, open, permit } =
            beginning;
        let state = State {
            dialog,
            order,
            opening,
            timer,
            refreshed: Instant::now(),
            retry: None,
            least: None,
            is_inviting: false,
            allows_update,
            contact,
            open,
            acked: false,
            unacked: None,
            answer: None,
            over: false,
            hang_up: false,
            held_since: None,
            tell,
        };
        let wire = Wire { inside, state: Mutex::new(state), changed: Notify::new(), acks: Notify::new() };
        (wire, permit)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget(&self) {
        let id = self.state().dialog.id().clone();
        self.inside.forget(&id);
    }

    /// Nothing is played any more, and no ACK is waited for.
    pub(super) fn end(&self) {
        self.state().end();
        self.acks.notify_waiters();
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

    /// Takes an ACK, and in it the answer to an offer of ours.
    pub(crate) fn acknowledged(&self, ack: &Request, is_secure: bool) {
        let is_safe = self.inside.is_safe(is_secure);
        let mut state = self.state();
        if state.acked {
            let number = ack.cseq().number;
            let Some(waited) = state.unacked.take_if(|waiting| waiting.number == number) else { return };
            if waited.has_offer {
                state.concluded(ack, is_safe);
            }
            drop(state);
            self.acks.notify_waiters();
            // A refresh may have waited for it.
            return self.changed.notify_one();
        }
        if ack.cseq().number > state.dialog.received() {
            return;
        }
        if state.opening.media.is_empty() {
            let answer = desk::description(ack).and_then(|session| session.ok_or(Refusal::Body));
            state.answer = Some(answer.map(|session| (session, is_safe)));
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
                drop(state);
                self.end();
                self.changed.notify_one();
                Ok(ResponseBuilder::to_request(request, 200, "OK").build().into())
            }
            Method::Invite | Method::Update => {
                let again = state.again(request, meeting, &self.inside);
                let (response, waiting) = again?;
                state.unacked = waiting.or(state.unacked);
                drop(state);
                self.changed.notify_one();
                // What waited for an older ACK waits no more.
                self.acks.notify_waiters();
                let unacked = waiting.map(|waiting| Unacked::new(Arc::clone(self), waiting.number));
                Ok(Answered { response, unacked })
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

    pub(super) fn note_hold(&mut self) {
        let all = self.opening.media.iter().flatten().all(|medium| medium.is_held);
        self.held_since = all.then(|| self.held_since.unwrap_or_else(Instant::now));
    }
}
