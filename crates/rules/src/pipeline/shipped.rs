//! The pipelines carried in the binary: what web, application, identity and cloud log sources are in OpenTelemetry.

use std::sync::{Arc, LazyLock};

use super::{Pipeline, Pipelines};
use crate::diagnostic::Report;
use crate::read;

/// Every shipped file. A new one is one line here.
pub const FILES: [(&str, &str); 4] = [
    ("web.yml", include_str!("shipped/web.yml")),
    ("application.yml", include_str!("shipped/application.yml")),
    ("cloud.yml", include_str!("shipped/cloud.yml")),
    ("identity.yml", include_str!("shipped/identity.yml")),
];

/// What the files say.
pub static PIPELINES: LazyLock<Vec<Arc<Pipeline>>> = LazyLock::new(|| {
    // a test reads each of them and allows no fault
    FILES.iter().flat_map(|(name, text)| read::pipelines(text, &mut Report::new(name))).collect()
});

/// The shipped pipelines without any others.
pub static ALONE: LazyLock<Arc<Pipelines>> = LazyLock::new(|| Arc::new(Pipelines::new([])));
