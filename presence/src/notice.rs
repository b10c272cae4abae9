//! The head of a NOTIFY (RFC 6665 §4.2.2), and the requests that tell of nothing else.

use bytes::Bytes;
use sip::{HeaderId, Method, Outgoing, RequestBuilder};

use crate::ending::Ending;
use crate::rules::Decision;
use crate::subscription::{Id, Kind, Subscription};

/// What a NOTIFY says beside its document.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Of which subscription.
    pub id: Id,
    /// CSeq.
    pub cseq: u32,
    /// The subscription ends with it.
    pub ending: Option<Ending>,
    /// Seconds it goes on otherwise.
    pub expires: u64,
    /// What the presentity says of the watcher.
    pub decision: Decision,
    /// Where we take requests of the dialog.
    pub contact: &'a str,
}

/// The NOTIFY without a body, to be given its Via and sent to the first Route or the target.
pub fn notify(subscription: &Subscription, head: &Head<'_>) -> Outgoing {
    let event = match &subscription.event_id {
        Some(id) => [subscription.resource.package.name().as_bytes(), b";id=", id].concat(),
        None => subscription.resource.package.name().as_bytes().to_vec(),
    };
    let from = [&subscription.local[..], b";tag=", head.id.tag().as_bytes()].concat();
    let mut builder = RequestBuilder::new(Method::Notify, &subscription.target)
        .from(from)
        .to(&subscription.remote)
        .call_id(&subscription.call_id)
        .cseq(head.cseq)
        .header(HeaderId::Contact, head.contact)
        .header(HeaderId::Event, event)
        .header(HeaderId::SubscriptionState, state(head));
    if subscription.kind != Kind::One {
        builder = builder.header(HeaderId::Require, "eventlist");
    }
    for route in &subscription.routes {
        builder = builder.header(HeaderId::Route, route);
    }
    builder.build()
}

fn state(head: &Head<'_>) -> String {
    match head.ending {
        Some(Ending { reason, retry_after: Some(seconds) }) => {
            format!("terminated;reason={};retry-after={seconds}", reason.name())
        }
        Some(Ending { reason, retry_after: None }) => format!("terminated;reason={}", reason.name()),
        None if head.decision == Decision::Pending => format!("pending;expires={}", head.expires),
        None => format!("active;expires={}", head.expires),
    }
}

/// Puts a document and the fields that describe it into a NOTIFY.
pub fn with_body(outgoing: &mut Outgoing, fields: &[(Bytes, Bytes)], body: Bytes) {
    for (name, value) in fields {
        outgoing.append(&name[..], value);
    }
    outgoing.set_body(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ending::Reason;
    use crate::subscription::tests::example;

    #[test]
    fn a_notify_goes_to_the_contact_in_the_dialog_of_its_subscribe() {
        let head = Head {
            id: Id(0x17),
            cseq: 9,
            ending: None,
            expires: 3599,
            decision: Decision::Allow,
            contact: "<sip:pres.example.org;transport=tcp>",
        };
        let subscription = Subscription { event_id: Some("7".into()), ..example() };
        let text = String::from_utf8(notify(&subscription, &head).encode().head.to_vec()).unwrap();
        assert_eq!(
            text,
            "NOTIFY sip:john@192.0.2.7;transport=tcp SIP/2.0\r\nMax-Forwards: 70\r\n\
             From: <sip:alice@example.org>;tag=p0000000000000017\r\nTo: <sip:john@example.com>;tag=w022\r\n\
             Call-ID: sub-022@192.0.2.7\r\nCSeq: 9 NOTIFY\r\n\
             Contact: <sip:pres.example.org;transport=tcp>\r\nEvent: presence;id=7\r\n\
             Subscription-State: active;expires=3599\r\nContent-Length: 0\r\n\r\n"
        );
        let says = |head| state(&head);
        assert_eq!(says(Head { decision: Decision::Pending, ..head }), "pending;expires=3599");
        let ending = Some(Ending::of(Reason::Giveup));
        assert_eq!(says(Head { ending, ..head }), "terminated;reason=giveup");
        let ending = Some(Ending { reason: Reason::Probation, retry_after: Some(60) });
        assert_eq!(says(Head { ending, ..head }), "terminated;reason=probation;retry-after=60");
    }
}
