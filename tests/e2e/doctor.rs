//! `tracehound doctor` beside a running server: every stage is shown, and an idle one is held up nowhere.

use std::process::Command;

use anyhow::{Result, ensure};
use tests::{Server, wait_for};

#[test]
fn an_idle_server_has_no_bottleneck_and_every_stage_says_how_full_it_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let listen = server.base.trim_start_matches("http://");
    let said = wait_for("the start to be over", || {
        let doctor = Command::new(tests::binary())
            .args(["doctor", "--listen", listen, "--data-dir"])
            .arg(folder.path())
            .output()?;
        let said = String::from_utf8(doctor.stdout)?;
        ensure!(doctor.status.success() && said.ends_with("bottleneck: none\n"), "{said}");
        Ok(said)
    })?;
    let (checks, pressure) = said.split_once("pressure:\n").expect("the section is there");
    ensure!(checks.contains(&format!("in use by process {}", server.pid())), "{checks}");
    let stages =
        ["connections", "requests", "request bytes", "decode", "log writer", "log budget", "detect", "memtable"];
    ensure!(pressure.lines().count() == stages.len() + 1, "{pressure}");
    for (stage, line) in stages.iter().zip(pressure.lines()) {
        ensure!(line.trim_start().starts_with(stage), "{line}");
        let fill = line.split("fill").nth(1).and_then(|rest| rest.split('%').next()).map(|text| text.trim().parse());
        ensure!(matches!(fill, Some(Ok(0_u8..=50))), "every stage has a fill and a limit: {line}");
    }
    Ok(())
}

#[test]
fn a_server_that_does_not_listen_where_the_settings_say_is_a_warning() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let _server = Server::start(folder.path(), &[])?;
    let doctor = Command::new(tests::binary())
        .args(["doctor", "--listen", "127.0.0.1:1", "--data-dir"])
        .arg(folder.path())
        .output()?;
    let said = String::from_utf8(doctor.stdout)?;
    ensure!(doctor.status.success(), "{said}");
    ensure!(said.contains("warn  pressure:") && said.contains("127.0.0.1:1 (server.listen)"), "{said}");
    Ok(())
}
