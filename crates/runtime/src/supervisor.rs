//! Background tasks with a name, a stop and a drain.

use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::metric;

/// Tells a task to finish what it has and end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

impl Stop {
    /// A stop that nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends when the stop is asked for.
    pub async fn asked(&self) {
        self.0.cancelled().await;
    }

    /// Whether the stop has been asked for.
    pub fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Asks for the stop.
    pub fn ask(&self) {
        self.0.cancel();
    }
}

struct Running {
    name: &'static str,
    stop: Stop,
    handle: JoinHandle<()>,
}

/// Starts every background task and stops them in reverse order of start.
#[derive(Default)]
pub struct Supervisor {
    tasks: Mutex<Vec<Running>>,
}

impl std::fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Supervisor").finish_non_exhaustive()
    }
}

impl Supervisor {
    /// With no task yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a task. It gets a [`Stop`] of its own, and is expected to drain and return once that is asked.
    pub fn start<F>(&self, name: &'static str, task: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = Stop::new();
        let future = task(stop.clone());
        let running = metrics::gauge!(metric::TASK_RUNNING, "task" => name);
        running.set(1.0);
        #[expect(clippy::disallowed_methods, reason = "this is the supervisor everybody else has to use")]
        let handle = tokio::spawn(async move {
            future.await;
            running.set(0.0);
        });
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tasks.push(Running { name, stop, handle });
    }

    /// Stops all tasks, the last started first, giving each what is left of `limit`. Names those that had to be cut off.
    pub async fn stop(&self, limit: Duration) -> Vec<&'static str> {
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let deadline = tokio::time::Instant::now() + limit;
        let mut cut_off = Vec::new();
        for Running { name, stop, mut handle } in tasks.into_iter().rev() {
            stop.ask();
            match tokio::time::timeout_at(deadline, &mut handle).await {
                Ok(Ok(())) => tracing::debug!(task = name, "task stopped"),
                Ok(Err(error)) => tracing::error!(task = name, %error, "task panicked"),
                Err(_) => {
                    handle.abort();
                    cut_off.push(name);
                }
            }
        }
        cut_off
    }
}
