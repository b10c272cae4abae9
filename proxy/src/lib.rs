//! The road of a request: route, fork, adapt, forward, answer. Wires the rooms together.
//!
//! [`Proxy`] is a [`transport::Handler`]: give it to the sockets and it does the rest. `road` lists the
//! stages; each stands in a file of its name. RFC 3261 §16 with RFC 4320, 5393 and 6026; CPI.md 3 for what
//! is done to bodies.

mod admit;
mod announce;
mod authenticate;
mod avoid;
mod branch;
pub mod breadth;
mod capability;
mod context;
mod course;
mod edge;
pub mod fetch;
mod fork;
mod forward;
mod gate;
mod hop;
mod identity;
mod journey;
pub mod links;
mod local;
mod loops;
pub mod metrics;
pub mod offline;
pub mod offload;
mod ours;
pub mod pool;
mod prefer;
mod presence;
mod rates;
mod record;
pub mod redact;
mod redirect;
mod refuse;
pub mod relay;
mod road;
mod rooms;
mod route;
mod search;
pub mod settings;
mod silent;
#[cfg(test)]
mod simulated;
mod source;
mod tailor;
mod target;
#[cfg(test)]
mod testing;
mod upstream;

pub use self::presence::{
    List, ListError, Presence, Published, RulesError, WaitingWatcher, Watching, settings as presence_settings,
};
pub use offline::Offline;
pub use pool::Pool;
pub use record::RouteKey;
pub use road::Proxy;
pub use settings::Settings;
