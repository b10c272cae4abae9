//! The decoded CPI of one message or expression in the form of INDEX.json, the list that comes with the
//! example messages: its `cpi` and `expect` objects, and the names for `diag`.

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::expr::Expression;
use crate::model::{Cpi, Interval, MediaEntry, WholeLimit};
use crate::{ContactCpi, Diag, Extensions, contact, decode};

/// The CPI of a SIP or HTTP head, or `None` if it carries none; and what was tolerated.
///
/// `start` is the start line. CPI is looked for where it describes a receiver: in REGISTER, SUBSCRIBE,
/// OPTIONS and MESSAGE with their responses, in any 415, and in HTTP requests; an INVITE's Accept speaks about
/// its own dialog. All Contacts are shown where they are those of a terminal (REGISTER, OPTIONS), elsewhere
/// the ones that carry CPI.
pub fn describe<'a>(
    start: &[u8],
    fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    extensions: &Extensions,
) -> (Option<Message>, Vec<Diag>) {
    let fields: Vec<(&[u8], &[u8])> = fields.into_iter().collect();
    let Some(role) = Role::of(start, &fields) else { return (None, Vec::new()) };
    let (mut cpi, mut diags) = decode::from_headers(fields.iter().copied(), extensions);
    if role == Role::Sender {
        cpi.user_agent = None;
    }
    let mut contacts = Vec::new();
    for (_, value) in fields.iter().filter(|(name, _)| is(name, b"Contact") || is(name, b"m")) {
        contacts.extend(grammar::split_commas(value).map(|element| Contact::read(element, extensions)));
    }
    if role != Role::Terminal {
        contacts.retain(Contact::has_cpi);
    }
    for contact in &contacts {
        if let Contact::At { cpi, .. } = contact {
            diags.extend_from_slice(&cpi.diags);
        }
    }
    let empty = !cpi.has_header_cpi() && cpi.user_agent.is_none() && contacts.is_empty();
    ((!empty).then_some(Message { cpi, contacts }), diags)
}

/// What a message says about its sender's terminal. Serialises as the `cpi` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What its header fields say.
    pub cpi: Cpi,
    /// Its Contacts in order.
    pub contacts: Vec<Contact>,
}

/// One Contact of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Contact {
    /// `*`
    Wildcard,
    /// A URI with its parameters.
    At {
        /// The URI as written, without angle brackets.
        uri: String,
        /// What the parameters say.
        cpi: Box<ContactCpi>,
    },
}

impl Contact {
    fn read(element: &[u8], extensions: &Extensions) -> Self {
        if element == b"*" {
            return Self::Wildcard;
        }
        let (uri, params) = name_addr(element);
        let uri = String::from_utf8_lossy(uri).into_owned();
        Self::At { uri, cpi: Box::new(contact::decode(grammar::params(params), extensions)) }
    }

    const fn has_cpi(&self) -> bool {
        matches!(self, Self::At { cpi, .. } if cpi.has_cpi())
    }
}

/// Whose capabilities a message tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A terminal's, with its Contacts.
    Terminal,
    /// Those of who waits for an answer or a NOTIFY.
    Receiver,
    /// A MESSAGE: its User-Agent is not that of the terminal it goes to (rule M11).
    Sender,
}

impl Role {
    fn of(start: &[u8], fields: &[(&[u8], &[u8])]) -> Option<Self> {
        let mut words = start.split(|&b| b == b' ');
        let first = words.next()?;
        if first.starts_with(b"HTTP/") {
            return None;
        }
        if !first.starts_with(b"SIP/") {
            let http = start.rsplit(|&b| b == b' ').next().is_some_and(|last| last.starts_with(b"HTTP/"));
            return if http { Some(Self::Receiver) } else { Self::of_method(first) };
        }
        let refused_type = words.next() == Some(b"415");
        let (_, cseq) = fields.iter().find(|(name, _)| is(name, b"CSeq"))?;
        let method = grammar::trim(cseq).rsplit(|&b| grammar::is_lws(b)).next()?;
        Self::of_method(method).or_else(|| refused_type.then_some(Self::Receiver)).map(|role| match role {
            Self::Sender => Self::Receiver,
            role => role,
        })
    }

    const fn of_method(method: &[u8]) -> Option<Self> {
        match method {
            b"REGISTER" | b"OPTIONS" => Some(Self::Terminal),
            b"SUBSCRIBE" => Some(Self::Receiver),
            b"MESSAGE" => Some(Self::Sender),
            _ => None,
        }
    }
}

fn is(name: &[u8], known: &[u8]) -> bool {
    name.eq_ignore_ascii_case(known)
}

/// The URI of a `name-addr` or `addr-spec`, and the text behind it.
fn name_addr(element: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let mut escaped = false;
    let open = element.iter().position(|&b| {
        match b {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'<' => return !quoted,
            _ => {}
        }
        false
    });
    let Some((_, inner)) = open.and_then(|at| element.split_at_checked(at + 1)) else {
        let (uri, params) = grammar::split_once(element, |b| b == b';').unwrap_or((element, b""));
        return (grammar::trim(uri), params);
    };
    grammar::split_once(inner, |b| b == b'>').unwrap_or((inner, b""))
}

impl Serialize for Message {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(media) = &self.cpi.media {
            map.serialize_entry("accept", &entries(media))?;
        }
        if !self.cpi.whole.is_empty() {
            map.serialize_entry("accept-encoding", &limits(&self.cpi.whole))?;
        }
        if let Some(charsets) = &self.cpi.charsets {
            map.serialize_entry("accept-charset", charsets)?;
        }
        if let Some(languages) = &self.cpi.languages {
            map.serialize_entry("accept-language", languages)?;
        }
        if let Some(user_agent) = &self.cpi.user_agent {
            map.serialize_entry("user-agent", user_agent)?;
        }
        if !self.contacts.is_empty() {
            map.serialize_entry("contacts", &self.contacts)?;
        }
        map.end()
    }
}

impl Serialize for Contact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self::At { uri, cpi } = self else { return serializer.serialize_str("*") };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("uri", uri)?;
        if let Some(q) = cpi.q {
            map.serialize_entry("q", &q)?;
        }
        if let Some(expires) = cpi.expires {
            map.serialize_entry("expires", &expires)?;
        }
        if let Some(groups) = &cpi.groups {
            map.serialize_entry("groups", &entries(groups))?;
        }
        if !cpi.implicit.is_empty() {
            map.serialize_entry("implicit", &entries(&cpi.implicit))?;
        }
        if !cpi.whole.is_empty() {
            map.serialize_entry("whole", &limits(&cpi.whole))?;
        }
        if !cpi.features.is_empty() {
            map.serialize_entry("features", &cpi.features)?;
        }
        if !cpi.other.is_empty() {
            map.serialize_entry("other", &Other(&cpi.other))?;
        }
        map.end()
    }
}

/// The `expect` object of an expression.
impl Serialize for Expression {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("whole", &limits(&self.whole))?;
        map.serialize_entry("media", &entries(&self.media))?;
        if !self.implicit.is_empty() {
            map.serialize_entry("implicit", &entries(&self.implicit))?;
        }
        map.serialize_entry("diag", &self.diags)?;
        map.end()
    }
}

struct Entry<'a>(&'a MediaEntry);

fn entries(media: &[MediaEntry]) -> Vec<Entry<'_>> {
    media.iter().map(Entry).collect()
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let entry = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("range", &entry.range)?;
        map.serialize_entry("q", &entry.q)?;
        if !entry.params.is_empty() {
            map.serialize_entry("params", &entry.params)?;
        }
        interval(&mut map, "length", entry.length)?;
        interval(&mut map, "media-pix-x", entry.pix_x)?;
        interval(&mut map, "media-pix-y", entry.pix_y)?;
        for (name, &value) in &entry.ext {
            interval(&mut map, name, value)?;
        }
        map.end()
    }
}

struct Limit<'a>(&'a WholeLimit);

fn limits(whole: &[WholeLimit]) -> Vec<Limit<'_>> {
    whole.iter().map(Limit).collect()
}

impl Serialize for Limit<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("coding", &self.0.coding)?;
        map.serialize_entry("q", &self.0.q)?;
        interval(&mut map, "length", self.0.length)?;
        map.end()
    }
}

fn interval<M: SerializeMap>(map: &mut M, name: &str, value: Interval) -> Result<(), M::Error> {
    if value.is_unlimited() { Ok(()) } else { map.serialize_entry(name, &value) }
}

/// Other parameters by name, the first of each; `true` for one without a value.
struct Other<'a>(&'a [(String, Option<String>)]);

impl Serialize for Other<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (at, (name, value)) in self.0.iter().enumerate() {
            if self.0.iter().take(at).any(|(earlier, _)| earlier == name) {
                continue;
            }
            match value {
                Some(value) => map.serialize_entry(name, value)?,
                None => map.serialize_entry(name, &true)?,
            }
        }
        map.end()
    }
}
