//! The parts a plan decides about, and their variants (CPI.md §3.5).

use bytes::Bytes;

use super::choose::Candidate;
use super::protect::Guarding;
use crate::job::{Product, Work};
use crate::report::Action;

/// A leaf, or a container that stays one piece.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Its node.
    pub(crate) node: usize,
    /// How far it may be changed.
    pub(crate) guarding: Guarding,
    /// What its utility counts (CPI.md §3.6).
    pub(crate) weight: u32,
    /// Whether it is the root of a multipart/related: never dropped or linked alone.
    pub(crate) is_root: bool,
    /// Octets with the transfer encoding taken off; `None` if that can't be done.
    pub(crate) content: Option<Bytes>,
    /// Width and height, if it is a picture that can be read.
    pub(crate) pixels: Option<[u32; 2]>,
    /// All its variants, in the order of their numbers. Never shortened: a [`crate::JobId`] points into it.
    pub(crate) variants: Vec<Variant>,
}

impl Unit {
    /// The q it is accepted with as it is, 0 if it is not.
    pub(crate) fn kept_utility(&self) -> u32 {
        let kept = |variant: &&Variant| variant.action.number() == 0;
        self.variants.iter().filter(kept).map(|variant| variant.utility).max().unwrap_or(0)
    }

    /// Whether something of it can be shown without a link.
    pub(crate) fn is_adaptable(&self) -> bool {
        self.open().any(|variant| variant.action.number() <= 5)
    }

    /// Whether a link may stand for it.
    pub(crate) fn is_linkable(&self) -> bool {
        self.open().any(Variant::needs_link)
    }

    /// The variants that have not failed.
    pub(crate) fn open(&self) -> impl Iterator<Item = &Variant> {
        self.variants.iter().filter(|variant| variant.failed.is_none())
    }

    /// Takes a variant out for good. A tier that can't be reached after all makes the lower one that fits count.
    pub(crate) fn fail(&mut self, at: usize, why: String) {
        if let Some(variant) = self.variants.get_mut(at) {
            variant.failed = Some(why);
        }
        for variant in self.variants.iter_mut().filter(|variant| variant.action == Action::Keep) {
            variant.grade = Grade::Natural;
        }
    }
}

/// One way to deal with a unit.
#[derive(Clone, Debug)]
pub(crate) struct Variant {
    pub(crate) action: Action,
    pub(crate) grade: Grade,
    /// Thousandths, without the weight.
    pub(crate) utility: u32,
    /// Octets of the body as carried; predicted until there is a product.
    pub(crate) octets: u64,
    /// Octets of the whole part with header and delimiter.
    pub(crate) cost: u64,
    /// The most the body may have for its type's own limit.
    pub(crate) limit: Option<u64>,
    /// The words of CPI.md §3.9, predicted until there is a product.
    pub(crate) ops: Vec<&'static str>,
    /// The complete new Content-Type, if it changes.
    pub(crate) content_type: Option<String>,
    /// Width and height it will have.
    pub(crate) pixels: Option<[u32; 2]>,
    /// The size the terminal's screen asks for, if it is not the picture's.
    pub(crate) demanded: Option<[u32; 2]>,
    /// How it is made.
    pub(crate) make: Make,
    /// What was made.
    pub(crate) product: Option<Product>,
    /// Why it can't be had after all.
    pub(crate) failed: Option<String>,
    /// In words, for a person.
    pub(crate) why: String,
}

impl Variant {
    /// One that has nothing to be worked out.
    pub(crate) fn new(
        action: Action,
        utility: u32,
        octets: u64,
        make: Make,
        why: impl Into<String>,
    ) -> Variant {
        Variant {
            action,
            grade: Grade::Natural,
            utility,
            octets,
            cost: 0,
            limit: None,
            ops: Vec::new(),
            content_type: None,
            pixels: None,
            demanded: None,
            make,
            product: None,
            failed: None,
            why: why.into(),
        }
    }

    /// As the choice sees it.
    pub(crate) fn candidate(&self, weight: u32) -> Candidate {
        Candidate {
            value: u64::from(weight) * u64::from(self.utility),
            cost: self.cost,
            ops: u32::try_from(self.ops.len()).unwrap_or(u32::MAX),
            number: self.action.number(),
        }
    }

    /// Whether a job must run before it can be sent.
    pub(crate) fn needs_job(&self) -> bool {
        matches!(self.make, Make::Job(_)) && self.product.is_none()
    }

    /// Whether it needs a link from the store.
    pub(crate) fn needs_link(&self) -> bool {
        matches!(self.make, Make::Link | Make::LinkEither | Make::LinkText | Make::Reference)
    }
}

/// When a variant counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// Always.
    Natural,
    /// When there are too few octets (V5 and what saves octets without need otherwise).
    Pressure,
    /// When nothing else fits (CPI.md §3.7 I1).
    Reserve,
    /// When of a NOTIFY only the root document can be sent (CPI.md §3.8).
    RootOnly,
}

/// How a variant is made.
#[derive(Clone, Debug)]
pub(crate) enum Make {
    /// As carried, header and all.
    Carried,
    /// With this body.
    Bytes(Bytes),
    /// By a job.
    Job(Work),
    /// As message/external-body.
    Link,
    /// As multipart/alternative of a text with our link and message/external-body.
    LinkEither,
    /// As text with our link.
    LinkText,
    /// As text with the sender's own link.
    TheirLink(String),
    /// By a reference to our link in the root of its multipart/related.
    Reference,
    /// By a reference to the sender's own link, with the media type that is said to be there.
    TheirReference(String, Option<String>),
    /// Not at all.
    Nothing,
}

impl Action {
    /// The number of the variant, V0 to V8.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Action::Keep | Action::Protected => 0,
            Action::Decode => 1,
            Action::Strip => 2,
            Action::Convert => 3,
            Action::Scale => 4,
            Action::Shrink => 5,
            Action::Link | Action::LinkReference => 6,
            Action::LinkText => 7,
            Action::Drop | Action::Deselect => 8,
        }
    }
}
