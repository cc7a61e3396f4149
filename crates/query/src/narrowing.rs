//! Files and slices that cannot hold what a search needs, left out before anything is planned.
//!
//! What an index denies is believed; now and then what it denied is read all the same. An index that denied a row that
//! matches is not asked again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, lit};
use lake::{FileEntry, GROUP_SLICES, Snapshot};
use runtime::metric;
use tokio::time::Instant;

use crate::QueryError;
use crate::query::{Inner, blocking};
use crate::search::all;
use crate::table::{Selectivity, SnapshotTable};

/// Of files that may hold a match in some slices only, by name: which.
pub(crate) type Slices = HashMap<String, Vec<bool>>;

/// What rows must have to match, as far as indexes know of it.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    /// The conditions that the rest follows from.
    pub conditions: Vec<Expr>,
    /// Hashes of attribute values: of every set, one.
    pub values: Vec<Vec<u64>>,
    /// Hashes of words of the body: of every set, one.
    pub words: Vec<Vec<u64>>,
}

/// Takes the files that hold no match out of the snapshot.
///
/// # Errors
/// [`QueryError::Timeout`] past the deadline, which is looked at before each file; those of reading what was denied.
pub(crate) async fn narrow(
    inner: &Arc<Inner>,
    mut snapshot: Snapshot,
    needs: Needs,
    deadline: Instant,
) -> Result<(Snapshot, Slices), QueryError> {
    let mut slices = Slices::new();
    if needs.values.is_empty() && needs.words.is_empty() {
        return Ok((snapshot, slices));
    }
    let (asked, files) = (Arc::clone(inner), snapshot.files.clone());
    let (values, words) = (needs.values, needs.words);
    let answers = blocking(move || {
        let answer = |file: &Arc<FileEntry>| {
            if Instant::now() >= deadline {
                // whoever set the deadline puts the limit in
                return Err(QueryError::Timeout { limit: Duration::ZERO });
            }
            let may_hold = may_hold(&asked, file, &values, &words);
            // an answer that leaves nothing out cannot be wrong
            let is_checked = may_hold.contains(&false) && asked.footers.wants_check();
            Ok((may_hold, is_checked))
        };
        files.iter().map(answer).collect::<Result<Vec<_>, _>>()
    })
    .await?;
    let mut kept = Vec::new();
    for (file, (mut may_hold, is_checked)) in snapshot.files.iter().zip(answers) {
        if is_checked && is_lie(inner, &snapshot, file, &may_hold, &needs.conditions).await? {
            tracing::error!(file = file.name, "the index denies rows that are there and is not used any more");
            inner.footers.distrust(&file.name);
            may_hold.fill(true);
        }
        if may_hold.contains(&true) {
            kept.push(Arc::clone(file));
            if may_hold.contains(&false) {
                slices.insert(file.name.clone(), may_hold);
            }
        }
    }
    snapshot.files = kept;
    Ok((snapshot, slices))
}

/// Of each slice of a file, whether it may hold a match. Blocking.
fn may_hold(inner: &Inner, file: &FileEntry, values: &[Vec<u64>], words: &[Vec<u64>]) -> Vec<bool> {
    let mut may_hold = vec![true; lake::slices_of(file.zone.rows)];
    if !values.is_empty()
        && let Some(index) = inner.footers.values(file).as_ref()
    {
        for (of_group, holds) in may_hold.chunks_mut(GROUP_SLICES).zip(index.groups_with(values)) {
            of_group.fill(holds);
        }
    }
    if !words.is_empty()
        && let Some(index) = inner.footers.words(file).as_ref()
    {
        may_hold.iter_mut().zip(index.slices_with(words)).for_each(|(slice, holds)| *slice &= holds);
    }
    may_hold
}

/// Whether a row that meets the conditions lies in what was denied.
async fn is_lie(
    inner: &Inner,
    snapshot: &Snapshot,
    file: &Arc<FileEntry>,
    may_hold: &[bool],
    conditions: &[Expr],
) -> Result<bool, QueryError> {
    metrics::counter!(metric::LAKE_INDEX_CHECKS).increment(1);
    let denied = Slices::from([(file.name.clone(), may_hold.iter().map(|holds| !holds).collect())]);
    let table = SnapshotTable::of_file(snapshot, file, Selectivity::Selective).of_slices(&denied);
    let found = matching(inner, table, all(conditions.to_vec())).await?;
    if found > 0 {
        metrics::counter!(metric::LAKE_INDEX_LIES).increment(1);
    }
    Ok(found > 0)
}

/// How many rows of a table meet a condition.
pub(crate) async fn matching(inner: &Inner, table: SnapshotTable, condition: Expr) -> Result<u64, QueryError> {
    let engine = &inner.engine;
    let frame = engine
        .session()?
        .read_table(Arc::new(table))
        .and_then(|frame| frame.filter(condition)?.aggregate(Vec::new(), vec![count(lit(1))]))
        .map_err(|error| engine.failed(error))?;
    let counted = engine.collect(frame, 1).await?;
    let numbers = counted.batches.first().and_then(|batch| batch.columns().first());
    let numbers = numbers.and_then(|column| column.as_primitive_opt::<Int64Type>());
    Ok(numbers.and_then(|numbers| numbers.values().first()).map_or(0, |number| number.unsigned_abs()))
}

#[cfg(test)]
mod tests;
