//! Who may come in, and what they may do.
//!
//! *Owns* tenants, users, roles, ingest keys, login tokens, sessions and the audit trail. *Promises* that no secret is
//! kept as itself, that a revoked key stops at once, and that whatever is not granted is refused. *Refuses to know*
//! HTTP: cookies, headers and statuses belong to those who serve.

mod error;
mod secret;
mod sql;

pub mod audit;
pub mod key;
pub mod limits;
pub mod permission;
pub mod role;
pub mod session;

use std::sync::Arc;

use model::TenantId;
use runtime::{Clock, Database, Random};

pub use audit::{AuditEntry, AuditEvent};
pub use error::AccessError;
pub use key::{CreatedKey, Grant, Key};
pub use limits::{KeyDefaults, KeyLimits, LimitsChange, OnOtherService, OwnLimits};
pub use permission::Permission;
pub use role::{Principal, Role};
pub use session::SessionCookie;

use key::ActiveKeys;
use secret::Secret;

/// Name of the user that the login link of the console belongs to.
pub const FIRST_USER: &str = "admin";
/// Name of the ingest key that the first start makes.
const FIRST_KEY: &str = "first key";

/// Tenants, keys, users and sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Access {
    db: Database,
    clock: Clock,
    random: Random,
    keys: Arc<ActiveKeys>,
    defaults: KeyDefaults,
}

/// What a start prints: the only time these are seen.
pub struct Bootstrap {
    /// An ingest key, when none had ever been made before.
    pub ingest_key: Option<String>,
    /// A login token: 15 minutes, one use. Goes into the link `/login?t=<token>`.
    pub login_token: String,
}

impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap").field("makes_key", &self.ingest_key.is_some()).finish_non_exhaustive()
    }
}

impl Access {
    /// Brings the tables up to date, makes the tenant `default` and loads the active keys. Keys without limits of their
    /// own get [`KeyDefaults::default`].
    ///
    /// # Errors
    /// When the database fails ([`runtime::ErrorKind::Internal`]).
    pub async fn open(db: Database, clock: Clock, random: Random) -> Result<Self, AccessError> {
        Self::open_with(db, clock, random, KeyDefaults::default()).await
    }

    /// As [`Access::open`], with other limits for keys without limits of their own.
    ///
    /// # Errors
    /// When the database fails ([`runtime::ErrorKind::Internal`]).
    pub async fn open_with(
        db: Database,
        clock: Clock,
        random: Random,
        defaults: KeyDefaults,
    ) -> Result<Self, AccessError> {
        db.migrate("access", sqlx::migrate!("./migrations")).await?;
        sqlx::query(sql::ADD_TENANT)
            .bind(TenantId::default_tenant().as_str())
            .bind(clock.unix_nanos())
            .execute(&db.writer)
            .await?;
        let keys = Arc::new(ActiveKeys::load(&db, &defaults).await?);
        Ok(Self { db, clock, random, keys, defaults })
    }

    /// Called once at each start: makes the first user and a new login token (older ones become useless), and an
    /// ingest key when none was ever made, so that revoking the last one is not undone by a restart.
    ///
    /// # Errors
    /// When the database fails ([`runtime::ErrorKind::Internal`]).
    pub async fn bootstrap(&self) -> Result<Bootstrap, AccessError> {
        let tenant = TenantId::default_tenant();
        let login_token = self.issue_login_token(&tenant).await?;
        let has_keys: bool = sqlx::query_scalar(sql::HAS_KEYS).fetch_one(&self.db.writer).await?;
        let ingest_key = match has_keys {
            true => None,
            false => Some(self.make_key(&tenant, "system", FIRST_KEY, OwnLimits::default()).await?.secret),
        };
        Ok(Bootstrap { ingest_key, login_token: login_token.text() })
    }

    /// Whether there is such a tenant; `default` always is.
    ///
    /// # Errors
    /// When the database fails ([`runtime::ErrorKind::Internal`]).
    pub async fn has_tenant(&self, tenant: &TenantId) -> Result<bool, AccessError> {
        Ok(sqlx::query_scalar(sql::HAS_TENANT).bind(tenant.as_str()).fetch_one(&self.db.writer).await?)
    }

    async fn issue_login_token(&self, tenant: &TenantId) -> Result<Secret, AccessError> {
        let now = self.clock.unix_nanos();
        let token = Secret::new(self.random);
        let mut transaction = self.db.writer.begin().await?;
        sqlx::query(sql::ADD_USER).bind(FIRST_USER).bind(tenant.as_str()).bind(now).execute(&mut *transaction).await?;
        for role in Role::FIRST_LOGIN {
            sqlx::query(sql::ADD_ROLE).bind(FIRST_USER).bind(role.as_str()).execute(&mut *transaction).await?;
        }
        sqlx::query(sql::DROP_LOGIN_TOKENS).execute(&mut *transaction).await?;
        sqlx::query(sql::ADD_LOGIN_TOKEN)
            .bind(token.hash().as_slice())
            .bind(FIRST_USER)
            .bind(now.saturating_add(session::LOGIN_TOKEN_NANOS))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(token)
    }
}
