//! Time is an argument: what happens at which second, and when the clock is set.

use crate::support::{House, contacts, now, register};
use registrar::Lookup;

const PHONE: &str = "Contact: <sip:john@192.0.2.7>;expires=600";

#[tokio::test]
async fn a_binding_ends_in_the_second_it_was_granted_until() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE]), 0).await;
    assert_eq!((house.bindings(599).len(), house.bindings(600).len()), (1, 0));
    assert!(matches!(house.find(600), Lookup::Known));
    let kept = house.registrar().sweep(now(599)).await;
    assert_eq!((kept.bindings, house.registrar().sweep(now(600)).await.bindings), (0, 1));
}

#[tokio::test]
async fn a_clock_set_forward_ends_what_it_passes_and_no_more() {
    let house = House::new();
    let both = [PHONE, "Contact: <sip:john@192.0.2.8>;expires=86400"];
    house.send(&register("a", 1, &both), 0).await;
    assert_eq!(house.registrar().sweep(now(40_000)).await.bindings, 1);
    assert_eq!(house.only_binding(40_000).expires_at, now(86_400));
}

#[tokio::test]
async fn a_clock_set_back_lets_no_binding_live_longer_than_was_granted() {
    let house = House::new();
    house.registrar().sweep(now(100_000)).await;
    house.send(&register("a", 1, &[PHONE]), 100_000).await;
    // The clock is set back by more than a day.
    let query = house.send(&register("q", 1, &[]), 1000).await;
    assert_eq!(contacts(&query), ["<sip:john@192.0.2.7>;expires=600"]);
    house.registrar().sweep(now(1000)).await;
    assert_eq!(house.only_binding(1599).expires_at, now(1600));
    assert_eq!(house.bindings(1600).len(), 0);
    // Set forward again: it is over, not renewed.
    assert_eq!(house.bindings(100_300).len(), 0);
}

#[tokio::test]
async fn a_refresh_after_the_clock_was_set_back_is_counted_from_then() {
    let house = House::new();
    house.send(&register("a", 1, &[PHONE]), 100_000).await;
    let outcome = house.send(&register("a", 2, &[PHONE]), 1000).await;
    assert_eq!(outcome.status, 200);
    assert_eq!(house.only_binding(1000).expires_at, now(1600));
}
