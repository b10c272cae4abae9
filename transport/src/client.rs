//! The handle of a client transaction.

use sip::Response;

use crate::TransportError;
use crate::mailbox::{Receiver, Sender};
use crate::shard::{Order, Orders};

/// What happens to a request of ours.
#[derive(Clone, Debug)]
pub enum ClientEvent {
    /// A response. An INVITE may get several 2xx.
    Response(Box<Response>),
    /// No final response in time (Timer B or F, or a cancelled INVITE's last wait). Nothing more comes.
    Timeout,
    /// The request could not be sent. Nothing more comes.
    TransportError(TransportError),
}

/// What its shard tells it through.
pub(crate) type Events = Sender<ClientEvent>;

/// A request under way. Dropped before its final response an INVITE is cancelled, anything else is left to
/// itself.
#[derive(Debug)]
pub struct ClientTransaction {
    branch: String,
    orders: Orders,
    events: Receiver<ClientEvent>,
    cancel_on_drop: bool,
}

impl ClientTransaction {
    pub(crate) const fn new(
        branch: String,
        orders: Orders,
        events: Receiver<ClientEvent>,
        is_invite: bool,
    ) -> Self {
        Self { branch, orders, events, cancel_on_drop: is_invite }
    }

    /// The next event; `None` once the transaction is over.
    pub async fn next(&mut self) -> Option<ClientEvent> {
        let event = self.events.take().await;
        let goes_on = matches!(&event, Some(ClientEvent::Response(response)) if response.status() < 200);
        self.cancel_on_drop &= goes_on;
        event
    }

    /// Waits for the final event, and gives what comes before it to no one.
    pub async fn last(mut self) -> Option<ClientEvent> {
        loop {
            match self.next().await? {
                ClientEvent::Response(response) if response.status() < 200 => {}
                event => return Some(event),
            }
        }
    }

    /// Cancels an INVITE (RFC 3261 §9.1): the CANCEL goes at once or after the first provisional response. The
    /// final response still comes, normally a 487. Nothing happens to other requests.
    pub fn cancel(&self) {
        self.orders.give(Order::Cancel { branch: self.branch.clone() });
    }

    /// The branch we wrote in the request's Via.
    pub fn branch(&self) -> &str {
        &self.branch
    }
}

impl Drop for ClientTransaction {
    fn drop(&mut self) {
        if self.cancel_on_drop {
            self.cancel();
        }
    }
}
