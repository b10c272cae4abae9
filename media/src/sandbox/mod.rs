//! A program of others with nothing but time, memory and what it was handed.
//!
//! [`enter`] is called in a process of its own (`bespoke sandbox-exec`), sets limits, gives up privileges, installs the
//! filters of `filter` and becomes the program. What holds from then on, for it and whatever it may be made to run:
//!
//! | what | by |
//! |---|---|
//! | no more seconds of processor time, octets of memory, open files than said | rlimits |
//! | no file written, no core | RLIMIT_FSIZE and RLIMIT_CORE of 0, and no open for writing |
//! | no socket, no other program, no process of its own, nobody else's memory | seccomp: the attempt ends it |
//! | everything else that decoding does not need | seccomp: ENOSYS |
//! | no processor that the server itself wants at the moment | a nice value of 5 |
//! | no privilege by a set-uid file | no-new-privileges |
//! | not longer than whoever started it | the death signal of its parent's thread |
//!
//! Files that its user may read it may read, as every shared library of it must be: what it is told to read is bounded by
//! its own options ([`crate::Ffmpeg`]) and, where the kernel has Landlock, to the folders programs are in.

mod filter;
mod landlock;

use std::convert::Infallible;
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::fcntl::AtFlags;
use rustix::fs::{Mode, OFlags};
use rustix::process::{Resource, Rlimit, Signal};

/// Limits on the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cage {
    /// Seconds of processor time; then it is killed.
    pub cpu: u64,
    /// Octets of address space.
    pub memory: u64,
    /// Open files.
    pub files: u64,
}

impl Default for Cage {
    fn default() -> Cage {
        Cage { cpu: 10, memory: 1 << 30, files: 32 }
    }
}

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
pub enum EnterError {
    /// It is not there, or may not be executed.
    #[error("{}: {why}", program.display())]
    Program {
        /// Which.
        program: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
    /// A limit was refused.
    #[error("the limit {which} is refused: {why}")]
    Limit {
        /// Which.
        which: &'static str,
        /// What the system says.
        why: std::io::Error,
    },
    /// The filters were not taken: a kernel without seccomp, or one that is told to refuse it.
    #[error("the filter of system calls is refused: {0}")]
    Filter(String),
    /// An argument with a zero in it.
    #[error("an argument holds a zero octet")]
    Argument,
}

/// Signalling and streams go before what a clip is turned into.
const NICE: i32 = 5;

/// File descriptors from here on are ours, below the program's limit none is.
const OUT_OF_REACH: u64 = 512;

/// Becomes `program`, caged. Its standard streams stay; everything else must be closed on exec already.
///
/// # Errors
/// [`EnterError`]: nothing was started.
pub fn enter(cage: Cage, program: &PathBuf, arguments: Vec<OsString>) -> Result<Infallible, EnterError> {
    let failed = |why: rustix::io::Errno| EnterError::Program { program: program.clone(), why: why.into() };
    let file = rustix::fs::open(program, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    // Executed by this number alone, which the program can never get: its own end at `cage.files`.
    let reach = i32::try_from(OUT_OF_REACH.max(cage.files)).unwrap_or(i32::MAX);
    let file = rustix::io::fcntl_dupfd_cloexec(&file, reach).map_err(failed)?;
    let text = |text: OsString| CString::new(text.into_vec()).map_err(|_| EnterError::Argument);
    let name = text(program.as_os_str().to_owned())?;
    let arguments: Vec<CString> =
        std::iter::once(Ok(name)).chain(arguments.into_iter().map(text)).collect::<Result<_, _>>()?;
    // Messages in English, numbers with points, and nothing else of ours.
    let environment = [c"LC_ALL=C"];
    let filters = filter::compile(&file).map_err(|error| EnterError::Filter(error.to_string()))?;
    give_up(cage)?;
    landlock::restrict(program);
    for filter in filters {
        seccompiler::apply_filter(&filter).map_err(|error| EnterError::Filter(error.to_string()))?;
    }
    let error = match nix::unistd::execveat(&file, c"", &arguments, &environment, AtFlags::AT_EMPTY_PATH) {
        Ok(never) => match never {},
        Err(error) => error,
    };
    Err(EnterError::Program { program: program.clone(), why: error.into() })
}

/// Limits and privileges.
fn give_up(cage: Cage) -> Result<(), EnterError> {
    let refused = |which| move |why: rustix::io::Errno| EnterError::Limit { which, why: why.into() };
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(refused("death signal"))?;
    rustix::process::nice(NICE).map_err(refused("nice value"))?;
    rustix::thread::set_no_new_privs(true).map_err(refused("no new privileges"))?;
    let limits = [
        // No signal comes before the end: ffmpeg would take it for a wish.
        (Resource::Cpu, "cpu", cage.cpu),
        (Resource::As, "memory", cage.memory),
        (Resource::Nofile, "files", cage.files),
        (Resource::Fsize, "file size", 0),
        (Resource::Core, "core", 0),
    ];
    for (resource, which, most) in limits {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(resource, limit).map_err(refused(which))?;
    }
    Ok(())
}
