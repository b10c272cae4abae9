//! From a body and a terminal to a plan, and from the plan to a body that fits. CPU only: no sockets, no clock, no SIP.
//!
//! The road: [`Entity`] (the `Content-*` fields of a SIP or HTTP head, and the body) and the terminal's
//! [`cpi::Cpi`] go into [`plan()`]. A [`Plan`] says what becomes of every part and why ([`Report`]), which
//! links it needs ([`Plan::links`]) and which work ([`Plan::jobs`], per part, `Send`, asked to stop by a
//! function). Their results go into [`Plan::build`], which holds the new body against every limit and
//! either hands it out ([`Adapted`]) or plans once more without what did not come out as predicted.
//!
//! CPI.md §3 (deciding), §4 (`message/external-body`), RFC 2045-2047, RFC 4483.

mod entity;
pub mod image;
mod job;
pub mod mime;
mod plan;
mod rebuild;
mod received;
mod report;
mod settings;
mod single;
pub mod text;

pub use entity::{Adapted, Entity, Field, Refusal};
pub use job::{Converter, Job, JobError, JobId, JobOutcome, Offer, Product, Shape, Traits, Want, Work};
pub use plan::{Built, Link, LinkRequest, Plan, Verdict, Wrapped, is_kept, plan, seals_body};
pub use received::{Received, received, with_content};
pub use report::{Action, PartReport, Report};
pub use settings::{Budget, Converters, Guards, LinkShape, Linking, Method, Settings, Tiers};
pub use single::{Single, adapt_linked, adapt_one};
