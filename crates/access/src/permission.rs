//! What may be done, and by which role: everything that is not listed is refused.

use crate::Access;
use crate::error::AccessError;
use crate::role::{Principal, Role};

/// One thing that may be allowed. Every route names the one it needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Permission {
    /// Traces, logs, services, the service map and SQL over them.
    ReadEvents,
    /// Events in bulk, out of the house.
    ExportEvents,
    /// Alerts with their evidence.
    ReadAlerts,
    /// Acknowledging, closing and commenting alerts.
    TriageAlerts,
    /// Rules and their diagnostics.
    ReadRules,
    /// Saving and deleting rules.
    WriteRules,
    /// Ingest keys, without their secrets.
    ReadKeys,
    /// Making and revoking ingest keys.
    ManageKeys,
    /// The audit trail.
    ReadAudit,
    /// Settings and limits.
    ReadSystem,
    /// Changing settings and limits.
    ManageSystem,
}

impl Permission {
    /// Every permission.
    pub const ALL: [Self; 11] = [
        Self::ReadEvents,
        Self::ExportEvents,
        Self::ReadAlerts,
        Self::TriageAlerts,
        Self::ReadRules,
        Self::WriteRules,
        Self::ReadKeys,
        Self::ManageKeys,
        Self::ReadAudit,
        Self::ReadSystem,
        Self::ManageSystem,
    ];

    /// The name, as shown in errors and in the API document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadEvents => "events:read",
            Self::ExportEvents => "events:export",
            Self::ReadAlerts => "alerts:read",
            Self::TriageAlerts => "alerts:triage",
            Self::ReadRules => "rules:read",
            Self::WriteRules => "rules:write",
            Self::ReadKeys => "keys:read",
            Self::ManageKeys => "keys:manage",
            Self::ReadAudit => "audit:read",
            Self::ReadSystem => "system:read",
            Self::ManageSystem => "system:manage",
        }
    }

    /// The roles that have it.
    pub fn roles(self) -> &'static [Role] {
        use Role::{Analyst, Auditor, Operator, RuleAuthor, TenantAdmin, Viewer};
        match self {
            Self::ReadEvents | Self::ReadAlerts => &[Viewer, Analyst, RuleAuthor, TenantAdmin],
            Self::ExportEvents | Self::TriageAlerts => &[Analyst, TenantAdmin],
            Self::ReadRules => &[Viewer, Analyst, RuleAuthor, TenantAdmin, Auditor],
            Self::WriteRules => &[RuleAuthor],
            Self::ReadKeys => &[TenantAdmin, Auditor],
            Self::ManageKeys => &[TenantAdmin],
            Self::ReadAudit => &[Auditor],
            Self::ReadSystem => &[Auditor, Operator],
            Self::ManageSystem => &[Operator],
        }
    }
}

impl Access {
    /// Whether `principal` may.
    ///
    /// # Errors
    /// [`AccessError::Denied`] ([`runtime::ErrorKind::Forbidden`]) when no role of theirs allows it.
    pub fn authorize(principal: &Principal, permission: Permission) -> Result<(), AccessError> {
        let allowed = principal.roles().iter().any(|role| permission.roles().contains(role));
        if allowed { Ok(()) } else { Err(AccessError::Denied(permission)) }
    }
}
