//! What the operator decides about the road. Names and defaults are those of the configuration file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::fetch::Fetch;
use crate::offload::Offload;
use crate::relay::{Peer, Relay};

/// Everything the proxy needs to know beside the rooms it works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `domain`: what this server is responsible for. The first is the one that our bare address means.
    pub domains: Vec<String>,
    /// Other host names and addresses by which this server is reached and may be named in Route or in a
    /// Request-URI without a user.
    pub aliases: Vec<String>,
    /// The name this server gives itself in Warning, Record-Route and the From of its own requests.
    pub host: String,
    /// `Server` and `User-Agent`: `bespoke/<version>`.
    pub server: String,
    /// `proxy.relay`
    pub relay: Relay,
    /// `[[peer]]`
    pub peers: Vec<Peer>,
    /// `[[route]]`: domain in lower case, and the URI of its next hop.
    pub routes: Vec<NextHop>,
    /// `[adapt]`, `[[user]]` and `[[domain]]`
    pub adapt: Switches,
    /// `cpi.unknown`
    pub unknown: Unknown,
    /// `fork.mode`
    pub fork: ForkMode,
    /// `fork.next_after`: how long a contact may be silent before the next one is tried as well.
    pub next_after: Duration,
    /// `proxy.avoid_failed`: how long a next hop that failed is tried after all others.
    pub avoid_failed: Duration,
    /// The adapter's own settings; its `links` and `method` are set per message.
    pub adapter: adapter::Settings,
    /// `adapt.deadline`: how long one branch's body may take.
    pub adapt_deadline: Duration,
    /// Servers that adapt for this one (`adapt.offload`).
    pub offload: Option<Arc<dyn Offload>>,
    /// Who fetches contents that senders only name (`fetch.allow`); `None`: nobody.
    pub fetch: Option<Arc<dyn Fetch>>,
    /// How long an OPTIONS query of a terminal may take (CPI.md L7).
    pub query_deadline: Duration,
    /// Timer C: an INVITE branch without a final answer is given up; more than 3 minutes
    /// (RFC 3261 §16.6 step 11).
    pub timer_c: Duration,
    /// Requests on their road at once; more are answered 503.
    pub in_progress: usize,
    /// How long a request may wait for its first step before new ones are refused.
    pub delay: Duration,
    /// `overload.retry_after`: what a sender hears for whom there is no room, in seconds.
    pub retry_after: u32,
    /// Requests a second from one address; 0 is no limit. Peers have none.
    pub source_rate: u32,
    /// Requests a second of one user of ours, wherever they come from; 0 is no limit.
    pub user_rate: u32,
    /// `[offline]`
    pub offline: Offline,
    /// `[presence]`
    pub presence: crate::presence::Settings,
    /// `log.redact = false`: show AORs and Call-IDs in the log.
    pub open_logs: bool,
}

impl Settings {
    /// The defaults for a server of that domain and name.
    pub fn new(domain: &str, host: &str) -> Settings {
        Settings {
            domains: vec![domain.to_owned()],
            aliases: Vec::new(),
            host: host.to_owned(),
            server: concat!("bespoke/", env!("CARGO_PKG_VERSION")).to_owned(),
            relay: Relay::default(),
            peers: Vec::new(),
            routes: Vec::new(),
            adapt: Switches::default(),
            unknown: Unknown::default(),
            fork: ForkMode::default(),
            next_after: Duration::from_secs(4),
            avoid_failed: Duration::from_secs(30),
            adapter: adapter::Settings::new(host),
            adapt_deadline: Duration::from_secs(4),
            offload: None,
            fetch: None,
            query_deadline: Duration::from_secs(2),
            timer_c: Duration::from_secs(185),
            in_progress: 10_000,
            delay: Duration::from_secs(1),
            retry_after: 5,
            source_rate: 0,
            user_rate: 0,
            offline: Offline::default(),
            presence: crate::presence::Settings::default(),
            open_logs: false,
        }
    }
}

/// `[offline]`: messages for users who can't be reached, and how many of them.
#[derive(Clone, Debug)]
pub struct Offline {
    /// Keep them and answer 202. What is kept already is delivered in any case.
    pub store: bool,
    /// How long, at most.
    pub ttl: Duration,
    /// Deliveries that may come to nothing before a message is given up.
    pub attempts: u32,
    /// Messages for one user.
    pub user_messages: u32,
    /// Octets of the messages for one user.
    pub user_octets: u64,
    /// Messages of one sender, to all users.
    pub sender_messages: u32,
    /// Octets of the messages of one sender.
    pub sender_octets: u64,
    /// Messages altogether.
    pub messages: u32,
    /// Octets of all messages.
    pub octets: u64,
    /// Users whose messages are delivered at the same time.
    pub deliveries: usize,
}

impl Default for Offline {
    fn default() -> Self {
        Offline {
            store: true,
            ttl: Duration::from_secs(7 * 24 * 3600),
            attempts: 10,
            user_messages: 200,
            user_octets: 32 << 20,
            sender_messages: 1000,
            sender_octets: 128 << 20,
            messages: 100_000,
            octets: 1 << 30,
            deliveries: 64,
        }
    }
}

/// One `[[route]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The domain, any case.
    pub domain: String,
    /// Where requests for it go: `sip:edge.example.net;transport=tcp`.
    pub next_hop: String,
    /// Whether phones of that domain come through here (RFC 5626 §5): what they send to it passes, and their
    /// flows are kept.
    pub edge: bool,
}

/// `cpi.unknown`: what to do for a terminal of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Unknown {
    /// Send the body as it came.
    #[default]
    Passthrough,
    /// Ask it with OPTIONS, once.
    Options,
    /// Replace all but text by links.
    Indirect,
}

/// `fork.mode`: bodies for several terminals at once (CPI.md I2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ForkMode {
    /// When one needs a change and all take links: links for all.
    #[default]
    Indirect,
    /// Each its own adaptation.
    PerBranch,
}

/// Where adaptation is on. The closest wins: user, domain, all.
#[derive(Clone, Debug)]
pub struct Switches {
    /// `adapt.enabled`
    pub enabled: bool,
    /// Per domain, in lower case.
    pub domains: HashMap<String, bool>,
    /// Per AOR, as `user@domain` with the domain in lower case.
    pub users: HashMap<String, bool>,
}

impl Default for Switches {
    fn default() -> Self {
        Switches { enabled: true, domains: HashMap::new(), users: HashMap::new() }
    }
}

impl Switches {
    /// Whether bodies for `user` at `domain` are adapted.
    pub fn on(&self, user: &str, domain: &str) -> bool {
        if self.users.is_empty() && self.domains.is_empty() {
            return self.enabled;
        }
        let domain = domain.to_ascii_lowercase();
        let of_user = self.users.get(&format!("{user}@{domain}"));
        of_user.or_else(|| self.domains.get(&domain)).copied().unwrap_or(self.enabled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_switch_wins() {
        let switches = Switches {
            enabled: true,
            domains: HashMap::from([("example.com".into(), false)]),
            users: HashMap::from([("john@example.com".into(), true)]),
        };
        assert!(switches.on("john", "Example.com"));
        assert!(!switches.on("ann", "example.com"));
        assert!(switches.on("ann", "example.org"));
    }
}
