//! The parameters of one Contact: RFC 3840 feature parameters (CPI.md §1.4) and the draft's groups (§1.5).
//!
//! The draft repeats `type`, `q` and constraints in one Contact, which RFC 3840 §9 and RFC 3261 §7.3.1
//! forbid. Both forms are read (rule F4).

use std::mem;

use grammar::Param;

use crate::decode::MAX_ENTRIES;
use crate::diag::{Diag, Diags};
use crate::entry::{Constraints, Name, Range, interval, lower, text_of};
use crate::feature::is_base_tag;
use crate::model::{MediaEntry, Q_MAX, WholeLimit};
use crate::{Extensions, Features, Term, value};

/// What the parameters of one Contact say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactCpi {
    /// The Contact's own preference in thousandths; `None` if not given (rule K7).
    pub q: Option<u16>,
    /// `expires` in seconds, at most 2^32-1; a malformed one is 3600 (RFC 3261 §10.3).
    pub expires: Option<u32>,
    /// Media entries of `type` groups, in order; `None` without such a group.
    pub groups: Option<Vec<MediaEntry>>,
    /// Whole-message limits: `encoding` groups, and `length` before any group (rules K5, K6).
    pub whole: Vec<WholeLimit>,
    /// Pixel limits before any group, on `image/*` and `video/*` (rule K5).
    pub implicit: Vec<MediaEntry>,
    /// Feature parameters.
    pub features: Features,
    /// Every other parameter with its value, names in lower case, in order (`reg-id`, `+sip.instance`, ..).
    pub other: Vec<(String, Option<String>)>,
    /// All parameters as they came (folds taken away), in order, for the echo (rules D3, L6).
    pub raw: Vec<String>,
    /// What was tolerated.
    pub diags: Vec<Diag>,
}

impl ContactCpi {
    /// Whether the parameters carry CPI: groups, whole-message or pixel limits.
    pub const fn has_cpi(&self) -> bool {
        self.groups.is_some() || !self.whole.is_empty() || !self.implicit.is_empty()
    }

    /// The value of a parameter that is neither CPI nor a feature, name in lower case. Without a value: `""`.
    pub fn other(&self, name: &str) -> Option<&str> {
        let (_, value) = self.other.iter().find(|(each, _)| each == name)?;
        Some(value.as_deref().unwrap_or_default())
    }
}

/// Reads the parameters behind one Contact's URI.
///
/// ```
/// let params = grammar::params(br#"q=0.3;type="image/gif";q=0.5;media-pix-x=max+160;reg-id=1"#);
/// let contact = cpi::contact::decode(params, &cpi::Extensions::NONE);
/// assert_eq!(contact.q, Some(300));
/// assert_eq!(contact.groups.as_ref().unwrap()[0].q, 500);
/// assert_eq!(contact.other("reg-id"), Some("1"));
/// ```
pub fn decode(params: grammar::Params<'_>, extensions: &Extensions) -> ContactCpi {
    let params: Vec<Param<'_>> = params.collect();
    let mut reader = Reader {
        extensions,
        contact: ContactCpi { raw: params.iter().map(raw_text).collect(), ..ContactCpi::default() },
        diags: Diags::default(),
        several: params.iter().filter(|param| Starter::read(param).is_some()).count() > 1,
    };
    let first = params.iter().position(|param| Starter::read(param).is_some()).unwrap_or(params.len());
    let (head, mut rest) = params.split_at_checked(first).unwrap_or((&params, &[]));
    reader.head(head);
    while let Some((starter, behind)) = rest.split_first() {
        let end = behind.iter().position(|param| Starter::read(param).is_some()).unwrap_or(behind.len());
        let (group, next) = behind.split_at_checked(end).unwrap_or((behind, &[]));
        reader.group(starter, group);
        rest = next;
    }
    ContactCpi { diags: reader.diags.into_vec(), ..reader.contact }
}

/// What starts a group (rule K1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Starter {
    Type,
    Encoding,
}

impl Starter {
    fn read(param: &Param<'_>) -> Option<Self> {
        match without_plus(param.name) {
            name if name.eq_ignore_ascii_case(b"type") => Some(Self::Type),
            name if name.eq_ignore_ascii_case(b"encoding") => Some(Self::Encoding),
            _ => None,
        }
    }
}

struct Reader<'e> {
    extensions: &'e Extensions,
    contact: ContactCpi,
    diags: Diags,
    several: bool,
}

impl Reader<'_> {
    /// The parameters before the first group (rules K4, K5).
    fn head(&mut self, params: &[Param<'_>]) {
        let mut limits = Constraints::default();
        for param in params {
            if param.is(b"q") {
                self.contact_q(param);
            } else if let Some(name) = self.name(param) {
                if matches!(name, Name::Extension(_)) {
                    self.diags.push(Diag::Misplaced(lower(param.name)));
                }
                self.constrain(&mut limits, name, param);
            } else {
                self.contact_scoped(param);
            }
        }
        let length = mem::take(&mut limits.length);
        if !length.is_unlimited() {
            self.contact.whole.push(WholeLimit::identity(length));
        }
        limits.ext.clear();
        if limits != Constraints::default() {
            let ranges = [b"image/*", b"video/*"].into_iter().filter_map(|text| Range::read(text));
            self.contact.implicit = ranges.map(|range| limits.entry(range, Q_MAX)).collect();
        }
    }

    /// One group: its starter, and all up to the next (rules K2, K3, K4).
    fn group(&mut self, starter: &Param<'_>, params: &[Param<'_>]) {
        let bare = params.iter().any(|param| Name::read(param.name, self.extensions).is_some());
        let mut limits = Constraints::default();
        let mut q = None;
        let mut seen_q = false;
        for param in params {
            if param.is(b"q") {
                if !seen_q && (self.several || bare || self.contact.q.is_some()) {
                    q = Some(self.quality(param));
                } else {
                    self.contact_q(param);
                }
                seen_q = true;
            } else if let Some(name) = self.name(param) {
                self.constrain(&mut limits, name, param);
            } else {
                self.contact_scoped(param);
            }
        }
        let q = q.unwrap_or(Q_MAX);
        match Starter::read(starter) {
            Some(Starter::Encoding) => self.codings(starter, &limits, q),
            _ => self.types(starter, &limits, q),
        }
    }

    /// One entry per type; `!t` refuses it (rule K6). `<image/gif>` and `image'gif` are the ways round
    /// RFC 3840's grammar (rule F3).
    fn types(&mut self, starter: &Param<'_>, limits: &Constraints, q: u16) {
        let value = starter.value.map(|value| value.text()).unwrap_or_default();
        for element in elements(&value) {
            let (refused, element) = strip(element, b'!');
            let text = grammar::trim(strip(element, b'<').1);
            let mut text = text.strip_suffix(b">").unwrap_or(text).to_vec();
            if !text.contains(&b'/')
                && let Some(slash) = text.iter_mut().find(|b| **b == b'\'')
            {
                *slash = b'/';
            }
            let Some(range) = Range::with_params(&text) else {
                self.diags.push(Diag::bad_range(element));
                continue;
            };
            let groups = self.contact.groups.get_or_insert_default();
            if groups.len() >= MAX_ENTRIES {
                return self.diags.push(Diag::TooManyEntries);
            }
            groups.push(limits.entry(range, if refused { 0 } else { q }));
        }
    }

    fn codings(&mut self, starter: &Param<'_>, limits: &Constraints, q: u16) {
        if *limits != (Constraints { length: limits.length, ..Constraints::default() }) {
            self.diags.push(Diag::Misplaced(lower(starter.name)));
        }
        let value = starter.value.map(|value| value.text()).unwrap_or_default();
        for element in elements(&value) {
            let (refused, coding) = strip(element, b'!');
            if !grammar::is_token(coding) {
                self.diags.push(Diag::BadToken(Diag::quoted(coding)));
                continue;
            }
            if self.contact.whole.len() >= MAX_ENTRIES {
                return self.diags.push(Diag::TooManyEntries);
            }
            let q = if refused { 0 } else { q };
            self.contact.whole.push(WholeLimit { coding: lower(coding), q, length: limits.length });
        }
    }

    /// What belongs to the Contact wherever it stands (rule K2).
    fn contact_scoped(&mut self, param: &Param<'_>) {
        const NO_FEATURES: [&[u8]; 4] = [b"+sip.instance", b"reg-id", b"pub-gruu", b"temp-gruu"];
        let name = lower(param.name);
        if param.is(b"expires") {
            self.expires(param);
        } else if NO_FEATURES.iter().any(|other| param.is(other)) {
            self.contact.other.push((name, param.value.map(|_| text_of(*param))));
        } else if param.name.starts_with(b"+") || is_base_tag(param.name) {
            self.contact.features.add(name, term(param));
        } else {
            self.contact.other.push((name, param.value.map(|_| text_of(*param))));
        }
    }

    fn expires(&mut self, param: &Param<'_>) {
        const MALFORMED: u32 = 3600;
        let text = text_of(*param);
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let seconds = if digits {
            text.parse().unwrap_or(u32::MAX)
        } else {
            self.diags.push(Diag::BadExpires(Diag::quoted(text.as_bytes())));
            MALFORMED
        };
        self.contact.expires.get_or_insert(seconds);
    }

    fn contact_q(&mut self, param: &Param<'_>) {
        if self.contact.q.is_some() {
            return self.diags.push(Diag::ExtraQ);
        }
        self.contact.q = Some(self.quality(param));
    }

    fn quality(&mut self, param: &Param<'_>) -> u16 {
        let text = param.value.map(|value| value.text()).unwrap_or_default();
        value::quality(grammar::trim(&text), &mut self.diags)
    }

    fn constrain(&mut self, limits: &mut Constraints, name: Name<'_>, param: &Param<'_>) {
        match interval(*param, value::contact_constraint) {
            Ok(interval) => limits.add(name, interval),
            Err(value) => self.diags.push(Diag::bad_constraint(value)),
        }
    }
}

impl<'e> Reader<'e> {
    fn name(&self, param: &Param<'_>) -> Option<Name<'e>> {
        Name::read(without_plus(param.name), self.extensions)
    }
}

/// The term a feature parameter states (CPI.md §1.4).
pub(crate) fn term(param: &Param<'_>) -> Term {
    if param.value.is_none() {
        return Term::Flag(true);
    }
    let text = text_of(*param);
    if let Some(string) = text.strip_prefix('<').and_then(|text| text.strip_suffix('>')) {
        return Term::Text { string: string.to_owned() };
    }
    let values = text.split(',').map(str::trim).filter(|value| !value.is_empty());
    Term::List(values.map(str::to_owned).collect())
}

fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    grammar::split_outside_quotes(value, b',', false).filter(|element| !element.is_empty())
}

fn strip(text: &[u8], sign: u8) -> (bool, &[u8]) {
    match text.split_first() {
        Some((&first, rest)) if first == sign => (true, rest),
        _ => (false, text),
    }
}

fn without_plus(name: &[u8]) -> &[u8] {
    name.strip_prefix(b"+").unwrap_or(name)
}

fn raw_text(param: &Param<'_>) -> String {
    String::from_utf8_lossy(&grammar::unfold(param.raw)).into_owned()
}
