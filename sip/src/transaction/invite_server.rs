//! The INVITE server transaction: RFC 3261 §17.2.1 with RFC 6026 §8.5-8.8.

use std::mem;
use std::time::Instant;

use super::timers::{Backoff, earlier};
use super::{Action, RespondError, Turn};

/// One INVITE that came in. See [`Turn`] for the loop.
#[derive(Debug)]
pub struct InviteServer<O> {
    state: State<O>,
    reliable: bool,
}

#[derive(Debug)]
enum State<O> {
    /// No final response yet; `trying` is when a 100 is due.
    Proceeding {
        trying: Option<Instant>,
        last: Option<O>,
    },
    /// A 2xx was sent: Timer L absorbs retransmissions of the INVITE.
    Accepted {
        until: Instant,
    },
    /// A 300-699 was sent: Timer G sends it again, Timer H ends the wait for the ACK.
    Completed {
        response: O,
        resend: Option<Backoff>,
        give_up: Instant,
    },
    /// The ACK came: Timer I absorbs more of them.
    Confirmed {
        until: Instant,
    },
    Terminated,
}

impl<O: Clone> InviteServer<O> {
    /// The request has come; the caller hands it to the user.
    pub fn start(reliable: bool, turn: &Turn<'_, O>) -> Self {
        let trying = Some(turn.now + turn.timers.trying);
        Self { state: State::Proceeding { trying, last: None }, reliable }
    }

    /// The INVITE came again.
    pub fn on_request(&mut self, turn: &mut Turn<'_, O>) {
        match &self.state {
            State::Proceeding { last: Some(octets), .. } | State::Completed { response: octets, .. } => {
                turn.send(octets.clone());
            }
            State::Proceeding { last: None, .. }
            | State::Accepted { .. }
            | State::Confirmed { .. }
            | State::Terminated => {}
        }
    }

    /// An ACK that matches this transaction. After a 2xx it belongs to the user.
    pub fn on_ack(&mut self, turn: &mut Turn<'_, O>) {
        self.state = match mem::replace(&mut self.state, State::Terminated) {
            State::Completed { .. } if self.reliable => {
                turn.act(Action::Terminated);
                State::Terminated
            }
            State::Completed { .. } => State::Confirmed { until: turn.now + turn.timers.t4 },
            state => {
                if matches!(state, State::Accepted { .. }) {
                    turn.act(Action::Deliver);
                }
                state
            }
        };
    }

    /// The user's response.
    ///
    /// # Errors
    /// [`RespondError::Late`] after a final response (more 2xx are taken while Timer L runs).
    pub fn respond(&mut self, status: u16, octets: O, turn: &mut Turn<'_, O>) -> Result<(), RespondError> {
        let taken = match &self.state {
            State::Proceeding { .. } => true,
            State::Accepted { .. } => matches!(status, 200..=299),
            State::Completed { .. } | State::Confirmed { .. } | State::Terminated => false,
        };
        if !taken {
            return Err(RespondError::Late);
        }
        turn.send(octets.clone());
        if matches!(self.state, State::Accepted { .. }) {
            return Ok(());
        }
        self.state = match status {
            ..200 => State::Proceeding { trying: None, last: Some(octets) },
            200..=299 => State::Accepted { until: turn.now + turn.timers.transaction() },
            _ => State::Completed {
                response: octets,
                resend: (!self.reliable).then(|| Backoff::start(turn.now, turn.timers.t1)),
                give_up: turn.now + turn.timers.transaction(),
            },
        };
        Ok(())
    }

    /// The deadline has come (or not yet: then nothing happens).
    pub fn on_timeout(&mut self, turn: &mut Turn<'_, O>) {
        self.state = match mem::replace(&mut self.state, State::Terminated) {
            State::Proceeding { trying, last } if turn.due(trying) => {
                turn.act(Action::Trying);
                State::Proceeding { trying: None, last }
            }
            State::Completed { give_up, .. } if turn.due(Some(give_up)) => {
                turn.act(Action::Expired);
                turn.act(Action::Terminated);
                State::Terminated
            }
            State::Completed { response, resend: Some(mut resend), give_up } if turn.due(Some(resend.at)) => {
                turn.send(response.clone());
                resend.double(turn.now, turn.timers.t2);
                State::Completed { response, resend: Some(resend), give_up }
            }
            State::Accepted { until } | State::Confirmed { until } if turn.due(Some(until)) => {
                turn.act(Action::Terminated);
                State::Terminated
            }
            state => state,
        };
    }

    /// The transport could not send. The user is told, the state stays (RFC 6026 §8.8).
    pub fn on_transport_error(&mut self, turn: &mut Turn<'_, O>) {
        if matches!(self.state, State::Proceeding { .. } | State::Accepted { .. }) {
            turn.act(Action::Failed);
        }
    }

    /// When [`Self::on_timeout`] must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Proceeding { trying, .. } => *trying,
            State::Completed { resend, give_up, .. } => earlier(resend.map(|r| r.at), Some(*give_up)),
            State::Accepted { until } | State::Confirmed { until } => Some(*until),
            State::Terminated => None,
        }
    }

    /// Whether the final response is still owed.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }
}
