//! Who is where and what they can show: REGISTER processing (RFC 3261 §10.3 in the order of CPI.md 6.1),
//! bindings with their capabilities (CPI.md 1.7), and what was learned of terminals that said nothing.
//!
//! Sends no SIP: [`Registrar::register`] takes a request and returns what to answer, [`Registrar::lookup`]
//! returns targets, [`Registrar::query`] says whether a terminal is to be asked. The clock comes in as `now`.
//! State lives in `store`: one record per AOR, so that a REGISTER is one compare-and-swap, and each distinct
//! CPI once, however many phones have it.

mod binding;
mod codec;
mod commit;
mod compact;
mod contact;
pub mod digest;
mod failures;
mod feed;
mod gruu;
mod guard;
mod instance;
mod interned;
mod learned;
mod listing;
mod lookup;
mod options;
mod outcome;
mod recent;
mod record;
mod request;
mod rules;
mod said;
mod sweep;
mod users;

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use cpi::Cpi;
use sip::{Request, Uri};
use store::{Space, Store, Version};

pub use binding::{Binding, Source};
pub use cpi::profile::Profiles;
pub use feed::{Change, ContactChange, ContactEvent, Lagged, Snapshot, Subscription};
pub use gruu::GruuKey;
pub use guard::{Asked, Auth, Cause, Verdict};
pub use learned::{Query, QueryTicket, QueryWait, Sent};
pub use listing::{EndError, Ending, Page};
pub use lookup::{Lookup, by_terminal};
pub use options::Options;
pub use outcome::RegisterOutcome;
pub use sweep::Swept;
pub use users::{PASSWORD_LIMIT, User, UserError, UserName, Users};

use feed::Feed;
use guard::Guard;
use interned::CpiTable;
use learned::Learned;
use outcome::{Refusal, accepted};
use recent::Recent;
use record::Record;
use request::{Registration, Supports};
use said::Said;

/// The registrar of our domains.
pub struct Registrar {
    records: Space,
    cpis: Arc<CpiTable>,
    learned: Arc<Learned>,
    guard: Guard,
    settings: RwLock<Arc<Settings>>,
    gruu_key: GruuKey,
    feed: Feed,
    recent: Recent,
    /// When the last sweep was; Unix seconds.
    swept_at: AtomicU64,
    /// Tells flows of this run from those of earlier ones, whose ids mean nothing any more.
    boot: u32,
}

/// Options with what is looked up in them.
struct Settings {
    options: Options,
    listed: HashSet<String>,
    said: Said,
}

impl Registrar {
    /// Takes up what `store` holds.
    pub fn open(store: &Store, options: Options) -> Self {
        Self {
            records: store.space("bindings"),
            cpis: Arc::new(CpiTable::load(store.space("cpi"))),
            learned: Arc::new(Learned::default()),
            guard: Guard::open(store, digest::Key::generate(), SystemTime::now()),
            settings: RwLock::new(Settings::new(options)),
            gruu_key: GruuKey::fresh(),
            feed: Feed::default(),
            recent: Recent::default(),
            swept_at: AtomicU64::new(0),
            boot: boot_id(),
        }
    }

    /// Makes temporary GRUUs under this key instead of one for this run alone.
    #[must_use]
    pub fn with_gruu_key(mut self, key: GruuKey) -> Self {
        self.gruu_key = key;
        self
    }

    /// Makes its nonces under that key, which must stay the same over restarts, and be the same on all servers of
    /// a domain: otherwise senders are asked for their password anew.
    #[must_use]
    pub fn with_auth_key(mut self, key: [u8; 32]) -> Self {
        self.guard.set_key(digest::Key::new(key));
        self
    }

    /// Works with other options from now on.
    pub fn reconfigure(&self, options: Options) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Settings::new(options);
    }

    /// Whether the host of `uri` is one of our domains.
    pub fn is_ours(&self, uri: &Uri) -> bool {
        self.settings().options.is_ours(uri)
    }

    /// Processes a REGISTER for one of our domains (that it is one, the proxy has seen: CPI.md 6.1 step 1).
    /// All of its bindings are changed, durably, or none.
    pub async fn register(&self, request: &Request, source: Source, now: SystemTime) -> RegisterOutcome {
        let (settings, now_seconds) = (self.settings(), unix_seconds(now));
        let registration = match Registration::read(request, source, &settings.options) {
            Ok(registration) => registration,
            Err(refusal) => return refusal.outcome(),
        };
        if let Err(refusal) = registration.check_targets(&self.gruu_key, &settings.options) {
            return refusal.outcome();
        }
        match self.commit(&registration, &settings, now_seconds).await {
            Ok(bindings) => accepted(&bindings, registration, &self.gruu_key, now_seconds),
            Err(refusal) => refusal.outcome(),
        }
    }

    /// The answer to a REGISTER that was answered 200 a moment ago and came again, since its answer was lost: the
    /// bindings there are. Nothing is changed, and so nothing is asked of its CSeq.
    pub fn repeat(&self, request: &Request, source: Source, now: SystemTime) -> RegisterOutcome {
        let (settings, now_seconds) = (self.settings(), unix_seconds(now));
        let registration = match Registration::read(request, source, &settings.options) {
            Ok(registration) => registration,
            Err(refusal) => return refusal.outcome(),
        };
        let (live, _) =
            self.load(&registration.aor).map(|(_, record)| record).unwrap_or_default().part(now_seconds);
        accepted(&live, registration, &self.gruu_key, now_seconds)
    }

    /// Who sent a request, as far as its credentials prove it: `Guard` says how. `None` if nobody is asked
    /// (`auth.mode = "none"`). `accepts` says whether a URI is one that the request may be for.
    pub fn judge(
        &self,
        asked: &Asked<'_>,
        accepts: &dyn Fn(&Uri) -> bool,
        now: SystemTime,
    ) -> Option<Verdict> {
        let settings = self.settings();
        let auth = settings.options.auth.as_ref()?;
        let mut random = [0; 8];
        // Without randomness the nonces of one millisecond are one nonce, whose count then tells its uses apart.
        let _none = getrandom::fill(&mut random);
        Some(self.guard.judge(auth, asked, accepts, now, u64::from_be_bytes(random)))
    }

    /// Whether senders are asked who they are.
    pub fn is_guarded(&self) -> bool {
        self.settings().options.auth.is_some()
    }

    /// The users who have a password.
    pub const fn users(&self) -> &Users {
        self.guard.users()
    }

    /// The option tags of a REGISTER's Require that are not understood, as a refusal: what comes before
    /// authentication (CPI.md 6.1 step 2).
    pub fn check_require(&self, request: &Request) -> Option<RegisterOutcome> {
        let supports = Supports::of(request);
        request::check_require(request, supports, &self.settings().options).err().map(Refusal::outcome)
    }

    /// The capabilities that count for a target (CPI.md L4): its binding's own, else what was learned of it,
    /// else those of its device profile. `None`: nothing is known. (A SUBSCRIBE dialog's come before all of
    /// these, and are known to whoever has the dialog.)
    pub fn cpi_for(&self, binding: &Binding, profiles: &Profiles, now: SystemTime) -> Option<Arc<Cpi>> {
        // What a terminal refused counts against what it said before: it is the same voice, and later (rule
        // L4 ranks who spoke). Its next REGISTER is later still.
        if let Some(taught) = self.learned.taught(binding, unix_seconds(now)) {
            return Some(taught);
        }
        let own = binding.cpi.clone();
        let learned = self.learned.cpi(binding, unix_seconds(now));
        let profile = binding.user_agent().and_then(|agent| profiles.find(agent).cloned());
        let known: Vec<_> = [own, learned, profile].into_iter().flatten().collect();
        let best = cpi::merge::effective(known.iter().map(AsRef::as_ref))?;
        known.iter().find(|each| std::ptr::eq(Arc::as_ptr(each), best)).cloned()
    }

    /// How many AORs have a record.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no AOR has a record.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How many different CPIs are held.
    pub fn distinct_cpis(&self) -> usize {
        self.cpis.len()
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn load(&self, aor: &str) -> Option<(Version, Record)> {
        let found = self.records.get(aor.as_bytes())?;
        let record = Record::decode(&found.value).unwrap_or_else(|| {
            tracing::error!("a stored registration can't be read and counts as empty");
            Record::default()
        });
        Some((found.version, record))
    }
}

/// Sizes only: who is registered is not for logs.
impl fmt::Debug for Registrar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registrar")
            .field("users", &self.len())
            .field("cpis", &self.distinct_cpis())
            .finish_non_exhaustive()
    }
}

impl Settings {
    fn new(options: Options) -> Arc<Self> {
        let listed = options.listed.iter().filter_map(|aor| options.aor(&aor.parse().ok()?)).collect();
        Arc::new(Self { options, listed, said: Said::default() })
    }
}

/// Random: a store that takes no write could not count.
fn boot_id() -> u32 {
    let mut octets = [0; 4];
    if getrandom::fill(&mut octets).is_ok() {
        return u32::from_be_bytes(octets);
    }
    // Without randomness the clock tells two runs apart well enough.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().subsec_nanos()
}

fn unix_seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
