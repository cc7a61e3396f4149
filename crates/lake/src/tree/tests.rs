//! The numbers of spans agree with who is above whom.

use arrow::array::{FixedSizeBinaryArray, Int64Array};
use arrow::datatypes::Int32Type;
use model::Signal;
use model::signal::TRACE_ID;

use super::*;

/// Trace, span, parent (0 is none), start.
type Row = (u8, u64, u64, i64);

/// Left, right and depth of each row.
fn numbered(rows: &[Row]) -> Vec<Option<(i32, i32, i32)>> {
    let ids = |of: &dyn Fn(&Row) -> u64| {
        let bytes = rows.iter().map(|row| Some(of(row)).filter(|id| *id != 0).map(u64::to_be_bytes));
        FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes, 8).unwrap()
    };
    let traces = rows.iter().map(|row| Some([row.0; 16]));
    let traces = FixedSizeBinaryArray::try_from_sparse_iter_with_size(traces, 16).unwrap();
    let starts: Int64Array = rows.iter().map(|row| row.3).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (TRACE_ID, Arc::new(traces)),
        (SPAN_ID, Arc::new(ids(&|row| row.1))),
        (span::PARENT_SPAN_ID, Arc::new(ids(&|row| row.2))),
        (span::START_TIME, Arc::new(starts.reinterpret_cast::<arrow::datatypes::TimestampNanosecondType>())),
    ];
    let records = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let (mut keys, mut trees) = (Keys::default(), Trees::default());
    keys.add(Signal::Spans, &records).unwrap();
    trees.add(&records).unwrap();
    trees.number(&keys, &keys.order(Signal::Spans).unwrap());
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    let [left, right, depth] = trees.columns(&all);
    let number = |column: &ArrayRef, row| column.is_valid(row).then(|| column.as_primitive::<Int32Type>().value(row));
    (0..rows.len()).map(|row| Some((number(&left, row)?, number(&right, row)?, number(&depth, row)?))).collect()
}

#[test]
fn children_lie_within_their_parents_and_siblings_beside_each_other() {
    let rows = [(1, 10, 0, 0), (1, 12, 10, 5), (1, 11, 10, 1), (1, 13, 11, 2), (2, 10, 0, 0)];
    let found = numbered(&rows);
    let expected = [(1, 8, 0), (6, 7, 1), (2, 5, 1), (3, 4, 2), (1, 2, 0)];
    assert_eq!(found, expected.map(Some));
}

#[test]
fn a_span_whose_parent_is_elsewhere_is_a_root() {
    let found = numbered(&[(1, 10, 99, 3), (1, 11, 10, 4), (1, 12, 0, 0)]);
    assert_eq!(found, [(3, 6, 0), (4, 5, 1), (1, 2, 0)].map(Some));
}

#[test]
fn copies_and_circles_get_no_number() {
    let found = numbered(&[(1, 10, 0, 0), (1, 10, 0, 1), (1, 20, 21, 2), (1, 21, 20, 3), (1, 30, 30, 4)]);
    assert_eq!(found, [Some((1, 2, 0)), None, None, None, None]);
}

#[test]
fn a_chain_of_a_hundred_thousand_needs_no_stack() {
    let rows: Vec<Row> = (1..=100_000).map(|id| (1, id, id - 1, id as i64)).collect();
    let found = numbered(&rows);
    assert_eq!(found[99_999], Some((100_000, 100_001, 99_999)));
}
