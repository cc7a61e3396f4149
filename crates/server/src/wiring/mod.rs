//! Builds every room in order, starts its tasks, and stops them in reverse.

mod kept_secret;
mod share;
mod warm_start;

pub(crate) use share::{backtests, otlp_url};

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::{Access, Bootstrap};
use alerts::{AlertBook, SigningSecret};
use anyhow::{Context, Result};
use api::ApiState;
use arrow::array::RecordBatch;
use collect::redaction::{self, MasterKey};
use collect::tls::Tls;
use collect::{Collector, Door, Pressure};
use lake::Lake;
use model::{EventBatch, Signal, TenantId};
use pipeline::checkpoint::CheckpointFile;
use pipeline::detect::{Detector, Parts, Tally};
use pipeline::history::{self, History};
use pipeline::peek::Questions;
use pipeline::places::PlacesFile;
use pipeline::{Corridor, Peek, RuleShelf, archive, peek, replay};
use query::{Backtests, Query};
use rules::{NoPlaces, Places};
use runtime::egress::{Egress, Policy};
use runtime::telemetry::Telemetry;
use runtime::{Clock, Database, KeyRing, Listeners, Random, Stop, Supervisor};
use tokio::net::TcpListener;
use wal::{Frame, Wal};

use crate::lock::{self, DirectoryLock};
use crate::pack;
use crate::settings::Resolved;

/// How often the metrics recorder forgets old samples of its histograms, and old incidents are looked for.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);
/// Every how many of these upkeeps incidents past their keeping time are removed.
const ALERT_RETENTION_EVERY: u32 = 720;

/// Names of what lies in a data directory.
pub(crate) mod path {
    /// The one database.
    pub(crate) const DATABASE: &str = "tracehound.db";
    /// Segments and cursors of the log.
    pub(super) const WAL: &str = "wal";
    /// Parquet files.
    pub(crate) const LAKE: &str = "lake";
    /// State of the rule engine.
    pub(super) const DETECT: &str = "detect";
    /// Secret that signs webhooks, when none was given.
    pub(super) const WEBHOOK_SECRET: &str = "webhook-secret";
    /// Key of the tokens that redaction leaves, when none was given.
    pub(super) const REDACTION_KEY: &str = "redaction-key";
}

/// A running server.
pub struct House {
    /// Address of API and web UI.
    pub api: SocketAddr,
    /// Address of OTLP/gRPC.
    pub otlp_grpc: SocketAddr,
    /// Address of OTLP/HTTP.
    pub otlp_http: SocketAddr,
    /// What the first lines on the console say.
    pub bootstrap: Bootstrap,
    /// Where the secret that signs webhooks is kept, when it was made here.
    pub made_secret: Option<PathBuf>,
    /// Runs the tasks.
    pub supervisor: Supervisor,
    /// The certificates of the OTLP listeners; `None` when they are plaintext.
    pub tls: Option<Tls>,
    /// Makes ingest keys.
    pub access: Access,
    database: Database,
    wal: Wal<EventBatch>,
    telemetry: Telemetry,
    _lock: DirectoryLock,
}

/// The rooms that everything else is built from.
struct Ground {
    clock: Clock,
    database: Database,
    access: Access,
    lake: Lake,
    query: Query,
    corridor: Corridor,
    wal: Wal<EventBatch>,
    shelf: RuleShelf,
    book: AlertBook,
    egress: Egress,
    tally: Tally,
    /// Where addresses are, when the settings name a file that knows.
    places: Option<PlacesFile>,
    /// What is asked of the rule engine, until it runs.
    peek: Peek,
    questions: Mutex<Option<Questions>>,
    /// Whether the log has been put back, so that the doors may open.
    replayed: Arc<AtomicBool>,
}

/// Takes the data directory, opens every room, puts back what the log holds, and opens the doors.
///
/// # Errors
/// When the directory is in use, an address is taken, or a room cannot open; nothing acknowledged is touched.
pub async fn build(resolved: &Resolved, telemetry: Telemetry) -> Result<House> {
    let folder = &resolved.settings.server.data_dir;
    let lock = lock::lock(folder)?;
    let made_secret = webhook_secret(resolved, folder)?;
    let ground = open_ground(resolved, made_secret.as_ref().map(|(_, secret)| secret.as_str())).await?;
    let bootstrap = ground.access.bootstrap().await?;
    let supervisor = Supervisor::new();
    let mut listeners = Listeners::from_environment().context("sockets handed over with LISTEN_FDS")?;
    let collector = bind_collector(resolved, &ground, &mut listeners).await?;
    let (otlp_grpc, otlp_http) = (collector.grpc_addr(), collector.http_addr());
    let listen = resolved.settings.server.listen;
    let listener =
        listeners.bind(listen).await.with_context(|| format!("cannot listen on {listen} (server.listen)"))?;
    let unclaimed = listeners.unclaimed();
    anyhow::ensure!(
        unclaimed.is_empty(),
        "sockets were handed over for {unclaimed:?}: neither server.listen, otlp.grpc nor otlp.http is that"
    );
    let api = listener.local_addr()?;

    // the API answers while the log is put back, and says that it is not ready yet
    let (history, orders) = history::desk();
    start_walkers(&supervisor, &ground, resolved, history)?;
    start_api(&supervisor, listener, resolved, &ground, &telemetry, (otlp_grpc, otlp_http))?;
    let remember = |frame: &Frame, records: &RecordBatch| collector.remember(frame, records);
    let replayed = replay::run(&ground.wal, &ground.lake, &resolved.trusted_proxies, remember)
        .await
        .context("putting back what the log holds")?;
    tracing::info!(
        frames = replayed.frames,
        events = replayed.events,
        unreadable = replayed.unreadable,
        "log put back"
    );
    ground.replayed.store(true, Ordering::SeqCst);
    // what is stored is all there only now
    let query = ground.query.clone();
    supervisor.start("history", |stop| warm_start::run(query, orders, stop));
    let tls = collector.tls().cloned();
    if let Some(tls) = tls.clone() {
        supervisor.start("certificates", |stop| tls.follow(stop));
    }
    supervisor.start("collect", |stop| collector.serve(stop));
    let (prometheus, book) = (telemetry.prometheus.clone(), ground.book.clone());
    supervisor.start("upkeep", |stop| upkeep(prometheus, book, stop));
    Ok(House {
        api,
        otlp_grpc,
        otlp_http,
        bootstrap,
        made_secret: made_secret.map(|(path, _)| path),
        supervisor,
        tls,
        access: ground.access,
        database: ground.database,
        wal: ground.wal,
        telemetry,
        _lock: lock,
    })
}

impl House {
    /// Stops the doors first, then lets detection and archive finish what was acknowledged.
    pub async fn stop(self, limit: Duration) {
        let cut_off = self.supervisor.stop(limit).await;
        if !cut_off.is_empty() {
            tracing::warn!(tasks = ?cut_off, "tasks did not finish in time; what they left is in the log");
        }
        let wal = self.wal;
        // joins the writer thread, which may be in the middle of an fsync
        if tokio::task::spawn_blocking(move || wal.close()).await.is_err() {
            tracing::error!("log did not close");
        }
        self.database.close().await;
        self.telemetry.shut_down();
    }
}

/// The lake of a data directory with what its log holds put back, and nothing running. The caller has the lock.
///
/// # Errors
/// When database, lake or log cannot be opened or read.
pub async fn open_store(resolved: &Resolved) -> Result<Lake> {
    let database = Database::open(&resolved.settings.server.data_dir.join(path::DATABASE)).await?;
    let keys = keys(resolved, &database).await?;
    let lake = Lake::open(share::lake(resolved, &keys), database, Clock::system()).await?;
    let (wal, _) = Wal::open(share::wal(resolved, &keys, lake.mark()), |_, _: EventBatch| {})?;
    replay::run(&wal, &lake, &resolved.trusted_proxies, |_, _| {}).await.context("putting back what the log holds")?;
    wal.close();
    Ok(lake)
}

/// The keys that log and files are encrypted with; without a key file they are off.
///
/// # Errors
/// When a key cannot be read, or is sealed with one that the file does not have.
pub(crate) async fn keys(resolved: &Resolved, database: &Database) -> Result<KeyRing> {
    match resolved.encryption.clone() {
        Some(file) => {
            Ok(KeyRing::open(database.clone(), Clock::system(), file).await.context("encryption.key_file")?)
        }
        None => Ok(KeyRing::default()),
    }
}

async fn open_ground(resolved: &Resolved, made_secret: Option<&str>) -> Result<Ground> {
    let folder = &resolved.settings.server.data_dir;
    let (clock, random) = (Clock::system(), Random);
    let database = Database::open(&folder.join(path::DATABASE)).await?;
    let access = Access::open_with(database.clone(), clock.clone(), random, share::keys(resolved)).await?;
    let policy = Policy { allow: resolved.allow.clone(), allow_http: resolved.settings.alerts.allow_http };
    let secret = resolved.webhook_secret.as_deref().or(made_secret);
    let alerts = share::alerts(resolved, secret)?;
    let book = AlertBook::open(database.clone(), alerts, clock.clone(), random).await?;
    let keys = keys(resolved, &database).await?;
    let lake = Lake::open(share::lake(resolved, &keys), database.clone(), clock.clone()).await?;
    if resolved.rules_are_ours {
        pack::unpack_once(&resolved.rules_dir)?;
    }
    let shelf = RuleShelf::open(&resolved.rules_dir)?;
    let query = Query::new(lake.clone(), clock.clone(), share::query(resolved))?;
    let (peek, questions) = peek::channel();
    let corridor = Corridor::new(lake.clone(), resolved.settings.rules.queue_bytes);
    let publisher = corridor.clone();
    let settings = share::wal(resolved, &keys, lake.mark());
    let (wal, recovery) = Wal::open(settings, move |lsn, batch| publisher.publish(lsn, batch))?;
    tracing::info!(?recovery, end = %wal.end(), mark = %lake.mark(), "log opened");
    Ok(Ground {
        clock,
        database,
        access,
        lake,
        query,
        corridor,
        wal,
        shelf,
        book,
        egress: Egress::new(policy),
        tally: Tally::default(),
        places: resolved.settings.geo.database.as_deref().map(PlacesFile::open),
        peek,
        questions: Mutex::new(Some(questions)),
        replayed: Arc::default(),
    })
}

/// Tasks that work behind the doors, in the order they start; they stop in reverse, so the archive flushes last.
fn start_walkers(supervisor: &Supervisor, ground: &Ground, resolved: &Resolved, history: History) -> Result<()> {
    let (lake, wal) = (ground.lake.clone(), ground.wal.clone());
    supervisor.start("archive", |stop| archive::run(lake, wal, stop));
    let lake = ground.lake.clone();
    supervisor.start("freeze", |stop| async move { lake.keep_frozen(stop).await });
    let lake = ground.lake.clone();
    supervisor.start("compact", |stop| async move { lake.keep_compacted(stop).await });
    let lake = ground.lake.clone();
    supervisor.start("offload", |stop| async move { lake.keep_offloaded(stop).await });
    let lake = ground.lake.clone();
    supervisor.start("scrub", |stop| async move { lake.keep_scrubbed(stop).await });
    let (book, egress) = (ground.book.clone(), ground.egress.clone());
    supervisor.start("deliver", |stop| alerts::deliver(book, egress, stop));
    let questions = ground.questions.lock().unwrap_or_else(PoisonError::into_inner).take();
    let questions = questions.context("the rule engine is started once")?;
    let detector = Detector::open(Parts {
        wal: ground.wal.clone(),
        queue: ground.corridor.queue(),
        rules: ground.shelf.subscribe(),
        book: ground.book.clone(),
        checkpoint: CheckpointFile::open(&resolved.settings.server.data_dir.join(path::DETECT))?,
        clock: ground.clock.clone(),
        tally: ground.tally.clone(),
        limits: share::rule_limits(resolved),
        proxies: Arc::clone(&resolved.trusted_proxies),
        history,
        places: places(ground.places.as_ref()),
        questions,
    });
    supervisor.start("detect", |stop| detector.run(stop));
    if let Some(followed) = ground.places.clone() {
        supervisor.start("places", |stop| followed.follow(stop));
    }
    let access = ground.access.clone();
    supervisor.start("keys", |stop| access.note_use(stop));
    let shelf = ground.shelf.clone();
    supervisor.start("rules", |stop| shelf.follow(stop));
    Ok(())
}

/// Knows where addresses are, when there is a file that does.
pub(crate) fn places(file: Option<&PlacesFile>) -> Arc<dyn Places> {
    file.cloned().map_or_else(|| Arc::new(NoPlaces) as Arc<dyn Places>, |file| Arc::new(file))
}

fn start_api(
    supervisor: &Supervisor,
    listener: TcpListener,
    resolved: &Resolved,
    ground: &Ground,
    telemetry: &Telemetry,
    (otlp_grpc, otlp_http): (SocketAddr, SocketAddr),
) -> Result<()> {
    let streams = Stop::new();
    let prometheus = telemetry.prometheus.clone();
    let lake = ground.lake.clone();
    let places = places(ground.places.as_ref());
    let jobs = Backtests::new(ground.query.clone(), ground.clock.clone(), backtests(resolved), places);
    let running = jobs.clone();
    supervisor.start("backtests", |stop| running.work(stop));
    let state = ApiState::new(api::Parts {
        query: ground.query.clone(),
        backtests: jobs,
        peek: ground.peek.clone(),
        alerts: ground.book.clone(),
        access: ground.access.clone(),
        rules: ground.shelf.clone(),
        tally: ground.tally.clone(),
        clock: ground.clock.clone(),
        random: Random,
        settings: share::api(resolved, otlp_grpc, otlp_http),
        spans_seen: Arc::new(move || has_spans(&lake)),
        checks: checks(ground),
        metrics: Arc::new(move || prometheus.render()),
        stop: streams.clone(),
    });
    let router = api::router(state);
    supervisor.start("api", |stop| async move {
        let serving = api::serve(listener, router, streams.clone());
        tokio::pin!(serving);
        let served = tokio::select! {
            served = &mut serving => served,
            () = stop.asked() => {
                streams.ask();
                serving.await
            }
        };
        if let Err(error) = served {
            tracing::error!(%error, "API ended");
        }
    });
    Ok(())
}

fn has_spans(lake: &Lake) -> bool {
    let stats = lake.stats();
    let spans = stats.signals.iter().find(|part| part.signal == Signal::Spans);
    spans.is_some_and(|part| part.memtable_rows + part.file_rows > 0)
}

/// What must be well for the server to be ready.
fn checks(ground: &Ground) -> Vec<api::Check> {
    let replayed = Arc::clone(&ground.replayed);
    let (health, lake) = (ground.wal.clone(), ground.lake.clone());
    let room = ground.wal.clone();
    let check = |name, probe: Arc<dyn Fn() -> Result<String, String> + Send + Sync>| api::Check { name, probe };
    let verdict =
        |is_well: bool, well: &str, ill: &str| if is_well { Ok(well.to_owned()) } else { Err(ill.to_owned()) };
    vec![
        check(
            "replay",
            Arc::new(move || verdict(replayed.load(Ordering::SeqCst), "done", "the log is being put back")),
        ),
        check(
            "log",
            Arc::new(move || {
                verdict(health.is_healthy(), "writable", "a write or an fsync failed; restart after mending the disk")
            }),
        ),
        check(
            "disk",
            Arc::new(move || {
                verdict(room.has_room(), "has room", "the log is at its budget or the disk at its reserve")
            }),
        ),
        check(
            "memtable",
            Arc::new(move || verdict(!lake.is_full(), "has room", "files cannot be written fast enough")),
        ),
    ]
}

async fn bind_collector(resolved: &Resolved, ground: &Ground, listeners: &mut Listeners) -> Result<Collector> {
    let (lake, replayed) = (ground.lake.clone(), Arc::clone(&ground.replayed));
    let pressure = move || {
        if !replayed.load(Ordering::SeqCst) {
            return Pressure::Closed("starting: the log is being put back");
        }
        if lake.is_full() { Pressure::Closed("the memtable is full; files are being written") } else { Pressure::Open }
    };
    check_identities(resolved, &ground.access).await?;
    let door = Door {
        wal: ground.wal.clone(),
        access: ground.access.clone(),
        clock: ground.clock.clone(),
        pressure: Arc::new(pressure),
        open_tenant: resolved.settings.server.no_auth.then(TenantId::default_tenant),
        redaction: redaction(resolved)?,
    };
    Ok(collect::bind(share::collect(resolved), door, listeners).await?)
}

/// Refuses client certificates that stand for a tenant that does not exist: what they bring would be acknowledged, and
/// nobody could read it.
async fn check_identities(resolved: &Resolved, access: &Access) -> Result<()> {
    let clients = resolved.otlp_tls.as_ref().and_then(|tls| tls.clients.as_ref());
    for identity in clients.iter().flat_map(|clients| &clients.identities) {
        let (san, tenant) = (&identity.san, &identity.tenant);
        let (is_known, default) = (access.has_tenant(tenant).await?, TenantId::default_tenant());
        anyhow::ensure!(is_known, "otlp.tls.identities.tenant of {san}: there is no tenant {tenant}, only {default}");
    }
    Ok(())
}

async fn upkeep(prometheus: metrics_exporter_prometheus::PrometheusHandle, book: AlertBook, stop: Stop) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    for round in 0_u32.. {
        tokio::select! {
            () = stop.asked() => return,
            _ = every.tick() => prometheus.run_upkeep(),
        }
        if round.is_multiple_of(ALERT_RETENTION_EVERY)
            && let Err(error) = book.retain().await
        {
            tracing::error!(%error, "old incidents cannot be removed");
        }
    }
}

/// The secret file of the data directory, made when webhooks are configured without a secret of their own.
fn webhook_secret(resolved: &Resolved, folder: &Path) -> Result<Option<(PathBuf, String)>> {
    if resolved.webhooks.is_empty() || resolved.webhook_secret.is_some() {
        return Ok(None);
    }
    let path = folder.join(path::WEBHOOK_SECRET);
    let secret = kept_secret::open(&path, || SigningSecret::generate(Random).expose().to_owned())?;
    Ok(Some((path, secret)))
}

/// The redaction policy, with a key of the data directory when none was given.
fn redaction(resolved: &Resolved) -> Result<Option<Arc<redaction::Policy>>> {
    let Some(plan) = &resolved.redaction else { return Ok(None) };
    let key = match &plan.key {
        Some(key) => key.clone(),
        None => {
            let path = resolved.settings.server.data_dir.join(path::REDACTION_KEY);
            let text = kept_secret::open(&path, || SigningSecret::generate(Random).expose().to_owned())?;
            let too_short = || format!("{} has fewer than {} bytes", path.display(), MasterKey::MIN_BYTES);
            MasterKey::new(text.as_bytes()).with_context(too_short)?
        }
    };
    Ok(Some(Arc::new(redaction::Policy::compile(&plan.settings, key)?)))
}
