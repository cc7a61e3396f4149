//! Opens what a crash left with the rooms that a start of the server opens, and holds it against what was acknowledged.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use arrow::array::{AsArray, RecordBatch};
use bytes::Bytes;
use lake::{Inspection, Lake, Snapshot};
use model::signal::{SPAN_ID, TRACE_ID};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pipeline::{frame, replay};
use prost::Message;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use runtime::{Clock, Database};
use tests::unix_nanos;
use wal::{Entry, Format, Frame, ReaderName, Wal};

/// Trace id and span id.
pub type SpanKey = (Vec<u8>, Vec<u8>);

/// The spans of a request.
///
/// # Errors
/// When it is no request.
pub fn spans_of(body: &[u8]) -> Result<Vec<SpanKey>> {
    let resources = ExportTraceServiceRequest::decode(body)?.resource_spans.into_iter();
    let spans = resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans);
    Ok(spans.map(|span| (span.trace_id, span.span_id)).collect())
}

/// Starts on what is there, looks, takes in one more request, flushes, and looks again: every acknowledged span is there
/// once, nothing is there twice, no file lies about that the catalog does not know. Returns how many frames were put
/// back from the log.
///
/// # Errors
/// What is not so.
pub async fn check(data: &Path, acknowledged: &[SpanKey]) -> Result<u64> {
    let database = Database::open(&data.join("tracehound.db")).await?;
    let lake = Lake::open(lake::Settings::new(data.join("lake")), database.clone(), Clock::system()).await?;
    let settings = wal::Settings {
        segment_bytes: 1 << 18,
        reserve_bytes: 0,
        floor: lake.mark(),
        ..wal::Settings::new(data.join("wal"))
    };
    let (wal, recovery) = Wal::open(settings, |_, _: EventBatch| {})?;
    let replayed = replay::run(&wal, &lake, &Default::default(), |_, _| {}).await?;
    ensure!(replayed.unreadable == 0, "{} frames do not read", replayed.unreadable);
    hold(&lake, acknowledged).context("after the start")?;

    let mut expected = acknowledged.to_vec();
    let body = simulate::load(u64::MAX, 1, unix_nanos()).next().context("a request")?.body;
    expected.extend(spans_of(&body)?);
    let frame = one_more(body);
    let at = wal.begin(frame.clone(), placed(Lsn(0), &frame)?)?.await?;
    ensure!(at >= recovery.next && at > lake.mark(), "position {at} was given before");
    lake.insert(placed(at, &frame)?);
    let mark = lake.flush().await?;
    wal.advance(ReaderName::Archive, mark)?;
    hold(&lake, &expected).context("after one more request and a flush")?;
    wal.close();
    no_strangers(data, database.clone()).await?;
    database.close().await;
    Ok(replayed.frames)
}

fn one_more(body: Vec<u8>) -> Frame {
    Frame {
        tenant: TenantId::default_tenant(),
        key_id: None,
        services: None,
        signal: Signal::Spans,
        format: Format::Protobuf,
        received_at: UnixNanos(unix_nanos().cast_signed()),
        payload: Bytes::from(body),
    }
}

fn placed(lsn: Lsn, frame: &Frame) -> Result<EventBatch> {
    Ok(frame::decode(Entry { lsn, frame: frame.clone() }, &Default::default())?)
}

/// Every span of a snapshot with how often it is there.
fn stored(snapshot: &Snapshot) -> Result<HashMap<SpanKey, u64>> {
    ensure!(snapshot.missing.is_empty(), "files are missing: {:?}", snapshot.missing);
    let mut found = HashMap::new();
    let mut add = |batch: &RecordBatch| {
        let column = |name| batch.column_by_name(name).and_then(|column| column.as_fixed_size_binary_opt());
        let (traces, spans) = column(TRACE_ID).zip(column(SPAN_ID)).context("ids")?;
        for row in 0..batch.num_rows() {
            *found.entry((traces.value(row).to_vec(), spans.value(row).to_vec())).or_default() += 1;
        }
        Ok::<_, anyhow::Error>(())
    };
    for file in &snapshot.files {
        file.verify()?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path)?)?;
        let mask = ProjectionMask::columns(reader.parquet_schema(), [TRACE_ID, SPAN_ID]);
        for batch in reader.with_projection(mask).build()? {
            add(&batch?)?;
        }
    }
    for batch in &snapshot.batches {
        add(batch)?;
    }
    Ok(found)
}

fn hold(lake: &Lake, acknowledged: &[SpanKey]) -> Result<()> {
    let found = stored(&lake.snapshot(&TenantId::default_tenant(), Signal::Spans, TimeRange::ALL))?;
    let lost = acknowledged.iter().filter(|span| !found.contains_key(*span)).count();
    let doubled: BTreeMap<String, u64> =
        found.iter().filter(|(_, count)| **count > 1).map(|(span, count)| (hex::encode(&span.1), *count)).collect();
    ensure!(lost == 0, "{lost} of {} acknowledged spans are lost", acknowledged.len());
    ensure!(doubled.is_empty(), "{} spans are there more than once: {doubled:?}", doubled.len());
    Ok(())
}

/// That the files that lie there are the ones that the catalog knows, and their indexes.
async fn no_strangers(data: &Path, database: Database) -> Result<()> {
    let inspection = Inspection::open(&data.join("lake"), database, runtime::KeyRing::default()).await?;
    let known: u64 = inspection.sums().values().map(|sum| sum.files).sum();
    let lying = crate::recording::files(&data.join("lake"))?.0;
    let parquet: Vec<&String> = lying.keys().filter(|name| name.ends_with(".parquet")).collect();
    ensure!(parquet.len() as u64 == known, "the catalog knows {known} files, there are {}: {parquet:?}", parquet.len());
    let indexes = lying.keys().filter(|name| name.ends_with(".idx")).count();
    ensure!(indexes == parquet.len() && lying.len() == 2 * indexes, "something else lies there: {:?}", lying.keys());
    Ok(())
}
