//! Sends what is due, when it is due. One task for each share of the subscriptions; a NOTIFY that waits for its
//! answer is a task of its own.

use std::sync::Arc;
use std::time::Duration;

use presence::time::Moment;
use tokio_util::sync::CancellationToken;

use super::{Presence, elsewhere, ends, registrations, send, timed, waiting};
use crate::rooms::Rooms;

/// NOTIFYs of one share that begin before others may run.
const BATCH: usize = 64;

/// Starts all that goes on by itself, until `stop`.
pub(crate) fn start(rooms: &Arc<Rooms>, presence: &Arc<Presence>, stop: &CancellationToken) {
    for share in 0..presence.tables.len() {
        tokio::spawn(run(Arc::clone(rooms), Arc::clone(presence), share, stop.clone()));
    }
    tokio::spawn(ends::run(Arc::clone(presence), stop.clone()));
    tokio::spawn(elsewhere::run(Arc::clone(rooms), Arc::clone(presence), stop.clone()));
    tokio::spawn(timed::run(Arc::clone(rooms), Arc::clone(presence), stop.clone()));
    tokio::spawn(waiting::run(Arc::clone(rooms), Arc::clone(presence), stop.clone()));
    tokio::spawn(registrations::run(Arc::clone(rooms), Arc::clone(presence), stop.clone()));
}

async fn run(rooms: Arc<Rooms>, presence: Arc<Presence>, share: usize, stop: CancellationToken) {
    let Some(share) = presence.tables.get(share) else { return };
    while !stop.is_cancelled() {
        let now = Moment::from(transport::now());
        let (notices, next) = {
            let mut table = share.lock();
            (table.take(now, BATCH), table.next_due())
        };
        if notices.is_empty() {
            let wait = next.map_or(Duration::from_secs(3600), |next| {
                Duration::from_millis(next.millis().saturating_sub(now.millis()).max(1))
            });
            tokio::select! {
                () = stop.cancelled() => return,
                () = share.wake.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
            continue;
        }
        for notice in notices {
            let Ok(slot) = Arc::clone(&presence.slots).acquire_owned().await else { return };
            tokio::spawn(send::deliver(Arc::clone(&rooms), Arc::clone(&presence), notice, slot));
        }
    }
}
