//! Bodies that other servers adapt for this one (draft-coulombe-message-adaptation-framework-00 §5.2), as this room
//! needs it.
//!
//! What comes back is believed only as far as it can be checked: the planner must find nothing more to do about it.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use adapter::{Adapted, Entity, Field, Report};
use bytes::Bytes;
use cpi::{Cpi, Interval, MediaEntry, WholeLimit, render};

/// A body, and what the terminal takes in the words of HTTP.
#[derive(Clone, Debug)]
pub struct Task {
    /// The body and its fields.
    pub entity: Arc<Entity>,
    /// The value of Accept.
    pub accept: String,
    /// The value of Accept-Encoding, if a limit on the whole body is known.
    pub accept_encoding: Option<String>,
    /// The value of Accept-Charset.
    pub accept_charset: String,
    /// How long the answer is waited for.
    pub patience: Duration,
}

/// What a server said.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The body that fits, with its fields.
    Adapted(Entity),
    /// The body fits as it is.
    Unchanged,
    /// Nothing that fits can be made.
    Impossible,
}

/// No server answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no adaptation server answered")]
pub struct Unavailable;

/// An answer, when it comes.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<Answer, Unavailable>> + Send + 'a>>;

/// Servers that adapt.
pub trait Offload: Debug + Send + Sync + 'static {
    /// Has a body adapted; returns within the task's patience.
    fn adapt(&self, task: Task) -> Answering<'_>;
}

/// The task for a terminal, within `body` octets. `None`: what the terminal said can't be said in HTTP, or the body's
/// fields can't.
pub(crate) fn task(
    entity: &Arc<Entity>,
    cpi: &Cpi,
    implied: &[&str],
    body: Option<u64>,
    patience: Duration,
) -> Option<Task> {
    let writable = |field: &Field| !field.value.iter().any(|octet| octet.is_ascii_control());
    if !cpi.implicit.is_empty() || !entity.fields.iter().all(writable) {
        return None;
    }
    let both_ends =
        |interval: &Interval| interval.lo.is_some() && interval.hi.is_some() && interval.lo != interval.hi;
    let mut media = cpi.media.clone().unwrap_or_else(|| vec![MediaEntry::new("*/*")]);
    // Of two ends only one can be written.
    if media.iter().any(|entry| both_ends(&entry.pix_x) || both_ends(&entry.pix_y)) {
        return None;
    }
    for own in implied {
        if !media.iter().any(|entry| entry.range == *own) {
            media.push(MediaEntry::new(*own));
        }
    }
    let mut whole = cpi.whole.clone();
    if whole.is_empty() && body.is_some() {
        whole.push(WholeLimit::identity(Interval::UNLIMITED));
    }
    for limit in &mut whole {
        limit.length.hi = [limit.length.hi, body].into_iter().flatten().min();
    }
    Some(Task {
        entity: Arc::clone(entity),
        accept: render::accept(&media),
        accept_encoding: (!whole.is_empty()).then(|| render::accept_encoding(&whole)),
        accept_charset: match &cpi.charsets {
            Some(charsets) => render::preferences(charsets),
            None => "utf-8, us-ascii".to_owned(),
        },
        patience,
    })
}

/// What has to change in the head of `base` for it to become `new`.
pub(crate) fn changes(base: &Entity, new: &Entity, report: Report) -> Adapted {
    let name = |field: &Field| field.name.to_ascii_lowercase();
    let values = |entity: &Entity, wanted: &[u8]| {
        let same = entity.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(wanted));
        same.map(|field| field.value.clone()).collect::<Vec<Bytes>>()
    };
    let gone = base.fields.iter().filter(|field| values(new, &field.name).is_empty());
    let remove = gone.map(|field| field.name.clone()).collect();
    let (mut set, mut append): (Vec<Field>, Vec<Field>) = (Vec::new(), Vec::new());
    for field in &new.fields {
        let (before, after) = (values(base, &field.name), values(new, &field.name));
        if before == after {
            continue;
        }
        if name(field) == *b"content-adapted" {
            if !before.contains(&field.value) {
                append.push(Field::new("Content-Adapted", field.value.clone()));
            }
        } else if !set.iter().any(|known| known.name.eq_ignore_ascii_case(&field.name)) {
            set.push(Field::new(title_case(&field.name), field.value.clone()));
        }
    }
    Adapted { set, append, remove, body: new.body.clone(), report }
}

/// `content-type` as `Content-Type`: HTTP/2 and many a client know names in lower case only.
fn title_case(name: &[u8]) -> Vec<u8> {
    let mut starts = true;
    let cased = name.iter().map(|octet| {
        let cased = if starts { octet.to_ascii_uppercase() } else { octet.to_ascii_lowercase() };
        starts = *octet == b'-';
        cased
    });
    cased.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(fields: &[(&'static str, &'static str)]) -> Entity {
        let fields = fields.iter().map(|(name, value)| Field::new(*name, *value));
        Entity { fields: fields.collect(), body: Bytes::from_static(b"body") }
    }

    fn limits(accept: &str) -> Cpi {
        cpi::decode::from_headers([(&b"Accept"[..], accept.as_bytes())], &cpi::Extensions::NONE).0
    }

    #[test]
    fn a_task_says_what_is_implied_and_what_the_message_leaves_room_for() {
        let entity = Arc::new(entity(&[("Content-Type", "image/gif")]));
        let cpi = limits("image/gif;media-pix-x=max+160");
        let task = task(&entity, &cpi, &["text/plain"], Some(900), Duration::from_secs(1)).unwrap();
        assert_eq!(task.accept, "image/gif;media-pix-x=max+160, text/plain");
        assert_eq!(task.accept_encoding.as_deref(), Some("identity;length=max+900"));
    }

    #[test]
    fn what_http_can_not_say_is_no_task() {
        let task_of = |entity: Entity, accept: &str| {
            task(&Arc::new(entity), &limits(accept), &[], None, Duration::from_secs(1))
        };
        assert!(task_of(entity(&[]), "image/gif;media-pix-x=min+8;media-pix-x=max+160").is_none());
        assert!(task_of(entity(&[("Content-Type", "image/gif;\r\n name=x")]), "image/gif").is_none());
        assert!(task_of(entity(&[("Content-Type", "image/gif")]), "image/gif").is_some());
    }

    #[test]
    fn only_what_differs_is_changed_in_the_head() {
        let base = entity(&[("Content-Type", "image/png"), ("Content-ID", "<a@b>"), ("Content-MD5", "x")]);
        let new = entity(&[("content-type", "image/gif"), ("content-id", "<a@b>"), ("content-adapted", "h")]);
        let adapted = changes(&base, &new, Report::default());
        assert_eq!(adapted.set, [Field::new("Content-Type", "image/gif")]);
        assert_eq!(adapted.append, [Field::new("Content-Adapted", "h")]);
        assert_eq!(adapted.remove, ["Content-MD5"]);
    }
}
