//! Which members of lists are watched at other servers, for whom: one subscription for each watcher and member,
//! however many of the watcher's lists have the member. As many as there is room for, and no more for one watcher than
//! his share; the others wait until there is room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use presence::backend::{Backend, Known};
use presence::subscription::{Id, Resource};
use presence::time::Moment;
use sip::Response;
use tokio::sync::Notify;

/// Those who wait for room, at most. Who does not wait joins when the list's subscription is refreshed.
const WAITING: usize = 10_000;

/// A watcher and a member.
pub(super) type Pair = (Arc<str>, Arc<str>);

/// Subscriptions to lists, with what they are to.
pub(super) type Lists = HashMap<Id, Arc<Resource>>;

/// How many there may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) most: usize,
    /// For one watcher.
    pub(super) of_watcher: usize,
}

/// One that is watched.
pub(super) struct Entry {
    pub(super) backend: Backend,
    /// The watcher's lists that have the member.
    pub(super) lists: Lists,
    pub(super) changed: Arc<Notify>,
}

/// What is to be done next for one.
pub(super) enum Step {
    /// Nothing any more.
    Gone,
    /// The other server is to hear that it ends.
    End,
    /// A SUBSCRIBE is due.
    Ask,
    /// Its lists are to be told that something else is known of the member, or nothing any more.
    Tell(Arc<str>, Lists),
    /// Nothing until then, or until it changes.
    Wait(Moment, Arc<Notify>),
}

#[derive(Default)]
pub(super) struct Members {
    all: HashMap<Id, Entry>,
    of: HashMap<Pair, Id>,
    of_watchers: HashMap<Arc<str>, usize>,
    /// Those that nobody drives yet.
    fresh: Vec<Id>,
    waiting: Waiting,
}

/// Those for whom there was no room, in the order they came.
#[derive(Default)]
struct Waiting {
    all: HashMap<Pair, (u64, Lists)>,
    order: BTreeMap<u64, Pair>,
    next: u64,
}

impl Members {
    /// A list has a member, who is watched from now on under that number, or waits for room. Says whether there was
    /// none.
    pub(super) fn join(
        &mut self,
        pair: Pair,
        list: (Id, Arc<Resource>),
        id: Id,
        room: Room,
        now: Moment,
    ) -> bool {
        if let Some(entry) = self.of.get(&pair).and_then(|id| self.all.get_mut(id)) {
            if entry.lists.insert(list.0, list.1).is_none() && entry.backend.wanted(now) {
                entry.changed.notify_one();
            }
            return false;
        }
        if self.has_room(&pair.0, room) {
            let mut lists = self.waiting.remove(&pair).unwrap_or_default();
            lists.insert(list.0, list.1);
            self.begin(pair, lists, id, now);
            return false;
        }
        self.waiting.push(pair, list);
        true
    }

    /// A list has it no longer.
    pub(super) fn leave(&mut self, pair: &Pair, list: Id) {
        self.waiting.leave(pair, list);
        if let Some(entry) = self.of.get(pair).and_then(|id| self.all.get_mut(id))
            && entry.lists.remove(&list).is_some()
            && entry.lists.is_empty()
        {
            entry.changed.notify_one();
        }
    }

    /// What is to be done for one next. What ends here ends while nobody can join it.
    pub(super) fn step(&mut self, id: Id, is_allowed: bool, now: Moment) -> Step {
        let Some(entry) = self.all.get_mut(&id) else { return Step::Gone };
        if entry.lists.is_empty() || !is_allowed {
            if entry.backend.is_established() {
                return Step::End;
            }
            return match self.remove(id) {
                // Lists stay that have seen him.
                Some(Entry { backend, lists, .. }) if backend.known != Known::Nothing => {
                    Step::Tell(backend.member, lists)
                }
                _ => Step::Gone,
            };
        }
        let before = entry.backend.known.clone();
        if entry.backend.falls_silent(now) && entry.backend.known != before {
            return Step::Tell(Arc::clone(&entry.backend.member), entry.lists.clone());
        }
        match entry.backend.due {
            due if due <= now => Step::Ask,
            due => Step::Wait(due, Arc::clone(&entry.changed)),
        }
    }

    /// What came of a SUBSCRIBE. Gives the member and the lists that are to be told, if something else is known of him
    /// by that.
    pub(super) fn answered(
        &mut self,
        id: Id,
        response: Option<&Response>,
        now: Moment,
    ) -> Option<(Arc<str>, Lists)> {
        self.news(id, |backend| backend.answered(response, now))
    }

    /// We ended it. Gives whom that is to be told, likewise: a list may have joined meanwhile, or it was the operator.
    pub(super) fn ended(&mut self, id: Id, now: Moment) -> Option<(Arc<str>, Lists)> {
        self.news(id, |backend| backend.ended(now))
    }

    fn news(&mut self, id: Id, happens: impl FnOnce(&mut Backend)) -> Option<(Arc<str>, Lists)> {
        let entry = self.all.get_mut(&id)?;
        let before = entry.backend.known.clone();
        happens(&mut entry.backend);
        let is_news = entry.backend.known != before;
        is_news.then(|| (Arc::clone(&entry.backend.member), entry.lists.clone()))
    }

    /// Those who wait are watched as far as there is room by now.
    pub(super) fn admit(&mut self, room: Room, mut number: impl FnMut() -> Option<Id>, now: Moment) {
        let mut from = 0;
        while self.all.len() < room.most {
            let mut order = self.waiting.order.range(from..);
            let next = order.find(|(_, (watcher, _))| self.has_room(watcher, room));
            let Some((at, pair)) = next.map(|(at, pair)| (*at, pair.clone())) else { return };
            let (Some(id), Some(lists)) = (number(), self.waiting.remove(&pair)) else { return };
            self.begin(pair, lists, id, now);
            from = at;
        }
    }

    pub(super) fn get(&mut self, id: Id) -> Option<&mut Entry> {
        self.all.get_mut(&id)
    }

    pub(super) fn has(&self, id: Id) -> bool {
        self.all.contains_key(&id)
    }

    pub(super) fn of(&self, pair: &Pair) -> Option<&Entry> {
        self.of.get(pair).and_then(|id| self.all.get(id))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.all.values()
    }

    /// How many are watched, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.all.len(), self.waiting.all.len())
    }

    /// Those that nobody drives yet.
    pub(super) fn fresh(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.fresh)
    }

    fn has_room(&self, watcher: &Arc<str>, room: Room) -> bool {
        let of_watcher = self.of_watchers.get(watcher).copied().unwrap_or_default();
        self.all.len() < room.most && of_watcher < room.of_watcher
    }

    fn begin(&mut self, pair: Pair, lists: Lists, id: Id, now: Moment) {
        let backend = Backend::new(id, Arc::clone(&pair.0), Arc::clone(&pair.1), now);
        *self.of_watchers.entry(Arc::clone(&pair.0)).or_default() += 1;
        self.all.insert(id, Entry { backend, lists, changed: Arc::default() });
        self.of.insert(pair, id);
        self.fresh.push(id);
    }

    fn remove(&mut self, id: Id) -> Option<Entry> {
        let entry = self.all.remove(&id)?;
        let pair = (Arc::clone(&entry.backend.watcher), Arc::clone(&entry.backend.member));
        self.of.remove(&pair);
        if let Some(count) = self.of_watchers.get_mut(&pair.0) {
            *count -= 1;
            if *count == 0 {
                self.of_watchers.remove(&pair.0);
            }
        }
        Some(entry)
    }
}

impl Waiting {
    fn push(&mut self, pair: Pair, list: (Id, Arc<Resource>)) {
        if let Some((_, lists)) = self.all.get_mut(&pair) {
            lists.insert(list.0, list.1);
        } else if self.all.len() < WAITING {
            self.order.insert(self.next, pair.clone());
            self.all.insert(pair, (self.next, Lists::from([list])));
            self.next += 1;
        }
    }

    fn leave(&mut self, pair: &Pair, list: Id) {
        if let Some((_, lists)) = self.all.get_mut(pair) {
            lists.remove(&list);
            if lists.is_empty() {
                self.remove(pair);
            }
        }
    }

    fn remove(&mut self, pair: &Pair) -> Option<Lists> {
        let (at, lists) = self.all.remove(pair)?;
        self.order.remove(&at);
        Some(lists)
    }
}

#[cfg(test)]
mod tests {
    use presence::event::Package;

    use super::*;

    const NOW: Moment = Moment::from_seconds(1000);
    const ROOM: Room = Room { most: 3, of_watcher: 2 };

    fn pair(watcher: &str, member: &str) -> Pair {
        (format!("sip:{watcher}@example.com").into(), format!("sip:{member}@there.example").into())
    }

    fn list(number: u64) -> (Id, Arc<Resource>) {
        (Id(number), Arc::new(Resource { package: Package::Presence, aor: format!("list{number}").into() }))
    }

    fn is_wait(step: &Step) -> bool {
        matches!(step, Step::Wait(..))
    }

    #[test]
    fn one_watcher_has_his_share_and_who_waits_is_watched_when_there_is_room() {
        let mut members = Members::default();
        let join = |members: &mut Members, watcher, member, number| {
            members.join(pair(watcher, member), list(7), Id(number), ROOM, NOW)
        };
        assert!(!join(&mut members, "hog", "a", 1) && !join(&mut members, "hog", "b", 2));
        assert!(join(&mut members, "hog", "c", 3), "over his share");
        assert!(!join(&mut members, "bob", "a", 4), "and another has his");
        assert!(join(&mut members, "ann", "a", 5), "there are no more than so many");
        assert!(join(&mut members, "ann", "a", 6), "and who waits waits once");
        assert_eq!((members.counts(), members.fresh()), ((3, 2), vec![Id(1), Id(2), Id(4)]));

        // Room of bob's is for ann, since hog has his share.
        members.leave(&pair("bob", "a"), Id(7));
        assert!(matches!(members.step(Id(4), true, NOW), Step::Gone));
        let mut numbers = (8..).map(Id);
        members.admit(ROOM, || numbers.next(), NOW);
        assert_eq!((members.counts(), members.fresh()), ((3, 1), vec![Id(8)]));
        assert_eq!(members.of(&pair("ann", "a")).unwrap().lists.len(), 1);

        // Who no longer waits is not watched.
        members.leave(&pair("hog", "c"), Id(7));
        members.leave(&pair("hog", "a"), Id(7));
        assert!(matches!(members.step(Id(1), true, NOW), Step::Gone));
        members.admit(ROOM, || numbers.next(), NOW);
        assert_eq!(members.counts(), (2, 0));
    }

    #[test]
    fn a_list_that_joins_while_its_member_ends_is_served() {
        let mut members = Members::default();
        let eve = pair("bob", "eve");
        members.join(eve.clone(), list(7), Id(1), ROOM, NOW);
        assert!(matches!(members.step(Id(1), true, NOW), Step::Ask));
        let entry = members.get(Id(1)).unwrap();
        let sent = entry.backend.subscribe("<sip:us>", false, NOW);
        entry.backend.answered(Some(&accepted(&sent)), NOW);
        members.leave(&eve, Id(7));
        assert!(matches!(members.step(Id(1), true, NOW), Step::End));
        // While the other server is told so.
        members.join(eve.clone(), list(8), Id(2), ROOM, NOW);
        members.get(Id(1)).unwrap().backend.ended(NOW);
        let Step::Wait(due, _) = members.step(Id(1), true, NOW) else { panic!("it is let go") };
        assert!(matches!(members.step(Id(1), true, due), Step::Ask));
        assert!(!members.get(Id(1)).unwrap().backend.is_established(), "in a dialog of its own");

        members.leave(&eve, Id(8));
        assert!(matches!(members.step(Id(1), true, due), Step::Gone));
        assert!(!members.has(Id(1)) && members.of(&eve).is_none());
        // From now on it is another one.
        members.join(eve, list(9), Id(3), ROOM, NOW);
        assert!(is_wait(&members.step(Id(3), true, NOW)) || members.has(Id(3)));
    }

    fn accepted(sent: &sip::Outgoing) -> sip::Response {
        let text = String::from_utf8(sent.encode().head.to_vec()).unwrap();
        let copied: String = text
            .lines()
            .filter(|line| ["From", "Call-ID", "CSeq"].iter().any(|name| line.starts_with(name)))
            .map(|line| format!("{line}\r\n"))
            .collect();
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nTo: <sip:eve@there>;tag=t\r\n{copied}\
             Contact: <sip:eve@192.0.2.9>\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
        );
        let limits = sip::Limits::default();
        let Ok(sip::Framed::Message(raw)) = sip::frame::datagram(text.into(), &limits) else {
            panic!("no message")
        };
        let Ok(sip::Message::Response(response)) = sip::validate(raw, &limits) else { panic!("no response") };
        response
    }

    #[test]
    fn what_is_not_wanted_by_the_operator_any_more_ends_and_silence_is_told_to_the_lists() {
        let mut members = Members::default();
        members.join(pair("bob", "eve"), list(7), Id(1), ROOM, NOW);
        let entry = members.get(Id(1)).unwrap();
        let sent = entry.backend.subscribe("<sip:us>", false, NOW);
        entry.backend.answered(Some(&accepted(&sent)), NOW);
        entry.backend.known = Known::Pending;
        let later = NOW.after(32_000);
        let Step::Tell(member, lists) = members.step(Id(1), true, later) else { panic!("nobody is told") };
        assert_eq!((&*member, lists.contains_key(&Id(7))), ("sip:eve@there.example", true));
        assert!(is_wait(&members.step(Id(1), true, later)));
        assert!(matches!(members.step(Id(1), false, later), Step::Gone));
    }

    #[test]
    fn lists_that_stay_are_told_when_the_operator_wants_nobody_watched() {
        for is_established in [true, false] {
            let mut members = Members::default();
            members.join(pair("bob", "eve"), list(7), Id(1), ROOM, NOW);
            let entry = members.get(Id(1)).unwrap();
            if is_established {
                let sent = entry.backend.subscribe("<sip:us>", false, NOW);
                entry.backend.answered(Some(&accepted(&sent)), NOW);
            }
            entry.backend.known = Known::Pending;
            let lists = match members.step(Id(1), false, NOW) {
                Step::End => members.ended(Id(1), NOW).unwrap().1,
                Step::Tell(_, lists) => lists,
                _ => panic!("nobody is told"),
            };
            assert!(lists.contains_key(&Id(7)));
            assert!(matches!(members.step(Id(1), false, NOW), Step::Gone), "once");
            assert_eq!(members.counts(), (0, 0));
        }
    }

    #[test]
    fn what_a_notify_said_before_the_answer_is_not_told_again_with_it() {
        let mut members = Members::default();
        members.join(pair("bob", "eve"), list(7), Id(1), ROOM, NOW);
        let entry = members.get(Id(1)).unwrap();
        let sent = entry.backend.subscribe("<sip:us>", false, NOW);
        let answer = accepted(&sent);
        // As a NOTIFY that overtakes the answer leaves it.
        entry.backend.known = Known::Pending;
        assert!(members.answered(Id(1), Some(&answer), NOW).is_none());
        let entry = members.get(Id(1)).unwrap();
        entry.backend.subscribe("<sip:us>", false, NOW);
        let told = members.answered(Id(1), None, NOW.after(32_000));
        assert!(told.is_some_and(|(_, lists)| lists.contains_key(&Id(7))), "he is known no longer");
    }

    #[test]
    fn who_waits_and_is_asked_for_again_where_there_is_room_waits_no_longer() {
        let (mut members, eve) = (Members::default(), pair("bob", "eve"));
        let none = Room { most: 0, of_watcher: 0 };
        assert!(members.join(eve.clone(), list(7), Id(1), none, NOW));
        assert!(!members.join(eve.clone(), list(8), Id(1), ROOM, NOW));
        assert_eq!(members.counts(), (1, 0));
        assert_eq!(members.of(&eve).unwrap().lists.len(), 2, "both lists are told");
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut members = Members::default();
        let none = Room { most: 0, of_watcher: 0 };
        for number in 0..=WAITING {
            assert!(members.join(pair("bob", &number.to_string()), list(7), Id(1), none, NOW));
        }
        assert_eq!(members.counts(), (0, WAITING));
    }
}
