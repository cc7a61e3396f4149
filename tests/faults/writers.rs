//! Two processes and one data directory: the second one does not start, also while the first one is held up.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use tests::{Server, serve_command, unix_nanos};

use crate::form::rounds;
use crate::ledger::Ledger;

/// Spans per request.
const SPANS: u64 = 8;

fn signal(name: &str, pid: u32) -> Result<()> {
    ensure!(Command::new("kill").args([name, &pid.to_string()]).status()?.success(), "{name} could not be sent");
    Ok(())
}

/// A second process on the directory ends by itself, and says whose the directory is.
fn refuse_another(data: &Path, first: u32) -> Result<()> {
    let mut command = serve_command(data);
    command.arg("--no-auth").env("TRACEHOUND__LOG__FILTER", "error").stdin(Stdio::null());
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(!output.status.success() && said.contains(&format!("in use by process {first}")), "{said}");
    let query = Command::new(tests::binary()).args(["query", "select 1", "--data-dir"]).arg(data).output()?;
    ensure!(!query.status.success(), "a query opens the store beside the server");
    Ok(())
}

#[test]
fn a_second_process_does_not_start_on_the_directory_of_one_that_is_held_up() -> Result<()> {
    let turns = rounds("TRACEHOUND_WRITERS", 3, 50);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let ledger = Ledger::default();
    let server = Server::start(&data, &[])?;
    for turn in 0..turns {
        for export in simulate::load(turn as u64 + 1, SPANS, unix_nanos()) {
            ensure!(server.export("traces", export.body.clone())?.status().is_success(), "taken");
            ledger.enter(&export.body, false)?;
        }
        signal("-STOP", server.pid())?;
        let refused = refuse_another(&data, server.pid());
        signal("-CONT", server.pid())?;
        refused?;
        refuse_another(&data, server.pid())?;
    }
    ensure!(server.stop()?.success(), "the first one was not disturbed");
    let found = ledger.compare(&data, &[])?;
    println!(
        "two processes: {turns} times stopped and continued, {} starts refused, {} spans acknowledged, {} lost, {} doubled",
        2 * turns,
        found.acknowledged,
        found.lost,
        found.doubled
    );
    ensure!(found.lost == 0 && found.doubled == 0, "{found:?}");
    Ok(())
}
