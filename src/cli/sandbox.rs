//! `bespoke sandbox-exec`: becomes another program, caged. What the server starts ffmpeg with; a person hardly needs it.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::Failure;

/// The limits, and behind `--` the program.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Seconds of processor time
    #[arg(long, default_value_t = media::Cage::default().cpu)]
    cpu: u64,
    /// Octets of memory
    #[arg(long, default_value_t = media::Cage::default().memory)]
    memory: u64,
    /// Open files
    #[arg(long, default_value_t = media::Cage::default().files)]
    files: u64,
    /// The program
    program: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Returns only if the program was not started.
pub(super) fn run(args: SandboxArgs) -> Result<(), Failure> {
    let cage = media::Cage { cpu: args.cpu, memory: args.memory, files: args.files };
    match media::enter(cage, &args.program, args.arguments) {
        Ok(never) => match never {},
        Err(error) => Err(error.into()),
    }
}
