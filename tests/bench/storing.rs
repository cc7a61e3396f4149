//! What the lake takes by itself, from columns in memory to files that are merged to the end: the work of a database that is
//! given columns, without sockets, OTLP, redaction, the log and the rules.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use lake::{Lake, Settings};
use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos};
use otlp::{Arrival, Format};
use runtime::{Clock, Database};
use tokio::runtime::Runtime;

use crate::corpus::SEED;
use crate::{lake::AGO, usage};

/// Spans that are stored, unless `TRACEHOUND_BENCH_SPANS` says otherwise; all are in memory before the first is.
const SPANS: u64 = 2_000_000;
/// What is over is merged when nothing more has come for a minute.
const QUIET: Duration = Duration::from_secs(70);
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Decodes the spans, then stores them, and prints what the latter took.
pub fn run() -> Result<()> {
    let wanted = std::env::var("TRACEHOUND_BENCH_SPANS").ok().and_then(|text| text.parse().ok()).unwrap_or(SPANS);
    let batches = decoded(wanted);
    let spans: usize = batches.iter().map(EventBatch::len).sum();
    println!("## storing\n\n{spans} spans of the shop, seed {SEED}, decoded before\n\n| what | |\n|---|---|");
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let database = Database::open(&folder.path().join("catalog.db")).await?;
        let settings = Settings { compaction_share: 1.0, ..Settings::new(folder.path().join("lake")) };
        let lake = Lake::open(settings, database, Clock::system()).await?;
        let before = usage::cpu_seconds(std::process::id())?;
        for batch in batches {
            lake.insert(batch);
            if lake.wants_flush() {
                lake.flush().await?;
            }
        }
        lake.flush().await?;
        let per_span = |seconds: f64| 1e6 * seconds / spans as f64;
        let flushed = usage::cpu_seconds(std::process::id())? - before;
        println!("| CPU until everything is in files | {:.2} us/span |", per_span(flushed));
        let mut quiet_since = Instant::now();
        while quiet_since.elapsed() < QUIET {
            match lake.compact_once().await? {
                true => quiet_since = Instant::now(),
                false => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
        let merged = usage::cpu_seconds(std::process::id())? - before;
        println!("| CPU until everything is merged | {:.2} us/span |", per_span(merged));
        let stored = lake.stats();
        let of_spans = stored.signals.iter().find(|stats| stats.signal == Signal::Spans);
        let (rows, bytes) = of_spans.map_or((0, 0), |stats| (stats.file_rows, stats.file_bytes + stats.index_bytes));
        ensure!(rows == spans as u64, "{rows} rows in files");
        println!("| columns and indexes | {:.2} bytes/span |\n", bytes as f64 / spans as f64);
        Ok(())
    })
}

fn decoded(spans: u64) -> Vec<EventBatch> {
    let now = tests::unix_nanos();
    let arrival = Arrival { received_at: UnixNanos(now as i64), ..Arrival::default() };
    let exports = simulate::load(SEED, spans, now - AGO.as_nanos() as u64);
    let batches = (1_u64..).zip(exports).map(|(lsn, export)| {
        let decoded = otlp::decode(Signal::Spans, Format::Protobuf, &export.body, &arrival);
        let (tenant, records) = (TenantId::default_tenant(), decoded.expect("the corpus is valid").records);
        let batch =
            EventBatch { tenant, signal: Signal::Spans, received_at: arrival.received_at, lsn: Lsn(lsn), records };
        batch.placed(Lsn(lsn)).expect("decoded batches have the schema")
    });
    batches.collect()
}
