//! Presence: many watchers of one user who are told of each change, and many users who publish and are watched.

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{Arguments, LoadError, process};

/// Sockets that the watchers share, each with a thread that answers.
const SOCKETS: usize = 16;

/// Requests that are not answered yet.
const WINDOW: u64 = 128;

/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between two changes: more than servers want between two NOTIFYs.
const PAUSE: Duration = Duration::from_millis(5200);

/// What a run came to.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Watched {
    pub(crate) what: String,
    pub(crate) subscriptions: u64,
    pub(crate) publications: u64,
    pub(crate) rounds: u32,
    /// Different NOTIFYs that came after the changes, and came again.
    pub(crate) notifies: u64,
    pub(crate) repeated: u64,
    /// Processor time of the server for each SUBSCRIBE with its first NOTIFY, each PUBLISH, and each NOTIFY of a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subscribe_cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publish_cpu_us: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) notify_cpu_us: Option<f64>,
    /// Octets of the server's memory for each subscription and each publication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) subscription_octets: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) publication_octets: Option<f64>,
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  {} NOTIFYs in {} rounds, {} came again", self.notifies, self.rounds, self.repeated)?;
        let all = [
            ("CPU of a SUBSCRIBE and its NOTIFY, us", self.subscribe_cpu_us),
            ("CPU of a PUBLISH, us", self.publish_cpu_us),
            ("CPU of a NOTIFY, us", self.notify_cpu_us),
            ("memory of a subscription, octets", self.subscription_octets),
            ("memory of a publication, octets", self.publication_octets),
        ];
        for (what, value) in all {
            if let Some(value) = value {
                writeln!(f, "  {what}: {value:.1}")?;
            }
        }
        Ok(())
    }
}

/// What the threads count.
#[derive(Default)]
pub(crate) struct Seen {
    answered: AtomicU64,
    refused: AtomicU64,
    pub(crate) notifies: AtomicU64,
    /// Of them those that end a subscription.
    pub(crate) ended: AtomicU64,
    repeated: AtomicU64,
    stop: AtomicBool,
    tag: Mutex<String>,
}

pub(crate) struct Phones {
    sockets: Vec<Arc<UdpSocket>>,
    threads: Vec<JoinHandle<()>>,
    pub(crate) seen: Arc<Seen>,
    server: SocketAddr,
    domain: String,
    sent: u64,
    /// Seconds that what they ask for lasts.
    pub(crate) expires: u64,
}

/// Watchers of one user: he publishes, and changes what he published so many times.
pub(crate) fn watchers(arguments: &Arguments, count: u32) -> Result<Watched, LoadError> {
    let mut phones = Phones::open(arguments)?;
    let cost = Cost { pid: arguments.pid };
    phones.publish("star", 0)?;
    let (cpu, memory) = (cost.cpu(), cost.memory());
    for number in 0..count {
        phones.subscribe(number, "star")?;
    }
    phones.all_answered()?;
    phones.notified(count.into())?;
    let mut watched = Watched {
        what: format!("{count} watchers of one user"),
        subscriptions: count.into(),
        publications: 1,
        rounds: arguments.rounds,
        subscribe_cpu_us: cost.each_us(cpu, count.into()),
        subscription_octets: cost.each_octets(memory, count.into()),
        ..Watched::default()
    };
    std::thread::sleep(PAUSE);
    let (cpu, before) = (cost.cpu(), phones.seen.notifies.load(Ordering::SeqCst));
    for round in 1..=arguments.rounds {
        phones.publish("star", round)?;
        phones.notified(before + u64::from(count) * u64::from(round))?;
        std::thread::sleep(PAUSE);
    }
    watched.notifies = phones.seen.notifies.load(Ordering::SeqCst) - before;
    watched.repeated = phones.seen.repeated.load(Ordering::SeqCst);
    watched.notify_cpu_us = cost.each_us(cpu, watched.notifies);
    phones.close();
    Ok(watched)
}

/// So many users who publish, each watched by one.
pub(crate) fn held(arguments: &Arguments, count: u32) -> Result<Watched, LoadError> {
    let mut phones = Phones::open(arguments)?;
    let cost = Cost { pid: arguments.pid };
    let (cpu, memory) = (cost.cpu(), cost.memory());
    for number in 0..count {
        phones.publish(&format!("user{number}"), 0)?;
    }
    phones.all_answered()?;
    let mut watched = Watched {
        what: format!("{count} users who publish, each watched by one"),
        subscriptions: count.into(),
        publications: count.into(),
        publish_cpu_us: cost.each_us(cpu, count.into()),
        publication_octets: cost.each_octets(memory, count.into()),
        ..Watched::default()
    };
    let (cpu, memory) = (cost.cpu(), cost.memory());
    for number in 0..count {
        phones.subscribe(number, &format!("user{number}"))?;
    }
    phones.all_answered()?;
    phones.notified(count.into())?;
    std::thread::sleep(PAUSE);
    watched.notifies = phones.seen.notifies.load(Ordering::SeqCst);
    watched.repeated = phones.seen.repeated.load(Ordering::SeqCst);
    watched.subscribe_cpu_us = cost.each_us(cpu, count.into());
    watched.subscription_octets = cost.each_octets(memory, count.into());
    phones.close();
    Ok(watched)
}

/// What the server's processes have taken.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) pid: Option<u32>,
}

impl Cost {
    pub(crate) fn cpu(self) -> Option<f64> {
        let all = process::tree(self.pid?);
        Some(all.into_iter().filter_map(process::cpu_seconds).sum())
    }

    fn memory(self) -> Option<u64> {
        let all = process::tree(self.pid?);
        Some(all.into_iter().filter_map(process::memory).sum())
    }

    fn each_us(self, before: Option<f64>, count: u64) -> Option<f64> {
        Some((self.cpu()? - before?) * 1e6 / as_float(count))
    }

    fn each_octets(self, before: Option<u64>, count: u64) -> Option<f64> {
        Some(as_float(self.memory()?.saturating_sub(before?)) / as_float(count))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and octets far below 2^53")]
const fn as_float(number: u64) -> f64 {
    number as f64
}

impl Phones {
    pub(crate) fn open(arguments: &Arguments) -> Result<Self, LoadError> {
        let failed = |source| LoadError::System { what: "no socket", source };
        let seen = Arc::new(Seen::default());
        let (mut sockets, mut threads) = (Vec::new(), Vec::new());
        for _ in 0..SOCKETS {
            let socket = UdpSocket::bind((arguments.local(), 0)).map_err(failed)?;
            socket.set_read_timeout(Some(Duration::from_millis(200))).map_err(failed)?;
            let socket = Arc::new(socket);
            let (reading, counted) = (Arc::clone(&socket), Arc::clone(&seen));
            threads.push(std::thread::spawn(move || answer(&reading, &counted)));
            sockets.push(socket);
        }
        let (server, domain) = (arguments.server, arguments.domain.clone());
        Ok(Self { sockets, threads, seen, server, domain, sent: 0, expires: 3600 })
    }

    pub(crate) fn close(self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        for thread in self.threads {
            // One that broke has said why.
            let _broken = thread.join();
        }
    }

    /// A SUBSCRIBE of that watcher.
    pub(crate) fn subscribe(&mut self, number: u32, to: &str) -> Result<(), LoadError> {
        let (domain, expires) = (self.domain.clone(), self.expires);
        self.send(number, |local, branch| {
            format!(
                "SUBSCRIBE sip:{to}@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:watcher{number}@{domain}>;tag=w{number}\r\n\
                 To: <sip:{to}@{domain}>\r\nCall-ID: s{branch}@load\r\nCSeq: 1 SUBSCRIBE\r\n\
                 Contact: <sip:w{number}@{local}>\r\nEvent: presence\r\nExpires: {expires}\r\n\
                 Accept: application/pidf+xml\r\nContent-Length: 0\r\n\r\n"
            )
        })
    }

    /// What a user publishes, the first time or in place of what he did before; waits for the answer of the latter.
    pub(crate) fn publish(&mut self, user: &str, round: u32) -> Result<(), LoadError> {
        let (domain, expires) = (self.domain.clone(), self.expires);
        let tag = self.seen.tag.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let matching = if round > 0 { format!("SIP-If-Match: {tag}\r\n") } else { String::new() };
        let note = format!("Round {round} of what there is to say");
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" \
             entity=\"pres:{user}@{domain}\">\r\n<tuple id=\"t1\"><status><basic>open</basic></status>\
             <contact>sip:{user}@{domain}</contact></tuple>\r\n<note>{note}</note>\r\n</presence>\r\n"
        );
        self.send(0, |local, branch| {
            format!(
                "PUBLISH sip:{user}@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{branch}\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:{user}@{domain}>;tag=p{branch}\r\nTo: <sip:{user}@{domain}>\r\n\
                 Call-ID: p{branch}@load\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: {expires}\r\n{matching}\
                 Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        })?;
        if user == "star" { self.all_answered() } else { Ok(()) }
    }

    fn send(&mut self, number: u32, text: impl Fn(SocketAddr, u64) -> String) -> Result<(), LoadError> {
        self.sent += 1;
        let at = usize::try_from(number).unwrap_or_default() % SOCKETS;
        let failed = |source| LoadError::System { what: "a request is not sent", source };
        if let Some(socket) = self.sockets.get(at) {
            let local = socket.local_addr().map_err(failed)?;
            socket.send_to(text(local, self.sent).as_bytes(), self.server).map_err(failed)?;
        }
        let sent = self.sent;
        self.until(|seen| seen.answered.load(Ordering::SeqCst) + WINDOW > sent)
    }

    pub(crate) fn all_answered(&self) -> Result<(), LoadError> {
        let sent = self.sent;
        self.until(|seen| seen.answered.load(Ordering::SeqCst) >= sent)?;
        let refused = self.seen.refused.load(Ordering::SeqCst);
        if refused > 0 {
            let domain = self.domain.clone();
            return Err(LoadError::Registration { answered: sent - refused, asked: sent, domain });
        }
        Ok(())
    }

    pub(crate) fn notified(&self, count: u64) -> Result<(), LoadError> {
        self.until(|seen| seen.notifies.load(Ordering::SeqCst) >= count)
    }

    pub(crate) fn until(&self, is_so: impl Fn(&Seen) -> bool) -> Result<(), LoadError> {
        let late = Instant::now() + PATIENCE;
        while !is_so(&self.seen) {
            if Instant::now() > late {
                return Err(LoadError::Arguments(
                    "the server does not answer all, or tells not all watchers",
                ));
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }
}

/// Answers NOTIFYs and counts what comes.
fn answer(socket: &UdpSocket, seen: &Seen) {
    let mut buffer = vec![0; 65_536];
    let mut known = HashSet::new();
    while !seen.stop.load(Ordering::Relaxed) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Some(text) = buffer.get(..length).and_then(|octets| std::str::from_utf8(octets).ok()) else {
            continue;
        };
        let lines = || text.split("\r\n").take_while(|line| !line.is_empty());
        if let Some(status) = text.strip_prefix("SIP/2.0 ") {
            if status.starts_with('1') {
                continue;
            }
            if !status.starts_with('2') {
                seen.refused.fetch_add(1, Ordering::SeqCst);
            }
            if let Some(tag) = lines().find_map(|line| line.strip_prefix("SIP-ETag: ")) {
                tag.clone_into(&mut seen.tag.lock().unwrap_or_else(PoisonError::into_inner));
            }
            seen.answered.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
        let mut hasher = DefaultHasher::new();
        let mut answer = String::from("SIP/2.0 200 OK\r\n");
        for line in lines().filter(|line| copied.iter().any(|name| line.starts_with(name))) {
            if line.starts_with("Call-ID:") || line.starts_with("CSeq:") {
                line.hash(&mut hasher);
            }
            answer.push_str(line);
            answer.push_str("\r\n");
        }
        answer.push_str("Content-Length: 0\r\n\r\n");
        // One that is lost comes again.
        let _lost = socket.send_to(answer.as_bytes(), from);
        let is_new = known.insert(hasher.finish());
        let count = if is_new { &seen.notifies } else { &seen.repeated };
        count.fetch_add(1, Ordering::SeqCst);
        if is_new && lines().any(|line| line.starts_with("Subscription-State: terminated")) {
            seen.ended.fetch_add(1, Ordering::SeqCst);
        }
    }
}
