//! The body side of the recipes of CPI.md section 8: a REGISTER or an Accept, a message, and what the recipient gets.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "helpers of tests, which read the example messages"
)]

mod bounds;
mod formats;
mod kept;
mod links;
mod metamorphic;
mod parts;
mod pictures;
mod presence;
mod rules;
mod texts;

use std::time::{Duration, UNIX_EPOCH};

use adapter::{
    Adapted, Budget, Built, Entity, Field, Link, LinkRequest, LinkShape, Plan, Refusal, Report, Settings,
    Verdict, plan,
};
use bytes::Bytes;
use cpi::{Cpi, Extensions};

const MESSAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/");
const IMAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/images/");

/// Head lines and body of the example message whose name begins so.
fn message(number: &str) -> (Vec<Field>, Bytes) {
    let entry = std::fs::read_dir(MESSAGES)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(number));
    let octets = Bytes::from(std::fs::read(entry.unwrap()).unwrap());
    let head = memchr::memmem::find(&octets, b"\r\n\r\n").unwrap() + 2;
    let start = memchr::memchr(b'\n', &octets).unwrap() + 1;
    let fields = grammar::fields(&octets[start..head])
        .map(|field| Field::new(octets.slice_ref(field.name), octets.slice_ref(field.value)))
        .collect();
    (fields, octets.slice(head + 2..))
}

fn entity(number: &str) -> Entity {
    let (fields, body) = message(number);
    Entity { fields: fields.into_iter().filter(|field| Entity::describes(&field.name)).collect(), body }
}

fn of(content_type: &str, body: impl Into<Bytes>) -> Entity {
    Entity { fields: vec![Field::new("Content-Type", content_type.to_owned())], body: body.into() }
}

/// The CPI of an example REGISTER.
fn registered(number: &str) -> Cpi {
    let (fields, _) = message(number);
    let headers = fields.iter().map(|field| (&*field.name, &*field.value));
    let (cpi, _) = cpi::decode::from_headers(headers, &Extensions::NONE);
    let contact = fields.iter().find(|field| field.is("contact")).unwrap();
    let params = grammar::split_once(&contact.value, |b| b == b'>').unwrap().1;
    cpi::merge::binding(&cpi, &cpi::contact::decode(grammar::params(params), &Extensions::NONE))
}

fn accept(lines: &[(&str, &str)]) -> Cpi {
    let headers = lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    cpi::decode::from_headers(headers, &Extensions::NONE).0
}

fn accepts(value: &str) -> Cpi {
    accept(&[("Accept", value)])
}

fn settings() -> Settings {
    Settings::new("proxy.example.com")
}

fn with_store() -> Settings {
    Settings { links: Some(LinkShape { url_octets: 64, adaptive: true }), ..settings() }
}

struct Delivered {
    entity: Entity,
    report: Report,
    stored: Vec<LinkRequest>,
}

impl Delivered {
    fn text(&self, name: &str) -> Option<String> {
        self.entity.field(name).map(|value| String::from_utf8_lossy(value).into_owned())
    }

    fn body(&self) -> String {
        String::from_utf8_lossy(&self.entity.body).into_owned()
    }

    fn is_identical(&self, to: &Entity) -> bool {
        self.entity.body == to.body && self.entity.fields == to.fields
    }
}

/// Plans, stores, runs and builds until the message can go out.
fn deliver(
    from: &Entity,
    cpi: Option<&Cpi>,
    settings: &Settings,
    budget: Budget,
) -> Result<Delivered, Refusal> {
    finish(from, plan(from, cpi, settings, budget))
}

fn finish(from: &Entity, mut made: Plan) -> Result<Delivered, Refusal> {
    let mut stored: Vec<LinkRequest> = Vec::new();
    for _ in 0..=Plan::ROUNDS {
        match made.verdict() {
            Verdict::Unchanged => {
                return Ok(Delivered { entity: from.clone(), report: made.report().clone(), stored });
            }
            Verdict::Refuse(refusal) => return Err(refusal),
            Verdict::Adapt => {}
        }
        let jobs = made.jobs();
        let outcomes = jobs.iter().map(|job| job.run(&|| false)).collect();
        let requests = made.links();
        let links = requests.iter().map(link).collect();
        stored.extend(requests);
        match made.build(outcomes, links).map_err(|refusal| *refusal)? {
            Built::Done(adapted) => {
                let Adapted { report, .. } = &*adapted;
                return Ok(Delivered { entity: adapted.apply(from), report: report.clone(), stored });
            }
            Built::Again(next) => made = *next,
        }
    }
    panic!("more rounds than promised");
}

fn link(request: &LinkRequest) -> Link {
    Link {
        id: request.id,
        url: format!("https://store.example.com/c/token-{:010}", request.id),
        expires: UNIX_EPOCH + Duration::from_secs(1_908_522_000),
    }
}

fn to(cpi: &Cpi, from: &Entity) -> Result<Delivered, Refusal> {
    deliver(from, Some(cpi), &settings(), Budget::default())
}

fn linked(cpi: &Cpi, from: &Entity) -> Result<Delivered, Refusal> {
    deliver(from, Some(cpi), &with_store(), Budget::default())
}

fn size_of(body: &[u8]) -> [u32; 2] {
    let probe = adapter::image::probe(body).unwrap();
    [probe.width, probe.height]
}

fn image(name: &str) -> Bytes {
    std::fs::read(format!("{IMAGES}{name}")).unwrap().into()
}

fn sha1(octets: &[u8]) -> String {
    use sha1::Digest;
    sha1::Sha1::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}
