//! The handle that every read goes through.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use datafusion::common::DataFusionError;
use lake::{Lake, Snapshot};
use model::time::NANOS_PER_SEC;
use model::{Signal, TenantId, TimeRange, UnixNanos};
use runtime::{Clock, metric};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::admission::Admission;
use crate::engine::Engine;
use crate::files::LakeFiles;
use crate::footer::Footers;
use crate::{Limits, QueryError};

/// Answers every read of one lake. Cheap to clone.
///
/// Queries run on threads of their own, so that a heavy one does not delay what comes in. Each has its memory, its
/// time and its seat at the door (see [`Limits`]); dropping the future of a query ends it.
#[derive(Debug, Clone)]
pub struct Query {
    inner: Arc<Inner>,
}

/// What a running query takes along to its thread.
#[derive(Debug)]
pub(crate) struct Inner {
    pub lake: Lake,
    pub clock: Clock,
    pub limits: Limits,
    pub engine: Engine,
    pub footers: Footers,
    admission: Admission,
    threads: Threads,
}

/// The threads; left behind without waiting when the last handle goes, which may happen on an async thread.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Ends the work when the one who waits for it is gone.
struct Work<T>(JoinHandle<T>);

impl<T> Drop for Work<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Counts a query as running for as long as it lives.
struct Running;

impl Running {
    fn new() -> Self {
        metrics::gauge!(metric::QUERY_RUNNING).increment(1.0);
        Self
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        metrics::gauge!(metric::QUERY_RUNNING).decrement(1.0);
    }
}

impl Query {
    /// Starts the query threads.
    ///
    /// # Errors
    /// [`QueryError::Threads`] when they cannot be started, [`QueryError::Plan`] when the lake's directory is gone.
    pub fn new(lake: Lake, clock: Clock, limits: Limits) -> Result<Self, QueryError> {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(limits.worker_threads.max(1))
            // blocking reads of files; more would only queue at the disk
            .max_blocking_threads(8)
            .thread_name("query")
            .enable_all()
            .build()
            .map_err(|error| QueryError::Threads(error.to_string()))?;
        let files = LakeFiles::new(lake.clone());
        let files = files.map_err(|error| QueryError::Plan(DataFusionError::ObjectStore(Box::new(error))))?;
        let engine = Engine::new(Arc::new(files), &limits)?;
        let footers = Footers::new(limits.footer_cache_bytes, limits.index_check_every);
        let admission = Admission::new(&limits);
        let threads = Threads(Some(threads));
        Ok(Self { inner: Arc::new(Inner { lake, clock, limits, engine, footers, admission, threads }) })
    }

    /// The range of the last `length` up to now, for callers that were not told one. Ends a moment after now, so that
    /// what has just happened is in.
    pub fn recent(&self, length: Duration) -> TimeRange {
        let now = UnixNanos(self.inner.clock.unix_nanos());
        let length_nanos = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
        TimeRange { start: now.plus(-length_nanos), end: now.plus(NANOS_PER_SEC) }
    }

    /// Names of files with events of the range that are damaged or gone: answers over the range are without them.
    pub fn missing(&self, tenant: &TenantId, signal: Signal, range: &TimeRange) -> Vec<String> {
        self.inner.lake.missing(tenant, signal, range).iter().map(|file| file.name.clone()).collect()
    }

    /// What running queries work with.
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The limits it was made with.
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// Runs one query: waits for a seat, moves to the query threads, watches the clock, counts the outcome.
    pub(crate) async fn run<T, F>(
        &self,
        kind: &'static str,
        work: impl FnOnce(Arc<Inner>, Instant) -> F,
    ) -> Result<T, QueryError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, QueryError>> + Send + 'static,
    {
        let started = Instant::now();
        let limit = self.inner.limits.time;
        let deadline = started + limit;
        let future = work(Arc::clone(&self.inner), deadline);
        let answer = tokio::time::timeout_at(deadline, self.seated(future)).await;
        let answer = match answer {
            Err(_) | Ok(Err(QueryError::Timeout { .. })) => Err(QueryError::Timeout { limit }),
            Ok(answer) => answer,
        };
        if let Err(QueryError::Damaged { file, reason }) = &answer
            && let Err(error) = self.inner.lake.quarantine(file, reason).await
        {
            tracing::error!(%error, file = file.name, "a damaged file could not be quarantined, and will be found again");
        }
        if answer.as_ref().is_err_and(QueryError::doubts_storage) {
            self.inner.lake.doubt();
        }
        let outcome = answer.as_ref().map_or_else(QueryError::outcome, |_| "ok");
        metrics::counter!(metric::QUERY_TOTAL, "kind" => kind, "outcome" => outcome).increment(1);
        metrics::histogram!(metric::QUERY_SECONDS, "kind" => kind).record(started.elapsed().as_secs_f64());
        answer
    }

    async fn seated<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, QueryError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let seat = self.inner.admission.enter().await?;
        let Some(threads) = &self.inner.threads.0 else { return Err(QueryError::Threads("stopped".to_owned())) };
        let running = Running::new();
        // the seat goes along: it is free when the work has ended or is cut off, not when the caller stopped waiting
        let mut work = Work(threads.spawn(async move {
            let _while_it_runs = (seat, running);
            work.await
        }));
        (&mut work.0).await.map_err(|error| QueryError::Threads(error.to_string()))?
    }
}

impl Inner {
    pub(crate) fn snapshot(&self, tenant: &TenantId, signal: Signal, range: TimeRange) -> Snapshot {
        self.lake.snapshot(tenant, signal, range)
    }
}

/// Runs the part of a query that blocks or computes for long, on the blocking threads of the query runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, QueryError> + Send + 'static,
) -> Result<T, QueryError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| QueryError::Threads(error.to_string()))?
}
