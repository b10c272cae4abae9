//! A caged program at work.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus};
use std::time::Duration;

use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How often whoever waits is asked whether it still wants to.
const TICK: Duration = Duration::from_millis(50);
/// Octets of what it says went wrong that are kept.
const MOST_SAID: usize = 400;

/// Why nothing came of it.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It was not started.
    #[error("it can't be started: {0}")]
    Start(std::io::Error),
    /// Whoever waited gave up, and it was killed.
    #[error("stopped before it was done")]
    Stopped,
    /// It was about to give more than was asked for, and was killed.
    #[error("more came out than there is room for")]
    TooMuch,
    /// It tried what a decoder has no reason to try: a socket, another program, a file to write.
    #[error("it was killed for a system call that it has no use for")]
    Forbidden,
    /// It used up its time, or was killed for its memory.
    #[error("it used up what it may use")]
    Exhausted,
    /// It gave up, most often because of the clip.
    #[error("it gave up: {0}")]
    Failed(String),
}

/// A child. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    child: Child,
    out: Option<ChildStdout>,
    err: Option<ChildStderr>,
    said: Vec<u8>,
}

impl Running {
    pub(super) fn new(mut child: Child) -> Result<Running, RunError> {
        let (out, err) = (child.stdout.take(), child.stderr.take());
        Ok(Running { child, out, err, said: Vec::new() })
    }

    /// Waits for octets and appends them; 0 at the end of a run that went well.
    ///
    /// # Errors
    /// [`RunError`] of a run that did not, or [`RunError::Stopped`]. Then it has ended.
    pub fn read(&mut self, into: &mut Vec<u8>, stop: &dyn Fn() -> bool) -> Result<usize, RunError> {
        while self.out.is_some() || self.err.is_some() {
            if stop() {
                return Err(RunError::Stopped);
            }
            let read = self.poll(into)?;
            if read > 0 {
                return Ok(read);
            }
        }
        let status = self.child.wait().map_err(RunError::Start)?;
        if status.success() { Ok(0) } else { Err(verdict(status, &self.said)) }
    }

    /// All that comes out.
    ///
    /// # Errors
    /// As for [`Running::read`], and [`RunError::TooMuch`].
    pub fn collect(mut self, most: usize, stop: &dyn Fn() -> bool) -> Result<Bytes, RunError> {
        let mut all = Vec::new();
        while self.read(&mut all, stop)? > 0 {
            if all.len() > most {
                return Err(RunError::TooMuch);
            }
        }
        Ok(all.into())
    }

    /// Takes what there is of either stream, waiting for one tick at most; octets of the output.
    fn poll(&mut self, into: &mut Vec<u8>) -> Result<usize, RunError> {
        let ready = {
            let mut waiting: Vec<PollFd<'_>> = Vec::with_capacity(2);
            waiting.extend(self.out.as_ref().map(|out| PollFd::new(out, PollFlags::IN)));
            waiting.extend(self.err.as_ref().map(|err| PollFd::new(err, PollFlags::IN)));
            let tick = Timespec::try_from(TICK).ok();
            match poll(&mut waiting, tick.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(RunError::Start(error.into())),
            }
            waiting.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<bool>>()
        };
        let mut ready = ready.into_iter();
        let out_ready = self.out.is_some() && ready.next().unwrap_or(false);
        let err_ready = self.err.is_some() && ready.next().unwrap_or(false);
        if err_ready {
            self.listen();
        }
        if out_ready { Ok(self.take(into)) } else { Ok(0) }
    }

    fn take(&mut self, into: &mut Vec<u8>) -> usize {
        let mut buffer = [0; 16 << 10];
        let read = self.out.as_mut().map_or(0, |out| out.read(&mut buffer).unwrap_or(0));
        if read == 0 {
            self.out = None;
        }
        into.extend_from_slice(buffer.get(..read).unwrap_or_default());
        read
    }

    /// What it says is read so that it does not wait, and its beginning kept.
    fn listen(&mut self) {
        let mut buffer = [0; 1024];
        let read = self.err.as_mut().map_or(0, |err| err.read(&mut buffer).unwrap_or(0));
        if read == 0 {
            self.err = None;
        }
        let room = MOST_SAID.saturating_sub(self.said.len());
        self.said.extend_from_slice(buffer.get(..read.min(room)).unwrap_or_default());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already can't be killed; either way it is waited for, so that none stays behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why it ended.
fn verdict(status: ExitStatus, said: &[u8]) -> RunError {
    const SIGKILL: i32 = 9;
    const SIGXCPU: i32 = 24;
    const SIGSYS: i32 = 31;
    match status.signal() {
        Some(SIGSYS) => RunError::Forbidden,
        Some(SIGKILL | SIGXCPU) => RunError::Exhausted,
        _ => {
            let said = String::from_utf8_lossy(said);
            let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
            let said: String =
                last.unwrap_or("it does not say why").chars().filter(|c| !c.is_control()).collect();
            RunError::Failed(said)
        }
    }
}
