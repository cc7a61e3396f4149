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
