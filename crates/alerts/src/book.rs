//! The book: opens the tables, answers questions, and tells subscribers what changed.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use model::{Severity, TenantId};
use runtime::{Clock, Database, Random};
use tokio::sync::{broadcast, watch};

use crate::error::AlertsError;
use crate::incident::{AlertEvent, Incident, IncidentDetail, Status};
use crate::settings::Settings;
use crate::{row, sql};

/// Most incidents of one list.
pub const MAX_LISTED: u32 = 1_000;
/// Most lines of history, and most messages, of one answer: the latest ones.
pub const MAX_HISTORY: u32 = 1_000;
/// Most events kept and answered as evidence of one incident, whatever the settings say.
pub const MAX_EVIDENCE: u32 = 1_000;
/// Events a slow subscriber may be behind before it misses the oldest.
const SUBSCRIBER_EVENTS: usize = 256;
/// Incidents forgotten in one transaction.
const DROP_STEP_ROWS: u32 = 500;

/// Incidents and the outbox. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AlertBook {
    pub(crate) shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) db: Database,
    pub(crate) settings: Settings,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
    /// Names of targets that are disabled.
    disabled: Mutex<HashSet<String>>,
    /// Counts commits that put something into the outbox.
    pub(crate) outbox_changes: watch::Sender<u64>,
    events: broadcast::Sender<AlertEvent>,
    last_event: AtomicU64,
}

/// What happened to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AlertKind {
    /// It is new.
    Created,
    /// More detections, or a higher severity.
    Updated,
    /// Somebody changed its status or said something.
    Status,
}

/// Which incidents to list. The default lists all, newest first.
#[derive(Debug, Clone, Default)]
pub struct AlertFilter {
    /// Any of these; all when empty.
    pub status: Vec<Status>,
    /// Any of these; all when empty.
    pub severity: Vec<Severity>,
    /// Of this rule.
    pub rule_id: Option<String>,
    /// At most this many, and at most [`MAX_LISTED`]; 0 reads as 1.
    pub limit: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// Part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// Where the next part begins; `None` at the end.
    pub next_cursor: Option<String>,
}

impl AlertBook {
    /// Brings the tables up to date and notes the targets of the settings. A target that is disabled stays so unless
    /// its address changed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(db: Database, settings: Settings, clock: Clock, random: Random) -> Result<Self, AlertsError> {
        db.migrate("alerts", sqlx::migrate!("./migrations")).await?;
        let mut disabled = HashSet::new();
        for target in &settings.targets {
            let since: Option<i64> = sqlx::query_scalar(sql::ADD_TARGET)
                .bind(&target.name)
                .bind(target.notifier.address_hash().as_slice())
                .fetch_one(&db.writer)
                .await?;
            if since.is_some() {
                tracing::warn!(target_name = target.name, "alert target is disabled since it answered 410 gone");
                disabled.insert(target.name.clone());
            }
        }
        let shared = Shared {
            db,
            settings,
            clock,
            random,
            disabled: Mutex::new(disabled),
            outbox_changes: watch::Sender::new(0),
            events: broadcast::Sender::new(SUBSCRIBER_EVENTS),
            last_event: AtomicU64::new(0),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Follows what happens from now on. A subscriber that falls behind by more than 256 events is told how many it
    /// missed.
    pub fn subscribe(&self) -> broadcast::Receiver<AlertEvent> {
        self.shared.events.subscribe()
    }

    /// Incidents of a tenant, newest first. A page stays where it is while new incidents come in above it.
    ///
    /// # Errors
    /// [`AlertsError::Cursor`]; when the database fails.
    pub async fn list(&self, tenant: &TenantId, filter: &AlertFilter) -> Result<Page<Incident>, AlertsError> {
        let below = filter.cursor.as_deref().map_or(Ok(i64::MAX), read_cursor)?;
        let limit = filter.limit.clamp(1, MAX_LISTED) as usize;
        let statuses: Vec<&str> = filter.status.iter().map(|status| status.as_str()).collect();
        let severities: Vec<i64> = filter.severity.iter().map(|severity| row::severity_number(*severity)).collect();
        let rows = sqlx::query(sql::LIST_INCIDENTS)
            .bind(tenant.as_str())
            .bind(below)
            .bind((!statuses.is_empty()).then(|| row::to_json(&statuses)))
            .bind((!severities.is_empty()).then(|| row::to_json(&severities)))
            .bind(filter.rule_id.as_deref())
            .bind(limit as i64 + 1)
            .fetch_all(&self.shared.db.reader)
            .await?;
        let mut items = rows.iter().map(row::incident).collect::<Result<Vec<_>, _>>()?;
        let has_more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| has_more).map(|last| format!("{:x}", last.seq));
        Ok(Page { items, next_cursor })
    }

    /// An incident with its evidence, history and messages; `None` when the tenant has no such incident.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn get(&self, tenant: &TenantId, id: &str) -> Result<Option<IncidentDetail>, AlertsError> {
        // one transaction, so that the parts belong together
        let mut view = self.shared.db.reader.begin().await?;
        let found = sqlx::query(sql::GET_INCIDENT).bind(tenant.as_str()).bind(id).fetch_optional(&mut *view).await?;
        let Some(found) = found else { return Ok(None) };
        let incident = row::incident(&found)?;
        let evidence = sqlx::query(sql::LIST_EVIDENCE).bind(id).bind(MAX_EVIDENCE).fetch_all(&mut *view).await?;
        let activity = sqlx::query(sql::LIST_ACTIVITY).bind(id).bind(MAX_HISTORY).fetch_all(&mut *view).await?;
        let deliveries = sqlx::query(sql::LIST_MESSAGES).bind(id).bind(MAX_HISTORY).fetch_all(&mut *view).await?;
        Ok(Some(IncidentDetail {
            incident,
            evidence: evidence.iter().map(row::evidence).collect::<Result<_, _>>()?,
            activity: activity.iter().map(row::activity).collect::<Result<_, _>>()?,
            deliveries: deliveries.iter().map(row::delivery).collect::<Result<_, _>>()?,
        }))
    }

    /// Enables a target that was disabled by 410; messages given up meanwhile stay dead.
    ///
    /// # Errors
    /// [`AlertsError::NoSuchTarget`]; when the database fails.
    pub async fn enable_target(&self, name: &str) -> Result<(), AlertsError> {
        let enabled = sqlx::query(sql::ENABLE_TARGET).bind(name).execute(&self.shared.db.writer).await?;
        if enabled.rows_affected() == 0 {
            return Err(AlertsError::NoSuchTarget(name.chars().take(100).collect()));
        }
        self.shared.set_disabled(name, false);
        self.shared.wake_senders();
        Ok(())
    }

    /// Forgets incidents that nothing has touched for [`Settings::keep_for`], with all that belongs to them, and says
    /// how many. [`crate::deliver`] does this once an hour.
    ///
    /// # Errors
    /// When the database fails; what was forgotten stays forgotten.
    pub async fn retain(&self) -> Result<u64, AlertsError> {
        let keep = i64::try_from(self.shared.settings.keep_for.as_nanos()).unwrap_or(i64::MAX);
        let since = self.shared.clock.unix_nanos().saturating_sub(keep);
        let mut forgotten = 0;
        loop {
            let dropped = sqlx::query(sql::DROP_OLD_INCIDENTS)
                .bind(since)
                .bind(DROP_STEP_ROWS)
                .execute(&self.shared.db.writer)
                .await?
                .rows_affected();
            forgotten += dropped;
            if dropped < u64::from(DROP_STEP_ROWS) {
                return Ok(forgotten);
            }
        }
    }
}

impl Shared {
    pub(crate) fn is_disabled(&self, target: &str) -> bool {
        self.disabled.lock().unwrap_or_else(PoisonError::into_inner).contains(target)
    }

    pub(crate) fn set_disabled(&self, target: &str, is_disabled: bool) {
        let mut disabled = self.disabled.lock().unwrap_or_else(PoisonError::into_inner);
        match is_disabled {
            true => disabled.insert(target.to_owned()),
            false => disabled.remove(target),
        };
    }

    /// Tells subscribers; called after the commit.
    pub(crate) fn publish(&self, kind: AlertKind, incident: Incident) {
        let seq = self.last_event.fetch_add(1, Ordering::Relaxed) + 1;
        // an error means that nobody listens
        drop(self.events.send(AlertEvent { seq, tenant: incident.tenant.clone(), kind, incident }));
    }

    pub(crate) fn wake_senders(&self) {
        self.outbox_changes.send_modify(|changes| *changes += 1);
    }
}

fn read_cursor(text: &str) -> Result<i64, AlertsError> {
    i64::from_str_radix(text, 16).ok().filter(|seq| *seq > 0).ok_or(AlertsError::Cursor)
}
