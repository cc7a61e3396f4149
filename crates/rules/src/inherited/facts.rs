//! What is remembered of the spans that others inherit from.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::SpanId;

use super::plan::Inheritance;
use crate::column::Columns;

/// What one span says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is of kind server.
    pub is_server: bool,
    /// For each of the plan's facts the values: none when absent or not asked of this span, several for a list.
    pub values: Box<[Box<[Arc<str>]>]>,
}

/// The facts of one trace, by span.
pub type FactsOf = HashMap<SpanId, Facts, RandomState>;

/// What a span takes besides its texts, in bytes; errs upwards.
const FACTS_BYTES: usize = 64;
const VALUE_BYTES: usize = 48;

impl Facts {
    /// What a row says, when that is needed: every span is asked for what children inherit, roots and servers for what
    /// the whole trace does.
    pub fn of(plan: &Inheritance, columns: &Columns<'_>, row: usize, is_root: bool) -> Option<Self> {
        let text = |number: usize| columns.ready(number).and_then(|field| field.text(row));
        let is_server = plan.of_entry && text(plan.kind) == Some("server");
        let is_entry = plan.of_entry && (is_server || is_root);
        if !is_entry && !plan.of_parent {
            return None;
        }
        let values: Box<[Box<[Arc<str>]>]> = plan
            .facts
            .iter()
            .map(|fact| match (is_entry && fact.of_entry) || fact.of_parent {
                true => columns.ready(fact.number).map(|field| field.texts(row).map(Arc::from).collect()),
                false => None,
            })
            .map(Option::unwrap_or_default)
            .collect();
        let says_something = is_server || values.iter().any(|values| !values.is_empty());
        says_something.then_some(Self { is_server, values })
    }

    /// Makes the columns ready that [`Self::of`] reads.
    pub fn prepare(plan: &Inheritance, columns: &mut Columns<'_>) {
        if plan.of_entry {
            columns.field(plan.kind);
        }
        for fact in &plan.facts {
            columns.field(fact.number);
        }
    }

    /// What it takes.
    pub fn bytes(&self) -> usize {
        let texts = self.values.iter().flatten().map(|text| VALUE_BYTES + text.len());
        FACTS_BYTES + self.values.len() * 16 + texts.sum::<usize>()
    }

    /// The same facts under another plan, whose facts are called `to` and were called `from`.
    pub fn renumbered(self, from: &[String], to: &[String]) -> Self {
        let of = |name: &String| {
            let place = from.iter().position(|known| known == name)?;
            self.values.get(place).cloned()
        };
        Self { is_server: self.is_server, values: to.iter().map(|name| of(name).unwrap_or_default()).collect() }
    }
}
