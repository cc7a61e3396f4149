//! One row per client, protocol and compression; what each sent beside what is stored of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde_json::Value;
use tests::{Ports, Server, binary, wait_for};

/// Below the ports that the system gives to outgoing connections: nobody else takes one while the server is away.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Free ports, and later ones at every call.
pub struct FreePorts {
    next: u16,
}

impl FreePorts {
    /// Begins at a place of this process.
    pub fn new() -> Self {
        let offset = std::process::id() % u32::from(PORTS.end - PORTS.start);
        Self { next: PORTS.start + u16::try_from(offset).expect("smaller than the range") }
    }

    /// A port that is free now.
    pub fn take(&mut self) -> Result<u16> {
        for _ in PORTS {
            let port = self.next;
            self.next = if port + 1 == PORTS.end { PORTS.start } else { port + 1 };
            if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
                return Ok(port);
            }
        }
        anyhow::bail!("no port in {PORTS:?} is free")
    }

    /// Ports for a server.
    pub fn for_server(&mut self) -> Result<Ports> {
        Ok(Ports { api: self.take()?, grpc: self.take()?, http: self.take()? })
    }
}

/// One way to send: a service named `run`, that no other row uses.
#[derive(Debug, Clone)]
pub struct Row {
    pub client: &'static str,
    pub protocol: &'static str,
    pub compression: &'static str,
    /// Where its client sends.
    pub endpoint: String,
}

impl Row {
    /// The service name.
    pub fn run(&self) -> String {
        format!("{}-{}-{}", self.client, self.protocol.replace('/', "-"), self.compression)
    }

    /// What a sender is told.
    pub fn order(&self) -> Value {
        order(&self.run(), self.protocol, self.compression, &self.endpoint)
    }
}

/// What a sender is told: as which service to send, and how.
pub fn order(run: &str, protocol: &str, compression: &str, endpoint: &str) -> Value {
    serde_json::json!({"run": run, "protocol": protocol, "compression": compression, "endpoint": endpoint})
}

/// A row for every protocol with every compression, sent straight to the server.
pub fn rows(client: &'static str, protocols: &[&'static str], server: &Server) -> Vec<Row> {
    let mut rows = Vec::new();
    for protocol in protocols {
        for compression in ["none", "gzip"] {
            let endpoint = if *protocol == "grpc" { server.grpc.clone() } else { server.http.clone() };
            rows.push(Row { client, protocol, compression, endpoint });
        }
    }
    rows
}

/// What a client says of one row.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Tally {
    pub run: String,
    pub spans: u64,
    pub logs: u64,
}

/// Spans per service, as the running server shows them.
pub fn spans_shown(server: &Server) -> Result<BTreeMap<String, u64>> {
    let services = server.items("/api/v1/services?limit=1000")?;
    let named = services.iter().filter_map(|service| Some((service["name"].as_str()?, service["spans"].as_u64()?)));
    Ok(named.map(|(name, spans)| (name.to_owned(), spans)).collect())
}

/// Waits until every row has more spans than it had.
pub fn wait_for_more(what: &str, server: &Server, rows: &[Row], before: &BTreeMap<String, u64>) -> Result<()> {
    wait_for(what, || {
        let shown = spans_shown(server)?;
        let had = |shown: &BTreeMap<String, u64>, run: &str| shown.get(run).copied().unwrap_or(0);
        let silent: Vec<_> = rows.iter().map(Row::run).filter(|run| had(&shown, run) <= had(before, run)).collect();
        ensure!(silent.is_empty(), "nothing new from {silent:?}");
        Ok(())
    })
}

/// What is stored of one service.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
struct Stored {
    #[serde(default)]
    spans: u64,
    #[serde(default)]
    span_ids: u64,
    #[serde(default)]
    logs: u64,
    /// Different moments: each log record of a run has its own.
    #[serde(default)]
    moments: u64,
    /// Log records that name a span.
    #[serde(default)]
    joined: u64,
}

/// Asks a data directory that no server uses; one JSON object per row of the answer.
fn query(data: &Path, sql: &str) -> Result<Vec<Value>> {
    let mut command = Command::new(binary());
    command.args(["query", sql, "--output", "json", "--data-dir"]).arg(data);
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "query: {text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).context("query prints JSON")).collect()
}

fn census(data: &Path) -> Result<BTreeMap<String, Stored>> {
    let mut stored = BTreeMap::<String, Stored>::new();
    let of_spans = "SELECT service, count(*) AS spans, count(DISTINCT span_id) AS span_ids FROM spans GROUP BY service";
    let of_logs = "SELECT service, count(*) AS logs, count(DISTINCT time) AS moments, \
                   count(span_id) AS joined FROM logs GROUP BY service";
    for row in query(data, of_spans)? {
        let found: Stored = serde_json::from_value(row.clone())?;
        stored.insert(row["service"].as_str().unwrap_or_default().to_owned(), found);
    }
    for row in query(data, of_logs)? {
        let found: Stored = serde_json::from_value(row.clone())?;
        let entry = stored.entry(row["service"].as_str().unwrap_or_default().to_owned()).or_default();
        (entry.logs, entry.moments, entry.joined) = (found.logs, found.moments, found.joined);
    }
    Ok(stored)
}

/// Prints the matrix of a stopped server's data.
///
/// # Errors
/// Every row in which something is missing, stored twice, or a log record has lost its span.
pub fn check(title: &str, data: &Path, rows: &[Row], tallies: &[Tally]) -> Result<()> {
    let stored = census(data)?;
    let mut wrong = Vec::new();
    println!("\n{title}");
    println!("client        protocol       compression  spans sent  stored    logs sent  stored");
    for row in rows {
        let run = row.run();
        let mut sent = Tally::default();
        for tally in tallies.iter().filter(|tally| tally.run == run) {
            sent.spans += tally.spans;
            sent.logs += tally.logs;
        }
        let found = stored.get(&run).copied().unwrap_or_default();
        println!(
            "{:<13} {:<14} {:<11} {:>11} {:>7} {:>12} {:>7}",
            row.client, row.protocol, row.compression, sent.spans, found.spans, sent.logs, found.logs
        );
        let whole = sent.spans > 0 && sent.logs > 0 && sent.spans == found.spans && sent.logs == found.logs;
        let once = found.span_ids == found.spans && found.moments == found.logs;
        let joined = row.client == "telemetrygen" || found.joined == found.logs;
        if !whole || !once || !joined {
            wrong.push(format!("{run}: sent {} spans and {} log records, {found:?}", sent.spans, sent.logs));
        }
    }
    ensure!(wrong.is_empty(), "sent and stored differ:\n{}", wrong.join("\n"));
    Ok(())
}
