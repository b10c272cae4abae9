//! Many publications and subscriptions that end in the same second, and what MESSAGEs beside that take: their round
//! trips for a while before it, and from that second on until all watchers were told.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::presence::{Cost, Phones};
use crate::{Arguments, LoadError};

/// How long round trips are measured before the burst, and at least from its begin on.
const WINDOW: Duration = Duration::from_secs(10);

/// Between the two: what ends a little early is part of neither.
const GAP: Duration = Duration::from_secs(2);

/// A round trip that takes longer is lost.
const LOST: Duration = Duration::from_secs(20);

/// What a run came to.
#[derive(Debug, Serialize)]
pub(crate) struct Burst {
    publications: u32,
    subscriptions: u32,
    /// Of them those whose last NOTIFY came.
    ended: u64,
    /// From the second in which all ends until the last of those NOTIFYs.
    told_after_ms: u64,
    /// Processor time of the server in that time.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_s: Option<f64>,
    messages_per_s: u32,
    before: Trips,
    during: Trips,
}

/// Round trips of MESSAGEs, from the time each was meant to be sent.
#[derive(Debug, Serialize)]
struct Trips {
    answered: u64,
    lost: u64,
    p50_us: u64,
    p90_us: u64,
    p99_us: u64,
    p999_us: u64,
    longest_us: u64,
}

impl fmt::Display for Burst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} publications and as many subscriptions end in one second", self.publications)?;
        writeln!(f, "  {} watchers told of their end within {} ms", self.ended, self.told_after_ms)?;
        if let Some(cpu) = self.cpu_s {
            writeln!(f, "  processor time in that: {cpu:.2} s")?;
        }
        for (when, trips) in [("before", &self.before), ("during", &self.during)] {
            writeln!(
                f,
                "  MESSAGEs {when} it: {} answered, {} lost, p50 {} us, p90 {} us, p99 {} us, p99.9 {} us, longest {} us",
                trips.answered,
                trips.lost,
                trips.p50_us,
                trips.p90_us,
                trips.p99_us,
                trips.p999_us,
                trips.longest_us
            )?;
        }
        Ok(())
    }
}

/// Makes the load, waits for its end, and measures beside it.
pub(crate) fn run(arguments: &Arguments, count: u32) -> Result<Burst, LoadError> {
    let end = Second::now().after(arguments.expires);
    let mut phones = Phones::open(arguments)?;
    for number in 0..count {
        phones.expires = end.left()?;
        phones.publish(&format!("user{number}"), 0)?;
        phones.subscribe(number, &format!("user{number}"))?;
    }
    phones.all_answered()?;
    phones.notified(count.into())?;
    let begin = end.instant();
    let calm = begin.checked_sub(WINDOW + GAP).filter(|calm| *calm > Instant::now());
    let calm =
        calm.ok_or(LoadError::Arguments("all that was not made in time: a longer --expires is needed"))?;
    let stop = Arc::new(AtomicBool::new(false));
    let probe = Probe::open(arguments, [calm, begin])?;
    let stopped = Arc::clone(&stop);
    let probing = std::thread::spawn(move || probe.run(&stopped));
    std::thread::sleep(begin.saturating_duration_since(Instant::now()));
    let cost = Cost { pid: arguments.pid };
    let cpu = cost.cpu();
    // One whose watcher was told a moment too early has ended all the same.
    let told = phones.until(|seen| seen.ended.load(Ordering::SeqCst) >= count.into());
    let told_after = begin.elapsed();
    let cpu_s = cost.cpu().zip(cpu).map(|(after, before)| after - before);
    std::thread::sleep(WINDOW.saturating_sub(told_after));
    stop.store(true, Ordering::SeqCst);
    let [before, during] = probing.join().map_err(|_| LoadError::Arguments("the probe broke"))?;
    let ended = phones.seen.ended.load(Ordering::SeqCst);
    phones.close();
    told?;
    Ok(Burst {
        publications: count,
        subscriptions: count,
        ended,
        told_after_ms: u64::try_from(told_after.as_millis()).unwrap_or(u64::MAX),
        cpu_s,
        messages_per_s: arguments.rate,
        before,
        during,
    })
}

/// A whole second of the clock that servers go by.
#[derive(Clone, Copy)]
struct Second(u64);

impl Second {
    fn now() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    const fn after(self, seconds: u64) -> Self {
        Self(self.0 + seconds)
    }

    /// Seconds until then.
    fn left(self) -> Result<u64, LoadError> {
        let left = self.0.checked_sub(Self::now().0).filter(|left| *left > 0);
        left.ok_or(LoadError::Arguments("it takes longer than --expires to make the load"))
    }

    fn instant(self) -> Instant {
        let at = UNIX_EPOCH + Duration::from_secs(self.0);
        Instant::now() + at.duration_since(SystemTime::now()).unwrap_or_default()
    }
}

/// A phone that sends itself MESSAGEs through the server.
struct Probe {
    socket: UdpSocket,
    server: SocketAddr,
    domain: String,
    interval: Duration,
    /// When each of the two times begins.
    begins: [Instant; 2],
    next: u64,
    /// Those under way, by number: when each was meant to be sent.
    under_way: VecDeque<(u64, Instant)>,
    trips: [Histogram<u64>; 2],
    lost: [u64; 2],
}

impl Probe {
    fn open(arguments: &Arguments, begins: [Instant; 2]) -> Result<Self, LoadError> {
        let failed = |source| LoadError::System { what: "no socket", source };
        let local: IpAddr = arguments.local();
        let socket = UdpSocket::bind((local, 0)).map_err(failed)?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed)?;
        let (server, domain) = (arguments.server, arguments.domain.clone());
        let here = socket.local_addr().map_err(failed)?;
        let register = format!(
            "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKprobe\r\nMax-Forwards: 70\r\n\
             From: <sip:probe@{domain}>;tag=p\r\nTo: <sip:probe@{domain}>\r\nCall-ID: probe{}@load\r\n\
             CSeq: 1 REGISTER\r\nContact: <sip:probe@{here}>\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n",
            here.port()
        );
        socket.send_to(register.as_bytes(), server).map_err(failed)?;
        let mut buffer = [0; 4096];
        let (length, _) = socket.recv_from(&mut buffer).map_err(failed)?;
        if !buffer.get(..length).is_some_and(|answer| answer.starts_with(b"SIP/2.0 200")) {
            return Err(LoadError::Registration { answered: 0, asked: 1, domain });
        }
        socket.set_read_timeout(Some(Duration::from_millis(1))).map_err(failed)?;
        let longest = u64::try_from(LOST.as_micros()).unwrap_or(u64::MAX);
        let histogram =
            || Histogram::new_with_bounds(1, longest, 3).map_err(|_| LoadError::Arguments("no histogram"));
        let trips = [histogram()?, histogram()?];
        let interval = arguments.interval();
        let (next, under_way, lost) = (0, VecDeque::new(), [0; 2]);
        Ok(Self { socket, server, domain, interval, begins, next, under_way, trips, lost })
    }

    fn run(mut self, stop: &AtomicBool) -> [Trips; 2] {
        let mut due = self.begins.first().copied().unwrap_or_else(Instant::now);
        let mut ended = None;
        loop {
            let now = Instant::now();
            let is_over = stop.load(Ordering::Relaxed);
            while due <= now && !is_over {
                self.send(due);
                due += self.interval;
            }
            self.receive();
            while let Some((_, at)) = self.under_way.front().filter(|(_, at)| at.elapsed() > LOST) {
                let place = self.place(*at);
                self.under_way.pop_front();
                place.and_then(|place| self.lost.get_mut(place)).into_iter().for_each(|lost| *lost += 1);
            }
            // The last of them have their time too.
            if is_over {
                let since = *ended.get_or_insert(now);
                if self.under_way.is_empty() || since.elapsed() > LOST {
                    break;
                }
            }
        }
        let [first, second] = &self.trips;
        let [lost_first, lost_second] = self.lost;
        [summary(first, lost_first), summary(second, lost_second)]
    }

    /// In which of the two times that was; what was meant for the gap counts in none.
    fn place(&self, at: Instant) -> Option<usize> {
        let [calm, begin] = self.begins;
        match () {
            () if at >= begin => Some(1),
            () if at >= calm && at < calm + WINDOW => Some(0),
            () => None,
        }
    }

    fn send(&mut self, due: Instant) {
        let (domain, number) = (&self.domain, self.next);
        self.next += 1;
        let Ok(here) = self.socket.local_addr() else { return };
        let text = format!(
            "MESSAGE sip:probe@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKm{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:tick@{domain}>;tag=t{number}\r\nTo: <sip:probe@{domain}>\r\n\
             Call-ID: {number}-{}@load\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
            here.port()
        );
        // One that is not sent is lost.
        let _lost = self.socket.send_to(text.as_bytes(), self.server);
        self.under_way.push_back((number, due));
    }

    /// What has come: a MESSAGE is answered, an answer is a round trip.
    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { return };
        let Some(text) = buffer.get(..length).and_then(|octets| std::str::from_utf8(octets).ok()) else {
            return;
        };
        let lines = || text.split("\r\n").take_while(|line| !line.is_empty());
        if !text.starts_with("SIP/2.0 ") {
            let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
            let kept = lines().filter(|line| copied.iter().any(|name| line.starts_with(name)));
            let kept: String = kept.map(|line| format!("{line}\r\n")).collect();
            let answer = format!("SIP/2.0 200 OK\r\n{kept}Content-Length: 0\r\n\r\n");
            let _lost = self.socket.send_to(answer.as_bytes(), from);
            return;
        }
        let call = lines().find_map(|line| line.strip_prefix("Call-ID: "));
        let number = call.and_then(|call| call.split_once('-')?.0.parse::<u64>().ok());
        if !text.starts_with("SIP/2.0 2") {
            return;
        }
        let at = self.under_way.iter().position(|(known, _)| Some(*known) == number);
        let Some((_, due)) = at.and_then(|at| self.under_way.remove(at)) else { return };
        let micros = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX).max(1);
        if let Some(trips) = self.place(due).and_then(|place| self.trips.get_mut(place)) {
            trips.saturating_record(micros);
        }
    }
}

fn summary(trips: &Histogram<u64>, lost: u64) -> Trips {
    let at = |quantile| trips.value_at_quantile(quantile);
    Trips {
        answered: trips.len(),
        lost,
        p50_us: at(0.5),
        p90_us: at(0.9),
        p99_us: at(0.99),
        p999_us: at(0.999),
        longest_us: if trips.is_empty() { 0 } else { trips.max() },
    }
}
