//! The rules of the house that a compiler does not check: floors, headers, lengths, names.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Every crate with its floor, as drawn in docs/ARCHITECTURE.md. A crate may use any lower floor, never its own or a higher.
const FLOORS: [(&str, u8); 16] = [
    ("model", 0),
    ("runtime", 0),
    ("proto", 0),
    ("otlp", 1),
    ("wal", 1),
    ("lake", 1),
    ("rules", 1),
    ("alerts", 1),
    ("access", 1),
    ("simulate", 1),
    ("collect", 2),
    ("pipeline", 2),
    ("query", 2),
    ("api", 3),
    ("server", 4),
    ("tests", 5),
];

/// What a crate promises not to know, checked as dependencies it must not have.
const ABSENT: [(&str, &[&str]); 6] = [
    ("model", &["tokio", "serde_json", "axum", "sqlx", "prost"]),
    ("rules", &["tokio", "runtime", "sqlx", "reqwest", "rand"]),
    ("otlp", &["tokio", "sqlx", "reqwest"]),
    ("simulate", &["model", "runtime", "tokio", "otlp"]),
    ("wal", &["parquet", "arrow", "otlp", "rules"]),
    ("query", &["axum", "serde_json", "otlp"]),
];

/// Names that say a rank or a grammar instead of a thing.
const BANNED_WORDS: [&str; 9] = ["util", "utils", "common", "types", "traits", "manager", "helper", "helpers", "impl"];

const FILE_LINES_MAX: usize = 700;
const FUNCTION_LINES_MAX: usize = 70;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the root").to_owned()
}

fn rust_files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root().join("crates"), root().join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("folder is readable") {
            let path = entry.expect("entry is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && name != "node_modules" && name != "target" {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn is_test(path: &Path) -> bool {
    let inside = path.strip_prefix(root()).unwrap_or(path);
    inside.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "benches")
        || path.file_name().is_some_and(|name| name == "tests.rs")
}

fn check(problems: &[String]) {
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
}

#[test]
fn crates_use_lower_floors_only() {
    let floors = BTreeMap::from(FLOORS);
    let mut problems = Vec::new();
    for (name, floor) in FLOORS {
        let manifest = if name == "tests" { root().join("tests") } else { root().join("crates").join(name) };
        let text = fs::read_to_string(manifest.join("Cargo.toml")).expect("manifest is there");
        let manifest: toml::Table = toml::from_str(&text).expect("manifest is TOML");
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).expect("has dependencies");
        for dependency in dependencies.keys() {
            if floors.get(dependency.as_str()).is_some_and(|other| *other >= floor) {
                problems
                    .push(format!("{name} (floor {floor}) uses {dependency} (floor {})", floors[dependency.as_str()]));
            }
        }
        let absent = ABSENT.iter().find(|(crate_name, _)| *crate_name == name).map_or(&[][..], |(_, absent)| absent);
        problems.extend(
            absent.iter().filter(|word| dependencies.contains_key(**word)).map(|word| format!("{name} uses {word}")),
        );
    }
    check(&problems);
}

#[test]
fn every_crate_has_a_floor() {
    for entry in fs::read_dir(root().join("crates")).expect("crates/ is readable") {
        let name = entry.expect("entry is readable").file_name().to_string_lossy().into_owned();
        assert!(FLOORS.iter().any(|(known, _)| *known == name), "crate {name} has no floor in tests/tidy.rs");
    }
}

#[test]
fn every_dependency_comes_from_the_workspace() {
    let mut problems = Vec::new();
    for (name, _) in FLOORS {
        let folder = if name == "tests" { root().join("tests") } else { root().join("crates").join(name) };
        let manifest: toml::Table =
            toml::from_str(&fs::read_to_string(folder.join("Cargo.toml")).expect("manifest is there")).expect("TOML");
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let table = manifest.get(section).and_then(toml::Value::as_table).cloned().unwrap_or_default();
            for (dependency, value) in table {
                if !value.get("workspace").and_then(toml::Value::as_bool).unwrap_or(false) {
                    problems.push(format!("{name}: {dependency} is not `workspace = true`"));
                }
            }
        }
    }
    check(&problems);
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    let headless = rust_files().into_iter().filter(|path| {
        let text = fs::read_to_string(path).expect("file is readable");
        !text.starts_with("//! ")
    });
    check(&headless.map(|path| format!("{} does not open with //!", path.display())).collect::<Vec<_>>());
}

#[test]
fn no_file_is_longer_than_one_sitting() {
    let mut problems = Vec::new();
    for path in rust_files().into_iter().filter(|path| !is_test(path)) {
        let lines = fs::read_to_string(&path).expect("file is readable").lines().count();
        if lines > FILE_LINES_MAX {
            problems.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", path.display()));
        }
    }
    check(&problems);
}

#[test]
fn no_function_is_longer_than_one_screen() {
    let mut problems = Vec::new();
    for path in rust_files().into_iter().filter(|path| !is_test(path)) {
        let text = fs::read_to_string(&path).expect("file is readable");
        let mut open: Option<(usize, usize, &str)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            if let Some((start, depth, name)) = open {
                if indent == depth && line.trim_start().starts_with('}') {
                    let lines = number - start + 1;
                    if lines > FUNCTION_LINES_MAX {
                        problems.push(format!("{}:{}: {name}: {lines} lines", path.display(), start + 1));
                    }
                    open = None;
                }
            } else if let Some(name) = function_name(line) {
                // a body that ends on its own line needs no counting
                if !line.trim_end().ends_with('}') && !line.trim_end().ends_with(';') {
                    open = Some((number, indent, name));
                }
            }
        }
    }
    check(&problems);
}

fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    for word in ["pub(crate) ", "pub(super) ", "pub ", "const ", "async "] {
        rest = rest.strip_prefix(word).unwrap_or(rest);
    }
    rest.strip_prefix("fn ").map(|rest| rest.split(['(', '<']).next().unwrap_or(rest))
}

#[test]
fn modules_are_named_after_things() {
    let banned = rust_files().into_iter().filter(|path| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned();
        [stem, folder].iter().any(|name| name.split('_').any(|word| BANNED_WORDS.contains(&word)))
    });
    check(&banned.map(|path| format!("{} is named after a rank", path.display())).collect::<Vec<_>>());
}
