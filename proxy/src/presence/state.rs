//! What is published for one user, made one document, and what was made of that for each kind of terminal.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use adapter::{Entity, Field};
use bytes::Bytes;
use cpi::Cpi;
use presence::document::view::View;
use presence::document::{self, Document, Form};
use presence::publication::{Object, Publications};
use presence::rules::{Decision, Policy, Watcher};
use presence::time::Moment;
use sha2::{Digest as _, Sha256};
use store::Version;
use tokio::sync::OnceCell;

use super::body::{Made, Maker};
use super::fit;

/// Octets of bodies that are kept for others, all together; beyond them all are made anew.
const KEPT: usize = 64 * 1024 * 1024;

/// Users whose state is kept.
const STATES: usize = 4096;

/// Bodies of one state that are kept: kinds of terminals.
const KINDS: usize = 256;

/// Views of one state that are kept.
const VIEWS: usize = 64;

/// States, as they were made last.
#[derive(Default)]
pub(super) struct States {
    of_users: Mutex<HashMap<Arc<str>, Arc<State>>>,
    pub(super) octets: AtomicUsize,
}

/// One state.
pub(super) struct State {
    aor: Arc<str>,
    version: Versions,
    /// The user's rules, if there are any.
    rules: Option<Policy>,
    /// What is left of it for those who don't see everything.
    views: Mutex<HashMap<View, Arc<State>>>,
    pub(super) document: Arc<Document>,
    /// What it shows, in the order it does.
    pub(super) objects: Vec<Object>,
    made: Mutex<HashMap<Key, (Arc<Cpi>, Cell)>>,
}

/// Of what is published, and of the rules.
type Versions = [Option<Version>; 2];

type Cell = Arc<OnceCell<Arc<Made>>>;

/// Who gets the same body. A CPI is named by where it is: those that are equal are one, and kept beside the cell.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    form: Form,
    cpi: usize,
    message: Option<u64>,
}

impl State {
    /// Where the body for those of that kind is, or will be; `None` where there are too many kinds.
    pub(super) fn cell(&self, form: Form, cpi: &Arc<Cpi>, message: Option<u64>) -> Option<Cell> {
        let key = Key { form, cpi: Arc::as_ptr(cpi).addr(), message };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = made.get(&key) {
            return Some(Arc::clone(cell));
        }
        if made.len() >= KINDS {
            return None;
        }
        let cell = Cell::default();
        made.insert(key, (Arc::clone(cpi), Arc::clone(&cell)));
        Some(cell)
    }

    /// What the rules say of a watcher now; `default` is for those whom none of them means.
    pub(super) fn decision(&self, watcher: &Watcher<'_>, default: Decision) -> Decision {
        let is_himself = watcher.proven && *watcher.aor == *self.aor;
        match self.rules.as_ref().filter(|_| !is_himself) {
            Some(rules) => rules.decide(watcher, default, Moment::from(transport::now())),
            None => Decision::Allow,
        }
    }

    /// What a watcher may see of it, who is let in.
    pub(super) fn seen_by(self: &Arc<Self>, watcher: &Watcher<'_>) -> Arc<State> {
        let is_himself = watcher.proven && *watcher.aor == *self.aor;
        let now = Moment::from(transport::now());
        let rules = self.rules.as_ref().filter(|_| !is_himself);
        let Some(view) = rules.and_then(|rules| rules.view(watcher, now)) else { return Arc::clone(self) };
        let mut views = self.views.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = views.get(&view) {
            return Arc::clone(known);
        }
        let document = view.of(&self.document);
        let links = document.objects();
        let is_shown = |object: &&Object| {
            let id = std::str::from_utf8(&object.id);
            id.is_ok_and(|id| links.iter().any(|link| link.names(id)))
        };
        let seen = Arc::new(State {
            aor: Arc::clone(&self.aor),
            version: self.version,
            rules: None,
            views: Mutex::default(),
            objects: self.objects.iter().filter(is_shown).cloned().collect(),
            document: Arc::new(document),
            made: Mutex::default(),
        });
        if views.len() < VIEWS {
            views.insert(view, Arc::clone(&seen));
        }
        seen
    }

    /// The document without its links into the message.
    pub(super) fn without_objects(&self) -> Document {
        let mut document = Document::clone(&self.document);
        document.unlink(|object| object.content_id().is_none());
        document
    }
}

impl Maker<'_> {
    /// What is published for a user now.
    pub(super) fn state(self, aor: &Arc<str>) -> Arc<State> {
        let (shelf, states) = (&self.presence.shelf, &self.presence.states);
        let version = [shelf.version(aor), shelf.rules_version(aor)];
        let known = {
            let all = states.of_users.lock().unwrap_or_else(PoisonError::into_inner);
            all.get(aor).filter(|state| state.version == version).map(Arc::clone)
        };
        if let Some(known) = known {
            return known;
        }
        let (published, publications) = shelf.published(aor);
        // The rules are read after their version: newer ones under an older version are read again.
        let [_, rules_version] = version;
        let rules = rules_version.map(|_| shelf.policy(aor));
        let limits = self.rooms.policy.load().settings.presence.document;
        let made = State::new(aor, [published, rules_version], &publications, &limits);
        let state = Arc::new(State { rules, ..made });
        let mut all = states.of_users.lock().unwrap_or_else(PoisonError::into_inner);
        if states.octets.load(Ordering::Relaxed) > KEPT || all.len() >= STATES {
            all.clear();
            states.octets.store(0, Ordering::Relaxed);
        }
        all.insert(Arc::clone(aor), Arc::clone(&state));
        state
    }

    /// The state as that terminal is to have it.
    pub(super) async fn fitted(
        self,
        state: &State,
        form: Form,
        cpi: &Arc<Cpi>,
        message: Option<u64>,
    ) -> Made {
        let plain = |document: &Document| Entity {
            fields: vec![field("Content-Type", form.media_type().to_owned())],
            body: document.write(form),
        };
        let settings = fit::settings(self.rooms);
        let entity = Arc::new(match state.objects.is_empty() {
            true => plain(&state.document),
            false => self.multipart(state, form).await,
        });
        // What can't be made to fit comes back as it was.
        let fits = |entity: &Entity| fit::holds(entity, cpi, message);
        let fitted = fit::fit(self.rooms, &settings, &entity, cpi, message, &state.aor).await;
        let fitted = match fitted.filter(fits) {
            Some(fitted) if !fit::is_link(&fitted) && !self.lacks_objects(&fitted, state) => {
                return made(fitted);
            }
            None if fit::is_taken(&entity, cpi, message, &settings) => {
                return made(Entity::clone(&entity));
            }
            other => other,
        };
        if state.objects.is_empty() {
            // Nothing of a document can be left out.
            return made(fitted.unwrap_or_else(|| plain(&state.document)));
        }
        // A document with links, or alone, is better than a link to it. Whether the way is wide enough for it is seen by
        // what it comes to: what is reckoned before leaves room to spare.
        let linked =
            Arc::new(Cpi { media: Some(vec![cpi::MediaEntry::new(form.media_type())]), ..Cpi::clone(cpi) });
        let linked = fit::fit(self.rooms, &settings, &entity, &linked, None, &state.aor).await;
        let alone = plain(&state.without_objects());
        match linked {
            Some(linked) if !fit::is_link(&linked) && fits(&linked) => made(linked),
            _ if fits(&alone) => made(alone),
            _ => made(fitted.unwrap_or(alone)),
        }
    }

    /// Whether only the document is left, and does not lead to all that it shows.
    fn lacks_objects(self, fitted: &Entity, state: &State) -> bool {
        let content_type = adapter::mime::ContentType::read(fitted.field("Content-Type").unwrap_or_default());
        if state.objects.is_empty() || Form::of(&content_type.essence).is_none() {
            return false;
        }
        let limits = self.rooms.policy.load().settings.presence.document;
        let lacks = |document: Document| {
            let links = document.objects();
            let mut ids = state.objects.iter().filter_map(|object| std::str::from_utf8(&object.id).ok());
            links.len() < state.document.objects().len()
                || ids.any(|id| links.iter().any(|link| link.names(id)))
        };
        Document::read(&fitted.body, &limits).is_ok_and(lacks)
    }

    /// The document with what it shows beside it (CPI.md 5.2).
    async fn multipart(self, state: &State, form: Form) -> Entity {
        let mut parts = Vec::with_capacity(state.objects.len());
        for object in &state.objects {
            parts.extend(self.presence.shelf.object(&state.aor, &object.digest).await);
        }
        let host = &self.rooms.policy.load().settings.host;
        let mut hasher = Sha256::new();
        hasher.update(&*state.document.write(form));
        state.objects.iter().for_each(|object| hasher.update(object.digest));
        // Of the content: what is made anew of the same state is the same.
        let digest = hasher.finalize();
        let name: String = digest.iter().take(12).map(|octet| format!("{octet:02x}")).collect();
        let (boundary, root) = (format!("bp-{name}"), format!("pidf-{name}@{host}"));
        let media_type = form.media_type();
        let mut body = format!(
            "--{boundary}\r\nContent-Type: {media_type};charset=\"UTF-8\"\r\nContent-ID: <{root}>\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(&state.document.write(form));
        for part in parts {
            body.extend_from_slice(format!("\r\n--{boundary}\r\n").as_bytes());
            body.extend_from_slice(&part);
        }
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        let content_type =
            format!("multipart/related;type=\"{media_type}\";start=\"<{root}>\";boundary=\"{boundary}\"");
        Entity {
            fields: vec![field("MIME-Version", "1.0".to_owned()), field("Content-Type", content_type)],
            body: body.into(),
        }
    }
}

pub(super) fn made(entity: Entity) -> Made {
    let fields = entity.fields.into_iter().map(|field| (field.name, field.value)).collect();
    Made { fields, body: entity.body }
}

impl State {
    fn new(
        aor: &Arc<str>,
        version: Versions,
        publications: &Publications,
        limits: &document::Limits,
    ) -> State {
        let now = Moment::from(transport::now()).seconds();
        let live: Vec<_> = publications.entries.iter().filter(|entry| entry.expires_at > now).collect();
        let read = live.iter().filter_map(|entry| {
            let document = Document::read(&entry.document, limits).ok()?;
            Some((document, entry.published_at))
        });
        let read: Vec<(Document, u64)> = read.collect();
        let composed: Vec<document::Publication<'_>> = read
            .iter()
            .map(|(document, published_at)| document::Publication { document, published_at: *published_at })
            .collect();
        let document = document::compose(&composed, &entity(aor));
        // Of two that have the same name the newer counts.
        let mut known: Vec<(&Object, u64)> = Vec::new();
        for entry in &live {
            known.extend(entry.objects.iter().map(|object| (object, entry.published_at)));
        }
        known.sort_by_key(|(_, published_at)| std::cmp::Reverse(*published_at));
        let mut objects: Vec<Object> = Vec::new();
        for link in document.objects() {
            let named = |(object, _): &&(&Object, u64)| {
                std::str::from_utf8(&object.id).is_ok_and(|id| link.names(id))
            };
            if let Some((object, _)) = known.iter().find(named)
                && !objects.contains(object)
            {
                objects.push(Object::clone(object));
            }
        }
        State {
            aor: Arc::clone(aor),
            version,
            rules: None,
            views: Mutex::default(),
            document: Arc::new(document),
            objects,
            made: Mutex::default(),
        }
    }
}

/// The presentity's URI in documents (RFC 3859).
pub(super) fn entity(aor: &str) -> String {
    format!("pres:{}", aor.strip_prefix("sip:").unwrap_or(aor))
}

pub(super) fn field(name: &'static str, value: String) -> Field {
    Field::new(Bytes::from_static(name.as_bytes()), value)
}
