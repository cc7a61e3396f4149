//! The query engine as this house sets it up: one session per query, with its own catalog and its own memory.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::MemoryCatalogProviderList;
use datafusion::dataframe::DataFrame;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::cache::cache_manager::CacheManagerConfig;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::object_store::ObjectStore;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;

use crate::{Limits, QueryError, entries, table};

/// Rows per batch while a query runs.
const BATCH_ROWS: usize = 8_192;
/// Parallel parts of a query.
const PARTITIONS: usize = 2;

/// What sessions share: functions, the cache of file footers, the lake's directory, the spill directory.
#[derive(Debug)]
pub(crate) struct Engine {
    base: RuntimeEnv,
    functions: Vec<Arc<ScalarUDF>>,
    memory_bytes: usize,
    result_bytes: usize,
}

/// Rows of a query, and whether there were more.
#[derive(Debug)]
pub(crate) struct Collected {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub truncated: bool,
}

impl Engine {
    pub(crate) fn new(files: Arc<dyn ObjectStore>, limits: &Limits) -> Result<Self, QueryError> {
        let cache =
            CacheManagerConfig { metadata_cache_limit: limits.footer_cache_bytes, ..CacheManagerConfig::default() };
        let disk = DiskManagerBuilder::default()
            .with_mode(DiskManagerMode::OsTmpDirectory)
            .with_max_temp_directory_size(limits.spill_bytes);
        let builder = RuntimeEnvBuilder::new().with_cache_manager(cache).with_disk_manager_builder(disk);
        let base = builder.build().map_err(QueryError::Plan)?;
        // no session can read anything outside of the lake, whatever a text talks the engine into
        let local = ObjectStoreUrl::local_filesystem();
        base.deregister_object_store(local.as_ref()).map_err(QueryError::Plan)?;
        let url = table::lake_url().map_err(QueryError::Plan)?;
        base.register_object_store(url.as_ref(), files);
        let mut functions = SessionStateDefaults::default_scalar_functions();
        functions.push(entries::function());
        Ok(Self { base, functions, memory_bytes: limits.memory_bytes, result_bytes: limits.result_bytes })
    }

    /// A session that knows no table yet, with memory of its own and every function.
    pub(crate) fn session(&self) -> Result<SessionContext, QueryError> {
        self.session_with(self.functions.clone())
    }

    /// Names of every scalar function there is.
    #[cfg(test)]
    pub(crate) fn function_names(&self) -> Vec<&str> {
        self.functions.iter().map(|function| function.name()).collect()
    }

    /// A session whose SQL may call only the functions that `allows` says yes to.
    pub(crate) fn restricted_session(&self, allows: impl Fn(&str) -> bool) -> Result<SessionContext, QueryError> {
        self.session_with(self.functions.iter().filter(|function| allows(function.name())).cloned().collect())
    }

    fn session_with(&self, functions: Vec<Arc<ScalarUDF>>) -> Result<SessionContext, QueryError> {
        let mut config = SessionConfig::new()
            .with_target_partitions(PARTITIONS)
            .with_batch_size(BATCH_ROWS)
            .with_collect_statistics(false)
            .with_information_schema(false);
        let options = config.options_mut();
        options.execution.enable_recursive_ctes = false;
        // a search window is often one small file: cutting it into byte ranges would cost more than it gives
        options.optimizer.repartition_file_min_size = 16 << 20;
        let pool = Arc::new(FairSpillPool::new(self.memory_bytes));
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.base).with_memory_pool(pool).build_arc();
        // table functions, table factories and file formats are left out: nothing but our tables can be read
        let state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime.map_err(QueryError::Plan)?)
            .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
            .with_expr_planners(SessionStateDefaults::default_expr_planners())
            .with_scalar_functions(functions)
            .with_aggregate_functions(SessionStateDefaults::default_aggregate_functions())
            .with_window_functions(SessionStateDefaults::default_window_functions())
            .build();
        Ok(SessionContext::new_with_state(state))
    }

    /// Runs a plan and keeps at most `max_rows` rows.
    ///
    /// # Errors
    /// [`QueryError::Memory`], [`QueryError::ResultTooLarge`], [`QueryError::Plan`].
    pub(crate) async fn collect(&self, frame: DataFrame, max_rows: usize) -> Result<Collected, QueryError> {
        let failed = |error| QueryError::from_engine(error, self.memory_bytes);
        let mut stream = frame.execute_stream().await.map_err(failed)?;
        let mut found = Collected { schema: stream.schema(), batches: Vec::new(), truncated: false };
        let (mut rows, mut bytes) = (0, 0);
        while let Some(batch) = stream.try_next().await.map_err(failed)? {
            let room = max_rows - rows;
            found.truncated = batch.num_rows() > room;
            let batch = batch.slice(0, batch.num_rows().min(room));
            rows += batch.num_rows();
            bytes += batch.get_array_memory_size();
            if bytes > self.result_bytes {
                return Err(QueryError::ResultTooLarge { limit_bytes: self.result_bytes });
            }
            if batch.num_rows() > 0 {
                found.batches.push(batch);
            }
            if found.truncated {
                break;
            }
        }
        Ok(found)
    }

    /// Gives an error of planning its face.
    pub(crate) fn failed(&self, error: DataFusionError) -> QueryError {
        QueryError::from_engine(error, self.memory_bytes)
    }
}
