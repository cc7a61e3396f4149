//! What the events of a bucket come to.

use std::collections::HashSet;

use foldhash::fast::RandomState;

use super::combos::{self, Combos};
use super::{Asks, Baseline, Part};
use crate::column::Columns;
use crate::set::Feed;

/// Distinct values that one bucket tells apart; further ones are not counted, which is.
const DISTINCT: usize = 65_536;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Events.
    Count,
    /// The sum of a field's numbers.
    Sum,
    /// Their average.
    Avg,
    /// Distinct values of a field, or of several together.
    Distinct,
}

impl Metric {
    /// Every metric, by its name in rules.
    pub const ALL: [(&'static str, Self); 4] =
        [("count", Self::Count), ("sum", Self::Sum), ("avg", Self::Avg), ("distinct", Self::Distinct)];

    /// Whether a bucket without events comes to 0, and not to nothing.
    pub fn has_zero(self) -> bool {
        self != Self::Avg
    }

    /// Whether a bucket is judged while it grows: more events bring it nearer to firing. An average is judged at its end.
    pub fn grows(self) -> bool {
        self != Self::Avg
    }
}

/// What each event of a batch adds.
pub enum Worth<'f> {
    /// Nothing but itself.
    One,
    /// A number.
    Number(Option<&'f usize>),
    /// A value: for each row, by number of the combination, the start of its digest.
    Value(Vec<(usize, u64)>),
}

impl<'f> Worth<'f> {
    /// Prepares for rows whose fields have been interned. Rows are in order.
    pub fn of(baseline: &Baseline, feed: &'f Feed, columns: &Columns<'_>, rows: &[usize]) -> Self {
        let Asks::Deviation(asks) = &baseline.asks else { return Self::One };
        match asks.metric {
            Metric::Count => Self::One,
            Metric::Sum | Metric::Avg => Self::Number(feed.values.first()),
            Metric::Distinct => {
                let parts = vec![Part::default(); feed.values.len()];
                let found = Combos::of(columns, &feed.values, &parts, rows);
                let head = |row: &usize| {
                    let texts = combos::texts(columns, &feed.values, &parts, *row);
                    head_of(&texts.iter().map(|text| Some(&**text)).collect::<Vec<_>>())
                };
                let heads: Vec<u64> = found.all.iter().map(head).collect();
                let of_row = |(row, number): &(usize, u32)| Some((*row, *heads.get(*number as usize)?));
                Self::Value(found.rows.iter().filter_map(of_row).collect())
            }
        }
    }

    /// What a row adds.
    pub fn of_row(&self, columns: &Columns<'_>, row: usize) -> Option<u64> {
        match self {
            Self::One => Some(0),
            Self::Number(field) => number(columns.ready(**field.as_ref()?)?.cell(row)?.number()),
            Self::Value(of_rows) => {
                let place = of_rows.binary_search_by_key(&row, |(row, _)| *row).ok()?;
                of_rows.get(place).map(|(_, head)| *head)
            }
        }
    }

    /// What a firing with these values adds.
    pub fn of_texts(baseline: &Baseline, values: &[Option<&str>]) -> Option<u64> {
        let Asks::Deviation(asks) = &baseline.asks else { return Some(0) };
        match asks.metric {
            Metric::Count => Some(0),
            Metric::Sum | Metric::Avg => number(values.first().copied().flatten()?.trim().parse().ok()),
            Metric::Distinct => values.iter().all(Option::is_some).then(|| head_of(values)),
        }
    }
}

fn number(number: Option<f64>) -> Option<u64> {
    number.filter(|number| number.is_finite()).map(f64::to_bits)
}

fn head_of(values: &[Option<&str>]) -> u64 {
    combos::digest(values).first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

/// What the events of a bucket have come to so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Total {
    pub events: u64,
    pub sum: f64,
    pub values: HashSet<u64, RandomState>,
}

impl Total {
    /// Adds an event; whether there was room for its value.
    pub fn add(&mut self, metric: Metric, worth: u64) -> bool {
        self.events += 1;
        match metric {
            Metric::Count => true,
            Metric::Sum | Metric::Avg => {
                self.sum += f64::from_bits(worth);
                true
            }
            Metric::Distinct => {
                let has_room = self.values.len() < DISTINCT || self.values.contains(&worth);
                if has_room {
                    self.values.insert(worth);
                }
                has_room
            }
        }
    }

    /// Puts another part of the same bucket to it.
    pub fn absorb(&mut self, other: Self) {
        self.events += other.events;
        self.sum += other.sum;
        self.values.extend(other.values);
    }

    /// What it comes to.
    pub fn value(&self, metric: Metric) -> f64 {
        match metric {
            Metric::Count => self.events as f64,
            Metric::Sum => self.sum,
            Metric::Avg => self.sum / self.events.max(1) as f64,
            Metric::Distinct => self.values.len() as f64,
        }
    }
}
