//! The non-INVITE server transaction: RFC 3261 §17.2.2 with RFC 4320.

use std::mem;
use std::time::Instant;

use super::timers::earlier;
use super::{Action, RespondError, Turn};

/// One request other than INVITE and ACK that came in. See [`Turn`] for the loop.
#[derive(Debug)]
pub struct NonInviteServer<O> {
    state: State<O>,
    reliable: bool,
}

#[derive(Debug)]
enum State<O> {
    /// No final response yet; `trying` is when a 100 is due, and before it none may go over UDP. After
    /// `give_up` the client has stopped listening.
    Waiting {
        trying: Option<Instant>,
        last: Option<O>,
        give_up: Instant,
    },
    /// Timer J: the response is sent again for each retransmission of the request.
    Completed {
        response: O,
        until: Instant,
    },
    /// The time for an answer is over and none was given (RFC 4320 §4.2): retransmissions still under way
    /// are absorbed.
    Silent {
        until: Instant,
    },
    Terminated,
}

impl<O: Clone> NonInviteServer<O> {
    /// The request has come; the caller hands it to the user.
    pub fn start(reliable: bool, turn: &Turn<'_, O>) -> Self {
        let trying = Some(turn.now + turn.timers.e_reaches_t2());
        let give_up = turn.now + turn.timers.transaction();
        Self { state: State::Waiting { trying, last: None, give_up }, reliable }
    }

    /// The request came again.
    pub fn on_request(&mut self, turn: &mut Turn<'_, O>) {
        match &self.state {
            State::Waiting { last: Some(octets), .. } | State::Completed { response: octets, .. } => {
                turn.send(octets.clone());
            }
            State::Waiting { last: None, .. } | State::Silent { .. } | State::Terminated => {}
        }
    }

    /// The user's response.
    ///
    /// # Errors
    /// What RFC 4320 forbids: 408, provisional responses other than 100, an early 100 over UDP; and any
    /// response after the final one or after 64*T1.
    pub fn respond(&mut self, status: u16, octets: O, turn: &mut Turn<'_, O>) -> Result<(), RespondError> {
        let State::Waiting { trying, last, .. } = &mut self.state else { return Err(RespondError::Late) };
        match status {
            100 if self.reliable || trying.is_none() => {
                *trying = None;
                *last = Some(octets.clone());
                turn.send(octets);
                Ok(())
            }
            100 => Err(RespondError::Early),
            ..200 => Err(RespondError::Provisional),
            408 => {
                self.abandon(turn);
                Err(RespondError::Timeout)
            }
            _ => {
                turn.send(octets.clone());
                self.state =
                    State::Completed { response: octets, until: turn.now + turn.timers.transaction() };
                self.end_if_reliable(turn);
                Ok(())
            }
        }
    }

    /// No answer will be given. The machine stays to absorb retransmissions, as long as with an answer.
    pub fn abandon(&mut self, turn: &mut Turn<'_, O>) {
        if self.is_waiting() {
            self.state = State::Silent { until: turn.now + turn.timers.transaction() };
            self.end_if_reliable(turn);
        }
    }

    /// Ends at once with its final response sent, as over a reliable transport: its user answers repetitions.
    pub fn finish(&mut self, turn: &mut Turn<'_, O>) {
        if self.is_completed() {
            turn.act(Action::Terminated);
            self.state = State::Terminated;
        }
    }

    /// Whether its final response was sent and is kept.
    pub const fn is_completed(&self) -> bool {
        matches!(self.state, State::Completed { .. })
    }

    /// Timer J is zero over a reliable transport.
    fn end_if_reliable(&mut self, turn: &mut Turn<'_, O>) {
        if self.reliable {
            turn.act(Action::Terminated);
            self.state = State::Terminated;
        }
    }

    /// The deadline has come (or not yet: then nothing happens).
    pub fn on_timeout(&mut self, turn: &mut Turn<'_, O>) {
        self.state = match mem::replace(&mut self.state, State::Terminated) {
            State::Waiting { give_up, .. } if turn.due(Some(give_up)) => {
                turn.act(Action::Expired);
                State::Silent { until: turn.now + turn.timers.t4 }
            }
            State::Waiting { trying, last, give_up } if turn.due(trying) => {
                turn.act(Action::Trying);
                State::Waiting { trying: None, last, give_up }
            }
            State::Completed { until, .. } | State::Silent { until } if turn.due(Some(until)) => {
                turn.act(Action::Terminated);
                State::Terminated
            }
            state => state,
        };
        if matches!(self.state, State::Silent { .. }) {
            self.end_if_reliable(turn);
        }
    }

    /// The transport could not send. The user is told, the state stays (RFC 6026 §8.8, which the text makes
    /// for all server transactions).
    pub fn on_transport_error(&mut self, turn: &mut Turn<'_, O>) {
        if !matches!(self.state, State::Terminated) {
            turn.act(Action::Failed);
        }
    }

    /// When [`Self::on_timeout`] must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { trying, give_up, .. } => earlier(*trying, Some(*give_up)),
            State::Completed { until, .. } | State::Silent { until } => Some(*until),
            State::Terminated => None,
        }
    }

    /// Whether the final response is still owed.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }
}
