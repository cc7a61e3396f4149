//! `tracehound query`: one SQL query over a data directory that no server is using.

use std::process::ExitCode;

use anyhow::{Context, Result};
use arrow::json::LineDelimitedWriter;
use arrow::util::pretty::pretty_format_batches;
use model::TenantId;
use query::{Limits, Query};
use runtime::Clock;

use crate::cli::{Output, QueryArgs, ServeArgs};
use crate::{lock, settings, wiring};

/// Opens the store, puts back what the log holds, runs the query and prints its rows.
pub async fn run(args: QueryArgs) -> Result<ExitCode> {
    let given = ServeArgs { config: args.config, data_dir: args.data_dir, ..ServeArgs::default() };
    let resolved = settings::resolve(settings::read(&given)?)?;
    let folder = &resolved.settings.server.data_dir;
    anyhow::ensure!(folder.is_dir(), "data directory {} does not exist", folder.display());
    let tenant: TenantId = args.tenant.parse().context("--tenant")?;
    let _lock = lock::lock(folder).context("a server's own data is queried through its API")?;
    let lake = wiring::open_store(&resolved).await?;
    let query = Query::new(lake, Clock::system(), Limits::default())?;
    let result = query.sql(&tenant, &args.sql).await?;
    match args.output {
        Output::Text => println!("{}", pretty_format_batches(&result.batches)?),
        Output::Json => {
            let mut writer = LineDelimitedWriter::new(std::io::stdout().lock());
            writer.write_batches(&result.batches.iter().collect::<Vec<_>>())?;
            writer.finish()?;
        }
    }
    if result.truncated {
        eprintln!("only the first rows are shown: the row limit was reached");
    }
    Ok(ExitCode::SUCCESS)
}
