//! The rooms this one wires together, and the rules in force.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use annc::Annc;
use arc_swap::ArcSwap;
use registrar::{Profiles, Registrar};
use tokio::sync::Semaphore;
use transport::{Endpoint, Flow};

use crate::avoid::Avoided;
use crate::links::Links;
use crate::offline::{Offline, Runs};
use crate::ours::Ours;
use crate::pool::Pool;
use crate::presence::Presence;
use crate::rates::{Lateness, Rates};
use crate::record::RouteKey;
use crate::settings::Settings;

/// Everything a request may need on its road.
pub(crate) struct Rooms {
    pub(crate) policy: ArcSwap<Policy>,
    pub(crate) key: RouteKey,
    pub(crate) endpoint: Endpoint,
    pub(crate) registrar: Arc<Registrar>,
    /// Next hops that are passed over for a while.
    pub(crate) avoided: Avoided,
    /// `None`: nothing is linked.
    pub(crate) links: Option<Arc<dyn Links>>,
    pub(crate) pool: Arc<Pool>,
    /// Messages for users who can't be reached.
    pub(crate) offline: Arc<Offline>,
    /// Deliveries of them.
    pub(crate) runs: Runs,
    /// Announcements, once they are there.
    pub(crate) annc: OnceLock<Annc>,
    /// The presence server, once it is there.
    pub(crate) presence: OnceLock<Arc<Presence>>,
    /// Whether requests wait too long for their turn.
    pub(crate) lateness: Lateness,
    /// Rates of addresses.
    pub(crate) sources: Option<Rates>,
    /// Rates of users.
    pub(crate) users: Option<Rates>,
    /// Requests on their road.
    pub(crate) permits: Arc<Semaphore>,
}

/// The rules in force. A request keeps those that held when it came.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) settings: Settings,
    pub(crate) profiles: Profiles,
    pub(crate) ours: Ours,
}

impl Policy {
    pub(crate) fn new(settings: Settings, profiles: Profiles, sockets: Vec<SocketAddr>) -> Policy {
        let ours = Ours::new(&settings.domains, &settings.aliases, sockets);
        Policy { settings, profiles, ours }
    }

    /// Whether a trusted neighbour is at the other end of a flow.
    pub(crate) fn is_peer(&self, flow: &Flow, endpoint: &Endpoint) -> bool {
        let address = flow.remote.ip();
        self.settings.peers.iter().any(|peer| peer.is(address, || endpoint.identities(flow)))
    }
}
