//! Columns of attributes in merged files: which there are, that they stay the same, and that nobody can have too many.

use arrow::array::{ArrayRef, AsArray, ListBuilder, RecordBatch, StringBuilder};
use lake::{Inspection, Lake, Promoted, ValueIndex, value_hash};
use model::attribute::{Value, entry};
use model::signal::ATTRS_REST;
use model::{EventBatch, Signal};
use runtime::KeyRing;

use crate::support::*;

/// Spans a millisecond apart, with the residual entries that `entries` gives for each row.
fn with_entries(lsn: u64, rows: usize, entries: impl Fn(usize) -> Vec<String>) -> EventBatch {
    let EventBatch { records, .. } = spans(lsn, &events(NOW.plus(lsn as i64 * 1_000_000_000), rows));
    let item = match records.schema().field_with_name(ATTRS_REST).unwrap().data_type() {
        arrow::datatypes::DataType::List(item) => item.clone(),
        other => panic!("{other}"),
    };
    let mut lists = ListBuilder::new(StringBuilder::new()).with_field(item);
    for row in 0..rows {
        entries(row).iter().for_each(|entry| lists.values().append_value(entry));
        lists.append(true);
    }
    let place = records.schema().index_of(ATTRS_REST).unwrap();
    let mut columns = records.columns().to_vec();
    columns[place] = std::sync::Arc::new(lists.finish()) as ArrayRef;
    let records = RecordBatch::try_new(records.schema(), columns).unwrap();
    EventBatch { records, ..spans(lsn, &events(NOW.plus(lsn as i64 * 1_000_000_000), rows)) }
}

fn text(key: &str, value: &str) -> String {
    entry(key, &Value::str(value))
}

/// Flushes eight files from `first` on and merges them; the columns of the file.
async fn merged(lake: &Lake, first: u64, rows: usize, entries: impl Fn(usize) -> Vec<String> + Copy) -> Vec<String> {
    let before: Vec<_> = all(lake, Signal::Spans).files.iter().map(|file| file.name.clone()).collect();
    for lsn in first..first + 8 {
        lake.insert(with_entries(lsn, rows, entries));
        lake.flush().await.unwrap();
    }
    assert!(lake.compact_once().await.unwrap());
    while lake.compact_once().await.unwrap() {}
    let files = all(lake, Signal::Spans).files;
    let new = files.iter().find(|file| !before.contains(&file.name)).unwrap();
    columns_of(promoted_in(&new.path))
}

fn columns_of(promoted: Option<Promoted>) -> Vec<String> {
    promoted.iter().flat_map(|found| found.keys()).map(|key| key.column()).collect()
}

async fn remembered(place: &Place) -> Vec<String> {
    let inspection = Inspection::open(&place.lake_dir(), place.database().await, KeyRing::default()).await.unwrap();
    let mut found: Vec<_> = inspection.promoted().map(|(_, _, key, _)| key.column()).collect();
    found.sort_unstable();
    found
}

#[tokio::test]
async fn what_one_row_in_a_hundred_has_gets_a_column_of_its_type() {
    let place = Place::new();
    let lake = place.open().await;
    let entries = |row: usize| {
        let mut entries = vec![text("tier", ["free", "team"][row % 2]), entry("items", &Value::Int(row as i64))];
        entries.extend(row.is_multiple_of(2).then(|| entry("price", &Value::Double(row as f64 / 4.0))));
        entries.extend(row.is_multiple_of(100).then(|| entry("hit", &Value::Bool(true))));
        // a hundred and twenty-five times rarer than the others
        entries.extend((row == 7).then(|| text("rare", "x")));
        entries.extend(row.is_multiple_of(50).then(|| text("items", "many")));
        entries
    };
    let columns = merged(&lake, 1, 500, entries).await;
    assert_eq!(columns, ["attr:s:tier", "attr:i:items", "attr:d:price", "attr:b:hit"], "in the order of the rows");
    let file = &all(&lake, Signal::Spans).files[0];
    let promoted = promoted_in(&file.path).unwrap();
    let in_rest = ["tier", "items", "price", "hit", "rare", "nowhere"].map(|key| promoted.may_be_in_rest(key));
    assert_eq!(in_rest, [false, true, false, false, true, false], "a key twice in a row is in the list as well");
    // the file itself has them in columns alone
    let reader = std::fs::File::open(&file.path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(reader).unwrap();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let list = batch.column_by_name(ATTRS_REST).unwrap().as_list::<i32>();
        let left = list.values().as_string::<i32>();
        assert!(left.iter().flatten().all(|entry| entry.starts_with("rare") || entry.starts_with("items\u{1f}s")));
    }
    // and gives every row back as it was, in its order
    let whole = read_file(&file.path);
    let count: usize =
        whole.iter().map(|batch| batch.column_by_name(ATTRS_REST).unwrap().as_list::<i32>().values().len()).sum();
    assert_eq!(count, 8 * (0..500).map(|row| entries(row).len()).sum::<usize>());
    for batch in whole {
        let rows = positions_in(&batch);
        let list = batch.column_by_name(ATTRS_REST).unwrap().as_list::<i32>();
        for (at, (_, row)) in rows.iter().enumerate() {
            let found = list.value(at);
            let found: Vec<_> = found.as_string::<i32>().iter().flatten().collect();
            assert_eq!(found, entries(*row as usize), "row {row}");
        }
    }
}

#[tokio::test]
async fn an_index_made_anew_knows_the_values_of_columns() {
    let place = Place::new();
    let lake = place.open().await;
    let often = |row: usize| vec![text("often", &format!("v{row}"))];
    assert_eq!(merged(&lake, 1, 50, often).await, ["attr:s:often"]);
    let file = all(&lake, Signal::Spans).files[0].clone();
    let written = std::fs::read(file.index_path()).unwrap();
    std::fs::remove_file(file.index_path()).unwrap();
    let inspection = Inspection::open(&place.lake_dir(), place.database().await, KeyRing::default()).await.unwrap();
    assert!(inspection.rebuild_indexes(|_| {}).is_empty());
    assert_eq!(std::fs::read(file.index_path()).unwrap().len(), written.len());
    let values = ValueIndex::open(&file).unwrap().unwrap();
    for row in 0..50 {
        let wanted = vec![vec![value_hash(lake::Place::Entry, "", &text("often", &format!("v{row}")))]];
        assert_eq!(values.groups_with(&wanted), [true], "row {row}");
    }
}

#[tokio::test]
async fn the_next_merge_keeps_the_columns_also_after_a_restart() {
    let place = Place::new();
    let lake = place.open().await;
    let often = |row: usize| row.is_multiple_of(10).then(|| text("often", "x")).into_iter().collect();
    assert_eq!(merged(&lake, 1, 400, often).await, ["attr:s:often"]);
    drop(lake);
    let lake = place.open().await;
    // too rare for a column of its own now, and remembered
    let seldom = |row: usize| match row {
        1 => vec![text("often", "y")],
        2 => vec![text("new", "z")],
        _ => vec![],
    };
    assert_eq!(merged(&lake, 9, 400, seldom).await, ["attr:s:often"]);
    assert_eq!(remembered(&place).await, ["attr:s:often"]);
}

#[tokio::test]
async fn a_client_that_makes_up_keys_gets_no_more_than_192_columns() {
    let place = Place::new();
    let lake = place.open().await;
    let made_up =
        |row: usize| (0..300).filter(|key| key % 50 == row % 50).map(|key| text(&format!("k{key}"), "v")).collect();
    assert_eq!(merged(&lake, 1, 200, made_up).await.len(), 192);
    assert_eq!(remembered(&place).await.len(), 192);
    // they are all used up, and stay with those that have them
    let others = |row: usize| vec![text("late", "v"), text(&format!("k{}", row % 50), "v")];
    assert!(!merged(&lake, 9, 200, others).await.contains(&"attr:s:late".to_owned()));
    // until they were not seen for a while
    let mut first = 17;
    let late = |_: usize| vec![text("late", "v")];
    while !merged(&lake, first, 200, late).await.contains(&"attr:s:late".to_owned()) {
        first += 8;
        assert!(first < 100, "a key that every row has gets its column in the end");
    }
    assert_eq!(remembered(&place).await.len(), 192);
}

#[tokio::test]
async fn keys_that_every_row_makes_up_anew_get_no_column() {
    let place = Place::new();
    let lake = place.open().await;
    let made_up =
        |row: usize| vec![text(&format!("id-{row}"), "v"), text("a\u{1e}b", "escaped"), text(&"k".repeat(200), "long")];
    assert_eq!(merged(&lake, 1, 500, made_up).await, [] as [&str; 0]);
    let promoted = promoted_in(&all(&lake, Signal::Spans).files[0].path);
    assert_eq!(promoted, None, "more keys than are listed");
    let whole = read_file(&all(&lake, Signal::Spans).files[0].path);
    let entries: usize =
        whole.iter().map(|batch| batch.column_by_name(ATTRS_REST).unwrap().as_list::<i32>().values().len()).sum();
    assert_eq!(entries, 3 * 8 * 500);
}

#[tokio::test]
async fn files_of_few_rows_have_the_stored_schema() {
    let place = Place::new();
    let lake = place.open_with(lake::Settings { promote_from_rows: 5_000, ..place.settings() }).await;
    let often = |_: usize| vec![text("often", "x")];
    assert_eq!(merged(&lake, 1, 500, often).await, [] as [&str; 0]);
    assert_eq!(merged(&lake, 9, 700, often).await, ["attr:s:often"]);
}
