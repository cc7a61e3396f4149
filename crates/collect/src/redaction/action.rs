//! What can become of a value.

use super::settings::{PolicyError, wrong};

/// What stands in the place of a masked value.
pub(crate) const MASK: &str = "***";

/// What becomes of what a rule finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    /// It stays: takes keys or patterns out of a later rule.
    Leave,
    /// It is taken out.
    Drop,
    /// [`MASK`] takes its place.
    Mask,
    /// Its keyed hash takes its place: the same value of a tenant has the same token.
    Token,
}

impl Action {
    const ALL: [Self; 4] = [Self::Leave, Self::Drop, Self::Mask, Self::Token];

    /// As settings and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::Drop => "drop",
            Self::Mask => "mask",
            Self::Token => "token",
        }
    }

    /// Reads what a setting says; `key` names the setting.
    pub fn read(key: &'static str, text: &str) -> Result<Self, PolicyError> {
        match Self::ALL.into_iter().find(|action| action.as_str() == text) {
            Some(action) => Ok(action),
            None => wrong(key, format!("must be drop, mask, token or leave, got {text:?}")),
        }
    }
}
