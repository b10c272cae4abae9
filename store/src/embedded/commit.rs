//! The one thread that decides and writes: it takes waiting swaps as a group, decides each against what the one
//! before it left, writes the group with one sync, shows it to readers, and answers.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Index;
use super::engine::{Engine, Write, encode, open_refusal, wait_until_closed};
use crate::{FetchError, Options, Record, SwapError, Version};

/// How long a group waits before it first looks whether anyone joined; then twice as long, and so on. A group that
/// no one joined and that is as large as the one before is written at once, so that a lone writer waits no longer.
const GAP: Duration = Duration::from_micros(100);

/// Longest time between two attempts to open again, in multiples of [`Options::reopen_every`].
const SLOWEST_REOPEN: u32 = 8;

/// A commit that takes longer is worth a line in the log: after 500 ms (T1) a sender over UDP asks again.
const SLOW: Duration = Duration::from_millis(300);

/// Such lines come no more often than this.
const NOTE_SLOW_EVERY: Duration = Duration::from_secs(60);

/// Written to see whether writing works. Its space is the empty name, which loading passes over.
const PROBE_KEY: &[u8] = b"\0probe";

/// What waits for the thread.
pub(super) enum Job {
    Swap(Swap),
    Fetch(Fetch),
}

/// A look at a value that is on the disk only. It waits its turn among the swaps, so that what it finds is
/// what the index has.
pub(super) struct Fetch {
    pub(super) index: Arc<Index>,
    pub(super) key: Box<[u8]>,
    pub(super) reply: oneshot::Sender<Result<Option<Record>, FetchError>>,
}

/// A swap that waits.
pub(super) struct Swap {
    pub(super) index: Arc<Index>,
    pub(super) key: Box<[u8]>,
    pub(super) expected: Option<Version>,
    pub(super) new: Option<Bytes>,
    pub(super) reply: Reply,
}

/// The way to the one who waits.
pub(super) struct Reply {
    sender: oneshot::Sender<Result<Version, SwapError>>,
    /// Where it waits.
    runtime: Option<Handle>,
}

impl Reply {
    pub(super) fn new(sender: oneshot::Sender<Result<Version, SwapError>>) -> Self {
        Self { sender, runtime: Handle::try_current().ok() }
    }
}

type Answers = Vec<(oneshot::Sender<Result<Version, SwapError>>, Result<Version, SwapError>)>;

/// Answers all, with one wake-up for each runtime and not for each who waits on it.
fn answer(replies: impl Iterator<Item = (Reply, Result<Version, SwapError>)>) {
    let mut homes: Vec<(Option<Handle>, Answers)> = Vec::new();
    for (Reply { sender, runtime }, verdict) in replies {
        let id = |runtime: &Option<Handle>| runtime.as_ref().map(Handle::id);
        match homes.iter_mut().find(|(home, _)| id(home) == id(&runtime)) {
            Some((_, answers)) => answers.push((sender, verdict)),
            None => homes.push((runtime, vec![(sender, verdict)])),
        }
    }
    let tell = |answers: Answers| {
        for (sender, verdict) in answers {
            // Whoever does not wait any more does not need the answer.
            let _ = sender.send(verdict);
        }
    };
    for (home, answers) in homes {
        match home {
            Some(runtime) => drop(runtime.spawn(async move { tell(answers) })),
            None => tell(answers),
        }
    }
}

pub(super) struct Committer {
    dir: PathBuf,
    options: Options,
    last: Version,
    /// Records in the last group: as many may come again.
    expected: usize,
    state: State,
    /// When a slow commit was last told of.
    slow_noted: Option<Instant>,
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
        Self {
            dir,
            options,
            last,
            expected: 1,
            state: State::Open(engine),
            slow_noted: None,
            doubtful: HashMap::new(),
            writable,
        }
    }

    /// Works until all handles of the store are dropped and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Job>) {
        while let Some(jobs) = self.gather(queue) {
            let (mut group, mut fetches) = (Vec::with_capacity(jobs.len()), Vec::new());
            for job in jobs {
                match job {
                    Job::Swap(swap) => group.push(swap),
                    Job::Fetch(fetch) => fetches.push(fetch),
                }
            }
            if !group.is_empty() {
                self.commit(group);
            }
            for Fetch { index, key, reply } in fetches {
                let _ = reply.send(self.fetch(&index, &key));
            }
        }
    }

    fn fetch(&mut self, index: &Index, key: &[u8]) -> Result<Option<Record>, FetchError> {
        self.ensure_open().map_err(|_| FetchError::Unavailable)?;
        let State::Open(engine) = &self.state else { return Err(FetchError::Unavailable) };
        let found = engine.read(&index.engine_key(key)).map_err(|_| FetchError::Unavailable)?;
        Ok(found.map(|(version, value)| Record { version, value }))
    }

    /// The next group. While it gathers the thread sleeps, and is not woken by each who joins.
    fn gather(&mut self, queue: &Receiver<Job>) -> Option<Vec<Job>> {
        let mut group = Vec::with_capacity(self.expected);
        group.push(queue.recv().ok()?);
        let start = Instant::now();
        let mut step = GAP;
        loop {
            let before = group.len();
            group.extend(queue.try_iter().take(self.options.group.saturating_sub(before)));
            let left = self.options.linger.saturating_sub(start.elapsed());
            let all_here = step > GAP && group.len() == before && before >= self.expected;
            if all_here || left.is_zero() || group.len() >= self.options.group {
                break;
            }
            std::thread::sleep(step.min(left));
            step *= 2;
        }
        self.expected = group.len();
        Some(group)
    }

    fn commit(&mut self, group: Vec<Swap>) {
        if let Err(refused) = self.ensure_open() {
            return refuse(group, refused);
        }
        let verdicts = self.decide(&group);
        let writes = writes(&group, &verdicts);
        if !writes.is_empty() {
            let State::Open(engine) = &self.state else { return };
            let (records, began) = (writes.len(), Instant::now());
            let written = engine.write(writes);
            self.note_slow(records, began.elapsed(), &written);
            if let Err(refused) = written {
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
        let shown = group.into_iter().zip(verdicts).map(|(job, verdict)| {
            let Swap { index, key, new, reply, .. } = job;
            if let Ok(version) = verdict {
                index.put(key, new.as_deref().map(|value| (version, value)));
            }
            (reply, verdict)
        });
        answer(shown);
    }

    /// A commit that takes long has senders ask again. What takes long is nearly always the disk: the sync itself, or
    /// one by which the engine seals its journal, for which all others wait.
    fn note_slow(&mut self, records: usize, took: Duration, written: &Result<Duration, SwapError>) {
        let is_new = self.slow_noted.is_none_or(|before| before.elapsed() >= NOTE_SLOW_EVERY);
        if took < SLOW || !is_new {
            return;
        }
        self.slow_noted = Some(Instant::now());
        let tables = written.as_ref().map_or(0, Duration::as_millis);
        tracing::warn!(
            records,
            ms = took.as_millis(),
            of_it_for_tables = tables,
            "the disk is slow to commit"
        );
    }

    /// The outcome of each job if the group gets written.
    fn decide(&mut self, group: &[Swap]) -> Vec<Result<Version, SwapError>> {
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
        let mut adopted = Vec::new();
        for (engine_key, Doubtful { index, key }) in &self.doubtful {
            match index.read(key, encode) {
                // Its whole value is in the engine or nowhere: what is there counts.
                Some(_) if index.front.is_some() => {
                    adopted.push((index, key, engine.read(engine_key)?));
                }
                value => repair.push(Write { key: engine_key.clone(), value }),
            }
        }
        engine.write(repair)?;
        for (index, key, found) in adopted {
            index.put(key.clone(), found.as_ref().map(|(version, value)| (*version, &value[..])));
        }
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

fn writes(group: &[Swap], verdicts: &[Result<Version, SwapError>]) -> Vec<Write> {
    let decided = group.iter().zip(verdicts);
    decided
        .filter_map(|(job, verdict)| {
            let version = verdict.ok()?;
            let value = job.new.as_ref().map(|value| encode(version, value));
            Some(Write { key: job.index.engine_key(&job.key), value })
        })
        .collect()
}

fn refuse(group: Vec<Swap>, refusal: SwapError) {
    answer(group.into_iter().map(|job| (job.reply, Err(refusal))));
}
