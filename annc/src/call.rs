//! One call: what is played to whom, until when.
//!
//! [`Wire`] is what requests of the caller meet, at once and under a lock. [`Call`] is who waits: for the ACK, for the
//! end of the media, for timers. It says what is to be sent; who drives it sends.

mod again;
mod refresh;
mod repeat;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use sip::{Method, Outgoing, Response};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, sleep_until};

use crate::clip::Clip;
use crate::desk::{self, Inside, Open};
use crate::dialog::{Dialog, SessionTimer};
use crate::memory::Held;
use crate::order::Order;
use crate::refusal::Refusal;
use crate::rtp::{Event, Playing, Sockets, Track};
use crate::sdp::{self, Agreed, Disagreement, Key, Local, Means, Session};

pub use repeat::Unacked;
pub(crate) use wire::Wire;

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
    /// The same of one that holds keys: only where nobody else can read it, or not at all ([`Call::withheld`]).
    Secret(Box<Outgoing>),
    /// Nothing more; it is over.
    Over,
}

/// All that was found out on the way to a call.
pub(crate) struct Beginning {
    pub(crate) inside: Arc<Inside>,
    pub(crate) dialog: Dialog,
    pub(crate) order: Order,
    pub(crate) opening: Opening,
    pub(crate) timer: Option<SessionTimer>,
    /// Whether the other side knows UPDATE (RFC 3311 §4).
    pub(crate) allows_update: bool,
    /// The value of our Contact.
    pub(crate) contact: String,
    /// Where media may be sent.
    pub(crate) open: Open,
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What was agreed on when a call was taken.
#[derive(Debug)]
pub(crate) struct Opening {
    /// What tracks are still to be made of: where the offer is ours.
    pub(crate) clip: Option<Clip>,
    pub(crate) means: Means,
    pub(crate) local: Local,
    /// Our last description; at first that in the 200.
    pub(crate) body: String,
    /// What of the other side's last one an offer of ours follows; `None`: there was none yet.
    pub(crate) theirs: Option<Session>,
    /// By medium of the offer; empty where the offer is ours.
    pub(crate) media: Vec<Option<Medium>>,
    /// What an offer of ours has, medium by medium.
    pub(crate) spare: Vec<Spare>,
    /// Its share of what all calls may hold.
    pub(crate) held: Vec<Held>,
}

/// A medium of an offer of ours.
#[derive(Clone, Debug)]
pub(crate) struct Spare {
    pub(crate) sockets: Arc<Sockets>,
    /// One for each suite; none: it is offered in clear.
    pub(crate) keys: Vec<Key>,
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
    _permit: OwnedSemaphorePermit,
}

impl Call {
    pub(crate) fn new(beginning: Beginning) -> Call {
        let now = Instant::now();
        let (tell, events) = mpsc::channel(8);
        let (wire, permit) = Wire::new(beginning, tell);
        Call {
            wire: Arc::new(wire),
            events,
            begun: now,
            repeated: T1,
            next_repeat: now + T1,
            left: 0,
            started: false,
            bye: false,
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

    /// Tells what came of a request; `None`: nothing in time, or it could not be sent. `is_secure` says whether it came
    /// where nobody else could read it. What it gives back is an ACK, to be sent now and whenever that answer comes again.
    pub fn answered(&mut self, response: Option<&Response>, is_secure: bool) -> Option<Outgoing> {
        let is_safe = self.wire.inside.is_safe(is_secure);
        self.wire.state().answered(response, is_safe)
    }

    /// Tells that a request with keys was not sent, since others could read it on every way there is. The session ends
    /// at its time, unless the other side refreshes it.
    pub fn withheld(&mut self) {
        self.wire.state().withheld();
    }

    /// When something is to be done though nothing comes.
    fn due(&self) -> Instant {
        let state = self.wire.state();
        if !state.acked {
            return self.next_repeat.min(self.begun + ACK);
        }
        let session = state.refresh_due(self.wire.inside.settings.session);
        let held = state.held_since.map(|since| since + self.wire.inside.settings.hold);
        held.map_or(session, |held| held.min(session))
    }

    fn late(&mut self) -> Option<Say> {
        let now = Instant::now();
        let (acked, held) = {
            let state = self.wire.state();
            (state.acked, state.held_since)
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
        let is_late = self.wire.state().expires().is_some_and(|end| now >= end);
        if is_late {
            metrics::counter!("annc_vanished_total").increment(1);
            return Some(self.hang_up());
        }
        Some(self.wire.state().refresh())
    }

    /// Begins to play. Where the offer was ours, the answer in the ACK says what.
    async fn start(&mut self) -> Result<(), Refusal> {
        let answer = self.wire.state().answer.take();
        if let Some(answer) = answer {
            let (answer, is_safe) = answer?;
            self.agree(answer, is_safe).await?;
        }
        let mut state = self.wire.state();
        if state.over {
            return Err(Refusal::NoDialog);
        }
        // What is not needed any more is held no more.
        state.opening.clip = None;
        self.left = state.play(&self.wire.inside)?;
        Ok(())
    }

    async fn agree(&self, answer: Session, is_safe: bool) -> Result<(), Refusal> {
        let (clip, means, spare, open) = {
            let mut state = self.wire.state();
            let opening = &mut state.opening;
            let clip = opening.clip.take().ok_or(Refusal::Body)?;
            (clip, opening.means.clone(), std::mem::take(&mut opening.spare), Arc::clone(&state.open))
        };
        let means = Means { keys: means.keys && is_safe, ..means };
        let agreement = sdp::agree(&answer, &means, &*open)?;
        let inside = &self.wire.inside;
        let effort = inside.bench.begin();
        let mut media = Vec::new();
        let mut held = Vec::new();
        for (agreed, spare) in agreement.into_iter().zip(spare) {
            let Some(agreed) = agreed else {
                media.push(None);
                continue;
            };
            let key = chosen(&agreed, &spare.keys)?;
            let medium = desk::make(clip.clone(), agreed, spare.sockets, key, &effort).await?;
            held.push(inside.memory.hold_track(&medium.track)?);
            media.push(Some(medium));
        }
        let mut state = self.wire.state();
        state.opening.media = media;
        state.opening.held.extend(held);
        state.took(&answer);
        Ok(())
    }

    /// Ends the call from here.
    fn hang_up(&mut self) -> Say {
        self.bye = true;
        self.wire.end();
        let bye = self.wire.state().dialog.request(Method::Bye).build();
        self.wire.forget();
        Say::Request(Box::new(bye))
    }

    fn over(&mut self) -> Say {
        self.bye = true;
        self.wire.end();
        self.wire.forget();
        Say::Over
    }
}

/// Our key of the suite that the other side chose; what was offered encrypted is not played in clear.
fn chosen(agreed: &Agreed, keys: &[Key]) -> Result<Option<Key>, Refusal> {
    let theirs = match (&agreed.key, keys.is_empty()) {
        (None, true) => return Ok(None),
        (Some(theirs), false) => theirs,
        _ => return Err(Disagreement::Key.into()),
    };
    let ours = keys.iter().find(|key| (key.tag, key.suite) == (theirs.tag, theirs.suite));
    Ok(Some(ours.ok_or(Disagreement::Key)?.clone()))
}

/// A call that is driven no more leaves nothing behind.
impl Drop for Call {
    fn drop(&mut self) {
        self.wire.end();
        self.wire.forget();
    }
}

#[cfg(test)]
mod tests;
