//! The detect walker: every durable batch, in log order, past the rules and into the book of alerts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alerts::AlertBook;
use model::{Detection, EventBatch, Lsn, TenantId};
use otlp::TrustedProxies;
use rules::budget::{Limits, Stopwatch};
use rules::{Engine, Places, RuleSet};
use runtime::{Clock, Stop, metric};
use tokio::sync::watch;
use tokio::time::Instant;
use wal::{ReaderName, Wal};

use crate::checkpoint::{Checkpoint, CheckpointFile};
use crate::corridor::{Next, Queue};
use crate::frame;
use crate::history::History;
use crate::peek::{Question, Questions};
use crate::quiet::Quiet;
pub use crate::tally::Tally;

/// How often the engine's state is put on disk, unless that takes long; what a crash replays is at most this much.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(5);
/// The longest that a large state goes without being put on disk.
const CHECKPOINT_AT_LEAST_EVERY: Duration = Duration::from_secs(60);
/// Putting it on disk takes one part in so many of the time.
const CHECKPOINT_PARTS: u32 = 50;
/// How often windows are closed by time alone.
const TICK_EVERY: Duration = Duration::from_secs(1);
/// Pause before detections that could not be stored are tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Small batches are judged together up to this many rows.
const ROWS_TOGETHER: usize = 8_192;

/// What the walker needs.
#[derive(Debug)]
pub struct Parts {
    /// The log, for what the queue did not hold.
    pub wal: Wal<EventBatch>,
    /// The corridor's queue.
    pub queue: Arc<Queue>,
    /// The rules in force.
    pub rules: watch::Receiver<Arc<RuleSet>>,
    /// Where detections go.
    pub book: AlertBook,
    /// Where the engine's state is kept.
    pub checkpoint: CheckpointFile,
    /// Time.
    pub clock: Clock,
    /// Counts for the rules page.
    pub tally: Tally,
    /// What one rule may cost; nothing is measured when absent.
    pub limits: Option<Limits>,
    /// Proxies that the collector trusts, for frames that are read back.
    pub proxies: TrustedProxies,
    /// Where baselines learn from stored events.
    pub history: History,
    /// Where addresses are.
    pub places: Arc<dyn Places>,
    /// Questions about what the engines remember.
    pub questions: Questions,
}

impl Parts {
    /// An engine that knows places, and whose rules are measured, if they are.
    fn measured(&self, engine: Engine) -> Engine {
        let mut engine = engine.with_places(Arc::clone(&self.places));
        if let Some(limits) = self.limits {
            let clock = self.clock.clone();
            let stopwatch = Stopwatch::new(move || u64::try_from(clock.steady_nanos()).unwrap_or(0));
            engine.limit(stopwatch, limits);
        }
        engine
    }
}

/// The walker, with one engine per tenant.
#[derive(Debug)]
pub struct Detector {
    parts: Parts,
    set: Arc<RuleSet>,
    engines: BTreeMap<TenantId, Engine>,
    quiet: Quiet,
    done: Lsn,
    saved: Lsn,
    /// When the state is put on disk next.
    save_at: Instant,
    /// Set when detections were found and not stored: the state in memory is ahead of the book and must not be saved.
    ahead: bool,
}

impl Detector {
    /// Takes up the work where the checkpoint stands.
    pub fn open(mut parts: Parts) -> Self {
        let set = Arc::clone(&parts.rules.borrow_and_update());
        let checkpoint = parts.checkpoint.read().unwrap_or_default();
        let mut engines = BTreeMap::new();
        for (tenant, state) in &checkpoint.engines {
            match Engine::restore(Arc::clone(&set), state) {
                Ok(engine) => drop(engines.insert(tenant.clone(), parts.measured(engine))),
                Err(error) => tracing::error!(%tenant, %error, "rule state cannot be restored; windows start empty"),
            }
        }
        // the log may have been trimmed by a walker whose last checkpoint was lost with a damaged file
        let done = checkpoint.done.max(parts.wal.cursor(ReaderName::Detect));
        let quiet = Quiet::new(parts.clock.clone());
        Self { parts, set, engines, quiet, done, saved: done, save_at: Instant::now() + CHECKPOINT_EVERY, ahead: false }
    }

    /// Position of the last judged frame.
    pub fn done(&self) -> Lsn {
        self.done
    }

    /// Walks until asked to stop, then judges what is left and saves the state.
    pub async fn run(mut self, stop: Stop) {
        let queue = Arc::clone(&self.parts.queue);
        let mut tick = tokio::time::interval(TICK_EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while !stop.is_asked() {
            let mut ticked = false;
            tokio::select! {
                () = stop.asked() => {}
                () = queue.arrived() => {}
                question = self.parts.questions.next() => self.answer(question),
                _ = tick.tick() => ticked = true,
            }
            self.take_rules();
            for rule in self.parts.tally.take_enabled() {
                for engine in self.engines.values_mut() {
                    engine.enable(&rule);
                }
            }
            self.catch_up(&stop).await;
            if ticked {
                tokio::task::block_in_place(|| self.parts.history.exchange(&mut self.engines));
                self.close_windows(&stop).await;
                self.parts.tally.show(self.engines.values());
            }
            if Instant::now() >= self.save_at {
                self.save();
            }
        }
        self.save();
    }

    /// Judges everything durable; returns early only when detections cannot be stored and a stop is asked.
    async fn catch_up(&mut self, stop: &Stop) {
        loop {
            let stored = match self.parts.queue.next_after(self.done) {
                Next::Batch(batch) => {
                    let group = self.gather(*batch);
                    self.judge(group, stop).await
                }
                Next::Gap(before) => self.reread(Lsn(before.0 - 1), stop).await,
                Next::Empty => {
                    let end = self.parts.wal.end();
                    if end <= self.done {
                        return;
                    }
                    self.reread(end, stop).await
                }
            };
            if !stored {
                return;
            }
        }
    }

    /// The batch together with those right behind it that are alike, so that small requests share the cost of a pass.
    fn gather(&mut self, first: EventBatch) -> Vec<EventBatch> {
        let mut rows = first.len();
        let mut last = first.lsn;
        let mut group = vec![first];
        while rows < ROWS_TOGETHER {
            match self.parts.queue.next_after(last) {
                Next::Batch(batch) => {
                    rows += batch.len();
                    last = batch.lsn;
                    group.push(*batch);
                }
                Next::Gap(_) | Next::Empty => break,
            }
        }
        group
    }

    /// Reads frames after `done` up to `through` back from the log; whether they were judged.
    async fn reread(&mut self, through: Lsn, stop: &Stop) -> bool {
        let mut reader = self.parts.wal.reader(ReaderName::Detect);
        reader.seek(self.done);
        loop {
            let read = tokio::task::block_in_place(|| reader.next());
            let entry = match read {
                Ok(Some(entry)) if entry.lsn <= through => entry,
                // nothing (left) in between: frames that were quarantined leave a gap in the numbers
                Ok(_) => {
                    self.done = self.done.max(through);
                    return true;
                }
                Err(error) => {
                    tracing::error!(%error, "log cannot be read for detection; trying again");
                    tokio::time::sleep(RETRY_PAUSE).await;
                    return false;
                }
            };
            let lsn = entry.lsn;
            metrics::counter!(metric::DETECT_REREADS).increment(1);
            match tokio::task::block_in_place(|| frame::decode(entry, &self.parts.proxies)) {
                Ok(batch) => {
                    if !self.judge(vec![batch], stop).await {
                        return false;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "frame left out of detection");
                    self.done = lsn;
                }
            }
        }
    }

    /// Evaluates consecutive batches and stores what was found; `false` when it could not be stored and a stop is asked.
    async fn judge(&mut self, group: Vec<EventBatch>, stop: &Stop) -> bool {
        let through = group.last().map_or(self.done, |batch| batch.lsn);
        let now = self.quiet.bound();
        let started = Instant::now();
        let detections = tokio::task::block_in_place(|| {
            let mut found = Vec::new();
            for batch in merge(group) {
                metrics::counter!(metric::DETECT_EVENTS, "signal" => batch.signal.as_str())
                    .increment(batch.len() as u64);
                let engine = self.engine(&batch.tenant);
                found.extend(engine.evaluate(&batch, now));
                let newest = engine.newest();
                newest.into_iter().for_each(|newest| self.quiet.hear(&batch.tenant, newest));
            }
            found
        });
        metrics::histogram!(metric::DETECT_SECONDS).record(started.elapsed().as_secs_f64());
        if !self.store(&detections, stop).await {
            return false;
        }
        self.done = through;
        true
    }

    async fn close_windows(&mut self, stop: &Stop) {
        let mut found = Vec::new();
        for (tenant, engine) in &mut self.engines {
            found.extend(engine.tick(self.quiet.now(tenant)));
        }
        self.store(&found, stop).await;
    }

    /// Puts detections in the book, trying until it takes them: they are nowhere else. Ingest is held up only once the
    /// log has reached its budget.
    async fn store(&mut self, detections: &[Detection], stop: &Stop) -> bool {
        if detections.is_empty() {
            return true;
        }
        loop {
            match self.parts.book.apply(detections).await {
                Ok(_) => break,
                Err(error) => tracing::error!(%error, "detections cannot be stored; trying again"),
            }
            tokio::select! {
                () = stop.asked() => {
                    self.ahead = true;
                    return false;
                }
                () = tokio::time::sleep(RETRY_PAUSE) => {}
            }
        }
        self.parts.tally.count(detections);
        true
    }

    /// Tells what an engine remembers; whoever asked may be gone.
    fn answer(&self, question: Question) {
        let Question { tenant, rule, group, limit, answer } = question;
        let engine = self.engines.get(&tenant);
        let state =
            tokio::task::block_in_place(|| engine.and_then(|engine| engine.state(&tenant, &rule, &group, limit)));
        let _ = answer.send(state);
    }

    fn take_rules(&mut self) {
        if !self.parts.rules.has_changed().unwrap_or(false) {
            return;
        }
        self.set = Arc::clone(&self.parts.rules.borrow_and_update());
        for engine in self.engines.values_mut() {
            engine.replace(Arc::clone(&self.set));
        }
    }

    fn engine(&mut self, tenant: &TenantId) -> &mut Engine {
        let (set, parts) = (&self.set, &self.parts);
        self.engines.entry(tenant.clone()).or_insert_with(|| parts.measured(Engine::new(Arc::clone(set))))
    }

    /// State to disk first, then the cursor: the other order could trim frames whose effect was not saved.
    fn save(&mut self) {
        self.save_at = Instant::now() + CHECKPOINT_EVERY;
        if self.saved == self.done || self.ahead {
            return;
        }
        let started = Instant::now();
        let engines = self.engines.iter().map(|(tenant, engine)| (tenant.clone(), engine.checkpoint()));
        let checkpoint = Checkpoint { done: self.done, engines: engines.collect() };
        let written = tokio::task::block_in_place(|| self.parts.checkpoint.write(&checkpoint));
        let took = started.elapsed();
        self.save_at = Instant::now() + until_next_checkpoint(took);
        metrics::histogram!(metric::DETECT_CHECKPOINT_SECONDS).record(took.as_secs_f64());
        if let Err(error) = written {
            tracing::error!(%error, "state of the rule engine cannot be saved; trying again");
            return;
        }
        match self.parts.wal.advance(ReaderName::Detect, self.done) {
            Ok(()) => self.saved = self.done,
            Err(error) => tracing::error!(%error, "log cannot be trimmed behind detection"),
        }
    }
}

/// After one that took so long.
fn until_next_checkpoint(took: Duration) -> Duration {
    took.saturating_mul(CHECKPOINT_PARTS).clamp(CHECKPOINT_EVERY, CHECKPOINT_AT_LEAST_EVERY)
}

/// Neighbours of one tenant and signal become one batch; order is kept.
fn merge(group: Vec<EventBatch>) -> Vec<EventBatch> {
    let mut merged: Vec<EventBatch> = Vec::new();
    let mut run: Vec<EventBatch> = Vec::new();
    for batch in group {
        let alike = run.last().is_some_and(|last| last.tenant == batch.tenant && last.signal == batch.signal);
        if !alike {
            merged.extend(join_run(std::mem::take(&mut run)));
        }
        run.push(batch);
    }
    merged.extend(join_run(run));
    merged
}

fn join_run(run: Vec<EventBatch>) -> Vec<EventBatch> {
    let Some(last) = run.last().filter(|_| run.len() > 1) else {
        return run;
    };
    let parts: Vec<_> = run.iter().map(|batch| batch.records.clone()).collect();
    match model::join(&last.signal.stored_schema(), &parts) {
        Ok(records) => vec![EventBatch { records, ..last.clone() }],
        // more than 2^31 distinct labels or bytes of text: judge them one by one
        Err(_) => run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_takes_long_to_save_is_saved_less_often_but_once_a_minute() {
        let after = |millis| until_next_checkpoint(Duration::from_millis(millis));
        assert_eq!(after(0), Duration::from_secs(5));
        assert_eq!(after(100), Duration::from_secs(5));
        assert_eq!(after(400), Duration::from_secs(20));
        assert_eq!(after(90_000), Duration::from_secs(60));
    }
}
