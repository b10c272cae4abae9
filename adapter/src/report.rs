//! The reasons of a plan, for `bespoke explain`, the log, the metrics and the dashboard.

use serde::Serialize;

/// What becomes of a message, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// One sentence for a person.
    pub summary: String,
    /// Whether anything is known of the terminal.
    pub known: bool,
    /// Most octets of the body, whatever the limit comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<u64>,
    /// Octets of the body as received.
    pub octets_before: u64,
    /// Octets of the body as sent; predicted until the plan is built.
    pub octets_after: u64,
    /// Every part in order, protected containers as one.
    pub parts: Vec<PartReport>,
    /// How often the plan was made anew because something did not come out as predicted.
    pub rounds: u32,
    /// Whether the deadline cut the plan.
    pub deadline: bool,
    /// The body as a whole was replaced by one link.
    pub whole_link: bool,
}

/// What becomes of one part, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartReport {
    /// Its place in the tree: `1`, `1.2`, counted from 1, the root being `1`.
    pub part: String,
    /// What is done.
    pub action: Action,
    /// The words of `Content-Adapted` (CPI.md §3.9).
    pub ops: Vec<String>,
    /// In words.
    pub why: String,
    /// Its media type as received.
    pub type_before: String,
    /// Its media type as sent.
    pub type_after: String,
    /// Octets of its body as received.
    pub octets_before: u64,
    /// Octets of its body as sent; predicted until the plan is built.
    pub octets_after: u64,
    /// Width and height as received, if it is a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixels_before: Option<[u32; 2]>,
    /// Width and height as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pixels_after: Option<[u32; 2]>,
    /// JPEG quality as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// What it is worth to the terminal, in thousandths (CPI.md §3.6).
    pub utility: u32,
}

/// The variants V0 to V8 of CPI.md §3.5 as a reader knows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// V0: as it is.
    Keep,
    /// V1: the transfer encoding is taken off.
    Decode,
    /// V2: metadata is taken out.
    Strip,
    /// V3: another format or charset.
    Convert,
    /// V4: fewer pixels, because the terminal's tier says so.
    Scale,
    /// V5: fewer octets.
    Shrink,
    /// V6: message/external-body.
    Link,
    /// V7: a line of text with the link.
    LinkText,
    /// The document that shows it now points to the link.
    LinkReference,
    /// V8: left out.
    Drop,
    /// An alternative that another one stands for.
    Deselect,
    /// Passed because it must not be touched.
    Protected,
}

impl Action {
    /// The word in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Action::Keep => "keep",
            Action::Decode => "decode",
            Action::Strip => "strip",
            Action::Convert => "convert",
            Action::Scale => "scale",
            Action::Shrink => "shrink",
            Action::Link => "link",
            Action::LinkText => "link-text",
            Action::LinkReference => "link-reference",
            Action::Drop => "drop",
            Action::Deselect => "deselect",
            Action::Protected => "protected",
        }
    }
}
