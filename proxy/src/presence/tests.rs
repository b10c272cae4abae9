//! What happens when rules change while something else is under way.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use cpi::Extensions;
use presence::document::{Document, Form};
use presence::event::Package;
use presence::publication::{Publication, Publications};
use presence::rules::{Decision, Rule, Rules, Who};
use presence::subscription::{Id, Kind, Resource, Subscription};
use presence::time::Moment;
use registrar::{Profiles, Registrar};
use store::Store;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use transport::{Config, Endpoint, Listen, Protocol};

use super::Presence;
use super::body::Maker;
use crate::offline::{Offline, Runs};
use crate::rates::{Lateness, Rates};
use crate::rooms::{Policy, Rooms};
use crate::settings::Settings;

const ANN: &str = "sip:ann@example.com";
const BOB: &str = "sip:bob@example.com";
const CARL: &str = "sip:carl@example.com";

struct House {
    rooms: Rooms,
    presence: Presence,
    store: Store,
    _folder: TempDir,
}

impl House {
    async fn new() -> House {
        let folder = tempfile::tempdir().unwrap();
        let on_disk = vec![Offline::on_disk(), Presence::on_disk()];
        let store =
            Store::open(folder.path(), store::Options { on_disk, ..store::Options::default() }).unwrap();
        let settings = Settings::new("example.com", "proxy.example.com");
        let listen = Listen { protocol: Protocol::Udp, addr: "127.0.0.1:0".parse().unwrap() };
        let bound = Endpoint::bind(Config { listen: vec![listen], ..Config::default() }).await.unwrap();
        let presence = Presence::open(&store, &settings.presence, Extensions::NONE);
        let rooms = Rooms {
            lateness: Lateness::new(settings.delay),
            sources: Rates::new(settings.source_rate),
            users: Rates::new(settings.user_rate),
            policy: arc_swap::ArcSwap::new(Arc::new(Policy::new(settings, Profiles::default(), Vec::new()))),
            key: crate::RouteKey::generate().unwrap(),
            endpoint: bound.endpoint(),
            registrar: Arc::new(Registrar::open(&store, registrar::Options::default())),
            avoided: crate::avoid::Avoided::default(),
            links: None,
            pool: Arc::new(crate::Pool::new(1, 4).unwrap()),
            offline: Arc::new(Offline::open(&store)),
            runs: Runs::default(),
            annc: std::sync::OnceLock::new(),
            presence: std::sync::OnceLock::new(),
            permits: Arc::new(Semaphore::new(1)),
        };
        House { rooms, presence, store, _folder: folder }
    }

    /// A subscription of which the watcher was told already.
    async fn watch(&self, id: Id, watcher: &str) -> Subscription {
        self.subscribe(id, watcher, |all| all).await
    }

    async fn subscribe(
        &self,
        id: Id,
        watcher: &str,
        but: impl FnOnce(Subscription) -> Subscription,
    ) -> Subscription {
        let subscription = but(Subscription {
            resource: resource(),
            kind: Kind::One,
            members: Vec::new(),
            watcher: watcher.into(),
            proven: true,
            decision: Decision::Allow,
            event_id: None,
            call_id: "call".into(),
            local: format!("<{ANN}>").into(),
            remote: format!("<{watcher}>;tag=w").into(),
            target: "sip:phone@127.0.0.1".into(),
            routes: Vec::new(),
            remote_cseq: 1,
            capabilities: vec!["Accept: application/pidf+xml".into()],
            expires_at: now().seconds() + 3600,
            created_at: now().seconds(),
            floor: 1,
            origin: Bytes::new(),
        });
        let stored = self.presence.shelf.subscribe(id, None, Some(&subscription)).await.unwrap();
        let entry = self.presence.entry(&subscription, stored, None).unwrap();
        self.presence.share(&subscription.resource).lock().insert(id, entry, true);
        subscription
    }

    fn decision(&self, id: Id) -> Decision {
        self.presence.find(&resource(), id, |found| found.decision).unwrap()
    }

    async fn publish(&self, note: &str) {
        let document = Document::new("pres:ann@example.com").tuple("t", true, None).note(note);
        let entry = Publication {
            tag: 1,
            expires_at: now().seconds() + 3600,
            published_at: now().millis(),
            document: document.write(Form::Pidf),
            objects: Vec::new(),
        };
        let all = Publications { changed_at: now().seconds(), entries: vec![entry] };
        let version = self.presence.shelf.version(ANN);
        self.presence.shelf.publish(ANN, version, &all).await.unwrap();
    }
}

fn resource() -> Resource {
    Resource { package: Package::Presence, aor: ANN.into() }
}

fn now() -> Moment {
    Moment::from(transport::now())
}

fn everyone(decision: Decision) -> Rules {
    Rules { rules: vec![Rule { who: Who::Everyone, decision }] }
}

/// A document of rules: each lets a user in, or does not, and shows services and what is granted beside them.
fn document(rules: &[(&str, &str, &str)]) -> Bytes {
    let rule = |(user, handling, granted): &(&str, &str, &str)| {
        format!(
            "<cr:rule id=\"{}\"><cr:conditions><cr:identity><cr:one id=\"{user}\"/></cr:identity></cr:conditions>\
             <cr:actions><sub-handling>{handling}</sub-handling></cr:actions><cr:transformations>\
             <provide-services><all-services/></provide-services>{granted}</cr:transformations></cr:rule>",
            &user[4..7]
        )
    };
    let rules: String = rules.iter().map(rule).collect();
    format!(
        "<cr:ruleset xmlns=\"urn:ietf:params:xml:ns:pres-rules\" \
         xmlns:cr=\"urn:ietf:params:xml:ns:common-policy\">{rules}</cr:ruleset>"
    )
    .into()
}

const NOTES: &str = "<provide-note>true</provide-note>";

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[tokio::test]
async fn rules_that_changed_with_time_are_read_when_it_is_their_turn() {
    let house = House::new().await;
    let presence = &house.presence;
    house.watch(Id(1), BOB).await;
    presence.shelf.set_rules(ANN, &everyone(Decision::Allow)).await.unwrap();
    let turn = presence.ruling.of(ANN).await;
    let aor = ANN.into();
    let mut held = pin!(presence.hold_again(&aor, Decision::Allow));
    assert!(poll_once(held.as_mut()).is_pending());
    // Whoever has the turn puts others in force.
    presence.shelf.set_rules(ANN, &everyone(Decision::PoliteBlock)).await.unwrap();
    drop(turn);
    held.await.unwrap();
    assert_eq!(house.decision(Id(1)), Decision::PoliteBlock);
}

#[tokio::test]
async fn new_rules_wait_until_those_before_them_are_in_force() {
    let house = House::new().await;
    let presence = &house.presence;
    house.watch(Id(1), BOB).await;
    let turn = presence.ruling.of(ANN).await;
    let rules = everyone(Decision::PoliteBlock);
    let mut listed = pin!(presence.set_rules(ANN, &rules, Decision::Allow));
    let shown = document(&[(BOB, "allow", "")]);
    let mut written = pin!(presence.set_rules_document(ANN, shown, Decision::Allow));
    assert!(poll_once(listed.as_mut()).is_pending() && poll_once(written.as_mut()).is_pending());
    // What the store takes after it is there when what it took before is.
    presence.shelf.set_rules(CARL, &rules).await.unwrap();
    assert!(presence.shelf.rules_version(ANN).is_none(), "nothing is written out of turn");
    drop(turn);
    let (listed, written) = tokio::join!(listed, written);
    assert!(listed.is_ok() && written.is_ok());
    assert_eq!(house.decision(Id(1)), Decision::Allow, "the last ones hold");
}

#[tokio::test]
async fn who_may_see_less_is_told_so_before_the_others_hear_what_they_see() {
    let house = House::new().await;
    let presence = &house.presence;
    presence
        .shelf
        .set_rules_document(ANN, document(&[(BOB, "allow", NOTES), (CARL, "allow", NOTES)]))
        .await
        .unwrap();
    house.watch(Id(1), BOB).await;
    house.watch(Id(2), CARL).await;
    // The last step of holding waits for this.
    let turn = presence.publishing.turn(ANN).await;
    let shown = document(&[(BOB, "confirm", NOTES), (CARL, "allow", "")]);
    let mut set = pin!(presence.set_rules_document(ANN, shown, Decision::Allow));
    while house.decision(Id(1)) == Decision::Allow {
        assert!(poll_once(set.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(poll_once(set.as_mut()).is_pending());
    let later = now().after(60_000);
    let due = |presence: &Presence| {
        let taken = presence.share(&resource()).lock().take(later, 10);
        taken.iter().map(|notice| notice.id).collect::<Vec<_>>()
    };
    assert_eq!(due(presence), [Id(1)], "whom it is held against, and nobody who would be shown something");
    drop(turn);
    set.await.unwrap();
    assert_eq!(due(presence), [Id(2)]);
}

#[tokio::test]
async fn whom_the_rules_shut_out_while_his_notify_is_made_sees_nothing_more() {
    let house = House::new().await;
    let presence = &house.presence;
    presence.shelf.set_rules_document(ANN, document(&[(BOB, "allow", NOTES)])).await.unwrap();
    house.publish("At home").await;
    let subscription = house.watch(Id(1), BOB).await;
    let maker = Maker { rooms: &house.rooms, presence };
    presence.changed(&resource(), None);
    let notice = presence.share(&resource()).lock().take(now().after(60_000), 10).pop().unwrap();
    assert_eq!(notice.decision, Decision::Allow);
    // The subscription still says that he may.
    for (handling, is_told) in
        [("allow", true), ("confirm", false), ("polite-block", false), ("block", false)]
    {
        let rules = document(&[(BOB, handling, NOTES), (CARL, "allow", "")]);
        presence.shelf.set_rules_document(ANN, rules).await.unwrap();
        let (made, _) = maker.body(&notice, &subscription, None).await;
        let told = String::from_utf8(made.body.to_vec()).unwrap();
        assert_eq!(told.contains("At home"), is_told, "{handling}: {told}");
    }
    for (_, decision) in Decision::ALL {
        presence.shelf.set_rules(ANN, &everyone(decision)).await.unwrap();
        let (made, _) = maker.body(&notice, &subscription, None).await;
        let told = String::from_utf8(made.body.to_vec()).unwrap();
        assert_eq!(told.contains("At home"), decision == Decision::Allow, "{decision:?}: {told}");
    }
}

#[tokio::test]
async fn rules_that_came_while_a_subscription_began_or_was_refreshed_hold_for_it() {
    let house = House::new().await;
    let presence = &house.presence;
    let settings = crate::presence_settings::Settings::default();
    house.watch(Id(1), BOB).await;
    house.watch(Id(2), ANN).await;
    presence.shelf.set_rules(ANN, &everyone(Decision::PoliteBlock)).await.unwrap();
    for id in [Id(1), Id(2)] {
        presence.keep_current(&settings, &Arc::new(resource()), id, &[]).await;
    }
    assert_eq!(house.decision(Id(1)), Decision::PoliteBlock);
    assert_eq!(presence.shelf.subscription(Id(1)).unwrap().1.decision, Decision::PoliteBlock);
    assert_eq!(house.decision(Id(2)), Decision::Allow, "the user himself");
    presence.shelf.set_rules(ANN, &everyone(Decision::Block)).await.unwrap();
    presence.keep_current(&settings, &Arc::new(resource()), Id(1), &[]).await;
    assert!(presence.find(&resource(), Id(1), |found| found.is_ending).unwrap());
}

#[tokio::test]
async fn a_list_that_became_another_one_while_nobody_looked_ends() {
    let house = House::new().await;
    let aor = "sip:friends@example.com";
    let friends = Resource { package: Package::Presence, aor: aor.into() };
    let of_friends = |all| Subscription {
        kind: Kind::List,
        resource: friends.clone(),
        members: vec![ANN.into(), CARL.into()],
        ..all
    };
    house.subscribe(Id(1), BOB, of_friends).await;
    house.subscribe(Id(2), CARL, |all| Subscription { kind: Kind::Carried, ..of_friends(all) }).await;
    let list = |owner: Option<&str>, members: &[&str]| crate::presence_settings::Settings {
        lists: vec![crate::presence_settings::EventList {
            uri: "friends@example.com".into(),
            owner: owner.map(str::to_owned),
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        }],
        ..crate::presence_settings::Settings::default()
    };
    for (settings, ends) in [
        (list(None, &["ann@example.com", "carl@example.com"]), false),
        (list(Some("bob@example.com"), &[ANN, CARL]), false),
        (list(Some("carl@example.com"), &[ANN, CARL]), true),
        (list(None, &[ANN]), true),
        (crate::presence_settings::Settings::default(), true),
    ] {
        let again = Presence::open(&house.store, &settings, Extensions::NONE);
        let is_ending = |id| again.find(&friends, id, |found| found.is_ending).unwrap();
        assert_eq!((is_ending(Id(1)), is_ending(Id(2))), (ends, false), "{:?}", settings.lists);
    }
    // And the same where it became another one while the subscription began.
    let members = [Bytes::from(ANN), CARL.into()];
    for (settings, ends) in [(list(None, &[ANN, CARL]), false), (list(None, &[CARL, ANN]), true)] {
        house.presence.keep_current(&settings, &Arc::new(friends.clone()), Id(1), &members).await;
        let is_ending = house.presence.find(&friends, Id(1), |found| found.is_ending);
        assert_eq!(is_ending, Some(ends));
    }
}
