//! What a plan is made from, read once.

use cpi::matching::{self, Item, Options};
use cpi::{Cpi, Interval};

use super::limits::Limits;
use super::related::Related;
use crate::entity::Entity;
use crate::job::Want;
use crate::mime::{ContentType, Tree};
use crate::settings::{Budget, Settings, Tiers};

/// The message, the terminal and the rules.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) entity: Entity,
    pub(crate) tree: Tree,
    pub(crate) cpi: Cpi,
    /// Whether anything is known of the terminal.
    pub(crate) known: bool,
    pub(crate) settings: Settings,
    pub(crate) limits: Limits,
    /// The multipart/related containers that can be rewritten.
    pub(crate) related: Vec<Related>,
}

impl Context {
    pub(crate) fn new(entity: &Entity, cpi: Option<&Cpi>, settings: &Settings, budget: Budget) -> Context {
        let tree = Tree::read(entity, &settings.guards);
        let known = cpi.is_some_and(|cpi| !cpi.is_unknown());
        let cpi = cpi.cloned().unwrap_or_default();
        let coding = tree.root().and_then(crate::mime::Node::content_encoding);
        let limits = Limits::new(&cpi, coding.as_deref().unwrap_or("identity"), settings, budget);
        let related = Related::all(&tree);
        Context { entity: entity.clone(), tree, cpi, known, settings: settings.clone(), limits, related }
    }

    pub(crate) fn options(&self) -> Options<'static> {
        Options { strict_specificity: self.settings.strict_specificity, implied: self.settings.implied }
    }

    /// How much a type is liked whatever its size.
    pub(crate) fn type_quality(&self, media_type: &str) -> u16 {
        matching::type_quality(&self.cpi, media_type, &[], self.options())
    }

    /// Whether the terminal names that very type, and takes it.
    pub(crate) fn lists(&self, media_type: &str) -> bool {
        let mut entries = self.cpi.media.iter().flatten();
        entries.any(|entry| entry.range.eq_ignore_ascii_case(media_type)) && self.type_quality(media_type) > 0
    }

    /// How much an item is liked.
    pub(crate) fn quality(&self, content_type: &ContentType, octets: u64, pixels: Option<[u32; 2]>) -> u16 {
        self.quality_of(content_type, octets, pixels, &[])
    }

    /// Likewise, with values of what `cpi.extensions` names.
    pub(crate) fn quality_of(
        &self,
        content_type: &ContentType,
        octets: u64,
        pixels: Option<[u32; 2]>,
        ext: &[(String, u64)],
    ) -> u16 {
        let params = borrowed(content_type);
        let ext: Vec<(&str, u64)> = ext.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let item = Item {
            media_type: &content_type.essence,
            params: &params,
            length: Some(octets),
            width: pixels.map(|[width, _]| width),
            height: pixels.map(|[_, height]| height),
            ext: &ext,
        };
        matching::quality(&self.cpi, &item, self.options())
    }

    /// The tiers of a type, best first.
    pub(crate) fn tiers(&self, content_type: &ContentType) -> Vec<Step> {
        let params = borrowed(content_type);
        matching::tiers(&self.cpi, &content_type.essence, &params, self.options())
            .into_iter()
            .map(|tier| Step { q: tier.q, length: tier.length.hi, pix_x: tier.pix_x, pix_y: tier.pix_y })
            .collect()
    }

    /// The tiers of a type with all that a converter is told of them, best first.
    pub(crate) fn wants(&self, media_type: &str) -> Vec<Want> {
        let tiers = matching::tiers(&self.cpi, media_type, &[], self.options());
        let mut wants: Vec<Want> = tiers
            .into_iter()
            .map(|tier| Want {
                q: tier.q,
                length: tier.length.hi,
                pix_x: tier.pix_x,
                pix_y: tier.pix_y,
                ext: tier.ext.cloned().unwrap_or_default(),
            })
            .collect();
        wants.retain(|want| want.q > 0);
        wants
    }

    /// Whether a container of that type may be sent. What isn't known to a terminal it reads as multipart/mixed
    /// (RFC 2046 §5.1.3).
    pub(crate) fn takes_container(&self, content_type: &ContentType) -> bool {
        self.type_quality(&content_type.essence) > 0
            || (!content_type.is("multipart/related") && self.type_quality("multipart/mixed") > 0)
    }

    /// Whether only the highest tier that can be reached is used.
    pub(crate) fn honours_tiers(&self) -> bool {
        self.settings.tiers == Tiers::Honour
    }
}

/// A tier without its borrow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) q: u16,
    pub(crate) length: Option<u64>,
    pub(crate) pix_x: Interval,
    pub(crate) pix_y: Interval,
}

fn borrowed(content_type: &ContentType) -> Vec<(&str, &str)> {
    content_type.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
