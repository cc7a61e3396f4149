//! What the pipelines say of one rule: where its events are, what its fields are called, what its placeholders hold.

use std::collections::HashMap;
use std::sync::Arc;

use super::change::{Change, Choice, Item};
use super::condition::{self, Subject};
use super::{Step, hash};
use crate::diagnostic::{Place, Report, code};
use crate::field;
use crate::log_source::Reach;
use crate::yaml::{Key, Node};

/// The transformations that apply to one rule.
#[derive(Debug, Clone, Default)]
pub struct Mapping {
    reach: Option<Reach>,
    /// The rule speaks of OpenTelemetry fields from the start.
    is_native: bool,
    /// What its events look like, and whether they must not.
    conditions: Vec<(Node, bool)>,
    /// Asked for each item, in order.
    items: Vec<Arc<Step>>,
    /// Why the rule is refused.
    refused: Option<String>,
    fingerprint: String,
    vars: Arc<HashMap<String, Vec<Node>>>,
    vars_hash: String,
    wildcards: Vec<Choice>,
    values: Vec<Choice>,
}

/// An entry of a selection after all pipelines.
#[derive(Debug)]
pub struct Mapped {
    /// The field, as [`field::sources`] reads it; `None` for keywords.
    pub field: Option<String>,
    pub values: Vec<Node>,
}

impl Mapping {
    /// No pipeline applies; the reach is that of a log source of our own, if it is one.
    pub(super) fn native(reach: Option<Reach>) -> Self {
        Self { reach, is_native: reach.is_some(), ..Self::default() }
    }

    /// Takes a transformation that applies to the rule.
    pub(super) fn take(&mut self, step: &Arc<Step>, subject: &mut Subject) {
        self.fingerprint.push_str(&step.hash);
        match &step.change {
            Change::Signal(reach) => self.reach = Some(*reach),
            Change::AddCondition(node, is_negated) => self.conditions.push((node.clone(), *is_negated)),
            Change::AnotherLogSource(log_source) => {
                subject.log_source = log_source.clone();
                self.reach = log_source.own_reach().or(self.reach);
            }
            Change::RefuseRule(message) => self.refused = Some(message.clone()),
            Change::WildcardPlaceholders(choice) => self.wildcards.push(choice.clone()),
            Change::ValuePlaceholders(choice) => self.values.push(choice.clone()),
            _ => self.items.push(Arc::clone(step)),
        }
    }

    pub(super) fn give_values(&mut self, vars: Arc<HashMap<String, Vec<Node>>>, vars_hash: &str) {
        self.vars = vars;
        self.vars_hash = vars_hash.to_owned();
    }

    /// Which events the rule is shown; `None` when nobody says.
    pub fn reach(&self) -> Option<Reach> {
        self.reach
    }

    /// Selections that say what events of the log source look like, and whether they must not.
    pub fn conditions(&self) -> &[(Node, bool)] {
        &self.conditions
    }

    /// Why the rule is refused.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// What decides verdicts besides the rule's own text: changes when a pipeline that applies does.
    pub fn fingerprint(&self, uses_placeholders: bool) -> String {
        let mut all = self.fingerprint.clone();
        if uses_placeholders {
            all.push_str(&self.vars_hash);
        }
        if all.is_empty() { all } else { hash(&all) }
    }

    /// Tells mappings apart: rules with the same key read fields and placeholders alike.
    pub fn key(&self) -> String {
        format!("{} {:?} {}", self.is_native, self.reach, self.fingerprint(true))
    }

    /// What a field is called; itself when no pipeline renames it.
    pub fn field(&self, name: &str) -> String {
        let mut item = Item { names: vec![name.to_owned()], values: Vec::new(), is_dropped: false };
        for step in &self.items {
            if matters(step, &item) {
                // an item that must not be is refused where it stands in a selection
                let _refused = step.change.apply(&mut item);
            }
        }
        self.joined(name, item.names)
    }

    /// An entry of a selection; `None` when a pipeline drops it. `Err` after reporting.
    pub fn item(&self, field: &str, key: &Key, values: &[Node], report: &mut Report) -> Result<Option<Mapped>, ()> {
        let names = if field.is_empty() { Vec::new() } else { vec![field.to_owned()] };
        let mut item = Item { names, values: values.to_vec(), is_dropped: false };
        for step in &self.items {
            if !matters(step, &item) {
                continue;
            }
            if let Err(message) = step.change.apply(&mut item) {
                report.add(key.at, code::REFUSED, message, "a pipeline refuses this field or value");
                return Err(());
            }
            if item.is_dropped {
                return Ok(None);
            }
        }
        let field = (!field.is_empty()).then(|| self.joined(field, item.names));
        Ok(Some(Mapped { field, values: item.values }))
    }

    /// The values of a placeholder, `None` when it has none.
    pub fn placeholder(&self, name: &str, at: Place) -> Option<Vec<Node>> {
        let is_meant = self.values.is_empty() || self.values.iter().any(|choice| choice.takes(name));
        if let Some(values) = self.vars.get(name).filter(|_| is_meant) {
            return Some(values.iter().map(|node| Node { at, value: node.value.clone() }).collect());
        }
        let is_wild = self.wildcards.iter().any(|choice| choice.takes(name));
        is_wild.then(|| vec![Node { at, value: crate::yaml::Value::Text("*".to_owned(), false) }])
    }

    /// Several names as one field. A renamed field is looked for under its own name last, and then under all of them in a
    /// body that is JSON: many Collectors are set up to keep the names of the source.
    fn joined(&self, own: &str, mut names: Vec<String>) -> String {
        let is_renamed = names.iter().any(|name| name != own);
        if is_renamed || !(self.is_native || self.fingerprint.is_empty()) {
            names.push(own.to_owned());
            if self.reach != Some(Reach::Only(model::Signal::Spans)) {
                let outside = names.iter().filter(|name| !name.starts_with(field::IN_BODY));
                let inside: Vec<String> = outside.map(|name| format!("{}{name}", field::IN_BODY)).collect();
                names.extend(inside);
            }
        }
        let mut distinct: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            if !distinct.contains(&name) {
                distinct.push(name);
            }
        }
        distinct.join(field::OR)
    }
}

fn matters(step: &Step, item: &Item) -> bool {
    let is_field = condition::holds(&step.field, &|condition| match item.names.as_slice() {
        [] => condition.holds(None),
        names => names.iter().any(|name| condition.holds(Some(name))),
    });
    is_field && condition::holds(&step.item, &|condition| condition.holds(&item.values))
}
