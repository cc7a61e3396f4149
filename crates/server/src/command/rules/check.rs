//! `tracehound rules check`: every problem and every warning with its place.

use std::path::PathBuf;

use anyhow::Result;
use rules::Diagnostic;
use serde_json::{Value, json};

use super::junit::{Case, Suite};
use super::{junit, read_book};
use crate::cli::Report;

/// Prints problems and warnings; whether there are no problems.
pub fn run(paths: &[PathBuf], output: Report) -> Result<bool> {
    let (book, problems) = read_book(paths)?;
    let files = book.files();
    let warnings = files.iter().flat_map(|file| &file.warnings);
    match output {
        Report::Text => {
            problems.iter().chain(warnings.clone()).for_each(|remark| println!("{remark}"));
            let rules: usize = files.iter().map(|file| file.rules.len()).sum();
            print!("{rules} rules in {} files, {} problem(s)", files.len(), problems.len());
            let unmapped = files.iter().flat_map(|file| &file.rules).filter(|rule| !rule.is_mapped).count();
            match (warnings.count(), unmapped) {
                (0, _) => println!(),
                (warnings, 0) => println!(", {warnings} warning(s)"),
                (warnings, unmapped) => println!(", {warnings} warning(s), {unmapped} rule(s) never evaluated"),
            }
        }
        Report::Json => problems.iter().chain(warnings).for_each(|remark| println!("{}", remark_json(remark))),
        Report::Junit => {
            let suite = |file: &rules::FileView<'_>| {
                let faults: Vec<&Diagnostic> = problems.iter().filter(|problem| problem.file == file.name).collect();
                let failed = faults.iter().map(|fault| Case {
                    name: fault.code.to_owned(),
                    line: fault.line,
                    failure: Some(fault.to_string()),
                });
                let sound = file.rules.iter().filter(|_| faults.is_empty()).map(|rule| Case {
                    name: rule.info.title.clone(),
                    line: rule.line,
                    failure: None,
                });
                let remarks = file.warnings.iter().map(ToString::to_string).collect();
                Suite { name: file.name.to_owned(), cases: failed.chain(sound).collect(), remarks }
            };
            print!("{}", junit::document("tracehound rules check", &files.iter().map(suite).collect::<Vec<_>>()));
        }
    }
    Ok(problems.is_empty())
}

fn remark_json(remark: &Diagnostic) -> Value {
    json!({"file": remark.file, "line": remark.line, "column": remark.column, "code": remark.code,
        "message": remark.message, "hint": remark.hint, "severity": remark.gravity.as_str()})
}
