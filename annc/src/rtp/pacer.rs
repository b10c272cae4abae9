//! The one thread that sends all streams, by one wheel of timers.
//!
//! It does nothing but send and look at what came back: decoding, fetching and signalling are others' business, so no
//! stream waits for the setup of another. A thread of its own, since what runs beside tasks waits for them.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::ports::Sockets;
use super::sender::Sender;
use super::srtp::Protector;
use super::wheel::Wheel;
use super::{is_rtcp, packet};

/// One turn of the wheel's hand.
const TICK: Duration = Duration::from_millis(1);
/// Streams begin at whole multiples of this, so that many are sent at one waking.
const GRID: u64 = 5;
/// How often a stream looks at what came back.
const LOOK: Duration = Duration::from_secs(1);
/// What is later than this is not caught up with: the stream goes on from where it was.
const LATE: Duration = Duration::from_millis(200);
/// Refusals by the network further apart than this do not belong together.
const APART: Duration = Duration::from_secs(2);
/// Orders that wait for the thread.
const ORDERS: usize = 4096;
/// Datagrams that are read of one socket at one look.
const READ: usize = 32;

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was played to its end, or given up by a new description.
    Ended,
    /// Nothing has come of the other side for too long, or the network says that nobody is there.
    Silent,
}

/// Why nothing is played.
#[derive(Debug, thiserror::Error)]
pub enum PacerError {
    /// No thread.
    #[error("no thread for RTP: {0}")]
    Thread(io::Error),
    /// The thread has too much to do.
    #[error("too many orders wait for the thread of RTP")]
    Busy,
}

/// The thread. It ends when this and everything that plays is gone.
#[derive(Clone, Debug)]
pub struct Pacer {
    orders: SyncSender<Order>,
    numbers: Arc<std::sync::atomic::AtomicU64>,
}

/// A stream that plays. Dropped, it is over, with an RTCP BYE.
#[derive(Debug)]
pub struct Playing {
    number: u64,
    orders: SyncSender<Order>,
}

/// Everything a stream is played with.
#[derive(Debug)]
pub struct Stage {
    /// What.
    pub sender: Sender,
    /// From where.
    pub sockets: Arc<Sockets>,
    /// To where.
    pub rtp: SocketAddr,
    /// Where its reports go.
    pub rtcp: SocketAddr,
    /// Under which the other side's reports are signed.
    pub peer: Option<Protector>,
    /// Whether it follows the address that something comes from (for phones behind NAT).
    pub symmetric: bool,
    /// Whether it begins held.
    pub is_held: bool,
    /// After how long without anything from the other side, which once was heard, it is [`Event::Silent`].
    pub patience: Duration,
    /// Who is told.
    pub events: mpsc::Sender<Event>,
}

/// What becomes different of a stream, all of it at once; `None`: nothing.
#[derive(Debug, Default)]
pub struct Change {
    /// Whether it is held; let go on, it goes on where it was.
    pub is_held: Option<bool>,
    /// Where RTP and its reports go.
    pub to: Option<(SocketAddr, SocketAddr)>,
    /// Of its packets.
    pub payload_type: Option<u8>,
    /// New keys of ours, and what [`Sender::rekey`] needs beside them.
    pub own: Option<(Protector, [u8; 16])>,
    /// Under which the other side's reports are signed.
    pub peer: Option<Protector>,
}

#[derive(Debug)]
enum Order {
    Play(u64, Box<Stage>),
    Change(u64, Box<Change>),
    Stop(u64),
}

impl Pacer {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`PacerError::Thread`].
    pub fn start() -> Result<Pacer, PacerError> {
        let (orders, receiver) = sync_channel(ORDERS);
        let thread = std::thread::Builder::new().name("annc-rtp".to_owned());
        thread.spawn(move || Desk::new(Instant::now()).run(&receiver)).map_err(PacerError::Thread)?;
        Ok(Pacer { orders, numbers: Arc::default() })
    }

    /// Begins to play.
    ///
    /// # Errors
    /// [`PacerError::Busy`].
    pub fn play(&self, stage: Stage) -> Result<Playing, PacerError> {
        let number = self.numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let order = Order::Play(number, Box::new(stage));
        self.orders.try_send(order).map_err(|_full| PacerError::Busy)?;
        Ok(Playing { number, orders: self.orders.clone() })
    }
}

impl Playing {
    /// Changes the stream from now on.
    ///
    /// # Errors
    /// [`PacerError::Busy`].
    pub fn change(&self, change: Change) -> Result<(), PacerError> {
        let order = Order::Change(self.number, Box::new(change));
        self.orders.try_send(order).map_err(|_full| PacerError::Busy)
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        // A stream must not outlive its call: if there is no room, room is waited for, elsewhere.
        if let Err(TrySendError::Full(order)) = self.orders.try_send(Order::Stop(self.number)) {
            let orders = self.orders.clone();
            let _no_thread = std::thread::Builder::new().spawn(move || orders.send(order));
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Timer {
    /// A packet, or the end.
    Packet(u64, u32),
    /// A look at what came, and a report.
    Look(u64),
}

/// What the thread knows.
struct Desk {
    origin: Instant,
    wheel: Wheel<Timer>,
    streams: HashMap<u64, Stream>,
    due: Vec<Timer>,
    packet: Vec<u8>,
    sent: metrics::Counter,
    octets: metrics::Counter,
    failed: metrics::Counter,
}

struct Stream {
    stage: Stage,
    start: Instant,
    held: Option<Instant>,
    /// Timers of packets of an earlier turn are void.
    turn: u32,
    heard: Option<Instant>,
    refused: Option<(Instant, Instant)>,
    is_over: bool,
    is_latched: bool,
}

impl Desk {
    fn new(origin: Instant) -> Desk {
        Desk {
            origin,
            wheel: Wheel::at(0),
            streams: HashMap::new(),
            due: Vec::new(),
            packet: Vec::with_capacity(packet::HEAD + 1500),
            sent: metrics::counter!("annc_rtp_packets_total"),
            octets: metrics::counter!("annc_rtp_octets_total"),
            failed: metrics::counter!("annc_rtp_failed_total"),
        }
    }

    fn run(mut self, orders: &Receiver<Order>) {
        loop {
            let order = match self.wheel.soonest() {
                Some(tick) => {
                    let due = self.origin + TICK * u32::try_from(tick).unwrap_or(u32::MAX);
                    orders.recv_timeout(due.saturating_duration_since(Instant::now()))
                }
                None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            let now = Instant::now();
            match order {
                Ok(order) => self.take(order, now),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.turn(now);
        }
    }

    fn take(&mut self, order: Order, now: Instant) {
        match order {
            Order::Play(number, stage) => self.play(number, *stage, now),
            Order::Change(number, change) => {
                let Some(stream) = self.streams.get_mut(&number) else { return };
                if stream.change(*change, now) {
                    self.arm(number);
                }
            }
            Order::Stop(number) => {
                if let Some(mut stream) = self.streams.remove(&number)
                    && !stream.is_over
                {
                    stream.report(now, true, &mut self.packet);
                    stream.tell(Event::Ended);
                }
            }
        }
    }

    fn play(&mut self, number: u64, stage: Stage, now: Instant) {
        let grid = (self.tick(now) / GRID + 1) * GRID;
        let start = self.at(grid);
        let held = stage.is_held.then_some(start);
        let stream = Stream {
            stage,
            start,
            held,
            turn: 0,
            heard: None,
            refused: None,
            is_over: false,
            is_latched: false,
        };
        stream.connect();
        self.streams.insert(number, stream);
        self.arm(number);
        self.wheel.set(grid + millis(LOOK), Timer::Look(number));
    }

    /// Does what is due.
    fn turn(&mut self, now: Instant) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.advance(self.tick(now), &mut due);
        let (mut sent, mut octets) = (0, 0);
        for timer in due.drain(..) {
            match timer {
                Timer::Packet(number, turn) => {
                    let (packets, bytes) = self.packets(number, turn, now);
                    (sent, octets) = (sent + packets, octets + bytes);
                }
                Timer::Look(number) => self.look(number, now),
            }
        }
        self.due = due;
        if sent > 0 {
            self.sent.increment(sent);
            self.octets.increment(octets);
        }
    }

    /// Sends all packets of a stream that are due, and sets its next timer.
    fn packets(&mut self, number: u64, turn: u32, now: Instant) -> (u64, u64) {
        let Some(stream) = self.streams.get_mut(&number) else { return (0, 0) };
        if stream.turn != turn || stream.held.is_some() || stream.is_over {
            return (0, 0);
        }
        let (mut sent, mut octets) = (0, 0);
        while let Some(due) =
            stream.stage.sender.due().map(|due| stream.start + due).filter(|due| *due <= now)
        {
            let late = now.duration_since(due);
            if late > LATE {
                stream.stage.sender.held(late);
            }
            let Some(length) = stream.stage.sender.write(&mut self.packet) else { break };
            match stream.send(&self.packet) {
                Ok(()) => (sent, octets) = (sent + 1, octets + length as u64),
                Err(error) => {
                    self.failed.increment(1);
                    stream.failed(&error, now);
                }
            }
        }
        if stream.stage.symmetric && !stream.is_latched {
            stream.listen(now);
        }
        if stream.stage.sender.due().is_none() && stream.start + stream.stage.sender.end() <= now {
            stream.is_over = true;
            stream.report(now, true, &mut self.packet);
            stream.tell(Event::Ended);
        } else {
            self.arm(number);
        }
        (sent, octets)
    }

    fn look(&mut self, number: u64, now: Instant) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        stream.listen(now);
        if !stream.is_over && now.saturating_duration_since(stream.start) >= stream.stage.sender.report_due()
        {
            stream.report(now, false, &mut self.packet);
        }
        if stream.is_silent(now) && stream.held.is_none() {
            stream.tell(Event::Silent);
        }
        let next = self.tick(now) + millis(LOOK);
        self.wheel.set(next, Timer::Look(number));
    }

    /// Sets the timer of the next packet, or of the end.
    fn arm(&mut self, number: u64) {
        let Some(stream) = self.streams.get(&number).filter(|stream| stream.held.is_none()) else { return };
        let due = stream.stage.sender.due().unwrap_or_else(|| stream.stage.sender.end());
        let tick = self.tick_after(stream.start + due);
        self.wheel.set(tick, Timer::Packet(number, stream.turn));
    }

    fn tick(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.origin))
    }

    /// The first tick that is not before that moment.
    fn tick_after(&self, at: Instant) -> u64 {
        let long = at.saturating_duration_since(self.origin);
        millis(long) + u64::from(!long.subsec_nanos().is_multiple_of(1_000_000))
    }

    fn at(&self, tick: u64) -> Instant {
        self.origin + Duration::from_millis(tick)
    }
}

fn millis(long: Duration) -> u64 {
    u64::try_from(long.as_millis()).unwrap_or(u64::MAX)
}

impl Stream {
    /// A connected socket hears from the network that nobody is there. One that follows its peer can't be.
    fn connect(&self) {
        if !self.stage.symmetric {
            // Where that fails, sending says why.
            let _later = self.stage.sockets.rtp.connect(self.stage.rtp);
        }
    }

    /// Whether it goes on after it was held.
    fn change(&mut self, change: Change, now: Instant) -> bool {
        let stage = &mut self.stage;
        if let Some(payload_type) = change.payload_type {
            stage.sender.renumber(payload_type);
        }
        if let Some((own, random)) = change.own {
            stage.sender.rekey(own, random);
        }
        if let Some(peer) = change.peer {
            stage.peer = Some(peer);
        }
        if let Some(to) = change.to {
            (stage.rtp, stage.rtcp) = to;
            (self.is_latched, self.heard, self.refused) = (false, None, None);
            self.connect();
        }
        match (self.held, change.is_held) {
            (None, Some(true)) => self.held = Some(now),
            (Some(since), Some(false)) => {
                self.held = None;
                // Phones on hold say nothing; the silence counts from now.
                self.heard = self.heard.map(|_before| now);
                self.stage.sender.held(now.saturating_duration_since(since));
                self.turn += 1;
                return true;
            }
            _ => {}
        }
        false
    }

    fn send(&self, packet: &[u8]) -> io::Result<()> {
        let rtp = &self.stage.sockets.rtp;
        match self.stage.symmetric {
            true => rtp.send_to(packet, self.stage.rtp).map(drop),
            false => rtp.send(packet).map(drop),
        }
    }

    fn failed(&mut self, error: &io::Error, now: Instant) {
        if error.kind() == io::ErrorKind::ConnectionRefused {
            let since = self.refused.filter(|(_, last)| now.saturating_duration_since(*last) < APART);
            self.refused = Some((since.map_or(now, |(first, _)| first), now));
        }
    }

    fn report(&mut self, now: Instant, bye: bool, packet: &mut Vec<u8>) {
        if self.stage.rtcp.ip().is_unspecified() {
            // To a phone on hold without an address; sent there, it would come to this machine.
            return;
        }
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.stage.sender.report(now.saturating_duration_since(self.start), wall, bye, packet);
        let sockets = &self.stage.sockets;
        let muxed = self.stage.rtcp == self.stage.rtp;
        // What is lost is reported again.
        let _lost = match muxed {
            true => self.send(packet),
            false => sockets.rtcp.send_to(packet, self.stage.rtcp).map(drop),
        };
    }

    /// Takes what came: who sends something is there.
    fn listen(&mut self, now: Instant) {
        let mut buffer = [0; 2048];
        let sockets = Arc::clone(&self.stage.sockets);
        for (socket, is_rtp) in [(&sockets.rtp, true), (&sockets.rtcp, false)] {
            for _ in 0..READ {
                match socket.recv_from(&mut buffer) {
                    Ok((length, from)) => {
                        self.came(buffer.get(..length).unwrap_or_default(), from, is_rtp, now)
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => self.failed(&error, now),
                }
            }
        }
    }

    fn came(&mut self, octets: &[u8], from: SocketAddr, on_rtp: bool, now: Instant) {
        let reports = is_rtcp(octets);
        let is_expected = from.ip() == self.stage.rtp.ip() || from.ip() == self.stage.rtcp.ip();
        if on_rtp && !reports && self.stage.symmetric && !self.is_latched {
            self.is_latched = true;
            // Its RTCP is asked to come the same way, from the port beside.
            let beside = SocketAddr::new(from.ip(), from.port().saturating_add(1));
            self.stage.rtcp = if self.stage.rtcp == self.stage.rtp { from } else { beside };
            self.stage.rtp = from;
        } else if !is_expected {
            return;
        }
        if reports && self.stage.peer.as_ref().is_some_and(|peer| !peer.is_of_peer(octets)) {
            return;
        }
        self.heard = Some(now);
        self.refused = None;
    }

    fn is_silent(&self, now: Instant) -> bool {
        let patience = self.stage.patience;
        let gone = |since: Instant| now.saturating_duration_since(since) >= patience;
        self.heard.is_some_and(gone)
            || self
                .refused
                .is_some_and(|(first, last)| gone(first) && now.saturating_duration_since(last) < APART)
    }

    fn tell(&self, event: Event) {
        // Who has several events to take ends the call at the first.
        let _enough = self.stage.events.try_send(event);
    }
}

#[cfg(test)]
mod tests;
