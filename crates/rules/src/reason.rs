//! The one sentence that says why a rule fired.

use crate::correlate::Firing;
use crate::set::{CompiledCorrelation, CompiledEvent};
use crate::timespan;
use crate::trace::tree::Tree;
use crate::trace::{self, Mark, TracePattern, binding};

const VALUES_SHOWN: usize = 6;
const CHARS_SHOWN: usize = 80;

/// Why a rule on single events fired: the values of the fields it asks about.
pub fn of_event<'t>(rule: &CompiledEvent, service: Option<&str>, text: &'t dyn Fn(usize) -> Option<&'t str>) -> String {
    let shown = rule.shown.iter().filter_map(|(field, number)| Some(format!("{field} = {}", cut(text(*number)?))));
    let values: Vec<String> = shown.take(VALUES_SHOWN).collect();
    let values = if values.is_empty() { "one event matched".to_owned() } else { values.join(", ") };
    service.map_or_else(|| values.clone(), |service| format!("{values} in service {}", cut(service)))
}

/// Why a correlation fired: what was counted, for whom, and what the rule asks for.
pub fn of_firing(rule: &CompiledCorrelation, firing: &Firing) -> String {
    let what = (rule.kind.what)(&rule.condition);
    let span = timespan::show_nanos(rule.span_nanos);
    let mut text = format!("{} {what} within {span}", number(firing.metric));
    let group = rule.group_by.iter().zip(&firing.group);
    let values: Vec<String> = group.map(|(field, value)| format!("{field} = {}", cut(value))).collect();
    if !values.is_empty() {
        text.push_str(&format!(" for {}", values.join(", ")));
    }
    let bounds = rule.condition.bounds_text();
    if !bounds.is_empty() {
        text.push_str(&format!(" (the rule asks for {bounds})"));
    }
    text
}

/// Why a pattern over a trace fired: the steps it took and where, those it left out, and whose trace it is.
pub fn of_trace(
    rule: &CompiledCorrelation,
    pattern: &TracePattern,
    tree: &Tree<'_>,
    binding: &[(usize, &Mark)],
    is_whole: bool,
) -> String {
    let step = |(step, mark): &(usize, &Mark)| {
        let service = tree.find(mark.at, mark.span).map_or("", |place| &tree.span(place).service);
        let least = pattern.counts.iter().find(|(counted, _)| counted == step);
        let often = least.map_or(String::new(), |(_, least)| format!(" ({least} times or more)"));
        format!("{}{often} in {}", pattern.steps[*step], if service.is_empty() { "no service" } else { service })
    };
    let mut text = binding.iter().map(step).map(|step| cut(&step)).collect::<Vec<_>>().join(", ");
    let taken = binding.iter().fold(0, |taken, (step, _)| taken | trace::bit(*step));
    let is_missed = |step: &usize| pattern.is_absent(*step) && !pattern.holds(taken | trace::bit(*step));
    let missed: Vec<&str> =
        (0..pattern.steps.len()).filter(is_missed).map(|step| pattern.steps[step].as_str()).collect();
    if !missed.is_empty() {
        text.push_str(&format!(", without {}", missed.join(" and ")));
    }
    let named = rule.group_by.iter().zip(&pattern.group).chain(pattern.aliases.iter().map(|(name, pick)| (name, pick)));
    let value =
        |(name, pick): (&String, &trace::Pick)| Some(format!("{name} = {}", cut(binding::value(pick, binding)?)));
    let mut values: Vec<String> = named.filter_map(value).collect();
    values.dedup();
    if !values.is_empty() {
        text.push_str(&format!(" for {}", values.join(", ")));
    }
    if !is_whole {
        text.push_str(" (incomplete: the root of the trace was not seen)");
    }
    text
}

/// A number as a sentence shows it.
pub fn number(metric: f64) -> String {
    if metric.fract() == 0.0 { format!("{metric:.0}") } else { format!("{metric:.2}") }
}

/// A value as a sentence shows it.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(CHARS_SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}
