//! The one thread that decides and writes: it takes waiting swaps as a group, decides each against what the one
//! before it left, writes the group with one sync, shows it to readers, and answers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::engine::{Engine, Write, encode, open_refusal, wait_until_closed};
use super::{Committed, Index};
use crate::{Options, SwapError, Version};

/// A group that no one joined for this long is written at once: under load the queue fills during the sync of
/// the group before, so only a lone writer would wait, for nobody.
const GAP: Duration = Duration::from_micros(100);

/// Longest time between two attempts to open again, in multiples of [`Options::reopen_every`].
const SLOWEST_REOPEN: u32 = 8;

/// Written to see whether writing works. Its space is the empty name, which loading passes over.
const PROBE_KEY: &[u8] = b"\0probe";

/// A swap that waits.
pub(super) struct Job {
    pub(super) index: Arc<Index>,
    pub(super) key: Box<[u8]>,
    pub(super) expected: Option<Version>,
    pub(super) new: Option<Bytes>,
    pub(super) reply: oneshot::Sender<Result<Version, SwapError>>,
}

pub(super) struct Committer {
    dir: PathBuf,
    options: Options,
    last: Version,
    state: State,
    /// Keys of writes that failed. The engine may have kept those records all the same, so they are written
    /// over with the committed ones when it is open again. By their keys in the engine.
    doubtful: HashMap<Vec<u8>, Doubtful>,
    writable: Arc<AtomicBool>,
}

struct Doubtful {
    index: Arc<Index>,
    key: Box<[u8]>,
}

enum State {
    Open(Engine),
    Closed { cause: SwapError, retry_at: Instant, failures: u32 },
}

impl Committer {
    pub(super) fn new(
        dir: &Path,
        options: &Options,
        engine: Engine,
        last: Version,
        writable: Arc<AtomicBool>,
    ) -> Self {
        let (dir, options) = (dir.into(), options.clone());
        Self { dir, options, last, state: State::Open(engine), doubtful: HashMap::new(), writable }
    }

    /// Works until all handles of the store are dropped and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Some(group) = self.gather(queue) {
            self.commit(group);
        }
    }

    fn gather(&self, queue: &Receiver<Job>) -> Option<Vec<Job>> {
        let mut group = vec![queue.recv().ok()?];
        let start = Instant::now();
        while group.len() < self.options.group {
            let left = self.options.linger.saturating_sub(start.elapsed());
            match queue.recv_timeout(left.min(GAP)) {
                Ok(job) => group.push(job),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
        }
        Some(group)
    }

    fn commit(&mut self, group: Vec<Job>) {
        if let Err(refused) = self.ensure_open() {
            return refuse(group, refused);
        }
        let verdicts = self.decide(&group);
        let writes = writes(&group, &verdicts);
        if !writes.is_empty() {
            let State::Open(engine) = &self.state else { return };
            if let Err(refused) = engine.write(writes) {
                self.close(refused);
                self.doubtful.extend(group.iter().map(|job| {
                    (
                        job.index.engine_key(&job.key),
                        Doubtful { index: Arc::clone(&job.index), key: job.key.clone() },
                    )
                }));
                // A conflict may have been with a record of this very group, which was never committed.
                return refuse(group, refused);
            }
        }
        for (job, verdict) in group.into_iter().zip(verdicts) {
            let Job { index, key, new, reply, .. } = job;
            if let Ok(version) = verdict {
                index.put(key, new.map(|value| Committed { version, value: value.as_ref().into() }));
            }
            // Whoever does not wait any more does not need the answer.
            let _ = reply.send(verdict);
        }
    }

    /// The outcome of each job if the group gets written.
    fn decide(&mut self, group: &[Job]) -> Vec<Result<Version, SwapError>> {
        let mut staged: HashMap<(&str, &[u8]), Option<Version>> = HashMap::with_capacity(group.len());
        let mut verdicts = Vec::with_capacity(group.len());
        for job in group {
            let slot = staged
                .entry((&job.index.name, &job.key))
                .or_insert_with(|| job.index.read(&job.key, |version, _| version));
            if *slot != job.expected {
                verdicts.push(Err(SwapError::Conflict { current: *slot }));
                continue;
            }
            self.last += 1;
            *slot = job.new.is_some().then_some(self.last);
            verdicts.push(Ok(self.last));
        }
        verdicts
    }

    fn ensure_open(&mut self) -> Result<(), SwapError> {
        let State::Closed { cause, retry_at, .. } = &self.state else { return Ok(()) };
        if Instant::now() < *retry_at {
            return Err(*cause);
        }
        match self.reopen() {
            Ok(engine) => {
                tracing::info!("the store takes writes again");
                self.doubtful.clear();
                self.state = State::Open(engine);
                self.writable.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(cause) => {
                self.close(cause);
                Err(cause)
            }
        }
    }

    fn reopen(&self) -> Result<Engine, SwapError> {
        if !wait_until_closed(&self.dir) {
            return Err(SwapError::Unavailable);
        }
        let engine =
            Engine::open(&self.dir, self.options.write_buffer).map_err(|error| open_refusal(&error))?;
        let mut repair = vec![Write { key: PROBE_KEY.into(), value: Some(encode(self.last, b"")) }];
        repair.extend(self.doubtful.iter().map(|(engine_key, Doubtful { index, key })| Write {
            key: engine_key.clone(),
            value: index.read(key, encode),
        }));
        engine.write(repair)?;
        Ok(engine)
    }

    /// Drops the engine, which takes no write after a failed one until it is opened anew.
    fn close(&mut self, cause: SwapError) {
        let failures = match &self.state {
            State::Open(_) => {
                tracing::error!(%cause, "the store is read-only");
                0
            }
            State::Closed { failures, .. } => failures.saturating_add(1),
        };
        let wait = self.options.reopen_every * 2u32.saturating_pow(failures).min(SLOWEST_REOPEN);
        self.writable.store(false, Ordering::Relaxed);
        self.state = State::Closed { cause, retry_at: Instant::now() + wait, failures };
    }
}

fn writes(group: &[Job], verdicts: &[Result<Version, SwapError>]) -> Vec<Write> {
    let decided = group.iter().zip(verdicts);
    decided
        .filter_map(|(job, verdict)| {
            let version = verdict.ok()?;
            let value = job.new.as_ref().map(|value| encode(version, value));
            Some(Write { key: job.index.engine_key(&job.key), value })
        })
        .collect()
}

fn refuse(group: Vec<Job>, refusal: SwapError) {
    for job in group {
        let _ = job.reply.send(Err(refusal));
    }
}
