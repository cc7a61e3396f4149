//! The outbox: messages that are committed with the incident they are about, and what became of each.

use model::UnixNanos;
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use crate::book::{AlertBook, Shared};
use crate::error::AlertsError;
use crate::incident::{DeliveryState, Evidence, Incident};
use crate::notify::{MAX_EVENTS, Notice};
use crate::triage::Line;
use crate::{row, sql, triage};

/// Why a message to a disabled target is dead from the start.
const DISABLED: &str = "target is disabled since it answered 410 gone";

/// A message whose time has come.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) seq: i64,
    pub(crate) event_id: String,
    pub(crate) incident_id: String,
    pub(crate) body: String,
    /// Attempts so far, all failed.
    pub(crate) attempts: u32,
    pub(crate) created: UnixNanos,
}

/// Gives out the next event id of an incident.
pub(crate) fn next_event_id(incident: &mut Incident) -> String {
    incident.messages += 1;
    format!("msg_{}_{}", incident.id, incident.messages)
}

/// The evidence that fits into a message.
pub(crate) async fn evidence_for_message(
    connection: &mut SqliteConnection,
    incident_id: &str,
) -> Result<Vec<Evidence>, AlertsError> {
    let rows = sqlx::query(sql::LIST_EVIDENCE).bind(incident_id).bind(MAX_EVENTS).fetch_all(connection).await?;
    rows.iter().map(row::evidence).collect()
}

/// Puts one message per target into the outbox. The body is made here, once, and sent as it is at every attempt.
pub(crate) async fn enqueue(
    shared: &Shared,
    connection: &mut SqliteConnection,
    notice: &Notice<'_>,
) -> Result<(), AlertsError> {
    for target in &shared.settings.targets {
        let is_disabled = shared.is_disabled(&target.name);
        let state = if is_disabled { DeliveryState::Dead } else { DeliveryState::Pending };
        sqlx::query(sql::ADD_MESSAGE)
            .bind(notice.event_id)
            .bind(&target.name)
            .bind(&notice.incident.id)
            .bind(notice.event_type.as_str())
            .bind(target.notifier.render(notice))
            .bind(state.as_str())
            .bind(notice.at.0)
            .bind(is_disabled.then_some(notice.at.0))
            .bind(is_disabled.then_some(DISABLED))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

impl AlertBook {
    /// Messages to a target that may be sent now, at most one per incident.
    pub(crate) async fn due(&self, target: &str, limit: u32) -> Result<Vec<Message>, AlertsError> {
        let rows = sqlx::query(sql::DUE_MESSAGES)
            .bind(target)
            .bind(self.shared.clock.unix_nanos())
            .bind(limit)
            .fetch_all(&self.shared.db.reader)
            .await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows {
            messages.push(Message {
                seq: row.try_get("seq")?,
                event_id: row.try_get("event_id")?,
                incident_id: row.try_get("incident_id")?,
                body: row.try_get("body")?,
                attempts: row.try_get("attempts")?,
                created: UnixNanos(row.try_get("created_unix_nanos")?),
            });
        }
        Ok(messages)
    }

    /// When the next message to a target may be sent.
    pub(crate) async fn next_due(&self, target: &str) -> Result<Option<UnixNanos>, AlertsError> {
        let due: Option<i64> =
            sqlx::query_scalar(sql::NEXT_MESSAGE).bind(target).fetch_one(&self.shared.db.reader).await?;
        Ok(due.map(UnixNanos))
    }

    /// The receiver took it.
    pub(crate) async fn delivered(&self, message: &Message) -> Result<(), AlertsError> {
        self.end(&mut *self.shared.db.writer.acquire().await?, message, DeliveryState::Delivered, None).await
    }

    /// It did not, and is asked again.
    pub(crate) async fn retry_at(&self, message: &Message, at: UnixNanos, error: &str) -> Result<(), AlertsError> {
        sqlx::query(sql::RETRY_MESSAGE)
            .bind(message.seq)
            .bind(message.attempts + 1)
            .bind(at.0)
            .bind(error)
            .execute(&self.shared.db.writer)
            .await?;
        Ok(())
    }

    /// It did not, and is not asked again.
    pub(crate) async fn give_up(&self, message: &Message, target: &str, error: &str) -> Result<(), AlertsError> {
        let now = UnixNanos(self.shared.clock.unix_nanos());
        let mut transaction = self.shared.db.writer.begin().await?;
        self.end(&mut transaction, message, DeliveryState::Dead, Some(error)).await?;
        let line = Line { kind: "undelivered", to: Some(target), comment: error, ..Line::system() };
        triage::add_line(&mut transaction, &message.incident_id, now, line).await?;
        Ok(transaction.commit().await?)
    }

    /// The receiver is gone: this message and all that wait for the same target are dead, and so will new ones be.
    pub(crate) async fn disable(&self, message: &Message, target: &str, error: &str) -> Result<(), AlertsError> {
        let now = UnixNanos(self.shared.clock.unix_nanos());
        let mut transaction = self.shared.db.writer.begin().await?;
        sqlx::query(sql::DISABLE_TARGET).bind(target).bind(now.0).execute(&mut *transaction).await?;
        self.end(&mut transaction, message, DeliveryState::Dead, Some(error)).await?;
        let mut affected: Vec<String> = sqlx::query_scalar(sql::END_MESSAGES_OF_TARGET)
            .bind(target)
            .bind(now.0)
            .bind(DISABLED)
            .fetch_all(&mut *transaction)
            .await?;
        affected.push(message.incident_id.clone());
        affected.sort_unstable();
        affected.dedup();
        for incident_id in &affected {
            let line = Line { kind: "target-disabled", to: Some(target), comment: error, ..Line::system() };
            triage::add_line(&mut transaction, incident_id, now, line).await?;
        }
        // before the commit: the next transaction must not let anything wait for a target that will never be asked
        self.shared.set_disabled(target, true);
        transaction.commit().await.inspect_err(|_| self.shared.set_disabled(target, false))?;
        Ok(())
    }

    /// Gives up messages to targets that are not configured any more, once they are older than any retry.
    pub(crate) async fn end_unclaimed(&self) -> Result<u64, AlertsError> {
        let shared = &*self.shared;
        let now = shared.clock.unix_nanos();
        let max_age = i64::try_from(shared.settings.retry.max_age.as_nanos()).unwrap_or(i64::MAX);
        let names: Vec<&str> = shared.settings.targets.iter().map(|target| target.name.as_str()).collect();
        let ended = sqlx::query(sql::END_UNCLAIMED_MESSAGES)
            .bind(row::to_json(&names))
            .bind(now.saturating_sub(max_age))
            .bind(now)
            .execute(&shared.db.writer)
            .await?;
        Ok(ended.rows_affected())
    }

    /// Messages that are pending, and that are dead.
    pub(crate) async fn count_messages(&self) -> Result<(i64, i64), AlertsError> {
        Ok(sqlx::query_as(sql::COUNT_MESSAGES).fetch_one(&self.shared.db.reader).await?)
    }

    async fn end(
        &self,
        connection: &mut SqliteConnection,
        message: &Message,
        state: DeliveryState,
        error: Option<&str>,
    ) -> Result<(), AlertsError> {
        sqlx::query(sql::END_MESSAGE)
            .bind(message.seq)
            .bind(state.as_str())
            .bind(message.attempts + 1)
            .bind(self.shared.clock.unix_nanos())
            .bind(error)
            .execute(connection)
            .await?;
        Ok(())
    }
}
