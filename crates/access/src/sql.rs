//! Every SQL statement of this crate, each in its own file with its parameters explained.

pub(crate) const ACTIVE_KEYS: &str = include_str!("sql/active_keys.sql");
pub(crate) const ADD_AUDIT: &str = include_str!("sql/add_audit.sql");
pub(crate) const ADD_KEY: &str = include_str!("sql/add_key.sql");
pub(crate) const ADD_LOGIN_TOKEN: &str = include_str!("sql/add_login_token.sql");
pub(crate) const ADD_ROLE: &str = include_str!("sql/add_role.sql");
pub(crate) const ADD_SESSION: &str = include_str!("sql/add_session.sql");
pub(crate) const ADD_TENANT: &str = include_str!("sql/add_tenant.sql");
pub(crate) const ADD_USER: &str = include_str!("sql/add_user.sql");
pub(crate) const DROP_EXCESS_SESSIONS: &str = include_str!("sql/drop_excess_sessions.sql");
pub(crate) const DROP_LOGIN_TOKENS: &str = include_str!("sql/drop_login_tokens.sql");
pub(crate) const DROP_OLD_SESSIONS: &str = include_str!("sql/drop_old_sessions.sql");
pub(crate) const END_SESSION: &str = include_str!("sql/end_session.sql");
pub(crate) const FIND_KEY: &str = include_str!("sql/find_key.sql");
pub(crate) const FIND_SESSION: &str = include_str!("sql/find_session.sql");
pub(crate) const FIND_USER: &str = include_str!("sql/find_user.sql");
pub(crate) const HAS_KEYS: &str = include_str!("sql/has_keys.sql");
pub(crate) const LAST_AUDIT: &str = include_str!("sql/last_audit.sql");
pub(crate) const LIMIT_KEY: &str = include_str!("sql/limit_key.sql");
pub(crate) const LIST_AUDIT: &str = include_str!("sql/list_audit.sql");
pub(crate) const LIST_KEYS: &str = include_str!("sql/list_keys.sql");
pub(crate) const REVOKE_KEY: &str = include_str!("sql/revoke_key.sql");
pub(crate) const ROLES_OF: &str = include_str!("sql/roles_of.sql");
pub(crate) const SCAN_AUDIT: &str = include_str!("sql/scan_audit.sql");
pub(crate) const TOUCH_KEY: &str = include_str!("sql/touch_key.sql");
pub(crate) const TOUCH_SESSION: &str = include_str!("sql/touch_session.sql");
pub(crate) const USE_LOGIN_TOKEN: &str = include_str!("sql/use_login_token.sql");
