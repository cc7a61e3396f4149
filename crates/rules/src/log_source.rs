//! What a rule says its events are, and which signals they come as.

use std::fmt;

use model::Signal;

/// The category of calls between services.
pub const EDGE: &str = "edge";

/// `logsource` of a rule, a filter or a condition of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LogSource {
    pub category: Option<String>,
    pub product: Option<String>,
    pub service: Option<String>,
}

impl LogSource {
    /// Whether the other is this one, or one of those it stands for: every part named here is the same there.
    pub fn covers(&self, other: &Self) -> bool {
        let same = |wanted: &Option<String>, found: &Option<String>| match (wanted, found) {
            (None, _) => true,
            (Some(wanted), Some(found)) => wanted.eq_ignore_ascii_case(found),
            (Some(_), None) => false,
        };
        same(&self.category, &other.category)
            && same(&self.product, &other.product)
            && same(&self.service, &other.service)
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.category.is_none() && self.product.is_none() && self.service.is_none()
    }

    /// The signal of a log source of our own: category `span`, `edge` or `log` of product `otel`, or of none.
    pub fn own_reach(&self) -> Option<Reach> {
        let is_otel = self.product.as_ref().map(|product| product.eq_ignore_ascii_case("otel"));
        match (is_otel, self.category.as_deref()) {
            (Some(false), _) => None,
            (_, Some("span" | EDGE)) => Some(Reach::Only(Signal::Spans)),
            (_, Some("log")) => Some(Reach::Only(Signal::Logs)),
            (Some(true), _) => Some(Reach::Everywhere),
            _ => None,
        }
    }
}

impl fmt::Display for LogSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("category", &self.category), ("product", &self.product), ("service", &self.service)];
        let named: Vec<String> =
            parts.iter().filter_map(|(key, value)| Some(format!("{key}: {}", value.as_ref()?))).collect();
        write!(f, "{{{}}}", named.join(", "))
    }
}

/// Which events a rule is shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// Spans and log records.
    #[default]
    Everywhere,
    /// Those of one signal.
    Only(Signal),
    /// None: nobody has said what its log source is in OpenTelemetry.
    Nowhere,
}

impl Reach {
    /// Whether events of a signal are shown to the rule. A file does not say what its events are, so offline all are.
    pub fn admits(self, signal: Option<Signal>) -> bool {
        match (self, signal) {
            (_, None) | (Self::Everywhere, _) => true,
            (Self::Only(wanted), Some(signal)) => wanted == signal,
            (Self::Nowhere, Some(_)) => false,
        }
    }
}
