//! Who a request comes from, as far as digest authentication proves it (RFC 3261 §22, RFC 8760).
//!
//! A wrong password and a user who does not exist take the same road and get the same answer: the response is
//! computed either way, against a HA1 made up from the server's key where there is none. Those who fail too often
//! are shut out for a while, by their address and by the name they tried; not so a terminal that proved the same
//! name from the same address within the last day, lest others lock it out by failing.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sip::Uri;
use store::Store;

use crate::digest::{self, Algorithm, Credentials, Hex, Key, Malformed, Minted, Replay};
use crate::failures::Window;
use crate::users::{UserName, Users};

/// How long a name and an address that belonged together are taken to do so, in milliseconds.
const FAMILIAR: u64 = 24 * 3600 * 1000;
/// One log line about a source within this, in milliseconds.
const QUIET: u64 = 60_000;

/// `[auth]`.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Those offered, most wanted first.
    pub algorithms: Vec<Algorithm>,
    /// Whether responses without `qop` (RFC 2069) are taken. Each nonce is then good for one request.
    pub legacy: bool,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
    /// Nonces whose count is remembered.
    pub nonces: usize,
    /// Wrong passwords of one source or for one user within `ban` that begin a ban; 0 for none.
    pub max_failures: u32,
    /// How long a ban lasts.
    pub ban: Duration,
    /// Sources and users whose failures are counted, each.
    pub ban_table: usize,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            algorithms: vec![Algorithm::Sha256],
            legacy: false,
            nonce_lifetime: Duration::from_secs(300),
            nonces: 100_000,
            max_failures: 10,
            ban: Duration::from_secs(300),
            ban_table: 100_000,
        }
    }
}

/// A request, as far as its sender is in question.
#[derive(Clone, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a [u8],
    /// Its body, for `auth-int`.
    pub body: &'a [u8],
    /// The values of its Authorization or Proxy-Authorization fields.
    pub credentials: Vec<&'a [u8]>,
    /// The domain whose passwords count.
    pub realm: &'a str,
    /// Whom it says it is from.
    pub claimed: Option<&'a UserName>,
    /// The address it came from.
    pub source: IpAddr,
}

/// What is known of a sender then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password of this user was proven.
    Proven(UserName),
    /// To be asked for it: 401 or 407 with these fields, in this order.
    Challenge {
        /// WWW-Authenticate or Proxy-Authenticate, one for each algorithm (RFC 8760 §2.3).
        fields: Vec<String>,
        /// Why.
        cause: Cause,
    },
    /// Shut out: 403 with Retry-After.
    Banned {
        /// Until it is over.
        seconds: u64,
    },
    /// Credentials for our realm that can't be read: 400.
    Malformed(Malformed),
    /// Credentials for another resource than this request is for: 400.
    OtherUri,
}

/// Why a sender is challenged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No credentials for our realm that we could check.
    Missing,
    /// The nonce is too old, was used before or is none of ours: try again with the new one.
    Stale,
    /// The wrong password, or no such user.
    Wrong,
}

impl Verdict {
    /// One word for a counter.
    pub const fn word(&self) -> &'static str {
        match self {
            Verdict::Proven(_) => "proven",
            Verdict::Challenge { cause: Cause::Missing, .. } => "asked",
            Verdict::Challenge { cause: Cause::Stale, .. } => "stale",
            Verdict::Challenge { cause: Cause::Wrong, .. } => "wrong",
            Verdict::Banned { .. } => "banned",
            Verdict::Malformed(_) | Verdict::OtherUri => "malformed",
        }
    }
}

/// Where a request came from: an IPv4 address, or an IPv6 network of the size a household gets.
type Source = IpAddr;
/// A name that was tried, hashed: the name may be of any length.
type Tried = u64;

/// The users and what is remembered of those who tried to be one.
#[derive(Debug)]
pub(crate) struct Guard {
    users: Users,
    key: Key,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    replay: Replay,
    sources: Window<Source>,
    users: Window<Tried>,
    /// Failures of a name from an address it was proven from.
    lapses: Window<(Tried, Source)>,
    familiar: Window<(Tried, Source)>,
    logged: Window<Source>,
}

impl Guard {
    /// `key` should stay the same over restarts, so that nobody is asked for a password anew.
    pub(crate) fn open(store: &Store, key: Key, start: SystemTime) -> Self {
        let memory = Memory {
            replay: Replay::new(millis(start).saturating_sub(1)),
            sources: Window::new(),
            users: Window::new(),
            lapses: Window::new(),
            familiar: Window::new(),
            logged: Window::new(),
        };
        Self { users: Users::open(store), key, memory: Mutex::new(memory) }
    }

    pub(crate) fn set_key(&mut self, key: Key) {
        self.key = key;
    }

    pub(crate) const fn users(&self) -> &Users {
        &self.users
    }

    /// Judges a request. `accepts` says whether a URI in credentials is one this request may be for; `random`
    /// goes into the nonce of a challenge.
    pub(crate) fn judge(
        &self,
        auth: &Auth,
        asked: &Asked<'_>,
        accepts: &dyn Fn(&Uri) -> bool,
        now: SystemTime,
        random: u64,
    ) -> Verdict {
        let now = millis(now);
        let judging = Judging { guard: self, auth, asked, source: network(asked.source), now, random };
        judging.verdict(accepts)
    }
}

/// One request being judged.
struct Judging<'a> {
    guard: &'a Guard,
    auth: &'a Auth,
    asked: &'a Asked<'a>,
    source: Source,
    now: u64,
    random: u64,
}

impl Judging<'_> {
    fn verdict(&self, accepts: &dyn Fn(&Uri) -> bool) -> Verdict {
        let claimed = self.asked.claimed.map(|name| self.tried(&name.username(), name.domain()));
        if let Some(banned) = self.banned(claimed, false) {
            return banned;
        }
        let credentials = match self.credentials() {
            Ok(Some(credentials)) => credentials,
            Ok(None) => return self.challenge(Cause::Missing),
            Err(malformed) => return Verdict::Malformed(malformed),
        };
        let Some(algorithm) = credentials.algorithm else { return self.challenge(Cause::Missing) };
        let tried = self.tried(&credentials.username, self.asked.realm);
        if let Some(banned) = self.banned(Some(tried), true) {
            return banned;
        }
        let nc = match &credentials.proof {
            Some(proof) => proof.nc,
            // Without a count a nonce is good once.
            None if self.auth.legacy => 1,
            None => return self.challenge(Cause::Missing),
        };
        // Before anything is computed: who made up his nonce or took one up again learns nothing from it.
        let nonce = match self.guard.key.read(self.asked.realm, &credentials.nonce) {
            Some(nonce)
                if self.with(|memory| memory.replay.is_next(nonce, nc, self.now, self.lifetime())) =>
            {
                nonce
            }
            _ => return self.challenge(Cause::Stale),
        };
        if !Uri::parse(&credentials.uri).is_ok_and(|uri| accepts(&uri)) {
            return Verdict::OtherUri;
        }
        match self.user(&credentials, algorithm) {
            Some(user) => self.proven(user, tried, nonce, nc),
            None => self.failed(tried),
        }
    }

    /// Those for our realm whose algorithm we offered; if there are none, one that can't be read is blamed.
    fn credentials(&self) -> Result<Option<Credentials<'_>>, Malformed> {
        for value in &self.asked.credentials {
            let is_ours =
                Credentials::realm_of(value).is_some_and(|realm| *realm == *self.asked.realm.as_bytes());
            if !is_ours {
                continue;
            }
            let Some(credentials) = Credentials::parse(value)? else { continue };
            if credentials.algorithm.is_some_and(|algorithm| self.auth.algorithms.contains(&algorithm)) {
                return Ok(Some(credentials));
            }
        }
        Ok(None)
    }

    /// The user whose password these credentials prove. All of it is done for a user who does not exist, too.
    fn user(&self, credentials: &Credentials<'_>, algorithm: Algorithm) -> Option<UserName> {
        let name = UserName::of_credentials(&credentials.username, self.asked.realm);
        let nobody = self.guard.key.hash(&[
            b"nobody",
            algorithm.name().as_bytes(),
            &credentials.username,
            self.asked.realm.as_bytes(),
        ]);
        let nobody = algorithm.digest(&[&nobody]);
        let secret = name.as_ref().and_then(|name| self.guard.users.secret(name, algorithm));
        let (ha1, exists): (&Hex, bool) = secret.as_ref().map_or((&nobody, false), |secret| (secret, true));
        let expected = digest::response(algorithm, ha1, credentials, self.asked.method, self.asked.body);
        let is_right = expected.is(&credentials.response);
        name.filter(|_| is_right & exists)
    }

    fn proven(&self, user: UserName, tried: Tried, nonce: Minted, nc: u32) -> Verdict {
        let limits = (self.auth.nonces, self.auth.ban_table);
        let is_next = self.with(|memory| {
            memory.familiar.begin((tried, self.source), 1, self.now, FAMILIAR, limits.1);
            memory.replay.take(nonce, nc, self.now, self.lifetime(), limits.0)
        });
        // Another request with the same count was faster.
        if is_next { Verdict::Proven(user) } else { self.challenge(Cause::Stale) }
    }

    fn failed(&self, tried: Tried) -> Verdict {
        let (most, length, limit) = (self.auth.max_failures, self.ban(), self.auth.ban_table);
        let (now, pair) = (self.now, (tried, self.source));
        let (is_first, bans) = self.with(|memory| {
            let is_first = memory.logged.add(self.source, now, QUIET, limit) == 1;
            if most == 0 {
                return (is_first, false);
            }
            let source = memory.sources.add(self.source, now, length, limit) == most;
            let user = memory.users.add(tried, now, length, limit) == most;
            // A ban is counted from the failure that begins it.
            if source {
                memory.sources.begin(self.source, most, now, length, limit);
            }
            if user {
                memory.users.begin(tried, most, now, length, limit);
            }
            if memory.lapses.add(pair, now, length, limit) >= most {
                memory.familiar.forget(pair);
            }
            (is_first, source || user)
        });
        if is_first {
            let realm = self.asked.realm;
            tracing::warn!(source = %self.asked.source, realm, "wrong password or unknown user; more of it is not logged for a minute");
        }
        if bans {
            tracing::warn!(source = %self.asked.source, seconds = length / 1000, "too many wrong passwords, shut out");
        }
        self.challenge(Cause::Wrong)
    }

    /// Whether this source, or with `by_name` this name, is shut out.
    fn banned(&self, tried: Option<Tried>, by_name: bool) -> Option<Verdict> {
        let (most, length) = (self.auth.max_failures, self.ban());
        if most == 0 {
            return None;
        }
        let left = self.with(|memory| {
            let is_familiar = tried
                .is_some_and(|tried| memory.familiar.count((tried, self.source), self.now, FAMILIAR).0 > 0);
            if is_familiar {
                return 0;
            }
            let of_source = memory.sources.count(self.source, self.now, length);
            let of_name = tried.filter(|_| by_name).map(|tried| memory.users.count(tried, self.now, length));
            let bans = [Some(of_source), of_name].into_iter().flatten().filter(|(count, _)| *count >= most);
            bans.map(|(_, left)| left).max().unwrap_or(0)
        });
        (left > 0).then(|| Verdict::Banned { seconds: left.div_ceil(1000) })
    }

    fn challenge(&self, cause: Cause) -> Verdict {
        let realm = self.asked.realm;
        let nonce = self.guard.key.nonce(realm, Minted { at: self.now, random: self.random });
        let opaque = Hex::of(&self.guard.key.hash(&[b"opaque", realm.as_bytes()]));
        let opaque = opaque.as_str().get(..32).unwrap_or_default();
        let stale = if cause == Cause::Stale { ", stale=true" } else { "" };
        let field = |algorithm: &Algorithm| {
            format!(
                "Digest realm=\"{realm}\", qop=\"auth,auth-int\", algorithm={}, nonce=\"{nonce}\", \
                 opaque=\"{opaque}\"{stale}",
                algorithm.name()
            )
        };
        Verdict::Challenge { fields: self.auth.algorithms.iter().map(field).collect(), cause }
    }

    fn tried(&self, username: &[u8], realm: &str) -> Tried {
        let hash = self.guard.key.hash(&[b"tried", username, realm.as_bytes()]);
        hash.first_chunk().map_or(0, |octets| u64::from_be_bytes(*octets))
    }

    fn with<T>(&self, look: impl FnOnce(&mut Memory) -> T) -> T {
        look(&mut self.guard.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lifetime(&self) -> u64 {
        u64::try_from(self.auth.nonce_lifetime.as_millis()).unwrap_or(u64::MAX)
    }

    fn ban(&self) -> u64 {
        u64::try_from(self.auth.ban.as_millis()).unwrap_or(u64::MAX)
    }
}

/// IPv6 hosts choose among 2^64 addresses of their network: they count as one.
fn network(address: IpAddr) -> Source {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

fn millis(now: SystemTime) -> u64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
