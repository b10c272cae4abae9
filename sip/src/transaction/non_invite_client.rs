//! The non-INVITE client transaction: RFC 3261 §17.1.2.

use std::mem;
use std::time::Instant;

use super::timers::{Backoff, earlier};
use super::{Action, Turn};

/// One request other than INVITE and ACK on its way. See [`Turn`] for the loop.
#[derive(Debug)]
pub struct NonInviteClient<O> {
    state: State<O>,
    reliable: bool,
}

#[derive(Debug)]
enum State<O> {
    /// Timers E and F; after a provisional response E fires every T2.
    Waiting {
        request: O,
        resend: Option<Backoff>,
        give_up: Instant,
        proceeding: bool,
    },
    /// Answered: Timer K absorbs retransmissions.
    Completed {
        until: Instant,
    },
    Terminated,
}

impl<O: Clone> NonInviteClient<O> {
    /// Sends the request.
    pub fn start(request: O, reliable: bool, turn: &mut Turn<'_, O>) -> Self {
        turn.send(request.clone());
        let state = State::Waiting {
            request,
            resend: (!reliable).then(|| Backoff::start(turn.now, turn.timers.t1)),
            give_up: turn.now + turn.timers.transaction(),
            proceeding: false,
        };
        Self { state, reliable }
    }

    /// A response that matches this transaction.
    pub fn on_response(&mut self, status: u16, turn: &mut Turn<'_, O>) {
        let State::Waiting { proceeding, .. } = &mut self.state else { return };
        turn.act(Action::Deliver);
        if status < 200 {
            *proceeding = true;
            return;
        }
        self.state = if self.reliable {
            turn.act(Action::Terminated);
            State::Terminated
        } else {
            State::Completed { until: turn.now + turn.timers.t4 }
        };
    }

    /// The deadline has come (or not yet: then nothing happens).
    pub fn on_timeout(&mut self, turn: &mut Turn<'_, O>) {
        self.state = match mem::replace(&mut self.state, State::Terminated) {
            State::Waiting { give_up, .. } if turn.due(Some(give_up)) => {
                turn.act(Action::Expired);
                turn.act(Action::Terminated);
                State::Terminated
            }
            State::Waiting { request, resend: Some(mut resend), give_up, proceeding }
                if turn.due(Some(resend.at)) =>
            {
                turn.send(request.clone());
                if proceeding {
                    resend.again(turn.now, turn.timers.t2);
                } else {
                    resend.double(turn.now, turn.timers.t2);
                }
                State::Waiting { request, resend: Some(resend), give_up, proceeding }
            }
            State::Completed { until } if turn.due(Some(until)) => {
                turn.act(Action::Terminated);
                State::Terminated
            }
            state => state,
        };
    }

    /// The transport could not send the request.
    pub fn on_transport_error(&mut self, turn: &mut Turn<'_, O>) {
        if self.is_waiting() {
            turn.act(Action::Failed);
            turn.act(Action::Terminated);
            self.state = State::Terminated;
        }
    }

    /// When [`Self::on_timeout`] must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { resend, give_up, .. } => earlier(resend.map(|r| r.at), Some(*give_up)),
            State::Completed { until } => Some(*until),
            State::Terminated => None,
        }
    }

    /// Whether no final response came yet.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }
}
