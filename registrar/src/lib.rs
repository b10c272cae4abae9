//! Who is where and what they can show: REGISTER processing (RFC 3261 §10.3 in the order of CPI.md 6.1),
//! bindings with their capabilities (CPI.md 1.7), and what was learned of terminals that said nothing.
//!
//! Sends no SIP: [`Registrar::register`] takes a request and returns what to answer, [`Registrar::lookup`]
//! returns targets, [`Registrar::query`] says whether a terminal is to be asked. The clock comes in as `now`.
//! State lives in `store`: one record per AOR, so that a REGISTER is one compare-and-swap, and each distinct
//! CPI once, however many phones have it.

mod binding;
mod codec;
mod contact;
pub mod digest;
mod failures;
mod gruu;
mod guard;
mod instance;
mod interned;
mod learned;
mod lookup;
mod options;
mod outcome;
mod record;
mod request;
mod rules;
mod sweep;
mod users;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cpi::Cpi;
use sip::{Request, Uri};
use store::{Space, Store, SwapError, Version};

pub use binding::{Binding, Source};
pub use cpi::profile::Profiles;
pub use gruu::GruuKey;
pub use guard::{Asked, Auth, Cause, Verdict};
pub use learned::{Query, QueryTicket, QueryWait, Sent};
pub use lookup::{Lookup, by_terminal};
pub use options::Options;
pub use outcome::RegisterOutcome;
pub use sweep::Swept;
pub use users::{PASSWORD_LIMIT, User, UserError, UserName, Users};

use guard::Guard;
use interned::{CpiTable, Pinned};
use learned::Learned;
use outcome::{Refusal, accepted};
use record::{Record, Stored};
use request::{Contacts, Registration, Supports};
use rules::Slot;

/// How often a REGISTER is decided anew because another for the same AOR was faster.
const ATTEMPTS: usize = 32;

/// The registrar of our domains.
pub struct Registrar {
    records: Space,
    cpis: Arc<CpiTable>,
    learned: Arc<Learned>,
    guard: Guard,
    settings: RwLock<Arc<Settings>>,
    gruu_key: GruuKey,
    /// Tells flows of this run from those of earlier ones, whose ids mean nothing any more.
    boot: u64,
}

/// Options with what is looked up in them.
struct Settings {
    options: Options,
    listed: HashSet<String>,
}

impl Registrar {
    /// Takes up what `store` holds.
    pub fn open(store: &Store, options: Options) -> Self {
        Self {
            records: store.space("bindings"),
            cpis: Arc::new(CpiTable::load(store.space("cpi"))),
            learned: Arc::new(Learned::default()),
            guard: Guard::open(store, SystemTime::now()),
            settings: RwLock::new(Settings::new(options)),
            gruu_key: GruuKey::fresh(),
            boot: boot_id(),
        }
    }

    /// Makes temporary GRUUs under this key instead of one for this run alone.
    #[must_use]
    pub fn with_gruu_key(mut self, key: GruuKey) -> Self {
        self.gruu_key = key;
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
        if let Err(refusal) = registration.check_targets(&self.gruu_key) {
            return refusal.outcome();
        }
        match self.change(&registration, &settings.options, now_seconds).await {
            Ok(bindings) => accepted(&bindings, &registration, &self.gruu_key, now, now_seconds),
            Err(refusal) => refusal.outcome(),
        }
    }

    /// Who sent a request, as far as its credentials prove it: [`Guard`] says how. `None` if nobody is asked
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

    /// Steps 6 and 7 of CPI.md 6.1, and the commit. Returns the bindings there are then.
    async fn change(
        &self,
        registration: &Registration,
        options: &Options,
        now: u64,
    ) -> Result<Vec<Stored>, Refusal> {
        for _ in 0..ATTEMPTS {
            let (version, record) = self.load(&registration.aor).unzip();
            let record = record.unwrap_or_default();
            let (ended, devices) = (record.ended_at(), record.devices());
            let (mut live, _expired) = record.part(now);
            live.iter_mut().for_each(|binding| binding.set_back(now));
            if matches!(registration.contacts, Contacts::None) {
                return Ok(live);
            }
            let had: Vec<_> =
                live.iter().map(|stored| (stored.uri.clone(), stored.call_id.clone())).collect();
            let slots = rules::decide(live, registration, options, now)?;
            if slots.is_empty() && had.is_empty() {
                return Ok(Vec::new());
            }
            if version.is_none() && self.records.len() >= options.users {
                return Err(Refusal::RegistrarFull);
            }
            let (bindings, _pinned) = self.equip(slots, registration, options).await?;
            let ended = if had.is_empty() { ended.unwrap_or(now) } else { now };
            let record = Record::new(bindings, ended, devices);
            match self.records.swap(registration.aor.as_bytes(), version, Some(record.encode())).await {
                Ok(_) => {
                    self.forget_learned(&registration.aor, &had, &record);
                    return Ok(record.bindings);
                }
                Err(SwapError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Refusal::Busy)
    }

    /// Gives each binding that the request adds or refreshes its CPI (rules L1, L2, L5). The pins keep a CPI
    /// from being cleared away before the record that names it is written.
    async fn equip(
        &self,
        slots: Vec<Slot>,
        registration: &Registration,
        options: &Options,
    ) -> Result<(Vec<Stored>, Vec<Pinned>), Refusal> {
        let (mut bindings, mut pinned, mut octets) = (Vec::with_capacity(slots.len()), Vec::new(), 0);
        for Slot { mut binding, fresh } in slots {
            if let Some(fresh) = fresh {
                let kept = fresh.kept_headers.and_then(|id| self.cpis.find(id));
                let headers =
                    cpi::merge::refresh(kept.as_deref(), registration.headers.clone(), kept.is_some());
                let effective = cpi::merge::binding(&headers, &fresh.contact);
                // Most terminals say what they can show once, in the headers.
                let is_same = headers == effective;
                let headers = self.pin(headers, options).await?;
                let effective = match &headers {
                    Some(pinned) if is_same => Some(pinned.again()),
                    _ => self.pin(effective, options).await?,
                };
                binding.boot = self.boot;
                binding.headers = headers.as_ref().map(Pinned::id);
                binding.effective = effective.as_ref().map(Pinned::id);
                pinned.extend(headers.into_iter().chain(effective));
            }
            octets += binding.effective.map_or(0, |id| self.cpis.octets(id));
            bindings.push(binding);
        }
        if octets > options.cpi_octets {
            return Err(Refusal::CapabilitiesTooLarge);
        }
        Ok((bindings, pinned))
    }

    async fn pin(&self, cpi: Cpi, options: &Options) -> Result<Option<Pinned>, Refusal> {
        let says_nothing = cpi.is_unknown() && cpi.features.is_empty() && cpi.user_agent.is_none();
        if says_nothing {
            return Ok(None);
        }
        self.cpis.pin(cpi, options).await.map(Some)
    }

    /// What was learned of a terminal ends with its binding, or with its Call-ID (rule L7).
    fn forget_learned(&self, aor: &str, had: &[(Bytes, Bytes)], record: &Record) {
        let has: Vec<_> = record.bindings.iter().map(|now| (now.uri.clone(), now.call_id.clone())).collect();
        let gone = had.iter().filter(|each| !has.contains(each));
        let new = has.iter().filter(|each| !had.contains(each));
        gone.chain(new).for_each(|(uri, _)| self.learned.forget(aor, uri));
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
        Arc::new(Self { options, listed })
    }
}

/// Random: a store that takes no write could not count.
fn boot_id() -> u64 {
    let mut octets = [0; 8];
    if getrandom::fill(&mut octets).is_ok() {
        return u64::from_be_bytes(octets);
    }
    // Without randomness the clock tells two runs apart well enough.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() << 32 | u64::from(since.subsec_nanos())
}

fn unix_seconds(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
