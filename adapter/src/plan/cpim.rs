//! What message/cpim wraps (RFC 3862), where the operator lets it be adapted (CPI.md P4). Its own headers are never touched,
//! and what is signed or encrypted inside stays as it is by the rules for every body.

use std::sync::Arc;

use bytes::Bytes;
use cpi::{Cpi, Interval, WholeLimit};

use super::context::Context;
use super::unit::{Grade, Make, Unit, Variant};
use super::utility::Utility;
use super::{Verdict, plan};
use crate::entity::{Entity, Field};
use crate::job::{JobError, Product, Work};
use crate::mime::Node;
use crate::rebuild::fields;
use crate::report::Action;
use crate::settings::{Budget, Settings};
use crate::single::adapt_one;

/// A wrapped body, and who will see it.
#[derive(Clone, Debug)]
pub struct Wrapped {
    /// The message's headers and the empty line below them.
    head: Bytes,
    entity: Entity,
    cpi: Cpi,
    settings: Settings,
}

/// V3 to V5 of what is inside, if it is not what the terminal takes. `kept`: the message as it is.
pub(crate) fn variant(ctx: &Context, unit: &Unit, node: &Node, kept: &mut [Variant]) -> Option<Variant> {
    if !ctx.settings.cpim || !node.content_type.is("message/cpim") {
        return None;
    }
    let q = ctx.type_quality("message/cpim");
    let wrapped = Wrapped::read(ctx, unit.content.as_ref()?)?;
    let inner = plan(&wrapped.entity, Some(&wrapped.cpi), &wrapped.settings, Budget::default());
    if q == 0 || inner.verdict() != Verdict::Adapt {
        return None;
    }
    // As it came it counts only when nothing else does.
    kept.iter_mut().for_each(|kept| kept.grade = Grade::Reserve);
    let octets = (wrapped.head.len() + node.header.len()) as u64 + inner.report().octets_after;
    let work = Work::Wrapped(Arc::new(wrapped));
    let why = format!("what it wraps is not what the terminal takes: {}", inner.report().summary);
    let utility = Utility::kept(q).converted(false);
    let mut variant = Variant::new(Action::Convert, utility.0, octets, Make::Job(work), why);
    variant.ops = vec!["transcode"];
    Some(variant)
}

impl Wrapped {
    fn read(ctx: &Context, content: &Bytes) -> Option<Wrapped> {
        let empty_line =
            |from: usize| Some(from + memchr::memmem::find(content.get(from..)?, b"\r\n\r\n")? + 4);
        let head = empty_line(0)?;
        let body = empty_line(head)?;
        let fields = grammar::fields(content.get(head..body - 2)?)
            .map(|field| Field::new(content.slice_ref(field.name), content.slice_ref(field.value)))
            .collect();
        let settings = Settings { links: None, cpim: false, ..ctx.settings.clone() };
        let entity = Entity { fields, body: content.slice(body..) };
        Some(Wrapped { head: content.slice(..head), entity, cpi: ctx.cpi.clone(), settings })
    }

    /// The message with what is inside adapted, in at most so many octets.
    pub(crate) fn adapted(&self, octets: Option<u64>, stop: &dyn Fn() -> bool) -> Result<Product, JobError> {
        let mut cpi = self.cpi.clone();
        // The inner header may grow by a note.
        let around = self.head.len() as u64 + 512;
        cpi.whole.extend(octets.map(|octets| WholeLimit {
            coding: "identity".into(),
            q: 1000,
            length: Interval { lo: None, hi: Some(octets.saturating_sub(around)) },
        }));
        let made = adapt_one(&self.entity, &cpi, &self.settings, stop);
        let made = made.map_err(|refusal| JobError::Converter(refusal.warning))?;
        let entity = made.adapted.map_or_else(|| self.entity.clone(), |adapted| adapted.apply(&self.entity));
        let mut bytes = self.head.to_vec();
        for field in &entity.fields {
            bytes.extend([&*field.name, b": ", &*field.value, b"\r\n"].concat());
        }
        bytes.extend(b"\r\n");
        bytes.extend_from_slice(&entity.body);
        let ops = fields::OPS.into_iter().filter(|op| made.ops.iter().any(|made| made == op)).collect();
        Ok(Product {
            media_type: "message/cpim".into(),
            bytes: bytes.into(),
            pixels: None,
            quality: None,
            ops,
            work: crate::image::Work::default(),
        })
    }
}
