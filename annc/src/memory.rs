//! Octets that all calls hold together: what they fetched, and the packets made of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;
use crate::rtp::Track;

/// Octets that are counted as one.
const UNIT: usize = 1024;

/// What there is for all calls.
#[derive(Debug)]
pub(crate) struct Memory {
    free: Arc<Semaphore>,
}

/// A share of it. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Held {
    share: OwnedSemaphorePermit,
}

impl Memory {
    pub(crate) fn new(octets: usize) -> Memory {
        Memory { free: Arc::new(Semaphore::new(units(octets) as usize)) }
    }

    /// Waits until there are so many octets, but not for ever.
    ///
    /// # Errors
    /// [`Refusal::Memory`].
    pub(crate) async fn wait(&self, octets: usize, patience: Duration) -> Result<Held, Refusal> {
        let share = Arc::clone(&self.free).acquire_many_owned(units(octets));
        let share = tokio::time::timeout(patience, share).await.map_err(|_late| Refusal::Memory)?;
        Ok(Held::new(share.map_err(|_never_closed| Refusal::Memory)?))
    }

    /// Counts the packets of a track. Those that pass may be pieces of what was fetched, and are counted all the same:
    /// many small ones take more than the clip.
    ///
    /// # Errors
    /// [`Refusal::Memory`].
    pub(crate) fn hold_track(&self, track: &Track) -> Result<Held, Refusal> {
        let share = Arc::clone(&self.free).try_acquire_many_owned(units(track.octets()));
        Ok(Held::new(share.map_err(|_full| Refusal::Memory)?))
    }
}

impl Held {
    fn new(share: OwnedSemaphorePermit) -> Held {
        metrics::gauge!("annc_octets").increment(octets(share.num_permits()));
        Held { share }
    }

    /// Gives back what is above so many octets.
    pub(crate) fn shrink(&mut self, to: usize) {
        let surplus = self.share.num_permits().saturating_sub(units(to) as usize);
        if let Some(surplus) = self.share.split(surplus) {
            metrics::gauge!("annc_octets").decrement(octets(surplus.num_permits()));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        metrics::gauge!("annc_octets").decrement(octets(self.share.num_permits()));
    }
}

fn units(octets: usize) -> u32 {
    u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

fn octets(units: usize) -> f64 {
    (units * UNIT) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_held_is_waited_for_and_what_is_given_back_is_there() {
        let memory = Memory::new(10 * UNIT);
        let patience = Duration::from_secs(1);
        let mut held = memory.wait(10 * UNIT, patience).await.unwrap();
        assert!(matches!(memory.wait(1, patience).await, Err(Refusal::Memory)));
        held.shrink(3 * UNIT);
        let _other = memory.wait(7 * UNIT, patience).await.unwrap();
        assert!(matches!(memory.wait(1, patience).await, Err(Refusal::Memory)));
        drop(held);
        assert!(memory.wait(3 * UNIT, patience).await.is_ok());
    }

    #[test]
    fn packets_are_counted_with_what_is_known_of_each() {
        let packet = crate::rtp::Packet { at: 0, marker: false, payload: vec![0; 1].into() };
        let track = Track { clock: 8000, packets: vec![packet; 1000], ticks: 0, sets: Vec::new() };
        let memory = Memory::new(track.octets() + 1);
        let held = memory.hold_track(&track).unwrap();
        assert!(track.octets() > 20 * 1000);
        assert!(matches!(memory.hold_track(&track), Err(Refusal::Memory)));
        drop(held);
        assert!(memory.hold_track(&track).is_ok());
    }
}
