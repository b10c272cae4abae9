//! Our end of a dialog (RFC 3261 §12) and its session timer (RFC 4028). No socket, no clock.

use std::time::{Duration, Instant};

use sip::{AddressError, Contact, HeaderId, Method, NameAddr, Outgoing, Request, RequestBuilder};

/// The shortest session interval that may be (RFC 4028 §5).
pub const LEAST_INTERVAL: u32 = 90;

/// What tells a dialog from all others: Call-ID, our tag, the caller's.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DialogId {
    call_id: Vec<u8>,
    local: Vec<u8>,
    remote: Vec<u8>,
}

/// Who calls is nobody's business.
impl std::fmt::Debug for DialogId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DialogId(..)")
    }
}

impl DialogId {
    /// The dialog a request of the caller belongs to; `None` if it belongs to none.
    pub fn of(request: &Request) -> Option<DialogId> {
        Some(DialogId {
            call_id: request.call_id().to_vec(),
            local: request.to_tag()?.to_vec(),
            remote: request.from_tag().unwrap_or_default().to_vec(),
        })
    }
}

/// A dialog that an INVITE made.
pub struct Dialog {
    id: DialogId,
    /// To of the INVITE with our tag: From of what we send.
    local: Vec<u8>,
    /// Its From.
    remote: Vec<u8>,
    routes: Vec<Vec<u8>>,
    target: Vec<u8>,
    sent: u32,
    received: u32,
}

impl std::fmt::Debug for Dialog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialog")
            .field("sent", &self.sent)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

impl Dialog {
    /// The dialog of an INVITE that is answered with that tag; `None` without a Contact, which an INVITE must have.
    pub fn of_invite(invite: &Request, tag: &str) -> Option<Dialog> {
        let id = DialogId {
            call_id: invite.call_id().to_vec(),
            local: tag.as_bytes().to_vec(),
            remote: invite.from_tag().unwrap_or_default().to_vec(),
        };
        let field = |header| invite.header(header).map(<[u8]>::to_vec);
        let local = [field(HeaderId::To)?, b";tag=".to_vec(), tag.as_bytes().to_vec()].concat();
        Some(Dialog {
            id,
            local,
            remote: field(HeaderId::From)?,
            routes: invite.values(HeaderId::RecordRoute).map(<[u8]>::to_vec).collect(),
            target: contact(invite.contacts())?,
            sent: 0,
            received: invite.cseq().number,
        })
    }

    /// What tells it from others.
    pub const fn id(&self) -> &DialogId {
        &self.id
    }

    /// Takes the number of a request that came; `false` if it comes out of order (RFC 3261 §12.2.2).
    pub fn takes(&mut self, request: &Request) -> bool {
        let number = request.cseq().number;
        let is_next = number > self.received;
        self.received = self.received.max(number);
        is_next
    }

    /// The highest number that came.
    pub const fn received(&self) -> u32 {
        self.received
    }

    /// Takes the Contact of what may move it.
    pub fn moved<'c>(&mut self, contacts: impl Iterator<Item = Result<Contact<'c>, AddressError>>) {
        if let Some(target) = contact(contacts) {
            self.target = target;
        }
    }

    /// The URI the next request goes to: the first route, or the caller's Contact.
    pub fn next(&self) -> Option<sip::Uri> {
        match self.routes.first() {
            Some(route) => NameAddr::parse(route).ok()?.uri().ok(),
            None => sip::Uri::parse(&self.target).ok(),
        }
    }

    /// Whether others asked to be on the way.
    pub fn is_routed(&self) -> bool {
        !self.routes.is_empty()
    }

    /// A request of ours in it. Routes are taken to be loose, as all are since RFC 3261.
    pub fn request(&mut self, method: Method<'_>) -> RequestBuilder {
        self.sent = self.sent.wrapping_add(1);
        self.numbered(method, self.sent)
    }

    /// The ACK for the 2xx to an INVITE of ours with that number.
    pub fn ack(&self, number: u32) -> Outgoing {
        self.numbered(Method::Ack, number).build()
    }

    fn numbered(&self, method: Method<'_>, number: u32) -> RequestBuilder {
        let builder = RequestBuilder::new(method, &self.target)
            .from(&self.local)
            .to(&self.remote)
            .call_id(&self.id.call_id)
            .cseq(number);
        self.routes.iter().fold(builder, |builder, route| builder.header(HeaderId::Route, route))
    }
}

fn contact<'c>(mut contacts: impl Iterator<Item = Result<Contact<'c>, AddressError>>) -> Option<Vec<u8>> {
    match contacts.next()?.ok()? {
        Contact::Address(address) => Some(address.uri_octets().to_vec()),
        Contact::Wildcard => None,
    }
}

/// What was agreed on of the life of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Seconds.
    pub interval: u32,
    /// Whether the caller refreshes it, as it is asked to if it can.
    pub by_caller: bool,
}

impl SessionTimer {
    /// The timer of an INVITE or UPDATE that asks for one; `Ok(None)` if it knows none. `most` is how long it may be.
    ///
    /// # Errors
    /// The least interval, for one that is below it.
    pub fn of(request: &Request, most: u32) -> Result<Option<SessionTimer>, u32> {
        let supports = request.values(HeaderId::Supported).any(|tag| tag.eq_ignore_ascii_case(b"timer"));
        let header = |name: &str| request.header_named(name).map(String::from_utf8_lossy);
        let asked = header("Session-Expires").or_else(|| header("x"));
        if !supports {
            return Ok(None);
        }
        let least = least(request).unwrap_or(0).max(LEAST_INTERVAL);
        let interval = match asked.as_deref().and_then(|text| number(text.as_bytes())) {
            Some(interval) if interval < LEAST_INTERVAL => return Err(LEAST_INTERVAL),
            Some(interval) => interval.min(most),
            None => most,
        };
        let by_us = asked.is_some_and(|text| text.to_ascii_lowercase().contains("refresher=uas"));
        Ok(Some(SessionTimer { interval: interval.max(least), by_caller: !by_us }))
    }

    /// The value of Session-Expires in our answer.
    pub fn header(&self) -> String {
        format!("{};refresher={}", self.interval, if self.by_caller { "uac" } else { "uas" })
    }

    /// When it is to be refreshed by us (at half of it), or to be given up (RFC 4028 §10), seen from its beginning.
    pub fn due(&self, begun: Instant) -> Instant {
        let interval = u64::from(self.interval);
        let seconds = if self.by_caller { interval - (interval / 3).min(32) } else { interval / 2 };
        begun + Duration::from_secs(seconds)
    }
}

/// The Min-SE of a request.
pub(crate) fn least(request: &Request) -> Option<u32> {
    number(request.header_named("Min-SE")?)
}

/// The number that a value begins with.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    let number = value.split(|octet| *octet == b';').next()?.trim_ascii();
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    fn invite(fields: &str) -> Request {
        let contact = "Contact: <sip:a@192.0.2.7:5070>\r\n";
        request(&format!("INVITE sip:annc@example.com;play=x SIP/2.0\r\n{contact}{fields}"), b"")
    }

    fn text(outgoing: &Outgoing) -> String {
        String::from_utf8_lossy(&outgoing.encode().head).into_owned()
    }

    #[test]
    fn a_request_goes_to_the_contact_over_the_routes_with_the_ends_turned_round() {
        let invite = invite("Record-Route: <sip:one;lr>, <sip:two;lr>\r\n");
        let mut dialog = Dialog::of_invite(&invite, "ours").unwrap();
        assert_eq!(dialog.next().unwrap().to_string(), "sip:one;lr");
        let bye = text(&dialog.request(Method::Bye).build());
        assert!(bye.starts_with("BYE sip:a@192.0.2.7:5070 SIP/2.0\r\n"), "{bye}");
        for line in [
            "From: <sip:annc@example.com>;tag=ours\r\n",
            "To: <sip:alice@example.org>;tag=f\r\n",
            "CSeq: 1 BYE\r\n",
            "Route: <sip:one;lr>\r\nRoute: <sip:two;lr>\r\n",
        ] {
            assert!(bye.contains(line), "{line} in {bye}");
        }
        assert!(text(&dialog.request(Method::Options).build()).contains("CSeq: 2 OPTIONS\r\n"));
    }

    #[test]
    fn numbers_of_requests_grow() {
        let invite = invite("");
        let mut dialog = Dialog::of_invite(&invite, "ours").unwrap();
        assert!(!dialog.takes(&invite));
        assert!(!dialog.is_routed());
    }

    #[test]
    fn an_invite_without_a_contact_makes_no_dialog() {
        assert!(Dialog::of_invite(&request("INVITE sip:annc@h SIP/2.0\r\n", b""), "t").is_none());
    }

    #[test]
    fn the_timer_is_what_the_caller_asks_for_within_what_may_be() {
        let timer = |fields: &str| SessionTimer::of(&invite(fields), 1800);
        assert_eq!(timer(""), Ok(None));
        assert_eq!(timer("Session-Expires: 600\r\n"), Ok(None), "without support nobody would refresh it");
        let ours = SessionTimer { interval: 1800, by_caller: true };
        assert_eq!(timer("Supported: timer\r\n"), Ok(Some(ours)));
        assert_eq!(timer("k: 100rel, timer\r\nSession-Expires: 7200\r\n"), Ok(Some(ours)));
        let asked = timer("Supported: timer\r\nSession-Expires: 100;refresher=uas\r\n").unwrap().unwrap();
        assert_eq!((asked.interval, asked.by_caller), (100, false));
        assert_eq!(asked.header(), "100;refresher=uas");
        assert_eq!(timer("Supported: timer\r\nSession-Expires: 89\r\n"), Err(90));
    }

    #[test]
    fn a_session_is_given_up_before_its_end_or_refreshed_at_half_of_it() {
        let now = Instant::now();
        let due = |interval, by_caller| SessionTimer { interval, by_caller }.due(now) - now;
        assert_eq!(due(1800, true), Duration::from_secs(1768));
        assert_eq!(due(90, true), Duration::from_secs(60));
        assert_eq!(due(90, false), Duration::from_secs(45));
    }
}
