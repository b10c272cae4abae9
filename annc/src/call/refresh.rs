//! Whether the other side is still there: session refreshes (RFC 4028 §7.4) by UPDATE or, where the other side does not
//! know it, by an INVITE that changes nothing; OPTIONS where it knows no session timers.

use std::time::Duration;

use sip::{Method, Outgoing, Response};
use tokio::time::Instant;

use super::Say;
use super::wire::State;
use crate::desk::{self, ALLOW};
use crate::dialog::{self, LEAST_INTERVAL, SessionTimer};
use crate::sdp::Session;

/// After a collision who did not make the Call-ID waits for up to two seconds, in steps of this (RFC 3261 §14.1).
const STEP: Duration = Duration::from_millis(10);
const STEPS: u128 = 200;

/// The longest interval that is agreed to where the other side wants a longer one: a day.
const MOST_INTERVAL: u32 = 86_400;

impl State {
    /// When to ask. `session` is the interval for who knows no timers, in seconds.
    pub(super) fn refresh_due(&self, session: u32) -> Instant {
        let Some(timer) = self.timer else {
            return self.refreshed + Duration::from_secs(u64::from(session)) / 2;
        };
        match self.retry {
            // RFC 3261 §14.1: no INVITE while one of the other side waits for its ACK.
            _ if self.unacked.is_some() && !self.allows_update => self.end_of(timer),
            Some(retry) => retry.min(self.end_of(timer)),
            None => self.after(timer),
        }
    }

    /// When a session is given up that nobody refreshed; `None`: it has no timer.
    pub(super) fn expires(&self) -> Option<Instant> {
        self.timer.map(|timer| self.end_of(timer))
    }

    fn end_of(&self, timer: SessionTimer) -> Instant {
        self.after(SessionTimer { by_caller: true, ..timer })
    }

    fn after(&self, timer: SessionTimer) -> Instant {
        self.refreshed + (timer.due(self.refreshed.into()) - self.refreshed.into_std())
    }

    /// What is asked. An INVITE holds our description, and with it our keys.
    pub(super) fn refresh(&mut self) -> Say {
        self.retry = None;
        let Some(timer) = self.timer else {
            return Say::Request(Box::new(self.dialog.request(Method::Options).build()));
        };
        let method = if self.allows_update { Method::Update } else { Method::Invite };
        self.is_inviting = method == Method::Invite;
        let interval = timer.interval.max(self.least.unwrap_or(0));
        let mut request = self
            .dialog
            .request(method)
            .header("Contact", &self.contact)
            .header("Allow", ALLOW)
            .header("Supported", "timer")
            .header("Session-Expires", format!("{interval};refresher=uac"));
        if let Some(least) = self.least {
            request = request.header("Min-SE", least.to_string());
        }
        if !self.is_inviting {
            return Say::Request(Box::new(request.build()));
        }
        // The same version: nothing changes (RFC 3264 §8).
        let invite = request.header("Content-Type", "application/sdp").body(self.opening.body.clone());
        let invite = Box::new(invite.build());
        if self.has_keys() { Say::Secret(invite) } else { Say::Request(invite) }
    }

    /// Nobody may read what would refresh the session, so that the other side has to.
    pub(super) fn withheld(&mut self) {
        self.is_inviting = false;
        if let Some(timer) = &mut self.timer {
            timer.by_caller = true;
        }
    }

    /// What came of it; the ACK if it was an INVITE that was taken.
    pub(super) fn answered(&mut self, response: Option<&Response>, is_safe: bool) -> Option<Outgoing> {
        let now = Instant::now();
        let was_inviting = std::mem::take(&mut self.is_inviting);
        let Some(response) = response else {
            self.vanished();
            return None;
        };
        let (method, number) = (response.cseq().method, response.cseq().number);
        match response.status() {
            // RFC 3261 §12.2.1.2, RFC 5057: these end a dialog.
            408 | 481 => self.vanished(),
            200..=299 => {
                self.refreshed = now;
                self.taken(response, was_inviting, is_safe);
                if method == Method::Invite {
                    return Some(self.dialog.ack(number));
                }
            }
            405 | 501 if method == Method::Update && self.allows_update => {
                self.allows_update = false;
                self.again_at(now);
            }
            422 if self.is_longer(response) => self.again_at(now),
            491 => self.again_at(now + desk::random().map_or(STEP, pause)),
            // It is there, whatever it says.
            _ => self.refreshed = now,
        }
        None
    }

    /// Takes the interval that was asked for, if it is one to agree to.
    fn is_longer(&mut self, response: &Response) -> bool {
        let least = response.header_named("Min-SE").and_then(dialog::number);
        let (Some(least), Some(timer)) = (least, &mut self.timer) else { return false };
        let is_longer = least > timer.interval && least <= MOST_INTERVAL;
        if is_longer {
            timer.interval = least;
            self.least = self.least.max(Some(least));
        }
        is_longer
    }

    /// Asks again then, unless the other side made it its own business meanwhile.
    fn again_at(&mut self, at: Instant) {
        self.retry = self.timer.is_some_and(|timer| !timer.by_caller).then_some(at);
    }

    fn vanished(&mut self) {
        metrics::counter!("annc_vanished_total").increment(1);
        self.over = true;
    }

    /// Takes what a 2xx says: the interval, who refreshes from now on, and the answer to our offer.
    fn taken(&mut self, response: &Response, was_inviting: bool, is_safe: bool) {
        self.dialog.moved(response.contacts());
        let expires = response.header_named("Session-Expires").or_else(|| response.header_named("x"));
        let interval = expires.and_then(dialog::number);
        if let (Some(timer), Some(interval)) = (&mut self.timer, interval) {
            timer.interval = interval.clamp(LEAST_INTERVAL, MOST_INTERVAL);
            let text = String::from_utf8_lossy(expires.unwrap_or_default());
            // Of this request, whose client we are.
            timer.by_caller = text.to_ascii_lowercase().contains("refresher=uas");
        }
        let body = response.body();
        if body.is_empty() || !was_inviting {
            return;
        }
        let answer = Session::read(&body).map_err(Into::into);
        let taken = answer.and_then(|answer| self.conclude(&answer, is_safe));
        // An answer that is none to what was offered ends the call: both sides mean something else by it.
        self.hang_up |= taken.is_err();
    }
}

/// The pause after a collision.
fn pause(random: [u8; 16]) -> Duration {
    let steps = u128::from_be_bytes(random) % (STEPS + 1);
    STEP * u32::try_from(steps).unwrap_or_default()
}
