//! `tracehound rules coverage`: which rules cannot fire on the data there is, and which techniques are covered.

use anyhow::{Context, Result};
use model::TimeRange;
use query::Sampled;
use rules::coverage::{Seen, Technique, navigator};
use serde_json::Value;

use super::remote::Remote;
use super::store::Store;
use super::{print_lines, range, read, valid_book};
use crate::cli::{CoverageArgs, Table};

/// Prints coverage; whether every rule that raises alerts can fire.
pub async fn run(args: CoverageArgs) -> Result<bool> {
    let found = match (Remote::of(&args.store)?, &args.events) {
        (Some(server), _) => {
            let range = range(&args.from, args.to.as_deref())?;
            let (start, end, rows) = (range.start.to_string(), range.end.to_string(), args.rows.to_string());
            server.get("/api/v1/rules/coverage", &[("start", start), ("end", end), ("rows", rows)]).await?
        }
        (None, Some(events)) => {
            let set = book(&args)?.compile();
            let mut seen = Seen::new(&set);
            seen.take_lines(&set, read(events)?.lines())?;
            let sampled = Sampled { events: seen.events(), seen, missing_files: Vec::new() };
            api::report::coverage(&set, &sampled, TimeRange::ALL, Vec::new())
        }
        (None, None) => {
            let set = book(&args)?.compile();
            let range = range(&args.from, args.to.as_deref())?;
            let store = Store::open(&args.store).await?;
            let sampled = store.query.sample(&store.tenant, &set, range, args.rows).await?;
            let silent = store.query.silent_services(&store.tenant, range).await?;
            api::report::coverage(&set, &sampled, range, silent)
        }
    };
    let is_blind = |rule: &&Value| rule["silent"] == false && rule["can_fire"] == false;
    let blind = list(&found["rules"]).filter(is_blind).count();
    match args.output {
        Table::Json => print_lines(std::iter::once(found))?,
        Table::Navigator => println!("{:#}", navigator("Tracehound", &techniques(&found))),
        Table::Text => print(&found),
    }
    Ok(blind == 0)
}

fn book(args: &CoverageArgs) -> Result<rules::RuleBook> {
    valid_book(args.rules.as_deref().context("name a rule file or a folder of them")?)
}

/// The techniques of an answer, rules by their titles.
fn techniques(found: &Value) -> Vec<Technique> {
    let titled = |ids: &Value| -> Vec<(String, String)> {
        let title = |id: &Value| list(&found["rules"]).find(|rule| rule["id"] == *id).map(|rule| &rule["title"]);
        let pair = |id: &Value| (text(id).to_owned(), text(title(id).unwrap_or(id)).to_owned());
        list(ids).map(pair).collect()
    };
    let one = |technique: &Value| Technique {
        id: text(&technique["id"]).to_owned(),
        rules: titled(&technique["rules"]),
        blind: titled(&technique["blind"]),
    };
    list(&found["techniques"]).map(one).collect()
}

fn print(found: &Value) {
    println!("{} of {} events looked at", found["events_looked_at"], found["events"]);
    let (mut fires, mut blind) = (0, Vec::new());
    for rule in list(&found["rules"]).filter(|rule| rule["silent"] == false) {
        if rule["can_fire"] == true { fires += 1 } else { blind.push(rule) }
    }
    println!("{fires} rules can fire, {} cannot", blind.len());
    for rule in blind {
        println!("  {} ({})", text(&rule["title"]), text(&rule["id"]));
        let missing: Vec<&str> = list(&rule["missing_fields"]).map(text).collect();
        if !missing.is_empty() {
            println!("    no event has {}", missing.join(", "));
        }
        list(&rule["reasons"]).for_each(|reason| println!("    {}", text(reason)));
    }
    for service in list(&found["services"]).filter(|service| service["sampled_spans"].as_u64() > Some(0)) {
        let (name, sampled) = (text(&service["name"]), &service["sampled_spans"]);
        println!("sampled: {name} ({sampled} spans say so); counts and absence mislead there");
    }
    for service in list(&found["silent_services"]) {
        println!("silent: {} sent spans before, and none in this time", text(service));
    }
    let covered = list(&found["techniques"]).filter(|technique| list(&technique["rules"]).next().is_some());
    let ids: Vec<&str> = covered.map(|technique| text(&technique["id"])).collect();
    println!("{} techniques of ATT&CK covered: {}", ids.len(), ids.join(" "));
    let blind = list(&found["techniques"]).filter(|technique| list(&technique["rules"]).next().is_none());
    let ids: Vec<&str> = blind.map(|technique| text(&technique["id"])).collect();
    if !ids.is_empty() {
        println!("{} more only by rules that cannot fire: {}", ids.len(), ids.join(" "));
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
