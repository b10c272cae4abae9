//! The `ffmpeg` that is installed, in the cage of [`crate::sandbox`].
//!
//! It is handed the clip as an anonymous file, told which one demuxer and which decoders may read it, may open that file and
//! nothing else by a URL, and writes to a pipe. Whoever waits for it is asked again and again whether it still wants to; it
//! ends with whoever dropped it, with the thread that started it, and with its own limits.

mod argument;
mod find;
mod look;
mod pcm;
mod recipe;
mod running;

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{MemfdFlags, SealFlags};

use crate::kind::Kind;
use crate::probe::Probe;
use crate::sandbox::Cage;

pub use argument::Source;
pub use find::FindError;
pub use pcm::Samples;
pub use recipe::{Clip, Pictures, Recipe, Sound};
pub use running::{RunError, Running};

/// Asked whether to give up.
pub type Stop = Arc<dyn Fn() -> bool + Send + Sync>;

/// What starts a caged program: our own, with the words before `--cpu`.
#[derive(Clone, Debug)]
pub struct Launcher {
    /// `bespoke`.
    pub program: PathBuf,
    /// `sandbox-exec`.
    pub arguments: Vec<OsString>,
}

/// How much a run may take, beside the cage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The cage.
    pub cage: Cage,
    /// Seconds of a clip that are read; what is behind them is left out.
    pub seconds: u32,
    /// Pixels of a picture that is decoded.
    pub pixels: u32,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { cage: Cage::default(), seconds: 600, pixels: 4 << 20 }
    }
}

/// An `ffmpeg` that was found to run in its cage. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ffmpeg {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    program: PathBuf,
    launcher: Launcher,
    bounds: Bounds,
    version: String,
    encoders: Vec<String>,
}

impl Ffmpeg {
    /// Looks for it at `program`, or on the search path without one, and asks it, caged, what it is. Takes a few tenths of a
    /// second.
    ///
    /// # Errors
    /// [`FindError`]: not there, or not in a cage.
    pub fn find(program: Option<PathBuf>, launcher: Launcher, bounds: Bounds) -> Result<Ffmpeg, FindError> {
        find::find(program, launcher, bounds)
    }

    /// The same, reading so many seconds of a clip.
    #[must_use]
    pub fn reading(&self, seconds: u32) -> Ffmpeg {
        let inner = &*self.inner;
        let bounds = Bounds { seconds, ..inner.bounds };
        Ffmpeg { inner: Arc::new(Inner { bounds, ..inner.clone() }) }
    }

    /// Where it is.
    pub fn program(&self) -> &std::path::Path {
        &self.inner.program
    }

    /// What it says it is.
    pub fn version(&self) -> &str {
        &self.inner.version
    }

    /// Whether it has that encoder.
    pub fn encodes(&self, encoder: &str) -> bool {
        self.inner.encoders.iter().any(|name| name == encoder)
    }

    /// Whether it can make that at all.
    pub fn makes(&self, recipe: &Recipe) -> bool {
        recipe.encoders().iter().all(|encoder| self.encodes(encoder))
    }

    /// What it finds in a clip: whether there is sound, whether there are pictures and how large they are. Decodes nothing.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn look(&self, source: &Source, stop: &dyn Fn() -> bool) -> Result<Probe, RunError> {
        let said = self.start(source, &look::arguments())?.collect(look::MOST_SAID, stop)?;
        Ok(look::read(&String::from_utf8_lossy(&said)))
    }

    /// Makes `recipe` of `source`, in at most `most` octets.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn make(
        &self,
        source: &Source,
        recipe: &Recipe,
        most: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<Bytes, RunError> {
        self.start(source, &recipe.arguments())?.collect(most, stop)
    }

    /// Starts it on `source`; `output` says what comes out of its pipe, `pipe:1` left off. For streams that are passed on
    /// as they are made.
    ///
    /// # Errors
    /// [`RunError::Start`].
    pub fn start(&self, source: &Source, output: &[String]) -> Result<Running, RunError> {
        let bounds = self.inner.bounds;
        let mut arguments = argument::input(source, bounds);
        arguments.extend(output.iter().cloned());
        arguments.extend(["-protocol_whitelist", "pipe", "pipe:1"].map(str::to_owned));
        let input = anonymous(&source.octets).map_err(RunError::Start)?;
        launch(&self.inner.launcher, bounds.cage, &self.inner.program, &arguments, input.into())
    }

    /// Its sound as samples of 16 bits, least significant octet first, as a child gives them.
    ///
    /// # Errors
    /// [`RunError::Start`].
    pub fn samples(&self, source: &Source, rate: u32, channels: u16) -> Result<Running, RunError> {
        self.start(source, &argument::samples(rate, channels))
    }

    /// The sound of `source` as samples, block by block. For kinds that [`crate::decode`] does not read.
    ///
    /// # Errors
    /// [`RunError::Start`].
    pub fn decode(
        &self,
        source: &Source,
        rate: u32,
        channels: u16,
        stop: Stop,
    ) -> Result<Box<dyn crate::Pcm>, RunError> {
        let running = self.samples(source, rate, channels)?;
        Ok(Box::new(pcm::ChildPcm::new(running, rate, channels, stop)))
    }
}

/// Starts `program` in its cage.
fn launch(
    launcher: &Launcher,
    cage: Cage,
    program: &std::path::Path,
    arguments: &[String],
    input: Stdio,
) -> Result<Running, RunError> {
    let mut command = Command::new(&launcher.program);
    command.args(&launcher.arguments);
    for (name, value) in [("--cpu", cage.cpu), ("--memory", cage.memory), ("--files", cage.files)] {
        command.arg(name).arg(value.to_string());
    }
    command.arg("--").arg(program).args(arguments);
    command.env_clear().current_dir("/");
    command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(RunError::Start).and_then(Running::new)
}

/// A file on no path with these octets, which nobody can change.
fn anonymous(octets: &[u8]) -> std::io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("clip", flags)?);
    file.write_all(octets)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(file)
}

/// A clip for it, of a kind it may read.
impl Source {
    /// What it is.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// `None`: no demuxer is let near it.
    pub fn new(octets: Bytes, media_type: &str) -> Option<Source> {
        let kind = Kind::of(media_type, &octets)?;
        argument::demuxer(kind, &octets)?;
        Some(Source { octets, kind })
    }
}
