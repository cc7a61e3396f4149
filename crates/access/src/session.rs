//! Logins and sessions: a one-time link from the console, then an opaque cookie.

use model::time::NANOS_PER_SEC;
use model::{TenantId, UnixNanos};
use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use crate::audit::{self, AuditEvent};
use crate::error::AccessError;
use crate::key::stored_tenant;
use crate::role::{Principal, Role};
use crate::secret::{self, Secret};
use crate::{Access, sql};

const MINUTE_NANOS: i64 = 60 * NANOS_PER_SEC;
const DAY_NANOS: i64 = 24 * 60 * MINUTE_NANOS;
/// How long a login token may be used.
pub const LOGIN_TOKEN_NANOS: i64 = 15 * MINUTE_NANOS;
/// A session that is not used for this long has ended.
pub const SESSION_IDLE_NANOS: i64 = 7 * DAY_NANOS;
/// A session ends after this long, used or not.
pub const SESSION_MAX_NANOS: i64 = 30 * DAY_NANOS;
/// Most sessions of one user; a further login ends the oldest.
pub const MAX_SESSIONS: u32 = 50;
/// How stale the time of the last use may be, so that a read of a page is not a write each time.
const TOUCH_AFTER_NANOS: i64 = 5 * MINUTE_NANOS;

/// What a login gives: a value for a cookie.
pub struct SessionCookie {
    /// The secret value, 64 hexadecimal digits.
    pub value: String,
    /// When the session ends at the latest; use ends it 7 days after the last one.
    pub ends: UnixNanos,
    /// Who has logged in.
    pub principal: Principal,
}

impl std::fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionCookie").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl Access {
    /// Uses a login token up and begins a session.
    ///
    /// # Errors
    /// [`AccessError::UnknownToken`] ([`runtime::ErrorKind::Unauthenticated`]) when it is unknown, used or expired;
    /// when the database fails.
    pub async fn login(&self, token: &str) -> Result<SessionCookie, AccessError> {
        let now = self.clock.unix_nanos();
        let mut transaction = self.db.writer.begin().await?;
        let user: Option<String> = sqlx::query_scalar(sql::USE_LOGIN_TOKEN)
            .bind(secret::hash_text(token).as_slice())
            .bind(now)
            .fetch_optional(&mut *transaction)
            .await?;
        let user = user.ok_or(AccessError::UnknownToken)?;
        let principal = find_principal(&mut transaction, &user).await?;
        let cookie = Secret::new(self.random);
        sqlx::query(sql::DROP_OLD_SESSIONS)
            .bind(now - SESSION_MAX_NANOS)
            .bind(now - SESSION_IDLE_NANOS)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(sql::ADD_SESSION)
            .bind(cookie.hash().as_slice())
            .bind(&user)
            .bind(now)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(sql::DROP_EXCESS_SESSIONS).bind(&user).bind(MAX_SESSIONS).execute(&mut *transaction).await?;
        audit::append(&mut transaction, now, event(principal.tenant(), &user, "session.login")).await?;
        transaction.commit().await?;
        Ok(SessionCookie { value: cookie.text(), ends: UnixNanos(now).plus(SESSION_MAX_NANOS), principal })
    }

    /// Who a cookie belongs to, with the roles of this moment.
    ///
    /// # Errors
    /// [`AccessError::UnknownSession`] ([`runtime::ErrorKind::Unauthenticated`]) when it is unknown or has ended; when
    /// the database fails.
    pub async fn session(&self, cookie: &str) -> Result<Principal, AccessError> {
        let now = self.clock.unix_nanos();
        let hash = secret::hash_text(cookie);
        let found = sqlx::query(sql::FIND_SESSION)
            .bind(hash.as_slice())
            .bind(now - SESSION_MAX_NANOS)
            .bind(now - SESSION_IDLE_NANOS)
            .fetch_optional(&self.db.reader)
            .await?;
        let row = found.ok_or(AccessError::UnknownSession)?;
        let user: String = row.try_get("name")?;
        let tenant = stored_tenant(row.try_get("tenant")?)?;
        let last_seen: i64 = row.try_get("last_seen_unix_nanos")?;
        if now - last_seen >= TOUCH_AFTER_NANOS {
            sqlx::query(sql::TOUCH_SESSION).bind(hash.as_slice()).bind(now).execute(&self.db.writer).await?;
        }
        let mut connection = self.db.reader.acquire().await?;
        let roles = roles_of(&mut connection, &user).await?;
        Ok(Principal::new(user, tenant, roles))
    }

    /// Ends a session; a cookie that is unknown is no error, its owner wanted to be out and is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logout(&self, cookie: &str) -> Result<(), AccessError> {
        let now = self.clock.unix_nanos();
        let mut transaction = self.db.writer.begin().await?;
        let user: Option<String> = sqlx::query_scalar(sql::END_SESSION)
            .bind(secret::hash_text(cookie).as_slice())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(user) = user else { return Ok(()) };
        let principal = find_principal(&mut transaction, &user).await?;
        audit::append(&mut transaction, now, event(principal.tenant(), &user, "session.logout")).await?;
        Ok(transaction.commit().await?)
    }
}

fn event<'a>(tenant: &'a TenantId, user: &'a str, action: &'a str) -> AuditEvent<'a> {
    AuditEvent { tenant, actor: user, action, subject: user, detail: "" }
}

async fn find_principal(connection: &mut SqliteConnection, user: &str) -> Result<Principal, AccessError> {
    let row = sqlx::query(sql::FIND_USER).bind(user).fetch_one(&mut *connection).await?;
    let tenant = stored_tenant(row.try_get("tenant")?)?;
    let roles = roles_of(connection, user).await?;
    Ok(Principal::new(user.to_owned(), tenant, roles))
}

async fn roles_of(connection: &mut SqliteConnection, user: &str) -> Result<Vec<Role>, AccessError> {
    let names: Vec<String> = sqlx::query_scalar(sql::ROLES_OF).bind(user).fetch_all(connection).await?;
    let parse = |name: String| name.parse().map_err(|_| AccessError::Stored { what: "role", value: name });
    names.into_iter().map(parse).collect()
}
