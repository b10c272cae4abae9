use super::*;
use crate::ending::Reason;
use crate::event::Package;
use crate::notifier::Format;
use crate::subscription::Kind;

const RATE: u64 = 5000;

fn at(millis: u64) -> Moment {
    Moment::from_millis(1_000_000 + millis)
}

fn alice() -> Resource {
    Resource { package: Package::Presence, aor: "sip:alice@example.com".into() }
}

fn entry(expires: u64) -> Entry {
    Entry {
        resource: alice(),
        kind: Kind::One,
        watcher: "sip:bob@example.com".into(),
        proven: true,
        decision: Decision::Allow,
        cpi: Arc::default(),
        format: Format::Pidf,
        expires_at: at(expires),
        created_at: 0,
        floor: 10,
        stored: 1,
        ended: None,
    }
}

fn table(subscriptions: u64) -> Table<u8> {
    let mut table = Table::new(RATE);
    (0..subscriptions).for_each(|number| table.insert(Id(number), entry(100_000), false));
    table
}

fn ids(notices: &[Notice<u8>]) -> Vec<u64> {
    notices.iter().map(|notice| notice.id.0).collect()
}

#[test]
fn the_first_notify_is_due_at_once_and_the_next_when_the_rate_allows() {
    let mut table = table(1);
    let first = table.take(at(0), 9);
    assert_eq!((ids(&first), first[0].cseq, first[0].version), (vec![0], 10, 0));
    assert!(first[0].deltas.is_none() && first[0].ending.is_none());
    assert_eq!(first[0].expires, 100);
    table.answered(Id(0), Outcome::Taken, None, at(10));
    table.changed(&alice(), None);
    table.changed(&alice(), None);
    assert_eq!(table.next_due(), Some(at(RATE)));
    assert!(table.take(at(RATE - 1), 9).is_empty());
    let second = table.take(at(RATE), 9);
    assert_eq!((ids(&second), second[0].cseq, second[0].version), (vec![0], 11, 1));
    table.answered(Id(0), Outcome::Taken, None, at(RATE));
    assert!(table.take(at(50_000), 9).is_empty(), "both changes are told in one");
}

#[test]
fn no_second_notify_leaves_before_the_first_is_answered_and_nobody_waits_for_another() {
    let mut table = table(2);
    assert_eq!(table.take(at(0), 9).len(), 2);
    table.answered(Id(1), Outcome::Taken, None, at(1));
    table.changed(&alice(), None);
    table.changed(&alice(), None);
    assert_eq!(ids(&table.take(at(RATE), 9)), [1], "0 has not answered");
    table.answered(Id(0), Outcome::Taken, None, at(RATE + 1));
    assert_eq!(ids(&table.take(at(RATE + 1), 9)), [0]);
}

#[test]
fn what_ends_a_subscription_ends_it_and_what_does_not_does_not() {
    for (outcome, ends) in [
        (Outcome::Silent, true),
        (Outcome::Refused { status: 481, retry_after: None }, true),
        (Outcome::Refused { status: 604, retry_after: None }, true),
        (Outcome::Refused { status: 503, retry_after: None }, false),
        (Outcome::Refused { status: 500, retry_after: None }, false),
        (Outcome::Taken, false),
        (Outcome::Unsent, false),
    ] {
        let mut table = table(1);
        table.take(at(0), 1);
        let gone = table.answered(Id(0), outcome, None, at(1));
        assert_eq!(gone.is_some(), ends, "{outcome:?}");
        assert_eq!(table.len(), usize::from(!ends));
        assert_eq!(table.resources().count(), usize::from(!ends));
    }
}

#[test]
fn who_says_when_to_come_again_is_told_then_and_what_never_left_soon() {
    let mut table = table(1);
    table.take(at(0), 1);
    table.answered(Id(0), Outcome::Refused { status: 503, retry_after: Some(20) }, None, at(0));
    assert_eq!(table.next_due(), Some(at(20_000)));
    table.take(at(20_000), 1);
    table.answered(Id(0), Outcome::Unsent, None, at(20_000));
    assert!(table.take(at(20_999), 1).is_empty());
    assert_eq!(table.take(at(21_000), 1).len(), 1);
}

#[test]
fn time_that_is_over_ends_with_a_last_notify() {
    let mut table = table(1);
    table.take(at(0), 1);
    table.answered(Id(0), Outcome::Taken, None, at(0));
    assert_eq!(table.next_due(), Some(at(100_000)));
    let last = table.take(at(100_000), 1);
    assert_eq!(last[0].ending, Some(Ending::of(Reason::Timeout)));
    let gone = table.answered(Id(0), Outcome::Refused { status: 500, retry_after: None }, None, at(100_001));
    assert_eq!(gone.unwrap().ending.reason, Reason::Timeout);
    assert!(table.is_empty() && table.next_due().is_none());
}

#[test]
fn a_refresh_is_told_at_once_and_in_full_even_right_after_another() {
    let mut table = table(1);
    table.take(at(0), 1);
    table.answered(Id(0), Outcome::Taken, Some(7), at(0));
    table.changed(&alice(), Some(&Delta::Member("a".into())));
    table.refresh(Id(0), entry(200_000), None);
    let notices = table.take(at(1), 9);
    assert_eq!((ids(&notices), notices[0].deltas.is_none(), notices[0].base), (vec![0], true, None));
    assert_eq!(notices[0].expires, 200);
}

#[test]
fn changes_are_told_alone_with_what_they_build_upon_until_there_are_too_many() {
    let mut table = table(1);
    table.take(at(0), 1);
    table.answered(Id(0), Outcome::Taken, Some(7), at(0));
    let delta = |number: usize| Delta::Member(number.to_string().into());
    for number in [1, 2, 1] {
        table.changed(&alice(), Some(&delta(number)));
    }
    let notices = table.take(at(RATE), 1);
    assert_eq!(notices[0].deltas, Some(vec![delta(1), delta(2)]));
    assert_eq!(notices[0].base, Some(7));
    table.answered(Id(0), Outcome::Taken, Some(8), at(RATE));
    for number in 0..=DELTAS {
        table.changed(&alice(), Some(&delta(number)));
    }
    let notices = table.take(at(2 * RATE), 1);
    assert_eq!((&notices[0].deltas, notices[0].base), (&None, None));
}

#[test]
fn a_fetch_is_told_once_with_all_that_there_is_of_it() {
    let mut table: Table<u8> = Table::new(RATE);
    let record = Box::new(crate::subscription::tests::example());
    let ended = Some((Ending::of(Reason::Timeout), record));
    table.insert(Id(3), Entry { ended, ..entry(0) }, false);
    let notices = table.take(at(0), 1);
    assert!(notices[0].record.is_some() && notices[0].ending.is_some());
    assert!(table.answered(Id(3), Outcome::Taken, None, at(1)).is_some());
}

#[test]
fn decisions_and_ends_of_ours_are_told_at_once() {
    let mut table = table(2);
    table.take(at(0), 2);
    for number in [0, 1] {
        table.answered(Id(number), Outcome::Taken, None, at(0));
    }
    table.decide(Id(0), Decision::Pending, 5);
    table.end(Id(1), Ending::of(Reason::Rejected));
    let notices = table.take(at(1), 9);
    assert_eq!(notices.len(), 2);
    let of = |number| notices.iter().find(|notice| notice.id == Id(number)).unwrap();
    assert_eq!((of(0).decision, of(0).ending), (Decision::Pending, None));
    assert_eq!(of(1).ending, Some(Ending::of(Reason::Rejected)));
}

#[test]
fn members_tell_their_lists_and_no_longer_when_these_leave() {
    let mut table: Table<u8> = Table::new(RATE);
    let of = Arc::new(alice());
    table.listen(&alice(), Id(9), Arc::clone(&of));
    table.listen(&alice(), Id(9), Arc::clone(&of));
    assert_eq!(table.changed(&alice(), None), [(Id(9), of)]);
    table.leave(&alice(), Id(9));
    assert_eq!(table.changed(&alice(), None), []);
    assert_eq!(table.resources().count(), 0);
}

#[test]
fn watchers_leave_in_any_order_and_the_heap_stays_small() {
    let mut table = table(100);
    for round in 0..15 {
        let now = at(round * RATE);
        let taken = table.take(now, 1000);
        assert_eq!(taken.len(), 100);
        taken.iter().for_each(|notice| drop(table.answered(notice.id, Outcome::Taken, None, now)));
        table.changed(&alice(), None);
    }
    assert!(table.due.len() <= 2 * 100 + SLACK + 1);
    for number in (0..100).rev().step_by(3).chain(0..100) {
        table.remove(Id(number));
    }
    assert!(table.is_empty() && table.resources().count() == 0);
}

#[test]
fn a_burst_of_ends_is_taken_in_pieces() {
    let mut table: Table<u8> = Table::new(RATE);
    (0..1000).for_each(|number| table.insert(Id(number), entry(10), true));
    let first = table.take(at(10), 64);
    assert_eq!(first.len(), 64);
    assert!(first.iter().all(|notice| notice.ending == Some(Ending::of(Reason::Timeout))));
    assert_eq!(table.take(at(10), 1000).len(), 936);
}
