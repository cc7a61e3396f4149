//! rsigma-eval over the same rules and events.

use anyhow::Result;
use rsigma_eval::{Engine, JsonEvent};
use rsigma_parser::parse_sigma_yaml;
use serde_json::Value as Json;

use crate::ruleset::Texts;

/// The engine with every rule it takes; says which it does not.
pub fn engine(texts: &Texts) -> Result<Engine> {
    let mut engine = Engine::new();
    let mut rules = Vec::new();
    let mut refused = 0;
    for text in texts.iter() {
        match parse_sigma_yaml(text) {
            Ok(collection) => rules.extend(collection.rules),
            Err(_) => refused += 1,
        }
    }
    let faults = engine.add_rules(&rules);
    for (at, fault) in faults.iter().take(5) {
        println!("rsigma-eval leaves out {:?}: {fault}", rules.get(*at).map(|rule| &rule.title));
    }
    println!("rsigma-eval 0.23.0: {} rules, {} refused", engine.rule_count(), refused + faults.len());
    Ok(engine)
}

/// Event and rule of every match.
pub fn matches(engine: &Engine, events: &[Json]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, event) in events.iter().enumerate() {
        for result in engine.evaluate(&JsonEvent::borrow(event)) {
            found.push((at, result.header.rule_id.unwrap_or(result.header.rule_title)));
        }
    }
    found
}

/// How many matches there are: what is timed.
pub fn count(engine: &Engine, events: &[Json]) -> usize {
    events.iter().map(|event| std::hint::black_box(engine.evaluate(&JsonEvent::borrow(event))).len()).sum()
}
