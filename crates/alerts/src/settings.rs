//! What this room needs to be told.

use std::time::Duration;

use url::Url;

use crate::notify::Target;

/// How incidents are grouped and kept, and where messages go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Event time within which a detection joins an incident of the same rule and group.
    pub group_for: Duration,
    /// Most events kept as evidence of one incident, at most [`crate::book::MAX_EVIDENCE`]; the others are counted.
    pub max_evidence: u32,
    /// How long an incident is kept after its last change.
    pub keep_for: Duration,
    /// Where people reach the web UI, as `https://tracehound.example/`: the beginning of links.
    pub public_url: Url,
    /// Who is told.
    pub targets: Vec<Target>,
    /// How a message that was not taken is sent again.
    pub retry: Retry,
}

impl Settings {
    /// The defaults, for a web UI at `public_url`, telling nobody.
    pub fn new(public_url: Url) -> Self {
        Self {
            group_for: Duration::from_secs(60 * 60),
            max_evidence: 200,
            keep_for: Duration::from_secs(90 * 24 * 60 * 60),
            public_url,
            targets: Vec::new(),
            retry: Retry::default(),
        }
    }
}

/// How a message that was not taken is sent again: after a random part of `base * 2^attempts`, at most `longest`.
#[derive(Debug, Clone, Copy)]
pub struct Retry {
    /// Upper bound of the first wait.
    pub base: Duration,
    /// Upper bound of every wait, of one that a receiver asks for too.
    pub longest: Duration,
    /// Attempts after which a message is dead.
    pub max_attempts: u32,
    /// Age at which a message is dead, whatever its attempts.
    pub max_age: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            longest: Duration::from_secs(60 * 60),
            max_attempts: 40,
            max_age: Duration::from_secs(24 * 60 * 60),
        }
    }
}
