//! The roll-up of a file, from its sidecar; counted from its rows when that has none.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use model::{Signal, TimeRange, conform};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use runtime::metric;

use super::columns::Columns;
use super::wire::{Blocks, Totals};
use super::{Callers, Rollup, STEPS, TOTALS, count, whole_steps};
use crate::promotion::Promoted;
use crate::{FileEntry, LakeError, Snapshot, sidecar};

/// Rows counted at once where a file has to be read.
const WINDOW_ROWS: usize = 131_072;

/// How much of a roll-up is wanted.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// What it comes to over a range.
    Figures,
    /// How the operations of a service went, step by step; nothing of calls.
    Course {
        /// The service.
        service: &'a str,
    },
}

impl Snapshot {
    /// Hands the roll-ups of spans in `range` to `take`, those of memory first, then file by file. The range is taken in
    /// whole steps ([`whole_steps`]) where it cuts a file. Ends early when `take` says no, or `goes_on`, which is asked while
    /// rows are counted. Blocking.
    ///
    /// # Errors
    /// Of the file at fault, with its entry; of memory, without.
    pub fn roll_up(
        &self,
        range: &TimeRange,
        wanted: Wanted<'_>,
        goes_on: &dyn Fn() -> bool,
        take: &mut dyn FnMut(&Rollup) -> bool,
    ) -> Result<(), (Option<Arc<FileEntry>>, LakeError)> {
        let range = whole_steps(range);
        let in_memory = match count(&[&self.batches], &self.callers, goes_on) {
            Err(LakeError::Stopping) => return Ok(()),
            counted => counted.map_err(|error| (None, error))?,
        };
        for rollup in in_memory.0 {
            if !take(&rollup.within(&range)) {
                return Ok(());
            }
        }
        for file in self.files.iter().filter(|file| file.overlaps(&range)) {
            let rollup = match of_file(self, file, &range, wanted, goes_on) {
                Err(LakeError::Stopping) => return Ok(()),
                rollup => rollup,
            };
            if !take(&rollup.map_err(|error| (Some(Arc::clone(file)), error))?) {
                return Ok(());
            }
        }
        Ok(())
    }
}

fn of_file(
    snapshot: &Snapshot,
    file: &FileEntry,
    range: &TimeRange,
    wanted: Wanted<'_>,
    goes_on: &dyn Fn() -> bool,
) -> Result<Rollup, LakeError> {
    let is_covered = range.contains(file.zone.min_time) && range.contains(file.zone.max_time);
    let found = match wanted {
        Wanted::Figures if is_covered => sections_of(file, &[TOTALS])
            .and_then(|sections| Totals::read(sections.first()?))
            .map(|totals| totals.rollup),
        Wanted::Figures => with_steps(file, Blocks::All).map(|rollup| rollup.within(range)),
        Wanted::Course { service } => with_steps(file, Blocks::Of(service)).map(|rollup| rollup.within(range)),
    };
    match found {
        Some(found) => Ok(found),
        None => {
            metrics::counter!(metric::LAKE_INDEX_MISSES).increment(1);
            let opened = snapshot.open_file(file)?;
            snapshot.check(file)?;
            Ok(of_opened(file, opened, goes_on)?.within(range))
        }
    }
}

fn with_steps(file: &FileEntry, blocks: Blocks<'_>) -> Option<Rollup> {
    let [totals, steps] = sections_of(file, &[TOTALS, STEPS])?.try_into().ok()?;
    Totals::read(&totals)?.with_steps(&steps, blocks)
}

/// The sections in the order of their kinds; `None` when one is missing.
fn sections_of(file: &FileEntry, kinds: &[u32]) -> Option<Vec<Vec<u8>>> {
    let mut sections = sidecar::open(file, kinds).ok()?;
    sections.sort_unstable_by_key(|(kind, _)| *kind);
    (sections.len() == kinds.len()).then(|| sections.into_iter().map(|(_, section)| section).collect())
}

/// Whether the roll-up of a file can be read; a file written without one passes. Blocking.
///
/// # Errors
/// [`LakeError::Disk`] when there is no sidecar, [`LakeError::Index`] when it is damaged.
pub(crate) fn check(file: &FileEntry) -> Result<(), LakeError> {
    let sections = sidecar::open(file, &[TOTALS, STEPS])?;
    if sections.is_empty() || with_steps(file, Blocks::All).is_some() {
        return Ok(());
    }
    Err(LakeError::Index { path: file.index_path() })
}

/// What the files of a merge come to together. Blocking.
pub(crate) fn of_inputs(inputs: &[Arc<FileEntry>]) -> Result<Rollup, LakeError> {
    Ok(Rollup::sum(inputs.iter().map(|input| as_written(input, &input.path)).collect::<Result<_, _>>()?))
}

/// The roll-up of a file whose rows lie at `rows`, counted from them only when it has none: those do not know of calls
/// between it and other files. Blocking.
pub(crate) fn as_written(file: &FileEntry, rows: &Path) -> Result<Rollup, LakeError> {
    // a disk that does not answer now is no reason to count anew for good
    match sidecar::open(file, &[TOTALS]) {
        Err(error @ LakeError::Disk { .. }) if file.index_path().exists() => return Err(error),
        _ => {}
    }
    if let Some(found) = with_steps(file, Blocks::All) {
        return Ok(found);
    }
    metrics::counter!(metric::LAKE_INDEX_MISSES).increment(1);
    tracing::warn!(
        file = file.name,
        "counts are missing or damaged and made from the rows, without calls to other files"
    );
    of_opened(file, File::open(rows).map_err(LakeError::disk("open", rows))?, &|| true)
}

/// Counts the rows of a file. Calls between it and other files are not in.
fn of_opened(file: &FileEntry, opened: File, goes_on: &dyn Fn() -> bool) -> Result<Rollup, LakeError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new_with_options(opened, file.reader_options());
    let reader = reader.map_err(LakeError::read(&file.path))?;
    let stored = Signal::Spans.stored_schema();
    let fields = Columns::NAMES.iter().map(|name| stored.index_of(name)).collect::<Result<Vec<_>, _>>()?;
    let schema = Arc::new(stored.project(&fields)?);
    let promoted = Promoted::of(reader.schema());
    let beside = promoted.iter().flat_map(Promoted::columns).map(|(name, _)| name);
    let names = Columns::NAMES.into_iter().map(str::to_owned).chain(beside);
    let roots = names.filter_map(|name| reader.schema().index_of(&name).ok()).collect::<Vec<_>>();
    let mask = ProjectionMask::roots(reader.parquet_schema(), roots);
    let reader = reader.with_projection(mask).with_batch_size(WINDOW_ROWS).build();
    let (mut rollup, mut callers) = (Rollup::default(), Callers::default());
    for batch in reader.map_err(LakeError::read(&file.path))? {
        let batch: RecordBatch = batch.map_err(|error| LakeError::read(&file.path)(error.into()))?;
        let batch = promoted.as_ref().map_or(Ok(batch.clone()), |promoted| promoted.restore(&batch))?;
        let (counted, next) = count(&[&[conform(&batch, &schema)?]], &callers, goes_on)?;
        callers = next;
        rollup = Rollup::sum(std::iter::once(rollup).chain(counted).collect());
    }
    Ok(rollup)
}
