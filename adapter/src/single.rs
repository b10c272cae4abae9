//! One entity for one fetch: the HTTP side and `bespoke adapt`.

use bytes::Bytes;
use cpi::Cpi;
use serde::Serialize;

use crate::entity::{Adapted, Entity, Refusal};
use crate::image;
use crate::mime::{ContentType, Tree};
use crate::plan::{Built, Link, LinkRequest, Plan, Verdict, plan};
use crate::settings::{Budget, Settings};

/// One body adapted, and what it is now.
#[derive(Clone, Debug, Serialize)]
pub struct Single {
    /// Its media type, without parameters.
    #[serde(rename = "type")]
    pub media_type: String,
    /// Octets of the body.
    pub octets: u64,
    /// Pixels from left to right, if it is a picture.
    pub width: Option<u32>,
    /// Pixels from top to bottom.
    pub height: Option<u32>,
    /// What was done, in the words of CPI.md §3.9; empty if nothing.
    pub ops: Vec<String>,
    /// JPEG quality, if it was written anew.
    pub quality: Option<u8>,
    /// The complete new Content-Type.
    #[serde(skip)]
    pub content_type: String,
    /// The body.
    #[serde(skip)]
    pub body: Bytes,
    /// What changes in the head; `None`: nothing.
    #[serde(skip)]
    pub adapted: Option<Box<Adapted>>,
}

/// Adapts `entity` to what `cpi` accepts, here and now, without links (CPI.md §3.7 I3: at the fetch).
///
/// # Errors
/// [`Refusal`]: nothing acceptable can be made of it, or `stop` said so before it was. An HTTP server answers 406.
pub fn adapt_one(
    entity: &Entity,
    cpi: &Cpi,
    settings: &Settings,
    stop: &dyn Fn() -> bool,
) -> Result<Single, Box<Refusal>> {
    let settings = Settings { links: None, ..settings.clone() };
    adapt_linked(entity, cpi, &settings, &|_| None, stop)
}

/// The same with links, which `link` gives: `None` for what can have none.
///
/// # Errors
/// As [`adapt_one`].
pub fn adapt_linked(
    entity: &Entity,
    cpi: &Cpi,
    settings: &Settings,
    link: &dyn Fn(&LinkRequest) -> Option<Link>,
    stop: &dyn Fn() -> bool,
) -> Result<Single, Box<Refusal>> {
    let mut made = plan(entity, Some(cpi), settings, Budget::default());
    loop {
        match made.verdict() {
            Verdict::Unchanged => return Ok(single(entity, &made, None, settings)),
            Verdict::Refuse(refusal) => return Err(Box::new(refusal)),
            Verdict::Adapt => {}
        }
        // A stopped job is an outcome like another; the plan goes on with what is left and never asks for more
        // than Plan::ROUNDS times.
        let outcomes = made.jobs().iter().map(|job| job.run(stop)).collect();
        let links = made.links().iter().filter_map(link).collect();
        let before = made.clone();
        match made.build(outcomes, links)? {
            Built::Done(adapted) => return Ok(single(entity, &before, Some(adapted), settings)),
            Built::Again(next) => made = *next,
        }
    }
}

fn single(entity: &Entity, plan: &Plan, adapted: Option<Box<Adapted>>, settings: &Settings) -> Single {
    let new = adapted.as_ref().map_or_else(|| entity.clone(), |adapted| adapted.apply(entity));
    let content_type = new
        .field("content-type")
        .map(ContentType::read)
        .unwrap_or_else(|| ContentType::new("application/octet-stream"));
    let report = adapted.as_ref().map_or_else(|| plan.report().clone(), |adapted| adapted.report.clone());
    let only = report.parts.first().filter(|_| report.parts.len() == 1);
    let mut ops: Vec<String> = Vec::new();
    for op in report.parts.iter().flat_map(|part| &part.ops) {
        if !ops.contains(op) {
            ops.push(op.clone());
        }
    }
    let pixels = only.and_then(|part| part.pixels_after).or_else(|| pixels(&new, &content_type, settings));
    Single {
        media_type: content_type.essence,
        octets: new.body.len() as u64,
        width: pixels.map(|[width, _]| width),
        height: pixels.map(|[_, height]| height),
        ops,
        quality: only.and_then(|part| part.quality),
        content_type: content_type.written,
        body: new.body,
        adapted: adapted.filter(|adapted| adapted.body != entity.body),
    }
}

fn pixels(entity: &Entity, content_type: &ContentType, settings: &Settings) -> Option<[u32; 2]> {
    if !content_type.is_kind("image") {
        return None;
    }
    let content = Tree::read(entity, &settings.guards).content(0)?;
    let probe = image::probe_within(&content, &settings.guards.image).ok()?;
    Some([probe.width, probe.height])
}
