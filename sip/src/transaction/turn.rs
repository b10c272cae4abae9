//! What a machine is given and what it gives back: one turn of its loop.

use std::collections::VecDeque;
use std::time::Instant;

use super::Timers;

/// What a machine wants done, in this order. `O` are encoded octets, kept for retransmission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action<O> {
    /// Send these octets to the other end of the transaction.
    Send(O),
    /// Hand the message that was just given in to the transaction's user.
    Deliver,
    /// A server transaction's user has been silent for too long: answer 100 through `respond`.
    Trying,
    /// A client transaction wants its request cancelled: send the CANCEL (RFC 3261 §9.1).
    Cancel,
    /// The transaction got no answer in its time (Timer B, C, F) or no ACK (Timer H), or its user gave no
    /// answer while one would still have been of use; tell the user.
    Expired,
    /// The transport could not send; tell the user.
    Failed,
    /// The machine is done and nothing may be given to it any more.
    Terminated,
}

/// One turn: the clock and the timers a machine may use, and the place for its actions. Give the machine one
/// input, then [`Turn::poll`] until there is nothing left; then ask the machine for its next deadline.
#[derive(Debug)]
pub struct Turn<'a, O> {
    /// The instant of this input.
    pub now: Instant,
    /// The values of the timers.
    pub timers: &'a Timers,
    actions: &'a mut VecDeque<Action<O>>,
}

impl<'a, O> Turn<'a, O> {
    /// A turn at `now` that puts its actions into `actions`.
    pub const fn new(now: Instant, timers: &'a Timers, actions: &'a mut VecDeque<Action<O>>) -> Self {
        Self { now, timers, actions }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Action<O>> {
        self.actions.pop_front()
    }

    pub(super) fn send(&mut self, octets: O) {
        self.actions.push_back(Action::Send(octets));
    }

    pub(super) fn act(&mut self, action: Action<O>) {
        self.actions.push_back(action);
    }

    /// Whether a deadline has come.
    pub(super) fn due(&self, at: Option<Instant>) -> bool {
        at.is_some_and(|at| at <= self.now)
    }
}

/// Why a server transaction did not take a response. Nothing was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RespondError {
    /// A final response was given before, or the transaction is over (late responses: RFC 4320 §4.2,
    /// RFC 6026 §8.3).
    #[error("the transaction has its final response")]
    Late,
    /// A 408 to a non-INVITE request (RFC 4320 §4.2). The transaction stays silent from now on.
    #[error("408 is never sent to a non-INVITE request")]
    Timeout,
    /// A provisional response other than 100 to a non-INVITE request (RFC 4320 §4.1).
    #[error("a non-INVITE request gets no provisional response but 100")]
    Provisional,
    /// A 100 to a non-INVITE request over UDP before Timer E reaches T2 (RFC 4320 §4.1); the machine sends
    /// one by itself at that time.
    #[error("too early for a 100 over an unreliable transport")]
    Early,
    /// The octets don't begin with a SIP/2.0 status line.
    #[error("not a response")]
    NotAResponse,
}
