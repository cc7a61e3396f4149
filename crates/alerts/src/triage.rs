//! What people do about incidents, and the history of it.

use model::{TenantId, UnixNanos};
use sqlx::sqlite::SqliteConnection;

use crate::book::{AlertBook, AlertKind};
use crate::error::AlertsError;
use crate::incident::{IncidentDetail, Status};
use crate::notify::{Change, EventType, Notice};
use crate::{apply, outbox, row, sql};

/// Longest comment.
pub const MAX_COMMENT_CHARS: usize = 4_000;
/// Who did what nobody asked for.
const SYSTEM: &str = "system";

impl AlertBook {
    /// Sets the status of an incident, and tells the targets in the same transaction. The status that it has already,
    /// with a comment, is a comment; without one it changes nothing.
    ///
    /// # Errors
    /// [`AlertsError::NoSuchIncident`], [`AlertsError::Comment`]; when the database fails.
    pub async fn set_status(
        &self,
        tenant: &TenantId,
        id: &str,
        status: Status,
        comment: &str,
        actor: &str,
    ) -> Result<IncidentDetail, AlertsError> {
        let comment = comment.trim();
        if comment.chars().count() > MAX_COMMENT_CHARS {
            return Err(AlertsError::Comment { limit_chars: MAX_COMMENT_CHARS });
        }
        let shared = &*self.shared;
        let missing = || AlertsError::NoSuchIncident(id.chars().take(64).collect());
        let now = UnixNanos(shared.clock.unix_nanos());
        let mut transaction = shared.db.writer.begin().await?;
        let found =
            sqlx::query(sql::GET_INCIDENT).bind(tenant.as_str()).bind(id).fetch_optional(&mut *transaction).await?;
        let mut incident = row::incident(&found.ok_or_else(missing)?)?;
        let from = incident.status;
        if from == status && comment.is_empty() {
            drop(transaction);
            return self.get(tenant, id).await?.ok_or_else(missing);
        }
        incident.status = status;
        incident.updated = now;
        if from == status {
            let line = Line { actor, kind: "comment", comment, ..Line::system() };
            add_line(&mut transaction, id, now, line).await?;
        } else {
            let change = Change { from: from.as_str(), to: status.as_str(), actor, comment };
            let line = Line { actor, kind: "status", from: Some(change.from), to: Some(change.to), comment };
            add_line(&mut transaction, id, now, line).await?;
            let evidence = outbox::evidence_for_message(&mut transaction, id).await?;
            let event_id = outbox::next_event_id(&mut incident);
            let notice = Notice {
                event_id: &event_id,
                event_type: EventType::Status,
                at: now,
                incident: &incident,
                evidence: &evidence,
                change: Some(change),
                public_url: &shared.settings.public_url,
            };
            outbox::enqueue(shared, &mut transaction, &notice).await?;
        }
        apply::save(&mut transaction, &incident).await?;
        transaction.commit().await?;
        shared.publish(AlertKind::Status, incident);
        shared.wake_senders();
        self.get(tenant, id).await?.ok_or_else(missing)
    }
}

/// One line of history to be written.
pub(crate) struct Line<'a> {
    pub(crate) actor: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) from: Option<&'a str>,
    pub(crate) to: Option<&'a str>,
    pub(crate) comment: &'a str,
}

impl Line<'_> {
    /// An empty line by the server itself.
    pub(crate) fn system() -> Self {
        Self { actor: SYSTEM, kind: "", from: None, to: None, comment: "" }
    }
}

pub(crate) async fn add_line(
    connection: &mut SqliteConnection,
    incident_id: &str,
    now: UnixNanos,
    line: Line<'_>,
) -> Result<(), AlertsError> {
    sqlx::query(sql::ADD_ACTIVITY)
        .bind(incident_id)
        .bind(now.0)
        .bind(line.actor)
        .bind(line.kind)
        .bind(line.from)
        .bind(line.to)
        .bind(line.comment)
        .execute(connection)
        .await?;
    Ok(())
}
