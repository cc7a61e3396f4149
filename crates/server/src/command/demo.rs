//! Demo traffic: two hours at once, live traffic from then on, and an attack; sent over OTLP like anybody's.

use std::iter::Peekable;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use model::TenantId;
use runtime::egress::{Egress, Policy};
use runtime::{Clock, Stop};
use simulate::{Export, Signal, Window};
use url::Url;

use crate::cli::ServeArgs;
use crate::wiring::House;

/// Seed of the demo: the same shop, users and requests each time.
const SEED: u64 = 7;
/// How much history a demo starts with.
const HISTORY: Duration = Duration::from_secs(2 * 3_600);
/// Requests per second of the demo's users.
const RATE_PER_SEC: f64 = 1.0;
/// Seconds of history in one export, so that two hours are a few hundred requests.
const HISTORY_BATCH_SECS: u64 = 30;
/// How often exports that have become due are sent.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// When the attack begins after history is in.
const ATTACK_AFTER: Duration = Duration::from_secs(2);
/// Times one export is tried before the demo gives up.
const TRIES_MAX: u32 = 30;
/// Exports of history under way at the same time, so that they share fsyncs.
const TOGETHER: usize = 16;
const NANOS_PER_SEC: i64 = 1_000_000_000;

/// A data directory that is removed when the demo ends, unless one was named.
pub fn temporary_folder(args: &mut ServeArgs) -> Result<Option<TemporaryFolder>> {
    if args.data_dir.is_some() {
        return Ok(None);
    }
    let path = std::env::temp_dir().join(format!("tracehound-demo-{}", std::process::id()));
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    args.data_dir = Some(path.clone());
    Ok(Some(TemporaryFolder(path)))
}

/// Removes its folder when dropped.
#[derive(Debug)]
pub struct TemporaryFolder(PathBuf);

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("warning: {} could not be removed: {error}", self.0.display());
        }
    }
}

/// Starts the demo as a task of the house, with an ingest key of its own when one is needed.
pub fn start(house: &House, needs_key: bool) -> Result<()> {
    let sender = Sender::new(house, needs_key)?;
    house.supervisor.start("demo", |stop| async move {
        if let Err(error) = run(sender, &stop).await {
            tracing::error!(error = format!("{error:#}"), "demo traffic ended");
        }
    });
    Ok(())
}

async fn run(sender: Sender, stop: &Stop) -> Result<()> {
    let clock = Clock::system();
    let started = clock.unix_nanos();
    let history = i64::try_from(HISTORY.as_nanos())?;
    let window = Window { start_unix_nanos: nanos(started - history), end_unix_nanos: nanos(started) };
    let mut events = 0;
    let mut traffic = simulate::traffic(SEED, window, RATE_PER_SEC).batched_every_secs(HISTORY_BATCH_SECS);
    loop {
        let exports: Vec<Export> = tokio::task::block_in_place(|| traffic.by_ref().take(TOGETHER).collect());
        if exports.is_empty() || stop.is_asked() {
            break;
        }
        events += exports.iter().map(|export| export.events).sum::<usize>();
        sender.send_together(exports).await?;
    }
    let secs = (clock.unix_nanos() - started) as f64 / NANOS_PER_SEC as f64;
    tracing::info!(events, secs, "demo history is in");

    let attack_at = nanos(clock.unix_nanos()) + u64::try_from(ATTACK_AFTER.as_nanos())?;
    let attack = simulate::attack(SEED, attack_at).exports.into_iter();
    let attack = attack.map(|(offset, export)| (attack_at + offset, export)).peekable();
    let live = Window { start_unix_nanos: nanos(started), end_unix_nanos: u64::MAX };
    let live = simulate::traffic(SEED, live, RATE_PER_SEC).map(|export| (export.at_unix_nanos, export)).peekable();
    play(&sender, &clock, live, attack, stop).await
}

/// An export with the moment it is due.
type Due = (u64, Export);

/// Sends each export when it is due, those of the attack among the others.
async fn play(
    sender: &Sender,
    clock: &Clock,
    mut live: Peekable<impl Iterator<Item = Due> + Send>,
    mut attack: Peekable<impl Iterator<Item = Due> + Send>,
    stop: &Stop,
) -> Result<()> {
    let mut every = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            () = stop.asked() => return Ok(()),
            _ = every.tick() => {}
        }
        let now = nanos(clock.unix_nanos());
        while let Some((_, export)) = live.next_if(|(due, _)| *due <= now) {
            sender.send(export).await?;
        }
        while let Some((_, export)) = attack.next_if(|(due, _)| *due <= now) {
            sender.send(export).await?;
        }
    }
}

fn nanos(unix_nanos: i64) -> u64 {
    u64::try_from(unix_nanos).unwrap_or(0)
}

/// Sends exports to the house's own OTLP/HTTP listener.
#[derive(Debug, Clone)]
struct Sender {
    egress: Egress,
    base: Url,
    headers: HeaderMap,
}

impl Sender {
    fn new(house: &House, needs_key: bool) -> Result<Self> {
        // the listener may be bound to every address; the demo always uses loopback
        let base = Url::parse(&format!("http://127.0.0.1:{}/v1/", house.otlp_http.port()))?;
        let egress = Egress::new(Policy { allow: vec!["127.0.0.0/8".parse()?], ..Policy::default() });
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        if needs_key {
            let key = house.access.temporary_key(&TenantId::default_tenant());
            headers.insert(collect::KEY_HEADER, HeaderValue::try_from(key)?);
        }
        Ok(Self { egress, base, headers })
    }

    async fn send_together(&self, exports: Vec<Export>) -> Result<()> {
        let sent = exports.into_iter().map(|export| self.send(export));
        futures::future::try_join_all(sent).await.map(drop)
    }

    /// Sends one export until it is acknowledged, as an SDK would.
    async fn send(&self, export: Export) -> Result<()> {
        let url = self.base.join(match export.signal {
            Signal::Traces => "traces",
            Signal::Logs => "logs",
        })?;
        let body = Bytes::from(export.body);
        for attempt in 1..=TRIES_MAX {
            match self.egress.post(&url, self.headers.clone(), body.clone()).await {
                Ok(answer) if answer.status.is_success() => return Ok(()),
                Ok(answer) if !matches!(answer.status.as_u16(), 429 | 502..=504) => {
                    bail!("the collector answered {}", answer.status)
                }
                Ok(_) | Err(_) => tokio::time::sleep(Duration::from_millis(100 * u64::from(attempt))).await,
            }
        }
        bail!("the collector did not take an export in {TRIES_MAX} tries")
    }
}
