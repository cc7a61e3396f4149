//! One snapshot as a table: files and memory side by side.
//!
//! Isolation between tenants is not a filter here: the snapshot holds one tenant's rows and nothing else.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int8Array, Int64Array, RecordBatch, TimestampNanosecondArray, UInt64Array};
use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::config::TableParquetOptions;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue, Statistics};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::object_store::path::Path as ObjectPath;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use lake::{FileEntry, GROUP_SLICES, SLICE_ROWS, Snapshot};
use model::signal::{self, log, span};
use model::{Signal, TimeRange};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};

use crate::QueryError;
use crate::narrowing::Slices;
use crate::promoted::PromotedColumns;
use crate::readers::LakeReaders;

/// Severity numbers below this are no errors; the zone of a log file counts from here on.
const SEVERITY_ERROR: i8 = 17;

/// Whether filters run inside the Parquet decoder. It saves decoding when few rows match, and costs when most do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selectivity {
    /// Few rows are expected to match.
    Selective,
    /// Most rows are expected to match.
    Wide,
}

/// The table over a snapshot, or over the part of it that may hold rows of a shorter range.
#[derive(Debug)]
pub(crate) struct SnapshotTable {
    /// Whom to ask whether a file is whole.
    snapshot: Snapshot,
    signal: Signal,
    files: Vec<Arc<FileEntry>>,
    batches: Vec<RecordBatch>,
    selectivity: Selectivity,
    slices: Slices,
}

impl SnapshotTable {
    pub(crate) fn new(snapshot: &Snapshot, selectivity: Selectivity) -> Self {
        let (files, batches) = (snapshot.files.clone(), snapshot.batches.clone());
        Self { snapshot: snapshot.clone(), signal: snapshot.signal, files, batches, selectivity, slices: Slices::new() }
    }

    /// Only what may hold rows of `range`. Rows outside of it may still be in: filter by time as well.
    pub(crate) fn within(snapshot: &Snapshot, range: &TimeRange, selectivity: Selectivity) -> Self {
        let files = snapshot.files.iter().filter(|file| file.overlaps(range)).cloned().collect();
        let frozen = snapshot.frozen().iter().filter(|frozen| frozen.overlaps(range));
        let batches = frozen.map(|frozen| frozen.records().clone()).collect();
        Self { snapshot: snapshot.clone(), signal: snapshot.signal, files, batches, selectivity, slices: Slices::new() }
    }

    /// Only the rows of one file.
    pub(crate) fn of_file(snapshot: &Snapshot, file: &Arc<FileEntry>, selectivity: Selectivity) -> Self {
        let (files, batches) = (vec![Arc::clone(file)], Vec::new());
        Self { snapshot: snapshot.clone(), signal: snapshot.signal, files, batches, selectivity, slices: Slices::new() }
    }

    /// Only these slices of these files.
    pub(crate) fn of_slices(self, slices: &Slices) -> Self {
        let wanted = self.files.iter().filter_map(|file| slices.get_key_value(&file.name));
        let slices = wanted.map(|(name, slices)| (name.clone(), slices.clone())).collect();
        Self { slices, ..self }
    }

    /// Whether there is nothing to read at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty() && self.batches.is_empty()
    }

    /// The files that `filters` do not rule out by what the catalog knows of them.
    fn pruned(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<Arc<FileEntry>>> {
        let Some(all) = conjunction(filters.iter().cloned()) else { return Ok(self.files.clone()) };
        let schema = self.schema();
        let physical = state.create_physical_expr(all, &DFSchema::try_from(Arc::clone(&schema))?)?;
        let predicate = PruningPredicateBuilder::new().with_file_schema(schema).try_build(physical)?;
        let keep = predicate.prune(&Zones { signal: self.signal, files: &self.files })?;
        let kept = self.files.iter().zip(keep).filter(|(_, keep)| *keep);
        Ok(kept.map(|(file, _)| Arc::clone(file)).collect())
    }

    /// No row of a damaged file is used: the first time after a start that a file is read, it is read whole.
    async fn check(&self, files: &[Arc<FileEntry>]) -> Result<()> {
        let snapshot = self.snapshot.clone();
        // what has to be fetched is compared then
        let files: Vec<_> = files.iter().filter(|file| !snapshot.is_away(file)).cloned().collect();
        let check = move || files.iter().try_for_each(|file| QueryError::of_damage(&snapshot, file));
        let checked = tokio::task::spawn_blocking(check).await;
        let checked = checked.map_err(|error| DataFusionError::External(Box::new(error)))?;
        checked.map_err(|error| DataFusionError::External(Box::new(error)))
    }

    fn scan_files(
        &self,
        state: &dyn Session,
        files: &[Arc<FileEntry>],
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let url = lake_url()?;
        let store = state.runtime_env().object_store(&url)?;
        let cache = state.runtime_env().cache_manager.get_file_metadata_cache();
        let readers = LakeReaders::new(store, cache, &self.snapshot, files);
        let mut global = state.config_options().execution.parquet.clone();
        global.pushdown_filters = self.selectivity == Selectivity::Selective;
        global.reorder_filters = true;
        let options = TableParquetOptions { global, ..TableParquetOptions::default() };
        let source = ParquetSource::new(self.schema())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(readers));
        // newest first in every group, so that a search for the newest rows can stop early
        let groups = state.config().target_partitions().clamp(1, files.len());
        let mut grouped = vec![Vec::new(); groups];
        for (index, file) in files.iter().enumerate() {
            grouped[index % groups].push(self.partitioned(file)?);
        }
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(grouped.into_iter().map(FileGroup::new).collect())
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .with_expr_adapter(Some(Arc::new(PromotedColumns)))
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }

    /// The file as the engine wants it, with the statistics that the catalog has anyway.
    fn partitioned(&self, file: &FileEntry) -> Result<PartitionedFile> {
        let schema = self.schema();
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.num_rows = Precision::Exact(usize::try_from(file.zone.rows).unwrap_or(usize::MAX));
        if let Ok(index) = schema.index_of(self.signal.time_column()) {
            let at = |nanos| Precision::Exact(ScalarValue::TimestampNanosecond(Some(nanos), time_zone()));
            statistics.column_statistics[index].min_value = at(file.zone.min_time.0);
            statistics.column_statistics[index].max_value = at(file.zone.max_time.0);
        }
        let mut partitioned = PartitionedFile::new("", file.bytes);
        let location = ObjectPath::parse(&file.name);
        partitioned.object_meta.location = location.map_err(|error| DataFusionError::External(Box::new(error)))?;
        if let Some(slices) = self.slices.get(&file.name) {
            partitioned = partitioned.with_extension(access(slices, file.zone.rows));
        }
        Ok(partitioned.with_statistics(Arc::new(statistics)))
    }
}

#[async_trait::async_trait]
impl TableProvider for SnapshotTable {
    fn schema(&self) -> SchemaRef {
        self.signal.stored_schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let files = self.pruned(state, filters)?;
        self.check(&files).await?;
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::new();
        if !self.batches.is_empty() {
            let batches = std::slice::from_ref(&self.batches);
            parts.push(MemorySourceConfig::try_new_exec(batches, self.schema(), projection.cloned())?);
        }
        if !files.is_empty() {
            parts.push(self.scan_files(state, &files, projection, limit)?);
        }
        if parts.len() > 1 {
            return UnionExec::try_new(parts);
        }
        match parts.pop() {
            Some(only) => Ok(only),
            None => {
                let schema = self.schema();
                let projected =
                    projection.map_or(Ok(Arc::clone(&schema)), |found| schema.project(found).map(Arc::new))?;
                Ok(Arc::new(EmptyExec::new(projected)))
            }
        }
    }
}

/// What to read of a file with so many rows: of each slice, whether.
fn access(slices: &[bool], rows: u64) -> ParquetAccessPlan {
    let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
    let mut groups = Vec::new();
    for of_group in slices.chunks(GROUP_SLICES) {
        let mut selectors = Vec::with_capacity(of_group.len());
        for reads in of_group {
            let rows = left.min(SLICE_ROWS);
            left -= rows;
            selectors.push(if *reads { RowSelector::select(rows) } else { RowSelector::skip(rows) });
        }
        groups.push(match (of_group.contains(&true), of_group.contains(&false)) {
            (true, false) => RowGroupAccess::Scan,
            (true, true) => RowGroupAccess::Selection(RowSelection::from(selectors)),
            (false, _) => RowGroupAccess::Skip,
        });
    }
    ParquetAccessPlan::new(groups)
}

/// The only place a query session can read files from: the lake's directory.
pub(crate) fn lake_url() -> Result<ObjectStoreUrl> {
    ObjectStoreUrl::parse("lake://files")
}

/// The time zone of every time column, as literals carry it.
pub(crate) fn time_zone() -> Option<Arc<str>> {
    Some("+00:00".into())
}

/// What the catalog knows of each file, in the engine's words. Silence (`None` or null) keeps a file.
struct Zones<'a> {
    signal: Signal,
    files: &'a [Arc<FileEntry>],
}

impl Zones<'_> {
    fn times(&self, of: impl Fn(&FileEntry) -> i64) -> ArrayRef {
        let times = TimestampNanosecondArray::from_iter_values(self.files.iter().map(|file| of(file)));
        Arc::new(times.with_timezone_opt(time_zone()))
    }
}

impl PruningStatistics for Zones<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        (column.name == self.signal.time_column()).then(|| self.times(|file| file.zone.min_time.0))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let files = || self.files.iter();
        if column.name == self.signal.time_column() {
            return Some(self.times(|file| file.zone.max_time.0));
        }
        match (self.signal, column.name.as_str()) {
            (Signal::Spans, span::DURATION_NANOS) => {
                Some(Arc::new(Int64Array::from_iter_values(files().map(|file| file.zone.max_duration_nanos))))
            }
            (Signal::Logs, log::SEVERITY_NUMBER) => {
                let highest = |file: &Arc<FileEntry>| (file.zone.error_count == 0).then_some(SEVERITY_ERROR - 1);
                Some(Arc::new(Int8Array::from_iter(files().map(highest))))
            }
            _ => None,
        }
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(UInt64Array::from_iter_values(self.files.iter().map(|file| file.zone.rows))))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        match (self.signal, column.name.as_str()) {
            (_, signal::SERVICE) => {
                let names: Option<Vec<&str>> = values.iter().map(|value| value.try_as_str().flatten()).collect();
                let names = names?;
                // false says that no row has any of the values; more than that the zone does not know
                let holds = |file: &Arc<FileEntry>| match names.iter().any(|name| file.may_have_service(name)) {
                    true => None,
                    false => Some(false),
                };
                Some(self.files.iter().map(holds).collect())
            }
            (Signal::Spans, span::STATUS_CODE) => {
                let error = ScalarValue::Int8(Some(span::STATUS_ERROR));
                let only_error = values.len() == 1 && values.contains(&error);
                let holds = |file: &Arc<FileEntry>| (only_error && file.zone.error_count == 0).then_some(false);
                Some(self.files.iter().map(holds).collect())
            }
            _ => None,
        }
    }
}
