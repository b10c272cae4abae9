//! A subscription of ours at another presence server, for a member of a list who is no user of ours (RFC 4662 §5,
//! RFC 6665 §4.1). It is made in the name of who watches the list, so that the member decides about him and nobody else.

use std::sync::Arc;

use bytes::Bytes;
use sip::{Contact, HeaderId, Method, NameAddr, Outgoing, Request, RequestBuilder, Response};

use crate::document::{Document, Form, Limits};
use crate::event::{Event, Package};
use crate::refusal::Refusal;
use crate::subscription::Id;
use crate::time::Moment;

/// Seconds it is asked for.
const EXPIRES: u32 = 3600;

/// The longest that the other server may want, in seconds.
const LONGEST: u32 = 86_400;

/// Seconds after which it is tried again where nobody said when.
const AGAIN: u32 = 600;

/// And where the member, or his server, said no.
const REFUSED: u32 = 3600;

/// And at least, whatever is said.
const SOONEST: u32 = 5;

/// Octets of a route and a contact that the other server names.
const OCTETS: usize = 4096;

/// What is known of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing yet, or nothing any more.
    Nothing,
    /// He has to say whether the watcher may.
    Pending,
    /// What he published, as application/pidf+xml.
    Active(Bytes),
    /// It is over, for that reason of RFC 6665 §4.1.3.
    Terminated(&'static str),
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its number, which is the tag of our end.
    pub id: Id,
    /// Who watches the list, and proved it.
    pub watcher: Arc<str>,
    /// The member.
    pub member: Arc<str>,
    /// What is known of him.
    pub known: Known,
    /// When the next SUBSCRIBE is due.
    pub due: Moment,
    expires: u32,
    cseq: u32,
    dialog: Option<Dialog>,
    /// CSeq of the last NOTIFY.
    notified: Option<u32>,
}

#[derive(Clone, Debug)]
struct Dialog {
    remote_tag: Bytes,
    target: Bytes,
    routes: Vec<Bytes>,
}

impl Backend {
    /// One that is to begin.
    pub const fn new(id: Id, watcher: Arc<str>, member: Arc<str>, now: Moment) -> Self {
        Self {
            id,
            watcher,
            member,
            known: Known::Nothing,
            due: now,
            expires: EXPIRES,
            cseq: 0,
            dialog: None,
            notified: None,
        }
    }

    /// The tag of our end.
    pub fn tag(id: Id) -> String {
        format!("e{:016x}", id.0)
    }

    /// The subscription whose tag that is, if it has the form of one of ours.
    pub fn of_tag(tag: &[u8]) -> Option<Id> {
        let digits = tag.strip_prefix(b"e").filter(|digits| digits.len() == 16)?;
        let is_ours = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_ours)?;
        u64::from_str_radix(digits, 16).ok().map(Id)
    }

    /// Whether there is something to end.
    pub const fn is_established(&self) -> bool {
        self.dialog.is_some()
    }

    /// The SUBSCRIBE that is due; `is_last` ends it. `contact` is where we take the NOTIFYs.
    pub fn subscribe(&mut self, contact: &str, is_last: bool) -> Outgoing {
        self.cseq = self.cseq.saturating_add(1);
        let to = match &self.dialog {
            Some(dialog) => [b"<", self.member.as_bytes(), b">;tag=", &dialog.remote_tag].concat(),
            None => [b"<", self.member.as_bytes(), b">"].concat(),
        };
        let target = self.dialog.as_ref().map_or(self.member.as_bytes(), |dialog| &dialog.target);
        let mut builder = RequestBuilder::new(Method::Subscribe, target)
            .from(format!("<{}>;tag={}", self.watcher, Self::tag(self.id)))
            .to(to)
            .call_id(self.call_id())
            .cseq(self.cseq)
            .header(HeaderId::Contact, contact)
            .header(HeaderId::PAssertedIdentity, format!("<{}>", self.watcher))
            .header(HeaderId::Event, Package::Presence.name())
            .header(HeaderId::Accept, Form::Pidf.media_type())
            .header(HeaderId::Expires, if is_last { "0".to_owned() } else { self.expires.to_string() });
        for route in self.dialog.iter().flat_map(|dialog| &dialog.routes) {
            builder = builder.header(HeaderId::Route, route);
        }
        builder.build()
    }

    fn call_id(&self) -> String {
        format!("{:016x}@list", self.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// What came of a SUBSCRIBE; `None`: nobody answered.
    pub fn answered(&mut self, response: Option<&Response>, now: Moment) {
        let Some(response) = response else {
            return self.over(Known::Nothing, AGAIN, now);
        };
        let number = |id| {
            let value = response.header(id).map(grammar::trim)?;
            u32::try_from(grammar::decimal(value)?).ok()
        };
        let retry_after = number(HeaderId::RetryAfter);
        match response.status() {
            200..=299 => {
                if self.dialog.is_none() {
                    let contact = response.contacts().next().and_then(Result::ok);
                    // Seen from this end the route is the other way round (RFC 3261 §12.1.2).
                    let routes: Vec<&[u8]> = response.values(HeaderId::RecordRoute).collect();
                    self.dialog = dialog(contact, response.to_tag(), routes.into_iter().rev());
                }
                let lasts = number(HeaderId::Expires).unwrap_or(self.expires).min(LONGEST);
                self.wait(lasts / 5 * 4, now);
            }
            423 => match number(HeaderId::MinExpires)
                .filter(|least| *least <= LONGEST && *least > self.expires)
            {
                Some(least) => {
                    self.expires = least;
                    self.wait(0, now);
                }
                None => self.over(Known::Terminated("giveup"), AGAIN, now),
            },
            481 if self.dialog.is_some() => self.over(self.known.clone(), 0, now),
            404 | 410 | 604 => self.over(Known::Terminated("noresource"), REFUSED, now),
            401 | 403 | 407 | 603 => self.over(Known::Terminated("rejected"), REFUSED, now),
            _ => self.over(Known::Terminated("giveup"), retry_after.unwrap_or(AGAIN), now),
        }
    }

    /// A NOTIFY came. Says whether something is known now that was not.
    ///
    /// # Errors
    /// 481 for one of another dialog, 489, 400, 415 and 413 for what can't be read, 500 for one out of order.
    pub fn notified(&mut self, request: &Request, limits: &Limits, now: Moment) -> Result<bool, Refusal> {
        let is_of_it = request.call_id() == self.call_id().as_bytes();
        let is_of_dialog = |dialog: &Dialog| request.from_tag() == Some(&dialog.remote_tag);
        if !is_of_it || !self.dialog.as_ref().is_none_or(is_of_dialog) {
            return Err(Refusal::NoSubscription);
        }
        if Event::of(request).and_then(|event| event.package) != Some(Package::Presence) {
            return Err(Refusal::BadEvent);
        }
        let cseq = request.cseq().number;
        if self.notified.is_some_and(|last| cseq <= last) {
            return Err(Refusal::OutOfOrder);
        }
        let state = request.header_named("Subscription-State").unwrap_or_default();
        let (word, retry_after, reason) = read_state(state);
        let told = told(request, limits)?;
        let next = match &*word {
            b"active" => told.map_or_else(|| self.known.clone(), Known::Active),
            b"pending" => Known::Pending,
            b"terminated" => Known::Terminated(reason),
            _ => return Err(Refusal::Malformed("Subscription-State Can't Be Read")),
        };
        if self.dialog.is_none() && !matches!(next, Known::Terminated(_)) {
            // It came before the 200, and makes the dialog (RFC 6665 §4.4.1).
            let contact = request.contacts().next().and_then(Result::ok);
            self.dialog = dialog(contact, request.from_tag(), request.values(HeaderId::RecordRoute));
        }
        self.notified = Some(cseq);
        let is_news = next != self.known;
        match next {
            Known::Terminated(reason) => {
                let after = match reason {
                    "deactivated" | "timeout" => 0,
                    "rejected" | "noresource" | "invariant" => REFUSED,
                    _ => AGAIN,
                };
                self.over(Known::Terminated(reason), retry_after.unwrap_or(after), now);
            }
            known => self.known = known,
        }
        Ok(is_news)
    }

    fn over(&mut self, known: Known, after: u32, now: Moment) {
        (self.known, self.dialog, self.notified) = (known, None, None);
        self.wait(after, now);
    }

    fn wait(&mut self, seconds: u32, now: Moment) {
        self.due = now.after(u64::from(seconds.clamp(SOONEST, LONGEST)) * 1000);
    }
}

fn dialog<'r>(
    contact: Option<Contact<'_>>,
    tag: Option<&[u8]>,
    routes: impl Iterator<Item = &'r [u8]>,
) -> Option<Dialog> {
    let Some(Contact::Address(contact)) = contact else { return None };
    contact.uri().ok()?;
    let routes: Vec<Bytes> = routes.map(Bytes::copy_from_slice).collect();
    let are_read = routes.iter().all(|route| NameAddr::parse(route).is_ok());
    let octets = routes.iter().map(Bytes::len).sum::<usize>().saturating_add(contact.uri_octets().len());
    (are_read && octets <= OCTETS).then_some(Dialog {
        remote_tag: Bytes::copy_from_slice(tag?),
        target: Bytes::copy_from_slice(contact.uri_octets()),
        routes,
    })
}

/// The document of a NOTIFY, if it has one.
fn told(request: &Request, limits: &Limits) -> Result<Option<Bytes>, Refusal> {
    let body = request.body();
    if body.is_empty() {
        return Ok(None);
    }
    let kind = request.header(HeaderId::ContentType).unwrap_or_default();
    let kind = kind.split(|b| *b == b';').next().map(grammar::trim).unwrap_or_default();
    if std::str::from_utf8(kind).ok().and_then(Form::of).is_none() {
        return Err(Refusal::MediaType { accept: "application/pidf+xml" });
    }
    match Document::read(&body, limits) {
        // Copied: a slice would keep the whole message.
        Ok(document) => Ok(Some(Bytes::copy_from_slice(&document.write(Form::Pidf)))),
        Err(error) if error.is_size() => Err(Refusal::TooLarge),
        Err(_) => Err(Refusal::Malformed("The Presence Document Can't Be Read")),
    }
}

/// The word of Subscription-State in lower case, its retry-after, and its reason as one of those there are.
fn read_state(value: &[u8]) -> (Vec<u8>, Option<u32>, &'static str) {
    const REASONS: [&str; 7] =
        ["deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant"];
    let mut params = grammar::params(value);
    let word = params.next().map(|word| grammar::trim(word.raw).to_ascii_lowercase()).unwrap_or_default();
    let (mut retry_after, mut reason) = (None, "giveup");
    for param in params {
        let Some(value) = param.value.as_ref().map(|value| value.text()) else { continue };
        if param.is(b"retry-after") {
            retry_after = grammar::decimal(&value).and_then(|seconds| u32::try_from(seconds).ok());
        } else if param.is(b"reason") {
            let known = REASONS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(&value));
            reason = known.copied().unwrap_or("giveup");
        }
    }
    (word, retry_after, reason)
}
