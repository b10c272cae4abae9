//! Validation (RFC 3261 §8.1.1, §16.3): what every element needs of a message is there once and can be read.
//! Reads each mandatory line once, allocates nothing, and never looks at the body.

use crate::address::{self, Contact, NameAddr};
use crate::header::HeaderId;
use crate::index::{Defect, HeaderLine, Start};
use crate::invalid::{Invalid, Kind};
use crate::limits::Limits;
use crate::message::{AddressSpans, Core, Message, Request, ViaSpans};
use crate::method::{self, Method};
use crate::raw::RawMessage;
use crate::scan;
use crate::span::Span;
use crate::uri;
use crate::via::{self, ParamsJudged, Via};

/// Judges a framed message.
///
/// A request of RFC 2543 (no branch, no From tag, no Max-Forwards) is valid.
///
/// # Errors
/// [`Invalid`] with the first defect found; [`Invalid::verdict`] says what to do.
#[inline]
pub fn validate(raw: RawMessage, limits: &Limits) -> Result<Message, Invalid> {
    let mut core = Core::default();
    match judge(&raw, limits, &mut core) {
        Ok(()) => Ok(Message::new(raw, core)),
        Err((kind, offset)) => Err(Invalid { kind, offset, raw: Box::new(raw) }),
    }
}

/// What a proxy checks before it routes (RFC 3261 §16.3 steps 2, 3 and 5), in that order: the scheme,
/// Max-Forwards (an OPTIONS with 0 is the caller's to answer, §11), Proxy-Require against `understood`.
///
/// # Errors
/// The [`Kind`], whose [`Kind::answer`] is 416, 483 or 420.
pub fn admit(request: &Request, understood: &[&str]) -> Result<(), Kind> {
    if !request.uri().is_sip() {
        return Err(Kind::UnsupportedScheme);
    }
    if request.max_forwards() == Some(0) {
        return Err(Kind::TooManyHops);
    }
    let known = |tag: &[u8]| understood.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(tag));
    if request.values(HeaderId::ProxyRequire).all(known) { Ok(()) } else { Err(Kind::UnsupportedExtension) }
}

/// Fills in `core` place by place.
fn judge(raw: &RawMessage, limits: &Limits, core: &mut Core) -> Result<(), Defect> {
    let method = match raw.start() {
        Start::Request { method, uri } => {
            judge_uri(uri.in_buf(raw.octets())).map_err(|kind| (kind, uri.start()))?;
            Some(method.in_buf(raw.octets()))
        }
        Start::Response { .. } => None,
        Start::Broken { kind, .. } => return Err((kind, 0)),
    };
    let found = Found::collect(raw)?;
    let vias = judge_via(raw, found.via, limits, &mut core.via)? + found.more_vias;
    if vias > limits.vias {
        return Err((Kind::TooManyVias, 0));
    }
    judge_address(raw, found.from, HeaderId::From, limits, &mut core.from)?;
    judge_address(raw, found.to, HeaderId::To, limits, &mut core.to)?;
    core.call_id = judge_call_id(raw, found.call_id)?;
    judge_cseq(raw, found.cseq, method, core)?;
    core.max_forwards = judge_max_forwards(raw, found.max_forwards)?;
    if method == Some(Method::Register.as_bytes()) {
        judge_contacts(raw, limits)?;
    }
    Ok(())
}

/// The lines that may stand once, and the first Via.
#[derive(Default)]
struct Found<'r> {
    via: Option<&'r HeaderLine>,
    /// Via values of the lines below the first.
    more_vias: usize,
    from: Option<&'r HeaderLine>,
    to: Option<&'r HeaderLine>,
    call_id: Option<&'r HeaderLine>,
    cseq: Option<&'r HeaderLine>,
    max_forwards: Option<&'r HeaderLine>,
}

impl<'r> Found<'r> {
    #[inline(always)]
    fn collect(raw: &'r RawMessage) -> Result<Self, Defect> {
        let mut found = Found::default();
        for line in raw.lines() {
            // The mandatory ones stand first in the enum, and most lines are none of them.
            if line.id as u8 > HeaderId::MaxForwards as u8 {
                continue;
            }
            let place = match line.id {
                HeaderId::Via if found.via.is_some() => {
                    found.more_vias += count_values(line.value(raw.octets()));
                    continue;
                }
                HeaderId::Via => &mut found.via,
                HeaderId::From => &mut found.from,
                HeaderId::To => &mut found.to,
                HeaderId::CallId => &mut found.call_id,
                HeaderId::CSeq => &mut found.cseq,
                _ => &mut found.max_forwards,
            };
            if place.replace(line).is_some() {
                return Err((Kind::Repeated(line.id), line.start()));
            }
        }
        Ok(found)
    }
}

fn count_values(value: &[u8]) -> usize {
    if !scan::holds(value, b',') { 1 } else { grammar::split_commas(value).count() }
}

fn judge_uri(uri: &[u8]) -> Result<(), Kind> {
    match uri::check(uri) {
        Ok(with_headers) if !with_headers => Ok(()),
        Ok(_) => Err(Kind::UriHeaders),
        Err(_) => Err(Kind::BadUri),
    }
}

/// The line, or that it is missing.
fn mandatory(line: Option<&HeaderLine>, id: HeaderId) -> Result<&HeaderLine, Defect> {
    line.ok_or((Kind::Missing(id), 0))
}

/// Gives how many values the line has.
fn judge_via(
    raw: &RawMessage,
    line: Option<&HeaderLine>,
    limits: &Limits,
    spans: &mut ViaSpans,
) -> Result<usize, Defect> {
    let buf = raw.octets();
    let line = mandatory(line, HeaderId::Via)?;
    let bad = (Kind::Bad(HeaderId::Via), line.start());
    let value = line.value(buf);
    let (via, judged, count) = if let Some((via, judged)) = via::plain(value, limits.params) {
        (via, judged, 1)
    } else {
        let top = grammar::split_commas(value).next().ok_or(bad)?;
        let via = Via::parse(top).ok_or(bad)?;
        (via, via.judge_params(limits.params), count_values(value))
    };
    match judged {
        ParamsJudged::Clean { branch } => spans.branch = branch.map(|branch| Span::of(buf, branch)),
        ParamsJudged::Broken => return Err(bad),
        ParamsJudged::TooMany => return Err((Kind::TooManyParams(HeaderId::Via), line.start())),
    }
    spans.transport = Span::of(buf, via.transport);
    spans.host = Span::of(buf, via.host);
    spans.port = via.port;
    spans.params = Span::of(buf, via.params);
    Ok(count)
}

fn judge_address(
    raw: &RawMessage,
    line: Option<&HeaderLine>,
    id: HeaderId,
    limits: &Limits,
    spans: &mut AddressSpans,
) -> Result<(), Defect> {
    let buf = raw.octets();
    let line = mandatory(line, id)?;
    let value = line.value(buf);
    spans.value = line.value_span();
    let params = match address::plain(value) {
        Some(address) => address.params,
        None => NameAddr::parse(value).map_err(|_| (Kind::Bad(id), line.start()))?.params,
    };
    // There is nearly always no parameter or the tag alone, and then it ends the value.
    if params.is_empty() {
        return Ok(());
    }
    if let Some(tag) = params.strip_prefix(b";tag=").filter(|tag| grammar::is_token(tag) && limits.params > 0)
    {
        spans.tag = Some(spans.value.last(tag.len()));
        return Ok(());
    }
    let tag = judge_params(params, limits.params).ok_or((Kind::TooManyParams(id), line.start()))?;
    spans.tag = tag.map(|tag| Span::of(buf, tag));
    Ok(())
}

/// The tag among `params`; `None` if there are more than `most` parameters.
fn judge_params(params: &[u8], most: usize) -> Option<Option<&[u8]>> {
    let mut tag = None;
    for (count, param) in grammar::params(params).enumerate() {
        if count >= most {
            return None;
        }
        if tag.is_none() && param.is(b"tag") {
            tag = param.value.map(|value| value.raw()).filter(|tag| !tag.is_empty());
        }
    }
    Some(tag)
}

fn judge_call_id(raw: &RawMessage, line: Option<&HeaderLine>) -> Result<Span, Defect> {
    let line = mandatory(line, HeaderId::CallId)?;
    let value = line.value(raw.octets());
    if value.is_empty() || !scan::all_printable(value) {
        return Err((Kind::Bad(HeaderId::CallId), line.start()));
    }
    Ok(Span::of(raw.octets(), value))
}

fn judge_cseq(
    raw: &RawMessage,
    line: Option<&HeaderLine>,
    method: Option<&[u8]>,
    core: &mut Core,
) -> Result<(), Defect> {
    let line = mandatory(line, HeaderId::CSeq)?;
    let bad = (Kind::Bad(HeaderId::CSeq), line.start());
    let (number, named) = method::split(line.value(raw.octets())).ok_or(bad)?;
    if method != Some(named) {
        if !grammar::is_token(named) {
            return Err(bad);
        }
        if method.is_some() {
            return Err((Kind::MethodMismatch, line.start()));
        }
    }
    core.cseq = number;
    core.cseq_method = line.value_span().last(named.len());
    Ok(())
}

/// More than 255 counts as 255, the most the grammar has (RFC 4475 §3.1.2.4 lets an element do so).
fn judge_max_forwards(raw: &RawMessage, line: Option<&HeaderLine>) -> Result<Option<u32>, Defect> {
    let Some(line) = line else { return Ok(None) };
    let value = line.value(raw.octets());
    let mut hops = 0;
    for b in value {
        if !b.is_ascii_digit() {
            return Err((Kind::Bad(HeaderId::MaxForwards), line.start()));
        }
        hops = (hops * 10 + u32::from(b & 0xf)).min(255);
    }
    if value.is_empty() { Err((Kind::Bad(HeaderId::MaxForwards), line.start())) } else { Ok(Some(hops)) }
}

/// A REGISTER whose Contact can't be read must not be handled as if it could (RFC 4475 §3.1.2.13).
fn judge_contacts(raw: &RawMessage, limits: &Limits) -> Result<(), Defect> {
    for line in raw.lines().iter().filter(|line| line.id == HeaderId::Contact) {
        for value in grammar::split_commas(line.value(raw.octets())) {
            match Contact::parse(value) {
                Err(_) => return Err((Kind::Bad(HeaderId::Contact), line.start())),
                Ok(Contact::Address(address)) if has_more_params(&address, limits.params) => {
                    return Err((Kind::TooManyParams(HeaderId::Contact), line.start()));
                }
                Ok(_) => {}
            }
        }
    }
    Ok(())
}

/// Semicolons in quotes end no parameter, so that they are told apart only where there are many.
fn has_more_params(address: &NameAddr<'_>, most: usize) -> bool {
    let semicolons = memchr::memchr_iter(b';', address.params).count();
    semicolons > most && address.params().count() > most
}
