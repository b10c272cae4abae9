//! What is known of terminals that said nothing in their REGISTER: the answer to one OPTIONS (rule L7), or
//! what a 415, 413 or 513 teaches (rule L8). In memory only: after a restart it is asked again.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use cpi::{Cpi, Extensions, Interval, WholeLimit};
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use dashmap::mapref::one::Ref;
use sip::{Contact, HeaderId, Response};
use tokio::sync::watch;

use crate::binding::Binding;
use crate::{Profiles, Registrar, unix_seconds};

/// How long an answer, or that there was none, counts at most; seconds (rule L7).
const LONGEST: u64 = 3600;

/// Least time between two clearings of a full table, in seconds.
const CLEAR_EVERY: u64 = 60;

/// Whether a terminal is to be asked with OPTIONS.
#[derive(Debug)]
pub enum Query {
    /// It was asked, or what it said counts already. `None`: nothing is known, and it is not to be asked again.
    Known(Option<Arc<Cpi>>),
    /// Ask it, and give the answer to the ticket.
    Ask(QueryTicket),
    /// Someone else asks it just now.
    Wait(QueryWait),
}

/// The right and the duty to ask one terminal. Dropped without an answer, it counts as one that got none.
pub struct QueryTicket {
    table: Arc<Learned>,
    key: Key,
    call_id: Bytes,
    asked_at: u64,
    extensions: Extensions,
    done: bool,
}

/// Waits for the answer that another is getting.
#[derive(Debug)]
pub struct QueryWait(watch::Receiver<Answer>);

/// What was sent when a terminal refused it; sizes in octets.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Of the body, as Content-Length says.
    pub body: u64,
    /// Of the whole message.
    pub message: u64,
}

impl Registrar {
    /// Whether the capabilities of this binding's terminal are unknown and it is to be asked (rule L7). Of all
    /// callers one is told to ask; never once per message.
    pub fn query(&self, binding: &Binding, profiles: &Profiles, now: SystemTime) -> Query {
        if let Some(known) = self.cpi_for(binding, profiles, now) {
            return Query::Known(Some(known));
        }
        let settings = self.settings();
        let extensions = settings.options.extensions.clone();
        self.learned.ask(binding, unix_seconds(now), settings.options.learned, extensions)
    }

    /// Takes up what the refusal of a message teaches (rule L8): a 415 with Accept, a 413, a 513. Returns what
    /// is known of the terminal now, for the one retry of that branch; `None` if the response teaches nothing.
    pub fn learn(
        &self,
        binding: &Binding,
        profiles: &Profiles,
        refusal: &Response,
        sent: Sent,
        now: SystemTime,
    ) -> Option<Arc<Cpi>> {
        let settings = self.settings();
        let known = self.cpi_for(binding, profiles, now);
        let lesson = lesson(known.as_deref(), refusal, sent, &settings.options.extensions)?;
        let lesson = Arc::new(lesson);
        self.learned.keep(binding, Arc::clone(&lesson), unix_seconds(now), settings.options.learned);
        Some(lesson)
    }
}

/// The known CPI with what the refusal says of it replaced.
fn lesson(known: Option<&Cpi>, refusal: &Response, sent: Sent, extensions: &Extensions) -> Option<Cpi> {
    let fields = refusal.headers().map(|header| (header.name, header.value));
    let (said, _) = cpi::decode::from_headers(fields, extensions);
    let mut cpi = known.cloned().unwrap_or_default().with_source(cpi::Source::Learned);
    cpi.max_size = said.max_size.or(cpi.max_size);
    match refusal.status() {
        415 if said.has_header_cpi() => {
            // Contact groups before it spoke of the same types.
            if said.media.is_some() {
                cpi.media = said.media;
                cpi.implicit.clear();
            }
            if !said.whole.is_empty() {
                cpi.whole = said.whole;
            }
            cpi.charsets = said.charsets.or(cpi.charsets);
            cpi.languages = said.languages.or(cpi.languages);
        }
        // Neither code says how much would do. Half of it: octet by octet it would take for ever.
        413 if said.max_size.is_none() => {
            cpi.whole.push(WholeLimit::identity(Interval::at_most(sent.body / 2)));
        }
        513 if said.max_size.is_none() => {
            cpi.max_size = Some(cpi.max_size.unwrap_or(u64::MAX).min(sent.message / 2));
        }
        413 | 513 => {}
        _ => return None,
    }
    Some(cpi)
}

impl QueryTicket {
    /// Takes the answer: of a 2xx its CPI, headers before the equal Contact tag (rule L3), of a 415 or any
    /// other that carries Accept those headers; of none at all that there is none. Returns what is known now.
    pub fn answer(mut self, response: Option<&Response>) -> Option<Arc<Cpi>> {
        let cpi = response.and_then(|response| answered(response, &self.extensions)).map(Arc::new);
        self.done = true;
        self.table.settle(&self.key, &self.call_id, self.asked_at, cpi.clone());
        cpi
    }

    /// The terminal could not be asked: the next who wants to know asks again. Whoever waits is told that
    /// nothing is known.
    pub fn not_asked(mut self) {
        self.done = true;
        self.table.give_up(&self.key);
    }
}

impl Drop for QueryTicket {
    fn drop(&mut self) {
        if !self.done {
            self.table.settle(&self.key, &self.call_id, self.asked_at, None);
        }
    }
}

/// Whose terminal it is, is not for logs.
impl fmt::Debug for QueryTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueryTicket").field("asked_at", &self.asked_at).finish_non_exhaustive()
    }
}

impl QueryWait {
    /// What the other learned; `None` if nothing.
    pub async fn answer(mut self) -> Option<Arc<Cpi>> {
        let answer = self.0.wait_for(|answer| !matches!(answer, Answer::Open)).await.ok()?;
        match &*answer {
            Answer::Open => None,
            Answer::Settled(cpi) => cpi.clone(),
        }
    }
}

fn answered(response: &Response, extensions: &Extensions) -> Option<Cpi> {
    let fields = response.headers().map(|header| (header.name, header.value));
    let (said, _) = cpi::decode::from_headers(fields, extensions);
    let success = (200..300).contains(&response.status());
    let contact = if success { first_contact(response, extensions) } else { None };
    let cpi = cpi::merge::headers_win(&said, contact.as_ref(), cpi::Source::Learned);
    let counts = success || response.header(HeaderId::Accept).is_some();
    (counts && !cpi.is_unknown()).then_some(cpi)
}

fn first_contact(response: &Response, extensions: &Extensions) -> Option<cpi::ContactCpi> {
    match response.contacts().next()?.ok()? {
        Contact::Wildcard => None,
        Contact::Address(address) => Some(cpi::contact::decode(address.params(), extensions)),
    }
}

/// AOR and Contact URI.
type Key = (Box<str>, Bytes);

/// Terminals by binding.
#[derive(Default)]
pub(crate) struct Learned {
    terminals: DashMap<Key, Terminal>,
    /// Whether there was ever one: nearly all say themselves what they can show.
    any: AtomicBool,
    cleared_at: AtomicU64,
}

enum Terminal {
    Asking {
        answer: watch::Sender<Answer>,
        until: u64,
    },
    /// `taught`: by the refusal of a message, while the CSeq of the binding's REGISTER is this one.
    Known {
        cpi: Option<Arc<Cpi>>,
        call_id: Bytes,
        until: u64,
        taught: Option<u32>,
    },
}

#[derive(Clone, Debug)]
enum Answer {
    Open,
    Settled(Option<Arc<Cpi>>),
}

impl Learned {
    pub(crate) fn cpi(&self, binding: &Binding, now: u64) -> Option<Arc<Cpi>> {
        match &*self.find(binding)? {
            Terminal::Known { cpi, call_id, until, .. } if *call_id == binding.call_id && now < *until => {
                cpi.clone()
            }
            _ => None,
        }
    }

    /// What the terminal's refusal of a message taught since its last REGISTER (rule L8).
    pub(crate) fn taught(&self, binding: &Binding, now: u64) -> Option<Arc<Cpi>> {
        match &*self.find(binding)? {
            Terminal::Known { cpi, call_id, until, taught: Some(cseq) }
                if *call_id == binding.call_id && *cseq == binding.cseq && now < *until =>
            {
                cpi.clone()
            }
            _ => None,
        }
    }

    fn find(&self, binding: &Binding) -> Option<Ref<'_, Key, Terminal>> {
        if self.is_empty() {
            return None;
        }
        self.terminals.get(&key(binding))
    }

    /// Whether nothing was ever learned.
    pub(crate) fn is_empty(&self) -> bool {
        !self.any.load(Ordering::Relaxed)
    }

    pub(crate) fn forget(&self, aor: &str, uri: &Bytes) {
        if self.is_empty() {
            return;
        }
        self.terminals.remove(&(aor.into(), uri.clone()));
    }

    /// Takes away what does not count any more.
    pub(crate) fn clear(&self, now: u64) {
        self.terminals.retain(|_, terminal| terminal.until() > now);
    }

    fn ask(self: &Arc<Self>, binding: &Binding, now: u64, limit: usize, extensions: Extensions) -> Query {
        if !self.has_room(now, limit) && !self.terminals.contains_key(&key(binding)) {
            return Query::Known(None);
        }
        let ticket = || QueryTicket {
            table: Arc::clone(self),
            key: key(binding),
            call_id: binding.call_id.clone(),
            asked_at: now,
            extensions,
            done: false,
        };
        self.any.store(true, Ordering::Relaxed);
        let asking = || Terminal::Asking { answer: watch::Sender::new(Answer::Open), until: now + LONGEST };
        match self.terminals.entry(key(binding)) {
            Entry::Vacant(vacant) => {
                vacant.insert(asking());
                Query::Ask(ticket())
            }
            Entry::Occupied(mut occupied) => match occupied.get() {
                Terminal::Asking { answer, until } if now < *until => {
                    Query::Wait(QueryWait(answer.subscribe()))
                }
                Terminal::Known { cpi, call_id, until, .. }
                    if *call_id == binding.call_id && now < *until =>
                {
                    Query::Known(cpi.clone())
                }
                _ => {
                    occupied.insert(asking());
                    Query::Ask(ticket())
                }
            },
        }
    }

    fn settle(&self, key: &Key, call_id: &Bytes, asked_at: u64, cpi: Option<Arc<Cpi>>) {
        // The binding may have ended meanwhile: then nobody wants to know.
        let Some(mut terminal) = self.terminals.get_mut(key) else { return };
        let (call_id, until) = (call_id.clone(), asked_at + LONGEST);
        let known = Terminal::Known { cpi: cpi.clone(), call_id, until, taught: None };
        match std::mem::replace(&mut *terminal, known) {
            Terminal::Asking { answer, .. } => drop(answer.send_replace(Answer::Settled(cpi))),
            // A refusal that came meanwhile taught something: better than no answer.
            taught @ Terminal::Known { .. } if cpi.is_none() => *terminal = taught,
            Terminal::Known { .. } => {}
        }
    }

    fn give_up(&self, key: &Key) {
        let is_open = |_: &Key, terminal: &Terminal| matches!(terminal, Terminal::Asking { .. });
        if let Some((_, Terminal::Asking { answer, .. })) = self.terminals.remove_if(key, is_open) {
            answer.send_replace(Answer::Settled(None));
        }
    }

    fn keep(&self, binding: &Binding, cpi: Arc<Cpi>, now: u64, limit: usize) {
        if !self.has_room(now, limit) && !self.terminals.contains_key(&key(binding)) {
            return;
        }
        self.any.store(true, Ordering::Relaxed);
        let known = Terminal::Known {
            cpi: Some(Arc::clone(&cpi)),
            call_id: binding.call_id.clone(),
            until: now + LONGEST,
            taught: Some(binding.cseq),
        };
        if let Some(Terminal::Asking { answer, .. }) = self.terminals.insert(key(binding), known) {
            answer.send_replace(Answer::Settled(Some(cpi)));
        }
    }

    fn has_room(&self, now: u64, limit: usize) -> bool {
        if self.terminals.len() < limit {
            return true;
        }
        let last = self.cleared_at.load(Ordering::Relaxed);
        if now < last + CLEAR_EVERY {
            return false;
        }
        self.cleared_at.store(now, Ordering::Relaxed);
        self.clear(now);
        self.terminals.len() < limit
    }
}

impl Terminal {
    const fn until(&self) -> u64 {
        match self {
            Self::Asking { until, .. } | Self::Known { until, .. } => *until,
        }
    }
}

fn key(binding: &Binding) -> Key {
    (Box::from(&*binding.aor), Bytes::copy_from_slice(binding.uri.as_bytes()))
}
