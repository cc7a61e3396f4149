//! Backtests that people have asked for: they wait for their turn, run, and keep their results for a while.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use model::{TenantId, TimeRange, UnixNanos};
use rules::Places;
use runtime::{Clock, ErrorKind, Random, Stop, metric};
use tokio::sync::Notify;

use super::{BacktestLimits, BacktestOutcome, BacktestRequest, Watch};
use crate::Query;

/// Why a job was not made or not found.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// As many wait as may.
    #[error("{waiting} backtests wait already; try again when one has ended, or cancel one")]
    Busy {
        /// How many wait.
        waiting: usize,
    },
    /// No such job of this tenant.
    #[error("there is no backtest {0:?}, or its result is not kept any more")]
    NotFound(String),
}

impl JobError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy { .. } => ErrorKind::Overloaded,
            Self::NotFound(_) => ErrorKind::NotFound,
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone)]
pub enum BacktestState {
    /// Its turn has not come.
    Waiting,
    /// It runs.
    Running,
    /// It has ended, for good or because it was cancelled or met a limit.
    Ended(Arc<BacktestOutcome>),
    /// It could not go on.
    Failed(String),
}

/// A job as people see it.
#[derive(Debug, Clone)]
pub struct BacktestJob {
    /// 32 hexadecimal digits.
    pub id: String,
    /// Who asked for it.
    pub actor: String,
    /// The files that are tried.
    pub files: Vec<String>,
    /// The time that is looked at.
    pub range: TimeRange,
    /// When it was asked for.
    pub created: UnixNanos,
    /// Where it stands.
    pub state: BacktestState,
    /// How far it is.
    pub watch: Watch,
}

/// All backtests of a server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Backtests {
    query: Query,
    clock: Clock,
    limits: Arc<BacktestLimits>,
    places: Arc<dyn Places>,
    jobs: Arc<Mutex<VecDeque<Job>>>,
    news: Arc<Notify>,
}

#[derive(Debug)]
struct Job {
    tenant: TenantId,
    shown: BacktestJob,
    request: Option<BacktestRequest>,
}

impl Job {
    fn is_over(&self) -> bool {
        matches!(self.shown.state, BacktestState::Ended(_) | BacktestState::Failed(_))
    }
}

impl Backtests {
    /// None yet. They run while [`Backtests::work`] does, and ask `places` where addresses are.
    pub fn new(query: Query, clock: Clock, limits: BacktestLimits, places: Arc<dyn Places>) -> Self {
        let limit =
            |name: &'static str, value: f64| metrics::gauge!(metric::BACKTEST_LIMIT, "limit" => name).set(value);
        limit("memory_bytes", limits.memory_bytes as f64);
        limit("events", limits.events as f64);
        limit("seconds", limits.time.as_secs_f64());
        limit("compared_alerts", limits.compared as f64);
        limit("running", limits.concurrent as f64);
        limit("waiting", limits.waiting as f64);
        limit("kept", limits.kept as f64);
        Self { query, clock, limits: Arc::new(limits), places, jobs: Arc::default(), news: Arc::default() }
    }

    /// The limits it was made with.
    pub fn limits(&self) -> &BacktestLimits {
        &self.limits
    }

    /// Takes a job in and gives its id.
    ///
    /// # Errors
    /// [`JobError::Busy`] ([`ErrorKind::Overloaded`]).
    pub fn start(
        &self,
        tenant: &TenantId,
        actor: &str,
        files: Vec<String>,
        request: BacktestRequest,
    ) -> Result<String, JobError> {
        let mut jobs = self.jobs();
        let waiting = jobs.iter().filter(|job| matches!(job.shown.state, BacktestState::Waiting)).count();
        if waiting >= self.limits.waiting {
            return Err(JobError::Busy { waiting });
        }
        let id = format!("{:032x}", u128::from_be_bytes(Random.bytes()));
        let shown = BacktestJob {
            id: id.clone(),
            actor: actor.to_owned(),
            files,
            range: request.range,
            created: UnixNanos(self.clock.unix_nanos()),
            state: BacktestState::Waiting,
            watch: Watch::new(),
        };
        jobs.push_back(Job { tenant: tenant.clone(), shown, request: Some(request) });
        while jobs.iter().filter(|job| job.is_over()).count() > self.limits.kept {
            let oldest = jobs.iter().position(Job::is_over);
            oldest.map(|oldest| jobs.remove(oldest));
        }
        drop(jobs);
        self.news.notify_one();
        Ok(id)
    }

    /// The jobs of a tenant, the oldest first.
    pub fn list(&self, tenant: &TenantId) -> Vec<BacktestJob> {
        self.jobs().iter().filter(|job| job.tenant == *tenant).map(|job| job.shown.clone()).collect()
    }

    /// One job of a tenant.
    ///
    /// # Errors
    /// [`JobError::NotFound`].
    pub fn get(&self, tenant: &TenantId, id: &str) -> Result<BacktestJob, JobError> {
        let jobs = self.jobs();
        let found = jobs.iter().find(|job| job.tenant == *tenant && job.shown.id == id);
        found.map(|job| job.shown.clone()).ok_or_else(|| JobError::NotFound(id.chars().take(64).collect()))
    }

    /// Ends a job soon. One that has ended is forgotten.
    ///
    /// # Errors
    /// [`JobError::NotFound`].
    pub fn cancel(&self, tenant: &TenantId, id: &str) -> Result<(), JobError> {
        let job = self.get(tenant, id)?;
        job.watch.cancel();
        let mut jobs = self.jobs();
        jobs.retain(|job| !(job.tenant == *tenant && job.shown.id == id && (job.is_over() || job.request.is_some())));
        Ok(())
    }

    /// Runs jobs in turn until asked to stop; a task for the supervisor.
    pub async fn work(self, stop: Stop) {
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < self.limits.concurrent.max(1)
                && let Some(next) = self.next()
            {
                running.push(self.run(next));
            }
            metrics::gauge!(metric::BACKTESTS_RUNNING).set(running.len() as f64);
            tokio::select! {
                () = stop.asked() => break,
                () = self.news.notified() => {}
                _ = running.next(), if !running.is_empty() => {}
            }
        }
        self.jobs().iter().for_each(|job| job.shown.watch.cancel());
        while running.next().await.is_some() {}
        metrics::gauge!(metric::BACKTESTS_RUNNING).set(0.0);
    }

    /// Takes the oldest waiting job up.
    fn next(&self) -> Option<(TenantId, String, BacktestRequest, Watch)> {
        let mut jobs = self.jobs();
        let job = jobs.iter_mut().find(|job| job.request.is_some())?;
        job.shown.state = BacktestState::Running;
        let request = job.request.take()?;
        Some((job.tenant.clone(), job.shown.id.clone(), request, job.shown.watch.clone()))
    }

    async fn run(&self, (tenant, id, request, watch): (TenantId, String, BacktestRequest, Watch)) {
        let outcome = self.query.backtest(&tenant, &request, &self.limits, Arc::clone(&self.places), &watch).await;
        let ended = outcome.as_ref().map_or("failed", |outcome| outcome.ended.as_str());
        metrics::counter!(metric::BACKTESTS_ENDED, "outcome" => ended).increment(1);
        let state = match outcome {
            Ok(outcome) => BacktestState::Ended(Arc::new(outcome)),
            Err(error) => {
                tracing::warn!(%error, backtest = id, "a backtest could not go on");
                BacktestState::Failed(error.to_string())
            }
        };
        if let Some(job) = self.jobs().iter_mut().find(|job| job.shown.id == id) {
            job.shown.state = state;
        }
    }

    fn jobs(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
