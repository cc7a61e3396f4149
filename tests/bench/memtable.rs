//! What inserting into memory costs, and how long an insert waits for whoever else has its lock.
//!
//! The lake takes batches in log order from one thread, the log's own (decision 0011). Here more threads take turns at it,
//! as if there were more, beside threads that take snapshots as fast as they can, the task that joins batches, and
//! flushes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use lake::{Lake, Settings};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos};
use otlp::{Arrival, Format};
use runtime::{Clock, Database, Stop, Supervisor};
use tokio::runtime::Runtime;

use crate::corpus::Corpus;

/// How long each line of the table is measured.
const LASTS: Duration = Duration::from_secs(5);
/// Batches a second: 200,000 spans a second is what one core takes in at most.
const BATCHES_PER_SEC: u32 = 400;

/// Who is at it at once.
struct Crowd {
    writers: usize,
    readers: usize,
    is_paced: bool,
}

const CROWDS: [Crowd; 6] = [
    Crowd { writers: 1, readers: 0, is_paced: true },
    Crowd { writers: 1, readers: 1, is_paced: true },
    Crowd { writers: 2, readers: 1, is_paced: true },
    Crowd { writers: 4, readers: 1, is_paced: true },
    Crowd { writers: 4, readers: 4, is_paced: true },
    Crowd { writers: 4, readers: 1, is_paced: false },
];

/// Prints a line for every crowd.
pub fn run(corpus: &Corpus) -> Result<()> {
    let batches = decoded(corpus);
    println!("## memory\n\nbatches of 500 spans of the shop; {BATCHES_PER_SEC} a second where paced\n");
    println!(
        "| threads that insert, that take snapshots | spans/s | snapshots/s | insert p50 us | p99 us | longest us | ns/span | share of the time |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for crowd in CROWDS {
        measure(&batches, &crowd)?;
    }
    println!();
    Ok(())
}

fn decoded(corpus: &Corpus) -> Vec<EventBatch> {
    let arrival = Arrival { received_at: UnixNanos(tests::unix_nanos() as i64), ..Arrival::default() };
    let decode = |body: &[u8]| {
        let decoded = otlp::decode(Signal::Spans, Format::Protobuf, body, &arrival).expect("the corpus is valid");
        let (tenant, records) = (TenantId::default_tenant(), decoded.records);
        EventBatch { tenant, signal: Signal::Spans, received_at: arrival.received_at, lsn: Lsn(0), records }
    };
    corpus.bodies.iter().map(|(body, _)| decode(body)).collect()
}

fn measure(batches: &[EventBatch], crowd: &Crowd) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let tokio = Runtime::new()?;
    let lake = tokio.block_on(async {
        let database = Database::open(&folder.path().join("catalog.db")).await?;
        anyhow::Ok(Lake::open(Settings::new(folder.path().join("lake")), database, Clock::system()).await?)
    })?;
    let supervisor = Supervisor::new();
    let (freezing, flushing) = (lake.clone(), lake.clone());
    {
        let _inside = tokio.enter();
        supervisor.start("freeze", |stop| async move { freezing.keep_frozen(stop).await });
        supervisor.start("flush", |stop| keep_flushed(flushing, stop));
    }
    let (is_over, snapshots, turn) = (AtomicBool::new(false), AtomicU64::new(0), Mutex::new(0_u64));
    let started = Instant::now();
    let mut took: Vec<Duration> = std::thread::scope(|scope| -> Result<Vec<Duration>> {
        let write = || insert(&lake, batches, &turn, crowd, started);
        let writers: Vec<_> = (0..crowd.writers).map(|_| scope.spawn(write)).collect();
        for _ in 0..crowd.readers {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::black_box(lake.snapshot(&TenantId::default_tenant(), Signal::Spans, TimeRange::ALL));
                    snapshots.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let took = writers.into_iter().map(|writer| writer.join().expect("no writer panics")).collect::<Vec<_>>();
        is_over.store(true, Ordering::Relaxed);
        Ok(took.concat())
    })?;
    let lasted = started.elapsed();
    tokio.block_on(supervisor.stop(Duration::from_secs(30)));
    took.sort();
    let spans = 500.0 * took.len() as f64;
    let sum: Duration = took.iter().sum();
    let micros = |at: usize| took.get(at).map_or(0.0, |took| took.as_secs_f64() * 1e6);
    println!(
        "| {}, {}{} | {:.0} | {:.0} | {:.1} | {:.1} | {:.0} | {:.1} | {:.2} % |",
        crowd.writers,
        crowd.readers,
        if crowd.is_paced { "" } else { ", as fast as they can" },
        spans / lasted.as_secs_f64(),
        snapshots.load(Ordering::Relaxed) as f64 / lasted.as_secs_f64(),
        micros(took.len() / 2),
        micros(took.len() * 99 / 100),
        micros(took.len().saturating_sub(1)),
        sum.as_secs_f64() * 1e9 / spans,
        sum.as_secs_f64() * 100.0 / lasted.as_secs_f64() / crowd.writers as f64,
    );
    Ok(())
}

async fn keep_flushed(lake: Lake, stop: Stop) {
    while !stop.is_asked() {
        if lake.wants_flush() && lake.flush().await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Inserts for a while; how long each insert took, waiting for the turn included.
fn insert(lake: &Lake, batches: &[EventBatch], turn: &Mutex<u64>, crowd: &Crowd, started: Instant) -> Vec<Duration> {
    let mut took = Vec::new();
    let every = Duration::from_secs(1) * crowd.writers as u32 / BATCHES_PER_SEC;
    let mut due = started;
    for batch in batches.iter().cycle() {
        let lasted = started.elapsed();
        if lasted > LASTS {
            break;
        }
        if crowd.is_paced {
            due += every;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        // memory that is full refuses requests before they get here
        while lake.is_full() && started.elapsed() < LASTS {
            std::thread::sleep(Duration::from_millis(1));
        }
        // columns that the place needs are made outside of any lock, as by the log's thread
        let mut placed = batch.clone().placed(Lsn(0)).expect("decoded batches have the schema");
        let began = Instant::now();
        let mut last = turn.lock().expect("no writer panics");
        *last += 1;
        placed.lsn = Lsn(*last);
        lake.insert(placed);
        drop(last);
        took.push(began.elapsed());
    }
    took
}
