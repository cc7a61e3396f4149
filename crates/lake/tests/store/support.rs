//! A lake in a temporary directory, and batches with something in every column.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, FixedSizeBinaryArray, Int8Array, Int32Array, Int64Array, ListBuilder,
    RecordBatch, StringArray, StringBuilder, StringDictionaryBuilder, TimestampNanosecondArray, UInt32Array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Int32Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use lake::{Lake, Promoted, Settings, Snapshot};
use model::signal::{self, log, span};
use model::time::{NANOS_PER_HOUR, NANOS_PER_SEC};
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, TraceId, UnixNanos};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use runtime::{Clock, Database};
use tempfile::TempDir;

/// 2026-11-22T14:30:00Z.
pub const NOW: UnixNanos = UnixNanos(1_795_357_800 * NANOS_PER_SEC);
pub const HOUR: Duration = Duration::from_nanos(NANOS_PER_HOUR.unsigned_abs());
/// Row positions: (seq, row).
pub type Position = (u64, u32);

/// A data directory that outlives the lakes opened in it.
pub struct Place {
    pub dir: TempDir,
    pub clock: Clock,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Clock::fixed(NOW.0) }
    }

    pub fn settings(&self) -> Settings {
        // what is merged has columns for its attributes, however few rows there are
        let settings = Settings::new(self.dir.path().join("lake"));
        Settings { retention: 72 * HOUR, promote_from_rows: 1, ..settings }
    }

    pub fn lake_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("lake")
    }

    pub async fn database(&self) -> Database {
        Database::open(&self.dir.path().join("catalog.db")).await.unwrap()
    }

    pub async fn open(&self) -> Lake {
        self.open_with(self.settings()).await
    }

    pub async fn open_with(&self, settings: Settings) -> Lake {
        Lake::open(settings, self.database().await, self.clock.clone()).await.unwrap()
    }

    /// Runs a statement on the catalog behind the lake's back.
    pub async fn meddle(&self, statement: &'static str) {
        let database = self.database().await;
        sqlx::query(statement).execute(&database.writer).await.unwrap();
        database.close().await;
    }
}

pub fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub fn acme() -> TenantId {
    tenant("acme")
}

/// The trace of a number, never zero.
pub fn trace(number: u64) -> TraceId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    id[8..].copy_from_slice(&(number + 1).to_be_bytes());
    TraceId(id)
}

/// One event of a batch to be made.
#[derive(Debug, Clone, Copy)]
pub struct Event {
    pub time: UnixNanos,
    pub trace: u64,
}

/// `count` events a millisecond apart from `start` on, five to a trace.
pub fn events(start: UnixNanos, count: usize) -> Vec<Event> {
    let event =
        |row: usize| Event { time: start.plus(row as i64 * 1_000_000), trace: start.0 as u64 / 1_000 + row as u64 / 5 };
    (0..count).map(event).collect()
}

pub fn at(times: &[UnixNanos]) -> Vec<Event> {
    times.iter().enumerate().map(|(row, time)| Event { time: *time, trace: row as u64 }).collect()
}

/// A placed batch; every column holds values that differ from row to row, and nulls where it may.
pub fn batch(tenant: &TenantId, signal: Signal, lsn: u64, events: &[Event]) -> EventBatch {
    let schema = signal.decoded_schema();
    let columns = schema.fields().iter().enumerate().map(|(index, field)| column(signal, index, field, lsn, events));
    let records = RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap();
    let batch = EventBatch { tenant: tenant.clone(), signal, received_at: NOW, lsn: Lsn(0), records };
    batch.placed(Lsn(lsn)).unwrap()
}

pub fn spans(lsn: u64, events: &[Event]) -> EventBatch {
    batch(&acme(), Signal::Spans, lsn, events)
}

pub fn logs(lsn: u64, events: &[Event]) -> EventBatch {
    batch(&acme(), Signal::Logs, lsn, events)
}

fn column(signal: Signal, index: usize, field: &Field, lsn: u64, events: &[Event]) -> ArrayRef {
    let salt = |row: usize| lsn as usize * 31 + row * 7 + index;
    let is_null = |row: usize| field.is_nullable() && salt(row).is_multiple_of(3);
    let rows = 0..events.len();
    let present = |row: usize| (!is_null(row)).then_some(row);
    match (field.name().as_str(), field.data_type()) {
        (signal::TRACE_ID, _) => {
            let ids =
                rows.map(|row| (signal == Signal::Spans || !row.is_multiple_of(4)).then(|| trace(events[row].trace).0));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids, 16).unwrap())
        }
        (name, DataType::Timestamp(..)) => {
            let is_own = name == signal.time_column();
            let times = rows.map(|row| if is_own { Some(events[row].time.0) } else { present(row).map(|_| NOW.0) });
            Arc::new(TimestampNanosecondArray::from_iter(times).with_timezone("+00:00"))
        }
        (span::DURATION_NANOS, _) => Arc::new(Int64Array::from_iter_values(rows.map(|row| salt(row) as i64 * 1_000))),
        (span::STATUS_CODE, _) => Arc::new(Int8Array::from_iter_values(rows.map(|row| (row % 3) as i8))),
        (log::SEVERITY_NUMBER, _) => Arc::new(Int8Array::from_iter_values(rows.map(|row| (row % 25) as i8))),
        (signal::SERVICE, _) => labels(rows.map(|row| Some(format!("service-{}", row % 3)))),
        (_, DataType::Dictionary(..)) => {
            labels(rows.map(|row| present(row).map(|row| format!("label {}", salt(row) % 11))))
        }
        (_, DataType::Utf8) => {
            Arc::new(StringArray::from_iter(rows.map(|row| present(row).map(|row| format!("text {}", salt(row))))))
        }
        (_, DataType::Binary) => {
            let bytes = rows.map(|row| present(row).map(|row| salt(row).to_le_bytes().to_vec()));
            Arc::new(BinaryArray::from_iter(bytes))
        }
        (_, DataType::FixedSizeBinary(size)) => {
            let ids = rows.map(|row| present(row).map(|row| (lsn << 20 | row as u64 | 1 << 60).to_be_bytes()));
            Arc::new(FixedSizeBinaryArray::try_from_sparse_iter_with_size(ids, *size).unwrap())
        }
        (_, DataType::Int8) => {
            Arc::new(Int8Array::from_iter(rows.map(|row| present(row).map(|row| (salt(row) % 6) as i8))))
        }
        (_, DataType::Int64) => {
            Arc::new(Int64Array::from_iter(rows.map(|row| present(row).map(|row| salt(row) as i64))))
        }
        (_, DataType::UInt32) => {
            Arc::new(UInt32Array::from_iter(rows.map(|row| present(row).map(|row| salt(row) as u32))))
        }
        (_, DataType::Int32) => {
            Arc::new(Int32Array::from_iter(rows.map(|row| present(row).map(|row| salt(row) as i32))))
        }
        (_, DataType::Boolean) => {
            Arc::new(BooleanArray::from_iter(rows.map(|row| present(row).map(|row| salt(row).is_multiple_of(2)))))
        }
        (_, DataType::List(item)) => {
            let mut lists = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
            for row in rows {
                (0..row % 3).for_each(|entry| lists.values().append_value(format!("key{entry}\u{1f}s{}", salt(row))));
                lists.append(true);
            }
            Arc::new(lists.finish())
        }
        (name, other) => panic!("no test values for column {name} of type {other}"),
    }
}

fn labels(texts: impl Iterator<Item = Option<String>>) -> ArrayRef {
    let mut labels = StringDictionaryBuilder::<Int32Type>::new();
    texts.for_each(|text| labels.append_option(text));
    Arc::new(labels.finish())
}

pub fn all(lake: &Lake, signal: Signal) -> Snapshot {
    lake.snapshot(&acme(), signal, TimeRange::ALL)
}

/// What a file has beside the stored schema.
pub fn promoted_in(path: &Path) -> Option<Promoted> {
    Promoted::of(ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().schema())
}

/// The rows of a file, read as anybody would, with whole residual lists.
pub fn read_file(path: &Path) -> Vec<RecordBatch> {
    let promoted = promoted_in(path);
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap().build().unwrap();
    let whole = |batch: RecordBatch| match &promoted {
        Some(promoted) => promoted.restore(&batch).unwrap(),
        None => batch,
    };
    reader.map(Result::unwrap).map(whole).collect()
}

/// Every row of a snapshot.
pub fn rows_of(snapshot: &Snapshot) -> Vec<RecordBatch> {
    let in_files = snapshot.files.iter().flat_map(|file| read_file(&file.path));
    in_files.chain(snapshot.batches.iter().cloned()).collect()
}

/// Where every row of a snapshot came from, sorted, doubles included.
pub fn positions(snapshot: &Snapshot) -> Vec<Position> {
    let mut found: Vec<Position> = rows_of(snapshot).iter().flat_map(positions_in).collect();
    found.sort_unstable();
    found
}

pub fn positions_in(records: &RecordBatch) -> Vec<Position> {
    let seq = records.column_by_name(signal::SEQ).unwrap().as_primitive::<UInt64Type>();
    let row = records.column_by_name(signal::ROW).unwrap().as_primitive::<UInt32Type>();
    seq.values().iter().copied().zip(row.values().iter().copied()).collect()
}

/// The positions of whole batches of `rows` rows.
pub fn whole(lsns: impl IntoIterator<Item = u64>, rows: u32) -> Vec<Position> {
    lsns.into_iter().flat_map(|lsn| (0..rows).map(move |row| (lsn, row))).collect()
}

/// Every regular file below a directory, temporary ones included; an index belongs to its file and is not counted, and
/// never stands alone.
pub fn files_below(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "idx") {
            assert!(path.with_extension("parquet").exists(), "{} stands alone", path.display());
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// That spans lie as they should: traces by first sight cut into slices, each slice sorted by service, name and start.
pub fn assert_in_slices(path: &Path) {
    let rows = read_file(path);
    let rows = concat_batches(&rows[0].schema(), &rows).unwrap();
    let ids = rows.column_by_name(signal::TRACE_ID).unwrap().as_fixed_size_binary();
    let times = rows.column_by_name(span::START_TIME).unwrap().as_primitive::<TimestampNanosecondType>().values();
    let label = |name: &str, row: usize| {
        let labels = rows.column_by_name(name).unwrap().as_dictionary::<Int32Type>();
        labels.values().as_string::<i32>().value(labels.key(row).unwrap()).to_owned()
    };
    let mut first_seen: HashMap<&[u8], i64> = HashMap::new();
    for row in 0..rows.num_rows() {
        let seen = first_seen.entry(ids.value(row)).or_insert(times[row]);
        *seen = (*seen).min(times[row]);
    }
    let mut last_of_slice_before = i64::MIN;
    let all: Vec<usize> = (0..rows.num_rows()).collect();
    for slice in all.chunks(16_384) {
        let seen = |row: &usize| first_seen[ids.value(*row)];
        assert!(slice.iter().map(seen).min().unwrap() >= last_of_slice_before, "a trace lies in neighbouring slices");
        last_of_slice_before = slice.iter().map(seen).max().unwrap();
        let key = |row: &usize| (label(signal::SERVICE, *row), label(span::NAME, *row), times[*row]);
        assert!(slice.iter().map(key).is_sorted(), "by service, name and start inside a slice");
    }
}

/// Compares as text, after bringing both in log order: the dictionaries may differ, what they say may not.
pub fn assert_same_rows(left: &RecordBatch, right: &RecordBatch) {
    let (left, right) = (in_log_order(left), in_log_order(right));
    assert_eq!(left.num_rows(), right.num_rows());
    let options = FormatOptions::default().with_null("<null>");
    for (index, field) in left.schema().fields().iter().enumerate() {
        let left = ArrayFormatter::try_new(left.column(index), &options).unwrap();
        let formatted = ArrayFormatter::try_new(right.column(index), &options).unwrap();
        for row in 0..right.num_rows() {
            assert_eq!(left.value(row).to_string(), formatted.value(row).to_string(), "{} of row {row}", field.name());
        }
    }
}

fn in_log_order(records: &RecordBatch) -> RecordBatch {
    let positions = positions_in(records);
    let mut rows: Vec<u32> = (0..records.num_rows() as u32).collect();
    rows.sort_by_key(|row| positions[*row as usize]);
    take_record_batch(records, &UInt32Array::from(rows)).unwrap()
}

/// The trace of each row.
pub fn traces_of(records: &RecordBatch) -> Vec<Option<TraceId>> {
    let ids = records.column_by_name(signal::TRACE_ID).unwrap().as_fixed_size_binary();
    ids.iter().map(|id| id.and_then(TraceId::from_slice)).collect()
}
