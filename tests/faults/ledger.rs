//! What was acknowledged, and the comparison of it with what is stored.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};
use prost::Message;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use serde_json::Value;
use tests::dice::Dice;
use tests::{Server, binary};

/// Traces that one query counts, about; one answers at most 10,000 rows.
const TRACES_PER_QUERY: usize = 4_000;

/// A trace of the ledger.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// Spans that were acknowledged.
    spans: u64,
    /// Whether its request was sent more than once, so that it may be stored more than once; answers show it once.
    again: bool,
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Found {
    /// Traces that were acknowledged.
    pub traces: u64,
    /// Spans that were acknowledged.
    pub acknowledged: u64,
    /// Of these, spans that are not stored.
    pub lost: u64,
    /// Spans stored more than once though they were sent once.
    pub doubled: u64,
    /// Spans stored more than once because they were sent more than once; readers fold them.
    pub folded: u64,
}

/// Acknowledged spans by trace.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<String, Sent>>);

impl Ledger {
    /// Enters a request that was acknowledged; `again` when it was sent before.
    ///
    /// # Errors
    /// When it is no request.
    pub fn enter(&self, body: &[u8], again: bool) -> Result<u64> {
        let mut spans = 0;
        let mut traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in ExportTraceServiceRequest::decode(body)?.resource_spans {
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let trace = traces.entry(hex::encode(span.trace_id)).or_default();
                trace.spans += 1;
                trace.again |= again;
                spans += 1;
            }
        }
        Ok(spans)
    }

    /// Spans entered.
    pub fn spans(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().map(|trace| trace.spans).sum()
    }

    /// Counts every acknowledged trace in a store that no server is using.
    ///
    /// # Errors
    /// When it cannot be asked. What is lost or doubled is no error here.
    pub fn compare(&self, data: &Path, flags: &[&str]) -> Result<Found> {
        let traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Found { traces: traces.len() as u64, ..Found::default() };
        let parts = traces.len().div_ceil(TRACES_PER_QUERY).max(1);
        for part in 0..parts {
            let bound = |part: usize| format!("{:04x}{:028x}", part * 0xffff / parts, 0);
            let (from, to) = (bound(part), if part + 1 == parts { "f".repeat(32) } else { bound(part + 1) });
            let stored = count(data, flags, &from, &to)?;
            for (trace, sent) in traces.range(from..to) {
                let (copies, spans) = stored.get(trace).copied().unwrap_or_default();
                found.acknowledged += sent.spans;
                found.lost += sent.spans.saturating_sub(spans);
                let more = copies.saturating_sub(sent.spans);
                *(if sent.again { &mut found.folded } else { &mut found.doubled }) += more;
            }
        }
        Ok(found)
    }

    /// Asks the API for up to `count` traces, half of them sent more than once if there are as many; each span is in the
    /// answer once.
    ///
    /// # Errors
    /// Names the first trace that has not the spans that were acknowledged.
    pub fn read_back(&self, server: &Server, count: usize, dice: &mut Dice) -> Result<usize> {
        let traces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (again, once): (Vec<_>, Vec<_>) = traces.iter().partition(|(_, sent)| sent.again);
        let mut asked = 0;
        for group in [again, once] {
            for _ in 0..group.len().min(count / 2) {
                let (trace, sent) = group[dice.below(group.len())];
                let answer = server.get(&format!("/api/v1/traces/{trace}"))?;
                let shown = answer["spans"].as_array().map_or(0, |spans| spans.len() as u64);
                ensure!(shown == sent.spans, "trace {trace}: {} spans acknowledged, {shown} shown", sent.spans);
                asked += 1;
            }
        }
        Ok(asked)
    }
}

/// Rows and different spans of every stored trace in the range.
fn count(data: &Path, flags: &[&str], from: &str, to: &str) -> Result<BTreeMap<String, (u64, u64)>> {
    let sql = format!(
        "select encode(trace_id, 'hex') as trace, count(*) as copies, count(distinct span_id) as spans from spans \
         where trace_id >= x'{from}' and trace_id < x'{to}' group by 1"
    );
    let rows = ask(data, flags, &sql)?;
    ensure!(rows.len() < 10_000, "more traces than one answer holds");
    let row = |row: &Value| {
        let number = |name: &str| row[name].as_u64().with_context(|| format!("a number {name}: {row}"));
        let trace = row["trace"].as_str().with_context(|| format!("a trace: {row}"))?;
        Ok((trace.to_owned(), (number("copies")?, number("spans")?)))
    };
    rows.iter().map(row).collect()
}

/// The rows of an SQL query to a store that no server is using.
///
/// # Errors
/// What the command said.
pub fn ask(data: &Path, flags: &[&str], sql: &str) -> Result<Vec<Value>> {
    let mut command = Command::new(binary());
    command.args(["query", "--output", "json", "--data-dir"]).arg(data).args(flags).arg(sql);
    let output = command.env("TRACEHOUND__LOG__FILTER", "error").output()?;
    ensure!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout)?;
    lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
