//! Whether the other side is still there: session refreshes (RFC 4028 §7.4) by UPDATE or, where the other side does not
//! know it, by an INVITE that changes nothing; OPTIONS where it knows no session timers.

use std::time::Duration;

use sip::{Method, Outgoing, Response};
use tokio::time::Instant;

use super::wire::State;
use crate::desk::ALLOW;
use crate::dialog::LEAST_INTERVAL;
use crate::sdp::{self, Means, Session};

/// After a collision (RFC 3261 §14.1): who did not make the Call-ID waits for two seconds at most.
const COLLIDED: Duration = Duration::from_secs(1);

/// The longest interval that is agreed to where the other side wants a longer one: a day.
const MOST_INTERVAL: u32 = 86_400;

impl State {
    /// When to ask. `session` is the interval for who knows no timers, in seconds.
    pub(super) fn refresh_due(&self, session: u32) -> Instant {
        if let Some(retry) = self.retry {
            return retry;
        }
        match self.timer {
            Some(timer) => self.refreshed + (timer.due(self.refreshed.into()) - self.refreshed.into_std()),
            None => self.refreshed + Duration::from_secs(u64::from(session)) / 2,
        }
    }

    /// What is asked.
    pub(super) fn refresh(&mut self) -> Outgoing {
        (self.refreshed, self.retry) = (Instant::now(), None);
        let Some(timer) = self.timer else { return self.dialog.request(Method::Options).build() };
        let method = if self.allows_update { Method::Update } else { Method::Invite };
        let is_invite = method == Method::Invite;
        let request = self
            .dialog
            .request(method)
            .header("Contact", &self.contact)
            .header("Allow", ALLOW)
            .header("Supported", "timer")
            .header("Session-Expires", format!("{};refresher=uac", timer.interval));
        match is_invite {
            // The same version: nothing changes (RFC 3264 §8).
            true => request.header("Content-Type", "application/sdp").body(self.opening.body.clone()).build(),
            false => request.build(),
        }
    }

    /// What came of it; the ACK if it was an INVITE that was taken.
    pub(super) fn answered(&mut self, response: Option<&Response>) -> Option<Outgoing> {
        let now = Instant::now();
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
                self.taken(response);
                if method == Method::Invite {
                    return Some(self.dialog.ack(number));
                }
            }
            405 | 501 if method == Method::Update && self.allows_update => {
                (self.allows_update, self.retry) = (false, Some(now));
            }
            422 => {
                let least = self
                    .timer
                    .as_ref()
                    .and_then(|timer| Some((timer.interval, seconds(response, "Min-SE")?)));
                let longer = least.filter(|(interval, least)| least > interval && *least <= MOST_INTERVAL);
                if let (Some((_, least)), Some(timer)) = (longer, &mut self.timer) {
                    timer.interval = least;
                    self.retry = Some(now);
                }
            }
            491 => self.retry = Some(now + COLLIDED),
            // It is there, whatever it says.
            _ => self.refreshed = now,
        }
        None
    }

    fn vanished(&mut self) {
        metrics::counter!("annc_vanished_total").increment(1);
        self.over = true;
    }

    /// Takes what a 2xx says: the interval, who refreshes from now on, and the answer to our offer.
    fn taken(&mut self, response: &Response) {
        self.dialog.moved(response.contacts());
        if let (Some(timer), Some(interval)) = (&mut self.timer, seconds(response, "Session-Expires")) {
            timer.interval = interval.clamp(LEAST_INTERVAL, MOST_INTERVAL);
            let text = String::from_utf8_lossy(response.header_named("Session-Expires").unwrap_or_default());
            // Of this request, whose client we are.
            timer.by_caller = text.to_ascii_lowercase().contains("refresher=uas");
        }
        let body = response.body();
        if body.is_empty() {
            return;
        }
        let means = Means { keys: true, ..self.opening.means.clone() };
        let open = self.open.clone();
        let agreement = Session::read(&body).ok().and_then(|answer| sdp::agree(&answer, &means, &*open).ok());
        // An answer that is none to what was offered ends the call: both sides mean something else by it.
        self.hang_up |= agreement.is_none_or(|agreement| self.follow(&agreement).is_err());
    }
}

/// The number a header begins with.
fn seconds(response: &Response, name: &str) -> Option<u32> {
    let value = response.header_named(name)?;
    let number = value.split(|octet| *octet == b';').next()?.trim_ascii();
    std::str::from_utf8(number).ok()?.parse().ok()
}
