//! The door of the house: reads the command line, and hands over to one command.
//!
//! *Owns* settings, wiring and the order of start and stop. *Promises* that what was acknowledged survives the stop.
//! *Refuses to know* what the rooms do inside.

mod cli;
mod command;
mod lock;
mod pack;
mod settings;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    // two libraries in the house bring TLS; they share the one provider chosen here
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("tracehound").build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command::run(cli)) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
