//! Where each span stands in the tree of its trace, as numbers that make "is below" a comparison.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int32Array, RecordBatch};
use arrow::error::ArrowError;
use foldhash::fast::RandomState;
use model::signal::{SPAN_ID, span};

use crate::row_order::{Keys, column, wrong};

/// Number of a span outside of any tree.
const NONE: i32 = 0;

/// Span and parent id of each row, then the tree numbers of each row: 28 bytes a row.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    spans: Vec<u64>,
    /// 0 is no parent.
    parents: Vec<u64>,
    left: Vec<i32>,
    right: Vec<i32>,
    depth: Vec<i32>,
}

impl Trees {
    /// Takes in the next rows.
    pub(crate) fn add(&mut self, records: &RecordBatch) -> Result<(), ArrowError> {
        for (name, ids) in [(SPAN_ID, &mut self.spans), (span::PARENT_SPAN_ID, &mut self.parents)] {
            let found = column(records, name)?.as_fixed_size_binary_opt().ok_or_else(|| wrong(name))?;
            ids.extend((0..found.len()).map(|row| id_at(found, row)));
        }
        Ok(())
    }

    /// Numbers every trace. `order` has the rows of each trace together.
    pub(crate) fn number(&mut self, keys: &Keys, order: &[u32]) {
        let rows = self.spans.len();
        (self.left, self.right, self.depth) = (vec![NONE; rows], vec![NONE; rows], vec![NONE; rows]);
        for trace in order.chunk_by(|left, right| keys.trace(*left) == keys.trace(*right)) {
            self.number_trace(keys, trace);
        }
    }

    /// A span id that stands twice in a trace (a copy, or the two sides of a Zipkin call) belongs to the row that comes
    /// first; the other gets no number. So do spans whose parents lead round in a circle.
    fn number_trace(&mut self, keys: &Keys, trace: &[u32]) {
        let mut row_of: HashMap<u64, u32, RandomState> =
            HashMap::with_capacity_and_hasher(trace.len(), RandomState::default());
        let mut children: HashMap<u64, Vec<u32>, RandomState> = HashMap::default();
        let mut own: Vec<u32> = Vec::with_capacity(trace.len());
        for &row in trace {
            row_of.entry(self.spans[row as usize]).or_insert_with(|| {
                own.push(row);
                row
            });
        }
        let mut roots = Vec::new();
        for &row in &own {
            let parent = self.parents[row as usize];
            match parent != 0 && row_of.contains_key(&parent) {
                true => children.entry(parent).or_default().push(row),
                false => roots.push(row),
            }
        }
        let by_start = |rows: &mut Vec<u32>| rows.sort_by_key(|row| (keys.time(*row), self.spans[*row as usize]));
        by_start(&mut roots);
        children.values_mut().for_each(by_start);
        let mut next = 0;
        let mut path: Vec<(u32, Vec<u32>)> = Vec::new();
        for root in roots {
            let mut entered = Some(root);
            loop {
                if let Some(row) = entered.take() {
                    next += 1;
                    self.left[row as usize] = next;
                    self.depth[row as usize] = path.len() as i32;
                    let mut below = children.remove(&self.spans[row as usize]).unwrap_or_default();
                    below.reverse();
                    path.push((row, below));
                }
                let Some((row, below)) = path.last_mut() else { break };
                match below.pop() {
                    Some(child) => entered = Some(child),
                    None => {
                        next += 1;
                        self.right[*row as usize] = next;
                        path.pop();
                    }
                }
            }
        }
    }

    /// The tree columns of these rows, in schema order.
    pub(crate) fn columns(&self, rows: &[u32]) -> [ArrayRef; 3] {
        let numbered = |row: &u32| self.left[*row as usize] != NONE;
        [&self.left, &self.right, &self.depth].map(|numbers| -> ArrayRef {
            Arc::new(Int32Array::from_iter(rows.iter().map(|row| numbered(row).then(|| numbers[*row as usize]))))
        })
    }
}

fn id_at(ids: &FixedSizeBinaryArray, row: usize) -> u64 {
    if ids.is_null(row) { 0 } else { ids.value(row).try_into().map_or(0, u64::from_be_bytes) }
}

#[cfg(test)]
mod tests;
