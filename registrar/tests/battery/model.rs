//! Expiry and CSeq against a model so simple that it can be read beside RFC 3261 §10.3.

use crate::support::{House, contacts, register_for};
use proptest::prelude::*;

const MIN_EXPIRES: u32 = 60;

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Query,
    Wildcard { call_id: u8, cseq: u32 },
    Contacts { call_id: u8, cseq: u32, header: Option<u32>, list: Vec<(u8, Option<u32>)> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let expiry = || prop::option::of(prop::sample::select(vec![0, 1, 59, 60, 61, 600, 3599, 3600, 7200]));
    let contacts = (0..2u8, 1..8u32, expiry(), prop::collection::vec((0..4u8, expiry()), 1..4));
    let step = prop_oneof![
        2 => (0..1000u64).prop_map(Step::Wait),
        1 => Just(Step::Query),
        1 => (0..2u8, 1..8u32).prop_map(|(call_id, cseq)| Step::Wildcard { call_id, cseq }),
        6 => contacts.prop_map(|(call_id, cseq, header, list)| Step::Contacts { call_id, cseq, header, list }),
    ];
    prop::collection::vec(step, 1..25)
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    phone: u8,
    call_id: u8,
    cseq: u32,
    ends: u64,
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    now: u64,
}

impl Model {
    /// The status; a refusal leaves everything as it was.
    fn take(&mut self, step: &Step) -> u16 {
        self.entries.retain(|entry| self.now < entry.ends);
        let before = self.entries.clone();
        let in_order = |entry: &&Entry, id: u8, cseq: u32| entry.call_id != id || cseq > entry.cseq;
        match step {
            Step::Wait(_) | Step::Query => {}
            Step::Wildcard { call_id, cseq } => {
                if !before.iter().all(|entry| in_order(&entry, *call_id, *cseq)) {
                    return 500;
                }
                self.entries.clear();
            }
            Step::Contacts { call_id, cseq, header, list } => {
                for (phone, own) in list {
                    let lifetime = own.or(*header).unwrap_or(3600);
                    if lifetime > 0 && lifetime < 3600 && lifetime < MIN_EXPIRES {
                        self.entries = before;
                        return 423;
                    }
                    // A later Contact of the same request is no later request.
                    let old = before.iter().find(|entry| entry.phone == *phone);
                    let untouched = self.entries.iter().find(|entry| entry.phone == *phone) == old;
                    if untouched && old.is_some_and(|old| !in_order(&old, *call_id, *cseq)) {
                        self.entries = before;
                        return 500;
                    }
                    let new = Entry {
                        phone: *phone,
                        call_id: *call_id,
                        cseq: *cseq,
                        ends: self.now + u64::from(lifetime),
                    };
                    match self.entries.iter().position(|entry| entry.phone == *phone) {
                        Some(at) if lifetime == 0 => drop(self.entries.remove(at)),
                        Some(at) => self.entries[at] = new,
                        None if lifetime == 0 => {}
                        None => self.entries.push(new),
                    }
                }
            }
        }
        200
    }
}

fn send(step: &Step, aor: &str) -> Option<sip::Request> {
    let id = |call_id: &u8| format!("call-{call_id}");
    Some(match step {
        Step::Wait(_) => return None,
        Step::Query => register_for(aor, "query", 1, &[]),
        Step::Wildcard { call_id, cseq } => {
            register_for(aor, &id(call_id), *cseq, &["Contact: *", "Expires: 0"])
        }
        Step::Contacts { call_id, cseq, header, list } => {
            let mut lines: Vec<_> = list
                .iter()
                .map(|(phone, own)| {
                    let own = own.map_or(String::new(), |seconds| format!(";expires={seconds}"));
                    format!("Contact: <sip:phone{phone}@192.0.2.7>{own}")
                })
                .collect();
            lines.extend(header.map(|seconds| format!("Expires: {seconds}")));
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            register_for(aor, &id(call_id), *cseq, &lines)
        }
    })
}

#[test]
fn any_sequence_of_registers_is_answered_as_the_model_says() {
    let house = House::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let users = std::cell::Cell::new(0u32);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&steps(), |steps| {
        users.set(users.get() + 1);
        let aor = format!("sip:user{}@example.com", users.get());
        let mut model = Model::default();
        for step in &steps {
            if let Step::Wait(seconds) = step {
                model.now += seconds;
            }
            let Some(request) = send(step, &aor) else { continue };
            let expected = model.take(step);
            let outcome = runtime.block_on(house.send(&request, model.now));
            prop_assert_eq!(outcome.status, expected, "{:?}", step);
            if expected == 200 {
                let listed: Vec<_> = model
                    .entries
                    .iter()
                    .map(|e| format!("<sip:phone{}@192.0.2.7>;expires={}", e.phone, e.ends - model.now))
                    .collect();
                prop_assert_eq!(contacts(&outcome), listed);
            }
        }
        Ok(())
    });
    outcome.unwrap();
}
