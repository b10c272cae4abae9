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

/// And where the SUBSCRIBE itself was refused by the member or his server.
const REFUSED: u32 = 3600;

/// And at least, whatever is said.
const SOONEST: u32 = 5;

/// Milliseconds that a SUBSCRIBE waits for its NOTIFY: Timer N of RFC 6665 §4.1.2, 64*T1.
const TIMER_N: u64 = 32_000;

/// Later than anything.
const NEVER: Moment = Moment::from_millis(u64::MAX);

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
    /// When something is to be done next.
    pub due: Moment,
    expires: u32,
    cseq: u32,
    /// How many subscriptions came before this one: each has a dialog of its own (RFC 6665 §4.1.2.2).
    round: u32,
    /// A SUBSCRIBE of this round is not answered yet.
    is_asking: bool,
    /// When the subscription is to be refreshed, by whatever said the shortest time since it was asked for.
    refresh_at: Moment,
    /// When it ends unless it is refreshed, by what was said since it was asked for last, or before.
    ends_at: Moment,
    /// When it is over unless a NOTIFY comes before.
    silent_at: Option<Moment>,
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
            round: 0,
            is_asking: false,
            refresh_at: NEVER,
            ends_at: now,
            silent_at: None,
            dialog: None,
            notified: None,
        }
    }

    /// The tag of our end: the number, and which of its subscriptions it is.
    fn tag(&self) -> String {
        format!("e{:016x}.{:x}", self.id.0, self.round)
    }

    /// The subscription whose tag that is, if it has the form of one of ours.
    pub fn of_tag(tag: &[u8]) -> Option<Id> {
        let (digits, _round) = grammar::split_once(tag.strip_prefix(b"e")?, |b| b == b'.')?;
        let is_ours = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        let is_ours = digits.len() == 16 && digits.iter().all(is_ours);
        let digits = std::str::from_utf8(digits).ok().filter(|_| is_ours)?;
        u64::from_str_radix(digits, 16).ok().map(Id)
    }

    /// Whether there is something to end.
    pub const fn is_established(&self) -> bool {
        self.dialog.is_some()
    }

    /// The SUBSCRIBE that is due; `is_last` ends it. `contact` is where we take the NOTIFYs.
    pub fn subscribe(&mut self, contact: &str, is_last: bool, now: Moment) -> Outgoing {
        self.cseq = self.cseq.saturating_add(1);
        self.is_asking = true;
        (self.refresh_at, self.silent_at) = (NEVER, Some(now.after(TIMER_N)));
        self.schedule();
        let to = match &self.dialog {
            Some(dialog) => [b"<", self.member.as_bytes(), b">;tag=", &dialog.remote_tag].concat(),
            None => [b"<", self.member.as_bytes(), b">"].concat(),
        };
        let target = self.dialog.as_ref().map_or(self.member.as_bytes(), |dialog| &dialog.target);
        let mut builder = RequestBuilder::new(Method::Subscribe, target)
            .from(format!("<{}>;tag={}", self.watcher, self.tag()))
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
        format!("{:016x}.{:x}@list", self.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15), self.round)
    }

    /// What came of a SUBSCRIBE; `None`: nobody answered. Of one whose subscription a NOTIFY ended before, nothing does.
    pub fn answered(&mut self, response: Option<&Response>, now: Moment) {
        if !std::mem::take(&mut self.is_asking) {
            // There was nowhere to send it.
            if response.is_none() && self.due <= now {
                self.over(Known::Nothing, Some(AGAIN), now);
            }
            return;
        }
        let Some(response) = response else {
            // A NOTIFY makes the subscription, the 200 or not (RFC 6665 §4.1.2.4).
            return match self.silent_at {
                None => self.lasts(self.expires, now),
                // It could not be sent, which is as good as a 503 (RFC 3261 §8.1.3.1).
                Some(silent_at) if now < silent_at && self.outlives(503, now) => self.goes_on(AGAIN, now),
                Some(_) => self.over(Known::Nothing, Some(AGAIN), now),
            };
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
                if response.status() == 204 {
                    // No NOTIFY will come (RFC 5839 §5.1).
                    self.silent_at = None;
                }
                self.lasts(number(HeaderId::Expires).unwrap_or(self.expires), now);
            }
            423 => match number(HeaderId::MinExpires)
                .filter(|least| *least <= LONGEST && *least > self.expires)
            {
                Some(least) => {
                    self.expires = least;
                    (self.refresh_at, self.silent_at) = (now.after(u64::from(SOONEST) * 1000), None);
                    self.schedule();
                }
                None => self.over(Known::Terminated("giveup"), Some(AGAIN), now),
            },
            481 if self.dialog.is_some() => self.over(self.known.clone(), Some(0), now),
            status if self.outlives(status, now) => self.goes_on(retry_after.unwrap_or(AGAIN), now),
            404 | 410 | 604 => self.over(Known::Terminated("noresource"), Some(REFUSED), now),
            401 | 403 | 407 | 603 => self.over(Known::Terminated("rejected"), Some(REFUSED), now),
            _ => {
                let after = retry_after.unwrap_or(AGAIN).min(LONGEST);
                self.over(Known::Terminated("giveup"), Some(after), now);
            }
        }
    }

    /// Whether there is a subscription that goes on although its refresh was refused so (RFC 6665 §4.1.2.2).
    fn outlives(&self, status: u16, now: Moment) -> bool {
        let ends = matches!(status, 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604);
        self.dialog.is_some() && now < self.ends_at && !ends
    }

    /// It is refreshed after so many seconds, and at its end at the latest.
    fn goes_on(&mut self, seconds: u32, now: Moment) {
        let later = now.after(u64::from(seconds.max(SOONEST)) * 1000);
        (self.refresh_at, self.silent_at) = (later.min(self.ends_at), None);
        self.schedule();
    }

    /// Ends it if no NOTIFY came for a SUBSCRIBE in time (Timer N of RFC 6665 §4.1.2), and says whether it did; it is
    /// asked for anew later.
    pub fn falls_silent(&mut self, now: Moment) -> bool {
        let is_silent = self.silent_at.is_some_and(|silent_at| silent_at <= now);
        if is_silent {
            self.over(Known::Nothing, Some(AGAIN), now);
        }
        is_silent
    }

    /// We ended it. If it is wanted again, that is another subscription.
    pub fn ended(&mut self, now: Moment) {
        self.over(Known::Nothing, Some(0), now);
    }

    /// Somebody more wants it. If it was not to be asked for anew it is, and that is said.
    pub fn wanted(&mut self, now: Moment) -> bool {
        let is_given_up = self.due == NEVER;
        if is_given_up {
            self.over(self.known.clone(), Some(0), now);
        }
        is_given_up
    }

    /// A NOTIFY came. Says whether something is known now that was not.
    ///
    /// # Errors
    /// 481 for one of another dialog, 489, 400, 415 and 413 for what can't be read, 500 for one out of order.
    pub fn notified(&mut self, request: &Request, limits: &Limits, now: Moment) -> Result<bool, Refusal> {
        let is_of_it = request.call_id() == self.call_id().as_bytes()
            && request.to_tag() == Some(self.tag().as_bytes())
            && (self.is_asking || self.silent_at.is_some() || self.dialog.is_some());
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
        let state = State::read(state);
        let told = told(request, limits)?;
        let next = match &*state.word {
            b"active" => told.map_or_else(|| self.known.clone(), Known::Active),
            b"pending" => Known::Pending,
            b"terminated" => Known::Terminated(state.reason),
            _ => return Err(Refusal::Malformed("Subscription-State Can't Be Read")),
        };
        if self.dialog.is_none() && !matches!(next, Known::Terminated(_)) {
            // It came before the 200, and makes the dialog (RFC 6665 §4.4.1).
            let contact = request.contacts().next().and_then(Result::ok);
            self.dialog = dialog(contact, request.from_tag(), request.values(HeaderId::RecordRoute));
        }
        (self.notified, self.silent_at) = (Some(cseq), None);
        let is_news = next != self.known;
        match next {
            Known::Terminated(_) => self.over(next, state.after(), now),
            known => {
                self.known = known;
                self.lasts(state.expires.unwrap_or(LONGEST), now);
            }
        }
        Ok(is_news)
    }

    /// It goes on for so many seconds, unless less was said before: neither the 200 nor a NOTIFY that overtook it makes
    /// it longer than the other says (RFC 6665 §4.1.3).
    fn lasts(&mut self, seconds: u32, now: Moment) {
        let until = u64::from((seconds.min(LONGEST) / 5 * 4).max(SOONEST)) * 1000;
        let end = now.after(u64::from(seconds.min(LONGEST)) * 1000);
        self.ends_at = if self.refresh_at == NEVER { end } else { self.ends_at.min(end) };
        self.refresh_at = self.refresh_at.min(now.after(until));
        self.schedule();
    }

    fn schedule(&mut self) {
        self.due = self.silent_at.map_or(self.refresh_at, |silent_at| silent_at.min(self.refresh_at));
    }

    /// It is over, and asked for anew after so many seconds, or never.
    fn over(&mut self, known: Known, after: Option<u32>, now: Moment) {
        (self.known, self.dialog, self.notified) = (known, None, None);
        (self.is_asking, self.silent_at) = (false, None);
        self.round = self.round.wrapping_add(1);
        self.refresh_at = after.map_or(NEVER, |after| now.after(u64::from(after.max(SOONEST)) * 1000));
        self.schedule();
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

/// What Subscription-State says.
struct State {
    /// In lower case.
    word: Vec<u8>,
    expires: Option<u32>,
    retry_after: Option<u32>,
    /// One of those there are.
    reason: &'static str,
}

impl State {
    fn read(value: &[u8]) -> State {
        const REASONS: [&str; 7] =
            ["deactivated", "probation", "rejected", "timeout", "giveup", "noresource", "invariant"];
        let mut params = grammar::params(value);
        let word = params.next().map(|word| grammar::trim(word.raw).to_ascii_lowercase()).unwrap_or_default();
        // An unknown reason is none, and none means no more than this one.
        let mut state = State { word, expires: None, retry_after: None, reason: "giveup" };
        for param in params {
            let Some(value) = param.value.as_ref().map(|value| value.text()) else { continue };
            let number = || grammar::decimal(&value).and_then(|seconds| u32::try_from(seconds).ok());
            if param.is(b"retry-after") {
                state.retry_after = number();
            } else if param.is(b"expires") {
                state.expires = number();
            } else if param.is(b"reason") {
                let known = REASONS.iter().find(|known| known.as_bytes().eq_ignore_ascii_case(&value));
                state.reason = known.copied().unwrap_or("giveup");
            }
        }
        state
    }

    /// Seconds after which one that was terminated may be asked for anew; `None`: it may not be (RFC 6665 §4.1.3).
    fn after(&self) -> Option<u32> {
        match self.reason {
            "deactivated" | "timeout" => Some(0),
            "rejected" | "noresource" | "invariant" => None,
            _ => Some(self.retry_after.unwrap_or(AGAIN)),
        }
    }
}
