//! What the operating system and the operator tell the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGXFSZ on Linux. A write beyond RLIMIT_FSIZE raises it, and its default is to end the process.
const SIGXFSZ: i32 = 25;

/// The signals the server listens to. Registering them is what keeps them from ending the process.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// SIGTERM, SIGINT: finish what was begun and end.
    Drain,
    /// SIGHUP: read the config again.
    Reload,
}

impl Signals {
    /// Takes them over, SIGXFSZ too: with a handler in place the write that would go beyond a file size limit
    /// fails with EFBIG instead, which the store answers like a full disk.
    pub(crate) fn take() -> std::io::Result<Self> {
        // tokio's handler stays for the life of the process, the stream of events is not needed.
        drop(signal(SignalKind::from_raw(SIGXFSZ))?);
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Drain,
            _ = self.interrupt.recv() => Asked::Drain,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}
