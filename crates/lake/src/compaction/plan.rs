//! Which files are worth merging.
//!
//! Files of one hour are taken in log order and never across one another, so that the log range of a merged file covers
//! its inputs and nothing else. While events of an hour come in, files of a flush are merged when there are enough of them
//! or the first has waited; when it is over and nothing more comes, everything is merged to level 2. What is as large as
//! files become is left alone. A row is written three times at most, but for stragglers, and twice where many come: a row
//! that is merged costs more than one that is flushed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use model::time::{NANOS_PER_HOUR, NANOS_PER_SEC};
use model::{Lsn, UnixNanos};

use crate::layout::Layout;
use crate::{FileEntry, Level, Partition};

/// Rows of a merged file at most, but for one that was larger before: bounds the memory of a merge.
pub(crate) const MAX_ROWS: u64 = 2 << 20;
/// A file from here on is full: merging it further would gain little.
const FULL_ROWS: u64 = MAX_ROWS / 2;
/// Files of one level from which on they are merged.
const FILES: usize = 8;
/// Unless they have so many rows together: a few more, and they are merged to the end at once.
const NEARLY_FULL_ROWS: u64 = FULL_ROWS / 2;
/// How long files of a flush wait for others.
const WAIT_NANOS: i64 = 15 * 60 * NANOS_PER_SEC;
/// How long after its end an hour counts as over.
const SETTLE_NANOS: i64 = 10 * 60 * NANOS_PER_SEC;
/// How long nothing must have come for an hour that is over: whoever catches up sends hours that are long over.
const QUIET_NANOS: i64 = 60 * NANOS_PER_SEC;
/// How long stragglers of an hour that is over wait for others at most.
const STRAGGLER_NANOS: i64 = 6 * NANOS_PER_HOUR;

/// One merge to do.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// In log order, at least one.
    pub(crate) inputs: Vec<Arc<FileEntry>>,
    /// The level of the result.
    pub(crate) level: Level,
}

impl Plan {
    /// The log positions that the inputs cover together.
    pub(crate) fn range(&self) -> (Lsn, Lsn) {
        let first = self.inputs.iter().map(|file| file.min_lsn).min();
        let last = self.inputs.iter().map(|file| file.max_lsn).max();
        (first.unwrap_or(Lsn(0)), last.unwrap_or(Lsn(0)))
    }

    /// Name of the merged file.
    pub(crate) fn name(&self) -> String {
        let first = &self.inputs[0];
        Layout::name(&first.tenant, first.signal, first.partition, self.range(), self.level)
    }

    /// What goes first: where most files become one; of equals the one that comes first by name.
    pub(crate) fn urgency(&self) -> (usize, Reverse<&str>) {
        (self.inputs.len(), Reverse(self.inputs.first().map_or("", |first| first.name.as_str())))
    }
}

/// What there is to do for the files of one tenant's signal. What cannot be read is left as it is, and not passed over.
pub(crate) fn plans(files: &[Arc<FileEntry>], unreadable: &HashSet<String>, now: UnixNanos) -> Vec<Plan> {
    let mut of_partition: BTreeMap<Partition, Vec<Arc<FileEntry>>> = BTreeMap::new();
    for file in files {
        of_partition.entry(file.partition).or_default().push(Arc::clone(file));
    }
    of_partition
        .into_iter()
        .flat_map(|(partition, mut files)| {
            files.sort_by_key(|file| (file.min_lsn, file.max_lsn));
            let runs = files.split(|file| unreadable.contains(&file.name));
            // a clock that was set back must not put merges off
            let is_new = |file: &Arc<FileEntry>| {
                let age_nanos = now.0.saturating_sub(file.created_unix_nanos);
                file.level == Level::L0 && (0..QUIET_NANOS).contains(&age_nanos)
            };
            let is_done = is_over(partition, now) && !files.iter().any(is_new);
            let plans = |run| if is_done { closing(run, now) } else { going_on(run, now) };
            runs.flat_map(plans).collect::<Vec<_>>()
        })
        .collect()
}

fn is_over(partition: Partition, now: UnixNanos) -> bool {
    match partition {
        Partition::Hour(hour) => {
            hour.saturating_add(1).saturating_mul(NANOS_PER_HOUR).saturating_add(SETTLE_NANOS) <= now.0
        }
        Partition::Odd => false,
    }
}

/// Runs of neighbours that are not full, none of more than [`MAX_ROWS`].
fn packs(files: &[Arc<FileEntry>], belongs: impl Fn(&FileEntry) -> bool) -> Vec<Vec<Arc<FileEntry>>> {
    let mut packs: Vec<Vec<Arc<FileEntry>>> = vec![Vec::new()];
    let mut rows = 0;
    for file in files {
        let fits = belongs(file) && file.zone.rows < FULL_ROWS;
        if !fits || rows + file.zone.rows > MAX_ROWS {
            packs.push(Vec::new());
            rows = 0;
        }
        if fits {
            rows += file.zone.rows;
            packs.last_mut().expect("there is always one").push(Arc::clone(file));
        }
    }
    packs.retain(|pack| !pack.is_empty());
    packs
}

fn rows_of<'a>(files: impl IntoIterator<Item = &'a Arc<FileEntry>>) -> u64 {
    files.into_iter().map(|file| file.zone.rows).sum()
}

fn has_waited<'a>(files: impl IntoIterator<Item = &'a Arc<FileEntry>>, now: UnixNanos, nanos: i64) -> bool {
    files.into_iter().any(|file| now.0.saturating_sub(file.created_unix_nanos) >= nanos)
}

/// Level by level: enough files of one become one of the next.
fn going_on(files: &[Arc<FileEntry>], now: UnixNanos) -> Vec<Plan> {
    let mut plans = Vec::new();
    for (level, next) in [(Level::L0, Level::L1), (Level::L1, Level::L2)] {
        for inputs in packs(files, |file| file.level == level) {
            let rows = rows_of(&inputs);
            let waited = level == Level::L0 && has_waited(&inputs, now, WAIT_NANOS);
            let many = inputs.len() >= FILES && rows < NEARLY_FULL_ROWS;
            let wanted = many || rows >= FULL_ROWS || waited;
            if inputs.len() >= 2 && wanted {
                // what is full will not be merged again
                plans.push(Plan { inputs, level: if rows >= FULL_ROWS { Level::L2 } else { next } });
            }
        }
    }
    plans
}

fn closing(files: &[Arc<FileEntry>], now: UnixNanos) -> Vec<Plan> {
    let full = files.iter().filter(|file| file.zone.rows >= FULL_ROWS && file.level != Level::L2);
    let mut plans: Vec<Plan> = full.map(|file| Plan { inputs: vec![Arc::clone(file)], level: Level::L2 }).collect();
    for inputs in packs(files, |_| true) {
        let (done, new): (Vec<_>, Vec<_>) = inputs.iter().partition(|file| file.level == Level::L2);
        let wanted = match (done.is_empty(), new.is_empty()) {
            // neighbours that a limit kept apart when they were merged
            (_, true) => false,
            (true, false) => true,
            (false, false) => {
                new.len() >= FILES
                    || rows_of(new.iter().copied()) >= rows_of(done.iter().copied()) / 2
                    || has_waited(new.iter().copied(), now, STRAGGLER_NANOS)
            }
        };
        if wanted {
            plans.push(Plan { inputs, level: Level::L2 });
        }
    }
    plans
}

#[cfg(test)]
mod tests;
