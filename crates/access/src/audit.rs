//! The audit trail: who did what, each row bound to the one before.
//!
//! The hash of a row is SHA-256 over, in this order: hash of the row before (32 bytes, zero for the first), seq and
//! time (8 bytes each, little endian), then tenant, actor, action, subject and detail, each as its length (8 bytes,
//! little endian) and its bytes. Changing, removing or swapping rows breaks the chain; cutting off its end does not.

use model::{TenantId, UnixNanos};
use sha2::{Digest, Sha256};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use crate::error::AccessError;
use crate::role::Principal;
use crate::{Access, Permission, sql};

/// Most rows of one answer.
pub const MAX_ENTRIES: u32 = 1_000;
/// Rows read at a time while verifying.
const VERIFY_STEP_ROWS: i64 = 1_000;

/// Something worth recording.
#[derive(Debug, Clone, Copy)]
pub struct AuditEvent<'a> {
    /// In whose tenant.
    pub tenant: &'a TenantId,
    /// Who did it.
    pub actor: &'a str,
    /// What was done, as `key.create` or `rule.put`.
    pub action: &'a str,
    /// To what.
    pub subject: &'a str,
    /// Anything else worth knowing; no secrets.
    pub detail: &'a str,
}

/// A recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Place in the chain, from 1 without gaps.
    pub seq: i64,
    /// When.
    pub time: UnixNanos,
    /// In whose tenant.
    pub tenant: String,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
    /// Anything else.
    pub detail: String,
    prev_hash: [u8; 32],
    hash: [u8; 32],
}

impl Access {
    /// Records what another room did, as a changed rule. Keys and logins are recorded by this crate.
    ///
    /// # Errors
    /// When the database fails ([`runtime::ErrorKind::Internal`]).
    pub async fn record(&self, event: AuditEvent<'_>) -> Result<(), AccessError> {
        let mut transaction = self.db.writer.begin().await?;
        append(&mut transaction, self.clock.unix_nanos(), event).await?;
        Ok(transaction.commit().await?)
    }

    /// Rows of the principal's tenant before `below` (all when `None`), newest first, at most `limit` and
    /// [`MAX_ENTRIES`].
    ///
    /// # Errors
    /// [`AccessError::Denied`] without [`Permission::ReadAudit`]; when the database fails.
    pub async fn audit_trail(
        &self,
        by: &Principal,
        below: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, AccessError> {
        Access::authorize(by, Permission::ReadAudit)?;
        let rows = sqlx::query(sql::LIST_AUDIT)
            .bind(by.tenant().as_str())
            .bind(below.unwrap_or(i64::MAX))
            .bind(limit.min(MAX_ENTRIES))
            .fetch_all(&self.db.reader)
            .await?;
        rows.iter().map(entry).collect()
    }

    /// Walks the whole chain and says how many rows it has.
    ///
    /// # Errors
    /// [`AccessError::AuditBroken`] names the first row that was tampered with; when the database fails.
    pub async fn verify_audit(&self) -> Result<u64, AccessError> {
        let mut last = (0, [0; 32]);
        let mut count = 0;
        loop {
            let rows =
                sqlx::query(sql::SCAN_AUDIT).bind(last.0).bind(VERIFY_STEP_ROWS).fetch_all(&self.db.reader).await?;
            if rows.is_empty() {
                return Ok(count);
            }
            for row in &rows {
                let entry = entry(row)?;
                if entry.seq != last.0 + 1 || entry.prev_hash != last.1 || entry.hash != digest(&entry) {
                    return Err(AccessError::AuditBroken { seq: entry.seq });
                }
                last = (entry.seq, entry.hash);
                count += 1;
            }
        }
    }
}

/// Appends within the transaction of the deed, so that neither is without the other.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    now_unix_nanos: i64,
    event: AuditEvent<'_>,
) -> Result<(), AccessError> {
    let last: Option<(i64, Vec<u8>)> = sqlx::query_as(sql::LAST_AUDIT).fetch_optional(&mut *connection).await?;
    let (last_seq, last_hash) = match last {
        Some((seq, hash)) => (seq, hash.try_into().map_err(|_| AccessError::AuditBroken { seq })?),
        None => (0, [0; 32]),
    };
    let mut entry = AuditEntry {
        seq: last_seq + 1,
        time: UnixNanos(now_unix_nanos),
        tenant: event.tenant.to_string(),
        actor: event.actor.to_owned(),
        action: event.action.to_owned(),
        subject: event.subject.to_owned(),
        detail: event.detail.to_owned(),
        prev_hash: last_hash,
        hash: [0; 32],
    };
    entry.hash = digest(&entry);
    sqlx::query(sql::ADD_AUDIT)
        .bind(entry.seq)
        .bind(entry.time.0)
        .bind(&entry.tenant)
        .bind(&entry.actor)
        .bind(&entry.action)
        .bind(&entry.subject)
        .bind(&entry.detail)
        .bind(entry.prev_hash.as_slice())
        .bind(entry.hash.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

fn digest(entry: &AuditEntry) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(entry.prev_hash);
    hash.update(entry.seq.to_le_bytes());
    hash.update(entry.time.0.to_le_bytes());
    for text in [&entry.tenant, &entry.actor, &entry.action, &entry.subject, &entry.detail] {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text.as_bytes());
    }
    hash.finalize().into()
}

fn entry(row: &SqliteRow) -> Result<AuditEntry, AccessError> {
    let seq = row.try_get("seq")?;
    let bytes = |column: &str| -> Result<[u8; 32], AccessError> {
        let found: Vec<u8> = row.try_get(column)?;
        found.try_into().map_err(|_| AccessError::AuditBroken { seq })
    };
    Ok(AuditEntry {
        seq,
        time: UnixNanos(row.try_get("time_unix_nanos")?),
        tenant: row.try_get("tenant")?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        subject: row.try_get("subject")?,
        detail: row.try_get("detail")?,
        prev_hash: bytes("prev_hash")?,
        hash: bytes("hash")?,
    })
}
