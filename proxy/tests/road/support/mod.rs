//! A proxy with its rooms on loopback sockets, and what user agents say to it.

pub(crate) mod ua;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use adapter::{Link, LinkShape};
use proxy::links::{Deposit, Links, NotStored, Storing};
use proxy::relay::Relay;
use proxy::{Offline, Pool, Proxy, RouteKey, Settings};
use registrar::digest::Algorithm;
use registrar::{Auth, Profiles, Registrar, UserName};
use store::Store;
use tempfile::TempDir;
use transport::{Config, Endpoint, Listen, Protocol, Resolve, TlsFiles};

pub(crate) mod password;

pub(crate) use password::{credentials, proven};
pub(crate) use ua::{Both, Listener, Tcp, Udp};

/// The domain all tests use, as the example messages do.
pub(crate) const DOMAIN: &str = "example.com";

/// A running proxy.
pub(crate) struct House {
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) offline: Arc<Offline>,
    pub(crate) proxy: Proxy,
    /// Where TLS is spoken, of [`House::secure`].
    pub(crate) tls: Option<SocketAddr>,
    _folder: TempDir,
}

impl House {
    /// With the default settings and a content store.
    pub(crate) async fn new() -> House {
        House::with(|_| {}).await
    }

    /// With other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> House {
        House::open(change, true, None, Config::default()).await
    }

    /// Where john, alice and ann must prove that their password is `secret`.
    pub(crate) async fn guarded(change: impl FnOnce(&mut Settings)) -> House {
        let auth = Auth { algorithms: Algorithm::ALL.to_vec(), max_failures: 5, ..Auth::default() };
        House::open(change, true, Some(auth), Config::default()).await
    }

    /// With nowhere to store content.
    pub(crate) async fn without_links() -> House {
        House::open(|_| {}, false, None, Config::default()).await
    }

    /// With names of its own, and peers on this machine who may send to any domain.
    pub(crate) async fn with_names(resolver: Arc<dyn Resolve>, change: impl FnOnce(&mut Settings)) -> House {
        let change = |settings: &mut Settings| {
            settings.relay = Relay::Trusted;
            settings.peers = vec!["127.0.0.0/8".parse().unwrap()];
            change(settings);
        };
        House::open(change, true, None, Config { resolver, ..Config::default() }).await
    }

    /// That speaks TLS too, with these files.
    pub(crate) async fn secure(tls: TlsFiles) -> House {
        let listen = vec![Listen { protocol: Protocol::Tls, addr: "127.0.0.1:0".parse().unwrap() }];
        House::open(|_| {}, true, None, Config { tls, listen, ..Config::default() }).await
    }

    async fn open(
        change: impl FnOnce(&mut Settings),
        linked: bool,
        auth: Option<Auth>,
        config: Config,
    ) -> House {
        let folder = tempfile::tempdir().unwrap();
        let options = store::Options { on_disk: vec![Offline::on_disk()], ..store::Options::default() };
        let store = Store::open(folder.path(), options).unwrap();
        let offline = Arc::new(Offline::open(&store));
        let options =
            registrar::Options { domains: vec![DOMAIN.to_owned()], auth, ..registrar::Options::default() };
        let registrar = Arc::new(Registrar::open(&store, options));
        for user in ["john", "alice", "ann"].into_iter().filter(|_| registrar.is_guarded()) {
            let name = UserName::parse(&format!("{user}@{DOMAIN}")).unwrap();
            let set = registrar.users().set(&name, b"secret", &Algorithm::ALL, SystemTime::now());
            assert!(set.await.unwrap());
        }
        let listen = [Protocol::Udp, Protocol::Tcp]
            .map(|protocol| Listen { protocol, addr: "127.0.0.1:0".parse().unwrap() });
        let listen = listen.into_iter().chain(config.listen).collect();
        let bound = Endpoint::bind(Config { listen, ..config }).await.unwrap();
        let [(_, udp), (_, tcp), ref further @ ..] = bound.local_addrs()[..] else { panic!("two sockets") };
        let tls = further.first().map(|(_, addr)| *addr);
        let mut settings = Settings::new(DOMAIN, "proxy.example.com");
        // What reached nobody is refused, unless the test is about what is kept.
        settings.offline.store = false;
        change(&mut settings);
        let shelf = Arc::new(Shelf::default());
        let links = linked.then(|| Arc::clone(&shelf) as Arc<dyn Links>);
        let pool = Arc::new(Pool::new(1, 4).unwrap());
        let key = RouteKey::generate().unwrap();
        let handler = Proxy::new(
            settings,
            Profiles::default(),
            key,
            bound.endpoint(),
            registrar,
            links,
            Arc::clone(&pool),
            Arc::clone(&offline),
        );
        bound.serve(Arc::new(handler.clone()));
        House { udp, tcp, shelf, pool, offline, proxy: handler, tls, _folder: folder }
    }

    /// A user agent over UDP.
    pub(crate) async fn phone(&self) -> Udp {
        Udp::new(self.udp).await
    }

    /// A user agent over UDP that registered as this user, `fields` in its REGISTER.
    pub(crate) async fn registered(&self, user: &str, fields: &str) -> Udp {
        let phone = self.phone().await;
        let contact = format!("<sip:{user}@{}>", phone.addr);
        let request = register(phone.addr, user, &contact, fields);
        let mut answer = phone.ask(&request).await;
        if answer.status() == 401 {
            answer = phone.ask(proven(&request, &answer, user, "secret")).await;
        }
        assert_eq!(answer.status(), 200, "{answer:#?}");
        phone
    }

    /// As [`House::registered`], and it takes connections at its contact too.
    pub(crate) async fn registered_for_both(&self, user: &str, fields: &str) -> Both {
        Both::of(self.registered(user, fields).await).await
    }
}

/// Content that was stored, kept in memory.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) deposits: Mutex<Vec<Deposit>>,
    /// URLs of those that came into no message.
    pub(crate) discarded: Mutex<Vec<String>>,
    /// Nothing it is given is ever stored.
    pub(crate) stuck: AtomicBool,
}

impl Links for Shelf {
    fn shape(&self) -> LinkShape {
        LinkShape { url_octets: 60, adaptive: true }
    }

    fn store(&self, deposit: Deposit) -> Storing<'_> {
        Box::pin(async move {
            if self.stuck.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let mut deposits = self.deposits.lock().map_err(|_| NotStored::Full)?;
            let url = format!("https://content.example.com/c/token{}", deposits.len());
            let expires = SystemTime::now() + Duration::from_secs(7 * 24 * 3600);
            let link = Link { id: deposit.request.id, url, expires };
            deposits.push(deposit);
            Ok(link)
        })
    }

    fn discard(&self, url: &str) {
        self.discarded.lock().unwrap().push(url.to_owned());
    }
}

/// A number that no other message of this run has.
pub(crate) fn fresh() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A REGISTER from `from`.
pub(crate) fn register(from: SocketAddr, user: &str, contact: &str, fields: &str) -> String {
    register_over("UDP", from, user, contact, fields)
}

/// A REGISTER over that transport.
pub(crate) fn register_over(
    transport: &str,
    from: SocketAddr,
    user: &str,
    contact: &str,
    fields: &str,
) -> String {
    let number = fresh();
    format!(
        "REGISTER sip:{DOMAIN} SIP/2.0\r\nVia: SIP/2.0/{transport} {from};rport;branch=z9hG4bKreg{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{user}@{DOMAIN}>;tag=r{number}\r\nTo: <sip:{user}@{DOMAIN}>\r\n\
         Call-ID: reg{number}@{from}\r\nCSeq: 1 REGISTER\r\nContact: {contact};expires=600\r\n{fields}\
         Content-Length: 0\r\n\r\n"
    )
}

/// A request for `uri` without a body.
pub(crate) fn request(method: &str, uri: &str, from: SocketAddr, fields: &str) -> String {
    let body = with_body(method, uri, "UDP", from, fields, b"");
    String::from_utf8(body).unwrap()
}

/// A MESSAGE of plain text.
pub(crate) fn text(uri: &str, from: SocketAddr, fields: &str) -> Vec<u8> {
    let fields = format!("Content-Type: text/plain\r\n{fields}");
    with_body("MESSAGE", uri, "UDP", from, &fields, b"Watson, come here.")
}

/// A request over that transport; Max-Forwards is 70 unless `fields` say otherwise.
pub(crate) fn with_body(
    method: &str,
    uri: &str,
    transport: &str,
    from: SocketAddr,
    fields: &str,
    body: &[u8],
) -> Vec<u8> {
    let number = fresh();
    let hops = if fields.contains("Max-Forwards") { "" } else { "Max-Forwards: 70\r\n" };
    let head = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{transport} {from};rport;branch=z9hG4bKua{number}\r\n{hops}\
         From: <sip:alice@example.org>;tag=a{number}\r\nTo: <{uri}>\r\nCall-ID: call{number}@{from}\r\n\
         CSeq: 1 {method}\r\n{fields}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The octets of one of the example messages.
pub(crate) fn example(name: &str) -> Vec<u8> {
    let path = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/messages/{}"), name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The CPI fields of an example REGISTER: its Accept lines with their folds.
pub(crate) fn cpi_of(name: &str) -> String {
    let octets = example(name);
    let lines = grammar::fields(octets.splitn(2, |&b| b == b'\n').nth(1).unwrap());
    let cpi = lines.filter(|field| field.name.to_ascii_lowercase().starts_with(b"accept"));
    cpi.map(|field| String::from_utf8(field.raw.to_vec()).unwrap()).collect()
}

/// An example MESSAGE as `from` would send it now over UDP: its own Via and Call-ID, the rest as it stands.
pub(crate) fn message(name: &str, from: SocketAddr) -> Vec<u8> {
    let octets = example(name);
    let split = octets.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(octets[..split].to_vec()).unwrap();
    let number = fresh();
    let lines = head.split("\r\n").map(|line| match line.split_once(':') {
        Some(("Via", _)) => format!("Via: SIP/2.0/UDP {from};rport;branch=z9hG4bKex{number}"),
        Some(("Call-ID", _)) => format!("Call-ID: ex{number}"),
        _ => line.to_owned(),
    });
    [lines.collect::<Vec<_>>().join("\r\n").as_bytes(), &octets[split..]].concat()
}

/// Width and height of a GIF or of the first frame header of a JPEG.
pub(crate) fn pixels(body: &[u8]) -> (u32, u32) {
    let probe = adapter::image::probe(body).expect("a picture");
    (probe.width, probe.height)
}
