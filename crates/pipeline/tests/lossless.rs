//! What came as OTLP leaves as the same OTLP, after memory, flushes and merges.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

#[path = "../../otlp/tests/sample/mod.rs"]
mod sample;

use std::collections::BTreeMap;
use std::fs::File;
use std::time::Duration;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{UInt32Type, UInt64Type};
use lake::{Lake, Promoted, Settings};
use model::signal::{ROW, SEQ};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos, conform};
use otlp::{Arrival, Format, decode, encode};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use prost::Message as _;
use runtime::{Clock, Database};

/// Around the times of the samples.
const NOW: UnixNanos = UnixNanos(1_764_000_000_000_000_000);
const ALWAYS: TimeRange = TimeRange { start: UnixNanos(i64::MIN), end: UnixNanos(i64::MAX) };

/// Where a round of requests is left.
#[derive(Debug, Clone, Copy)]
enum Rest {
    Memory,
    Flushed,
    Merged,
}

fn tenant() -> TenantId {
    "acme".parse().unwrap()
}

fn decoded(signal: Signal, body: &[u8]) -> RecordBatch {
    let arrival = Arrival { received_at: NOW, ..Arrival::default() };
    decode(signal, Format::Protobuf, body, &arrival).unwrap().records
}

/// All rows the lake has, put back in the order they came in, by log position.
fn stored(lake: &Lake, signal: Signal) -> BTreeMap<u64, RecordBatch> {
    let snapshot = lake.snapshot(&tenant(), signal, ALWAYS);
    assert!(snapshot.missing.is_empty());
    let schema = signal.stored_schema();
    let mut parts = snapshot.batches.clone();
    for file in &snapshot.files {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap()).unwrap();
        let promoted = Promoted::of(reader.schema());
        for batch in reader.build().unwrap() {
            let mut batch = batch.unwrap();
            if let Some(promoted) = &promoted {
                batch = promoted.restore(&batch).unwrap();
            }
            parts.push(conform(&batch, &schema).unwrap());
        }
    }
    let all = concat_batches(&schema, &parts).unwrap();
    let seqs = all.column_by_name(SEQ).unwrap().as_primitive::<UInt64Type>();
    let rows = all.column_by_name(ROW).unwrap().as_primitive::<UInt32Type>();
    let mut places: BTreeMap<u64, Vec<(u32, u32)>> = BTreeMap::new();
    for (place, (seq, row)) in (0..).zip(seqs.values().iter().zip(rows.values())) {
        places.entry(*seq).or_default().push((*row, place));
    }
    let in_order = |mut places: Vec<(u32, u32)>| {
        places.sort_unstable();
        let places = UInt32Array::from_iter_values(places.into_iter().map(|(_, place)| place));
        take_record_batch(&all, &places).unwrap()
    };
    places.into_iter().map(|(seq, places)| (seq, in_order(places))).collect()
}

async fn comes_back(signal: Signal, bodies: Vec<(Vec<u8>, Rest)>) {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::fixed(NOW.0);
    let database = Database::open(&dir.path().join("catalog.db")).await.unwrap();
    let settings = Settings {
        retention: Duration::from_secs(400 * 365 * 86_400),
        promote_from_rows: 1,
        ..Settings::new(dir.path().join("lake"))
    };
    let lake = Lake::open(settings, database, clock.clone()).await.unwrap();
    let mut sent: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for (lsn, (body, rest)) in (1..).zip(bodies) {
        let records = decoded(signal, &body);
        if records.num_rows() > 0 {
            sent.insert(lsn, encode(signal, Format::Protobuf, &records).unwrap());
        }
        let batch = EventBatch { tenant: tenant(), signal, received_at: NOW, lsn: Lsn(0), records };
        lake.insert(batch.placed(Lsn(lsn)).unwrap());
        if !matches!(rest, Rest::Memory) {
            lake.flush().await.unwrap();
        }
        if matches!(rest, Rest::Merged) {
            clock.advance(Duration::from_secs(2 * 3_600));
            while lake.compact_once().await.unwrap() {}
        }
    }
    let stored = stored(&lake, signal);
    assert_eq!(stored.keys().collect::<Vec<_>>(), sent.keys().collect::<Vec<_>>());
    for (lsn, sent) in sent {
        let left = encode(signal, Format::Protobuf, &stored[&lsn]).unwrap();
        assert!(left == sent, "request {lsn} comes back as another");
    }
}

fn rest() -> impl Strategy<Value = Rest> {
    prop_oneof![Just(Rest::Memory), Just(Rest::Flushed), Just(Rest::Merged)]
}

proptest! {
    // each case is a store of its own on disk
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_came_in_leaves_as_it_came(
        traces in proptest::collection::vec((sample::traces(), rest()), 1..5),
        logs in proptest::collection::vec((sample::logs(), rest()), 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let traces = traces.into_iter().map(|(request, rest)| (request.encode_to_vec(), rest)).collect();
        runtime.block_on(comes_back(Signal::Spans, traces));
        let logs = logs.into_iter().map(|(request, rest)| (request.encode_to_vec(), rest)).collect();
        runtime.block_on(comes_back(Signal::Logs, logs));
    }
}
