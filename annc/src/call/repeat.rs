//! The 200 to an INVITE within a call, which is sent again until its ACK comes (RFC 3261 §13.3.1.4, §14.2).

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::wire::Wire;
use super::{ACK, T1, T2};

/// Waits for an ACK.
#[derive(Debug)]
pub struct Unacked {
    wire: Arc<Wire>,
    /// The CSeq of the INVITE.
    number: u32,
    begun: Instant,
    pause: Duration,
    next: Instant,
}

impl Unacked {
    pub(super) fn new(wire: Arc<Wire>, number: u32) -> Unacked {
        let now = Instant::now();
        Unacked { wire, number, begun: now, pause: T1, next: now + T1 }
    }

    /// Waits; whether the 200 is to be sent again. Without an ACK the call is ended at last.
    pub async fn again(&mut self) -> bool {
        loop {
            let acked = self.wire.acks.notified();
            if self.wire.state().unacked.is_none_or(|waiting| waiting.number != self.number) {
                return false;
            }
            tokio::select! {
                biased;
                () = acked => {}
                () = sleep_until(self.next.min(self.begun + ACK)) => {
                    let now = Instant::now();
                    if now >= self.begun + ACK {
                        self.wire.hang_up();
                        return false;
                    }
                    self.pause = (self.pause * 2).min(T2);
                    self.next = now + self.pause;
                    return true;
                }
            }
        }
    }
}
