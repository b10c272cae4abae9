//! The way back: what goes to the one who sent the request (RFC 3261 §16.7 steps 8 and 9).

use std::sync::Arc;

use sip::{Encoded, HeaderId, Method, Outgoing, Response, ResponseBuilder};
use tokio::sync::oneshot;
use transport::ServerTransaction;

use crate::context::{Best, Final};
use crate::journey::Journey;
use crate::offline::Outcome;
use crate::refuse::{Refused, Reply};

/// A branch's final answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Received from the branch.
    Received(Box<Response>),
    /// Made here, on the branch's behalf.
    Made(Reply),
}

impl Final for Answer {
    fn status(&self) -> u16 {
        match self {
            Answer::Received(response) => response.status(),
            Answer::Made(reply) => reply.status,
        }
    }
}

/// Who waits for the answer to a request, and the log line that its answer completes.
pub(crate) struct Upstream {
    journey: Arc<Journey>,
    asker: Asker,
    told: bool,
}

enum Asker {
    /// Its sender.
    Transaction(ServerTransaction),
    /// Nobody but the store it was kept in; `None` once that was told.
    Store(Option<oneshot::Sender<Outcome>>),
}

impl Upstream {
    /// The request's transaction.
    pub(crate) const fn new(journey: Arc<Journey>, transaction: ServerTransaction) -> Upstream {
        Upstream { journey, asker: Asker::Transaction(transaction), told: false }
    }

    /// A message that was kept.
    pub(crate) const fn to_store(journey: Arc<Journey>, store: oneshot::Sender<Outcome>) -> Upstream {
        Upstream { journey, asker: Asker::Store(Some(store)), told: false }
    }

    /// Whether the request repeats one that was answered and whose answer was not kept.
    pub(crate) fn is_repetition(&self) -> bool {
        matches!(&self.asker, Asker::Transaction(transaction) if transaction.is_repetition())
    }

    /// Waits for a CANCEL of the request.
    pub(crate) async fn cancelled(&self) {
        match &self.asker {
            Asker::Transaction(transaction) => transaction.cancelled().await,
            Asker::Store(_) => std::future::pending().await,
        }
    }

    /// Whether the request was cancelled.
    pub(crate) fn is_cancelled(&self) -> bool {
        match &self.asker {
            Asker::Transaction(transaction) => transaction.is_cancelled(),
            Asker::Store(_) => false,
        }
    }

    /// Sends a branch's answer.
    pub(crate) fn answer(&mut self, answer: &Answer) {
        match answer {
            Answer::Received(response) => self.forward(response, &[]),
            Answer::Made(reply) => self.reply(reply),
        }
    }

    /// Passes a response on with our Via taken off; `others` give their challenges to it (step 7).
    pub(crate) fn forward(&mut self, response: &Response, others: &[Answer]) {
        if self.tell_store(Outcome::Answered(response.status())) {
            return;
        }
        let octets = if others.is_empty() { response.relayed() } else { with_challenges(response, others) };
        self.send(response.status(), octets);
    }

    /// Sends a response of our own.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        if self.tell_store(Outcome::Refused(reply.status)) {
            return;
        }
        let mut builder = ResponseBuilder::to_request(&self.journey.request, reply.status, &reply.reason);
        for (name, value) in &reply.headers {
            builder = builder.header(&**name, value);
        }
        if let Some(tag) = &reply.tag {
            builder = builder.to_tag(tag);
        }
        builder = builder.header(HeaderId::Server, &self.journey.policy.settings.server);
        self.send(reply.status, builder.encode());
    }

    /// Refuses the request.
    pub(crate) fn refuse(&mut self, refused: &Refused) {
        self.journey.note(|| refused.to_string());
        self.reply(&refused.reply(&self.journey.policy.settings));
    }

    /// Sends the best of the answers, when all branches have ended.
    pub(crate) fn finish(mut self, best: Option<Best<Answer>>) {
        match best {
            None => {}
            Some(Best::Answer { best: Answer::Received(response), others }) => {
                self.forward(&response, &others);
            }
            Some(Best::Answer { best: Answer::Made(reply), .. }) => self.reply(&reply),
            Some(Best::Internal) => self.refuse(&Refused::Internal),
            Some(Best::Unavailable) => self.refuse(&Refused::Unavailable),
            Some(Best::Timeout) if self.is_cancelled() => self.reply(&Reply::new(487, "Request Terminated")),
            Some(Best::Timeout) => self.refuse(&Refused::Timeout),
            Some(Best::Nothing) => {
                self.journey.note(|| "nobody answered in time".to_owned());
                if !self.tell_store(Outcome::Silence) {
                    self.journey.end(None);
                }
                if let Asker::Transaction(transaction) = self.asker {
                    transaction.abandon();
                }
            }
        }
    }

    /// Whether the sender has had his final answer: a MESSAGE that was kept while it was still under way.
    pub(crate) const fn is_told(&self) -> bool {
        self.told
    }

    /// Tells the store how it ended, if that is who asked. Says whether it is.
    fn tell_store(&mut self, outcome: Outcome) -> bool {
        let Asker::Store(store) = &mut self.asker else { return false };
        let status = match outcome {
            Outcome::Answered(status) | Outcome::Refused(status) => Some(status),
            Outcome::Silence => None,
        };
        if status.is_none_or(|status| status >= 200)
            && let Some(store) = store.take()
        {
            self.journey.end(status);
            // A delivery that was broken off needs no answer.
            let _unheard = store.send(outcome);
        }
        true
    }

    fn send(&mut self, status: u16, octets: Encoded) {
        if self.told && !self.journey.is_invite() {
            return;
        }
        let Asker::Transaction(transaction) = &self.asker else { return };
        // The registrar tells again who is registered; with credentials it would have to believe old ones again.
        let journey = &self.journey;
        let once = status == 200
            && journey.request.method() == Method::Register
            && !journey.rooms.registrar.is_guarded();
        match once {
            true => transaction.respond_once(octets),
            false => transaction.respond(octets),
        }
        if status >= 200 && !self.told {
            self.told = true;
            self.journey.end(Some(status));
        }
    }
}

fn with_challenges(response: &Response, others: &[Answer]) -> Encoded {
    let mut outgoing = Outgoing::from(response);
    outgoing.pop_via();
    for other in others {
        let Answer::Received(other) = other else { continue };
        for challenge in other.headers() {
            if matches!(challenge.id, HeaderId::WwwAuthenticate | HeaderId::ProxyAuthenticate) {
                outgoing.append(challenge.id, challenge.value);
            }
        }
    }
    outgoing.encode()
}
