//! Rows that wait, in a checkpoint and across a change of rules.

use std::sync::Arc;

use model::{SpanId, TraceId};
use serde::{Deserialize, Serialize};

use super::facts::{Facts, FactsOf};
use super::held::Held;
use super::plan::Waiting;
use super::row::{Climb, Row};
use crate::checkpoint::{RestoreError, load_event, save_event};
use crate::engine::memory_key;
use crate::set::{CompiledBody, RuleSet};

/// Every row that waits for one tenant; absent in checkpoints of before there was inheritance.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Held1 {
    rules: Vec<Rule1>,
    rows: Vec<Row1>,
}

/// A rule that holds rows, and the names of the fields it keeps of them.
#[derive(Debug, Serialize, Deserialize)]
struct Rule1 {
    id: String,
    version: String,
    fields: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row1 {
    /// Position among the rules.
    rule: usize,
    at: i64,
    order: (u64, u32),
    event: String,
    is_span: bool,
    trace: String,
    span: Option<String>,
    parent: Option<String>,
    truths: Vec<bool>,
    values: Vec<Option<String>>,
}

impl Held1 {
    /// Whether there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What to write down of the rows that wait.
    pub fn save(held: &Held, set: &RuleSet) -> Self {
        let mut rules: Vec<(usize, Rule1)> = Vec::new();
        let mut rows = Vec::new();
        for (trace, row) in held.by_trace().into_iter().flat_map(|(id, rows)| rows.iter().map(move |row| (id, row))) {
            let Some(waiting) = waiting(set, row.rule) else { continue };
            let rule = rules.iter().position(|(number, _)| *number == row.rule).unwrap_or_else(|| {
                let (id, version) = memory_key(&set.rules[row.rule]);
                let fields = waiting.kept.iter().map(|(name, _)| name.clone()).collect();
                rules.push((row.rule, Rule1 { id, version, fields }));
                rules.len() - 1
            });
            rows.push(Row1 {
                rule,
                at: row.at,
                order: row.order,
                event: save_event(&row.event),
                is_span: row.is_span,
                trace: trace.to_string(),
                span: row.span.map(|span| span.to_string()),
                parent: row.parent.map(|parent| parent.to_string()),
                truths: row.truths.to_vec(),
                values: row.values.iter().map(|value| value.as_deref().map(str::to_owned)).collect(),
            });
        }
        Self { rules: rules.into_iter().map(|(_, rule)| rule).collect(), rows }
    }

    /// The rows as the rules in use need them; rows of other rules are left out. How far their way up is known is found
    /// out anew.
    ///
    /// # Errors
    /// When an identity does not read back.
    pub fn load(self, set: &RuleSet) -> Result<Held, RestoreError> {
        let mut held = Held::default();
        let known: Vec<Option<usize>> = self.rules.iter().map(|rule| number(set, &rule.id, &rule.version)).collect();
        for saved in self.rows {
            let damaged = || RestoreError::Identity(format!("rule position {}", saved.rule));
            let from = self.rules.get(saved.rule).ok_or_else(damaged)?;
            let Some(rule) = known.get(saved.rule).copied().flatten() else { continue };
            let Some(waiting) = waiting(set, rule).filter(|waiting| waiting.plain.len() == saved.truths.len()) else {
                continue;
            };
            let span = |text: &String| -> Result<SpanId, RestoreError> {
                text.parse().map_err(|_| RestoreError::Identity(text.chars().take(80).collect()))
            };
            let own = saved.span.as_ref().map(span).transpose()?;
            let trace: TraceId =
                saved.trace.parse().map_err(|_| RestoreError::Identity(saved.trace.chars().take(80).collect()))?;
            held.put_back(Row {
                rule,
                at: saved.at,
                order: saved.order,
                event: load_event(&saved.event)?,
                is_span: saved.is_span,
                trace: Some(trace),
                span: own,
                parent: saved.parent.as_ref().map(span).transpose()?,
                truths: saved.truths.into(),
                values: by_name(&from.fields, saved.values, waiting),
                climb: Climb::from(own),
                is_settled: false,
            });
        }
        Ok(held)
    }
}

/// The rows as another set of rules needs them: what its rules did not keep before is absent.
pub fn carry_over(held: Held, from: &RuleSet, to: &RuleSet) -> Held {
    if to.inherited.is_none() {
        return Held::default();
    }
    Held1::save(&held, from).load(to).unwrap_or_default()
}

/// Facts of spans as another set of rules needs them.
pub fn renumber(facts: &mut FactsOf, from: &[String], to: &[String]) {
    for known in facts.values_mut() {
        *known = std::mem::take(known).renumbered(from, to);
    }
}

/// A span, whether it is a server, and the values of its facts.
pub type Facts1 = (String, bool, Vec<Vec<String>>);

/// Facts in order of their spans.
pub fn save_facts(facts: &FactsOf) -> Vec<Facts1> {
    let texts = |values: &[Arc<str>]| values.iter().map(|text| text.to_string()).collect();
    let one = |(span, known): (&SpanId, &Facts)| {
        (span.to_string(), known.is_server, known.values.iter().map(|values| texts(values)).collect())
    };
    let mut saved: Vec<Facts1> = facts.iter().map(one).collect();
    saved.sort();
    saved
}

/// Facts that were called `from`, as they are called now.
///
/// # Errors
/// When the id of a span does not read back.
pub fn load_facts(saved: Vec<Facts1>, from: &[String], to: &[String]) -> Result<FactsOf, RestoreError> {
    let texts = |values: Vec<String>| values.into_iter().map(Arc::from).collect();
    let one = |(span, is_server, values): Facts1| {
        let id = span.parse().map_err(|_| RestoreError::Identity(span.chars().take(80).collect()))?;
        let facts = Facts { is_server, values: values.into_iter().map(texts).collect() };
        Ok((id, facts.renumbered(from, to)))
    };
    saved.into_iter().map(one).collect()
}

fn by_name(names: &[String], mut values: Vec<Option<String>>, waiting: &Waiting) -> Box<[Option<Arc<str>>]> {
    let mut of = |(name, _): &(String, usize)| {
        let place = names.iter().position(|known| known == name)?;
        values.get_mut(place)?.take().map(Arc::from)
    };
    waiting.kept.iter().map(&mut of).collect()
}

fn waiting(set: &RuleSet, number: usize) -> Option<&Waiting> {
    let CompiledBody::Event(event) = &set.rules.get(number)?.body else { return None };
    event.waiting.as_deref()
}

fn number(set: &RuleSet, id: &str, version: &str) -> Option<usize> {
    set.rules.iter().position(|rule| rule.info.id == id && rule.info.version == version)
}
