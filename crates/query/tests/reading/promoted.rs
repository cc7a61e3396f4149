//! Attributes that have columns in one file, none in another, and lie in memory: found alike, and given back whole.

use std::fs::File;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use lake::Promoted;
use model::{Signal, TimeRange};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use query::FilterOp::{Eq, Exists, Ne, NotExists};
use serde_json::{Value, json};

use crate::support::{House, Lie, acme, filter, logs, record, span, spans, trace_id};

/// A trace with attributes of every type, one of them twice and in two types.
fn rich(number: u64, tier: &str) -> Value {
    spans(&[span(number, 1, "shop", "pay", 9_000 - number as i64 * 1_000)
        .with("tenant.tier", json!(tier))
        .with("cart.items", json!(number))
        .with("cart.total", json!(number as f64 + 0.5))
        .with("cache.hit", json!(number.is_multiple_of(2)))
        .with("tags", json!(["a", tier]))
        .with("mixed", if number.is_multiple_of(2) { json!(number) } else { json!(format!("text {number}")) })
        .with("tenant.tier", json!("again"))])
}

/// Traces 1 to 3 in a file with columns, 4 in one without, 5 in memory; 6 has none of the attributes and lies with the
/// first.
async fn house() -> House {
    let house = House::new().await;
    let bare = spans(&[span(6, 1, "shop", "pay", 3_000)]);
    house.fill(Lie::Merged, &[rich(1, "free"), rich(2, "team"), rich(3, "free"), bare]).await;
    house.fill(Lie::Files, &[rich(4, "team")]).await;
    house.fill(Lie::Memory, &[rich(5, "free")]).await;
    let snapshot = house.lake.snapshot(&acme(), Signal::Spans, TimeRange::ALL);
    let promoted = |file: &std::sync::Arc<lake::FileEntry>| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&file.path).unwrap()).unwrap();
        Promoted::of(reader.schema()).map_or(0, |promoted| promoted.keys().len())
    };
    let mut columns: Vec<usize> = snapshot.files.iter().map(promoted).collect();
    columns.sort_unstable();
    assert_eq!(columns, [0, 7], "one file has columns, one of them has two types");
    assert_eq!(snapshot.batches.len(), 1);
    house
}

#[tokio::test]
async fn conditions_find_the_same_in_columns_lists_and_memory() {
    let house = house().await;
    let cases = [
        ("tenant.tier", Eq, "free", vec![5, 3, 1]),
        ("tenant.tier", Eq, "team", vec![4, 2]),
        ("tenant.tier", Eq, "again", vec![5, 4, 3, 2, 1]),
        ("tenant.tier", Eq, "nobody", vec![]),
        ("tenant.tier", Exists, "", vec![5, 4, 3, 2, 1]),
        ("tenant.tier", NotExists, "", vec![6]),
        ("cart.items", Eq, "2", vec![2]),
        ("cart.items", Eq, "4", vec![4]),
        ("cart.items", Ne, "2", vec![5, 4, 3, 1]),
        ("cart.total", Eq, "3.5", vec![3]),
        ("cart.total", Eq, "5.5", vec![5]),
        ("cache.hit", Eq, "true", vec![4, 2]),
        ("cache.hit", Ne, "true", vec![5, 3, 1]),
        ("tags", Eq, r#"["a","team"]"#, vec![4, 2]),
        ("mixed", Eq, "2", vec![2]),
        ("mixed", Eq, "text 3", vec![3]),
        ("mixed", Ne, "text 3", vec![5, 4, 2, 1]),
        ("mixed", Exists, "", vec![5, 4, 3, 2, 1]),
        ("nowhere", Eq, "2", vec![]),
        ("nowhere", Exists, "", vec![]),
        ("nowhere", NotExists, "", vec![5, 4, 6, 3, 2, 1]),
    ];
    for (key, op, value, expected) in cases {
        let mut found = house.find(|search| search.filters = vec![filter(key, op, value)]).await;
        let mut expected: Vec<u64> = expected;
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{key} {op:?} {value}");
    }
    let both = vec![filter("tenant.tier", Eq, "free"), filter("cart.items", Ne, "1"), filter("cache.hit", Exists, "")];
    assert_eq!(house.find(|search| search.filters = both).await, [5, 3]);
}

#[tokio::test]
async fn sql_finds_the_same_in_columns_lists_and_memory() {
    let house = house().await;
    let cases = [
        ("attribute(attrs_rest, 'tenant.tier') = 'free'", 3),
        ("attribute(attrs_rest, 'cart.items') = '2'", 1),
        ("attribute(attrs_rest, 'cart.total') = '4.5'", 1),
        ("attribute(attrs_rest, 'cache.hit') = 'true'", 2),
        ("attribute(attrs_rest, 'mixed') IN ('2', 'text 1', 'text 5')", 3),
        ("attribute(attrs_rest, 'mixed') IS NULL", 1),
        ("attribute(attrs_rest, 'nowhere') IS NULL", 6),
        ("attribute(attrs_rest, 'nowhere') IS NOT NULL", 0),
        ("array_has(attrs_rest, 'tenant.tier\u{1f}sfree')", 3),
        ("NOT array_has(attrs_rest, 'tenant.tier\u{1f}sfree')", 3),
        ("NOT array_has(attrs_rest, 'nowhere\u{1f}sfree')", 6),
        ("array_has(attrs_rest, 'nowhere\u{1f}sfree')", 0),
        ("array_has(attrs_rest, 'cart.items\u{1f}sfree')", 0),
        ("array_has(attrs_rest, 'nowhere\u{1f}sfree') AND name = 'pay'", 0),
        ("array_has(attrs_rest, 'cart.items\u{1f}i2')", 1),
        ("array_has(attrs_rest, 'cart.items\u{1f}i+2')", 0),
        ("array_has(attrs_rest, name)", 0),
        ("array_has_any(attrs_rest, make_array('cart.items\u{1f}i2', 'cart.items\u{1f}i4'))", 2),
        ("array_has_all(attrs_rest, make_array('cart.items\u{1f}i2', 'tenant.tier\u{1f}sagain'))", 1),
        ("cardinality(attrs_rest) = 7", 5),
        ("attrs_rest[1] = 'tenant.tier\u{1f}sfree'", 3),
        ("attrs_rest[7] = 'tenant.tier\u{1f}sagain'", 5),
    ];
    for (condition, expected) in cases {
        for (what, text) in [
            ("filtered", format!("SELECT count(*) FROM spans WHERE {condition}")),
            ("projected", format!("SELECT count(*) FROM (SELECT ({condition}) AS holds FROM spans) WHERE holds")),
        ] {
            let found = house.query.sql(&acme(), &text).await.unwrap();
            let count = found.batches[0].column(0).as_primitive::<Int64Type>().value(0);
            assert_eq!(count, expected, "{what}: {condition}");
        }
    }
    let grouped =
        "SELECT attribute(attrs_rest, 'tenant.tier') AS tier, count(*) FROM spans GROUP BY tier ORDER BY tier";
    let found = house.query.sql(&acme(), grouped).await.unwrap();
    let counts: Vec<i64> =
        found.batches.iter().flat_map(|batch| batch.column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
    assert_eq!(counts, [3, 2, 1]);
}

#[tokio::test]
async fn a_trace_shows_its_attributes_in_their_order_wherever_it_lies() {
    let house = house().await;
    let mut shown = Vec::new();
    for number in [1, 5] {
        let trace = house.query.trace(&acme(), trace_id(number)).await.unwrap().unwrap();
        let batches = &trace.batches;
        let view = model::view::Spans::new(&batches[0]).unwrap();
        let attributes = view.shared.attributes(0);
        shown.push(attributes.into_iter().map(|(key, _)| key).collect::<Vec<_>>());
    }
    assert_eq!(shown[0], ["tenant.tier", "cart.items", "cart.total", "cache.hit", "tags", "mixed", "tenant.tier"]);
    assert_eq!(shown[0], shown[1]);
}

#[tokio::test]
async fn attributes_of_log_records_have_columns_too() {
    let house = House::new().await;
    let with = |body: &str, tier: &str| {
        let (service, mut record) = record("shop", body, 9, 1_000);
        record["attributes"] = json!([{"key": "tenant.tier", "value": {"stringValue": tier}}]);
        logs(&[(service, record)])
    };
    house.fill(Lie::Merged, &[with("one", "free"), with("two", "team")]).await;
    house.fill(Lie::Memory, &[with("three", "free")]).await;
    let mut found = house.find_logs(|search| search.filters = vec![filter("tenant.tier", Eq, "free")]).await;
    found.sort_unstable();
    assert_eq!(found, ["one", "three"]);
}
