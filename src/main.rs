//! Bespoke: a SIP registrar, proxy and presence server that tailors every message to the terminal that
//! receives it.
//!
//! `cli` reads the command, `config` the TOML, `app` builds the server from the rooms and runs it, `admin` is
//! what operators see.

mod admin;
mod app;
mod cli;
mod config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
