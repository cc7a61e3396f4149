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
            assert_eq!((file.format_version, file.level), if merged { (2, Level::L2) } else { (1, Level::L0) });
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
