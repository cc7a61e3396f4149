//! The schema says what the reader says: no key without one, shipped rules satisfy it, broken ones do not.

mod checker;

use checker::Checker;

use super::{correlation, document, policy};
use crate::diagnostic::Report;
use crate::kinds::KINDS;
use crate::pipeline::Pipelines;
use crate::read::{self, POLICY_KEYS, TOP_KEYS, example};
use crate::yaml;

#[test]
fn every_key_of_a_document_has_a_schema() {
    for key in TOP_KEYS {
        assert!(document::of(key).is_some(), "{key} has no schema: add its arm in schema/document.rs");
    }
}

#[test]
fn every_key_of_a_correlation_has_a_schema() {
    for kind in KINDS {
        for key in correlation::keys_of(kind) {
            let schema = correlation::of_key(key, kind);
            assert!(schema.is_some(), "{key} has no schema: add its arm in schema/correlation.rs");
        }
    }
}

#[test]
fn every_key_of_a_policy_has_a_schema() {
    for key in POLICY_KEYS {
        assert!(policy::of_key(key).is_some(), "{key} has no schema: add its arm in schema/policy.rs");
    }
}

/// What the reader has against a file, warnings left out.
fn refused(text: &str) -> bool {
    let mut report = Report::new("x.yml");
    read::rules(text, &Pipelines::shipped(), &mut report);
    report.take_warnings();
    !report.is_empty()
}

/// What is wrong with the documents of a file.
fn faults(text: &str) -> Vec<String> {
    let mut report = Report::new("x.yml");
    let documents = yaml::documents(text, &mut report).expect("is YAML");
    let checker = Checker::new(super::rule());
    documents.iter().filter_map(|document| checker.check(&example::json(document)).err()).collect()
}

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn shipped() -> Vec<(String, String)> {
    let files = std::fs::read_dir(format!("{ROOT}/rules")).expect("the rules folder");
    let paths = files
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"));
    let policy = std::path::PathBuf::from(format!("{ROOT}/docs/guides/demo-shop-policy.yml"));
    paths
        .chain([policy])
        .map(|path| (path.display().to_string(), std::fs::read_to_string(&path).expect("readable")))
        .collect()
}

#[test]
fn every_shipped_rule_satisfies_the_schema() {
    let files = shipped();
    assert!(files.len() >= 45, "{} files", files.len());
    for (file, text) in files {
        assert_eq!(faults(&text), Vec::<String>::new(), "{file}");
        assert!(!refused(&text), "{file}");
    }
}

#[test]
fn the_examples_of_the_guide_satisfy_the_schema() {
    let guide = std::fs::read_to_string(format!("{ROOT}/docs/rules.md")).expect("readable");
    let examples: Vec<&str> =
        guide.split("```yaml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    assert!(examples.len() >= 10, "{} examples", examples.len());
    for example in examples {
        assert_eq!(faults(example), Vec::<String>::new(), "{example}");
    }
}

/// A rule that reads; each entry below breaks it in one place.
const VALID: &str = "title: t\nid: a\nlevel: high\nstatus: test\nlogsource: {product: otel, category: span}\n\
detection: {s: {http.route|endswith: /login, n|gte: 4}, condition: s}\nsuppress: {by: [user.id], for: 1h}\n\
risk: {entity: user.id, score: 70}\ntests: [{name: n, expect: match, events: [{offset: 5s, event: {a: 1}}]}]\n";
const WINDOW: &str = "title: t\ncorrelation: {type: value_count, rules: [a], group-by: [u], timespan: 10m, \
condition: {field: f, gte: 3}, aliases: {x: {a: b}}}\n";
const TEMPORAL: &str = "title: t\ncorrelation: {type: temporal, timespan: 15m, condition: a and not b}\n";
const TRACE: &str = "title: t\ncorrelation: {type: trace_pattern, rules: [a, b], where: a and not b, relate: [a child_of c], \
complete: {root: true, quiet: 10s}, alias: {x: a.f}, path: 'g > **'}\n";

const FIRST_SEEN: &str = "title: t\nrequires: unsampled\ncorrelation: {type: first_seen, rules: [a], fields: [x, y/24], absent: [x], \
group-by: [u], learn: 7d, forget: 30d, warm_start: history, min_events: 5}\n";
const DEVIATION: &str = "title: t\ncorrelation: {type: deviation, rules: [a], metric: {sum: n}, group-by: [u], bucket: 1h, \
baseline: {window: 14d, season: hour_of_day}, condition: {ratio_gte: 8, floor: 5}}\n";
const GEO: &str = "title: t\ncorrelation: {type: geo, rules: [a], group-by: [user.id], timespan: 12h, \
condition: {field: client.address, speed_gte: 900, distance_gte: 500}}\n";
const LINKED: &str = "title: t\ncorrelation: {type: trace_pattern, rules: [a, b], relate: [a linked_to b], links: true, \
count: {a: {gte: 20}}}\n";
const POLICY: &str = "title: t\nservice_policy: {version: 1, alert: {new_caller: true}, services: {a: {external: false, callers: {b: ['GET /x']}}, c: }, \
exceptions: [{caller: a, callee: c, until: 2026-12-31, reason: r}], workloads: {a: {namespace: n, labels: {app: a}, ports: [80]}}}\n";

#[test]
fn what_the_reader_refuses_for_its_shape_the_schema_refuses() {
    for text in [VALID, WINDOW, TEMPORAL, TRACE, FIRST_SEEN, DEVIATION, GEO, LINKED, POLICY] {
        assert_eq!(faults(text), Vec::<String>::new(), "{text}");
    }
    let broken = [
        (VALID, "title: t\n", ""),
        (VALID, "title:", "titel:"),
        (VALID, "level: high", "level: hgih"),
        (VALID, "status: test", "status: done"),
        (VALID, "|endswith", "|endwith"),
        (VALID, ", condition: s", ""),
        (VALID, ", condition: s", ", condition: s, timeframe: 5m"),
        (VALID, "s: {http.route|endswith: /login, n|gte: 4}", "s: {}"),
        (VALID, "/login", "{a: b}"),
        (VALID, ", for: 1h", ""),
        (VALID, "for: 1h", "for: soon"),
        (VALID, "for: 1h", "fro: 1h"),
        (VALID, "score: 70", "score: many"),
        (VALID, "expect: match", "expect: maybe"),
        (VALID, "offset: 5s", "ofset: 5s"),
        (VALID, "detection", "correlation"),
        (WINDOW, "value_count", "value_cuont"),
        (WINDOW, "field: f, ", ""),
        (WINDOW, "gte: 3", "gte: three"),
        (WINDOW, ", gte: 3", ""),
        (WINDOW, ", gte: 3", ", atleast: 3"),
        (WINDOW, "timespan: 10m, ", ""),
        (WINDOW, "group-by", "groupby"),
        (WINDOW, "timespan: 10m", "timespan: 10m, where: a"),
        (WINDOW, "aliases: {x: {a: b}}", "aliases: {x: a}"),
        (TEMPORAL, "timespan: 15m, ", ""),
        (TRACE, "quiet", "quite"),
        (TRACE, "root: true", "root: sure"),
        (TRACE, "rules: [a, b], ", ""),
        (TRACE, "where: a and not b", "condition: {gte: 1}"),
        (TRACE, "child_of", "child"),
        (VALID, "offset: 5s", "offset: 5s, every: 5s"),
        (VALID, "offset: 5s", "every: 5s, times: 0"),
        (FIRST_SEEN, "learn: 7d, ", ""),
        (FIRST_SEEN, "forget", "forgot"),
        (FIRST_SEEN, "history", "histories"),
        (FIRST_SEEN, "requires: unsampled", "requires: everything"),
        (FIRST_SEEN, "fields: [x, y/24], ", ""),
        (DEVIATION, "{sum: n}", "{sum: n, avg: n}"),
        (DEVIATION, "{sum: n}", "{mean: n}"),
        (DEVIATION, "hour_of_day", "hour_of_year"),
        (DEVIATION, ", floor: 5", ""),
        (DEVIATION, "ratio_gte: 8", "ratio_gte: 0.5"),
        (DEVIATION, "bucket: 1h, ", ""),
        (GEO, "speed_gte: 900, ", ""),
        (GEO, "speed_gte: 900", "speed_gte: 0"),
        (GEO, "group-by: [user.id], ", ""),
        (LINKED, "links: true", "links: yes please"),
        (LINKED, "{gte: 20}", "{gte: 0}"),
        (POLICY, "version: 1", "version: 2"),
        (POLICY, "version: 1, ", ""),
        (POLICY, "new_caller", "new_callers"),
        (POLICY, "external: false", "extern: false"),
        (POLICY, ", reason: r", ""),
        (POLICY, "2026-12-31", "soon"),
        (POLICY, "namespace: n, ", ""),
        (POLICY, "[80]", "[0]"),
    ];
    for (text, from, to) in broken {
        let text = text.replacen(from, to, 1);
        assert_ne!(faults(&text), Vec::<String>::new(), "the schema takes {text}");
        assert!(refused(&text), "the reader takes {text}");
    }
}

#[test]
fn what_the_reader_warns_of_the_schema_takes() {
    for (from, to) in [("id: a", "id: a\nof_my_own: 1"), ("category: span", "category: span, elsewhere: yes")] {
        let text = VALID.replacen(from, to, 1);
        assert_eq!(faults(&text), Vec::<String>::new(), "{text}");
        assert!(!refused(&text), "{text}");
    }
    let part = "action: global\nlevel: high\n";
    assert_eq!(faults(part), Vec::<String>::new(), "a part of a collection need not be whole");
    assert_ne!(faults("level: high\n"), Vec::<String>::new());
}
