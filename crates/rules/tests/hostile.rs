//! Files made to hurt: refused at load with a place, or read in bounded time.
//!
//! The times asserted are what a debug build on a loaded machine stays far below, and what reading that grows with the
//! square of the rules would not.

use std::time::{Duration, Instant};

use rules::{Diagnostic, Engine, RuleBook, Settings, offline};

fn faults(text: &str) -> Vec<Diagnostic> {
    RuleBook::new().update_all([("x.yml", text)])
}

fn codes(text: &str) -> Vec<String> {
    faults(text).iter().map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.code)).collect()
}

fn rule(number: usize, detection: &str) -> String {
    format!(
        "title: rule {number}\nid: r{number}\nlogsource: {{product: otel, category: log}}\ndetection: {detection}\n"
    )
}

fn plain(number: usize) -> String {
    let (of, over) = (number % 130, number / 7);
    rule(number, &format!("{{s: {{field{of}: value{number}, other{of}|contains: [x{over}, y{over}]}}, condition: s}}"))
}

fn named(texts: &[String]) -> Vec<(String, &str)> {
    texts.iter().enumerate().map(|(number, text)| (format!("rule{number:05}.yml"), text.as_str())).collect()
}

/// Reads files at once into an empty book; what it says of them.
fn load(texts: &[String]) -> (RuleBook, Vec<Diagnostic>, Duration) {
    let mut book = RuleBook::new();
    let files = named(texts);
    let start = Instant::now();
    let found = book.update_all(files.iter().map(|(file, text)| (file.as_str(), *text)));
    book.compile();
    (book, found, start.elapsed())
}

#[test]
fn yaml_that_unfolds_is_refused() {
    let mut bomb = "title: t\nx0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        bomb.push_str(&format!("x{level}: &x{level} [{}]\n", [format!("*x{}", level - 1).as_str(); 10].join(", ")));
    }
    assert!(matches!(codes(&bomb).as_slice(), [one] if one.ends_with("too-large")));
    // a collection that repeats one large rule many times
    let large: String = (0..1_000).map(|number| format!("s{number}: {{x: {number}}}, ")).collect();
    let mut text = rule(0, &format!("{{{large}condition: s1}}"));
    for number in 1..500 {
        text.push_str(&format!("---\naction: repeat\nid: r{number}\n"));
    }
    assert!(matches!(codes(&text).as_slice(), [one] if one.ends_with("too-large")));
    let deep = format!("title: t\ndetection: {}x{}", "{a: ".repeat(500), "}".repeat(500));
    assert!(matches!(codes(&deep).as_slice(), [one] if one.ends_with("too-large")));
    // an alias inside its own anchor, a tag with code in it, and text that is no UTF-8 any more
    assert_eq!(codes("title: &a [*a]\n"), ["1:12 yaml"]);
    assert!(!faults("title: !!python/object/apply:os.system [id]\ndetection: {s: {x: 1}, condition: s}\n").is_empty());
    assert!(!faults("title: \u{fffd}\u{0}\n").is_empty());
}

#[test]
fn regular_expressions_are_bounded_one_by_one_and_together() {
    let with = |pattern: &str| rule(0, &format!("{{s: {{x|re: '{pattern}'}}, condition: s}}"));
    assert!(matches!(codes(&with("((a{1000}){1000}){1000}")).as_slice(), [one] if one.ends_with("bad-regex")));
    assert!(
        matches!(codes(&with(&format!("{}a{}", "(".repeat(2_000), ")".repeat(2_000)))).as_slice(), [one] if one.ends_with("bad-regex"))
    );
    assert!(codes(&with("(?i)[a-z]+(foo|bar)*$")).is_empty());
    // no look-around and no back-reference, so nothing backtracks
    assert!(matches!(codes(&with(r"(a+)+\1")).as_slice(), [one] if one.ends_with("bad-regex")));
    let patterns: Vec<String> = (0..400).map(|number| format!(r"'\w{{{}}}x'", 20 + number % 40)).collect();
    let many = rule(0, &format!("{{s: {{x|re: [{}]}}, condition: s}}", patterns.join(", ")));
    assert!(matches!(codes(&many).as_slice(), [one] if one.ends_with("too-large")), "{:?}", codes(&many));
}

#[test]
fn conditions_and_lists_are_bounded() {
    let nested =
        |depth: usize| rule(0, &format!("{{s: {{x: 1}}, condition: '{}s{}'}}", "(".repeat(depth), ")".repeat(depth)));
    assert!(codes(&nested(40)).is_empty());
    assert!(matches!(codes(&nested(100)).as_slice(), [one] if one.ends_with("too-large")));
    let negated = rule(0, &format!("{{s: {{x: 1}}, condition: {}s}}", "not ".repeat(1_000)));
    assert!(matches!(codes(&negated).as_slice(), [one] if one.ends_with("too-large")));
    let long = rule(0, &format!("{{s: {{x: 1}}, condition: s{}}}", " or s".repeat(2_000)));
    assert!(matches!(codes(&long).as_slice(), [one] if one.ends_with("too-large")));
    let placeholders = "name: p\nvars: {v: [a, b, c, d, e, f, g, h, i, j]}\n";
    let text = rule(0, "{s: {x|expand: '%v%%v%%v%%v%%v%'}, condition: s}");
    let found = RuleBook::new().update_all([("pipelines/p.yml", placeholders), ("x.yml", text.as_str())]);
    assert!(matches!(found.as_slice(), [one] if one.code == "too-large"), "{found:?}");
    let dashes = rule(0, &format!("{{s: {{x|windash|contains: '{}'}}, condition: s}}", " -a /b".repeat(200)));
    assert!(codes(&dashes).is_empty());
}

#[test]
fn a_cross_join_of_events_is_bounded_by_what_groups_may_hold() {
    let text = "title: a\nname: a\nlogsource: {product: otel}\ndetection: {s: {x|exists: true}, condition: s}\n---\n\
                title: b\nname: b\nlogsource: {product: otel}\ndetection: {s: {y|exists: true}, condition: s}\n---\n\
                title: c\nid: c\ncorrelation: {type: temporal, rules: [a, b], timespan: 365d}\n";
    let mut book = RuleBook::new();
    book.update("x.yml", text).expect("valid");
    let lines: Vec<String> =
        (0..20_000).map(|at| format!(r#"{{"x": {at}, "y": {at}, "ts": {at}, "id": {at}}}"#)).collect();
    let start = Instant::now();
    let alerts = offline::replay(&book.compile(), lines.iter().take(2_000).map(String::as_str), "ts", "id");
    assert_eq!(alerts.expect("replayed").len(), 2_000);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    // live, the oldest events are forgotten and counted
    let settings = Settings { events_per_group: 100, ..Settings::default() };
    let engine = Engine::with_settings(book.compile(), settings);
    assert_eq!(engine.counters().count(), 0);
    assert!(matches!(codes(&text.replace("365d", "366d")).as_slice(), [one] if one.ends_with("bad-value")));
}

#[test]
fn circles_and_long_chains_of_correlations_end() {
    let chain = |number: usize, of: usize| {
        format!(
            "title: c{number}\nid: c{number}\ncorrelation: {{type: event_count, rules: [c{of}], timespan: 5m, condition: {{gte: 2}}}}\n"
        )
    };
    // a circle through every file: each is refused, none is put in force
    let circle: Vec<String> = (0..2_000).map(|number| chain(number, (number + 1) % 2_000)).collect();
    let (book, found, took) = load(&circle);
    assert_eq!((found.len(), book.compile().len()), (2_000, 0));
    assert!(found.iter().all(|fault| fault.code == "cycle" && (fault.line, fault.column) == (3, 42)), "{:?}", found[0]);
    assert!(took < Duration::from_secs(60), "{took:?}");
    // a chain, last link first: sound, and in order
    let mut long: Vec<String> = (1..2_000).rev().map(|number| chain(number, number - 1)).collect();
    long.push(rule(0, "{s: {x: 1}, condition: s}").replace("id: r0", "id: c0"));
    let (book, found, took) = load(&long);
    assert_eq!((found.len(), book.compile().len()), (0, 2_000));
    assert!(took < Duration::from_secs(60), "{took:?}");
}

#[test]
fn a_faulty_file_takes_along_whoever_refers_to_it_in_one_go() {
    // every file holds a sound rule and a correlation over the rule of the next file; the last one is broken
    let link = |number: usize| {
        format!(
            "title: e{number}\nid: e{number}\nlogsource: {{product: otel}}\ndetection: {{s: {{x: {number}}}, condition: s}}\n---\n\
                 title: c{number}\nid: c{number}\ncorrelation: {{type: event_count, rules: [e{}], timespan: 5m, condition: {{gte: 2}}}}\n",
            number + 1
        )
    };
    let texts: Vec<String> = (0..3_000).map(link).collect();
    let (mut book, found, took) = load(&texts);
    assert_eq!((found.len(), book.compile().len()), (3_000, 0));
    assert!(found.iter().all(|fault| fault.code == "unknown-rule" && fault.line == 8), "{:?}", found[0]);
    assert!(took < Duration::from_secs(60), "{took:?}");
    // the missing end makes all of them sound, at once
    let start = Instant::now();
    book.update(
        "rule03000.yml",
        &link(3_000).split("---").next().expect("the first document").replace("e3001", "e3000"),
    )
    .expect("valid");
    assert_eq!(book.compile().len(), 6_001);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn ten_thousand_rules_load_and_one_of_them_changes() {
    let texts: Vec<String> = (0..10_000).map(plain).collect();
    let (mut book, found, took) = load(&texts);
    assert_eq!((found.len(), book.compile().len()), (0, 10_000));
    println!("10,000 rules load in {took:?}");
    assert!(took < Duration::from_secs(120), "{took:?}");
    let start = Instant::now();
    for number in 0..5 {
        book.update("rule00007.yml", &plain(10_000 + number)).expect("valid");
        assert_eq!(book.compile().len(), 10_000);
    }
    println!("one of 10,000 rules changes in {:?}", start.elapsed() / 5);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    let start = Instant::now();
    assert_eq!(book.clone().files().len(), 10_000);
    println!("10,000 rules are listed in {:?}", start.elapsed());
}

#[test]
fn ten_thousand_broken_references_are_told_in_bounded_time() {
    let lost = |number: usize| {
        format!(
            "title: c{number}\nid: c{number}\ncorrelation: {{type: event_count, rules: [no{number}], timespan: 5m, condition: {{gte: 2}}}}\n"
        )
    };
    let texts: Vec<String> = (0..10_000).map(lost).collect();
    let (mut book, found, took) = load(&texts);
    assert_eq!(found.len(), 10_000);
    println!("10,000 broken references are told in {took:?}");
    assert!(took < Duration::from_secs(120), "{took:?}");
    // a change elsewhere tries all of them again, together
    let start = Instant::now();
    book.update("more.yml", &plain(0)).expect("valid");
    println!("a rule is added beside 10,000 broken ones in {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn fields_that_never_exist_match_nothing_and_break_nothing() {
    let long = "f.".repeat(500);
    let text = rule(0, &format!("{{s: {{'{long}': 1}}, t: {{'..': 1}}, u: {{'a|exists': false}}, condition: s or t}}"));
    let mut book = RuleBook::new();
    book.update("x.yml", &text).expect("valid");
    assert!(offline::match_events(&book.compile(), [r#"{"x": 1}"#]).expect("matched").is_empty());
}
