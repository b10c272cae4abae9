//! What those who follow registrations are told (RFC 3680).

use crate::support::{AOR, House, now, register, uri};
use registrar::{ContactEvent, EndError, Ending, Lagged, Subscription};

const ONE: &str = "Contact: <sip:john@192.0.2.7>;expires=600";
const TWO: &str = "Contact: <sip:john@192.0.2.8>;expires=7200";

/// The next change as `host event`, and its version.
async fn told(feed: &mut Subscription) -> (Vec<String>, u64) {
    let change = feed.next().await.unwrap().unwrap();
    assert_eq!(&*change.aor, AOR);
    let contact =
        |each: &registrar::ContactChange| format!("{} {:?}", each.binding.uri.host().unwrap(), each.event);
    (change.contacts.iter().map(contact).collect(), change.version)
}

#[tokio::test]
async fn every_change_is_told_once_with_what_happened_to_whom() {
    let house = House::new();
    let mut feed = house.registrar().subscribe();
    house.send(&register("a", 1, &[ONE, TWO]), 0).await;
    let (created, first) = told(&mut feed).await;
    assert_eq!(created, ["192.0.2.7 Created", "192.0.2.8 Created"]);
    house.send(&register("a", 2, &[ONE]), 1).await;
    let (refreshed, second) = told(&mut feed).await;
    assert_eq!(refreshed, ["192.0.2.7 Refreshed"]);
    assert!(second > first);
    // Queries and refusals change nothing.
    house.send(&register("q", 1, &[]), 2).await;
    assert_eq!(house.send(&register("a", 2, &[ONE]), 2).await.status, 500);
    house.send(&register("a", 3, &["Contact: <sip:john@192.0.2.8>;expires=0"]), 3).await;
    assert_eq!(told(&mut feed).await.0, ["192.0.2.8 Unregistered"]);
    house.registrar().sweep(now(601)).await;
    assert_eq!(told(&mut feed).await.0, ["192.0.2.7 Expired"]);
    house.send(&register("a", 4, &[ONE, TWO]), 700).await;
    assert_eq!(told(&mut feed).await.0.len(), 2);
    house.send(&register("a", 5, &["Contact: *", "Expires: 0"]), 701).await;
    assert_eq!(told(&mut feed).await.0, ["192.0.2.7 Unregistered", "192.0.2.8 Unregistered"]);
}

#[tokio::test]
async fn what_had_expired_is_told_with_the_next_register() {
    let house = House::new();
    let mut feed = house.registrar().subscribe();
    house.send(&register("a", 1, &[ONE]), 0).await;
    told(&mut feed).await;
    house.send(&register("b", 1, &[TWO]), 600).await;
    assert_eq!(told(&mut feed).await.0, ["192.0.2.7 Expired", "192.0.2.8 Created"]);
}

#[tokio::test]
async fn a_snapshot_says_which_changes_are_in_it() {
    let house = House::new();
    let mut feed = house.registrar().subscribe();
    assert_eq!(house.registrar().snapshot(&uri(AOR), now(0)).version, 0);
    house.send(&register("a", 1, &[ONE]), 0).await;
    let before = house.registrar().snapshot(&uri(AOR), now(1));
    house.send(&register("b", 1, &[TWO]), 1).await;
    let after = house.registrar().snapshot(&uri(AOR), now(1));
    assert_eq!((before.bindings.len(), after.bindings.len()), (1, 2));
    assert_eq!(told(&mut feed).await.1, before.version);
    assert_eq!(told(&mut feed).await.1, after.version);
}

#[tokio::test]
async fn what_the_operator_does_is_told_with_its_event() {
    let house = House::new();
    house.send(&register("a", 1, &[ONE, TWO]), 0).await;
    let mut feed = house.registrar().subscribe();
    let registrar = house.registrar();
    let (aor, one) = (uri(AOR), uri("sip:john@192.0.2.7"));
    assert_eq!(registrar.end(&aor, None, Ending::Shortened { left: 60 }, now(1)).await, Ok(2));
    assert_eq!(told(&mut feed).await.0, ["192.0.2.7 Shortened", "192.0.2.8 Shortened"]);
    assert!(house.bindings(1).iter().all(|binding| binding.expires_at == now(61)));
    let probation = Ending::Probation { retry_after: 30 };
    assert_eq!(registrar.end(&aor, Some(&one), probation, now(2)).await, Ok(1));
    let change = feed.next().await.unwrap().unwrap();
    assert_eq!(change.contacts[0].event, ContactEvent::Probation { retry_after: 30 });
    assert_eq!(registrar.end(&aor, Some(&one), Ending::Rejected, now(2)).await, Err(EndError::NotFound));
    assert_eq!(registrar.end(&aor, None, Ending::Rejected, now(2)).await, Ok(1));
    assert_eq!(told(&mut feed).await.0, ["192.0.2.8 Rejected"]);
    assert!(house.bindings(2).is_empty());
}

#[tokio::test]
async fn nobody_waits_for_a_slow_follower_who_is_told_what_was_lost() {
    let house = House::new();
    let mut feed = house.registrar().subscribe();
    for cseq in 1..=1030 {
        assert_eq!(house.send(&register("a", cseq, &[ONE]), 0).await.status, 200);
    }
    assert_eq!(feed.next().await.err(), Some(Lagged(6)));
    assert!(feed.next().await.is_ok());
}

#[tokio::test]
async fn pages_go_through_all_users_who_are_registered_in_the_order_of_their_names() {
    let house = House::new();
    for user in ["eve", "bob", "carol", "ann", "dan"] {
        let aor = format!("sip:{user}@example.com");
        house
            .send(&crate::support::register_for(&aor, user, 1, &[if user == "dan" { ONE } else { TWO }]), 0)
            .await;
    }
    let (mut seen, mut after) = (Vec::new(), None::<std::sync::Arc<str>>);
    loop {
        let page = house.registrar().page(after.as_deref(), 2, now(600));
        assert!(page.users.len() <= 2);
        seen.extend(page.users.iter().map(|(aor, bindings)| format!("{aor} {}", bindings.len())));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected = ["ann", "bob", "carol", "eve"].map(|user| format!("sip:{user}@example.com 1"));
    assert_eq!(seen, expected, "dan's has expired");
}
