//! Bodies: whatever the octets, a tree within its limits, and a plan that keeps to the budget or says why not.

use adapter::mime::{Tree, describe};
use adapter::{Budget, Built, Entity, Field, Guards, Link, LinkShape, Plan, Settings, Verdict, plan};
use bytes::Bytes;
use cpi::{Cpi, Extensions};

/// Pictures small enough that an input takes milliseconds.
const PIXELS: u64 = 1 << 16;

/// The first octet chooses the terminal and the store; then a header block, an empty line, and the body.
pub fn run(data: &[u8]) {
    let Some((&choice, message)) = data.split_first() else { return };
    let entity = entity(message);
    let guards = guards();
    let tree = Tree::read(&entity, &guards);
    assert!(tree.nodes().len() <= guards.parts + 1);
    for (id, node) in tree.nodes() {
        assert!(node.body.start <= node.body.end && node.body.end <= entity.body.len());
        assert!(tree.path(id).matches('.').count() <= guards.depth);
    }
    let _ = describe(&entity, &guards);
    planned(&entity, choice);
}

fn planned(entity: &Entity, choice: u8) {
    let (cpi, whole) = terminal(choice);
    let links = (choice & 8 != 0).then_some(LinkShape { url_octets: 40, adaptive: choice & 16 != 0 });
    let settings = Settings { links, guards: guards(), ..Settings::new("fuzz.example") };
    let mut made = plan(entity, Some(&cpi), &settings, Budget::default());
    for round in 0..=Plan::ROUNDS {
        match made.verdict() {
            Verdict::Adapt => {}
            Verdict::Unchanged | Verdict::Refuse(_) => return,
        }
        assert!(round < Plan::ROUNDS, "more rounds than promised");
        let outcomes = made.jobs().iter().map(|job| job.run(&|| false)).collect();
        let links = made.links().iter().map(|request| link(request.id)).collect();
        match made.build(outcomes, links) {
            Ok(Built::Done(adapted)) => {
                assert!(whole.is_none_or(|whole| adapted.body.len() as u64 <= whole));
                return;
            }
            Ok(Built::Again(next)) => made = *next,
            Err(_) => return,
        }
    }
}

fn terminal(choice: u8) -> (Cpi, Option<u64>) {
    let accept = match choice % 4 {
        0 => "text/plain",
        1 => "text/plain, image/*;media-pix-x=max+16, message/external-body",
        2 => "text/html, image/gif;length=max+300, multipart/related, application/smil",
        _ => "image/jpeg;media-pix-x=max+32;media-pix-y=max+32, application/smil",
    };
    let whole = (choice & 4 != 0).then_some(600u64);
    let limit = whole.map(|whole| format!("identity;length=max+{whole}"));
    let lines = [(&b"Accept"[..], accept.as_bytes())];
    let limited = limit.as_ref().map(|limit| (&b"Accept-Encoding"[..], limit.as_bytes()));
    let (cpi, _) = cpi::decode::from_headers(lines.into_iter().chain(limited), &Extensions::NONE);
    (cpi, whole)
}

fn entity(message: &[u8]) -> Entity {
    let octets = Bytes::copy_from_slice(message);
    let head: usize = grammar::fields(&octets).map(|field| field.raw.len()).sum();
    let fields = grammar::fields(&octets)
        .filter(|field| Entity::describes(field.name))
        .map(|field| Field::new(octets.slice_ref(field.name), octets.slice_ref(field.value)))
        .collect();
    Entity { fields, body: octets.slice(head.min(octets.len())..) }
}

fn guards() -> Guards {
    let image = adapter::image::Guards { pixels: PIXELS, frames: 4, ..Guards::default().image };
    Guards { image, ..Guards::default() }
}

fn link(id: usize) -> Link {
    Link { id, url: format!("https://fuzz.example/c/{id}"), expires: std::time::UNIX_EPOCH }
}
