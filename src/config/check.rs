//! What TOML and types can't say: keys that contradict each other, and keys that ask for what this version
//! does not have.

use std::net::{IpAddr, SocketAddr};

use super::Problem;
use super::choices::AuthMode;
use super::keys::{Config, Tls};
use super::source::{Places, Source};
use super::values::{Listen, Period, Transport};

/// Seconds above which a registration is never "too brief" (RFC 3261 §10.3 step 7).
const LONGEST_MIN_EXPIRES: u32 = 3600;
/// More threads than any machine has cores is a slip of the pen.
const MOST_WORKERS: u32 = 1024;

/// Everything wrong with a config that could be read, in the order of the keys.
pub(super) fn problems(source: &Source) -> Vec<Problem> {
    let mut checks = Checks { config: &source.config, places: &source.places, problems: Vec::new() };
    checks.sockets();
    checks.certificates();
    checks.open_sockets();
    checks.web();
    checks.routing();
    checks.registrar();
    checks.terminals();
    checks.users();
    checks.presence();
    checks.numbers();
    checks.announcements();
    checks.not_in_this_version();
    checks.problems
}

struct Checks<'a> {
    config: &'a Config,
    places: &'a Places,
    problems: Vec<Problem>,
}

impl Checks<'_> {
    /// INTERFACE.md fixes this line: the place without a column, the key, these words.
    fn later(&mut self, path: &str, asked: &str) {
        let mut problem = self.places.problem(path, format!("{asked}not in this version"));
        problem.place = self.places.line(path).unwrap_or(problem.place);
        self.problems.push(problem);
    }

    fn wrong(&mut self, path: &str, what: impl Into<String>) {
        self.problems.push(self.places.problem(path, what));
    }

    /// Two listeners can't have one port, except a WebSocket that shares `http.listen` exactly.
    fn sockets(&mut self) {
        let listen = &self.config.sip.listen;
        if listen.is_empty() {
            self.wrong("sip.listen", "empty: name a socket, as in \"udp:127.0.0.1:5060\"");
        }
        let http = self.config.http.listen;
        for (at, entry) in listen.iter().enumerate() {
            let path = format!("sip.listen[{at}]");
            let twin = listen
                .iter()
                .take(at)
                .find(|other| is_stream(other) == is_stream(entry) && overlap(other.address, entry.address));
            if let Some(twin) = twin {
                self.wrong(&path, format!("{entry} takes the port of {twin}: give it another"));
            }
            let shares = matches!(entry.transport, Transport::Ws | Transport::Wss) && entry.address == http;
            if shares && entry.transport == Transport::Ws && self.config.http.tls {
                self.wrong(
                    &path,
                    format!("{entry} shares http.listen, which speaks TLS (http.tls): write wss"),
                );
            }
            if is_stream(entry) && !shares && overlap(entry.address, http) {
                self.wrong(&path, format!("{entry} overlaps http.listen {http}: make them equal (ws, wss) or give it another port"));
            }
            if is_stream(entry) && !shares && overlap(entry.address, self.config.admin.listen) {
                self.wrong(&path, format!("{entry} takes the port of admin.listen: give it another"));
            }
        }
        if overlap(http, self.config.admin.listen) {
            self.wrong("admin.listen", "takes the port of http.listen: give it another");
        }
    }

    /// What TLS needs is there, readable, and fits together.
    fn certificates(&mut self) {
        let tls = &self.config.tls;
        for (at, entry) in self.config.sip.listen.iter().enumerate() {
            let secure = matches!(entry.transport, Transport::Tls | Transport::Wss);
            if secure && tls.cert.is_none() {
                let what = format!("{entry} needs a certificate: set tls.cert and tls.key");
                self.wrong(&format!("sip.listen[{at}]"), what);
            }
        }
        if self.config.http.tls && tls.cert.is_none() {
            self.wrong("http.tls", "needs a certificate: set tls.cert and tls.key");
        }
        let admin = &self.config.admin;
        if admin.tls && tls.cert.is_none() {
            self.wrong("admin.tls", "needs a certificate: set tls.cert and tls.key");
        }
        if admin.client_ca.is_some() && !admin.tls {
            self.wrong("admin.client_ca", "set admin.tls: certificates are shown over TLS only");
        }
        if *tls == Tls::default() {
            return;
        }
        if let Err(wrong) = tls_files(self.config).check() {
            let key = match wrong.field {
                "operators_ca" => "admin.client_ca".to_owned(),
                field => format!("tls.{field}"),
            };
            self.wrong(&key, format!("{}: {}", wrong.path.display(), wrong.what));
        }
    }

    /// A socket the world can reach, with nobody asked who they are, must be meant.
    fn open_sockets(&mut self) {
        if self.config.auth.mode != AuthMode::None || self.config.auth.allow_open {
            return;
        }
        let advice = "is not loopback while auth.mode is \"none\": anyone may register as anyone; bind it to \
                      127.0.0.1, or set auth.allow_open = true if that is meant";
        for (at, entry) in self.config.sip.listen.iter().enumerate() {
            if !entry.address.ip().is_loopback() {
                self.wrong(&format!("sip.listen[{at}]"), format!("{entry} {advice}"));
            }
        }
        if !self.config.http.listen.ip().is_loopback() {
            self.wrong("http.listen", format!("{} {advice}", self.config.http.listen));
        }
    }

    fn web(&mut self) {
        let http = &self.config.http;
        match &http.public_url {
            None if !http.listen.ip().is_loopback() => {
                let advice = "required when http.listen is not loopback: links begin with it, as in \"https://content.example.com\"";
                self.wrong("http.public_url", advice);
            }
            Some(url) if !is_base_url(url) => {
                let advice =
                    "write http:// or https://, a host and perhaps a path, with no query and no blank";
                self.wrong("http.public_url", format!("`{url}` can't begin a link: {advice}"));
            }
            _ => {}
        }
        for (at, url) in self.config.adapt.offload.iter().enumerate().filter(|(_, url)| !is_base_url(url)) {
            let advice = "is no address of a server: write one as in \"http://10.0.0.7:8081\"";
            self.wrong(&format!("adapt.offload[{at}]"), format!("`{url}` {advice}"));
        }
        if self.config.adapt.offload_certificate && self.config.tls.cert.is_none() {
            self.wrong("adapt.offload_certificate", "needs a certificate: set tls.cert and tls.key");
        }
        let hosts = self.config.fetch.allow.iter().enumerate();
        for (at, entry) in hosts.filter(|(_, entry)| crate::app::host_of(entry).is_none()) {
            let advice = "is no host: write a name or an address, and a port if it is not the scheme's";
            self.wrong(&format!("fetch.allow[{at}]"), format!("`{entry}` {advice}"));
        }
        let place = self.config.content.store.as_str();
        if place != "off"
            && let Err(wrong) = place.parse::<indirection::Place>()
        {
            self.wrong("content.store", wrong.to_string());
        }
        let admin = &self.config.admin;
        if !admin.listen.ip().is_loopback() && admin.token_file.is_none() && admin.client_ca.is_none() {
            self.wrong(
                "admin.listen",
                "beyond loopback it needs admin.token_file, a file that holds a token, or admin.client_ca",
            );
        }
        // Nobody answers a WebSocket client anywhere but over its own connection.
        let dialled = |entry: &&Listen| !matches!(entry.transport, Transport::Ws | Transport::Wss);
        let mut dialled = self.config.sip.listen.iter().filter(dialled);
        let wild = dialled.any(|entry| entry.address.ip().is_unspecified());
        if wild && self.config.sip.host.is_none() {
            let advice = "required when a socket of sip.listen is bound to every address: others must know where to answer";
            self.wrong("sip.host", advice);
        }
    }

    fn routing(&mut self) {
        if self.config.domain.is_empty() {
            self.wrong("domain", "empty: name the domain this server is responsible for");
        }
        for algorithm in self.config.auth.algorithms.iter() {
            if !matches!(algorithm.as_str(), "SHA-256" | "MD5") {
                self.wrong("auth.algorithms", format!("`{algorithm}` is not known: SHA-256 and MD5 are"));
            }
        }
        if self.config.auth.algorithms.is_empty() {
            self.wrong("auth.algorithms", "empty: name one, as in [\"SHA-256\"]");
        }
        for (at, peer) in self.config.peer.iter().enumerate() {
            if peer.address.is_none() && peer.tls_name.is_none() {
                self.wrong(
                    &format!("peer[{at}]"),
                    "names nobody: give it an address, as in \"192.0.2.0/24\"",
                );
            }
            if peer.tls_name.is_some() && self.config.tls.client_ca.is_none() {
                self.wrong(
                    &format!("peer[{at}].tls_name"),
                    "set tls.client_ca: without it nobody is asked for a certificate",
                );
            }
        }
        for (at, route) in self.config.route.iter().enumerate() {
            if route.domain.is_empty() {
                self.wrong(&format!("route[{at}].domain"), "missing: which domain is it for?");
            }
            if !is_sip_uri(&route.next_hop) {
                let advice = "is no SIP URI: write one as in \"sip:192.0.2.7:5060;transport=tcp\"";
                self.wrong(&format!("route[{at}].next_hop"), format!("`{}` {advice}", route.next_hop));
            }
        }
    }

    fn registrar(&mut self) {
        let registrar = &self.config.registrar;
        let (min, default) = (registrar.min_expires, registrar.default_expires);
        if min > LONGEST_MIN_EXPIRES {
            self.wrong("registrar.min_expires", "above 3600, which RFC 3261 §10.3 forbids to refuse");
        }
        if registrar.max_expires > 0 && registrar.max_expires < min {
            let what = format!("below registrar.min_expires, which is {min}; 0 is no limit");
            self.wrong("registrar.max_expires", what);
        }
        if default < min {
            self.wrong("registrar.default_expires", format!("below registrar.min_expires, which is {min}"));
        }
    }

    fn presence(&mut self) {
        let presence = &self.config.presence;
        let min = presence.min_expires;
        if presence.max_expires < min {
            let what = format!("below presence.min_expires, which is {min}");
            self.wrong("presence.max_expires", what);
        }
        for (at, list) in self.config.list.iter().enumerate() {
            let path = |key: &str| format!("list[{at}].{key}");
            let uri = address_of_record(&list.uri);
            match &uri {
                None if list.uri.is_empty() => {
                    self.wrong(&path("uri"), "missing: what is subscribed to? As in \"friends@example.com\"");
                }
                None => self.wrong(&path("uri"), no_address(&list.uri)),
                Some(uri) if !self.is_of_ours(uri) => {
                    let what = format!("`{}` is in no domain of `domain`: nobody would ask here", list.uri);
                    self.wrong(&path("uri"), what);
                }
                Some(_) => {}
            }
            let others = self.config.list.iter().take(at);
            if uri.is_some() && others.into_iter().any(|other| address_of_record(&other.uri) == uri) {
                self.wrong(&path("uri"), "stands there twice");
            }
            if let Some(owner) = list.owner.as_ref().filter(|owner| address_of_record(owner).is_none()) {
                self.wrong(&path("owner"), no_address(owner));
            }
            for member in list.members.iter().filter(|member| address_of_record(member).is_none()) {
                self.wrong(&path("members"), no_address(member));
            }
            let most = proxy::Presence::MOST_MEMBERS;
            if list.members.len() > most {
                self.wrong(&path("members"), format!("{} members: {most} at most", list.members.len()));
            }
        }
    }

    fn is_of_ours(&self, aor: &str) -> bool {
        let host = aor.rsplit('@').next().unwrap_or_default();
        self.config.domain.iter().any(|domain| domain.name.eq_ignore_ascii_case(host))
    }

    fn terminals(&mut self) {
        for (at, device) in self.config.device.iter().enumerate() {
            if device.user_agent.is_empty() {
                self.wrong(&format!("device[{at}].user_agent"), "missing: which terminals is it for?");
            }
        }
        for name in self.config.cpi.extensions.iter() {
            if !grammar::is_token(name.as_bytes()) {
                self.wrong("cpi.extensions", format!("`{name}` is no parameter name"));
            }
        }
    }

    fn users(&mut self) {
        for (at, user) in self.config.user.iter().enumerate() {
            if !is_sip_uri(&user.aor) || !user.aor.contains('@') {
                let advice = "is no address of record: write one as in \"sip:alice@example.com\"";
                self.wrong(&format!("user[{at}].aor"), format!("`{}` {advice}", user.aor));
            }
            if self.config.user.iter().take(at).any(|other| other.aor == user.aor) {
                self.wrong(&format!("user[{at}].aor"), "stands there twice");
            }
        }
    }

    fn numbers(&mut self) {
        let limits = &self.config.limits;
        let counts = [
            ("limits.lines", u64::from(limits.lines)),
            ("limits.vias", u64::from(limits.vias)),
            ("limits.params", u64::from(limits.params)),
            ("limits.head", limits.head.0),
            ("limits.line", limits.line.0),
            ("limits.buffered", limits.buffered.0),
            ("limits.connections", u64::from(limits.connections)),
            ("limits.connections_per_source", u64::from(limits.connections_per_source)),
            ("limits.contacts", u64::from(limits.contacts)),
            ("limits.contact", limits.contact.0),
            ("limits.contact_uri", limits.contact_uri.0),
            ("limits.contact_params", u64::from(limits.contact_params)),
            ("limits.users", u64::from(limits.users)),
            ("auth.nonces", u64::from(self.config.auth.nonces)),
            ("auth.ban_table", u64::from(self.config.auth.ban_table)),
            ("overload.transactions", u64::from(self.config.overload.transactions)),
            ("overload.requests", u64::from(self.config.overload.requests)),
            ("offline.attempts", u64::from(self.config.offline.attempts)),
            ("offline.deliveries", u64::from(self.config.offline.deliveries)),
        ];
        for (path, count) in counts {
            if count == 0 {
                self.wrong(path, "0 would let nothing through");
            }
        }
        let times = [
            ("limits.head_deadline", limits.head_deadline),
            ("limits.idle", limits.idle),
            ("sip.ping", self.config.sip.ping),
            ("adapt.deadline", self.config.adapt.deadline),
            ("dns.timeout", self.config.dns.timeout),
            ("fork.next_after", self.config.fork.next_after),
            ("fetch.timeout", self.config.fetch.timeout),
            ("content.ttl", self.config.content.ttl),
            ("overload.delay", self.config.overload.delay),
            ("offline.ttl", self.config.offline.ttl),
            ("auth.nonce_lifetime", self.config.auth.nonce_lifetime),
            ("auth.ban", self.config.auth.ban),
        ];
        for (path, time) in times {
            if time == Period::seconds(0) {
                self.wrong(path, "0 would let nothing through");
            }
        }
        if self.config.sip.workers > MOST_WORKERS {
            self.wrong("sip.workers", format!("more than {MOST_WORKERS}: 0 is one for every two cores"));
        }
        if self.config.adapt.workers > MOST_WORKERS {
            self.wrong("adapt.workers", format!("more than {MOST_WORKERS}: 0 is one for each core"));
        }
    }

    /// What the announcement service would not start with.
    fn announcements(&mut self) {
        if let Err((key, what)) = crate::app::announce::check(&self.config.annc) {
            self.wrong(&format!("annc.{key}"), what);
        }
    }

    /// INTERFACE: these keys parse from the first version on; what is not built is refused by name.
    fn not_in_this_version(&mut self) {
        let config = self.config;
        let asked = [
            ("store.url", config.store.url != "embedded"),
            ("lemonade.imap", config.lemonade.imap.is_some()),
            ("lemonade.smtp", config.lemonade.smtp.is_some()),
        ];
        for (path, _) in asked.into_iter().filter(|(_, asked)| *asked) {
            self.later(path, "");
        }
    }
}

/// As the transport reads them.
pub(crate) fn tls_files(config: &Config) -> transport::TlsFiles {
    let tls = &config.tls;
    transport::TlsFiles {
        operators_ca: config.admin.client_ca.clone(),
        cert: tls.cert.clone(),
        key: tls.key.clone(),
        ca: tls.ca.clone(),
        client_ca: tls.client_ca.clone(),
    }
}

fn is_stream(listen: &Listen) -> bool {
    listen.transport != Transport::Udp
}

/// Whether both can't be bound; port 0 is whatever is free.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let anywhere = |ip: IpAddr| ip.is_unspecified();
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip() || anywhere(one.ip()) || anywhere(other.ip()))
}

fn is_sip_uri(text: &str) -> bool {
    sip::Uri::parse(text.as_bytes()).is_ok_and(|uri| uri.is_sip())
}

fn is_base_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        let plain =
            |b: u8| b.is_ascii_graphic() && !matches!(b, b'?' | b'#' | b'"' | b'\\' | b'<' | b'>' | b'@');
        !host.is_empty() && rest.bytes().all(plain)
    })
}

/// The canonical form of an address of record, which may be written without its scheme.
fn address_of_record(text: &str) -> Option<String> {
    let text = if text.contains(':') { text.to_owned() } else { format!("sip:{text}") };
    let uri = text.parse::<sip::Uri>().ok()?;
    uri.user().is_some().then(|| uri.aor())
}

fn no_address(text: &str) -> String {
    format!("`{text}` is no address of record: write one as in \"alice@example.com\"")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn said(text: &str) -> Vec<String> {
        let source = super::super::source::parse(Path::new("b.toml"), text, &[]).unwrap();
        problems(&source).iter().map(Problem::to_string).collect()
    }

    #[test]
    fn what_this_version_lacks_is_refused_by_name_at_its_line() {
        let asks = [
            ("[store]\nurl = \"redis://127.0.0.1:6379/0\"", "b.toml:2: store.url: not in this version"),
            ("[lemonade]\nimap = \"imap://a\"", "b.toml:2: lemonade.imap: not in this version"),
        ];
        for (text, expected) in asks {
            assert_eq!(said(text), [expected], "{text}");
        }
    }

    #[test]
    fn a_list_that_nobody_could_watch_is_refused_with_what_is_wrong() {
        let list = |keys: &str| said(&format!("domain = [\"example.com\"]\n[[list]]\n{keys}"));
        let good =
            "uri = \"friends@example.com\"\nowner = \"sip:a@example.com\"\nmembers = [\"b@other.example\"]";
        assert_eq!(list(good), [""; 0]);
        for (keys, expected) in [
            ("members = [\"a@example.com\"]", "list[0].uri: missing: what is subscribed to?"),
            ("uri = \"friends\"", "list[0].uri: `friends` is no address of record"),
            ("uri = \"a@other.example\"", "list[0].uri: `a@other.example` is in no domain of `domain`"),
            ("uri = \"a@example.com\"\nowner = \"\"", "list[0].owner: `` is no address of record"),
            ("uri = \"a@example.com\"\nmembers = [\"b\", \"c@d\"]", "list[0].members: `b` is no address"),
        ] {
            let said = list(keys);
            assert!(said.len() == 1 && said[0].contains(expected), "{keys}: {said:?}");
        }
        let twice = list("uri = \"a@example.com\"\n[[list]]\nuri = \"sip:a@Example.com\"");
        assert!(twice[0].contains("list[1].uri: stands there twice"), "{twice:?}");
        let many = format!("uri = \"a@example.com\"\nmembers = [{}]", "\"b@c\", ".repeat(101));
        assert!(list(&many)[0].contains("list[0].members: 101 members: 100 at most"));
        assert!(
            said("[presence]\nmin_expires = 70\nmax_expires = 60")[0].contains("below presence.min_expires")
        );
    }

    #[test]
    fn an_open_socket_without_authentication_is_refused_unless_it_is_meant() {
        let open = "[sip]\nhost = \"a.example\"\nlisten = [\"udp:0.0.0.0:5060\"]\n";
        assert!(said(open)[0].starts_with("b.toml:3:11: sip.listen[0]: udp:0.0.0.0:5060 is not loopback"));
        assert_eq!(said(&format!("{open}[auth]\nallow_open = true")), [""; 0]);
        assert!(
            said("[http]\nlisten = \"192.0.2.1:80\"\npublic_url = \"https://a\"")[0]
                .contains("is not loopback")
        );
    }

    #[test]
    fn listeners_share_a_port_only_as_equal_websocket_entries() {
        let tcp = "[sip]\nlisten = [\"tcp:127.0.0.1:8080\"]";
        assert!(said(tcp)[0].contains("overlaps http.listen"));
        let twice = "[sip]\nlisten = [\"udp:127.0.0.1:5060\", \"udp:127.0.0.1:5060\"]";
        assert!(said(twice)[0].contains("takes the port of udp:127.0.0.1:5060"));
        let shared = "[sip]\nlisten = [\"ws:127.0.0.1:8080\"]";
        assert_eq!(said(shared), [""; 0]);
        let overlapping = "[sip]\nhost = \"a\"\nlisten = [\"ws:0.0.0.0:8080\"]\n[auth]\nallow_open = true";
        assert!(said(overlapping)[0].contains("overlaps http.listen"));
        assert!(said("[admin]\nlisten = \"127.0.0.1:8080\"")[0].contains("takes the port of http.listen"));
        assert_eq!(said("[http]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\""), [""; 0]);
    }

    #[test]
    fn tls_needs_a_certificate_and_a_key_that_can_be_read() {
        let tls = "[sip]\nlisten = [\"tls:127.0.0.1:5061\", \"wss:127.0.0.1:8443\"]\n";
        let needs = "needs a certificate: set tls.cert and tls.key";
        assert_eq!(
            said(tls),
            [
                format!("b.toml:2:11: sip.listen[0]: tls:127.0.0.1:5061 {needs}"),
                format!("b.toml:2:33: sip.listen[1]: wss:127.0.0.1:8443 {needs}"),
            ]
        );
        let half = said("[tls]\ncert = \"a.pem\"");
        assert_eq!(half, ["b.toml:2:1: tls.cert: a.pem: has no key: name its file too"]);
        let nowhere = said("[tls]\nca = \"/nowhere/ca.pem\"");
        assert!(nowhere[0].starts_with("b.toml:2:1: tls.ca: /nowhere/ca.pem: "), "{nowhere:?}");
    }

    #[test]
    fn the_default_websocket_follows_the_http_listener() {
        let open =
            "[auth]\nallow_open = true\n[http]\nlisten = \"192.0.2.1:80\"\npublic_url = \"http://a\"\n";
        assert_eq!(said(open), [""; 0]);
        assert_eq!(said(&format!("{open}[sip]\nlisten = [\"udp:192.0.2.1:5060\"]")), [""; 0]);
    }

    #[test]
    fn beyond_loopback_links_need_a_public_url_and_operators_a_token() {
        let http = "[auth]\nallow_open = true\n[http]\nlisten = \"192.0.2.1:80\"";
        assert!(said(http)[0].contains("http.public_url: required"));
        assert!(said("[admin]\nlisten = \"192.0.2.1:81\"")[0].contains("needs admin.token_file"));
        assert!(said("[http]\npublic_url = \"content.example.com\"")[0].contains("can't begin a link"));
    }

    #[test]
    fn expiries_and_counts_must_leave_something_possible() {
        assert!(said("[registrar]\nmin_expires = 3601")[0].contains("above 3600"));
        assert!(said("[registrar]\ndefault_expires = 10")[0].contains("below registrar.min_expires"));
        assert!(said("[registrar]\nmax_expires = 10")[0].contains("below registrar.min_expires"));
        assert!(said("[limits]\nlines = 0")[0].contains("limits.lines: 0 would let nothing through"));
        assert!(said("[adapt]\nworkers = 5000")[0].contains("more than 1024"));
        assert!(said("[sip]\nworkers = 5000")[0].contains("more than 1024"));
    }

    #[test]
    fn peers_routes_users_and_devices_must_name_whom_they_are_for() {
        assert!(said("[[peer]]")[0].contains("names nobody"));
        assert!(said("[[peer]]\ntls_name = \"a\"")[0].contains("set tls.client_ca"));
        assert!(said("[[route]]\ndomain = \"a\"\nnext_hop = \"edge\"")[0].contains("is no SIP URI"));
        assert!(said("[[user]]\naor = \"alice\"")[0].contains("is no address of record"));
        assert!(said("[[device]]\naccept = \"image/gif\"")[0].contains("device[0].user_agent: missing"));
        assert!(said("domain = []")[0].contains("domain: empty"));
    }
}
