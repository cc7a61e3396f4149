//! What a thousand rules add to a span: CPU of the engine with them, in batches as they come at 20,000 spans a second.

use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::Result;
use model::{EventBatch, UnixNanos};
use rules::{Engine, RuleBook, RuleSet};

use crate::{corpus, median, timed};

const RULES: usize = 1_000;
const ROUNDS: usize = 5;
const LATER: UnixNanos = UnixNanos(i64::MAX);

/// Prints one line for each size of batch.
pub fn run() -> Result<()> {
    let set = compile(RULES)?;
    println!("{RULES} rules on spans: routes, statuses, agents, queries, callers; a tenth of them counted in windows");
    println!("| spans in a batch | us CPU/span |");
    println!("|---|---|");
    for rows in [200, 1_000, 8_192] {
        let batches = slices(&corpus::spans()?, rows);
        let spans: usize = batches.iter().map(EventBatch::len).sum();
        let secs = (0..ROUNDS).map(|_| timed(|| evaluate(&set, &batches)).0).collect();
        println!("| {rows} | {:.2} |", median(secs) * 1e6 / spans as f64);
    }
    println!();
    Ok(())
}

fn evaluate(set: &Arc<RuleSet>, batches: &[EventBatch]) -> usize {
    let mut engine = Engine::new(Arc::clone(set));
    batches.iter().map(|batch| engine.evaluate(batch, LATER).len()).sum()
}

fn slices(batches: &[EventBatch], rows: usize) -> Vec<EventBatch> {
    let mut slices = Vec::new();
    for batch in batches {
        for first in (0..batch.len()).step_by(rows) {
            let records = batch.records.slice(first, rows.min(batch.len() - first));
            slices.push(EventBatch { records, ..batch.clone() });
        }
    }
    slices
}

/// Rules as people write them for spans; nearly none of them matches usual traffic.
fn compile(rules: usize) -> Result<Arc<RuleSet>> {
    let mut text = String::new();
    for number in 0..rules {
        let selection = match number % 5 {
            0 => format!("{{http.route: /admin/{number}, http.response.status_code: [401, 403]}}"),
            1 => format!("{{user_agent.original|contains: ['scanner-{number}', 'probe/{number}']}}"),
            2 => format!("{{url.path|startswith: /internal/{number}/, kind: server}}"),
            3 => format!("{{db.query.text|re: 'union\\s+select.{{0,{}}}from'}}", number % 50),
            _ => format!("{{service.name: payments, client.address|cidr: 10.{}.{}.0/24}}", number / 256, number % 256),
        };
        writeln!(text, "title: rule {number}\nname: r{number}\nlogsource: {{product: otel, category: span}}")?;
        writeln!(text, "detection: {{s: {selection}, condition: s}}\n---")?;
        if number % 10 == 0 {
            writeln!(
                text,
                "title: count {number}\nname: c{number}\ncorrelation: {{type: event_count, rules: [r{number}], group-by: [client.address], timespan: 5m, condition: {{gte: 5}}}}\n---"
            )?;
        }
    }
    let mut book = RuleBook::new();
    let files: Vec<(String, String)> = text
        .split("title: rule ")
        .filter(|part| !part.trim().is_empty())
        .map(|part| {
            (
                part.lines().next().unwrap_or_default().to_owned(),
                format!("title: rule {}", part.trim_end_matches("---\n")),
            )
        })
        .collect();
    let faults = book.update_all(files.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    anyhow::ensure!(faults.is_empty(), "{:?}", faults.first());
    let set = book.compile();
    set.warm();
    Ok(set)
}
