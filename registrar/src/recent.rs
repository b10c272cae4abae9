//! Bindings that were looked up lately, read from their records already: whoever gets one message soon gets another.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::Version;

use crate::binding::Binding;

/// Records that are remembered, at most. Each takes some 500 octets for a binding.
const PLACES: usize = 4096;

/// What records held, in places that versions share: the latest of them has it.
pub(crate) struct Recent(Box<[Mutex<Place>]>);

/// The bindings of the record of a version.
type Place = Option<(Version, Vec<Arc<Binding>>)>;

impl Default for Recent {
    fn default() -> Self {
        Self((0..PLACES).map(|_| Mutex::new(None)).collect())
    }
}

impl Recent {
    /// In the order of a lookup. Some may have expired since.
    pub(crate) fn find(&self, version: Version) -> Option<Vec<Arc<Binding>>> {
        let place = self.place(version)?;
        place.as_ref().filter(|(of, _)| *of == version).map(|(_, bindings)| bindings.clone())
    }

    /// Takes the bindings of the record of that version, which no other record ever has.
    pub(crate) fn keep(&self, version: Version, bindings: &[Arc<Binding>]) {
        if let Some(mut place) = self.place(version) {
            *place = Some((version, bindings.to_vec()));
        }
    }

    fn place(&self, version: Version) -> Option<MutexGuard<'_, Place>> {
        let place = usize::try_from(version % PLACES as u64).ok()?;
        // Nothing panics while it holds the lock.
        self.0.get(place).map(|place| place.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
