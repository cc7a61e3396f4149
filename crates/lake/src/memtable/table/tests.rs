//! Folding keeps every row, and keeps batches few without copying rows often.

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;

fn batch(rows: usize) -> Arc<FrozenBatch> {
    let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false)]));
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    Arc::new(FrozenBatch::new(Signal::Spans, RecordBatch::try_new(schema, vec![column]).unwrap()))
}

fn sizes(rows: &[usize]) -> Vec<usize> {
    let batches: Vec<_> = rows.iter().map(|rows| batch(*rows)).collect();
    let groups = group(&batches);
    assert_eq!(groups.iter().map(|group| group.members.len()).sum::<usize>(), rows.len());
    groups.iter().map(|group| group.rows).collect()
}

#[test]
fn small_neighbours_are_joined() {
    assert_eq!(sizes(&[1, 1, 1, 1]), [3, 1]);
    assert_eq!(sizes(&[3, 1, 1]), [5]);
    assert_eq!(sizes(&[200, 1, 200, 1]), [401, 1]);
}

#[test]
fn a_large_batch_is_not_copied_for_a_few_new_rows() {
    assert_eq!(sizes(&[5_000, 3, 2]), [5_000, 5]);
    assert_eq!(sizes(&[256, 256, 1]), [256, 256, 1]);
    assert_eq!(sizes(&[512; 3]), [512; 3]);
}

#[test]
fn folding_after_every_insert_copies_each_row_a_few_times() {
    let (mut list, mut copied) = (Vec::new(), 0);
    for _ in 0..20_000 {
        list.push(batch(1));
        let groups = group(&list);
        assert!(groups.len() <= 9 + 20_000 / ALONE_ROWS);
        copied += groups.iter().filter(|group| group.members.len() > 1).map(|group| group.rows).sum::<usize>();
        list = groups
            .iter()
            .map(
                |group| {
                    if group.members.len() > 1 { batch(group.rows) } else { Arc::clone(&list[group.members.start]) }
                },
            )
            .collect();
    }
    assert!(copied <= 20_000 * 9, "{copied} rows copied for 20,000 inserted");
}
