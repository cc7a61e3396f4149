//! An alert as versions of a rule are compared by: rule, time and group.

use std::hash::{BuildHasher, RandomState};

use model::Detection;

/// Which version raised it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that is tried.
    Candidate,
    /// The one in force.
    Deployed,
}

/// Two alerts are the same when their rule has the same id and they have the same time and group. Values of a group
/// compare as Sigma compares them, without regard to ASCII case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AlertKey(u64, u64);

/// Makes keys of one run.
#[derive(Debug, Default)]
pub struct Keys {
    one: RandomState,
    other: RandomState,
}

impl Keys {
    pub fn of(&self, detection: &Detection) -> AlertKey {
        let group: Vec<(&str, String)> =
            detection.group.iter().map(|(name, value)| (name.as_str(), value.to_ascii_lowercase())).collect();
        // rules on single events fire for each event of a group, also for two of one moment
        let event = detection.metric.is_none().then(|| detection.events.first()).flatten();
        let whole = (&detection.rule.id, detection.at.0, group, event);
        AlertKey(self.one.hash_one(&whole), self.other.hash_one(&whole))
    }
}
