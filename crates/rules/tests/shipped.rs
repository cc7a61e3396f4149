//! Every shipped rule is valid, documented, and passes its own tests of both outcomes.

use std::path::PathBuf;

use rules::{Outcome, RuleBook};

fn shipped() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder)
        .expect("the rules folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("readable"))
        })
        .collect();
    files.sort();
    files
}

#[test]
fn shipped_rules_pass_their_own_tests() {
    let files = shipped();
    let mut book = RuleBook::new();
    let faults = book.update_all(files.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    assert!(faults.is_empty(), "{faults:?}");
    let warnings = book.warnings();
    assert!(warnings.is_empty(), "{warnings:?}");
    let mut ran = 0;
    for (file, _) in &files {
        for test in book.run_tests(file) {
            assert_eq!(test.outcome, Outcome::Passed, "{}:{}: {}", test.file, test.line, test.name);
            ran += 1;
        }
    }
    assert!(ran >= 15, "only {ran} tests ran");
}

#[test]
fn rules_that_raise_alerts_say_what_to_do_about_them() {
    for (file, text) in shipped() {
        for rule in rules::check(&file, &text).expect("valid").into_iter().filter(|rule| !rule.silent) {
            let info = &rule.info;
            assert_eq!(info.author, "Tracehound", "{file}");
            let documented = [&info.references, &info.false_positives, &info.tags].iter().all(|list| !list.is_empty());
            assert!(documented && !info.description.is_empty() && !info.runbook.is_empty(), "{file}: {}", info.title);
            assert!(info.tags.iter().any(|tag| tag.starts_with("attack.t")), "{file}: {}", info.title);
            assert!(info.tags.iter().any(|tag| tag.starts_with("owasp.")), "{file}: {}", info.title);
            assert!(rule.tests >= 2, "{file}: {} needs tests of both outcomes", info.title);
        }
    }
}

/// The fenced YAML of a text in Markdown.
fn examples(markdown: &str) -> Vec<String> {
    let mut examples: Vec<String> = Vec::new();
    let mut is_inside = false;
    for line in markdown.lines() {
        match line {
            "```yaml" => {
                is_inside = true;
                examples.push(String::new());
            }
            "```" => is_inside = false,
            _ if is_inside => examples.last_mut().expect("one began").extend([line, "\n"]),
            _ => {}
        }
    }
    examples
}

#[test]
fn the_examples_of_the_guide_pass_their_own_tests() {
    let guide = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/rules.md");
    let examples = examples(&std::fs::read_to_string(guide).expect("the guide"));
    assert!(examples.len() >= 10, "only {} examples", examples.len());
    for (number, text) in (1..).zip(examples) {
        let mut book = RuleBook::new();
        let file = format!("example {number}");
        book.update(&file, &text).unwrap_or_else(|faults| panic!("{file}: {faults:?}"));
        let tests = book.run_tests(&file);
        for test in &tests {
            assert_eq!(test.outcome, Outcome::Passed, "{file}, line {}: {}", test.line, test.name);
        }
        let is_told = |outcome: &str| text.contains(&format!("expect: {outcome}\n"));
        assert!(tests.len() >= 2 && is_told("match") && is_told("no_match"), "{file} needs tests of both outcomes");
    }
}
