//! `tracehound lake`: stored events as files. Reads the catalog beside whoever writes it.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use lake::{Fault, Inspection, Standing, Sum};
use runtime::Database;
use serde_json::json;

use crate::cli::{LakeArgs, LakeCommand, Output, ServeArgs};
use crate::settings;
use crate::wiring::{keys, path};

/// Runs one of the commands.
pub async fn run(command: LakeCommand) -> Result<ExitCode> {
    let (LakeCommand::Stats(args) | LakeCommand::Verify(args) | LakeCommand::RebuildIndex(args)) = &command;
    let inspection = open(args).await?;
    let output = args.output;
    let faults = match &command {
        LakeCommand::Stats(_) => {
            print_stats(&inspection, output);
            print_promoted(&inspection, output);
            return Ok(ExitCode::SUCCESS);
        }
        LakeCommand::Verify(_) => tokio::task::spawn_blocking(move || told(inspection.verify(|_| {}), output)).await?,
        LakeCommand::RebuildIndex(_) => {
            tokio::task::spawn_blocking(move || told(inspection.rebuild_indexes(|_| {}), output)).await?
        }
    };
    Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn open(args: &LakeArgs) -> Result<Inspection> {
    let given = ServeArgs { config: args.config.clone(), data_dir: args.data_dir.clone(), ..ServeArgs::default() };
    let resolved = settings::resolve(settings::read(&given)?)?;
    let folder = &resolved.settings.server.data_dir;
    let database = folder.join(path::DATABASE);
    ensure!(database.is_file(), "data directory {} holds no store", folder.display());
    let database = Database::open(&database).await?;
    let keys = keys(&resolved, &database).await?;
    let inspection = Inspection::open(&folder.join(path::LAKE), database, keys).await?;
    Ok(match &resolved.object_store {
        Some(store) => inspection.with_store(store)?,
        None => inspection,
    })
}

fn print_stats(inspection: &Inspection, output: Output) {
    if output == Output::Text {
        println!("everything up to log position {} is in files", inspection.mark());
        println!(
            "{:<16} {:<6} {:<12} {:>8} {:>14} {:>16} {:>14} {:>9} {:>8}",
            "tenant", "signal", "files", "number", "events", "bytes", "index bytes", "b/event", "in store"
        );
    }
    for ((tenant, signal, standing), sum) in inspection.sums() {
        let standing = match standing {
            Standing::Live(level) => format!("level {}", level.number()),
            Standing::Quarantined => "quarantined".to_owned(),
            Standing::Retired => "retired".to_owned(),
        };
        let Sum { files, rows, bytes, index_bytes, remote_files } = sum;
        match output {
            Output::Text => {
                let each = (bytes + index_bytes) as f64 / rows.max(1) as f64;
                println!(
                    "{tenant:<16} {signal:<6} {standing:<12} {files:>8} {rows:>14} {bytes:>16} {index_bytes:>14} {each:>9.2} {remote_files:>8}"
                );
            }
            Output::Json => println!(
                "{}",
                json!({"tenant": tenant.as_str(), "signal": signal.as_str(), "standing": standing, "files": files,
                    "rows": rows, "bytes": bytes, "index_bytes": index_bytes, "remote_files": remote_files})
            ),
        }
    }
}

/// The keys of attributes that have columns in merged files.
fn print_promoted(inspection: &Inspection, output: Output) {
    if output == Output::Text && inspection.promoted().next().is_some() {
        println!("\n{:<16} {:<6} {:<48} {:>8}", "tenant", "signal", "column in merged files", "rows");
    }
    for (tenant, signal, key, share) in inspection.promoted() {
        match output {
            Output::Text => {
                println!(
                    "{tenant:<16} {signal:<6} {:<48} {:>6.2} %",
                    key.column().escape_debug().to_string(),
                    share * 100.0
                );
            }
            Output::Json => println!(
                "{}",
                json!({"tenant": tenant.as_str(), "signal": signal.as_str(), "column": key.column(), "share": share})
            ),
        }
    }
}

/// Prints what is wrong; returns how much that is.
fn told(faults: Vec<Fault>, output: Output) -> usize {
    for Fault { file, error } in &faults {
        match output {
            Output::Text => println!("bad   {}: {error}", file.name),
            Output::Json => {
                println!("{}", json!({"file": file.name, "rows": file.zone.rows, "error": error.to_string()}))
            }
        }
    }
    if faults.is_empty() && output == Output::Text {
        println!("ok    every file is what was written");
    }
    faults.len()
}
