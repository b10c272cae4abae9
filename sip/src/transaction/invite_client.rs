//! The INVITE client transaction: RFC 3261 §17.1.1 with RFC 6026 §8.4, Timer C of a proxy (§16.8) and the
//! rule that a CANCEL waits for a provisional response (§9.1).

use std::mem;
use std::time::Instant;

use super::timers::{Backoff, earlier};
use super::{Action, Turn};

/// One INVITE on its way. See [`Turn`] for the loop.
#[derive(Debug)]
pub struct InviteClient<O> {
    state: State<O>,
    reliable: bool,
}

#[derive(Debug)]
enum State<O> {
    /// Sent, nothing heard: Timers A and B.
    Calling {
        request: O,
        resend: Option<Backoff>,
        give_up: Instant,
        c: Instant,
        cancel: bool,
    },
    /// A provisional response came: Timer C, or the time a cancelled request still has.
    Proceeding {
        until: Instant,
        cancelled: bool,
    },
    /// A 2xx came: Timer M waits for more of them.
    Accepted {
        until: Instant,
    },
    /// A 300-699 came and got its ACK: Timer D waits for retransmissions.
    Completed {
        ack: O,
        until: Instant,
    },
    Terminated,
}

impl<O: Clone> InviteClient<O> {
    /// Sends the request.
    pub fn start(request: O, reliable: bool, turn: &mut Turn<'_, O>) -> Self {
        turn.send(request.clone());
        let state = State::Calling {
            request,
            resend: (!reliable).then(|| Backoff::start(turn.now, turn.timers.t1)),
            give_up: turn.now + turn.timers.transaction(),
            c: turn.now + turn.timers.c,
            cancel: false,
        };
        Self { state, reliable }
    }

    /// A response that matches this transaction. `ack` builds the ACK for a 300-699 (§17.1.1.3); it is
    /// asked once and the octets are used again.
    pub fn on_response(&mut self, status: u16, ack: impl FnOnce() -> O, turn: &mut Turn<'_, O>) {
        self.state = match (mem::replace(&mut self.state, State::Terminated), status) {
            (State::Calling { c, cancel, .. }, 100..=199) => {
                turn.act(Action::Deliver);
                let proceeding = State::Proceeding { until: c, cancelled: false };
                let proceeding = proceeding.reset_c(status, turn);
                if cancel { proceeding.cancelled(turn) } else { proceeding }
            }
            (state @ State::Proceeding { .. }, 100..=199) => {
                turn.act(Action::Deliver);
                state.reset_c(status, turn)
            }
            (State::Calling { .. } | State::Proceeding { .. }, 200..=299) => {
                turn.act(Action::Deliver);
                State::Accepted { until: turn.now + turn.timers.transaction() }
            }
            (state @ State::Accepted { .. }, 200..=299) => {
                turn.act(Action::Deliver);
                state
            }
            (State::Calling { .. } | State::Proceeding { .. }, 300..=699) => self.complete(ack(), turn),
            (State::Completed { ack, until }, 300..=699) => {
                turn.send(ack.clone());
                State::Completed { ack, until }
            }
            (state, _) => state,
        };
    }

    fn complete(&self, ack: O, turn: &mut Turn<'_, O>) -> State<O> {
        turn.send(ack.clone());
        turn.act(Action::Deliver);
        if self.reliable {
            turn.act(Action::Terminated);
            return State::Terminated;
        }
        State::Completed { ack, until: turn.now + turn.timers.d }
    }

    /// The user wants the request cancelled. The CANCEL is asked for at once or after the first provisional
    /// response; after a final response there is nothing to cancel.
    pub fn cancel(&mut self, turn: &mut Turn<'_, O>) {
        self.state = match mem::replace(&mut self.state, State::Terminated) {
            State::Calling { request, resend, give_up, c, .. } => {
                State::Calling { request, resend, give_up, c, cancel: true }
            }
            state @ State::Proceeding { .. } => state.cancelled(turn),
            state => state,
        };
    }

    /// The deadline has come (or not yet: then nothing happens).
    pub fn on_timeout(&mut self, turn: &mut Turn<'_, O>) {
        self.state = match mem::replace(&mut self.state, State::Terminated) {
            State::Calling { give_up, .. } if turn.due(Some(give_up)) => expire(turn),
            State::Calling { request, resend: Some(mut resend), give_up, c, cancel }
                if turn.due(Some(resend.at)) =>
            {
                turn.send(request.clone());
                // Timer A has no upper bound, Timer B ends it.
                resend.double(turn.now, turn.timers.transaction());
                State::Calling { request, resend: Some(resend), give_up, c, cancel }
            }
            State::Proceeding { until, cancelled: true } if turn.due(Some(until)) => expire(turn),
            // §16.8: a proxy whose Timer C fires cancels.
            state @ State::Proceeding { until, .. } if turn.due(Some(until)) => state.cancelled(turn),
            State::Accepted { until } | State::Completed { until, .. } if turn.due(Some(until)) => {
                turn.act(Action::Terminated);
                State::Terminated
            }
            state => state,
        };
    }

    /// The transport could not send the request or the ACK.
    pub fn on_transport_error(&mut self, turn: &mut Turn<'_, O>) {
        self.state = match mem::replace(&mut self.state, State::Terminated) {
            State::Calling { .. } | State::Completed { .. } => {
                turn.act(Action::Failed);
                turn.act(Action::Terminated);
                State::Terminated
            }
            state => state,
        };
    }

    /// When [`Self::on_timeout`] must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { resend, give_up, .. } => earlier(resend.map(|r| r.at), Some(*give_up)),
            State::Proceeding { until, .. } | State::Accepted { until } | State::Completed { until, .. } => {
                Some(*until)
            }
            State::Terminated => None,
        }
    }

    /// Whether the transport repeats what was lost.
    pub const fn is_reliable(&self) -> bool {
        self.reliable
    }

    /// Whether no final response came yet.
    pub const fn is_waiting(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding { .. })
    }
}

fn expire<O>(turn: &mut Turn<'_, O>) -> State<O> {
    turn.act(Action::Expired);
    turn.act(Action::Terminated);
    State::Terminated
}

impl<O> State<O> {
    /// 101-199 give the callee more time (§16.7 step 2); a 100 does not.
    fn reset_c(self, status: u16, turn: &Turn<'_, O>) -> Self {
        match self {
            State::Proceeding { cancelled: false, .. } if status > 100 => {
                State::Proceeding { until: turn.now + turn.timers.c, cancelled: false }
            }
            state => state,
        }
    }

    /// §9.1: a cancelled request that has no final response after 64*T1 is given up.
    fn cancelled(self, turn: &mut Turn<'_, O>) -> Self {
        match self {
            State::Proceeding { cancelled: false, .. } => {
                turn.act(Action::Cancel);
                State::Proceeding { until: turn.now + turn.timers.transaction(), cancelled: true }
            }
            state => state,
        }
    }
}
