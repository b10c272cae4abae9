//! Accept, Accept-Encoding, Accept-Charset, Accept-Language, Max-Size and User-Agent (CPI.md §1.1, §1.2).

use crate::diag::{Diag, Diags};
use crate::entry::{Constraints, Name, Range, header_interval, lower};
use crate::model::{Cpi, Interval, MediaEntry, Preference, Q_MAX, WholeLimit};
use crate::{Extensions, value};

/// How much of a User-Agent is kept.
pub const USER_AGENT_OCTETS: usize = 256;
/// How many elements of one list are read. A terminal means a few; each costs at every match.
pub const MAX_ENTRIES: usize = 256;

/// Reads the CPI of a head given as `(name, value)` pairs, as SIP, HTTP and MIME all have them. Several
/// fields of one name are one list; other fields are passed over. The source stays
/// [`Source::None`](crate::Source::None).
///
/// ```
/// let head = [(&b"Accept"[..], &b"image/gif;q=.5;media-pix-x=max-160"[..])];
/// let (cpi, diags) = cpi::decode::from_headers(head, &cpi::Extensions::NONE);
/// let gif = &cpi.media.unwrap()[0];
/// assert_eq!((gif.q, gif.pix_x.hi), (500, Some(159)));
/// assert_eq!(diags, [cpi::Diag::QNoLeadingZero]);
/// ```
pub fn from_headers<'a>(
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    extensions: &Extensions,
) -> (Cpi, Vec<Diag>) {
    let mut reader = Reader { cpi: Cpi::default(), diags: Diags::default(), extensions };
    for (name, value) in fields {
        reader.field(name, value);
    }
    (reader.cpi, reader.diags.into_vec())
}

struct Reader<'e> {
    cpi: Cpi,
    diags: Diags,
    extensions: &'e Extensions,
}

impl Reader<'_> {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"Accept") {
            self.accept(value);
        } else if is(b"Accept-Encoding") {
            self.accept_encoding(value);
        } else if is(b"Accept-Charset") {
            let known = self.cpi.charsets.take();
            self.cpi.charsets = self.preferences(known, value);
        } else if is(b"Accept-Language") {
            let known = self.cpi.languages.take();
            self.cpi.languages = self.preferences(known, value);
        } else if is(b"Max-Size") {
            self.max_size(value);
        } else if is(b"User-Agent") && self.cpi.user_agent.is_none() {
            self.cpi.user_agent = user_agent(value);
        }
    }

    fn accept(&mut self, value: &[u8]) {
        let mut media = self.cpi.media.take().unwrap_or_default();
        for element in grammar::split_commas(value) {
            if media.len() >= MAX_ENTRIES {
                self.diags.push(Diag::TooManyEntries);
                break;
            }
            media.extend(self.accept_range(element));
        }
        self.cpi.media = Some(media);
    }

    /// One `accept-range`: CPI names count before and after q, other parameters belong to the type before q
    /// and are accept-extensions behind it (rule G3).
    fn accept_range(&mut self, element: &[u8]) -> Option<MediaEntry> {
        let mut params = grammar::params(element);
        let mut range = self.range(params.next()?.raw)?;
        let mut constraints = Constraints::default();
        let mut q = None;
        for param in params {
            if param.is(b"q") {
                self.first_q(&mut q, param);
            } else if let Some(name) = Name::read(param.name, self.extensions) {
                self.constrain(&mut constraints, name, param);
            } else if q.is_none() {
                range.add(param);
            }
        }
        Some(constraints.entry(range, q.unwrap_or(Q_MAX)))
    }

    /// `*` alone is what old Java clients send for `*/*`.
    fn range(&mut self, text: &[u8]) -> Option<Range> {
        let range = Range::read(text);
        if range.is_none() {
            self.diags.push(Diag::bad_range(text));
        }
        if text == b"*" { Range::read(b"*/*") } else { range }
    }

    fn accept_encoding(&mut self, value: &[u8]) {
        if grammar::trim(value).is_empty() && self.cpi.whole.is_empty() {
            self.cpi.whole.push(WholeLimit::identity(Interval::UNLIMITED));
            return;
        }
        for element in grammar::split_commas(value) {
            if self.cpi.whole.len() >= MAX_ENTRIES {
                self.diags.push(Diag::TooManyEntries);
                break;
            }
            let encoding = self.encoding(element);
            self.cpi.whole.extend(encoding);
        }
    }

    fn encoding(&mut self, element: &[u8]) -> Option<WholeLimit> {
        let mut params = grammar::params(element);
        let coding = self.token(params.next()?.raw)?;
        let mut constraints = Constraints::default();
        let mut q = None;
        for param in params {
            if param.is(b"q") {
                self.first_q(&mut q, param);
            } else if let Some(Name::Length) = Name::read(param.name, self.extensions) {
                self.constrain(&mut constraints, Name::Length, param);
            }
        }
        Some(WholeLimit { coding, q: q.unwrap_or(Q_MAX), length: constraints.length })
    }

    /// The elements of an Accept-Charset or Accept-Language behind those `known`; an empty list says nothing
    /// (rule G6).
    fn preferences(&mut self, known: Option<Vec<Preference>>, value: &[u8]) -> Option<Vec<Preference>> {
        let mut list = known.unwrap_or_default();
        for element in grammar::split_commas(value) {
            if list.len() >= MAX_ENTRIES {
                self.diags.push(Diag::TooManyEntries);
                break;
            }
            let preference = self.preference(element);
            list.extend(preference);
        }
        (!list.is_empty()).then_some(list)
    }

    fn preference(&mut self, element: &[u8]) -> Option<Preference> {
        let mut params = grammar::params(element);
        let name = self.token(params.next()?.raw)?;
        let mut q = None;
        for param in params.filter(|param| param.is(b"q")) {
            self.first_q(&mut q, param);
        }
        Some(Preference { name, q: q.unwrap_or(Q_MAX) })
    }

    /// Several Max-Size fields hold all.
    fn max_size(&mut self, value: &[u8]) {
        match grammar::decimal(grammar::trim(value)) {
            Some(octets) => {
                self.cpi.max_size = Some(self.cpi.max_size.map_or(octets, |known| known.min(octets)));
            }
            None => self.diags.push(Diag::BadMaxSize(Diag::quoted(value))),
        }
    }

    fn token(&mut self, text: &[u8]) -> Option<String> {
        if !text.is_empty() && text.iter().all(|&b| grammar::is_tchar(b)) {
            return Some(lower(text));
        }
        self.diags.push(Diag::BadToken(Diag::quoted(text)));
        None
    }

    fn first_q(&mut self, q: &mut Option<u16>, param: grammar::Param<'_>) {
        if q.is_some() {
            self.diags.push(Diag::ExtraQ);
            return;
        }
        let text = param.value.map(|value| value.text()).unwrap_or_default();
        *q = Some(value::quality(grammar::trim(&text), &mut self.diags));
    }

    fn constrain(&mut self, constraints: &mut Constraints, name: Name<'_>, param: grammar::Param<'_>) {
        match header_interval(param) {
            Ok(interval) => constraints.add(name, interval),
            Err(value) => self.diags.push(Diag::bad_constraint(value)),
        }
    }
}

fn user_agent(value: &[u8]) -> Option<String> {
    let text = grammar::unfold(grammar::trim(value));
    let text = String::from_utf8_lossy(text.get(..USER_AGENT_OCTETS).unwrap_or(&text)).into_owned();
    (!text.is_empty()).then_some(text)
}
