//! Files that only those read who have the key of the tenant, and nobody once it was erased.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;

use lake::{FileEntry, Inspection, Lake, LakeError, Settings, SliceIndex, ValueIndex};
use model::{Signal, TenantId, TimeRange};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use runtime::KeyRing;
use runtime::keyring::{KeyFile, erase};

use crate::support::*;

/// Texts that the rows of a test have, in columns, lists and labels.
const PLAIN: [&[u8]; 4] = [b"service-1", b"label 5", b"text 1", b"key0\x1fs"];

async fn keys(place: &Place) -> KeyRing {
    let path = place.dir.path().join("keys");
    if !path.exists() {
        let mut file = fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&path).unwrap();
        writeln!(file, "first {}", "5".repeat(64)).unwrap();
    }
    KeyRing::open(place.database().await, place.clock.clone(), KeyFile::read(&path).unwrap()).await.unwrap()
}

async fn open(place: &Place) -> Lake {
    place.open_with(Settings { keys: keys(place).await, ..place.settings() }).await
}

fn read(file: &FileEntry) -> Vec<Position> {
    let opened = fs::File::open(&file.path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, file.reader_options()).unwrap();
    let mut found: Vec<Position> = reader.build().unwrap().flat_map(|batch| positions_in(&batch.unwrap())).collect();
    found.sort_unstable();
    found
}

fn has_plain(file: &FileEntry) -> bool {
    let bytes = [fs::read(&file.path).unwrap(), fs::read(file.index_path()).unwrap()].concat();
    PLAIN.iter().any(|text| bytes.windows(text.len()).any(|window| window == *text))
}

fn of(lake: &Lake, tenant: &TenantId) -> Vec<Arc<FileEntry>> {
    lake.snapshot(tenant, Signal::Spans, TimeRange::ALL).files
}

#[tokio::test]
async fn what_is_written_says_nothing_without_the_key_and_everything_with_it() {
    let place = Place::new();
    // one file from before there were keys
    let plain = place.open().await;
    plain.insert(spans(1, &events(NOW, 300)));
    plain.flush().await.unwrap();
    assert!(has_plain(&of(&plain, &acme())[0]));
    drop(plain);
    let lake = open(&place).await;
    for lsn in 2..=8 {
        lake.insert(spans(lsn, &events(NOW, 300)));
        lake.flush().await.unwrap();
    }
    let files = of(&lake, &acme());
    for file in &files {
        assert_eq!(file.is_encrypted(), file.min_lsn.0 > 1);
        assert_eq!(has_plain(file), !file.is_encrypted());
        assert_eq!(read(file), whole([file.min_lsn.0], 300));
        file.verify().unwrap();
    }
    assert!(lake.compact_once().await.unwrap());
    let merged = of(&lake, &acme());
    assert!(merged.len() == 1 && merged[0].is_encrypted() && !has_plain(&merged[0]));
    assert_eq!(read(&merged[0]), whole(1..=8, 300));
    let index = SliceIndex::open(&merged[0]).unwrap();
    assert_eq!(index.rows_of(&[trace(NOW.0 as u64 / 1_000)]).len(), 1);
    assert!(index.rows_of(&[trace(1)]).is_empty());
    assert!(ValueIndex::open(&merged[0]).unwrap().is_some());
    let without = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&merged[0].path).unwrap());
    assert!(without.is_err_and(|error| error.to_string().contains("encrypted")));
    let inspection = Inspection::open(&place.lake_dir(), place.database().await, keys(&place).await).await.unwrap();
    fs::remove_file(merged[0].index_path()).unwrap();
    assert!(inspection.rebuild_indexes(|_| {}).is_empty());
    assert!(!has_plain(&merged[0]) && inspection.verify(|_| {}).is_empty());
}

#[tokio::test]
async fn an_index_that_was_changed_or_is_of_another_file_is_none() {
    let place = Place::new();
    let lake = open(&place).await;
    for lsn in 1..=2 {
        lake.insert(spans(lsn, &events(NOW, 300)));
        lake.flush().await.unwrap();
    }
    let files = of(&lake, &acme());
    let first = fs::read(files[0].index_path()).unwrap();
    fs::copy(files[1].index_path(), files[0].index_path()).unwrap();
    assert!(matches!(SliceIndex::open(&files[0]).unwrap_err(), LakeError::Index { .. }));
    for at in [0, 5, 9, 15, 40, first.len() - 1] {
        let mut bytes = first.clone();
        bytes[at] ^= 1;
        fs::write(files[0].index_path(), bytes).unwrap();
        assert!(matches!(SliceIndex::open(&files[0]).unwrap_err(), LakeError::Index { .. }), "byte {at}");
    }
    fs::write(files[0].index_path(), first).unwrap();
    SliceIndex::open(&files[0]).unwrap();
}

#[tokio::test]
async fn a_lake_whose_keys_are_not_there_does_not_open() {
    let place = Place::new();
    let lake = open(&place).await;
    lake.insert(spans(1, &events(NOW, 9)));
    lake.flush().await.unwrap();
    drop(lake);
    let error = Lake::open(place.settings(), place.database().await, place.clock.clone()).await.unwrap_err();
    assert!(matches!(error, LakeError::Key { .. }) && error.to_string().contains("no key file is set"), "{error}");
    assert_eq!(of(&open(&place).await, &acme()).len(), 1);
}

#[tokio::test]
async fn the_files_of_an_erased_tenant_are_missing_for_ever_and_leave_with_their_hour() {
    let (place, other) = (Place::new(), tenant("globex"));
    let lake = open(&place).await;
    lake.insert(spans(1, &events(NOW, 30)));
    lake.insert(batch(&other, Signal::Spans, 2, &events(NOW, 30)));
    lake.flush().await.unwrap();
    drop(lake);
    assert_eq!(erase(&place.database().await, &place.clock, "acme").await.unwrap(), 1);
    for _ in 0..2 {
        let lake = open(&place).await;
        let snapshot = all(&lake, Signal::Spans);
        assert_eq!((snapshot.files.len(), snapshot.missing.len()), (0, 1), "answers say so");
        assert_eq!(read(&of(&lake, &other)[0]), whole([2], 30), "others keep theirs");
        let file = &snapshot.missing[0];
        let opened = fs::File::open(&file.path).unwrap();
        let error = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, file.reader_options()).unwrap_err();
        assert!(error.to_string().contains("the key of tenant acme was erased"), "{error}");
    }
    let lake = open(&place).await;
    // who sends again is stored again, under another key
    lake.insert(spans(3, &events(NOW, 7)));
    lake.flush().await.unwrap();
    assert_eq!(read(&of(&lake, &acme())[0]), whole([3], 7));
    place.clock.advance(100 * HOUR);
    lake.retain().await.unwrap();
    place.clock.advance(lake.settings().unlink_grace);
    lake.retain().await.unwrap();
    assert!(files_below(&place.lake_dir()).is_empty());
}

#[tokio::test]
async fn an_encrypted_merge_whose_commit_was_reported_as_failed_is_not_written_again() {
    // it was believed that the same rows always make the same bytes: a fresh salt makes others, under the old checksum
    let place = Place::new();
    let lake = open(&place).await;
    for lsn in 1..=8 {
        lake.insert(spans(lsn, &events(NOW, 40)));
        lake.flush().await.unwrap();
    }
    assert!(lake.compact_once().await.unwrap());
    let merged = of(&lake, &acme())[0].clone();
    place.meddle("update lake_files set state = 'live' where level = 0").await;
    place.meddle("update lake_files set state = 'retired' where level = 1").await;
    let unaware = open(&place).await;
    assert_eq!(of(&unaware, &acme()).len(), 8);
    place.meddle("update lake_files set state = 'retired' where level = 0").await;
    place.meddle("update lake_files set state = 'live' where level = 1").await;
    assert!(unaware.compact_once().await.unwrap());
    drop(unaware);
    let again = open(&place).await;
    let found = of(&again, &acme());
    assert_eq!(found.iter().map(|file| &file.name).collect::<Vec<_>>(), [&merged.name]);
    found[0].verify().unwrap();
    assert_eq!(read(&found[0]), whole(1..=8, 40));
}
