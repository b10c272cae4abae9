//! Whether there is one, and whether it runs in its cage.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::{Bounds, Ffmpeg, Inner, Launcher, RunError, launch};

/// What asking it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Octets of its answers.
const MOST_ANSWER: usize = 1 << 20;

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// Not there.
    #[error("no ffmpeg on the search path")]
    NotInstalled,
    /// Not at the path that was given.
    #[error("{} is no file", .0.display())]
    NoFile(PathBuf),
    /// It does not run in its cage, and without it it is not run.
    #[error("{} does not run in its cage: {why}", program.display())]
    Caged {
        /// Which.
        program: PathBuf,
        /// What came of it.
        why: RunError,
    },
}

pub(super) fn find(
    program: Option<PathBuf>,
    launcher: Launcher,
    bounds: Bounds,
) -> Result<Ffmpeg, FindError> {
    let program = match program {
        Some(program) if program.is_file() => program,
        Some(program) => return Err(FindError::NoFile(program)),
        None => on_path().ok_or(FindError::NotInstalled)?,
    };
    let began = Instant::now();
    let stop = || began.elapsed() > PATIENCE;
    let ask = |question: &str| {
        let arguments = ["-hide_banner", question].map(str::to_owned);
        let answer = launch(&launcher, bounds.cage, &program, &arguments, Stdio::null())
            .and_then(|running| running.collect(MOST_ANSWER, &stop));
        let answer = answer.map_err(|why| FindError::Caged { program: program.clone(), why })?;
        Ok::<_, FindError>(String::from_utf8_lossy(&answer).into_owned())
    };
    let version = ask("-version")?.lines().next().unwrap_or_default().to_owned();
    let encoders = encoders(&ask("-encoders")?);
    Ok(Ffmpeg { inner: std::sync::Arc::new(Inner { program, launcher, bounds, version, encoders }) })
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("ffmpeg")).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// Lines of ` V....D name  what it is` behind a row of dashes.
fn encoders(answer: &str) -> Vec<String> {
    let rows = answer.lines().skip_while(|line| !line.trim_start().starts_with("---"));
    rows.skip(1).filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_encoders_stand_behind_the_dashes() {
        let answer = "Encoders:\n V..... = Video\n ------\n V....D libx264   H.264\n A....D aac  AAC\n";
        assert_eq!(encoders(answer), ["libx264", "aac"]);
    }
}
