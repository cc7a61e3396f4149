//! Sealed files in an object store: they move there, come back when they are read, and nothing is lost while it is down.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lake::{Fault, FileEntry, Inspection, Lake, LakeError, Level, ObjectStore, Settings};
use model::Signal;
use model::time::NANOS_PER_SEC;
use runtime::KeyRing;

use crate::bucket::{Bucket, KEY_ID, NAME, SECRET};
use crate::support::*;

fn store(bucket: &Bucket) -> ObjectStore {
    ObjectStore {
        endpoint: Some(bucket.endpoint.clone()),
        region: Some("here".to_owned()),
        access_key_id: Some(KEY_ID.to_owned()),
        secret_access_key: Some(SECRET.to_owned()),
        levels: Level::ALL.to_vec(),
        min_age: Duration::ZERO,
        patience: Duration::from_secs(1),
        ..ObjectStore::new(format!("s3://{NAME}/lake"))
    }
}

fn with(place: &Place, store: ObjectStore) -> Settings {
    Settings { object_store: Some(store), ..place.settings() }
}

/// A lake of `files` files of 40 spans each, one second apart; copies may take `cache_bytes`.
async fn lake_of(place: &Place, bucket: &Bucket, files: u64, cache_bytes: u64) -> Lake {
    let lake = place.open_with(with(place, ObjectStore { cache_bytes, ..store(bucket) })).await;
    for lsn in 1..=files {
        lake.insert(spans(lsn, &events(NOW.plus(lsn as i64 * NANOS_PER_SEC), 40)));
        lake.flush().await.unwrap();
    }
    lake
}

async fn offload(lake: &Lake) -> usize {
    let mut moved = 0;
    while lake.offload_once().await.unwrap().is_some() {
        moved += 1;
    }
    moved
}

/// Reads a file as readers do, on a thread that may block.
async fn read(lake: &Lake, file: &Arc<FileEntry>) -> Result<Vec<Position>, LakeError> {
    let (lake, file) = (lake.clone(), Arc::clone(file));
    let read = move || {
        let opened = lake.open_file(&file)?;
        let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(opened).unwrap();
        let mut found: Vec<Position> =
            reader.build().unwrap().flat_map(|batch| positions_in(&batch.unwrap())).collect();
        found.sort_unstable();
        Ok(found)
    };
    tokio::task::spawn_blocking(read).await.unwrap()
}

async fn read_all(lake: &Lake) -> Result<Vec<Position>, LakeError> {
    let mut found = Vec::new();
    for file in &all(lake, Signal::Spans).files {
        found.extend(read(lake, file).await?);
    }
    found.sort_unstable();
    Ok(found)
}

fn objects(bucket: &Bucket) -> Vec<String> {
    parquet_below(&bucket.folder.join("lake"))
}

fn copies(place: &Place) -> Vec<String> {
    parquet_below(&place.lake_dir())
}

/// Names below `dir`; an index may stand alone here.
fn parquet_below(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        match path.is_dir() {
            true => found.extend(parquet_below(&path).into_iter().map(|below| format!("{name}/{below}"))),
            false => found.extend(Some(name).filter(|name| name.ends_with(".parquet"))),
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn files_move_there_and_come_back_when_they_are_read() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 4, 0).await;
    assert_eq!(offload(&lake).await, 4);
    assert_eq!(objects(&bucket).len(), 4);
    assert!(copies(&place).is_empty(), "no copy fits");
    assert_eq!(all(&lake, Signal::Spans).missing, []);
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=4, 40));
    drop(lake);
    // the catalog knows where they are
    let lake = place.open_with(with(&place, store(&bucket))).await;
    assert_eq!(lake.stats().quarantined_files, 0);
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=4, 40));
    assert_eq!(copies(&place).len(), 4, "copies stay while there is room");
    bucket.take_seen();
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=4, 40));
    assert_eq!(bucket.take_seen(), Vec::<String>::new(), "copies are read without asking");
    assert_eq!(offload(&lake).await, 0, "nothing goes there twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_copy_that_was_read_longest_ago_makes_room() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 3, u64::MAX).await;
    offload(&lake).await;
    let files = all(&lake, Signal::Spans).files;
    let two = files[0].bytes + files[1].bytes + 100;
    drop(lake);
    let lake = place.open_with(with(&place, ObjectStore { cache_bytes: two, ..store(&bucket) })).await;
    for file in [&files[0], &files[1], &files[0], &files[2]] {
        read(&lake, file).await.unwrap();
    }
    let is_here: Vec<bool> = files.iter().map(|file| file.path.exists()).collect();
    assert_eq!(is_here, [true, false, true]);
    assert!(files.iter().all(|file| file.index_path().exists()), "indexes stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_readers_fetch_a_file_once() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, 0).await;
    offload(&lake).await;
    drop(lake);
    let lake = place.open_with(with(&place, store(&bucket))).await;
    bucket.fault(|faults| faults.delay = Duration::from_millis(200));
    bucket.take_seen();
    let file = all(&lake, Signal::Spans).files[0].clone();
    let readers: Vec<_> = (0..8).map(|_| (lake.clone(), file.clone())).collect();
    let readers = readers.iter().map(|(lake, file)| read(lake, file));
    let found = futures::future::join_all(readers).await;
    assert!(found.into_iter().all(|found| found.unwrap() == whole([1], 40)));
    assert_eq!(bucket.take_seen().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_down_nothing_moves_and_afterwards_everything_does() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 2, 0).await;
    offload(&lake).await;
    bucket.fault(|faults| faults.is_down = true);
    let error = read_all(&lake).await.unwrap_err();
    let first = all(&lake, Signal::Spans).files[0].name.clone();
    assert!(error.to_string().contains(&first), "{error}");
    assert!(!error.is_damage(), "it may pass: {error}");
    assert_eq!(error.kind(), runtime::ErrorKind::Unavailable);
    for lsn in 3..=5 {
        lake.insert(spans(lsn, &events(NOW.plus(lsn as i64 * NANOS_PER_SEC), 40)));
        lake.flush().await.unwrap();
        assert!(lake.offload_once().await.is_err());
    }
    assert_eq!(copies(&place).len(), 3, "what could not go stays");
    assert_eq!(lake.stats().quarantined_files, 0, "a store that is down is no damage");
    bucket.fault(|faults| faults.is_down = false);
    assert_eq!(offload(&lake).await, 3);
    // readers are told that it was down for a moment longer
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=5, 40));
    assert_eq!(objects(&bucket).len(), 5, "nothing twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_whose_answer_never_comes_has_happened() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 2, 0).await;
    offload(&lake).await;
    lake.insert(spans(3, &events(NOW, 40)));
    lake.flush().await.unwrap();
    // more than it is tried again
    bucket.fault(|faults| faults.unanswered = 4);
    assert_eq!(offload(&lake).await, 1);
    assert_eq!(objects(&bucket).len(), 3);
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=3, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_cut_or_changed_is_fetched_again_and_what_stays_changed_is_named() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, 0).await;
    offload(&lake).await;
    bucket.fault(|faults| faults.cut = 1);
    assert_eq!(read_all(&lake).await.unwrap(), whole([1], 40));
    let copy = all(&lake, Signal::Spans).files[0].path.clone();
    fs::remove_file(&copy).unwrap();
    bucket.fault(|faults| faults.flipped = 1);
    assert_eq!(read_all(&lake).await.unwrap(), whole([1], 40));
    fs::remove_file(&copy).unwrap();
    let object = bucket.folder.join("lake").join(&objects(&bucket)[0]);
    let mut bytes = fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&object, &bytes).unwrap();
    let error = read_all(&lake).await.unwrap_err();
    assert!(matches!(error, LakeError::Checksum { .. }) && error.is_damage(), "{error}");
    let file = all(&lake, Signal::Spans).files[0].clone();
    lake.quarantine(&file, &error.to_string()).await.unwrap();
    assert_eq!(all(&lake, Signal::Spans).missing, [file]);
    // put back by somebody, it is live at the next start
    bytes[middle] ^= 1;
    fs::write(&object, &bytes).unwrap();
    let lake = place.open_with(with(&place, store(&bucket))).await;
    assert_eq!(read_all(&lake).await.unwrap(), whole([1], 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_is_gone_is_damage_only_where_the_store_is_ours() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, 0).await;
    offload(&lake).await;
    drop(lake);
    let elsewhere = ObjectStore { url: format!("s3://{NAME}/typo"), ..store(&bucket) };
    let lake = place.open_with(with(&place, elsewhere)).await;
    let error = read_all(&lake).await.unwrap_err();
    assert!(matches!(error, LakeError::Store { .. }), "a wrong prefix loses no file: {error}");
    drop(lake);
    fs::remove_file(bucket.folder.join("lake").join(&objects(&bucket)[0])).unwrap();
    let lake = place.open_with(with(&place, store(&bucket))).await;
    let error = read_all(&lake).await.unwrap_err();
    assert!(matches!(error, LakeError::Lost { .. }) && error.is_damage(), "{error}");
    drop(lake);
    let lake = place.open().await;
    let error = read_all(&lake).await.unwrap_err();
    assert!(error.to_string().contains("no object store is set"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_went_bad_on_the_local_disk_is_no_loss() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, u64::MAX).await;
    offload(&lake).await;
    let file = all(&lake, Signal::Spans).files[0].clone();
    let mut bytes = fs::read(&file.path).unwrap();
    bytes[100] ^= 1;
    fs::write(&file.path, bytes).unwrap();
    let (checked, entry) = (lake.clone(), file.clone());
    tokio::task::spawn_blocking(move || checked.check_again(&entry)).await.unwrap().unwrap();
    file.verify().unwrap();
    fs::remove_file(&file.path).unwrap();
    assert_eq!(read_all(&lake).await.unwrap(), whole([1], 40), "nor is one that somebody removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn merges_read_what_lies_there_and_what_they_replace_is_deleted_there() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 8, 0).await;
    offload(&lake).await;
    let held = all(&lake, Signal::Spans);
    assert!(lake.compact_once().await.unwrap());
    assert_eq!(offload(&lake).await, 1);
    assert_eq!(objects(&bucket).len(), 9);
    place.clock.advance(lake.settings().unlink_grace);
    lake.clear_store().await.unwrap();
    assert_eq!(objects(&bucket).len(), 9, "a snapshot holds them");
    assert_eq!(read(&lake, &held.files[0]).await.unwrap().len(), 40);
    drop(held);
    bucket.fault(|faults| faults.is_down = true);
    assert!(lake.clear_store().await.is_err());
    lake.retain().await.unwrap();
    assert_eq!(lake.stats().retired_files, 8, "the catalog forgets nothing that the store has");
    bucket.fault(|faults| faults.is_down = false);
    lake.clear_store().await.unwrap();
    lake.retain().await.unwrap();
    assert_eq!((lake.stats().retired_files, objects(&bucket).len()), (0, 1));
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=8, 40));
    // retention takes the merged one as well, after a restart in between
    place.clock.advance(100 * HOUR);
    lake.retain().await.unwrap();
    drop(lake);
    let lake = place.open_with(with(&place, store(&bucket))).await;
    place.clock.advance(lake.settings().unlink_grace);
    lake.clear_store().await.unwrap();
    lake.retain().await.unwrap();
    assert_eq!(objects(&bucket), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn strays_go_after_a_day_and_nothing_else_does() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 3, 0).await;
    offload(&lake).await;
    let known = objects(&bucket);
    let hour = bucket.folder.join("lake").join(&known[0]).parent().unwrap().to_owned();
    let stray = hour.join(format!("{:016x}-{:016x}.l1.parquet", 3, 3));
    let alone = hour.join(format!("{:016x}-{:016x}.l2.parquet", 1, 2));
    let newer = hour.join(format!("{:016x}-{:016x}.parquet", 900, 901));
    let strange = hour.join("notes.txt");
    for path in [&stray, &alone, &newer, &strange] {
        fs::write(path, b"not ours").unwrap();
        let now = std::time::UNIX_EPOCH + Duration::from_nanos(NOW.0.unsigned_abs());
        fs::File::options().write(true).open(path).unwrap().set_modified(now).unwrap();
    }
    assert_eq!(lake.sweep_store().await.unwrap(), 0, "too young to tell");
    place.clock.advance(25 * HOUR);
    bucket.fault(|faults| faults.listed = Some(1));
    assert_eq!(lake.sweep_store().await.unwrap(), 0, "it is beyond where the list ends");
    bucket.fault(|faults| faults.listed = None);
    assert_eq!(lake.sweep_store().await.unwrap(), 1);
    assert!(!stray.exists() && strange.exists());
    assert!(alone.exists() && newer.exists(), "what no live file has may be all there is of its rows");
    assert!(known.iter().all(|name| objects(&bucket).contains(name)));
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=3, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_belongs_to_one_lake_and_an_old_writer_moves_nothing() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, 0).await;
    // it was opened while the prefix was nobody's
    let other = Place::new();
    let stranger = lake_of(&other, &bucket, 1, 0).await;
    offload(&lake).await;
    let error = stranger.offload_once().await.unwrap_err();
    assert!(matches!(error, LakeError::Foreign { .. }), "{error}");
    assert!(matches!(stranger.sweep_store().await.unwrap_err(), LakeError::Foreign { .. }));
    assert_eq!(positions(&all(&stranger, Signal::Spans)), whole([1], 40));
    lake.insert(spans(2, &events(NOW, 40)));
    lake.flush().await.unwrap();
    let _newer = place.open_with(with(&place, store(&bucket))).await;
    assert!(matches!(lake.offload_once().await.unwrap_err(), LakeError::Fenced));
    assert!(matches!(lake.sweep_store().await.unwrap_err(), LakeError::Fenced));
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_on_the_local_disk_does_not_become_the_only_copy() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, 0).await;
    let file = all(&lake, Signal::Spans).files[0].clone();
    let mut bytes = fs::read(&file.path).unwrap();
    bytes[100] ^= 1;
    fs::write(&file.path, bytes).unwrap();
    assert!(matches!(lake.offload_once().await.unwrap_err(), LakeError::Checksum { .. }));
    assert_eq!(all(&lake, Signal::Spans).missing, [file]);
    assert_eq!(objects(&bucket), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_many_parts_arrives_whole() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = place.open_with(with(&place, ObjectStore { cache_bytes: 0, ..store(&bucket) })).await;
    // random ids do not compress: more than 8 MiB
    let rows = 230_000;
    let many: Vec<Event> = (0..rows)
        .map(|row| Event { time: NOW.plus(row * 1_000), trace: (row as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) })
        .collect();
    lake.insert(spans(1, &many));
    lake.flush().await.unwrap();
    let file = all(&lake, Signal::Spans).files[0].clone();
    assert!(file.bytes > 9 << 20, "{} bytes", file.bytes);
    bucket.take_seen();
    assert_eq!(offload(&lake).await, 1);
    let puts = bucket.take_seen().into_iter().filter(|seen| seen.starts_with("PUT") && seen.ends_with(".parquet"));
    assert!(puts.count() >= 2);
    assert!(!file.path.exists());
    assert_eq!(read(&lake, &file).await.unwrap().len(), rows as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_fetches_what_it_compares_and_leaves_nothing() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 2, 0).await;
    offload(&lake).await;
    let files = all(&lake, Signal::Spans).files;
    fs::remove_file(files[0].index_path()).unwrap();
    let inspection = Inspection::open(&place.lake_dir(), place.database().await, KeyRing::default()).await.unwrap();
    assert_eq!(inspection.sums().values().map(|sum| sum.remote_files).sum::<u64>(), 2);
    let without = tokio::task::spawn_blocking(move || inspection.verify(|_| {})).await.unwrap();
    assert_eq!(without.len(), 2, "no store was named: {without:?}");
    let inspection = Inspection::open(&place.lake_dir(), place.database().await, KeyRing::default()).await.unwrap();
    let inspection = inspection.with_store(&store(&bucket)).unwrap();
    let work = move || (inspection.rebuild_indexes(|_| {}), inspection.verify(|_| {}));
    let (rebuilt, verified) = tokio::task::spawn_blocking(work).await.unwrap();
    assert!(rebuilt.is_empty() && verified.is_empty(), "{rebuilt:?} {verified:?}");
    assert!(files[0].index_path().exists() && files.iter().all(|file| !file.path.exists()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_of_another_lake_is_refused_by_name_and_never_read() {
    let (mine, theirs, bucket) = (Place::new(), Place::new(), Bucket::start());
    let lake = lake_of(&mine, &bucket, 1, 0).await;
    offload(&lake).await;
    drop(lake);
    let elsewhere = || ObjectStore { url: format!("s3://{NAME}/theirs"), ..store(&bucket) };
    let lake = theirs.open_with(with(&theirs, elsewhere())).await;
    lake.insert(spans(1, &events(NOW, 40)));
    lake.flush().await.unwrap();
    offload(&lake).await;
    drop(lake);
    let wrong = with(&mine, elsewhere());
    let refused = Lake::open(wrong.clone(), mine.database().await, mine.clock.clone()).await.unwrap_err();
    assert!(matches!(refused, LakeError::Foreign { .. }) && refused.to_string().contains("theirs"), "{refused}");
    let stranger = Place::new();
    let nameless = with(&stranger, elsewhere());
    let refused = Lake::open(nameless, stranger.database().await, stranger.clock.clone()).await.unwrap_err();
    assert!(matches!(refused, LakeError::Foreign { .. }), "one that has put nothing anywhere: {refused}");
    // a store that is down keeps nobody from starting, and is asked before it is read
    bucket.fault(|faults| faults.is_down = true);
    let lake = mine.open_with(wrong).await;
    fs::remove_file(&all(&lake, Signal::Spans).files[0].path).ok();
    bucket.fault(|faults| faults.is_down = false);
    let error = read_all(&lake).await.unwrap_err();
    assert!(matches!(error, LakeError::Foreign { .. }) && !error.is_damage(), "{error}");
    drop(lake);
    let inspection = Inspection::open(&mine.lake_dir(), mine.database().await, KeyRing::default()).await.unwrap();
    let inspection = inspection.with_store(&elsewhere()).unwrap();
    let faults = tokio::task::spawn_blocking(move || inspection.verify(|_| {})).await.unwrap();
    assert!(matches!(faults[..], [Fault { error: LakeError::Foreign { .. }, .. }]), "{faults:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspection_leaves_the_copy_that_the_server_fetched_meanwhile() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, 0).await;
    offload(&lake).await;
    let file = all(&lake, Signal::Spans).files[0].clone();
    drop(lake);
    let lake = place.open_with(with(&place, store(&bucket))).await;
    assert!(!file.path.exists());
    let inspection = Inspection::open(&place.lake_dir(), place.database().await, KeyRing::default()).await.unwrap();
    let inspection = inspection.with_store(&store(&bucket)).unwrap();
    bucket.take_seen();
    bucket.fault(|faults| faults.delay = Duration::from_millis(500));
    let seen = Arc::new(bucket);
    let (watched, reader, wanted) = (Arc::clone(&seen), lake.clone(), file.clone());
    let verified = tokio::task::spawn_blocking(move || {
        let mut fetched = None;
        let faults = inspection.verify(|_| {
            // the server begins first, so that its copy is there before the inspection is done with its own
            let (reader, wanted) = (reader.clone(), wanted.clone());
            let runtime = tokio::runtime::Handle::current();
            fetched = Some(runtime.spawn(async move { read(&reader, &wanted).await }));
            while !watched.take_seen().iter().any(|seen| seen.starts_with("GET") && seen.ends_with(".parquet")) {
                std::thread::yield_now();
            }
        });
        (faults, fetched.unwrap())
    });
    let (faults, fetched) = verified.await.unwrap();
    assert!(faults.is_empty(), "{faults:?}");
    assert_eq!(fetched.await.unwrap().unwrap(), whole([1], 40));
    assert!(file.path.exists(), "the server counts on its copy");
    assert_eq!(fs::read_dir(place.lake_dir().join(".fetched")).unwrap().count(), 0, "and the inspection's is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scrubber_is_no_reader_and_keeps_no_copy() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 3, u64::MAX).await;
    offload(&lake).await;
    let files = all(&lake, Signal::Spans).files;
    drop(lake);
    let two = files[0].bytes + files[1].bytes + 100;
    let lake = place.open_with(with(&place, ObjectStore { cache_bytes: two, ..store(&bucket) })).await;
    for file in [&files[1], &files[0]] {
        read(&lake, file).await.unwrap();
    }
    place.clock.advance(25 * HOUR);
    while lake.scrub_once().await.unwrap().is_some() {}
    read(&lake, &files[2]).await.unwrap();
    let is_here: Vec<bool> = files.iter().map(|file| file.path.exists()).collect();
    assert_eq!(is_here, [true, false, true], "what was read longest ago went");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_read_keeps_no_other_from_moving() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = place.open_with(with(&place, store(&bucket))).await;
    for lsn in 1..=3 {
        lake.insert(spans(lsn, &events(NOW.plus(lsn as i64 * NANOS_PER_SEC), 40)));
        lake.flush().await.unwrap();
        place.clock.advance(Duration::from_secs(1));
    }
    let oldest = all(&lake, Signal::Spans).files.pop().unwrap();
    let bytes = fs::read(&oldest.path).unwrap();
    fs::remove_file(&oldest.path).unwrap();
    // opens, and cannot be read
    fs::create_dir(&oldest.path).unwrap();
    let mut refused = 0;
    for _ in 0..4 {
        match lake.offload_once().await {
            Err(error @ LakeError::Disk { .. }) => {
                assert!(!error.is_damage() && error.to_string().contains(&oldest.name), "{error}");
                refused += 1;
            }
            moved => assert!(moved.unwrap().is_some()),
        }
    }
    assert_eq!((refused, objects(&bucket).len()), (2, 2), "the others go, and it is tried again when they have");
    fs::remove_dir(&oldest.path).unwrap();
    fs::write(&oldest.path, bytes).unwrap();
    assert_eq!(offload(&lake).await, 1);
    assert_eq!(read_all(&lake).await.unwrap(), whole(1..=3, 40));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_whose_file_was_quarantined_on_its_way_is_what_is_read_from_then_on() {
    let (place, bucket) = (Place::new(), Bucket::start());
    let lake = lake_of(&place, &bucket, 1, u64::MAX).await;
    let file = all(&lake, Signal::Spans).files[0].clone();
    bucket.take_seen();
    bucket.fault(|faults| faults.delay = Duration::from_millis(300));
    let mover = lake.clone();
    let mut moving = tokio::task::JoinSet::new();
    moving.spawn(async move { mover.offload_once().await });
    while !bucket.take_seen().iter().any(|seen| seen.starts_with("PUT") && seen.ends_with(".parquet")) {
        tokio::task::yield_now().await;
    }
    let mut bytes = fs::read(&file.path).unwrap();
    bytes[100] ^= 1;
    fs::write(&file.path, bytes).unwrap();
    lake.quarantine(&file, "its bytes changed").await.unwrap();
    moving.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(objects(&bucket).len(), 1, "it may be all there is of its rows");
    bucket.fault(|faults| faults.delay = Duration::ZERO);
    drop(lake);
    let lake = place.open_with(with(&place, store(&bucket))).await;
    assert_eq!(all(&lake, Signal::Spans).missing, []);
    let (checked, entry) = (lake.clone(), file.clone());
    tokio::task::spawn_blocking(move || checked.check(&entry)).await.unwrap().unwrap();
    assert_eq!(read_all(&lake).await.unwrap(), whole([1], 40));
}
