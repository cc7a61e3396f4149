//! What log lines cost to keep and to search: bytes on disk, CPU until everything is merged, words, texts, expressions.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use tests::Server;

use crate::lake::{AGO, SETTINGS, deliver, wait_until_quiescent};
use crate::{Cores, log_lines, median, pin, usage};

/// Lines that are stored, unless `TRACEHOUND_BENCH_LINES` says otherwise.
const LINES: u64 = 10_000_000;
const SEARCHES: usize = 7;

/// What is looked for: its name, the condition, what peers are asked.
pub const ASKED: [(&str, &str, &str); 8] = [
    ("rare word", "word", "certificate"),
    ("common word", "word", "payment"),
    ("absent word", "word", "nowhere"),
    ("text with a whole word, rare", "text", "TLS certificate of edge"),
    ("text without a whole word, rare", "text", "ertificat"),
    ("text, common", "text", "set by pe"),
    ("expression with a literal", "regex", r"declined: [a-z]+ funds \(code 5[0-4]\)"),
    ("expression, rare", "regex", "expires in [0-9]+ day"),
];

/// Lines that are stored.
pub fn lines() -> u64 {
    std::env::var("TRACEHOUND_BENCH_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(LINES)
}

/// Stores the lines, waits until nothing is left to be done, then asks. Data that is in `TRACEHOUND_BENCH_DATA` already is
/// only asked.
pub fn run() -> Result<()> {
    let lines = lines();
    let kept = std::env::var_os("TRACEHOUND_BENCH_DATA").map(PathBuf::from);
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("bench.toml");
    fs::write(&config, SETTINGS)?;
    let data = kept.unwrap_or_else(|| folder.path().join("data"));
    let is_there = data.is_dir();
    let server = Server::start(&data, &["--config", &config.to_string_lossy()])?;
    println!("## logs\n\n{lines} lines, OTLP/HTTP; server on core 0 while it takes in, on both while it is asked\n");
    if !is_there {
        store(&server, lines)?;
    }
    pin(std::process::id(), Cores::SHARED.load)?;
    pin(server.pid(), Cores::SHARED.server)?;
    ask(&server)
}

fn store(server: &Server, lines: u64) -> Result<()> {
    pin(std::process::id(), Cores::ONE_EACH.load)?;
    pin(server.pid(), Cores::ONE_EACH.server)?;
    let before = usage::cpu_seconds(server.pid())?;
    let started = Instant::now();
    let start = tests::unix_nanos() - AGO.as_nanos() as u64;
    let bytes = deliver(server, "logs", log_lines::bodies(lines, start))?;
    let (sending, taken_in) = (started.elapsed(), usage::cpu_seconds(server.pid())? - before);
    wait_until_quiescent(server)?;
    let cpu_seconds = usage::cpu_seconds(server.pid())? - before;
    let (columns, indexes) = (server.metric("tracehound_lake_bytes")?, server.metric("tracehound_lake_index_bytes")?);
    let per_line = |amount: f64| amount / lines as f64;
    println!("| what | |\n|---|---|");
    println!("| taken in | {:.0} lines/s |", lines as f64 / sending.as_secs_f64());
    println!("| CPU until the last answer | {:.2} us/line |", per_line(taken_in * 1e6));
    println!("| CPU until quiescent | {:.2} us/line |", per_line(cpu_seconds * 1e6));
    println!("| files | {} |", server.metric("tracehound_lake_files")?);
    println!("| OTLP as sent | {:.1} bytes/line |", per_line(bytes as f64));
    println!("| columns | {:.2} bytes/line |", per_line(columns));
    println!("| indexes | {:.2} bytes/line |", per_line(indexes));
    println!("| **together** | **{:.2} bytes/line** |", per_line(columns + indexes));
    println!("| peak RSS | {:.0} MiB |", usage::peak_rss_mib(server.pid())?);
    Ok(())
}

/// Each question once to warm up, then again and again.
fn ask(server: &Server) -> Result<()> {
    let to = tests::unix_nanos();
    let from = to - 24 * AGO.as_nanos() as u64;
    let mut rows = Vec::new();
    for (what, field, asked) in ASKED {
        let asked: String = asked.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let mut figures = Vec::new();
        let mut found = 0;
        for path in [format!("logs/count?{field}={asked}"), format!("logs/search?{field}={asked}&limit=100")] {
            let path = format!("/api/v1/{path}&start={from}&end={to}");
            let answer = server.get(&path)?;
            if let Some(count) = answer["count"].as_u64() {
                found = count;
            } else {
                let items = answer["items"].as_array().map_or(0, Vec::len) as u64;
                ensure!(items == found.min(100), "{what}: {items} of {found}");
            }
            let (before, mut took) = (usage::cpu_seconds(server.pid())?, Vec::new());
            for _ in 0..SEARCHES {
                let asked = Instant::now();
                server.get(&path)?;
                took.push(asked.elapsed().as_secs_f64() * 1e3);
            }
            let cpu_seconds = usage::cpu_seconds(server.pid())? - before;
            figures.push(format!("{:.1} | {:.0}", median(took), cpu_seconds * 1e3 / SEARCHES as f64));
        }
        rows.push(format!("| {what} | {found} | {} |", figures.join(" | ")));
    }
    println!(
        "\n| question | lines found | count p50 ms | CPU ms | newest 100 p50 ms | CPU ms |\n|---|---|---|---|---|---|"
    );
    println!("{}\n", rows.join("\n"));
    Ok(())
}
