//! A message on its way out: the octets that came in, and what is changed of them.
//!
//! Lines that nobody touches go out byte for byte. Branches of a fork are clones: they share the base and own
//! only their changes. A value that is written has line ends and folds taken out, so that no value ends its
//! line.

mod encode;
mod routing;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::header::{Header, HeaderId, Name};
use crate::index::HeaderLine;
use crate::limits::Limits;
use crate::message::{Request, Response};
use crate::raw::{self, RawMessage};
use crate::{answer, index};

/// A message with changes, to be encoded once.
#[derive(Clone)]
pub struct Outgoing {
    /// Shared by clones: its index is large.
    base: Arc<RawMessage>,
    /// The start line, if it is another than the base's, without its line end.
    start: Option<Bytes>,
    order: SmallVec<[Line; 32]>,
    /// Lines that were written here, as they stand in `text`.
    fresh: SmallVec<[HeaderLine; 4]>,
    text: Vec<u8>,
    body: Option<Bytes>,
}

/// Octets that the lines of most messages of ours have.
const ROOM_OF_OURS: usize = 512;

/// Octets of the names that are nearly always rewritten.
const LONGEST_USUAL_NAME: usize = 24;

/// One line of the head: a base line, or a fresh one with the top bit set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line(u16);

const FRESH: u16 = 0x8000;

impl From<&Request> for Outgoing {
    /// A request that came with a noted source has it stamped into its top Via.
    fn from(request: &Request) -> Self {
        Outgoing::over(Arc::new(request.raw().clone()), true)
    }
}

impl From<&Response> for Outgoing {
    fn from(response: &Response) -> Self {
        Outgoing::over(Arc::new(response.raw().clone()), false)
    }
}

impl Outgoing {
    pub(crate) fn over(base: Arc<RawMessage>, stamp: bool) -> Self {
        let lines = u16::try_from(base.lines().len()).unwrap_or(FRESH).min(FRESH);
        let mut outgoing = Outgoing {
            start: None,
            order: (0..lines).map(Line).collect(),
            fresh: SmallVec::new(),
            text: Vec::new(),
            body: None,
            base,
        };
        if let Some(source) = outgoing.base.source().filter(|_| stamp) {
            outgoing.stamp_received(source);
        }
        outgoing
    }

    /// A message of ours.
    pub(crate) fn originate(start: Vec<u8>) -> Self {
        static NOTHING: LazyLock<Arc<RawMessage>> = LazyLock::new(|| Arc::new(RawMessage::empty()));
        let mut outgoing = Outgoing::over(Arc::clone(&NOTHING), false);
        outgoing.text.reserve(ROOM_OF_OURS);
        outgoing.start = Some(start.into());
        outgoing.body = Some(Bytes::new());
        outgoing
    }

    /// The header lines as they will stand. Content-Length is put right by [`Outgoing::encode`].
    pub fn headers(&self) -> impl Iterator<Item = Header<'_>> {
        self.order.iter().map(|&line| self.view(line))
    }

    /// The value of the first header of that name.
    pub fn header<'n>(&self, name: impl Into<Name<'n>>) -> Option<&[u8]> {
        let name = name.into();
        self.position(name).and_then(|at| self.order.get(at)).map(|&line| self.view(line).value)
    }

    /// The elements of the comma lists of all headers `id`.
    pub fn values(&self, id: HeaderId) -> impl Iterator<Item = &[u8]> {
        let of_id = self.order.iter().filter(move |&&line| self.id(line) == id);
        of_id.flat_map(|&line| grammar::split_commas(self.view(line).value))
    }

    /// The start line as it will stand.
    pub fn start_line(&self) -> &[u8] {
        self.start.as_deref().unwrap_or_else(|| self.base.start_line())
    }

    /// The body as it will stand.
    pub fn body(&self) -> Bytes {
        self.body.clone().unwrap_or_else(|| self.base.body())
    }

    /// Puts another Request-URI in the start line; nothing happens to a response.
    pub fn set_request_uri(&mut self, uri: impl AsRef<[u8]>) {
        if self.start_line().starts_with(b"SIP/") {
            return;
        }
        let method = grammar::split_once(self.start_line(), |b| b == b' ').unwrap_or_default().0;
        let start = [method, b" ", &flat(uri.as_ref()), b" SIP/2.0"].concat();
        self.start = Some(start.into());
    }

    /// The Request-URI as it will stand; empty for a response.
    pub fn request_uri(&self) -> &[u8] {
        let mut words = self.start_line().split(|&b| b == b' ');
        match words.next() {
            Some(first) if !first.starts_with(b"SIP/") => words.next().unwrap_or_default(),
            _ => b"",
        }
    }

    /// Makes the message a response with another status.
    pub fn set_status(&mut self, status: u16, reason: &str) {
        self.start = Some(format!("SIP/2.0 {status} {}", reason.replace(['\r', '\n'], " ")).into());
    }

    /// Sets Max-Forwards.
    pub fn set_max_forwards(&mut self, hops: u32) {
        let value = hops.to_string();
        match self.position(HeaderId::MaxForwards) {
            Some(at) => self.replace(at, value.as_bytes()),
            None => self.insert(self.after_vias(), HeaderId::MaxForwards.into(), value.as_bytes()),
        }
    }

    /// Sets a header: its first line gets the value, further lines of that name go. It is put at the end if
    /// there is none.
    pub fn set<'n>(&mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) {
        let name = name.into();
        let Some(first) = self.position(name) else { return self.append(name, value) };
        self.replace(first, value.as_ref());
        self.remove_from(first + 1, name);
    }

    /// Removes all lines of that header and says whether there were any.
    pub fn remove<'n>(&mut self, name: impl Into<Name<'n>>) -> bool {
        let name = name.into();
        self.position(name).is_some_and(|first| self.remove_from(first, name))
    }

    /// Adds a line at the end of the head. A name that is no token is not written.
    pub fn append<'n>(&mut self, name: impl Into<Name<'n>>, value: impl AsRef<[u8]>) {
        self.insert(self.order.len(), name.into(), value.as_ref());
    }

    /// Replaces the body. Content-Length follows, Content-Type is the caller's.
    pub fn set_body(&mut self, body: Bytes) {
        self.body = Some(body);
    }

    /// Puts a Via value on top.
    pub fn push_via(&mut self, value: impl AsRef<[u8]>) {
        let at = self.position(HeaderId::Via).unwrap_or(0);
        self.insert(at, HeaderId::Via.into(), value.as_ref());
    }

    /// Takes the topmost Via value away, and its line if it was the only one in it. Says whether there was
    /// one.
    pub fn pop_via(&mut self) -> bool {
        self.pop_value(HeaderId::Via)
    }

    /// Writes into the top Via where the request came from: `received` if the sent-by does not name that
    /// address (RFC 3261 §18.2.1), `rport` if it is asked for, and then `received` too (RFC 3581 §4). What the
    /// sender wrote there itself is not believed.
    pub fn stamp_received(&mut self, source: SocketAddr) {
        let Some(at) = self.position(HeaderId::Via) else { return };
        let value = self.order.get(at).map(|&line| self.view(line).value).unwrap_or_default();
        if let Some(value) = answer::stamped(value, source) {
            self.replace(at, &value);
        }
    }

    fn view(&self, line: Line) -> Header<'_> {
        let buf: &[u8] = if line.0 & FRESH == 0 { self.base.octets() } else { &self.text };
        let nothing = Header { id: HeaderId::Other, name: b"", value: b"", raw: b"" };
        self.place(line).map_or(nothing, |line| raw::view(line, buf))
    }

    /// Where a line stands, in the base or in `text`.
    fn place(&self, line: Line) -> Option<&HeaderLine> {
        let lines = if line.0 & FRESH == 0 { self.base.lines() } else { &self.fresh };
        lines.get(usize::from(line.0 & !FRESH))
    }

    fn id(&self, line: Line) -> HeaderId {
        self.place(line).map_or(HeaderId::Other, |line| line.id)
    }

    fn position<'n>(&self, name: impl Into<Name<'n>>) -> Option<usize> {
        let name = name.into();
        match name.id() {
            HeaderId::Other => self.order.iter().position(|&line| self.view(line).is(name)),
            known => self.order.iter().position(|&line| self.id(line) == known),
        }
    }

    /// Where a line stands that is the first behind the Vias.
    fn after_vias(&self) -> usize {
        let last = self.order.iter().rposition(|&line| self.id(line) == HeaderId::Via);
        last.map_or(0, |at| at + 1)
    }

    fn remove_from(&mut self, start: usize, name: Name<'_>) -> bool {
        let before = self.order.len();
        let mut kept = SmallVec::with_capacity(before);
        for (at, &line) in self.order.iter().enumerate() {
            if at < start || !self.view(line).is(name) {
                kept.push(line);
            }
        }
        self.order = kept;
        self.order.len() != before
    }

    /// Gives the line at `at` another value under the name it has.
    fn replace(&mut self, at: usize, value: &[u8]) {
        let Some(&line) = self.order.get(at) else { return };
        let name: SmallVec<[u8; LONGEST_USUAL_NAME]> = self.view(line).name.into();
        if let (Some(fresh), Some(place)) = (self.write(&name, value), self.order.get_mut(at)) {
            *place = fresh;
        }
    }

    fn insert(&mut self, at: usize, name: Name<'_>, value: &[u8]) {
        if let Some(line) = self.write(name.octets(), value) {
            self.order.insert(at.min(self.order.len()), line);
        }
    }

    /// Writes a line; `None` if the name is no token, or after 32,767 lines.
    fn write(&mut self, name: &[u8], value: &[u8]) -> Option<Line> {
        let next = u16::try_from(self.fresh.len()).ok().filter(|&next| next < FRESH)?;
        let line = write_line(&mut self.text, name, value)?;
        self.fresh.push(line);
        Some(Line(next | FRESH))
    }
}

/// Writes a line behind `text` and says where it stands; `None` if the name is no token, or the value holds what no
/// line may: then nothing is written.
pub(crate) fn write_line(text: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Option<HeaderLine> {
    if !grammar::is_token(name) {
        return None;
    }
    let (value, at) = (grammar::trim(value), text.len());
    let line = if memchr::memchr3(b'\r', b'\n', 0, value).is_none() {
        put_line(text, name, value);
        HeaderLine::written(at, name, value.len())
    } else {
        let value = flat(value);
        put_line(text, name, &value);
        // Whether a NUL may stand there is the index's to say.
        index::header_line(text, at, &Limits::NONE).ok()
    };
    if line.is_none() {
        text.truncate(at);
    }
    line
}

/// As [`push_line`], of a header this crate knows by its name.
pub(crate) fn push_known(text: &mut Vec<u8>, id: HeaderId, value: &[u8]) {
    match memchr::memchr3(b'\r', b'\n', 0, value) {
        None if id != HeaderId::Other => put_line(text, id.name().as_bytes(), grammar::trim(value)),
        _ => push_line(text, id.name().as_bytes(), value),
    }
}

/// As [`write_line`], for a head that needs no index.
pub(crate) fn push_line(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let value = grammar::trim(value);
    if memchr::memchr3(b'\r', b'\n', 0, value).is_some() {
        let _refused = write_line(text, name, value);
    } else if grammar::is_token(name) {
        put_line(text, name, value);
    }
}

fn put_line(text: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    text.reserve(name.len() + value.len() + 4);
    text.extend_from_slice(name);
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// Sizes only: what stands in a message is not for logs.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("base", &self.base)
            .field("lines", &self.order.len())
            .field("fresh", &self.fresh.len())
            .field("body", &self.body_len())
            .finish_non_exhaustive()
    }
}

/// `value` on one line: folds become a space, and so does a line end that is no fold.
fn flat(value: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    let mut value = grammar::unfold(value);
    if value.iter().any(|&b| matches!(b, b'\r' | b'\n')) {
        value.to_mut().iter_mut().filter(|b| matches!(b, b'\r' | b'\n')).for_each(|b| *b = b' ');
    }
    value
}
