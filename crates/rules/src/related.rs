//! The part of a book that some files decide: their rules, what refers to these, and what all of them need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::book::RuleBook;
use crate::rule::{Body, Rule};
use crate::set::{self, RuleSet};

/// Rules whose verdicts some files decide, compiled with everything they need and nothing else.
#[derive(Debug, Clone)]
pub struct Related {
    /// What to run.
    pub set: Arc<RuleSet>,
    /// Ids of the rules that depend on the files: those in them, and those that build on these.
    pub ids: BTreeSet<String>,
}

impl RuleBook {
    /// The files that another book reads otherwise, or does not have: those that changed, and with them, when a pipeline did,
    /// every file it maps.
    pub fn changed_from(&self, other: &Self) -> Vec<String> {
        let theirs: BTreeMap<&str, &[Rule]> = other.in_use(&[]).into_iter().collect();
        let meanings = |rules: &[Rule]| -> Vec<(String, String)> {
            rules.iter().map(|rule| (rule.info.id.clone(), rule.meaning.clone())).collect()
        };
        let is_changed =
            |(file, rules): &(&str, &[Rule])| theirs.get(file).is_none_or(|known| meanings(known) != meanings(rules));
        self.in_use(&[]).into_iter().filter(is_changed).map(|(file, _)| file.to_owned()).collect()
    }

    /// The rules that these files decide. Compiled alone they give what they give among all others.
    pub fn related(&self, files: &[&str]) -> Related {
        let in_use = self.in_use(&[]);
        let rules: Vec<(&str, &Rule)> =
            in_use.iter().flat_map(|(file, rules)| rules.iter().map(move |rule| (*file, rule))).collect();
        let names: BTreeMap<&str, usize> = rules
            .iter()
            .enumerate()
            .flat_map(|(number, (_, rule))| rule.names().map(move |name| (name, number)))
            .collect();
        let needs: Vec<Vec<usize>> = rules.iter().map(|(_, rule)| needs(rule, &names, &rules)).collect();
        let mut affected: BTreeSet<usize> =
            (0..rules.len()).filter(|number| files.contains(&rules[*number].0)).collect();
        // a filter decides the rules it is put on
        for number in affected.clone() {
            if matches!(rules[number].1.body, Body::Filter(_)) {
                affected.extend(&needs[number]);
            }
        }
        // whoever builds on a rule that changes may change as well
        loop {
            let builds_on = |number: &usize| {
                let is_correlation = matches!(rules[*number].1.body, Body::Correlation(_));
                is_correlation && needs[*number].iter().any(|input| affected.contains(input))
            };
            let more: Vec<usize> =
                (0..rules.len()).filter(|number| !affected.contains(number)).filter(builds_on).collect();
            if more.is_empty() {
                break;
            }
            affected.extend(more);
        }
        let wanted = with_inputs(&affected, &rules, &needs);
        let ids = affected.iter().map(|number| rules[*number].1.info.id.clone()).collect();
        Related { set: compile(&rules, &wanted), ids }
    }
}

/// The rules that a correlation takes events from, or that a filter is put on.
fn needs(rule: &Rule, names: &BTreeMap<&str, usize>, rules: &[(&str, &Rule)]) -> Vec<usize> {
    let named = rule.references().iter().filter_map(|reference| names.get(reference.rule.as_str()).copied());
    let Body::Filter(filter) = &rule.body else { return named.collect() };
    let is_covered = |number: &usize| {
        let body = rules.get(*number).map(|(_, rule)| &rule.body);
        matches!(body, Some(Body::Event(event)) if filter.log_source.covers(&event.log_source))
    };
    match filter.rules.is_empty() {
        true => (0..rules.len()).filter(is_covered).collect(),
        false => named.filter(is_covered).collect(),
    }
}

/// The rules, what they build on, and the filters on any of these.
fn with_inputs(affected: &BTreeSet<usize>, rules: &[(&str, &Rule)], needs: &[Vec<usize>]) -> BTreeSet<usize> {
    let mut wanted = BTreeSet::new();
    let mut open: Vec<usize> = affected.iter().copied().collect();
    while let Some(number) = open.pop() {
        if wanted.insert(number) && matches!(rules[number].1.body, Body::Correlation(_)) {
            open.extend(&needs[number]);
        }
    }
    for (number, (_, rule)) in rules.iter().enumerate() {
        if matches!(rule.body, Body::Filter(_)) && needs[number].iter().any(|on| wanted.contains(on)) {
            wanted.insert(number);
        }
    }
    wanted
}

fn compile(rules: &[(&str, &Rule)], wanted: &BTreeSet<usize>) -> Arc<RuleSet> {
    let mut by_file: BTreeMap<&str, Vec<Rule>> = BTreeMap::new();
    for (file, rule) in wanted.iter().filter_map(|number| rules.get(*number)) {
        by_file.entry(file).or_default().push(retained(rule, rules, wanted));
    }
    let files: Vec<(&str, &[Rule])> = by_file.iter().map(|(file, rules)| (*file, rules.as_slice())).collect();
    Arc::new(set::link(&files).0)
}

/// The rule without references to rules that are left out, as a filter has on rules that nobody asked for.
fn retained(rule: &Rule, rules: &[(&str, &Rule)], wanted: &BTreeSet<usize>) -> Rule {
    let mut kept = rule.clone();
    if let Body::Filter(filter) = &mut kept.body
        && !filter.rules.is_empty()
    {
        filter.rules.retain(|reference| {
            wanted.iter().any(|number| rules[*number].1.names().any(|name| name == reference.rule))
        });
    }
    kept
}
