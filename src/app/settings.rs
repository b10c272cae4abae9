//! From the config to the settings of each room: the only place that knows both their words.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use cpi::profile::Profiles;
use registrar::digest::Algorithm;

use super::fetcher::Fetcher;
use super::offload::{Proofs, Servers};
use crate::config::{self, Config, Device};

/// What the planner is told, whatever carries the body.
pub(crate) fn adapter(config: &Config, converters: &adapter::Converters) -> adapter::Settings {
    let mut settings = adapter::Settings::new(host(config));
    settings.converters = converters.clone();
    settings.guards.image.memory = config.adapt.picture_memory.0;
    settings.drop_note = config.adapt.drop_note;
    settings.cpim = config.adapt.cpim;
    settings.strict_specificity = config.cpi.strict_specificity;
    settings.tiers = match config.cpi.tiers {
        config::TierReading::Honour => adapter::Tiers::Honour,
        config::TierReading::Minimal => adapter::Tiers::Minimal,
    };
    settings
}

/// The name in Warning, Content-Adapted and Content-IDs.
pub(super) fn host(config: &Config) -> String {
    let first = || config.domain.first().map_or("localhost", |domain| &domain.name).to_owned();
    config.sip.host.clone().unwrap_or_else(first)
}

/// Asks name servers. Where there is nothing that says which, the system may know names all the same.
fn resolver(config: &Config) -> Arc<dyn transport::Resolve> {
    let options = transport::DnsOptions {
        servers: config.dns.servers.to_vec(),
        // Each is asked twice within the half of the time that one question has.
        timeout: config.dns.timeout.0 / 4,
        cache: config.dns.cache.into(),
    };
    match transport::DnsResolver::new(&options) {
        Ok(resolver) => Arc::new(resolver),
        Err(error) => {
            tracing::warn!("{error}: names are asked of the system, without NAPTR and SRV");
            Arc::new(transport::SystemResolver)
        }
    }
}

/// `http` is where the public listener is bound.
pub(super) fn transport(config: &Config, http: SocketAddr) -> transport::Config {
    let limits = &config.limits;
    let listen = config
        .sip
        .listen
        .iter()
        .filter(|entry| !shares(entry, config))
        .map(|entry| transport::Listen { protocol: protocol(entry.transport), addr: entry.address });
    let adopted = shared(config).map(|protocol| transport::Listen { protocol, addr: http });
    transport::Config {
        listen: listen.collect(),
        adopted: adopted.into_iter().collect(),
        tls: config::tls_files(config),
        origins: config.sip.origins.to_vec(),
        ping: config.sip.ping.0,
        sent_by: config.sip.host.clone(),
        messages: messages(limits),
        transactions: count(config.overload.transactions),
        retry_after: config.overload.retry_after,
        connections: count(limits.connections),
        connections_per_source: count(limits.connections_per_source),
        buffered_octets: limits.buffered.octets(),
        idle: limits.idle.0,
        head_deadline: limits.head_deadline.0,
        resolve_timeout: config.dns.timeout.0,
        resolver: resolver(config),
        ..transport::Config::default()
    }
}

/// What SIP over WebSocket is called on the public HTTP listener, if an entry of `sip.listen` shares it.
pub(super) fn shared(config: &Config) -> Option<transport::Protocol> {
    config.sip.listen.iter().find(|entry| shares(entry, config)).map(|entry| protocol(entry.transport))
}

fn shares(entry: &config::Listen, config: &Config) -> bool {
    protocol(entry.transport).is_websocket() && entry.address == config.http.listen
}

/// What the public HTTP listener speaks.
pub(super) fn http_scheme(config: &Config) -> &'static str {
    if is_http_secure(config) { "https" } else { "http" }
}

/// Whether the public HTTP listener speaks TLS: because it says so, or because `wss` shares it.
pub(super) fn is_http_secure(config: &Config) -> bool {
    config.http.tls || shared(config).is_some_and(transport::Protocol::is_secure)
}

const fn protocol(transport: config::Transport) -> transport::Protocol {
    match transport {
        config::Transport::Udp => transport::Protocol::Udp,
        config::Transport::Tcp => transport::Protocol::Tcp,
        config::Transport::Tls => transport::Protocol::Tls,
        config::Transport::Ws => transport::Protocol::Ws,
        config::Transport::Wss => transport::Protocol::Wss,
    }
}

fn messages(limits: &config::Limits) -> sip::Limits {
    let (head, body) = (limits.head.octets(), limits.body.octets());
    sip::Limits {
        head,
        lines: count(limits.lines),
        line_octets: limits.line.octets(),
        vias: count(limits.vias),
        params: count(limits.params),
        body,
        // One whole message, and the beginning of the next while it is dealt with.
        buffered: head.saturating_mul(2).saturating_add(body),
    }
}

pub(super) fn registrar(config: &Config) -> registrar::Options {
    registrar::Options {
        domains: domains(config),
        auth: (config.auth.mode == config::AuthMode::Digest).then(|| auth(&config.auth)),
        listed: config.user.iter().filter_map(|user| aor(&user.aor)).collect(),
        remember: config.registrar.remember.0,
        min_expires: config.registrar.min_expires,
        default_expires: config.registrar.default_expires,
        max_expires: Some(config.registrar.max_expires).filter(|seconds| *seconds > 0).unwrap_or(u32::MAX),
        path_needs_support: config.registrar.path_needs_support,
        from_register_accept: config.cpi.from_register_accept,
        extensions: config.cpi.extensions.iter().collect(),
        users: count(config.limits.users),
        contacts: count(config.limits.contacts),
        cpi_octets: config.limits.cpi.octets(),
        contact_cpi_octets: config.limits.contact_cpi.octets(),
        contact_octets: config.limits.contact.octets(),
        contact_uri_octets: config.limits.contact_uri.octets(),
        contact_params: count(config.limits.contact_params),
        path_values: count(config.limits.path_values),
        path_octets: config.limits.path.octets(),
        ..registrar::Options::default()
    }
}

fn auth(auth: &config::Auth) -> registrar::Auth {
    registrar::Auth {
        algorithms: algorithms(auth),
        legacy: auth.legacy,
        nonce_lifetime: auth.nonce_lifetime.0,
        nonces: count(auth.nonces),
        max_failures: auth.max_failures,
        ban: auth.ban.0,
        ban_table: count(auth.ban_table),
    }
}

/// Those that passwords are kept for and challenges offer.
pub(crate) fn algorithms(auth: &config::Auth) -> Vec<Algorithm> {
    auth.algorithms.iter().filter_map(|name| Algorithm::from_name(name.as_bytes())).collect()
}

fn peer(peer: &config::Peer) -> proxy::relay::Peer {
    proxy::relay::Peer {
        network: peer.address.and_then(|address| address.to_string().parse().ok()),
        tls_name: peer.tls_name.clone(),
    }
}

/// `cpi.extensions`
pub(super) fn extensions(config: &Config) -> cpi::Extensions {
    config.cpi.extensions.iter().collect()
}

pub(super) fn profiles(config: &Config) -> Profiles {
    let extensions = extensions(config);
    config.device.iter().map(|device| (device.user_agent.clone(), profile(device, &extensions))).collect()
}

fn profile(device: &Device, extensions: &cpi::Extensions) -> cpi::Cpi {
    let max_size = device.max_size.map(|size| size.0.to_string());
    let headers = [
        ("Accept", &device.accept),
        ("Accept-Encoding", &device.accept_encoding),
        ("Accept-Charset", &device.accept_charset),
        ("Max-Size", &max_size),
    ];
    let fields =
        headers.iter().filter_map(|(name, value)| Some((name.as_bytes(), value.as_ref()?.as_bytes())));
    cpi::decode::from_headers(fields, extensions).0
}

/// `sockets` are those that are bound, which may be named in Route and in a Request-URI.
pub(super) fn proxy(config: &Config, converters: &adapter::Converters) -> proxy::Settings {
    let host = host(config);
    let first = config.domain.first().map_or("localhost", |domain| &domain.name);
    let aliases = config.sip.host.iter().cloned().collect();
    proxy::Settings {
        domains: domains(config),
        aliases,
        relay: match config.proxy.relay {
            config::Relay::Authenticated => proxy::relay::Relay::Authenticated,
            config::Relay::Trusted => proxy::relay::Relay::Trusted,
            config::Relay::None => proxy::relay::Relay::None,
        },
        peers: config.peer.iter().map(peer).collect(),
        routes: config.route.iter().map(next_hop).collect(),
        adapt: switches(config),
        unknown: match config.cpi.unknown {
            config::UnknownTerminal::Passthrough => proxy::settings::Unknown::Passthrough,
            config::UnknownTerminal::Options => proxy::settings::Unknown::Options,
            config::UnknownTerminal::Indirect => proxy::settings::Unknown::Indirect,
        },
        fork: match config.fork.mode {
            config::ForkMode::Indirect => proxy::settings::ForkMode::Indirect,
            config::ForkMode::PerBranch => proxy::settings::ForkMode::PerBranch,
        },
        next_after: config.fork.next_after.0,
        avoid_failed: config.proxy.avoid_failed.0,
        adapter: adapter(config, converters),
        adapt_deadline: config.adapt.deadline.0,
        offload: offload(config),
        fetch: Fetcher::new(config).map(|fetcher| Arc::new(fetcher) as Arc<dyn proxy::fetch::Fetch>),
        in_progress: count(config.overload.requests),
        delay: config.overload.delay.0,
        retry_after: config.overload.retry_after,
        source_rate: config.limits.source_rate,
        user_rate: config.limits.user_rate,
        offline: offline(&config.offline),
        presence: presence(config),
        open_logs: !config.log.redact,
        ..proxy::Settings::new(first, &host)
    }
}

/// Servers that adapt for this one.
fn offload(config: &Config) -> Option<Arc<dyn proxy::offload::Offload>> {
    if config.adapt.offload.is_empty() {
        return None;
    }
    let (adapt, tls) = (&config.adapt, &config.tls);
    let read = |key: &'static str, path: Option<&PathBuf>| {
        let read = std::fs::read(path?);
        read.inspect_err(|error| tracing::error!(%error, "{key} can't be read")).ok()
    };
    let token = read("adapt.offload_token_file", adapt.offload_token_file.as_ref());
    let token = token.map(|text| String::from_utf8_lossy(&text).into_owned());
    let token = token.as_ref().and_then(|text| text.lines().next()).map(|token| token.trim().to_owned());
    let own = [("tls.cert", &tls.cert), ("tls.key", &tls.key)].map(|(key, path)| read(key, path.as_ref()));
    let [cert, key] = if adapt.offload_certificate { own } else { [None, None] };
    let own = cert.zip(key).map(|(cert, key)| [cert, key].join(&b'\n'));
    let proofs = Proofs { token, roots: read("adapt.offload_ca", adapt.offload_ca.as_ref()), own };
    let servers: Arc<dyn proxy::offload::Offload> = Arc::new(Servers::new(&adapt.offload, &proofs)?);
    Some(servers)
}

pub(super) fn presence(config: &Config) -> proxy::presence_settings::Settings {
    use proxy::presence_settings as settings;
    let lists = config.list.iter().map(|list| settings::EventList {
        uri: list.uri.clone(),
        owner: list.owner.clone(),
        members: list.members.to_vec(),
    });
    let lists = lists.collect();
    let config = &config.presence;
    let defaults = settings::Settings::default();
    settings::Settings {
        enabled: config.enabled,
        default: watcher_rule(config.default),
        rate: config.notify_every.0,
        publications: settings::Publications {
            publications: count(config.publications),
            min_expires: config.min_expires,
            default_expires: config.default_expires.min(config.max_expires).max(config.min_expires),
            max_expires: config.max_expires,
            octets: config.body.octets(),
            ..defaults.publications
        },
        document: settings::Document { octets: config.document.octets(), ..defaults.document },
        subscriptions: settings::Subscriptions {
            min_expires: config.min_expires,
            max_expires: config.max_expires,
            ..defaults.subscriptions
        },
        most: count(config.subscriptions),
        of_watcher: count(config.watcher_subscriptions),
        of_presentity: count(config.user_subscriptions),
        waiting: count(config.waiting),
        waiting_for: config.waiting_for.0,
        elsewhere: count(config.elsewhere),
        elsewhere_of_watcher: count(config.watcher_elsewhere),
        sending: count(config.sending),
        lists,
    }
}

/// What a watcher gets whom no rule means.
pub(crate) const fn watcher_rule(rule: config::WatcherRule) -> proxy::presence_settings::Decision {
    use proxy::presence_settings::Decision;
    match rule {
        config::WatcherRule::Allow => Decision::Allow,
        config::WatcherRule::Pending => Decision::Pending,
        config::WatcherRule::PoliteBlock => Decision::PoliteBlock,
        config::WatcherRule::Block => Decision::Block,
    }
}

fn offline(config: &config::Offline) -> proxy::settings::Offline {
    proxy::settings::Offline {
        store: config.store,
        ttl: config.ttl.0,
        attempts: config.attempts,
        user_messages: config.user_messages,
        user_octets: config.user_octets.0,
        sender_messages: config.sender_messages,
        sender_octets: config.sender_octets.0,
        messages: config.max_messages,
        octets: config.max_total.0,
        deliveries: count(config.deliveries),
    }
}

fn next_hop(route: &config::Route) -> proxy::settings::NextHop {
    proxy::settings::NextHop {
        domain: route.domain.to_ascii_lowercase(),
        next_hop: route.next_hop.clone(),
        edge: route.edge,
    }
}

fn switches(config: &Config) -> proxy::settings::Switches {
    let domains = config.domain.iter().filter_map(|domain| Some((domain.name.clone(), domain.adapt?)));
    let users = config
        .user
        .iter()
        .filter_map(|user| Some((aor(&user.aor)?.strip_prefix("sip:")?.to_owned(), user.adapt?)));
    let users: HashMap<String, bool> = users.collect();
    proxy::settings::Switches { enabled: config.adapt.enabled, domains: domains.collect(), users }
}

/// The address of record in its canonical form.
fn aor(text: &str) -> Option<String> {
    sip::Uri::parse(text.as_bytes()).ok().map(|uri| uri.aor())
}

fn domains(config: &Config) -> Vec<String> {
    config.domain.iter().map(|domain| domain.name.clone()).collect()
}

/// How links begin; `http` is where the listener is bound.
pub(super) fn public_url(config: &Config, http: SocketAddr) -> String {
    let url = config.http.public_url.clone().unwrap_or_else(|| format!("{}://{http}", http_scheme(config)));
    url.trim_end_matches('/').to_owned()
}

/// `http` is where the public listener is bound.
pub(super) fn content(config: &Config, http: SocketAddr) -> indirection::Options {
    let (ttl, standard) = (config.content.ttl.0, indirection::Options::default());
    indirection::Options {
        // A place that is none was refused when the config was read.
        place: config.content.store.parse().unwrap_or_default(),
        public_url: public_url(config, http),
        ttl,
        max_ttl: standard.max_ttl.max(ttl),
        quota_octets: config.content.max_total.0,
        content_octets: config.content.max_item.0,
        recipient_octets: config.content.max_recipient.0,
        sender_octets: config.content.max_sender.0,
        cache_memory: config.content.cache_memory.0,
        cache_disk: config.content.cache_disk.0,
        ..standard
    }
}

/// How links are opened.
pub(super) fn fetching(config: &Config, converters: &adapter::Converters) -> indirection::Fetching {
    let standard = indirection::Fetching::new(adapter(config, converters));
    let workers = if config.adapt.workers == 0 { standard.workers } else { workers(config) };
    indirection::Fetching {
        extensions: config.cpi.extensions.iter().collect(),
        profiles: profiles(config),
        workers,
        queue: bodies(config),
        wait: config.adapt.deadline.0,
        deadline: config.adapt.deadline.0,
        now: Arc::new(transport::now),
        ..standard
    }
}

pub(crate) fn store_folder(config: &Config) -> PathBuf {
    config.data_dir.join("store")
}

/// Where operators of this machine talk to the server.
pub(crate) fn console_socket(config: &Config) -> PathBuf {
    config.data_dir.join("admin.sock")
}

pub(super) fn content_folder(config: &Config) -> PathBuf {
    config.data_dir.join("content")
}

pub(super) fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Threads that SIP runs on. The other cores turn pixels, write to the disk and take packets from the network.
pub(super) fn sip_workers(config: &Config) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    match count(config.sip.workers) {
        0 => cores().div_ceil(2),
        workers => workers,
    }
}

/// Threads that adapt.
pub(super) fn workers(config: &Config) -> usize {
    count(config.adapt.workers)
}

/// Bodies that may wait for one of them.
pub(super) fn bodies(config: &Config) -> usize {
    count(config.overload.bodies)
}

/// Whether a key is in force only after a restart: what is bound, opened or sized at start.
pub(super) fn needs_restart(key: &str) -> bool {
    const AT_START: [&str; 13] = [
        "annc.",
        "data_dir",
        "sip.",
        "dns.",
        "http.",
        "admin.",
        "store.",
        "content.",
        "limits.",
        "presence.sending",
        "overload.",
        "adapt.workers",
        "media.",
    ];
    const AT_ONCE: [&str; 4] = ["limits.contact", "limits.cpi", "limits.path", "limits.users"];
    let is_at_once = AT_ONCE.iter().any(|start| key.starts_with(start));
    AT_START.iter().any(|start| key.starts_with(start)) && !is_at_once
}

/// The planner's settings with links as the server makes them, for the commands that have no server.
pub(crate) fn adapter_with_links(config: &Config, converters: &adapter::Converters) -> adapter::Settings {
    let mut settings = adapter(config, converters);
    if config.content.store != "off" {
        let url_octets = public_url(config, config.http.listen).len() + LINK_PATH;
        settings.links = Some(adapter::LinkShape { url_octets, adaptive: true });
    }
    settings
}

/// `/c/` and 128 bits in base64url.
const LINK_PATH: usize = 3 + 22;
