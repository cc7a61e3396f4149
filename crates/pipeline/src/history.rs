//! The desk between the rule engine and whoever reads the store: baselines go out empty and come back full.
//!
//! The engine's walker must not wait for the store. It hands over a learner for the baselines of a tenant that know nothing
//! of what was before them, goes on with live events, and takes the learner back when it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use model::TenantId;
use rules::{Engine, Learner};
use runtime::metric;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Learners on the way in either direction; those of further tenants wait for the next look.
const UNDER_WAY: usize = 4;
/// How often it is looked for baselines that want history.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Pause before a history that could not be read is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(300);

/// What came of a history.
#[derive(Debug)]
pub enum Read {
    /// It was read as far as it goes.
    Whole(Box<Learner>),
    /// It could not be read, which was logged.
    Failed(TenantId),
}

/// The walker's side.
#[derive(Debug)]
pub struct History {
    orders: mpsc::Sender<Learner>,
    results: mpsc::Receiver<Read>,
    /// Tenants whose history is being read, or is not to be tried before a moment.
    busy: BTreeMap<TenantId, Option<Instant>>,
    look_at: Instant,
}

/// The reader's side.
#[derive(Debug)]
pub struct Orders {
    orders: mpsc::Receiver<Learner>,
    results: mpsc::Sender<Read>,
}

/// Both sides of a desk.
pub fn desk() -> (History, Orders) {
    let (to_reader, orders) = mpsc::channel(UNDER_WAY);
    let (to_walker, results) = mpsc::channel(UNDER_WAY);
    let history = History { orders: to_reader, results, busy: BTreeMap::new(), look_at: Instant::now() };
    (history, Orders { orders, results: to_walker })
}

impl History {
    /// Takes back what was read, and hands over what wants to be. Cheap when there is nothing of either; never waits.
    pub fn exchange(&mut self, engines: &mut BTreeMap<TenantId, Engine>) {
        while let Ok(read) = self.results.try_recv() {
            match read {
                Read::Whole(learner) => {
                    let tenant = learner.tenant().clone();
                    self.busy.remove(&tenant);
                    if let Some(engine) = engines.get_mut(&tenant) {
                        engine.adopt(*learner);
                    }
                }
                Read::Failed(tenant) => drop(self.busy.insert(tenant, Some(Instant::now() + RETRY_PAUSE))),
            }
        }
        let now = Instant::now();
        if now < self.look_at {
            return;
        }
        self.look_at = now + LOOK_EVERY;
        self.busy.retain(|_, until| until.is_none_or(|until| now < until));
        let mut waiting = self.busy.len();
        for (tenant, engine) in engines.iter() {
            if self.busy.contains_key(tenant) {
                continue;
            }
            let Some(learner) = engine.learner(tenant) else { continue };
            waiting += 1;
            if self.orders.try_send(learner).is_ok() {
                self.busy.insert(tenant.clone(), None);
            }
        }
        metrics::gauge!(metric::DETECT_HISTORY_TENANTS).set(waiting as f64);
    }
}

impl Orders {
    /// The next learner; `None` when the walker is gone.
    pub async fn next(&mut self) -> Option<Learner> {
        self.orders.recv().await
    }

    /// Hands back what came of it.
    pub async fn done(&self, read: Read) {
        // a walker that is gone needs nothing any more
        let _ = self.results.send(read).await;
    }
}
