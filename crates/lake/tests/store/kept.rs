//! Stores of every version of the layout, kept for ever: each opens, reads, and is merged into the newest.

use std::fs;
use std::path::Path;

use arrow::array::AsArray;
use lake::Level;
use model::{Signal, TenantId, TimeRange};

use crate::support::*;

/// Copies a folder with everything below it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (path, name) = (entry.as_ref().unwrap().path(), entry.as_ref().unwrap().file_name());
        match path.is_dir() {
            true => copy(&path, &to.join(name)),
            false => drop(fs::copy(&path, to.join(name)).unwrap()),
        }
    }
}

/// 30 spans of ten traces and ten log records, taken in over OTLP by the first version that wrote the layout.
#[tokio::test]
async fn a_store_of_layout_1_opens_reads_and_merges() {
    let place = Place::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept/v1"), place.dir.path());
    let lake = place.open().await;
    let default = TenantId::default_tenant();
    for merged in [false, true] {
        for (signal, rows) in [(Signal::Spans, 30), (Signal::Logs, 10)] {
            let snapshot = lake.snapshot(&default, signal, TimeRange::ALL);
            assert_eq!((snapshot.files.len(), snapshot.rows()), (1, rows));
            let file = &snapshot.files[0];
            assert_eq!((file.format_version, file.level), if merged { (3, Level::L2) } else { (1, Level::L0) });
            file.verify().unwrap();
            let found = read_file(&file.path);
            let services = found[0].column_by_name("service").unwrap();
            let services = services.as_dictionary::<arrow::datatypes::Int32Type>().values().as_string::<i32>();
            assert_eq!(services.value(0), "kept");
            let mut positions: Vec<_> = found.iter().flat_map(positions_in).collect();
            positions.sort_unstable();
            let lsn = if signal == Signal::Spans { 1 } else { 2 };
            assert_eq!(positions, whole([lsn], rows as u32));
        }
        place.clock.advance(2 * HOUR);
        while lake.compact_once().await.unwrap() {}
    }
}

/// The same traces and records with attributes of all types that no convention names, merged by the version before the
/// one that gave such attributes columns. A file of one log position more is merged with it.
#[tokio::test]
async fn a_store_of_layout_2_opens_reads_and_merges_into_columns() {
    let place = Place::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept/v2"), place.dir.path());
    let default = TenantId::default_tenant();
    let lake = place.open().await;
    let hour = lake.snapshot(&default, Signal::Spans, TimeRange::ALL).files[0].zone.min_time;
    let kept = Signal::ALL.map(|signal| {
        let snapshot = lake.snapshot(&default, signal, TimeRange::ALL);
        let file = &snapshot.files[0];
        assert_eq!((snapshot.files.len(), file.format_version, file.level), (1, 2, Level::L2));
        file.verify().unwrap();
        assert_eq!(promoted_in(&file.path), None);
        let entries = entries_in(&read_file(&file.path));
        assert_eq!(
            entries.iter().filter(|entry| entry.starts_with("tenant.tier\u{1f}s")).count(),
            snapshot.rows() as usize
        );
        entries
    });
    // what comes late for the same hour is merged with what is there
    lake.insert(batch(&default, Signal::Spans, 4, &events(hour, 5)));
    lake.insert(batch(&default, Signal::Logs, 5, &events(hour, 5)));
    lake.flush().await.unwrap();
    place.clock.advance(26 * HOUR);
    while lake.compact_once().await.unwrap() {}
    for (signal, kept) in Signal::ALL.into_iter().zip(kept) {
        let snapshot = lake.snapshot(&default, signal, TimeRange::ALL);
        assert_eq!((snapshot.files.len(), snapshot.files[0].format_version), (1, 3));
        let columns = promoted_in(&snapshot.files[0].path).unwrap();
        let names: Vec<_> = columns.keys().iter().map(|key| format!("{}:{}", key.tag, key.key)).collect();
        for wanted in ["s:tenant.tier", "i:cart.items", "d:cart.total", "b:cache.hit"] {
            assert!(names.iter().any(|name| name == wanted), "{wanted} in {names:?}");
        }
        let found = entries_in(&read_file(&snapshot.files[0].path));
        assert!(kept.iter().all(|entry| found.contains(entry)), "no entry is lost");
    }
}

/// Every residual entry, sorted.
fn entries_in(batches: &[arrow::array::RecordBatch]) -> Vec<String> {
    let mut entries = Vec::new();
    for batch in batches {
        let list = batch.column_by_name("attrs_rest").unwrap().as_list::<i32>();
        entries.extend(list.values().as_string::<i32>().iter().flatten().map(str::to_owned));
    }
    entries.sort_unstable();
    entries
}
