//! Which contacts of a user are tried, and when (RFC 3261 §16.6, RFC 5626 §5.3, RFC 5393 §5.3).
//!
//! Pure: time comes in, what to start comes out. Terminals of equal preference make a group and are tried
//! at once; groups follow each other. A terminal that registered several contacts is tried over one at a
//! time, and over the next one only when the last gave way: it was not reached, or nobody answered.
//!
//! A contact that is merely silent must not use up the time the sender waits (64*T1, Timer F at its end and
//! at ours alike): after a while the search goes on to the next contact or group, and leaves the silent
//! branch open, so that a late answer still counts. RFC 5626 §5.3 wants one contact of an instance at a
//! time; a silent one is taken for gone. Should it come back, the terminal sees the same From tag, Call-ID
//! and CSeq again and drops the second copy (RFC 3261 §8.2.2.2).
//!
//! Of what may run at once (Max-Breadth) a contact of which nothing at all was heard holds no share once it counts as
//! silent, or with a breadth of 1 a dead one would swallow a message. Deviation from RFC 5393 §5.3.3, which has its
//! share taken until Timer F. What the rule guards against goes on: an element that forks further says 100 (RFC 4320
//! §4.1), and keeps its share.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What the steps of a search without a final answer may take together: the sender of a non-INVITE waits
/// for 64*T1 = 32 s, and the last contact tried needs some of it to answer.
const WINDOW: Duration = Duration::from_secs(24);

/// How long one of so many addresses of a next hop may be silent before the next one is tried: as for the
/// contacts of a user, and for every method, since servers answer at once, with a 100 if with nothing else.
pub(crate) fn pace(pace: Duration, addresses: usize) -> Duration {
    share(pace, u32::try_from(addresses).unwrap_or(u32::MAX))
}

fn share(pace: Duration, steps: u32) -> Duration {
    pace.min(WINDOW / steps.max(1))
}

/// A branch of a search, numbered in the order of their starts.
pub(crate) type Branch = usize;

/// A contact that is to be tried now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Start<T> {
    /// What the branch is called from now on.
    pub(crate) branch: Branch,
    /// The contact.
    pub(crate) target: T,
    /// Its Max-Breadth.
    pub(crate) breadth: u32,
}

/// How a branch ended, as far as its terminal is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The terminal has answered: no other contact of it is tried.
    Answered,
    /// 430, 408, a timeout or no way there: another contact of the terminal may do.
    GaveWay,
}

/// One request's search through the contacts of its user.
#[derive(Debug)]
pub(crate) struct Search<T> {
    invite: bool,
    /// Groups whose turn has not come; of each terminal its contacts, best first.
    ahead: VecDeque<Vec<VecDeque<T>>>,
    terminals: Vec<Terminal<T>>,
    branches: Vec<Running>,
    breadth: Breadth,
    /// How long a contact may be silent before the search goes on.
    pace: Duration,
}

#[derive(Debug)]
struct Terminal<T> {
    untried: VecDeque<T>,
    turn: Turn,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Its next contact starts as soon as the breadth allows it.
    Due,
    /// A contact is being tried, and counts as silent from `until` on; `None`: it was heard of.
    Trying { branch: Branch, until: Option<Instant> },
    /// Nothing is left to try, and no group waits for it any more.
    Passed,
}

fn whole<T>(group: Vec<Vec<T>>) -> Vec<VecDeque<T>> {
    group.into_iter().map(VecDeque::from).collect()
}

#[derive(Debug)]
struct Running {
    terminal: usize,
    breadth: u32,
    sent: bool,
    /// Something came, if only a 100.
    lives: bool,
    rang: bool,
}

impl<T> Search<T> {
    /// A search through groups of terminals, each with its contacts, the best of everything first. `breadth`
    /// is what all running branches may have together, `pace` how long a contact may be silent.
    pub(crate) fn new(invite: bool, groups: Vec<Vec<Vec<T>>>, breadth: u32, pace: Duration) -> Search<T> {
        let contacts = groups.iter().flatten().map(Vec::len).sum();
        let deepest = |group: &Vec<Vec<T>>| group.iter().map(Vec::len).max().unwrap_or(0);
        let steps: usize = groups.iter().map(deepest).sum();
        let steps = u32::try_from(steps).unwrap_or(u32::MAX);
        // With little breadth contacts follow each other that would otherwise run beside each other.
        let steps = steps.max(u32::try_from(contacts).unwrap_or(u32::MAX).div_ceil(breadth.max(1))).max(1);
        Search {
            invite,
            ahead: groups.into_iter().map(whole).collect(),
            terminals: Vec::new(),
            branches: Vec::new(),
            breadth: Breadth::new(breadth, contacts),
            // Nobody waits 64*T1 for an INVITE: its sender has had a 100.
            pace: if invite { pace } else { share(pace, steps) },
        }
    }

    /// More contacts, in the place of one that named them: the first of these groups now, the others before those
    /// that were to follow.
    pub(crate) fn add(&mut self, groups: Vec<Vec<Vec<T>>>) {
        let mut groups = groups.into_iter().map(whole);
        let first = groups.next().into_iter().flatten();
        self.terminals.extend(first.map(|untried| Terminal { untried, turn: Turn::Due }));
        let others: Vec<_> = groups.collect();
        others.into_iter().rev().for_each(|group| self.ahead.push_front(group));
    }

    /// What is to be started now.
    pub(crate) fn start(&mut self, now: Instant) -> Vec<Start<T>> {
        let mut starts = Vec::new();
        loop {
            self.start_due(now, &mut starts);
            if self.terminals.iter().any(|terminal| terminal.turn != Turn::Passed) {
                return starts;
            }
            let Some(group) = self.ahead.pop_front() else { return starts };
            let due = |untried| Terminal { untried, turn: Turn::Due };
            self.terminals.extend(group.into_iter().map(due));
        }
    }

    fn start_due(&mut self, now: Instant, starts: &mut Vec<Start<T>>) {
        for (at, terminal) in self.terminals.iter_mut().enumerate() {
            if terminal.turn != Turn::Due {
                continue;
            }
            if terminal.untried.is_empty() {
                terminal.turn = Turn::Passed;
                continue;
            }
            let Some(breadth) = self.breadth.take() else { return };
            let Some(target) = terminal.untried.pop_front() else { return };
            let branch = self.branches.len();
            self.branches.push(Running { terminal: at, breadth, sent: false, lives: false, rang: false });
            terminal.turn = Turn::Trying { branch, until: Some(now + self.pace) };
            starts.push(Start { branch, target, breadth });
        }
    }

    /// When [`Search::on_timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let until = |terminal: &Terminal<T>| match terminal.turn {
            Turn::Trying { until, .. } => until,
            Turn::Due | Turn::Passed => None,
        };
        self.terminals.iter().filter_map(until).min()
    }

    /// Time has passed: silent contacts are waited for no longer.
    pub(crate) fn on_timeout(&mut self, now: Instant) {
        for terminal in &mut self.terminals {
            let Turn::Trying { branch, until: Some(until) } = terminal.turn else { continue };
            if until > now {
                continue;
            }
            terminal.turn = if terminal.untried.is_empty() { Turn::Passed } else { Turn::Due };
            if let Some(running) = self.branches.get_mut(branch).filter(|running| !running.lives) {
                self.breadth.give(std::mem::take(&mut running.breadth));
            }
        }
    }

    /// The request of a branch leaves: what its contact can be silent for begins now. Once: a contact with
    /// many dead addresses has no more time than one with one.
    pub(crate) fn sent(&mut self, branch: Branch, now: Instant) {
        let pace = self.pace;
        if let Some((terminal, running)) = self.find(branch)
            && !std::mem::replace(&mut running.sent, true)
            && let Turn::Trying { branch: current, until: Some(until) } = &mut terminal.turn
            && *current == branch
        {
            *until = now + pace;
        }
    }

    /// A provisional response came. Whoever is called is there, and has the time that calls take. To
    /// another request it says no more than that the next hop lives (RFC 4320 §4.1), which may be a proxy
    /// before a dead phone.
    pub(crate) fn heard(&mut self, branch: Branch, status: u16) {
        let invite = self.invite;
        if let Some((terminal, running)) = self.find(branch) {
            running.lives = true;
            if !invite {
                return;
            }
            running.rang |= status > 100;
            if let Turn::Trying { branch: current, until } = &mut terminal.turn
                && *current == branch
            {
                *until = None;
            }
        }
    }

    /// A branch has ended. Says whether another contact of its terminal stands in for it: then the end is
    /// no answer of the terminal's (RFC 5626 §5.3).
    pub(crate) fn ended(&mut self, branch: Branch, end: End) -> bool {
        let Some((terminal, running)) = self.find(branch) else { return false };
        let breadth = std::mem::take(&mut running.breadth);
        // What rang was reached, and its user is not called again over another flow.
        let gave_way = end == End::GaveWay && !running.rang;
        let is_current = matches!(terminal.turn, Turn::Trying { branch: current, .. } if current == branch);
        let replaced = match (gave_way, is_current) {
            (false, _) => {
                terminal.untried.clear();
                terminal.turn = Turn::Passed;
                false
            }
            (true, true) if terminal.untried.is_empty() => {
                terminal.turn = Turn::Passed;
                false
            }
            (true, true) => {
                terminal.turn = Turn::Due;
                true
            }
            // Given up for silent before: what stands in for it, if anything does, is on its way.
            (true, false) => terminal.turn != Turn::Passed,
        };
        self.breadth.give(breadth);
        replaced
    }

    fn find(&mut self, branch: Branch) -> Option<(&mut Terminal<T>, &mut Running)> {
        let running = self.branches.get_mut(branch)?;
        Some((self.terminals.get_mut(running.terminal)?, running))
    }
}

/// Max-Breadth of the running branches: together never more than came in (RFC 5393 §5.3.3). Each contact
/// that may come to run beside the others has its share kept for it; what a branch had is free again when it
/// ends.
#[derive(Debug)]
struct Breadth {
    free: u32,
    share: u32,
    /// Branches that still get one more than the others.
    more: u32,
}

impl Breadth {
    fn new(breadth: u32, contacts: usize) -> Breadth {
        let contacts = u32::try_from(contacts).unwrap_or(u32::MAX).max(1);
        let (share, more) = (breadth / contacts, breadth % contacts);
        // Fewer than contacts: some wait for others to end, and a breadth of 1 is serial forking.
        if share == 0 {
            Breadth { free: breadth, share: 1, more: 0 }
        } else {
            Breadth { free: breadth, share, more }
        }
    }

    fn take(&mut self) -> Option<u32> {
        let wanted = self.share + u32::from(self.more > 0);
        let given = wanted.min(self.free);
        if given == 0 {
            return None;
        }
        self.more = self.more.saturating_sub(1);
        self.free -= given;
        Some(given)
    }

    fn give(&mut self, breadth: u32) {
        self.free = self.free.saturating_add(breadth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_secs(4);

    /// Groups are parted by `|`, terminals by blanks, their contacts by `+`.
    fn groups(text: &'static str) -> Vec<Vec<Vec<&'static str>>> {
        let terminals =
            |group: &'static str| group.split_whitespace().map(|t| t.split('+').collect()).collect();
        text.split('|').map(terminals).collect()
    }

    fn message(text: &'static str) -> Search<&'static str> {
        Search::new(false, groups(text), 60, PACE)
    }

    fn started(search: &mut Search<&'static str>, now: Instant) -> Vec<&'static str> {
        search.start(now).into_iter().map(|start| start.target).collect()
    }

    #[test]
    fn equal_terminals_start_at_once_and_lower_ones_when_all_have_ended() {
        let now = Instant::now();
        let mut search = message("a b | c");
        assert_eq!(started(&mut search, now), ["a", "b"]);
        assert!(!search.ended(0, End::Answered));
        assert_eq!(started(&mut search, now), [""; 0]);
        assert!(!search.ended(1, End::GaveWay));
        assert_eq!(started(&mut search, now), ["c"]);
    }

    #[test]
    fn a_silent_group_is_left_open_and_the_next_one_started() {
        let now = Instant::now();
        let mut search = message("a | b");
        assert_eq!(started(&mut search, now), ["a"]);
        assert_eq!(search.deadline(), Some(now + PACE));
        search.on_timeout(now + PACE);
        assert_eq!(started(&mut search, now + PACE), ["b"]);
        assert!(!search.ended(0, End::Answered), "its late answer counts");
    }

    #[test]
    fn another_contact_of_a_terminal_stands_in_for_one_that_gave_way_and_for_no_other() {
        let now = Instant::now();
        let mut search = message("a+b+c d");
        assert_eq!(started(&mut search, now), ["a", "d"]);
        assert!(search.ended(0, End::GaveWay));
        assert_eq!(started(&mut search, now), ["b"]);
        assert!(!search.ended(2, End::Answered), "the instance has provided its response");
        assert_eq!(started(&mut search, now), [""; 0]);
    }

    #[test]
    fn after_the_last_contact_its_end_is_the_terminals() {
        let now = Instant::now();
        let mut search = message("a+b");
        search.start(now);
        assert!(search.ended(0, End::GaveWay));
        search.start(now);
        assert!(!search.ended(1, End::GaveWay));
    }

    #[test]
    fn a_silent_contact_is_followed_by_the_next_of_its_terminal() {
        let now = Instant::now();
        let mut search = message("a+b | c");
        search.start(now);
        search.on_timeout(now + PACE);
        assert_eq!(started(&mut search, now + PACE), ["b"]);
        assert!(search.ended(0, End::GaveWay), "b stands in for it");
        search.on_timeout(now + 2 * PACE);
        assert_eq!(started(&mut search, now + 2 * PACE), ["c"]);
        assert!(!search.ended(1, End::GaveWay));
    }

    #[test]
    fn many_steps_share_the_time_the_sender_waits() {
        let now = Instant::now();
        let mut search = message("a | b | c | d | e | f | g | h | i | j | k | l");
        let mut at = now;
        let mut last = Vec::new();
        while at < now + WINDOW {
            last.extend(started(&mut search, at));
            at = search.deadline().unwrap();
            search.on_timeout(at);
        }
        assert_eq!(last.last(), Some(&"l"));
    }

    #[test]
    fn a_call_that_was_heard_of_has_all_the_time_and_one_that_was_not_has_none() {
        let now = Instant::now();
        let mut search = Search::new(true, groups("a b | c"), 60, PACE);
        search.start(now);
        search.heard(0, 100);
        search.on_timeout(now + PACE);
        assert_eq!(started(&mut search, now + PACE), [""; 0]);
        assert_eq!(search.deadline(), None);
        search.ended(0, End::Answered);
        assert_eq!(started(&mut search, now + PACE), ["c"], "b is silent");
    }

    #[test]
    fn a_phone_that_rang_is_not_called_again_over_its_other_flow() {
        let now = Instant::now();
        let mut search = Search::new(true, groups("a+b"), 60, PACE);
        search.start(now);
        search.heard(0, 180);
        assert!(!search.ended(0, End::GaveWay));
        assert_eq!(started(&mut search, now), [""; 0]);
    }

    #[test]
    fn a_message_is_not_held_up_by_the_100_of_a_proxy_before_a_dead_phone() {
        let now = Instant::now();
        let mut search = message("a | b");
        search.start(now);
        search.heard(0, 100);
        search.on_timeout(now + PACE);
        assert_eq!(started(&mut search, now + PACE), ["b"]);
    }

    #[test]
    fn silence_is_counted_from_when_the_request_left() {
        let now = Instant::now();
        let mut search = message("a | b");
        search.start(now);
        search.sent(0, now + PACE / 2);
        search.sent(0, now + PACE);
        assert_eq!(search.deadline(), Some(now + PACE / 2 + PACE), "not again for its next address");
    }

    #[test]
    fn whom_a_terminal_names_in_its_place_come_before_those_who_were_to_follow() {
        let now = Instant::now();
        let mut search = message("a b | c");
        assert_eq!(started(&mut search, now), ["a", "b"]);
        search.ended(0, End::Answered);
        search.add(groups("x | y"));
        assert_eq!(started(&mut search, now), ["x"], "while b goes on");
        search.ended(1, End::Answered);
        search.ended(2, End::Answered);
        assert_eq!(started(&mut search, now), ["y"]);
        search.ended(3, End::Answered);
        assert_eq!(started(&mut search, now), ["c"]);
    }

    #[test]
    fn running_branches_never_have_more_breadth_than_came_in() {
        let now = Instant::now();
        for (breadth, text, expected) in [
            (60, "a b", vec![30, 30]),
            (7, "a b c", vec![3, 2, 2]),
            (60, "a | b", vec![30]),
            (1, "a b", vec![1]),
        ] {
            let mut search = Search::new(false, groups(text), breadth, PACE);
            let shares: Vec<_> = search.start(now).iter().map(|start| start.breadth).collect();
            assert_eq!(shares, expected);
        }
    }

    #[test]
    fn a_contact_of_which_nothing_was_heard_does_not_hold_the_breadth_for_ever() {
        let now = Instant::now();
        let mut search = Search::new(false, groups("a b | c"), 1, PACE);
        for (at, (name, branch)) in [("a", 0), ("b", 1), ("c", 2)].into_iter().enumerate() {
            let now = now + PACE * u32::try_from(at).unwrap();
            let starts = search.start(now);
            assert_eq!((starts[0].target, starts[0].branch, starts[0].breadth), (name, branch, 1));
            search.on_timeout(now + PACE);
        }
        assert!(!search.ended(0, End::Answered), "its late answer counts");
        assert_eq!(search.breadth.free, 1, "and gives nothing back twice");
        let many = groups("a b c d e f g h i j k l");
        let mut search = Search::new(false, many, 1, PACE);
        search.start(now);
        assert_eq!(search.deadline(), Some(now + Duration::from_secs(2)), "all are tried in time");
    }

    #[test]
    fn with_too_little_breadth_contacts_wait_for_others_to_end() {
        let now = Instant::now();
        let mut search = Search::new(false, groups("a b c d e | f"), 2, PACE);
        assert_eq!(started(&mut search, now), ["a", "b"]);
        search.heard(0, 100);
        search.heard(1, 100);
        search.on_timeout(now + PACE);
        assert_eq!(started(&mut search, now + PACE), [""; 0], "both are still open");
        search.ended(0, End::Answered);
        assert_eq!(started(&mut search, now + PACE), ["c"]);
        search.ended(1, End::Answered);
        search.ended(2, End::GaveWay);
        let last = search.start(now + PACE);
        assert_eq!(last.iter().map(|start| start.breadth).sum::<u32>(), 2);
    }
}
