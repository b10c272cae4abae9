//! The DNS itself, through hickory-resolver: it keeps what it found for as long as the records say, and follows
//! at most eight CNAMEs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ProtocolConfig, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{TokioResolver, system_conf};

use super::{Family, Lookup, LookupError, Naptr, Resolve, Srv};

/// The longest that records are kept, whatever they say: addresses move, and operators wait.
const LONGEST: Duration = Duration::from_secs(3600);

/// The longest and the shortest that is kept what is not there (RFC 2308 §5, which would allow hours).
const LONGEST_NOTHING: Duration = Duration::from_secs(300);
const SHORTEST_NOTHING: Duration = Duration::from_secs(5);

/// How the DNS is asked.
#[derive(Clone, Debug)]
pub struct DnsOptions {
    /// The name servers; none: those of `/etc/resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// What a name server may take, after which it is asked once more.
    pub timeout: Duration,
    /// Answers kept, in number.
    pub cache: u64,
}

impl Default for DnsOptions {
    fn default() -> Self {
        Self { servers: Vec::new(), timeout: Duration::from_millis(1250), cache: 4096 }
    }
}

/// Why the DNS can't be asked.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// `/etc/resolv.conf` can't be read, or names no server.
    #[error("no name servers: {0}")]
    NoServers(String),
}

/// Asks name servers, after the hosts file. Both this file and `/etc/resolv.conf` are read once, at the start.
pub struct DnsResolver(TokioResolver);

impl DnsResolver {
    /// A resolver for these servers, or those of the system.
    ///
    /// # Errors
    /// The system's set-up can't be read or names no server.
    pub fn new(options: &DnsOptions) -> Result<Self, DnsError> {
        let no_servers = |error: NetError| DnsError::NoServers(error.to_string());
        let (config, mut opts) = match options.servers.as_slice() {
            [] => system_conf::read_system_conf().map_err(no_servers)?,
            servers => {
                let servers = servers.iter().copied().map(name_server).collect();
                (ResolverConfig::from_parts(None, Vec::new(), servers), ResolverOpts::default())
            }
        };
        if config.name_servers().is_empty() {
            return Err(DnsError::NoServers("/etc/resolv.conf names none".to_owned()));
        }
        opts.timeout = options.timeout;
        opts.attempts = 1;
        opts.cache_size = options.cache;
        opts.positive_max_ttl = Some(LONGEST);
        opts.negative_min_ttl = Some(SHORTEST_NOTHING);
        opts.negative_max_ttl = Some(LONGEST_NOTHING);
        opts.try_tcp_on_error = true;
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = opts;
        Ok(Self(builder.build().map_err(no_servers)?))
    }

    /// The records of one kind. What can't be a name in the DNS is not there.
    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: impl Fn(&Record) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        let Ok(mut name) = Name::from_ascii(name) else { return Ok(Vec::new()) };
        // A single label may be a machine next door: that one alone is looked for in the system's search list.
        name.set_fqdn(name.num_labels() > 1);
        match self.0.lookup(name, kind).await {
            Ok(found) => Ok(found.answers().iter().filter_map(read).collect()),
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(NetError::Timeout) => Err(LookupError::TimedOut),
            Err(_) => Err(LookupError::Failed),
        }
    }
}

fn name_server(addr: SocketAddr) -> NameServerConfig {
    let connection = |protocol| {
        let mut connection = ConnectionConfig::new(protocol);
        connection.port = addr.port();
        connection
    };
    let connections = vec![connection(ProtocolConfig::Udp), connection(ProtocolConfig::Tcp)];
    // What it says is not there is not there: it was named to be asked.
    NameServerConfig::new(addr.ip(), true, connections)
}

impl Resolve for DnsResolver {
    fn naptr<'a>(&'a self, domain: &'a str) -> Lookup<'a, Naptr> {
        Box::pin(self.records(domain, RecordType::NAPTR, |record| match &record.data {
            RData::NAPTR(naptr) if naptr.regexp.is_empty() => Some(Naptr {
                order: naptr.order,
                preference: naptr.preference,
                flags: String::from_utf8_lossy(&naptr.flags).into_owned(),
                service: String::from_utf8_lossy(&naptr.services).into_owned(),
                replacement: written(&naptr.replacement),
            }),
            _ => None,
        }))
    }

    fn srv<'a>(&'a self, service: &'a str) -> Lookup<'a, Srv> {
        Box::pin(self.records(service, RecordType::SRV, |record| match &record.data {
            RData::SRV(srv) => Some(Srv {
                priority: srv.priority,
                weight: srv.weight,
                port: srv.port,
                target: written(&srv.target),
            }),
            _ => None,
        }))
    }

    fn addresses<'a>(&'a self, host: &'a str, family: Family) -> Lookup<'a, IpAddr> {
        let kind = match family {
            Family::V4 => RecordType::A,
            Family::V6 => RecordType::AAAA,
        };
        Box::pin(self.records(host, kind, |record| match &record.data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        }))
    }
}

/// A name as it is asked for: lower case, no dot at its end.
fn written(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    text.trim_end_matches('.').to_owned()
}

impl std::fmt::Debug for DnsResolver {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("DnsResolver").finish_non_exhaustive()
    }
}
