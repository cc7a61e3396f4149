//! Several files made one, in the order of a file and with the trees of its traces numbered.
//!
//! The sort keys of all rows are read first (24 bytes a row, 52 with trees); the rest comes slice by slice as the output
//! needs it. Inputs are in the order of first sight as well, so that a slice of the output draws on few slices of each.
//! Memory is what the keys take, [`CACHED_SLICES`] decoded slices and a row group.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use model::signal::{ATTRS_REST, SPAN_ID, TRACE_ID, span};
use model::{Lsn, Signal, conform, join};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector};

use crate::cover::FileKey;
use crate::parquet_file::{FileWriter, Written};
use crate::promotion::{Chosen, Promoted, Remembered, Sample, Splitter, choose};
use crate::row_order::{Keys, SLICE_ROWS, SliceOrder, column, wrong};
use crate::tree::Trees;
use crate::{FileEntry, LakeError, Level, rollup};

/// Decoded slices kept for the next slice of the output; one of ordinary spans takes about 8 MB.
const CACHED_SLICES: usize = 16;
/// Inputs of which a slice is looked at before the columns of the output are chosen.
const SAMPLED_SLICES: usize = 16;

/// Writes the rows of `inputs` to `path`, with columns for the keys of attributes that were `remembered` and for those that
/// are frequent in them. Blocking; `pause` is called between slices and ends the merge with its error.
///
/// # Errors
/// [`LakeError::Disk`], [`LakeError::Read`] for a damaged input, [`LakeError::Parquet`].
pub(crate) fn merge(
    inputs: &[Arc<FileEntry>],
    path: &Path,
    level: Level,
    range: (Lsn, Lsn),
    key: Option<FileKey>,
    (remembered, promotes): (&[Remembered], bool),
    pause: &mut dyn FnMut() -> Result<(), LakeError>,
) -> Result<(Written, Chosen), LakeError> {
    let Some(signal) = inputs.first().map(|input| input.signal) else {
        return Err(LakeError::Worker("compaction of nothing"));
    };
    let sources: Vec<Source> = inputs.iter().map(Source::open).collect::<Result<_, _>>()?;
    let (mut keys, mut trees) = (Keys::default(), (signal == Signal::Spans).then(Trees::default));
    for source in &sources {
        source.read_keys(signal, &mut keys, trees.as_mut())?;
        pause()?;
    }
    let rollup = (signal == Signal::Spans).then(|| rollup::of_inputs(inputs)).transpose()?;
    pause()?;
    let order = keys.order(signal)?;
    if let Some(trees) = &mut trees {
        trees.number(&keys, &order);
    }
    let chosen = if promotes { choose(remembered, &sample_of(&sources)?) } else { Chosen::of(remembered) };
    pause()?;
    let mut gathering = Gathering::of(&sources, signal);
    let splitter = Splitter::new(signal, chosen.columns.clone());
    let mut writer = FileWriter::create(path, signal, level, range, key, Some(splitter))?;
    for window in order.chunks(SLICE_ROWS) {
        let (records, mut rows) = gathering.gather(window)?;
        // a row of the window with where it lies among what was gathered
        let order = SliceOrder::of(signal, &records)?;
        order.sort(&mut rows, |(_, place)| place as usize, |(row, _)| keys.time(row));
        let places = UInt32Array::from_iter_values(rows.iter().map(|(_, place)| *place));
        let mut slice = take_record_batch(&records, &places)?;
        if let Some(trees) = &trees {
            let rows: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
            slice = with_tree(&slice, trees.columns(&rows))?;
        }
        writer.write_slice(&slice)?;
        pause()?;
    }
    Ok((writer.finish(rollup.as_ref())?, chosen))
}

/// Some of the rows: of [`SAMPLED_SLICES`] inputs, spread over all of them, the slice in the middle.
fn sample_of(sources: &[Source]) -> Result<Sample, LakeError> {
    let mut sample = Sample::default();
    let every = sources.len().div_ceil(SAMPLED_SLICES).max(1);
    for source in sources.iter().step_by(every).filter(|source| !source.slices.is_empty()) {
        for list in source.read_rest(source.slices.len() / 2)? {
            sample.add(&list)?;
        }
    }
    Ok(sample)
}

fn with_tree(slice: &RecordBatch, columns: [ArrayRef; 3]) -> Result<RecordBatch, LakeError> {
    let schema = slice.schema();
    let mut all = slice.columns().to_vec();
    for (name, column) in span::TREE.iter().zip(columns) {
        all[schema.index_of(name)?] = column;
    }
    Ok(RecordBatch::try_new(schema, all)?)
}

/// One input.
struct Source {
    entry: Arc<FileEntry>,
    metadata: ArrowReaderMetadata,
    /// What it has beside the stored schema.
    promoted: Option<Promoted>,
    slices: Vec<SliceAt>,
}

/// Where a slice of an input lies.
struct SliceAt {
    group: usize,
    /// Rows of the group before it.
    skipped: usize,
    rows: usize,
    /// Rows of the file before it.
    first: u32,
}

impl Source {
    fn open(entry: &Arc<FileEntry>) -> Result<Self, LakeError> {
        let file = File::open(&entry.path).map_err(LakeError::disk("open", &entry.path))?;
        let metadata =
            ArrowReaderMetadata::load(&file, entry.reader_options()).map_err(LakeError::read(&entry.path))?;
        let (mut slices, mut first) = (Vec::new(), 0);
        for (group, rows) in metadata.metadata().row_groups().iter().map(|group| group.num_rows()).enumerate() {
            let group_rows = usize::try_from(rows).unwrap_or(0);
            for skipped in (0..group_rows).step_by(SLICE_ROWS) {
                let rows = SLICE_ROWS.min(group_rows - skipped);
                slices.push(SliceAt { group, skipped, rows, first });
                first += rows as u32;
            }
        }
        let promoted = Promoted::of(metadata.schema());
        Ok(Self { entry: Arc::clone(entry), metadata, promoted, slices })
    }

    fn rows(&self) -> u32 {
        self.slices.last().map_or(0, |last| last.first + last.rows as u32)
    }

    /// The slice that a row lies in, and where in it.
    fn locate(&self, row: u32) -> (usize, u32) {
        let slice = self.slices.partition_point(|slice| slice.first <= row) - 1;
        (slice, row - self.slices[slice].first)
    }

    fn reader(&self) -> Result<ParquetRecordBatchReaderBuilder<File>, LakeError> {
        let file = File::open(&self.entry.path).map_err(LakeError::disk("open", &self.entry.path))?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone()))
    }

    fn read_keys(&self, signal: Signal, keys: &mut Keys, mut trees: Option<&mut Trees>) -> Result<(), LakeError> {
        let mut names = vec![TRACE_ID, signal.time_column()];
        if trees.is_some() {
            names.extend([SPAN_ID, span::PARENT_SPAN_ID]);
        }
        let columns = names.iter().map(|name| self.metadata.schema().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns);
        let reader = self.reader()?.with_projection(mask).with_batch_size(SLICE_ROWS).build();
        for batch in reader.map_err(LakeError::read(&self.entry.path))? {
            let batch = batch.map_err(|error| LakeError::read(&self.entry.path)(error.into()))?;
            keys.add(signal, &batch)?;
            if let Some(trees) = &mut trees {
                trees.add(&batch)?;
            }
        }
        Ok(())
    }

    /// The residual lists of a slice, whole.
    fn read_rest(&self, number: usize) -> Result<Vec<ListArray>, LakeError> {
        let names = self.promoted.iter().flat_map(Promoted::columns).map(|(name, _)| name);
        let names = names.chain([ATTRS_REST.to_owned()]);
        let columns = names.filter_map(|name| self.metadata.schema().index_of(&name).ok());
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns);
        let lists = self.read(number, mask)?.into_iter().map(|batch| {
            let list = column(&batch, ATTRS_REST)?.as_list_opt::<i32>().cloned();
            list.ok_or_else(|| LakeError::from(wrong(ATTRS_REST)))
        });
        lists.collect()
    }

    /// These columns of a slice, with whole residual lists.
    fn read(&self, number: usize, mask: ProjectionMask) -> Result<Vec<RecordBatch>, LakeError> {
        let SliceAt { group, skipped, rows, .. } = self.slices[number];
        let selection = RowSelection::from(vec![RowSelector::skip(skipped), RowSelector::select(rows)]);
        let reader = self.reader()?.with_row_groups(vec![group]).with_row_selection(selection).with_batch_size(rows);
        let reader = reader.with_projection(mask).build().map_err(LakeError::read(&self.entry.path))?;
        let batches: Vec<RecordBatch> =
            reader.collect::<Result<_, _>>().map_err(|error| LakeError::read(&self.entry.path)(error.into()))?;
        let Some(promoted) = &self.promoted else { return Ok(batches) };
        Ok(batches.iter().map(|batch| promoted.restore(batch)).collect::<Result<_, _>>()?)
    }

    fn read_slice(&self, signal: Signal, number: usize) -> Result<RecordBatch, LakeError> {
        let SliceAt { rows, .. } = self.slices[number];
        let batches = self.read(number, ProjectionMask::all())?;
        let schema = signal.stored_schema();
        let batches: Vec<RecordBatch> =
            batches.iter().map(|batch| conform(batch, &schema)).collect::<Result<_, _>>()?;
        let slice = join(&schema, &batches)?;
        if slice.num_rows() == rows {
            return Ok(slice);
        }
        let short = format!("{} rows in slice {number} instead of {rows}", slice.num_rows());
        Err(LakeError::read(&self.entry.path)(parquet::errors::ParquetError::EOF(short)))
    }
}

/// Brings rows from wherever they lie.
struct Gathering<'a> {
    sources: &'a [Source],
    signal: Signal,
    /// First row of each source, counted over all.
    firsts: Vec<u32>,
    /// The slices used last, the latest at the end.
    cached: Vec<((usize, usize), RecordBatch)>,
}

impl<'a> Gathering<'a> {
    fn of(sources: &'a [Source], signal: Signal) -> Self {
        let mut next = 0;
        let mut firsts = Vec::with_capacity(sources.len());
        for source in sources {
            firsts.push(next);
            next += source.rows();
        }
        Self { sources, signal, firsts, cached: Vec::new() }
    }

    /// The rows asked for in some order, and for each of them its number and its place in the batch.
    fn gather(&mut self, window: &[u32]) -> Result<(RecordBatch, Vec<(u32, u32)>), LakeError> {
        let mut wanted: HashMap<(usize, usize), Vec<(usize, u32)>> = HashMap::new();
        for (place, &row) in window.iter().enumerate() {
            let source = self.firsts.partition_point(|first| *first <= row) - 1;
            let (slice, at) = self.sources[source].locate(row - self.firsts[source]);
            wanted.entry((source, slice)).or_default().push((place, at));
        }
        let mut slices: Vec<_> = wanted.into_iter().collect();
        slices.sort_unstable_by_key(|(slice, _)| *slice);
        let mut parts = Vec::with_capacity(slices.len());
        // in the order of the window, so that rows with equal keys keep theirs
        let mut rows: Vec<(u32, u32)> = window.iter().map(|row| (*row, 0)).collect();
        let mut next = 0;
        for (slice, found) in slices {
            let indices = UInt32Array::from_iter_values(found.iter().map(|(_, at)| *at));
            parts.push(take_record_batch(&self.slice(slice)?, &indices)?);
            for (place, _) in found {
                rows[place].1 = next;
                next += 1;
            }
        }
        Ok((join(&self.signal.stored_schema(), &parts)?, rows))
    }

    fn slice(&mut self, slice: (usize, usize)) -> Result<RecordBatch, LakeError> {
        let found = self.cached.iter().position(|(cached, _)| *cached == slice);
        let records = match found {
            Some(index) => self.cached.remove(index).1,
            None => self.sources[slice.0].read_slice(self.signal, slice.1)?,
        };
        if self.cached.len() >= CACHED_SLICES {
            self.cached.remove(0);
        }
        self.cached.push((slice, records.clone()));
        Ok(records)
    }
}
