//! What changes for one user changes one after the other.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::{Mutex, MutexGuard};

/// Turns there are; two users of one hash wait for each other.
const TURNS: usize = 1024;

pub(super) struct Turns {
    turns: Box<[Mutex<()>]>,
    hasher: RandomState,
}

impl Default for Turns {
    fn default() -> Self {
        let turns = std::iter::repeat_with(Mutex::default).take(TURNS).collect();
        Self { turns, hasher: RandomState::new() }
    }
}

impl Turns {
    /// The user's turn; they are given in the order they were asked for.
    pub(super) async fn of(&self, aor: &str) -> MutexGuard<'_, ()> {
        let at = usize::try_from(self.hasher.hash_one(aor)).unwrap_or_default() % TURNS;
        #[expect(clippy::indexing_slicing, reason = "there are as many, and none are taken away")]
        self.turns[at].lock().await
    }
}
