//! Presence and the events beside it: what a PUBLISH leaves, who watches it, and what each watcher is told.
//!
//! The room is pure: what came and what time it is go in; what to answer, what to send and what to keep come out.
//! RFC 3856, 3857, 3858, 3680, 3903, 4662, 5262, 5263 and 6665; CPI.md 5 and 6.7.
//!
//! | question | module |
//! |---|---|
//! | what does a PUBLISH do? | [`compositor`], on [`publication`]s |
//! | what does a SUBSCRIBE ask for? | [`notifier`], which makes [`subscription`]s |
//! | and what is told of a list's members elsewhere? | [`backend`] |
//! | may that watcher? | [`rules`]; who went away before that was said is [`waiting`] |
//! | who is told, and when? | [`table`] |
//! | how is it said? | [`notice`], [`ending`], [`watchers`] |
//! | what is said? | [`document`] |
//! | what is answered? | [`refusal`] |

pub mod backend;
mod codec;
pub mod compositor;
pub mod document;
pub mod ending;
pub mod event;
pub mod notice;
pub mod notifier;
pub mod publication;
pub mod refusal;
pub mod rules;
pub mod subscription;
pub mod table;
pub mod time;
pub mod waiting;
pub mod watchers;
