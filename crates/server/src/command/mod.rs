//! One file per command.

mod config;
mod demo;
mod doctor;
mod lake;
mod policy;
mod pressure;
mod query;
mod rules;
mod serve;
mod tenant;

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::{Cli, Command};
use crate::settings::{self, Resolved};

/// Runs the command that was asked for.
pub async fn run(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Command::Serve(args) => serve::run(resolved(&args)?).await,
        Command::Demo(mut args) => {
            args.demo = true;
            args.no_auth = true;
            // kept until the process ends, so that a demo leaves nothing behind
            let folder = demo::temporary_folder(&mut args)?;
            let code = serve::run(resolved(&args)?).await;
            drop(folder);
            code
        }
        Command::Rules(command) => Ok(rules::run(command).await),
        Command::Policy(command) => policy::run(command).await,
        Command::Query(args) => query::run(args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Lake(command) => lake::run(command).await,
        Command::Tenant(command) => tenant::run(command).await,
        Command::Config(command) => config::run(&command),
        Command::Version => {
            println!("tracehound {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn resolved(args: &crate::cli::ServeArgs) -> Result<Resolved> {
    Ok(settings::resolve(settings::read(args)?)?)
}
