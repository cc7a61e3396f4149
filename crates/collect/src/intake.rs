//! What both transports do with a request: admit it, redact it, decode it, make it durable.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use access::{Grant, KeyLimits};
use arrow::array::RecordBatch;
use bytes::Bytes;
use http::HeaderMap;
use model::{EventBatch, Signal, TenantId, UnixNanos};
use otlp::Arrival;
use runtime::metric;
use tokio::sync::Semaphore;
use wal::{Frame, WalError};

use crate::budget::{Budget, Reservation};
use crate::connection::Client;
use crate::ledger::{Account, Ledger};
use crate::opening::{Opened, Work};
use crate::resend::{Key, Resends, Turn};
use crate::room::{self, Room};
use crate::status::Refusal;
use crate::tls::{Peer, PeerIdentity};
use crate::{Door, Settings, credential, opening};

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
    /// Somebody has to [`Room::watch`].
    pub room: Room,
    budget: Arc<Budget>,
    ledger: Ledger,
    resends: Option<Arc<Resends>>,
    /// Lets as many large requests be decoded at once as there are processors; more would only share them.
    decodes: Arc<Semaphore>,
}

/// A request that may come in.
#[derive(Debug)]
pub(crate) struct Admitted {
    bearer: Bearer,
    account: Arc<Account>,
    pub reservation: Reservation,
}

/// Who brings a request.
#[derive(Debug)]
struct Bearer {
    /// Whose events, and what is written down as `auth.key_id`.
    holder: (TenantId, Option<Arc<str>>),
    /// The services it may sign as, never an empty list; `None` when its credentials list none.
    services: Option<Arc<[String]>>,
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
        let resends = Resends::new(settings.resend_window, settings.max_resends).map(Arc::new);
        let room = Room::new(Arc::clone(&door.pressure), door.wal.clone());
        Self { settings, room, budget, ledger: Ledger::new(door.clock.clone()), resends, decodes, door }
    }

    /// Checks everything that can be known before the body is read, so that what is refused here costs next to nothing. Where
    /// there is no room, the request waits for it as long as `patience`.
    pub async fn admit(&self, headers: &HeaderMap, client: &Client, patience: Duration) -> Result<Admitted, Refusal> {
        let (bearer, limits) = self.bearer(headers, &client.peer).await?;
        if !limits.allows(client.address) {
            metrics::counter!(metric::COLLECT_OVER_QUOTA, "limit" => "cidrs").increment(1);
            return Err(Refusal::Network);
        }
        let account = self.ledger.account(&bearer.holder, &limits);
        account.check(self.ledger.now_nanos())?;
        self.room.wait(patience).await?;
        Ok(Admitted { bearer, account, reservation: self.budget.reserve(BASE_BYTES)? })
    }

    /// A key and a client certificate are each a credential; who shows both has to mean the same tenant by them, and is
    /// held to the limits of the key.
    async fn bearer(&self, headers: &HeaderMap, peer: &Peer) -> Result<(Bearer, Arc<KeyLimits>), Refusal> {
        let access = &self.door.access;
        let identity = peer.identity();
        if let Some(key) = credential::presented(headers) {
            let Grant { tenant, key_id, mut services, limits } = access.ingest(key).await?;
            if let Some(identity) = identity {
                if identity.tenant != tenant {
                    return Err(Refusal::OtherTenant);
                }
                services = identity.services_beside(services);
                if services.as_ref().is_some_and(|services| services.is_empty()) {
                    return Err(Refusal::NoCommonService);
                }
            }
            return Ok((Bearer { holder: (tenant, Some(key_id)), services }, limits));
        }
        if let Some(PeerIdentity { tenant, key_id, services, .. }) = identity {
            let holder = (tenant.clone(), Some(Arc::clone(key_id)));
            return Ok((Bearer { holder, services: services.clone() }, access.default_limits()));
        }
        if let Some(tenant) = &self.door.open_tenant {
            return Ok((Bearer { holder: (tenant.clone(), None), services: None }, access.default_limits()));
        }
        match peer {
            Peer::Unmapped { name, .. } => Err(Refusal::Unmapped { name: Arc::clone(name) }),
            Peer::Anonymous | Peer::Known { .. } => Err(Refusal::NoCredential),
        }
    }

    /// The time, of the clock that requests are stamped with.
    pub fn now(&self) -> UnixNanos {
        UnixNanos(self.door.clock.unix_nanos())
    }

    /// Decodes the export and appends it to the log. Answers once it is durable, or when there is nothing to store.
    pub async fn store(&self, admitted: Admitted, export: Export) -> Result<Receipt, Refusal> {
        let Admitted { bearer: Bearer { holder: (tenant, key_id), services }, account, reservation } = admitted;
        let received_at = self.now();
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
            resends: self.resends.clone(),
            now_nanos: self.ledger.now_nanos(),
            limit_bytes: self.settings.max_inflated_bytes,
            reservation,
        };
        let opened = self.open(work).await?;
        let Opened { payload, format, records, rejected, message, reservation, charged, verdict, digest } = opened;
        metrics::counter!(metric::COLLECT_BYTES, "signal" => signal.as_str()).increment(charged.bytes);
        let accepted = records.num_rows() as u64;
        if accepted > 0 {
            let batch = EventBatch { tenant: tenant.clone(), signal, received_at, lsn: model::Lsn::default(), records };
            let frame = Frame { tenant, key_id, services, signal, format, received_at, payload };
            // the client sends it again: it must not pay twice
            let give_back = |bytes: u64| account.give_back(bytes, charged.events, &verdict);
            let is_new = self.keep(frame, batch, digest).await.inspect_err(|_| give_back(charged.bytes))?;
            if !is_new {
                // it was read all the same
                give_back(0);
                metrics::counter!(metric::COLLECT_RESENDS, "signal" => signal.as_str()).increment(1);
                return Ok(Receipt { rejected, message });
            }
        }
        drop(reservation);
        metrics::counter!(metric::COLLECT_ACCEPTED, "signal" => signal.as_str()).increment(accepted);
        metrics::counter!(metric::COLLECT_REJECTED, "signal" => signal.as_str()).increment(rejected);
        Ok(Receipt { rejected, message })
    }

    /// Makes the frame durable, unless it is the twin of one that is: whether it was new.
    async fn keep(&self, frame: Frame, batch: EventBatch, digest: Option<u128>) -> Result<bool, WalError> {
        self.door.wal.prepare(&frame.tenant).await?;
        let (Some(resends), Some(digest)) = (&self.resends, digest) else {
            return self.door.wal.append(frame, batch).await.map(|_| true);
        };
        match resends.turn(&Key::of(&frame, digest), self.ledger.now_nanos()).await {
            Turn::Kept => Ok(false),
            Turn::Write(ticket) => ticket.write(self.door.wal.begin(frame, batch)?).await.map(|_| true),
        }
    }

    /// Takes note of a frame that the log held at the start: the answer to it may never have arrived.
    pub fn remember(&self, frame: &Frame, records: &RecordBatch) {
        let Some(resends) = &self.resends else { return };
        let age_nanos = self.now().0.saturating_sub(frame.received_at.0);
        if age_nanos < resends.window_nanos()
            && let Some(digest) = resends.digest(frame.signal, records, frame.received_at, &frame.payload)
        {
            resends.remember(Key::of(frame, digest), self.ledger.now_nanos().saturating_sub(age_nanos));
        }
    }

    /// How long the request may take: what the client allows, at most the setting.
    pub fn time_limit(&self, asked: Option<Duration>) -> Duration {
        asked.map_or(self.settings.request_timeout, |asked| asked.min(self.settings.request_timeout))
    }

    /// Small requests here and now, large ones on the blocking pool, as many at once as the machine can work on. Many may
    /// have been admitted while there was room for a few, so that each looks once more.
    async fn open(&self, work: Work) -> Result<Opened, Refusal> {
        if !work.is_large() {
            self.room.wait(room::PATIENCE).await?;
            return opening::open(work);
        }
        let until = Instant::now() + room::PATIENCE;
        let turn = loop {
            let turn = Arc::clone(&self.decodes).acquire_owned().await.expect("the semaphore is never closed");
            if self.room.check().is_ok() {
                break turn;
            }
            drop(turn);
            self.room.wait(until.saturating_duration_since(Instant::now())).await?;
        };
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
