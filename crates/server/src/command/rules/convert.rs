//! `tracehound rules convert`: rules on single events as searches or SQL over stored events.

use anyhow::Result;
use rules::convert::{self, Target};
use serde_json::json;

use super::{range, the_rule, valid_book};
use crate::cli::{ConvertArgs, ConvertTarget, Output};

/// Prints queries; whether every rule asked for could be converted.
pub fn run(args: &ConvertArgs) -> Result<bool> {
    let book = valid_book(&args.rules)?;
    let set = book.compile();
    let range = args.from.as_deref().map(|from| range(from, None)).transpose()?;
    let target = match args.to {
        ConvertTarget::Sql => Target::Sql,
        ConvertTarget::Search => Target::Search,
    };
    let all = book.files().into_iter().flat_map(|file| file.rules);
    let rules: Vec<(String, String)> = match &args.rule {
        Some(id) => {
            let id = the_rule(&book, Some(id))?;
            all.filter(|rule| rule.info.id == id).map(|rule| (rule.info.id, rule.info.title)).collect()
        }
        // correlations are named when they are asked for
        None => all.filter(|rule| rule.kind == "event").map(|rule| (rule.info.id, rule.info.title)).collect(),
    };
    if rules.is_empty() {
        eprintln!("there is no rule on single events in {}", args.rules.display());
    }
    let mut is_whole = !rules.is_empty();
    for (id, title) in &rules {
        match convert::convert(&set, id, target, range.as_ref()) {
            Ok(found) if args.output == Output::Json => {
                println!("{}", json!({"rule": id, "title": title, "queries": found.queries, "notes": found.notes}));
            }
            Ok(found) => {
                println!("-- {title} ({id})");
                found.notes.iter().for_each(|note| println!("-- note: {note}"));
                found.queries.iter().for_each(|query| println!("{query}"));
                println!();
            }
            Err(error) => {
                is_whole = false;
                match args.output {
                    Output::Json => println!("{}", json!({"rule": id, "title": title, "error": error.to_string()})),
                    Output::Text => eprintln!("{error}"),
                }
            }
        }
    }
    Ok(is_whole)
}
