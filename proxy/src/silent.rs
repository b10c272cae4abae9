//! Requests of a branch that went to an address from which nothing came: the branch goes on to the next
//! address (RFC 3263 §4.3), and they stay open, for a late answer still counts.

use futures_util::future::select_all;
use sip::Response;
use transport::{ClientEvent, ClientTransaction};

use crate::hop::Hop;

/// Those of one branch, in the order in which they were sent; no more than it has addresses.
#[derive(Default)]
pub(crate) struct Silent(Vec<(Hop, ClientTransaction)>);

/// What becomes of one of them.
pub(crate) enum Late {
    /// It was answered after all.
    Answered(Hop, Box<Response>, ClientTransaction),
    /// Its time is over.
    Over,
}

impl Silent {
    /// Leaves a request open.
    pub(crate) fn leave(&mut self, hop: Hop, transaction: ClientTransaction) {
        self.0.push((hop, transaction));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next final event of one; never, if there is none.
    pub(crate) async fn next(&mut self) -> Late {
        loop {
            if self.0.is_empty() {
                std::future::pending::<()>().await;
            }
            let events = self.0.iter_mut().map(|(_, transaction)| Box::pin(transaction.next()));
            let (event, at, _) = select_all(events).await;
            match event {
                Some(ClientEvent::Response(response)) if response.is_provisional() => {}
                Some(ClientEvent::Response(response)) => {
                    let (hop, transaction) = self.0.remove(at);
                    return Late::Answered(hop, response, transaction);
                }
                Some(ClientEvent::Timeout | ClientEvent::TransportError(_)) | None => {
                    self.0.remove(at);
                    return Late::Over;
                }
            }
        }
    }

    /// Cancels those that are INVITEs.
    pub(crate) fn cancel(&self) {
        for (_, transaction) in &self.0 {
            transaction.cancel();
        }
    }
}
