//! `tracehound rules explain`: why a rule matches an event or does not, and what a correlation remembers.

use anyhow::{Context, Result, bail};
use model::TraceId;
use rules::RuleBook;
use rules::explain::{self, ExplainLimits};
use serde_json::{Value, json};

use super::remote::Remote;
use super::store::Store;
use super::{print_lines, read, read_texts, the_rule, valid_book};
use crate::cli::{ExplainArgs, Output};

/// Prints the explanation.
pub async fn run(args: ExplainArgs) -> Result<bool> {
    let book = valid_book(&args.rules)?;
    let rule = the_rule(&book, args.rule.as_deref())?;
    let found = match (&args.event, Remote::of(&args.store)?) {
        (Some(file), _) => of_lines(&book, &rule, &read(file)?, &args.time_field)?,
        (None, Some(server)) => at_server(&server, &args, &rule).await?,
        (None, None) => here(&book, &rule, &args).await?,
    };
    match args.output {
        Output::Json => print_lines(std::iter::once(found))?,
        Output::Text => print(&found),
    }
    Ok(true)
}

fn of_lines(book: &RuleBook, rule: &str, text: &str, time_field: &str) -> Result<Value> {
    let found = explain::lines(&book.compile(), rule, text.lines(), time_field, ExplainLimits::default())?;
    Ok(api::report::explanation(found.context("the rule does not run: something it refers to is missing")?))
}

async fn at_server(server: &Remote, args: &ExplainArgs, rule: &str) -> Result<Value> {
    let texts = read_texts(std::slice::from_ref(&args.rules))?;
    let [text] = texts.values().collect::<Vec<_>>()[..] else {
        bail!("a running server explains one file at a time, {} holds {}", args.rules.display(), texts.len());
    };
    let mut body = json!({"rule": rule, "text": text});
    match (&args.trace, &args.detection) {
        (Some(trace), _) => body["trace_id"] = json!(trace),
        (None, Some(alert)) => body["alert_id"] = json!(alert),
        (None, None) => {}
    }
    server.post("/api/v1/rules/explain", &body).await
}

async fn here(book: &RuleBook, rule: &str, args: &ExplainArgs) -> Result<Value> {
    let store = Store::open(&args.store).await?;
    let traces: Vec<TraceId> = match (&args.trace, &args.detection) {
        (Some(trace), _) => vec![trace.parse().context("--trace")?],
        (None, Some(alert)) => store.traces_of_alert(alert).await?,
        (None, None) => Vec::new(),
    };
    let mut batches = Vec::new();
    for trace in traces {
        let found = store.query.events_of_trace(&store.tenant, trace).await?;
        batches.extend(found.with_context(|| format!("there is no trace {trace}"))?);
    }
    let found = explain::stored(&book.compile(), rule, &batches, ExplainLimits::default());
    Ok(api::report::explanation(found.context("the rule does not run: something it refers to is missing")?))
}

fn print(found: &Value) {
    println!("{} ({})", text(&found["title"]), text(&found["rule"]));
    for event in list(&found["events"]) {
        println!("\nevent {} at {}", text(&event["event"]), text(&event["time"]));
        for judgement in list(&event["judgements"]) {
            let applies = if judgement["applies"] == true { "" } else { ", for another kind of event" };
            println!("  {} {}{applies}", mark(judgement), text(&judgement["title"]));
            print_part(&judgement["condition"], 2);
        }
    }
    if found["events_omitted"].as_u64() > Some(0) {
        println!("\nand {} more events, which are not listed", found["events_omitted"]);
    }
    println!("\n{} alert(s) over these events", list(&found["alerts"]).count());
    for alert in list(&found["alerts"]) {
        println!("  {} {}", text(&alert["time"]), text(&alert["reason"]));
    }
    for (what, memory) in [("remembers", &found["remembers"]), ("in the running engine", &found["engine"])] {
        if memory.is_object() {
            print_memory(what, memory);
        }
    }
}

fn print_part(part: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    let kind = text(&part["kind"]);
    if kind != "field" {
        println!("{indent}{} {kind}", mark(part));
        list(&part["parts"]).for_each(|inner| print_part(inner, depth + 1));
        return;
    }
    let field = part["field"].as_str().unwrap_or("any field");
    let value = match part["value"].as_str() {
        Some(value) => format!("{value:?} from {}", text(&part["source"])),
        None => "absent".to_owned(),
    };
    println!("{indent}{} {field} {}: {value}", mark(part), text(&part["asks"]));
}

fn print_memory(what: &str, memory: &Value) {
    let asks = text(&memory["asks"]);
    let asks = if asks.is_empty() { String::new() } else { format!(", asked for: {asks}") };
    println!("\n{what}: {} group(s) of {}{asks}", memory["groups_total"], text(&memory["counts"]));
    let learned = &memory["learned"];
    if learned.is_object() {
        println!(
            "  learned: {} group(s), {} value(s), {} waiting",
            learned["groups"], learned["values"], learned["waiting"]
        );
        if learned["lacks_history"] == true {
            println!("  stored events are still to be learned from");
        }
    }
    for group in list(&memory["groups"]) {
        let metric = group["metric"].as_f64().map_or_else(|| "-".to_owned(), |metric| metric.to_string());
        println!("  {}: {metric}, events {}, last {}", group["group"], group["events"], text(&group["last_time"]));
        if let Some(deadline) = group["deadline_time"].as_str() {
            println!("    judged at {deadline}");
        }
    }
    for trace in list(&memory["traces"]) {
        println!("  trace {}: steps not taken {}", text(&trace["trace_id"]), trace["missing"]);
        for step in list(&trace["steps"]) {
            println!("    {} by span {} at {}", text(&step["step"]), text(&step["span_id"]), text(&step["time"]));
        }
        if let Some(deadline) = trace["deadline_time"].as_str() {
            println!("    judged at {deadline}");
        }
    }
}

fn mark(part: &Value) -> &'static str {
    if part["holds"] == true { "yes" } else { "no " }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
