//! Where log lines go and how they look: one line each on stderr, time first. Nobody waits for stderr: lines go
//! through a bounded queue to a thread that writes many at once, and those that find it full are counted.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{counter, describe_counter};
use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::Level;

/// Lines that wait to be written.
const QUEUE: usize = 8192;

/// How long lines are gathered before they are written.
const GATHER: Duration = Duration::from_millis(5);

const DROPPED: &str = "bespoke_log_lines_dropped_total";

/// Changes how much is logged while the program runs. Dropped, it writes what waits.
pub(crate) struct LogControl {
    change: Box<dyn Fn(EnvFilter) -> bool + Send + Sync>,
    queue: Queue,
    writing: Option<JoinHandle<()>>,
}

/// Tells the installed recorder what is counted.
pub(super) fn describe() {
    describe_counter!(DROPPED, "Log lines that were not written because stderr did not take them in time");
}

/// Starts logging. Called once; later calls change nothing.
pub(crate) fn start(level: Level) -> LogControl {
    let (filter, handle) = reload::Layer::new(filter(level));
    let (lines, waiting) = sync_channel(QUEUE);
    let queue = Queue { lines, dropped: Arc::default() };
    let dropped = Arc::clone(&queue.dropped);
    let thread = std::thread::Builder::new().name("log".to_owned());
    let writing = thread.spawn(move || write(&waiting, &dropped)).ok();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(queue.clone())
        .with_timer(Clock)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .compact()
        .fmt_fields(debug_fn(write_field).delimited(" "));
    let _already_logging = tracing_subscriber::registry().with(filter).with(lines).try_init();
    LogControl { change: Box::new(move |filter| handle.reload(filter).is_ok()), queue, writing }
}

impl LogControl {
    /// Logs that much from now on.
    pub(crate) fn set(&self, level: Level) {
        if !(self.change)(filter(level)) {
            tracing::warn!("the log level can't be changed any more");
        }
    }
}

impl Drop for LogControl {
    fn drop(&mut self) {
        // Not `try_send`: the thread makes room.
        let told = self.queue.lines.send(Vec::new());
        if let (Ok(()), Some(writing)) = (told, self.writing.take()) {
            let _ended = writing.join();
        }
    }
}

/// The message as it is, and what stands beside it under its name.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    let mut shown = Shown(writer);
    match field.name() {
        "message" => write!(shown, "{value:?}"),
        name => write!(shown, "{}={value:?}", name.strip_prefix("r#").unwrap_or(name)),
    }
}

/// Escapes control characters, since senders have a part in what is logged: none speaks to a terminal. As the layer's own
/// fields do it, line ends and tabs excepted, but nearly always at a glance. What a sender wrote is escaped before.
struct Shown<'a, 'w>(&'a mut Writer<'w>);

impl fmt::Write for Shown<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if grammar::is_printable(text.as_bytes()) {
            return self.0.write_str(text);
        }
        text.chars().try_for_each(|char| match char {
            '\t' | '\n' => self.0.write_char(char),
            char if char.is_control() => write!(self.0, "{}", char.escape_default()),
            char => self.0.write_char(char),
        })
    }
}

/// UTC to the microsecond. What is before the point is written once a second by each thread.
struct Clock;

thread_local! {
    /// A second since 1970 and how it is written.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

impl FormatTime for Clock {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        SECOND.with_borrow_mut(|(second, written)| {
            if *second != since.as_secs() {
                *second = since.as_secs();
                *written = date_time(*second);
            }
            writer.write_str(written)
        })?;
        let micros = since.subsec_micros();
        writer.write_char('.')?;
        // Zeros in front are part of a fraction.
        (0..6_u32.saturating_sub(micros.max(1).ilog10() + 1)).try_for_each(|_| writer.write_char('0'))?;
        writer.write_str(itoa::Buffer::new().format(micros))?;
        writer.write_char('Z')
    }
}

/// `2026-12-01T06:30:02`, of the seconds since 1970.
fn date_time(seconds: u64) -> String {
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Years begin in March here, so that the leap day is the last of one; 400 of them have 146,097 days.
    let (era, of_era) = ((days + 719_468) / 146_097, (days + 719_468) % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year + 400 * era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

/// The way to the thread that writes. An empty line is its end.
#[derive(Clone)]
struct Queue {
    lines: SyncSender<Vec<u8>>,
    dropped: Arc<AtomicU64>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = &'a Queue;

    fn make_writer(&'a self) -> &'a Queue {
        self
    }
}

impl Write for &Queue {
    /// Is given one whole line at a time.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if !line.is_empty() && self.lines.try_send(line.to_vec()).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write(waiting: &Receiver<Vec<u8>>, dropped: &AtomicU64) {
    let mut text = Vec::new();
    let mut goes_on = true;
    while goes_on && let Ok(first) = waiting.recv() {
        goes_on = !first.is_empty();
        text.extend_from_slice(&first);
        if goes_on {
            std::thread::sleep(GATHER);
        }
        for line in waiting.try_iter().take(QUEUE) {
            goes_on &= !line.is_empty();
            text.extend_from_slice(&line);
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            counter!(DROPPED).increment(lost);
            text.extend_from_slice(
                format!("{lost} lines are missing here: stderr was too slow\n").as_bytes(),
            );
        }
        // Who closed stderr wants no log.
        let _closed = io::stderr().write_all(&text);
        text.clear();
        text.shrink_to(1 << 20);
    }
}

/// `RUST_LOG` wins over the config. The store's engine has nothing to say to an operator below a warning.
fn filter(level: Level) -> EnvFilter {
    let named = format!("{},fjall=warn,lsm_tree=warn,hyper=info,hyper_util=info", level.name());
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(named))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_written_as_rfc_3339_has_it() {
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (951_868_800, "2000-03-01T00:00:00"),
            (1_000_000_000, "2001-09-09T01:46:40"),
            (1_798_761_599, "2026-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(date_time(seconds), written);
        }
    }

    #[test]
    fn a_line_beyond_the_queue_is_counted_and_nobody_waits() {
        let (lines, waiting) = sync_channel(1);
        let queue = Queue { lines, dropped: Arc::default() };
        for line in [b"one\n", b"two\n"] {
            assert_eq!((&queue).write(line).unwrap(), 4);
        }
        assert_eq!(queue.dropped.load(Ordering::Relaxed), 1);
        assert_eq!(waiting.try_iter().collect::<Vec<_>>(), [b"one\n"]);
    }
}
