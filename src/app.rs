//! Builds the server out of a config and its rooms, runs it, and lets it end in order.
//!
//! What must be there before the first message is built first: store, registrar, content, sockets. Then the
//! tasks start, and only then is the server ready.

pub(crate) mod announce;
mod certificates;
mod console;
mod fetcher;
mod links;
pub(crate) mod log;
mod measure;
pub(crate) mod media;
mod offload;
pub(crate) mod settings;
pub(crate) mod signals;
mod web;
mod workers;

use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusHandle;
use proxy::{Offline, Pool, Presence, Proxy, RouteKey};
use registrar::{GruuKey, Registrar};
use store::Store;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport::{Audience, Endpoint, Protocol};

use crate::admin::{self, Admin, Desk, Health};
use crate::config::{self, Config};
pub(crate) use fetcher::host as host_of;
pub(crate) use web::{Certified, problem};
use web::{Door, Web};
use workers::Workers;

/// How often what has expired is cleared away.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How often what was measured is summed up; until then every single value takes memory.
const SUM_UP_EVERY: Duration = Duration::from_secs(5);
/// How long HTTP requests in progress may take once the server ends.
const WEB_DRAIN: Duration = Duration::from_secs(3);

/// A server that takes traffic.
pub(crate) struct Running {
    config: Config,
    converters: adapter::Converters,
    endpoint: Endpoint,
    proxy: Arc<Proxy>,
    registrar: Arc<Registrar>,
    offline: Arc<Offline>,
    annc: Option<annc::Annc>,
    desk: Desk,
    health: Health,
    http: SocketAddr,
    admin: SocketAddr,
    certificates: certificates::Watch,
    stop: CancellationToken,
    tasks: TaskTracker,
    /// They end with the server.
    _workers: Workers,
}

/// The runtime of all but SIP, which has threads of its own.
pub(crate) fn runtime() -> Result<Runtime, StartError> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(StartError::Runtime)
}

/// Opens and starts everything. When this returns, all sockets are bound and served.
pub(crate) async fn start(config: Config) -> Result<Running, StartError> {
    let metrics = measure::recorder();
    let store = open_store(&config)?;
    let gruu_key = GruuKey::new(kept_key(&store, b"gruu-key").await?);
    let auth_key = kept_key(&store, b"auth-key").await?;
    let registrar = Registrar::open(&store, settings::registrar(&config));
    let registrar = Arc::new(registrar.with_gruu_key(gruu_key).with_auth_key(auth_key));
    let key = RouteKey::new(kept_key(&store, b"route-key").await?);
    let offline = Arc::new(Offline::open(&store));
    let pool =
        Pool::new(settings::workers(&config), settings::bodies(&config)).map_err(StartError::Threads)?;
    let pool = Arc::new(pool);
    let public = bind("http.listen", config.http.listen).await?;
    let operators = bind("admin.listen", config.admin.listen).await?;
    let media = media_of(&config).await;
    let ffmpeg = media.as_ref().and_then(media::Media::ffmpeg);
    let converters = media.map(media::Media::converters).unwrap_or_default();
    let contents = links::open(&config, &converters, public.address()).await?;
    let workers = Workers::start(settings::sip_workers(&config)).map_err(StartError::Threads)?;
    let sockets =
        transport::Config { workers: workers.handles(), ..settings::transport(&config, public.address()) };
    let bound = Endpoint::bind(sockets).await?;
    let proxy = Arc::new(Proxy::new(
        settings::proxy(&config, &converters),
        settings::profiles(&config),
        key,
        bound.endpoint(),
        Arc::clone(&registrar),
        contents.links(),
        pool,
        Arc::clone(&offline),
    ));
    let annc = announce::start(&config, ffmpeg)?;
    if let Some(annc) = &annc {
        proxy.announce(annc.clone());
    }
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let presence = Presence::open(&store, &settings::presence(&config), settings::extensions(&config));
    let presence = Arc::new(presence);
    proxy.serve_presence(Arc::clone(&presence), &stop);
    let handler: Arc<Proxy> = Arc::clone(&proxy);
    let endpoint = bound.serve(handler);

    let health = Health::new(store);
    let (http, admin) = (public.address(), operators.address());
    let secure = settings::is_http_secure(&config).then(|| endpoint.clone());
    let public = public.with_door(door(&config, &endpoint)).with_tls(secure, Audience::Public);
    let operators = operators.with_tls(config.admin.tls.then(|| endpoint.clone()), Audience::Operators);
    let certificates = certificates::Watch::begin(endpoint.clone(), config::tls_files(&config));
    public.serve(contents.router().merge(admin::health(health.clone())), stop.clone(), &tasks);
    let desk = Desk::new(Arc::clone(&registrar), settings::algorithms(&config.auth));
    let mut running = Running {
        config,
        converters,
        endpoint,
        proxy,
        registrar,
        offline,
        annc,
        desk,
        health,
        http,
        admin,
        certificates,
        stop,
        tasks,
        _workers: workers,
    };
    let recorded = metrics.clone();
    let page = Admin {
        metrics,
        health: running.health.clone(),
        token: token(&running.config)?,
        asks_for_certificate: running.config.admin.client_ca.is_some(),
        facts: Arc::new(running.facts()),
        offline: Arc::clone(&running.offline),
        open: !running.config.log.redact,
        registrar: Arc::clone(&running.registrar),
        desk: running.desk.clone(),
        contents: contents.store(),
        presence,
        watcher_rule: settings::watcher_rule(running.config.presence.default),
    };
    console::serve(&running.config, admin::console(page.clone()), running.stop.clone(), &running.tasks);
    operators.serve(admin::router(page, contents.adapting()), running.stop.clone(), &running.tasks);
    running.sweep(contents);
    running.sum_up(recorded);
    running.look_for_users();
    Ok(running)
}

/// What turns sound and video. Asks ffmpeg what it is, which takes it some tenths of a second.
async fn media_of(config: &Config) -> Option<media::Media> {
    let config = config.clone();
    let found = tokio::task::spawn_blocking(move || media::Media::find(&config));
    // It does not panic; without it there are no converters.
    found.await.ok()
}

impl Running {
    /// Where SIP is taken over TCP, if anywhere.
    pub(crate) fn sip_tcp(&self) -> Option<SocketAddr> {
        let mut sockets = self.endpoint.local_addrs().into_iter();
        sockets.find(|(protocol, _)| *protocol == Protocol::Tcp).map(|(_, address)| address)
    }

    /// What an operator reads at start: one socket a line, the page to open, what to try.
    pub(crate) fn greeting(&self) -> Vec<String> {
        let domains: Vec<&str> = self.config.domain.iter().map(|domain| domain.name.as_str()).collect();
        let mut lines = vec![format!("bespoke {} for {}", env!("CARGO_PKG_VERSION"), domains.join(", "))];
        for (protocol, address) in self.endpoint.local_addrs() {
            lines.push(format!("listening on {}:{address}", protocol.name()));
        }
        let scheme = settings::http_scheme(&self.config);
        lines.push(format!("listening on {scheme}://{} (links)", self.http));
        let operators = if self.config.admin.tls { "https" } else { "http" };
        lines.push(format!("listening on {operators}://{} (operators)", self.admin));
        lines.push(format!("state in {}", self.config.data_dir.display()));
        lines.push(format!("open {operators}://{}/ in a browser", self.admin));
        lines
            .push("try `bespoke demo`, which sends a photo to two phones and shows what each got".to_owned());
        lines
    }

    /// Takes over what can change while the server runs, and says what can't.
    pub(crate) fn reload(&mut self, new: Config, log: &log::LogControl) {
        let changed = config::differences(&self.config, &new);
        self.reload_certificates(&new);
        if changed.is_empty() {
            tracing::info!("config read again, nothing changed");
            return;
        }
        log.set(new.log.level);
        self.registrar.reconfigure(settings::registrar(&new));
        self.desk.reconfigure(settings::algorithms(&new.auth));
        self.proxy.reconfigure(settings::proxy(&new, &self.converters), settings::profiles(&new));
        let (later, now): (Vec<String>, Vec<String>) =
            changed.into_iter().partition(|key| settings::needs_restart(key));
        tracing::info!(keys = %now.join(" "), "config read again, in force from now on");
        if !later.is_empty() {
            tracing::warn!(keys = %later.join(" "), "these keys are in force after a restart only");
        }
        self.config = new;
    }

    /// The files may have changed where their names did not.
    fn reload_certificates(&mut self, new: &Config) {
        let (before, files) = (config::tls_files(&self.config), config::tls_files(new));
        if files == transport::TlsFiles::default() && before == files {
            return;
        }
        certificates::reload(&self.endpoint, &files);
        if before != files {
            self.certificates = certificates::Watch::begin(self.endpoint.clone(), files);
        }
    }

    /// Ends in order: no new traffic, what was begun is finished, then the store is closed.
    pub(crate) async fn drain(self, patience: Duration) {
        self.health.drain();
        if let Some(annc) = &self.annc {
            annc.hang_up();
        }
        let left = self.endpoint.drain(patience).await;
        self.stop.cancel();
        self.tasks.close();
        let web = tokio::time::timeout(WEB_DRAIN, self.tasks.wait()).await;
        if left > 0 || web.is_err() {
            tracing::warn!(requests = left, "ended with requests that got no answer");
        }
    }

    /// A server that asks for passwords and knows none lets nobody in.
    fn look_for_users(&self) {
        if self.registrar.is_guarded() && self.registrar.users().is_empty() {
            tracing::warn!(
                "auth.mode is \"digest\" and no user has a password: add one with `bespoke user add USER@DOMAIN`"
            );
        }
    }

    /// What the operators' page shows.
    fn facts(&self) -> Vec<(String, String)> {
        let config = &self.config;
        let domains: Vec<&str> = config.domain.iter().map(|domain| domain.name.as_str()).collect();
        let sockets: Vec<String> = self
            .endpoint
            .local_addrs()
            .into_iter()
            .map(|(protocol, address)| format!("{}:{address}", protocol.name()))
            .collect();
        let adaptation = if config.adapt.enabled { "on" } else { "off: a plain proxy" };
        [
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("domains", domains.join(", ")),
            ("SIP", sockets.join(", ")),
            ("links", settings::public_url(config, self.http)),
            ("adaptation", adaptation.to_owned()),
            ("state", config.data_dir.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Clears away what has expired, now and then, until the server ends.
    fn sweep(&mut self, contents: links::Contents) {
        let (registrar, stop) = (Arc::clone(&self.registrar), self.stop.clone());
        let offline = Arc::clone(&self.offline);
        let annc = self.annc.clone();
        self.tasks.spawn(async move {
            let mut due = tokio::time::interval(SWEEP_EVERY);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = due.tick() => {}
                }
                let swept = registrar.sweep(transport::now()).await;
                let links = contents.sweep().await;
                let messages = offline.sweep(transport::now()).await;
                if let Some(annc) = &annc {
                    annc.sweep().await;
                }
                measure::state(registrar.len(), registrar.distinct_cpis());
                if swept != registrar::Swept::default() || links > 0 || messages > 0 {
                    tracing::debug!(?swept, links, messages, "cleared away what had expired");
                }
            }
        });
    }

    /// Sums up what was measured, until the server ends.
    fn sum_up(&mut self, recorded: Option<PrometheusHandle>) {
        let (Some(recorded), stop) = (recorded, self.stop.clone()) else { return };
        self.tasks.spawn(async move {
            let mut due = tokio::time::interval(SUM_UP_EVERY);
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    _ = due.tick() => recorded.run_upkeep(),
                }
            }
        });
    }
}

/// Opens the store below `data_dir`, which holds what passwords are proven with: nobody else may read it.
pub(crate) fn open_store(config: &Config) -> Result<Store, StartError> {
    make_private(&config.data_dir)
        .map_err(|source| StartError::DataDir { path: config.data_dir.clone(), source })?;
    let folder = settings::store_folder(config);
    make_private(&folder).map_err(|source| StartError::DataDir { path: folder.clone(), source })?;
    let options = store::Options {
        on_disk: vec![Offline::on_disk(), Presence::on_disk()],
        ..store::Options::default()
    };
    Ok(Store::open(folder, options)?)
}

/// Makes a folder for its owner alone; one that exists stays as the operator made it.
fn make_private(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// A key of ours: the same over restarts, so that dialogs go on and what was given out under it holds.
async fn kept_key(store: &Store, name: &[u8]) -> Result<[u8; 32], StartError> {
    let space = store.space("server");
    if let Some(kept) = space.get(name).and_then(|record| <[u8; 32]>::try_from(&*record.value).ok()) {
        return Ok(kept);
    }
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(StartError::Random)?;
    let expected = space.get(name).map(|record| record.version);
    space.swap(name, expected, Some(Bytes::copy_from_slice(&fresh))).await?;
    Ok(fresh)
}

/// The way from the public HTTP listener to SIP, where an entry of `sip.listen` shares it.
fn door(config: &Config, endpoint: &Endpoint) -> Option<Door> {
    let protocol = settings::shared(config)?;
    Some(Door { endpoint: endpoint.clone(), protocol, origins: config.sip.origins.to_vec().into() })
}

async fn bind(key: &'static str, address: SocketAddr) -> Result<Web, StartError> {
    Web::bind(address).await.map_err(|source| StartError::Web { key, address, source })
}

/// The first line of `admin.token_file`.
fn token(config: &Config) -> Result<Option<Arc<str>>, StartError> {
    let Some(path) = &config.admin.token_file else { return Ok(None) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| StartError::Token { path: path.clone(), what: error.to_string() })?;
    match text.lines().next().map(str::trim).filter(|token| !token.is_empty()) {
        Some(token) => Ok(Some(token.into())),
        None => Err(StartError::Token { path: path.clone(), what: "its first line is empty".to_owned() }),
    }
}

/// Why the server did not start; each says what to do.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    /// The runtime did not start.
    #[error("the runtime did not start: {0}")]
    Runtime(std::io::Error),
    /// Signals can't be taken.
    #[error("signals can't be listened to: {0}")]
    Signals(std::io::Error),
    /// No threads for SIP or for adaptation.
    #[error("not enough threads: {0}; lower sip.workers and adapt.workers or raise the limit on processes")]
    Threads(std::io::Error),
    /// `data_dir` can't be made.
    #[error("data_dir {}: {source}; make it, or choose another with --set data_dir=PATH", path.display())]
    DataDir {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The store did not open.
    #[error(transparent)]
    Store(#[from] store::OpenError),
    /// The store does not write.
    #[error("the store takes no writes: {0}; is there room on the disk of data_dir?")]
    Write(#[from] store::SwapError),
    /// The content store did not open.
    #[error(transparent)]
    Content(#[from] indirection::OpenError),
    /// The announcement service did not start.
    #[error(transparent)]
    Annc(#[from] announce::AnncError),
    /// No randomness.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// A SIP socket did not open.
    #[error("sip.listen {0}; is another server running, or is the port below 1024?")]
    Sip(#[from] transport::BindError),
    /// An HTTP socket did not open.
    #[error("{key} {address}: {source}; is another server running, or is the port below 1024?")]
    Web {
        /// Which key.
        key: &'static str,
        /// Its value.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The token of the operators can't be read.
    #[error("admin.token_file {}: {what}", path.display())]
    Token {
        /// Which file.
        path: PathBuf,
        /// Why.
        what: String,
    },
}
