//! Nothing that was sent lies in the data directory in plain text, and what was erased is gone, with the real binary.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use tests::{Server, binary, serve_command, unix_nanos};

/// Spans sent before and after a crash, each.
const SPANS: u64 = 600;

fn config(folder: &Path) -> Result<PathBuf> {
    let (config, keys) = (folder.join("tracehound.toml"), folder.join("keys"));
    let mut file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&keys)?;
    writeln!(file, "2026-11 {}", "7".repeat(64))?;
    fs::write(&config, format!("[encryption]\nkey_file = {keys:?}\n"))?;
    Ok(config)
}

/// Whether any file of log or lake has the text.
fn has(dir: &Path, text: &[u8]) -> Result<bool> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            if has(&path, text)? {
                return Ok(true);
            }
        } else if fs::read(&path)?.windows(text.len()).any(|window| window == text) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn send(server: &Server, seed: u64) -> Result<()> {
    for export in simulate::load(seed, SPANS, unix_nanos() - 60_000_000_000) {
        ensure!(server.export("traces", export.body)?.status().is_success(), "taken");
    }
    Ok(())
}

fn tracehound(command: &[&str], data: &Path, flags: &[&str]) -> Result<Output> {
    Ok(Command::new(binary()).args(command).arg("--data-dir").arg(data).args(flags).output()?)
}

#[test]
fn events_are_encrypted_on_disk_and_an_erased_tenant_is_gone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let config = config(folder.path())?;
    let flags = ["--config", &*config.to_string_lossy()];
    let data = folder.path().join("data");
    let server = Server::start(&data, &flags)?;
    send(&server, 1)?;
    ensure!(!has(&data.join("wal"), b"service.name")?, "the log says nothing");
    // what the log holds is read again after a crash
    server.kill()?;
    let server = Server::start(&data, &flags)?;
    send(&server, 2)?;
    let search = "/api/v1/traces/search?limit=5";
    let trace = server.get(search)?["items"][0]["trace_id"].as_str().unwrap_or_default().to_owned();
    server.stop()?;
    ensure!(!has(&data.join("wal"), b"service.name")? && !has(&data.join("lake"), b"service.name")?, "nor do files");
    let server = Server::start(&data, &flags)?;
    ensure!(server.get(search)?["items"].as_array().is_some_and(|items| items.len() == 5), "the search reads them");
    ensure!(server.get(&format!("/api/v1/traces/{trace}"))?["spans"].is_array(), "and so does the lookup");
    let refused = tracehound(&["tenant", "erase", "default", "--yes"], &data, &flags)?;
    ensure!(!refused.status.success(), "a server is running");
    server.stop()?;
    let counted = tracehound(&["query", "select count(*) as n from spans", "--output", "json"], &data, &flags)?;
    let counted = String::from_utf8_lossy(&counted.stdout).into_owned();
    ensure!(counted.contains(&format!("\"n\":{}", 2 * SPANS)), "{counted}");
    ensure!(tracehound(&["lake", "verify"], &data, &flags)?.status.success(), "whole");

    let without = serve_command(&data).arg("--no-auth").output()?;
    let said = String::from_utf8_lossy(&without.stderr).into_owned();
    ensure!(!without.status.success() && said.contains("no key file is set"), "{said}");

    ensure!(!tracehound(&["tenant", "erase", "default"], &data, &flags)?.status.success(), "asks for --yes");
    let erased = tracehound(&["tenant", "erase", "default", "--yes"], &data, &flags)?;
    ensure!(erased.status.success(), "{}", String::from_utf8_lossy(&erased.stderr));
    let verify = tracehound(&["lake", "verify"], &data, &flags)?;
    let said = String::from_utf8_lossy(&verify.stdout).into_owned();
    ensure!(!verify.status.success() && said.contains("the key of tenant default was erased"), "{said}");
    let server = Server::start(&data, &flags)?;
    let answer = server.get(search)?;
    ensure!(answer["items"].as_array().is_some_and(Vec::is_empty), "{answer}");
    ensure!(answer["missing_files"].as_array().is_some_and(|missing| !missing.is_empty()), "{answer}");
    // who comes back is stored again
    send(&server, 3)?;
    ensure!(server.get(search)?["items"].as_array().is_some_and(|items| items.len() == 5), "under another key");
    server.stop()?;

    // and what is not encrypted does say it
    let plain = folder.path().join("plain");
    let server = Server::start(&plain, &[])?;
    send(&server, 1)?;
    ensure!(has(&plain.join("wal"), b"service.name")?, "the comparison finds what it looks for");
    server.stop()?;
    Ok(())
}
