//! The simulated clock: time jumps from deadline to deadline.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sip::transaction::{
    Action, InviteClient, InviteServer, NonInviteClient, NonInviteServer, RespondError, Timers, Turn,
};

/// What happened, in milliseconds since the start.
pub(crate) type Trace = Vec<(u64, Action<&'static str>)>;

pub(crate) const SEND: fn(&'static str) -> Action<&'static str> = Action::Send;

#[expect(clippy::disallowed_methods, reason = "the origin of the simulated clock")]
pub(crate) fn origin() -> Instant {
    Instant::now()
}

pub(crate) trait Machine {
    fn deadline(&self) -> Option<Instant>;
    fn on_timeout(&mut self, turn: &mut Turn<'_, &'static str>);
}

macro_rules! machines {
    ($($machine:ident)*) => {$(
        impl Machine for $machine<&'static str> {
            fn deadline(&self) -> Option<Instant> {
                $machine::deadline(self)
            }

            fn on_timeout(&mut self, turn: &mut Turn<'_, &'static str>) {
                $machine::on_timeout(self, turn);
            }
        }
    )*};
}

machines!(InviteClient InviteServer NonInviteClient NonInviteServer);

/// One machine, its clock and its timers.
pub(crate) struct Lab<M> {
    pub(crate) machine: M,
    start: Instant,
    now: Instant,
    timers: Timers,
}

impl<M: Machine> Lab<M> {
    /// Starts a machine and gives what it did at once.
    pub(crate) fn start(
        timers: Timers,
        start_machine: impl FnOnce(&mut Turn<'_, &'static str>) -> M,
    ) -> (Self, Trace) {
        let start = origin();
        let mut actions = VecDeque::new();
        let machine = start_machine(&mut Turn::new(start, &timers, &mut actions));
        let trace = actions.into_iter().map(|action| (0, action)).collect();
        (Self { machine, start, now: start, timers }, trace)
    }

    /// Gives an input now.
    pub(crate) fn input<R>(
        &mut self,
        input: impl FnOnce(&mut M, &mut Turn<'_, &'static str>) -> R,
    ) -> (R, Vec<Action<&'static str>>) {
        let mut actions = VecDeque::new();
        let mut turn = Turn::new(self.now, &self.timers, &mut actions);
        let result = input(&mut self.machine, &mut turn);
        (result, actions.into())
    }

    /// Lets time pass until `ms` after the start, jumping to each deadline on the way.
    pub(crate) fn until(&mut self, ms: u64) -> Trace {
        let end = self.start + Duration::from_millis(ms);
        let mut trace = Vec::new();
        while let Some(at) = self.machine.deadline().filter(|at| *at <= end) {
            assert!(at >= self.now, "a deadline lies in the past");
            self.now = at;
            let (_, actions) = self.input(Machine::on_timeout);
            let ms = u64::try_from((at - self.start).as_millis()).unwrap();
            assert!(!actions.is_empty() || self.machine.deadline() != Some(at), "a timer fires for ever");
            trace.extend(actions.into_iter().map(|action| (ms, action)));
        }
        self.now = end;
        trace
    }
}

impl<M: Machine> Lab<M> {
    /// The deadline at `ms` is served `late` milliseconds too late.
    pub(crate) fn late_by(&mut self, ms: u64, late: u64) -> Trace {
        assert_eq!(self.machine.deadline(), Some(self.start + Duration::from_millis(ms)));
        self.now = self.start + Duration::from_millis(ms + late);
        let (_, actions) = self.input(Machine::on_timeout);
        actions.into_iter().map(|action| (ms + late, action)).collect()
    }
}

pub(crate) type Responded = (Result<(), RespondError>, Vec<Action<&'static str>>);

/// The same octets at each of these instants.
pub(crate) fn sends(octets: &'static str, at: &[u64]) -> Trace {
    at.iter().map(|ms| (*ms, SEND(octets))).collect()
}

pub(crate) fn then(mut trace: Trace, ms: u64, actions: &[Action<&'static str>]) -> Trace {
    trace.extend(actions.iter().map(|action| (ms, action.clone())));
    trace
}
