//! What one registered phone costs in memory.

use crate::support::{House, register_for};

/// Phones that register here.
const PHONES: usize = 200;

/// Different CPIs among them.
const CPIS: usize = 20;

/// Octets of the phones' records, their keys included: what the index holds for each beside its own frame.
async fn octets_per_phone(house: &House) -> usize {
    for phone in 0..PHONES {
        let width = 100 + phone % CPIS;
        let contact = format!(
            "Contact: <sip:user{phone:05}@192.0.2.7:40000>;expires=3600;\
             +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-{phone:012}>\""
        );
        let accept = format!("Accept: text/plain, image/jpeg;media-pix-x=max+{width};media-pix-y=max+120");
        let aor = format!("sip:user{phone:05}@example.com");
        let call_id = format!("{phone:05}-4711@192.0.2.7");
        let outcome = house.send(&register_for(&aor, &call_id, 1, &[&contact, &accept]), 0).await;
        assert_eq!(outcome.status, 200);
    }
    let mut octets = 0;
    house.store().space("bindings").scan(|key, _, value| octets += key.len() + value.len());
    octets / PHONES
}

#[tokio::test]
async fn a_phone_costs_little_beyond_what_it_said() {
    let house = House::new();
    let octets = octets_per_phone(&house).await;
    // The AOR, URI, parameters and Call-ID of these phones are 160 octets.
    assert!(octets <= 200, "{octets} octets per phone");
}
