//! What a flush writes: every column of every row, in files that plain Parquet readers read.

use std::collections::HashMap;
use std::fs::File;

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::TimestampNanosecondType;
use model::{Lsn, Signal, UnixNanos};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::support::*;

#[tokio::test]
async fn a_flush_moves_rows_to_files_and_shows_each_once() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=10 {
        lake.insert(spans(lsn * 2 - 1, &events(NOW, 20)));
        lake.insert(logs(lsn * 2, &events(NOW, 20)));
    }
    assert_eq!(lake.flush().await.unwrap(), Lsn(20));
    assert_eq!(lake.mark(), Lsn(20));
    for (signal, first) in [(Signal::Spans, 1), (Signal::Logs, 2)] {
        let snapshot = all(&lake, signal);
        assert_eq!(snapshot.batches.len(), 0);
        assert_eq!(positions(&snapshot), whole((first..=20).step_by(2), 20));
    }
    lake.insert(spans(21, &events(NOW, 2)));
    let snapshot = all(&lake, Signal::Spans);
    assert_eq!((snapshot.files.len(), snapshot.batches.len()), (1, 1));
    assert_eq!(lake.flush().await.unwrap(), Lsn(21));
    assert_eq!(lake.flush().await.unwrap(), Lsn(21), "nothing to do");
    assert_eq!(all(&lake, Signal::Spans).files.len(), 2);
    assert_eq!(files_below(&place.lake_dir()).len(), 3, "no temporary file stays");
}

#[tokio::test]
async fn every_column_of_every_row_reads_back() {
    for signal in Signal::ALL {
        let place = Place::new();
        let lake = place.open().await;
        let mut put_in = Vec::new();
        for lsn in 1..=30 {
            let batch = batch(&acme(), signal, lsn, &events(NOW.plus(-(lsn as i64) * 1_000_000_000), 17));
            put_in.push(batch.records.clone());
            lake.insert(batch);
        }
        let put_in = concat_batches(&signal.stored_schema(), &put_in).unwrap();
        lake.flush().await.unwrap();
        let snapshot = all(&lake, signal);
        assert_eq!(snapshot.files.len(), 1);
        let came_out = read_file(&snapshot.files[0].path);
        let came_out = concat_batches(&came_out[0].schema(), &came_out).unwrap();
        assert_eq!(came_out.schema(), signal.stored_schema());
        assert_same_rows(&put_in, &came_out);
    }
}

#[tokio::test]
async fn spans_lie_in_slices_of_whole_traces_and_logs_by_time() {
    let place = Place::new();
    let lake = place.open().await;
    for lsn in 1..=20 {
        // traces interleave over batches, and later batches hold earlier events
        let start = NOW.plus(-(lsn as i64) * 1_000_000);
        let times: Vec<Event> = (0..2_000)
            .map(|row| Event { time: start.plus(row as i64 * 500), trace: lsn / 2 * 500 + row as u64 % 500 })
            .collect();
        lake.insert(spans(lsn * 2 - 1, &times));
        lake.insert(logs(lsn * 2, &times));
    }
    lake.flush().await.unwrap();
    assert_in_slices(&all(&lake, Signal::Spans).files[0].path);
    let rows = read_file(&all(&lake, Signal::Logs).files[0].path);
    let times = rows
        .iter()
        .flat_map(|batch| batch.column_by_name("time").unwrap().as_primitive::<TimestampNanosecondType>().values());
    assert!(times.is_sorted());
}

#[tokio::test]
async fn the_catalog_describes_the_file() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(7, &events(NOW, 30)));
    lake.flush().await.unwrap();
    for lake in [lake, place.open().await] {
        let snapshot = all(&lake, Signal::Spans);
        let file = &snapshot.files[0];
        assert_eq!(file.name, format!("acme/spans/2026-11-22T14/{:016x}-{:016x}.parquet", 1, 7));
        assert_eq!(file.path, place.lake_dir().join(&file.name));
        assert_eq!(file.bytes, std::fs::metadata(&file.path).unwrap().len());
        assert_eq!((file.min_lsn, file.max_lsn, file.zone.rows), (Lsn(1), Lsn(7), 30));
        assert_eq!((file.zone.min_time, file.zone.max_time), (NOW, NOW.plus(29_000_000)));
        assert_eq!(file.zone.error_count, 10);
        assert_eq!(file.zone.services, Some((0..3).map(|number| format!("service-{number}")).collect()));
        assert!(file.may_have_service("service-1") && !file.may_have_service("service-9"));
        assert!(file.zone.max_duration_nanos > 0);
        assert_eq!(file.created_unix_nanos, NOW.0);
        file.verify().unwrap();
    }
}

#[tokio::test]
async fn a_changed_byte_is_noticed() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 30)));
    lake.flush().await.unwrap();
    let file = all(&lake, Signal::Spans).files[0].clone();
    let mut bytes = std::fs::read(&file.path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&file.path, bytes).unwrap();
    assert!(matches!(file.verify(), Err(lake::LakeError::Checksum { .. })));
}

#[tokio::test]
async fn the_file_has_what_readers_prune_by() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 40_000)));
    lake.flush().await.unwrap();
    let path = all(&lake, Signal::Spans).files[0].path.clone();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let metadata: &ParquetMetaData = reader.metadata();
    let keys: HashMap<_, _> = metadata
        .file_metadata()
        .key_value_metadata()
        .unwrap()
        .iter()
        .map(|pair| (pair.key.clone(), pair.value.clone().unwrap_or_default()))
        .collect();
    assert!(keys.contains_key("ARROW:schema"));
    assert_eq!(keys["tracehound.format_version"], "3");
    assert_eq!(keys["tracehound.slice_rows"], "16384");
    assert_eq!(keys["tracehound.lsn"], "1-1");
    let group = metadata.row_group(0);
    for column in group.columns() {
        assert!(matches!(column.compression(), Compression::ZSTD(_)));
    }
    let indexed = ParquetRecordBatchReaderBuilder::try_new_with_options(
        File::open(&path).unwrap(),
        parquet::arrow::arrow_reader::ArrowReaderOptions::new()
            .with_page_index_policy(parquet::file::metadata::PageIndexPolicy::Required),
    )
    .unwrap();
    let pages = indexed.metadata().offset_index().unwrap()[0][0].page_locations().len();
    assert!(pages >= 3, "40,000 rows in pages of 16,384 at most, got {pages} pages");
}

#[tokio::test]
async fn each_hour_gets_its_own_file() {
    let place = Place::new();
    let lake = place.open().await;
    let hour_nanos = model::time::NANOS_PER_HOUR;
    let times: Vec<UnixNanos> = (0..6).map(|row| NOW.plus(-(row % 3) * hour_nanos)).collect();
    lake.insert(spans(1, &at(&times)));
    lake.flush().await.unwrap();
    let snapshot = all(&lake, Signal::Spans);
    let hours: Vec<_> = snapshot.files.iter().map(|file| file.partition.to_string()).collect();
    assert_eq!(hours, ["2026-11-22T14", "2026-11-22T13", "2026-11-22T12"], "the one with the latest event first");
    assert!(snapshot.files.iter().all(|file| file.zone.rows == 2));
    assert_eq!(positions(&snapshot), whole([1], 6));
}
