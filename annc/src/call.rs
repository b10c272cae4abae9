//! One call: what is played to whom, until when.
//!
//! [`Wire`] is what requests of the caller meet, at once and under a lock. [`Call`] is who waits: for the ACK, for the
//! end of the media, for timers. It says what is to be sent; who drives it sends.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sip::{HeaderId, Method, Outgoing, Request, ResponseBuilder};
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::clip::Clip;
use crate::desk::{self, ALLOW, Inside, Meeting};
use crate::dialog::{Dialog, SessionTimer};
use crate::order::{Order, Repeat};
use crate::refusal::Refusal;
use crate::rtp::{Event, Plan, Playing, Protector, Sender, Sockets, Stage, Track};
use crate::sdp::{self, Agreed, Key, Local, Means, Session};

/// T1 and T2 of RFC 3261 §17.1.1.1, by which a 200 is repeated until its ACK comes (§13.3.1.4).
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// How long an ACK is waited for: 64*T1.
const ACK: Duration = Duration::from_secs(32);

/// What a call wants.
#[derive(Debug)]
pub enum Say {
    /// Send the 200 again.
    Again,
    /// Send this request in its dialog, and tell what came of it ([`Call::answered`]).
    Request(Box<Outgoing>),
    /// Nothing more; it is over.
    Over,
}

/// What was agreed on when a call was taken.
#[derive(Debug)]
pub(crate) struct Opening {
    pub(crate) clip: Clip,
    pub(crate) means: Means,
    pub(crate) local: Local,
    /// The description in the 200.
    pub(crate) body: String,
    /// By medium of the offer; empty where the offer is ours.
    pub(crate) media: Vec<Option<Medium>>,
    /// Ports of an offer of ours.
    pub(crate) spare: Vec<Arc<Sockets>>,
}

/// A medium that is, or will be, played.
#[derive(Debug)]
pub(crate) struct Medium {
    pub(crate) agreed: Agreed,
    pub(crate) track: Arc<Track>,
    pub(crate) sockets: Arc<Sockets>,
    /// Ours.
    pub(crate) key: Option<Key>,
    pub(crate) playing: Option<Playing>,
    pub(crate) is_held: bool,
}

/// Who drives a call, and waits.
#[derive(Debug)]
pub struct Call {
    wire: Arc<Wire>,
    events: mpsc::Receiver<Event>,
    begun: Instant,
    repeated: Duration,
    next_repeat: Instant,
    /// Streams that are still played.
    left: usize,
    started: bool,
    bye: bool,
    asked: bool,
    _permit: OwnedSemaphorePermit,
}

/// What requests of the caller meet.
#[derive(Debug)]
pub(crate) struct Wire {
    inside: Arc<Inside>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    dialog: Dialog,
    order: Order,
    opening: Opening,
    timer: Option<SessionTimer>,
    /// When the session was begun or refreshed.
    refreshed: Instant,
    acked: bool,
    /// The answer to an offer of ours.
    answer: Option<Result<Session, Refusal>>,
    over: bool,
    /// It is to be ended from here.
    hang_up: bool,
    held_since: Option<Instant>,
    tell: mpsc::Sender<Event>,
}

impl Call {
    pub(crate) fn new(
        inside: Arc<Inside>,
        dialog: Dialog,
        order: Order,
        opening: Opening,
        timer: Option<SessionTimer>,
        permit: OwnedSemaphorePermit,
    ) -> Call {
        let now = Instant::now();
        let (tell, events) = mpsc::channel(8);
        let state = State {
            dialog,
            order,
            opening,
            timer,
            refreshed: now,
            acked: false,
            answer: None,
            over: false,
            hang_up: false,
            held_since: None,
            tell,
        };
        Call {
            wire: Arc::new(Wire { inside, state: Mutex::new(state), changed: Notify::new() }),
            events,
            begun: now,
            repeated: T1,
            next_repeat: now + T1,
            left: 0,
            started: false,
            bye: false,
            asked: false,
            _permit: permit,
        }
    }

    pub(crate) const fn wire(&self) -> &Arc<Wire> {
        &self.wire
    }

    pub(crate) fn timer(&self) -> Option<SessionTimer> {
        self.wire.state().timer
    }

    pub(crate) fn body(&self) -> String {
        self.wire.state().opening.body.clone()
    }

    /// The URI its requests go to, and whether others are on the way there.
    pub fn next_hop(&self) -> Option<(sip::Uri, bool)> {
        let state = self.wire.state();
        Some((state.dialog.next()?, state.dialog.is_routed()))
    }

    /// Waits for what is to be done next.
    pub async fn next(&mut self) -> Say {
        loop {
            if self.bye {
                return Say::Over;
            }
            if self.wire.state().over {
                return self.over();
            }
            if self.wire.state().hang_up {
                return self.hang_up();
            }
            if !self.started && self.wire.state().acked {
                self.started = true;
                let wire = Arc::clone(&self.wire);
                let started = tokio::select! {
                    started = self.start() => started,
                    () = wire.to_be_ended() => continue,
                };
                if started.is_err() || self.left == 0 {
                    return self.hang_up();
                }
            }
            let due = self.due();
            tokio::select! {
                biased;
                () = self.wire.changed.notified() => {}
                Some(event) = self.events.recv() => match event {
                    Event::Ended => {
                        self.left = self.left.saturating_sub(1);
                        if self.left == 0 {
                            return self.hang_up();
                        }
                    }
                    Event::Silent => {
                        metrics::counter!("annc_vanished_total").increment(1);
                        return self.hang_up();
                    }
                },
                () = sleep_until(due) => if let Some(say) = self.late() { return say },
            }
        }
    }

    /// Tells what came of a request; `None`: nothing in time, or it could not be sent.
    pub fn answered(&mut self, status: Option<u16>) {
        self.asked = false;
        let mut state = self.wire.state();
        match status {
            // RFC 3261 §12.2.1.2, RFC 5057: these end a dialog.
            None | Some(408 | 481) => {
                metrics::counter!("annc_vanished_total").increment(1);
                state.over = true;
            }
            Some(_) => state.refreshed = Instant::now(),
        }
    }

    /// When something is to be done though nothing comes.
    fn due(&self) -> Instant {
        let state = self.wire.state();
        if !state.acked {
            return self.next_repeat.min(self.begun + ACK);
        }
        let session = match state.timer {
            Some(timer) => state.refreshed + (timer.due(state.refreshed.into()) - state.refreshed.into_std()),
            None => state.refreshed + Duration::from_secs(u64::from(self.wire.inside.settings.session)) / 2,
        };
        let held = state.held_since.map(|since| since + self.wire.inside.settings.hold);
        held.map_or(session, |held| held.min(session))
    }

    fn late(&mut self) -> Option<Say> {
        let now = Instant::now();
        let (acked, timer, refreshed, held) = {
            let state = self.wire.state();
            (state.acked, state.timer, state.refreshed, state.held_since)
        };
        if !acked {
            if now >= self.begun + ACK {
                return Some(self.hang_up());
            }
            if now < self.next_repeat {
                return None;
            }
            self.repeated = (self.repeated * 2).min(T2);
            self.next_repeat = now + self.repeated;
            return Some(Say::Again);
        }
        if held.is_some_and(|since| now >= since + self.wire.inside.settings.hold) {
            return Some(self.hang_up());
        }
        if now < self.due() {
            return None;
        }
        if timer.is_some_and(|timer| timer.by_caller) {
            metrics::counter!("annc_vanished_total").increment(1);
            return Some(self.hang_up());
        }
        // Asked already, and no answer was told.
        if self.asked && now.duration_since(refreshed) > ACK * 2 {
            return Some(self.hang_up());
        }
        self.asked = true;
        let mut state = self.wire.state();
        state.refreshed = now;
        let mut request = match state.timer {
            Some(_) => state.dialog.request(Method::Update),
            None => state.dialog.request(Method::Options),
        };
        if let Some(timer) = state.timer {
            request.append("Supported", "timer");
            request.append("Session-Expires", format!("{};refresher=uac", timer.interval));
        }
        Some(Say::Request(Box::new(request)))
    }

    /// Begins to play. Where the offer was ours, the answer in the ACK says what.
    async fn start(&mut self) -> Result<(), Refusal> {
        let answer = self.wire.state().answer.take();
        if let Some(answer) = answer {
            self.agree(answer?).await?;
        }
        let mut state = self.wire.state();
        if state.over {
            return Err(Refusal::NoDialog);
        }
        self.left = state.play(&self.wire.inside)?;
        Ok(())
    }

    async fn agree(&self, answer: Session) -> Result<(), Refusal> {
        let (clip, means, spare) = {
            let state = self.wire.state();
            (state.opening.clip.clone(), state.opening.means.clone(), state.opening.spare.clone())
        };
        let agreement = sdp::agree(&answer, &means, &|_| true)?;
        let effort = self.wire.inside.bench.begin();
        let mut media = Vec::new();
        for (agreed, sockets) in agreement.into_iter().zip(spare) {
            media.push(match agreed {
                Some(agreed) => Some(desk::make(clip.clone(), agreed, sockets, None, &effort).await?),
                None => None,
            });
        }
        self.wire.state().opening.media = media;
        Ok(())
    }

    /// Ends the call from here.
    fn hang_up(&mut self) -> Say {
        self.bye = true;
        let mut state = self.wire.state();
        state.end();
        let bye = state.dialog.request(Method::Bye);
        drop(state);
        self.wire.forget();
        Say::Request(Box::new(bye))
    }

    fn over(&mut self) -> Say {
        self.bye = true;
        self.wire.state().end();
        self.wire.forget();
        Say::Over
    }
}

/// A call that is driven no more leaves nothing behind.
impl Drop for Call {
    fn drop(&mut self) {
        self.wire.state().end();
        self.wire.forget();
    }
}

impl Wire {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        let id = self.state().dialog.id().clone();
        self.inside.forget(&id);
    }

    /// Waits for a BYE of either side.
    async fn to_be_ended(&self) {
        loop {
            let state = self.state();
            let is_ended = state.over || state.hang_up;
            drop(state);
            if is_ended {
                return;
            }
            self.changed.notified().await;
        }
    }

    /// Lets the call end from here.
    pub(crate) fn hang_up(&self) {
        self.state().hang_up = true;
        self.changed.notify_one();
    }

    /// Takes the ACK, and in it the answer to an offer of ours.
    pub(crate) fn acknowledged(&self, ack: &Request) {
        let mut state = self.state();
        if state.acked || ack.cseq().number > state.dialog.received() {
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
    pub(crate) fn request(&self, request: &Request, meeting: &Meeting<'_>) -> Result<Outgoing, Refusal> {
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
                Ok(ResponseBuilder::to_request(request, 200, "OK").build())
            }
            Method::Invite | Method::Update => {
                let again = state.again(request, meeting, &self.inside);
                drop(state);
                self.changed.notify_one();
                again
            }
            Method::Options => Ok(answer().header("Accept", "application/sdp").build()),
            // DTMF and the like: taken note of by nobody.
            Method::Info => Ok(ResponseBuilder::to_request(request, 200, "OK").build()),
            _ => Ok(ResponseBuilder::to_request(request, 405, "Method Not Allowed")
                .header("Allow", ALLOW)
                .build()),
        }
    }
}

impl State {
    fn end(&mut self) {
        self.over = true;
        for medium in self.opening.media.iter_mut().flatten() {
            medium.playing = None;
        }
    }

    /// Begins to play all media, at the same time as far as that is possible; says how many.
    fn play(&mut self, inside: &Inside) -> Result<usize, Refusal> {
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
    fn again(
        &mut self,
        request: &Request,
        meeting: &Meeting<'_>,
        inside: &Inside,
    ) -> Result<Outgoing, Refusal> {
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
        self.dialog.moved(request);
        self.timer = timer.or(self.timer);
        self.refreshed = Instant::now();
        Ok(builder.build())
    }

    fn take(&mut self, offer: &Session, meeting: &Meeting<'_>) -> Result<(), Refusal> {
        let means = Means { keys: meeting.secure || self.opening.means.keys, ..self.opening.means.clone() };
        let agreement = sdp::agree(offer, &means, meeting.open)?;
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
        let local = &mut self.opening.local;
        local.version += 1;
        self.opening.body = sdp::answer(offer, &agreement, local);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
