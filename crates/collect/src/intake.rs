//! What both transports do with a request: admit it, redact it, decode it, make it durable.

use std::net::IpAddr;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use model::{EventBatch, Signal, TenantId, UnixNanos};
use otlp::Arrival;
use runtime::metric;
use tokio::sync::Semaphore;
use wal::Frame;

use crate::budget::{Budget, Reservation};
use crate::ledger::{Account, Ledger};
use crate::opening::{Opened, Work};
use crate::status::Refusal;
use crate::{Door, Pressure, Settings, credential, opening};

/// What the smallest request is charged: its task, headers and buffers.
pub(crate) const BASE_BYTES: u64 = 16 * 1024;
/// A payload is held up to three times: as received, transcoded from JSON or redacted, and as columns.
pub(crate) const COPIES: u64 = 3;
/// Fewest large requests that are decoded at once, however small the machine.
const MIN_DECODES: usize = 2;

/// Admission and storage, shared by every connection.
pub(crate) struct Intake {
    pub settings: Settings,
    door: Door,
    budget: Arc<Budget>,
    ledger: Ledger,
    /// Lets as many large requests be decoded at once as there are processors; more would only share them.
    decodes: Arc<Semaphore>,
}

/// A request that may come in.
#[derive(Debug)]
pub(crate) struct Admitted {
    tenant: TenantId,
    key_id: Option<Arc<str>>,
    services: Option<Arc<[String]>>,
    account: Arc<Account>,
    pub reservation: Reservation,
}

/// What is to be stored.
pub(crate) struct Export {
    pub signal: Signal,
    pub format: otlp::Format,
    pub encoding: runtime::inflate::Encoding,
    /// The body as it came.
    pub wire: Bytes,
}

/// What became of an export.
#[derive(Debug)]
pub(crate) struct Receipt {
    pub rejected: u64,
    pub message: String,
}

impl Intake {
    pub fn new(settings: Settings, door: Door) -> Self {
        // the body as it came, and its copies once inflated
        let largest = BASE_BYTES + settings.max_inflated_bytes.saturating_mul(COPIES + 1);
        let limit_bytes = settings.max_in_flight_bytes.max(largest);
        let decodes = thread::available_parallelism().map_or(MIN_DECODES, usize::from).max(MIN_DECODES);
        metrics::gauge!(metric::COLLECT_IN_FLIGHT_LIMIT).set((limit_bytes / BASE_BYTES) as f64);
        metrics::gauge!(metric::COLLECT_DECODES).set(0.0);
        metrics::gauge!(metric::COLLECT_DECODES_LIMIT).set(decodes as f64);
        let (budget, decodes) = (Budget::new(limit_bytes), Arc::new(Semaphore::new(decodes)));
        Self { settings, budget, ledger: Ledger::new(door.clock.clone()), decodes, door }
    }

    /// Checks everything that can be known before the body is read, so that what is refused here costs next to nothing.
    pub async fn admit(&self, headers: &HeaderMap, peer: IpAddr) -> Result<Admitted, Refusal> {
        let access = &self.door.access;
        let (tenant, key_id, services, limits) = match (credential::presented(headers), &self.door.open_tenant) {
            (Some(key), _) => {
                let grant = access.ingest(key).await?;
                (grant.tenant, Some(grant.key_id), grant.services, grant.limits)
            }
            (None, Some(tenant)) => (tenant.clone(), None, None, access.default_limits()),
            (None, None) => return Err(Refusal::NoCredential),
        };
        if !limits.allows(peer) {
            metrics::counter!(metric::COLLECT_OVER_QUOTA, "limit" => "cidrs").increment(1);
            return Err(Refusal::Network);
        }
        let holder = (tenant, key_id);
        let account = self.ledger.account(&holder, &limits);
        account.check(self.ledger.now_nanos())?;
        if let Pressure::Closed(reason) = (self.door.pressure)() {
            return Err(Refusal::Closed(reason));
        }
        if self.door.wal.is_healthy() && !self.door.wal.has_room() {
            return Err(Refusal::NoRoom);
        }
        let (tenant, key_id) = holder;
        Ok(Admitted { tenant, key_id, services, account, reservation: self.budget.reserve(BASE_BYTES)? })
    }

    /// Decodes the export and appends it to the log. Answers once it is durable, or when there is nothing to store.
    pub async fn store(&self, admitted: Admitted, export: Export) -> Result<Receipt, Refusal> {
        let Admitted { tenant, key_id, services, account, reservation } = admitted;
        let received_at = UnixNanos(self.door.clock.unix_nanos());
        let arrival = Arrival {
            received_at,
            key_id: key_id.clone(),
            services: services.clone(),
            trusted_proxies: Arc::clone(&self.settings.trusted_proxies),
        };
        let signal = export.signal;
        let work = Work {
            export,
            tenant: tenant.clone(),
            redaction: self.door.redaction.clone(),
            arrival,
            account: Arc::clone(&account),
            now_nanos: self.ledger.now_nanos(),
            limit_bytes: self.settings.max_inflated_bytes,
            reservation,
        };
        let opened = self.open(work).await?;
        let Opened { payload, format, records, rejected, message, reservation, charged, verdict } = opened;
        let accepted = records.num_rows() as u64;
        if accepted > 0 {
            let batch = EventBatch { tenant: tenant.clone(), signal, received_at, lsn: model::Lsn::default(), records };
            let frame = Frame { tenant, key_id, services, signal, format, received_at, payload };
            let appended = self.door.wal.append(frame, batch).await;
            // the client sends it again: it must not pay twice
            appended.inspect_err(|_| account.give_back(charged.bytes, charged.events, &verdict))?;
        }
        drop(reservation);
        metrics::counter!(metric::COLLECT_ACCEPTED, "signal" => signal.as_str()).increment(accepted);
        metrics::counter!(metric::COLLECT_REJECTED, "signal" => signal.as_str()).increment(rejected);
        metrics::counter!(metric::COLLECT_BYTES, "signal" => signal.as_str()).increment(charged.bytes);
        Ok(Receipt { rejected, message })
    }

    /// How long the request may take: what the client allows, at most the setting.
    pub fn time_limit(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.settings.request_timeout, |asked| asked.min(self.settings.request_timeout))
    }

    /// Small requests here and now, large ones on the blocking pool, as many at once as the machine can work on.
    async fn open(&self, work: Work) -> Result<Opened, Refusal> {
        if !work.is_large() {
            return opening::open(work);
        }
        let turn = Arc::clone(&self.decodes).acquire_owned().await.expect("the semaphore is never closed");
        let opened = tokio::task::spawn_blocking(move || {
            metrics::gauge!(metric::COLLECT_DECODES).increment(1.0);
            // taken down again however this ends
            let _ending = Ending(turn);
            opening::open(work)
        });
        opened.await.map_err(|_| Refusal::Panicked)?
    }
}

/// The end of a decoding on the blocking pool: gives its turn to the next.
struct Ending(#[expect(dead_code, reason = "held for its drop")] tokio::sync::OwnedSemaphorePermit);

impl Drop for Ending {
    fn drop(&mut self) {
        metrics::gauge!(metric::COLLECT_DECODES).decrement(1.0);
    }
}
