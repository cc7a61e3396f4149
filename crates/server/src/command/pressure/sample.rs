//! One look at the metrics of a server, in the Prometheus text format.

use std::collections::HashMap;

/// Values of all series at one moment.
#[derive(Debug, Default)]
pub struct Sample {
    /// When it was taken, in seconds since some moment that two samples share.
    pub taken_secs: f64,
    /// By series: a name, and its labels between braces when it has any.
    series: HashMap<String, f64>,
}

impl Sample {
    /// Reads the text; lines that are no series are passed over.
    pub fn parse(taken_secs: f64, text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let read = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        Self { taken_secs, series: lines.filter_map(read).collect() }
    }

    /// The value of a metric, its series added up; `None` when it has none.
    pub fn value(&self, name: &str) -> Option<f64> {
        let values: Vec<f64> = self.labelled(name).map(|(_, value)| value).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// How full the fullest queue of a metric is, its series held against the limits with the same labels.
    pub fn fill(&self, name: &str, limit: &str) -> Option<f64> {
        let shares = self.labelled(name).filter_map(|(labels, value)| {
            let limit = *self.series.get(&format!("{limit}{labels}"))?;
            (limit > 0.0).then_some(value / limit)
        });
        shares.reduce(f64::max)
    }

    fn labelled<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        let labels = move |series: &'a str| {
            series.strip_prefix(name).filter(|labels| labels.is_empty() || labels.starts_with('{'))
        };
        self.series.iter().filter_map(move |(series, value)| labels(series).map(|labels| (labels, *value)))
    }
}
