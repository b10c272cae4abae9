//! REGISTERs at the same time: each lands whole or is refused, none is lost.

use std::sync::Arc;

use crate::support::{House, now, register, source};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

async fn at_once(house: &House, requests: Vec<sip::Request>) -> Vec<u16> {
    let barrier = Arc::new(Barrier::new(requests.len()));
    let mut tasks = JoinSet::new();
    for request in requests {
        let (registrar, barrier) = (Arc::clone(house.registrar()), Arc::clone(&barrier));
        tasks.spawn(async move {
            barrier.wait().await;
            registrar.register(&request, source(), now(0)).await.status
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_of_one_user_that_register_at_once_all_land() {
    let mut house = House::new();
    let request = |n| {
        let contact = format!("Contact: <sip:john@192.0.2.{n}>");
        let accept = format!("Accept: image/gif;media-pix-x=max+{}", 100 + n % 3);
        register(&format!("c{n}"), 1, &[&contact, &accept])
    };
    assert_eq!(at_once(&house, (0..24).map(request).collect()).await, [200; 24]);
    assert_eq!(house.bindings(0).len(), 24);
    house.restart();
    assert_eq!(house.bindings(0).len(), 24);
    assert!(house.bindings(0).iter().all(|binding| binding.cpi.is_some()));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_with_one_call_id_and_cseq_one_is_refused() {
    let house = House::new();
    let twice = vec![register("a", 1, &["Contact: <sip:john@192.0.2.7>"]); 2];
    let mut statuses = at_once(&house, twice).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 500]);
    assert_eq!(house.bindings(0).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sweeping_meanwhile_takes_no_cpi_from_a_new_binding() {
    let house = House::new();
    let registrar = Arc::clone(house.registrar());
    let sweeper = tokio::spawn(async move {
        for _ in 0..60 {
            registrar.sweep(now(0)).await;
        }
    });
    // Two capabilities that come and go, so that each is cleared away and needed again all the time.
    for cseq in 1..60 {
        let accept = format!("Accept: image/gif;media-pix-x=max+{}", 100 + cseq % 2);
        let outcome = house.send(&register("a", cseq, &["Contact: <sip:john@192.0.2.7>", &accept]), 0).await;
        assert_eq!(outcome.status, 200);
        assert!(house.only_binding(0).cpi.is_some(), "{cseq}");
    }
    sweeper.await.unwrap();
    let mut house = house;
    house.restart();
    assert!(house.only_binding(0).cpi.is_some());
}
