//! Presence in the store: publications, the objects they show, subscriptions, rules.

use std::sync::Arc;

use super::lists::List;
use bytes::Bytes;
use presence::document::{self, Limits};
use presence::publication::{Digest, Publications};
use presence::rules::{Decision, Policy, Rule, Rules, Who};
use presence::subscription::{Id, Subscription};
use presence::time::Moment;
use presence::waiting::Waiting;
use store::{OnDisk, Space, Store, SwapError, Version};

/// Names of the spaces; part of the format on disk.
const PUBLICATIONS: &str = "publications";
const OBJECTS: &str = "presence-objects";
const SUBSCRIPTIONS: &str = "subscriptions";
const RULES: &str = "presence-rules";
const LISTS: &str = "presence-lists";
const WAITING: &str = "presence-waiting";

/// Octets of one object, at most.
const OBJECT: usize = 64 * 1024 * 1024;

/// How often a swap is tried that may lose against others.
const ATTEMPTS: usize = 8;

pub(crate) struct Shelf {
    publications: Space,
    objects: Space,
    subscriptions: Space,
    rules: Space,
    lists: Space,
    waiting: Space,
}

impl Shelf {
    /// How the store must hold the objects.
    pub(crate) const fn on_disk() -> OnDisk {
        OnDisk { space: OBJECTS, front: 0, value_limit: OBJECT }
    }

    pub(crate) fn open(store: &Store) -> Shelf {
        Shelf {
            publications: store.space(PUBLICATIONS),
            objects: store.space(OBJECTS),
            subscriptions: store.space(SUBSCRIPTIONS),
            rules: store.space(RULES),
            lists: store.space(LISTS),
            waiting: store.space(WAITING),
        }
    }

    /// What is published for a user, and the version of that.
    pub(crate) fn published(&self, aor: &str) -> (Option<Version>, Publications) {
        let Some(record) = self.publications.get(aor.as_bytes()) else {
            return (None, Publications::default());
        };
        let read = Publications::decode(record.value).unwrap_or_else(|| {
            tracing::error!("stored publications can't be read and count as none");
            Publications::default()
        });
        (Some(record.version), read)
    }

    /// The version of what is published.
    pub(crate) fn version(&self, aor: &str) -> Option<Version> {
        self.publications.read(aor.as_bytes(), |version, _| version)
    }

    /// Replaces what is published; nothing at all leaves no record.
    pub(crate) async fn publish(
        &self,
        aor: &str,
        expected: Option<Version>,
        next: &Publications,
    ) -> Result<Version, SwapError> {
        let record = (!next.entries.is_empty()).then(|| next.encode());
        if record.is_none() && expected.is_none() {
            return Ok(0);
        }
        self.publications.swap(aor.as_bytes(), expected, record).await
    }

    /// Calls with each user who has published something, in no order.
    pub(crate) fn each_published(&self, mut with: impl FnMut(&str, Publications)) {
        self.publications.scan(|key, _, value| {
            let read = Publications::decode(Bytes::copy_from_slice(value));
            if let (Ok(aor), Some(publications)) = (std::str::from_utf8(key), read) {
                with(aor, publications);
            }
        });
    }

    /// Users who have published something.
    pub(crate) fn presentities(&self) -> usize {
        self.publications.len()
    }

    pub(crate) async fn keep_object(&self, aor: &str, digest: &Digest, part: Bytes) -> Result<(), SwapError> {
        match self.objects.swap(&object_key(aor, digest), None, Some(part)).await {
            // The key says what it holds.
            Ok(_) | Err(SwapError::Conflict { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An object's octets, from the disk.
    pub(crate) async fn object(&self, aor: &str, digest: &Digest) -> Option<Bytes> {
        match self.objects.fetch(&object_key(aor, digest)).await {
            Ok(found) => found.map(|record| record.value),
            Err(error) => {
                tracing::warn!(%error, "a published object can't be read now");
                None
            }
        }
    }

    pub(crate) async fn drop_object(&self, aor: &str, digest: &Digest) {
        let key = object_key(aor, digest);
        let Some(version) = self.objects.read(&key, |version, _| version) else { return };
        if let Err(error) = self.objects.swap(&key, Some(version), None).await {
            tracing::warn!(%error, "a published object that nothing shows is not removed yet");
        }
    }

    /// The objects there are, each with whose it is.
    pub(crate) fn objects(&self) -> Vec<(String, Digest)> {
        let mut all = Vec::new();
        self.objects.scan(|key, _, _| {
            all.extend(read_object_key(key).map(|(aor, digest)| (aor.to_owned(), digest)));
        });
        all
    }

    pub(crate) fn subscription(&self, id: Id) -> Option<(Version, Subscription)> {
        let record = self.subscriptions.get(&id.key())?;
        let read = Subscription::decode(record.value);
        if read.is_none() {
            tracing::error!("a stored subscription can't be read and counts as none");
        }
        Some((record.version, read?))
    }

    /// Writes a subscription, or takes it away.
    pub(crate) async fn subscribe(
        &self,
        id: Id,
        expected: Option<Version>,
        subscription: Option<&Subscription>,
    ) -> Result<Version, SwapError> {
        self.subscriptions.swap(&id.key(), expected, subscription.map(Subscription::encode)).await
    }

    /// Takes a subscription away whatever it is by now.
    pub(crate) async fn unsubscribe(&self, id: Id, mut version: Version) {
        for _ in 0..ATTEMPTS {
            match self.subscribe(id, Some(version), None).await {
                Err(SwapError::Conflict { current: Some(current) }) => version = current,
                Err(SwapError::Conflict { current: None }) | Ok(_) => return,
                Err(error) => return tracing::warn!(%error, "a subscription that is over is not removed yet"),
            }
        }
    }

    /// Calls with each subscription, in no order.
    pub(crate) fn each_subscription(&self, mut with: impl FnMut(Id, Version, Subscription)) {
        let mut unreadable = 0_usize;
        self.subscriptions.scan(|key, version, value| {
            let read = Id::of_key(key).zip(Subscription::decode(Bytes::copy_from_slice(value)));
            match read {
                Some((id, subscription)) => with(id, version, subscription),
                None => unreadable += 1,
            }
        });
        if unreadable > 0 {
            tracing::error!(
                subscriptions = unreadable,
                "subscriptions can't be read, and are left as they are"
            );
        }
    }

    /// Who waits for a user's word.
    pub(crate) fn waiting(&self, aor: &str) -> Waiting {
        let record = self.waiting.get(aor.as_bytes());
        record.and_then(|record| Waiting::decode(record.value)).unwrap_or_default()
    }

    /// Users for whom somebody waits.
    pub(crate) fn waited_for(&self) -> usize {
        self.waiting.len()
    }

    /// Users for whom somebody waits whose time is over at that second.
    pub(crate) fn waited_until(&self, now: u64) -> Vec<Arc<str>> {
        let mut all = Vec::new();
        self.waiting.scan(|key, _, value| {
            let waiting = Waiting::decode(Bytes::copy_from_slice(value)).unwrap_or_default();
            let is_over = waiting.waiters.is_empty() || waiting.waiters.iter().any(|one| one.until <= now);
            all.extend(std::str::from_utf8(key).ok().filter(|_| is_over).map(Arc::from));
        });
        all
    }

    /// Changes who waits for a user's word.
    pub(crate) async fn change_waiting<T>(
        &self,
        aor: &str,
        change: impl Fn(&mut Waiting) -> T,
    ) -> Result<T, SwapError> {
        for _ in 0..ATTEMPTS {
            let record = self.waiting.get(aor.as_bytes());
            let expected = record.as_ref().map(|record| record.version);
            let before = record.and_then(|record| Waiting::decode(record.value)).unwrap_or_default();
            let mut after = before.clone();
            let changed = change(&mut after);
            if after == before {
                return Ok(changed);
            }
            let record = (!after.waiters.is_empty()).then(|| after.encode());
            match self.waiting.swap(aor.as_bytes(), expected, record).await {
                Err(SwapError::Conflict { .. }) => {}
                other => return other.map(|_| changed),
            }
        }
        Err(SwapError::Busy)
    }

    /// The version of a presentity's rules.
    pub(crate) fn rules_version(&self, aor: &str) -> Option<Version> {
        self.rules.read(aor.as_bytes(), |version, _| version)
    }

    /// The rules of a presentity.
    pub(crate) fn policy(&self, aor: &str) -> Policy {
        let read = self.rules.read(aor.as_bytes(), |_, text| read_policy(text));
        read.unwrap_or_else(|| Policy::Listed(Rules::default()))
    }

    /// Calls with each user whose rules depend on the time, in no order.
    pub(crate) fn each_timed(&self, mut with: impl FnMut(&str)) {
        self.rules.scan(|key, _, record| {
            let is_timed =
                is_document(record) && read_policy(record).next_change(Moment::default()).is_some();
            if let Some(aor) = std::str::from_utf8(key).ok().filter(|_| is_timed) {
                with(aor);
            }
        });
    }

    /// The document of a presentity's rules, if they came as one.
    pub(crate) fn rules_document(&self, aor: &str) -> Option<Bytes> {
        let record = self.rules.get(aor.as_bytes())?;
        is_document(&record.value).then_some(record.value)
    }

    /// Replaces the rules of a presentity by a list.
    pub(crate) async fn set_rules(&self, aor: &str, rules: &Rules) -> Result<(), SwapError> {
        let record = (!rules.rules.is_empty()).then(|| write_rules(rules));
        put(&self.rules, aor.as_bytes(), record).await
    }

    /// Replaces the rules of a presentity by a document that was read.
    pub(crate) async fn set_rules_document(&self, aor: &str, document: Bytes) -> Result<(), SwapError> {
        put(&self.rules, aor.as_bytes(), Some(document)).await
    }

    /// The list that is kept under an address.
    pub(crate) fn list(&self, aor: &str) -> Option<List> {
        self.lists.read(aor.as_bytes(), |_, text| read_list(text))
    }

    pub(crate) async fn set_list(&self, aor: &str, list: Option<&List>) -> Result<(), SwapError> {
        put(&self.lists, aor.as_bytes(), list.map(write_list)).await
    }
}

/// Replaces a record, whatever it is.
pub(super) async fn put(space: &Space, key: &[u8], record: Option<Bytes>) -> Result<(), SwapError> {
    for _ in 0..ATTEMPTS {
        let expected = space.read(key, |version, _| version);
        if expected.is_none() && record.is_none() {
            return Ok(());
        }
        match space.swap(key, expected, record.clone()).await {
            Err(SwapError::Conflict { .. }) => {}
            other => return other.map(drop),
        }
    }
    Err(SwapError::Busy)
}

/// What a watcher said of his terminal, and until which second that counts: a line for each.
pub(super) fn write_said(until: u64, said: &[Bytes]) -> Bytes {
    let mut text = until.to_string().into_bytes();
    for line in said {
        text.push(b'\n');
        text.extend_from_slice(line);
    }
    text.into()
}

pub(super) fn read_said(text: Bytes) -> Option<(u64, Vec<Bytes>)> {
    let mut lines = text.split(|octet| *octet == b'\n').map(|line| text.slice_ref(line));
    let until = grammar::decimal(&lines.next()?)?;
    Some((until, lines.collect()))
}

/// The owner or an empty line, then a line for each member.
fn write_list(list: &List) -> Bytes {
    let owner = list.owner.clone().unwrap_or_default();
    let lines = std::iter::once(owner).chain(list.members.iter().cloned());
    lines.map(|line| line + "\n").collect::<String>().into()
}

fn read_list(text: &[u8]) -> List {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().map(str::to_owned);
    let owner = lines.next().filter(|owner| !owner.is_empty());
    List { owner, members: lines.collect() }
}

/// A document begins as XML does, and no line of ours does.
fn is_document(record: &[u8]) -> bool {
    matches!(record.first(), Some(b'<' | 0xef | b' ' | b'\r' | b'\n' | b'\t'))
}

fn read_policy(record: &[u8]) -> Policy {
    if !is_document(record) {
        return Policy::Listed(read_rules(record));
    }
    match document::rules::Rules::read(record, &Limits::default()) {
        Ok(rules) => Policy::Document(rules),
        Err(error) => {
            tracing::error!(%error, "stored rules can't be read, and nobody may watch");
            let everyone = Rule { who: Who::Everyone, decision: Decision::Block };
            Policy::Listed(Rules { rules: vec![everyone] })
        }
    }
}

fn object_key(aor: &str, digest: &Digest) -> Vec<u8> {
    [aor.as_bytes(), b"\0", digest].concat()
}

fn read_object_key(key: &[u8]) -> Option<(&str, Digest)> {
    let (aor, digest) = key.split_last_chunk::<32>()?;
    Some((std::str::from_utf8(aor.strip_suffix(b"\0")?).ok()?, *digest))
}

/// A line for each rule: the decision, a space, whom it is about.
fn write_rules(rules: &Rules) -> Bytes {
    let lines = rules.rules.iter().map(|rule| format!("{} {}\n", rule.decision.name(), rule.who.text()));
    lines.collect::<String>().into()
}

fn read_rules(text: &[u8]) -> Rules {
    let lines = String::from_utf8_lossy(text);
    let rule = |line: &str| {
        let (decision, who) = line.split_once(' ')?;
        Some(Rule { who: Who::read(who)?, decision: Decision::of(decision)? })
    };
    Rules { rules: lines.lines().filter_map(rule).collect() }
}
