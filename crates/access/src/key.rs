//! Ingest keys: what a service shows to write events into one tenant.
//!
//! A key reads `th_<id>_<secret>`: 16 and 64 hexadecimal digits. The id may be logged; the secret is shown once, when
//! the key is made. All active keys live in memory, so that an unknown one costs a hash and no query, and a revoked
//! one stops with the next request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use model::{TenantId, UnixNanos};
use runtime::{Database, Stop};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use crate::audit::{self, AuditEvent};
use crate::error::AccessError;
use crate::limits::{KeyDefaults, KeyLimits, LimitsChange, OwnLimits};
use crate::role::Principal;
use crate::secret::{self, Secret, SecretHash};
use crate::{Access, Permission, sql};

/// Most active keys of one tenant.
pub const MAX_ACTIVE_KEYS: usize = 1_000;
/// Most keys of one list, revoked ones included.
pub const MAX_LISTED_KEYS: u32 = 5_000;
/// Longest name of a key.
pub const MAX_NAME_CHARS: usize = 100;
/// How often `last used` goes from memory to disk; a crash loses at most this much of it.
const NOTE_USE_EVERY: Duration = Duration::from_secs(60);
const PREFIX: &str = "th_";
/// Reads "never used" in memory.
const NEVER: i64 = i64::MIN;

/// What a valid ingest key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The tenant that the events belong to.
    pub tenant: TenantId,
    /// Id of the key, for `auth.key_id`.
    pub key_id: Arc<str>,
    /// The services it may sign as, for `auth.service_verified`; `None` when it lists none.
    pub services: Option<Arc<[String]>>,
    /// How much it may bring.
    pub limits: Arc<KeyLimits>,
}

/// A key as it may be shown: without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Id, the middle part of the key.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created: UnixNanos,
    /// When it was revoked; `None` while it is active.
    pub revoked: Option<UnixNanos>,
    /// When it was last used.
    pub last_used: Option<UnixNanos>,
    /// What it may bring, as far as the key itself says.
    pub limits: OwnLimits,
}

/// A key that has just been made.
pub struct CreatedKey {
    /// What may be shown again.
    pub key: Key,
    /// The whole key, `th_<id>_<secret>`: seen here and never again.
    pub secret: String,
}

impl std::fmt::Debug for CreatedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreatedKey").field("key", &self.key).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct ActiveKey {
    tenant: TenantId,
    id: Arc<str>,
    hash: SecretHash,
    last_used_unix_nanos: AtomicI64,
    noted_unix_nanos: AtomicI64,
    /// Whether the key has a row; a temporary one has not.
    is_stored: bool,
    policy: RwLock<Policy>,
}

/// What is in force: the services to verify against, and the limits.
type Policy = (Option<Arc<[String]>>, Arc<KeyLimits>);

impl ActiveKey {
    fn new(tenant: TenantId, id: &str, hash: SecretHash, policy: Policy) -> Self {
        Self {
            tenant,
            id: Arc::from(id),
            hash,
            last_used_unix_nanos: AtomicI64::new(NEVER),
            noted_unix_nanos: AtomicI64::new(NEVER),
            is_stored: true,
            policy: RwLock::new(policy),
        }
    }

    fn last_used(self, unix_nanos: Option<i64>) -> Self {
        let last_used = unix_nanos.unwrap_or(NEVER);
        let (last_used_unix_nanos, noted_unix_nanos) = (AtomicI64::new(last_used), AtomicI64::new(last_used));
        Self { last_used_unix_nanos, noted_unix_nanos, ..self }
    }

    fn policy(&self) -> Policy {
        self.policy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another policy in force with the next request; gives the one before.
    fn replace_policy(&self, policy: Policy) -> Policy {
        std::mem::replace(&mut *self.policy.write().unwrap_or_else(PoisonError::into_inner), policy)
    }
}

/// Every key that would be accepted, by id.
#[derive(Debug)]
pub(crate) struct ActiveKeys(RwLock<HashMap<Arc<str>, Arc<ActiveKey>>>);

impl ActiveKeys {
    pub(crate) async fn load(db: &Database, defaults: &KeyDefaults) -> Result<Self, AccessError> {
        let rows = sqlx::query(sql::ACTIVE_KEYS).fetch_all(&db.writer).await?;
        let mut keys = HashMap::new();
        for row in rows {
            let (id, tenant): (String, String) = (row.try_get("id")?, row.try_get("tenant")?);
            let hash: Vec<u8> = row.try_get("secret_hash")?;
            let hash = hash.try_into().map_err(|_| AccessError::Stored { what: "secret hash", value: id.clone() })?;
            let tenant = stored_tenant(tenant)?;
            let limits = OwnLimits::from_stored(row.try_get("limits")?)?;
            let key = ActiveKey::new(tenant, &id, hash, limits.in_force(defaults));
            let key = key.last_used(row.try_get("last_used_unix_nanos")?);
            keys.insert(key.id.clone(), Arc::new(key));
        }
        Ok(Self(RwLock::new(keys)))
    }

    fn get(&self, id: &str) -> Option<Arc<ActiveKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn insert(&self, key: Arc<ActiveKey>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(key.id.clone(), key);
    }

    fn remove(&self, id: &str) -> Option<Arc<ActiveKey>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    fn count(&self, tenant: &TenantId) -> usize {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().filter(|key| key.tenant == *tenant).count()
    }

    fn all(&self) -> Vec<Arc<ActiveKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

impl Access {
    /// The tenant behind a presented key. Touches memory alone today; callers must not rely on that, hence `async`.
    ///
    /// # Errors
    /// [`AccessError::UnknownKey`] ([`runtime::ErrorKind::Unauthenticated`]), whatever is wrong with the key.
    pub async fn ingest(&self, presented: &str) -> Result<Grant, AccessError> {
        let parts = presented.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        let (id, secret) = parts.filter(|(_, secret)| secret.len() == 64).ok_or(AccessError::UnknownKey)?;
        let hash = secret::hash_text(secret);
        let key = self.keys.get(id).ok_or(AccessError::UnknownKey)?;
        if !secret::is_same(&key.hash, &hash) {
            return Err(AccessError::UnknownKey);
        }
        key.last_used_unix_nanos.fetch_max(self.clock.unix_nanos(), Ordering::Relaxed);
        let (services, limits) = key.policy();
        Ok(Grant { tenant: key.tenant.clone(), key_id: key.id.clone(), services, limits })
    }

    /// The limits of requests without a key, where those are allowed.
    pub fn default_limits(&self) -> Arc<KeyLimits> {
        OwnLimits::default().in_force(&self.defaults).1
    }

    /// Makes a key in the principal's tenant that may bring what the settings allow.
    ///
    /// # Errors
    /// As [`Access::create_limited_key`].
    pub async fn create_key(&self, by: &Principal, name: &str) -> Result<CreatedKey, AccessError> {
        self.create_limited_key(by, name, &LimitsChange::default()).await
    }

    /// Makes a key in the principal's tenant with limits of its own.
    ///
    /// # Errors
    /// [`AccessError::Denied`] without [`Permission::ManageKeys`], [`AccessError::KeyName`], [`AccessError::Limit`],
    /// [`AccessError::TooManyKeys`]; when the database fails.
    pub async fn create_limited_key(
        &self,
        by: &Principal,
        name: &str,
        limits: &LimitsChange,
    ) -> Result<CreatedKey, AccessError> {
        Access::authorize(by, Permission::ManageKeys)?;
        let name = name.trim();
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            return Err(AccessError::KeyName { limit_chars: MAX_NAME_CHARS });
        }
        let mut own = OwnLimits::default();
        own.change(limits)?;
        self.make_key(by.tenant(), by.user(), name, own).await
    }

    /// A key for parts of this very process, as the demo traffic: has no row and ends with the process.
    pub fn temporary_key(&self, tenant: &TenantId) -> String {
        let (id, secret) = (self.new_key_id(), Secret::new(self.random));
        let policy = OwnLimits::default().in_force(&self.defaults);
        let key = ActiveKey { is_stored: false, ..ActiveKey::new(tenant.clone(), &id, secret.hash(), policy) };
        self.keys.insert(Arc::new(key));
        format!("{PREFIX}{id}_{}", secret.text())
    }

    /// Keys of the principal's tenant, newest first, revoked ones included, at most [`MAX_LISTED_KEYS`].
    ///
    /// # Errors
    /// [`AccessError::Denied`] without [`Permission::ReadKeys`]; when the database fails.
    pub async fn list_keys(&self, by: &Principal) -> Result<Vec<Key>, AccessError> {
        Access::authorize(by, Permission::ReadKeys)?;
        let rows = sqlx::query(sql::LIST_KEYS)
            .bind(by.tenant().as_str())
            .bind(MAX_LISTED_KEYS)
            .fetch_all(&self.db.reader)
            .await?;
        rows.iter().map(|row| self.stored_key(row)).collect()
    }

    /// Changes what a key of the principal's tenant may bring; in force with the next request.
    ///
    /// # Errors
    /// [`AccessError::Denied`] without [`Permission::ManageKeys`], [`AccessError::NoSuchKey`], [`AccessError::Limit`];
    /// when the database fails. Then nothing has changed.
    pub async fn limit_key(&self, by: &Principal, id: &str, change: &LimitsChange) -> Result<Key, AccessError> {
        Access::authorize(by, Permission::ManageKeys)?;
        let now = self.clock.unix_nanos();
        let mut transaction = self.db.writer.begin().await?;
        let found = sqlx::query(sql::FIND_KEY).bind(by.tenant().as_str()).bind(id).fetch_optional(&mut *transaction);
        let row = found.await?.ok_or_else(|| AccessError::NoSuchKey(id.chars().take(64).collect()))?;
        let mut key = self.stored_key(&row)?;
        key.limits.change(change)?;
        let stored = key.limits.to_stored();
        sqlx::query(sql::LIMIT_KEY)
            .bind(by.tenant().as_str())
            .bind(id)
            .bind(&stored)
            .execute(&mut *transaction)
            .await?;
        let detail = stored.as_deref().unwrap_or("{}");
        let event = AuditEvent { tenant: by.tenant(), actor: by.user(), action: "key.limit", subject: id, detail };
        audit::append(&mut transaction, now, event).await?;
        // in memory first: a caller who hangs up during the commit must not leave a key with its old limits
        let active = self.keys.get(id);
        let before = active.as_ref().map(|active| active.replace_policy(key.limits.in_force(&self.defaults)));
        if let Err(error) = transaction.commit().await {
            if let (Some(active), Some(before)) = (active, before) {
                active.replace_policy(before);
            }
            return Err(error.into());
        }
        Ok(key)
    }

    fn stored_key(&self, row: &SqliteRow) -> Result<Key, AccessError> {
        let id: String = row.try_get("id")?;
        let stored: Option<i64> = row.try_get("last_used_unix_nanos")?;
        let active = self.keys.get(&id).map(|key| key.last_used_unix_nanos.load(Ordering::Relaxed));
        let last_used = active.filter(|nanos| *nanos != NEVER).max(stored);
        Ok(Key {
            id,
            name: row.try_get("name")?,
            created_by: row.try_get("created_by")?,
            created: UnixNanos(row.try_get("created_unix_nanos")?),
            revoked: row.try_get::<Option<i64>, _>("revoked_unix_nanos")?.map(UnixNanos),
            last_used: last_used.map(UnixNanos),
            limits: OwnLimits::from_stored(row.try_get("limits")?)?,
        })
    }

    /// Revokes a key of the principal's tenant; the next request that shows it is refused.
    ///
    /// # Errors
    /// [`AccessError::Denied`] without [`Permission::ManageKeys`], [`AccessError::NoSuchKey`]; when the database fails.
    pub async fn revoke_key(&self, by: &Principal, id: &str) -> Result<(), AccessError> {
        Access::authorize(by, Permission::ManageKeys)?;
        let now = self.clock.unix_nanos();
        let mut transaction = self.db.writer.begin().await?;
        let revoked = sqlx::query(sql::REVOKE_KEY)
            .bind(by.tenant().as_str())
            .bind(id)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        if revoked.rows_affected() == 0 {
            return Err(AccessError::NoSuchKey(id.chars().take(64).collect()));
        }
        let event = AuditEvent { tenant: by.tenant(), actor: by.user(), action: "key.revoke", subject: id, detail: "" };
        audit::append(&mut transaction, now, event).await?;
        // out of memory first: a caller who hangs up during the commit must not leave a revoked key working
        let removed = self.keys.remove(id);
        if let Err(error) = transaction.commit().await {
            if let Some(key) = removed {
                self.keys.insert(key);
            }
            return Err(error.into());
        }
        Ok(())
    }

    /// Background task: brings `last used` to disk once a minute, and at the stop.
    pub async fn note_use(self, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => {}
                () = tokio::time::sleep(NOTE_USE_EVERY) => {}
            }
            if let Err(error) = self.note_use_once().await {
                tracing::warn!(%error, "could not note when ingest keys were last used");
            }
            if stop.is_asked() {
                return;
            }
        }
    }

    /// Brings `last used` to disk for the keys that were used since.
    ///
    /// # Errors
    /// When the database fails; the same keys are noted the next time.
    pub async fn note_use_once(&self) -> Result<(), AccessError> {
        let mut noted = Vec::new();
        for key in self.keys.all() {
            let used = key.last_used_unix_nanos.load(Ordering::Relaxed);
            if key.is_stored && used > key.noted_unix_nanos.load(Ordering::Relaxed) {
                noted.push((key, used));
            }
        }
        if noted.is_empty() {
            return Ok(());
        }
        let mut transaction = self.db.writer.begin().await?;
        for (key, used) in &noted {
            sqlx::query(sql::TOUCH_KEY).bind(&*key.id).bind(used).execute(&mut *transaction).await?;
        }
        transaction.commit().await?;
        for (key, used) in noted {
            key.noted_unix_nanos.store(used, Ordering::Relaxed);
        }
        Ok(())
    }

    pub(crate) async fn make_key(
        &self,
        tenant: &TenantId,
        by: &str,
        name: &str,
        limits: OwnLimits,
    ) -> Result<CreatedKey, AccessError> {
        if self.keys.count(tenant) >= MAX_ACTIVE_KEYS {
            return Err(AccessError::TooManyKeys { limit: MAX_ACTIVE_KEYS });
        }
        let now = self.clock.unix_nanos();
        let (id, secret) = (self.new_key_id(), Secret::new(self.random));
        let stored = limits.to_stored();
        let mut transaction = self.db.writer.begin().await?;
        sqlx::query(sql::ADD_KEY)
            .bind(&id)
            .bind(tenant.as_str())
            .bind(name)
            .bind(secret.hash().as_slice())
            .bind(by)
            .bind(now)
            .bind(&stored)
            .execute(&mut *transaction)
            .await?;
        let detail = stored.map_or_else(|| name.to_owned(), |limits| format!("{name} {limits}"));
        let event = AuditEvent { tenant, actor: by, action: "key.create", subject: &id, detail: &detail };
        audit::append(&mut transaction, now, event).await?;
        // in memory first: a revocation can only come after the commit, and has to find it there
        let policy = limits.in_force(&self.defaults);
        self.keys.insert(Arc::new(ActiveKey::new(tenant.clone(), &id, secret.hash(), policy)));
        transaction.commit().await.inspect_err(|_| drop(self.keys.remove(&id)))?;
        let text = format!("{PREFIX}{id}_{}", secret.text());
        let key = Key {
            id,
            name: name.to_owned(),
            created_by: by.to_owned(),
            created: UnixNanos(now),
            revoked: None,
            last_used: None,
            limits,
        };
        Ok(CreatedKey { key, secret: text })
    }

    fn new_key_id(&self) -> String {
        hex::encode(self.random.bytes::<8>())
    }
}

pub(crate) fn stored_tenant(text: String) -> Result<TenantId, AccessError> {
    text.parse().map_err(|_| AccessError::Stored { what: "tenant", value: text })
}
