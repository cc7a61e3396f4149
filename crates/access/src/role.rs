//! Users, and the roles that say what they are for.

use std::fmt;
use std::str::FromStr;

use model::TenantId;

/// What a user is for. What each may do is in [`crate::permission`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads events and alerts.
    Viewer,
    /// Reads, exports, and works on alerts.
    Analyst,
    /// Writes rules.
    RuleAuthor,
    /// Manages keys, webhooks and users of the own tenant.
    TenantAdmin,
    /// Reads settings, keys, rules and the audit trail, and no event.
    Auditor,
    /// Runs the installation, and reads no event.
    Operator,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 6] =
        [Self::Viewer, Self::Analyst, Self::RuleAuthor, Self::TenantAdmin, Self::Auditor, Self::Operator];

    /// What whoever follows the first login link becomes.
    pub const FIRST_LOGIN: [Self; 4] = [Self::TenantAdmin, Self::Analyst, Self::RuleAuthor, Self::Operator];

    /// The name, as stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Analyst => "analyst",
            Self::RuleAuthor => "rule-author",
            Self::TenantAdmin => "tenant-admin",
            Self::Auditor => "auditor",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| format!("there is no role {text:?}"))
    }
}

/// Who asks: a user, in one tenant, with roles. Made here and nowhere else, so a request cannot bring its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    user: String,
    tenant: TenantId,
    roles: Vec<Role>,
}

impl Principal {
    pub(crate) fn new(user: String, tenant: TenantId, roles: Vec<Role>) -> Self {
        Self { user, tenant, roles }
    }

    /// Whoever asks while authentication is switched off, which is allowed on loopback alone. Has the roles of a
    /// first login.
    pub fn without_login(tenant: TenantId) -> Self {
        Self::new("anonymous".to_owned(), tenant, Role::FIRST_LOGIN.to_vec())
    }

    /// Name of the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The only tenant whose data may be shown.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Roles in that tenant.
    pub fn roles(&self) -> &[Role] {
        &self.roles
    }
}
