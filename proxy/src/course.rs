//! The course of one request: which contact is tried next, and what its end means for the answer. `search`
//! and `context` together, without sockets, so that both can be driven through a simulated network.

use std::time::Duration;

use tokio::time::Instant;

use crate::context::{Best, Context, Ending, Final, Step};
use crate::search::{Branch, End, Search, Start};

/// A request on its way to its contacts.
#[derive(Debug)]
pub(crate) struct Course<T, F> {
    search: Search<T>,
    context: Context<F>,
    stopped: bool,
}

impl<T, F: Final> Course<T, F> {
    /// A request for these groups of terminals; the rest as in [`Search::new`].
    pub(crate) fn new(invite: bool, groups: Vec<Vec<Vec<T>>>, breadth: u32, pace: Duration) -> Course<T, F> {
        Course {
            search: Search::new(invite, groups, breadth, pace),
            context: Context::new(invite),
            stopped: false,
        }
    }

    /// What is to be started now.
    pub(crate) fn start(&mut self, now: Instant) -> Vec<Start<T>> {
        if self.is_stopped() { Vec::new() } else { self.search.start(now) }
    }

    /// When [`Course::on_timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if self.is_stopped() { None } else { self.search.deadline() }
    }

    /// Time has passed.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        self.search.on_timeout(now);
    }

    /// The request of a branch leaves.
    pub(crate) fn sent(&mut self, branch: Branch, now: Instant) {
        self.search.sent(branch, now);
    }

    /// A provisional response came; says whether it goes upstream.
    pub(crate) fn heard(&mut self, branch: Branch, status: u16) -> bool {
        self.search.heard(branch, status);
        self.context.forwards_provisional(status)
    }

    /// A branch has ended.
    pub(crate) fn ended(&mut self, branch: Branch, ending: Ending<F>) -> Step<F> {
        if self.is_stopped() {
            return self.context.settle(ending);
        }
        let end = if ending.gives_way() { End::GaveWay } else { End::Answered };
        if self.search.ended(branch, end) {
            return Step::Go;
        }
        self.context.settle(ending)
    }

    /// A terminal has answered with others to ask in its place.
    pub(crate) fn redirected(&mut self, branch: Branch, groups: Vec<Vec<Vec<T>>>) {
        self.search.ended(branch, End::Answered);
        self.search.add(groups);
    }

    /// Nobody waits for an answer any more, or the caller has cancelled: nothing is started from now on.
    pub(crate) const fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether nothing is started any more.
    pub(crate) const fn is_stopped(&self) -> bool {
        self.stopped || self.context.stopped()
    }

    /// Whether nothing that came says that somebody was reached.
    pub(crate) fn unreached(&self) -> bool {
        self.context.unreached()
    }

    /// The best answer, when every branch has ended; `None` when a 2xx has gone upstream already.
    pub(crate) fn best(self) -> Option<Best<F>> {
        self.context.best()
    }
}
