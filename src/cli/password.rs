//! A password from whoever sits at the terminal, or from a pipe. Never from the command line, which every user of
//! the machine can read.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Asks for the password of `whom` twice, without showing it; from a pipe it is the first line.
///
/// # Errors
/// What reading says; [`io::ErrorKind::InvalidInput`] if the two differ.
pub(super) fn read(whom: &str) -> io::Result<String> {
    if !io::stdin().is_terminal() {
        return line();
    }
    let hidden = Hidden::begin()?;
    let first = ask(&format!("password of {whom}: "))?;
    let second = ask("once more: ")?;
    drop(hidden);
    if first == second {
        Ok(first)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "the two differ"))
    }
}

fn ask(prompt: &str) -> io::Result<String> {
    let mut out = io::stderr().lock();
    write!(out, "{prompt}").and_then(|()| out.flush())?;
    let line = line();
    writeln!(out)?;
    line
}

fn line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        let _terminal_is_gone = tcsetattr(io::stdin(), OptionalActions::Flush, &self.before);
    }
}
