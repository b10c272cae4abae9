//! Requests at a rate that does not wait for answers. A latency counts from the time its request was meant to be
//! sent, so that a server that stalls is charged for all that should have been sent meanwhile.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use crate::line::Line;
use crate::message::Script;
use crate::report::Report;
use crate::tally::{Schedule, Tally};
use crate::{Arguments, Kind, LoadError, process};

/// How long answers may keep away before they count as lost; over UDP nothing is sent again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// REGISTERs a second while phones are set up.
const SET_UP_RATE: u32 = 2000;

/// How long before its time a request is put together.
const AHEAD: usize = 256;

pub(crate) async fn run(arguments: &Arguments) -> Result<Report, LoadError> {
    let tally = Arc::new(Tally::new());
    let script = script(arguments);
    let phones = lines(arguments, &tally).await?;
    let senders = lines(arguments, &tally).await?;
    let register = |number: u64, user: u32| {
        let phone = pick(&phones, user.into())?;
        Some((phone, script.register(number, user, phone.local, phone.local)))
    };

    let users = u64::from(arguments.users);
    let pace = Schedule { first: 0, start: soon(), interval: Duration::from_secs(1) / SET_UP_RATE };
    paced(&tally, pace, users, |number| register(number, user(number, arguments))).await;
    let answered = tally.result().0.succeeded;
    if answered < users {
        let domain = arguments.domain.clone();
        return Err(LoadError::Registration { answered, asked: users, domain });
    }

    let requests = arguments.requests();
    let cpu = arguments.pid.and_then(process::cpu_seconds);
    let pace = Schedule { first: users, start: soon(), interval: arguments.interval() };
    let seconds = paced(&tally, pace, requests, |number| {
        let user = user(number, arguments);
        match arguments.send {
            Kind::Register => register(number, user),
            kind => {
                let sender = pick(&senders, number)?;
                Some((sender, script.message(kind, number, user, sender.local)))
            }
        }
    })
    .await;
    let what = match arguments.send {
        Kind::Register => "REGISTER",
        Kind::Text => "MESSAGE with a text",
        Kind::Picture => "MESSAGE with a picture",
    };
    let what = format!("{what} at {}/s", arguments.rate);
    let mut report = Report::new(what, arguments.transport.via(), requests, seconds, tally.result());
    let used = cpu.zip(arguments.pid.and_then(process::cpu_seconds)).map(|(before, after)| after - before);
    report.server_cpu_us =
        used.map(|used| used * 1e6 / u32::try_from(report.succeeded.max(1)).map_or(f64::MAX, f64::from));
    Ok(report)
}

/// What is the same in all messages.
pub(crate) fn script(arguments: &Arguments) -> Script {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let run = since.as_secs() << 20 | u64::from(since.subsec_micros());
    Script { domain: arguments.domain.clone(), transport: arguments.transport, run }
}

/// Sends each request at its time and waits for the answers; gives the seconds it took.
///
/// A thread keeps the time, because tokio's timers are no finer than a millisecond.
pub(crate) async fn paced<'l>(
    tally: &Tally,
    schedule: Schedule,
    requests: u64,
    mut request: impl FnMut(u64) -> Option<(&'l Line, Vec<u8>)>,
) -> f64 {
    tally.begin(schedule, requests);
    let (due, mut is_due) = mpsc::channel(AHEAD);
    let clock = std::thread::spawn(move || {
        for number in schedule.first..schedule.first + requests {
            std::thread::sleep(schedule.at(number).saturating_duration_since(Instant::now()));
            if due.blocking_send(number).is_err() {
                return;
            }
        }
    });
    while let Some(number) = is_due.recv().await {
        if let Some((line, message)) = request(number) {
            line.send(message).await;
        }
    }
    // It has sent its last number.
    let _ended = clock.join();
    tally.settled(PATIENCE).await;
    schedule.start.elapsed().as_secs_f64()
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

async fn lines(arguments: &Arguments, tally: &Arc<Tally>) -> Result<Vec<Line>, LoadError> {
    let from = local(arguments.server.ip());
    let way = arguments.way()?;
    let mut lines = Vec::new();
    for _ in 0..arguments.lines {
        let line = Line::open(&way, from, Arc::clone(tally)).await;
        lines.push(line.map_err(|source| LoadError::System { what: "no line to the server", source })?);
    }
    Ok(lines)
}

/// Where lines to that address come from.
fn local(server: IpAddr) -> IpAddr {
    match server {
        server if server.is_loopback() => server,
        IpAddr::V4(_) => IpAddr::from([0, 0, 0, 0]),
        IpAddr::V6(_) => IpAddr::from([0u16; 8]),
    }
}

fn pick(lines: &[Line], number: u64) -> Option<&Line> {
    let count = u64::try_from(lines.len()).ok()?;
    lines.get(usize::try_from(number.checked_rem(count)?).ok()?)
}

fn user(number: u64, arguments: &Arguments) -> u32 {
    u32::try_from(number % u64::from(arguments.users)).unwrap_or_default()
}
