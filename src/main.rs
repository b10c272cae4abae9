//! Bespoke: a SIP registrar, proxy and presence server that tailors every message to the terminal that
//! receives it.

mod cli;
mod config;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
