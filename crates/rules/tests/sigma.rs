//! The specification of Sigma, sentence by sentence, where `language.rs` does not speak of it already.

use rules::{Diagnostic, Gravity, RuleBook, offline};

/// A book with pipelines and rules, all of which must be sound.
fn book(files: &[(&str, &str)]) -> RuleBook {
    let mut book = RuleBook::new();
    let faults = book.update_all(files.iter().copied());
    assert!(faults.is_empty(), "{faults:?}");
    book
}

/// A rule of a file, named `t`.
fn rule(detection: &str) -> String {
    let indented: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    format!("title: t\nid: t\nlogsource: {{product: otel}}\ndetection:\n{indented}")
}

fn matches_in(book: &RuleBook, event: &str) -> Vec<String> {
    let found = offline::match_events(&book.compile(), [event]).expect("an event");
    found.into_iter().map(|found| found.rule).collect()
}

/// Whether one selection matches an event.
fn selects(selection: &str, event: &str) -> bool {
    let text = rule(&format!("sel: {selection}\ncondition: sel"));
    !matches_in(&book(&[("rule.yml", &text)]), event).is_empty()
}

/// Faults of a file as `line:column code`.
fn faults(text: &str) -> Vec<String> {
    let mut book = RuleBook::new();
    let found = book.update_all([("x.yml", text)]);
    assert!(found.iter().all(|fault| fault.gravity == Gravity::Error && fault.file == "x.yml"));
    found.iter().map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.code)).collect()
}

/// Warnings of a file that is sound, as `line:column code`.
fn warnings(text: &str) -> Vec<String> {
    let found: Vec<Diagnostic> = book(&[("x.yml", text)]).warnings();
    assert!(found.iter().all(|warning| warning.gravity == Gravity::Warning));
    found.iter().map(|warning| format!("{}:{} {}", warning.line, warning.column, warning.code)).collect()
}

#[test]
fn parts_of_a_time_are_numbers() {
    let event = r#"{"at": "2026-01-04T23:05:09+02:00", "n": 1767567909000}"#;
    for part in ["minute: 5", "hour: 23", "day: 4", "week: 1", "month: 1", "year: 2026"] {
        assert!(selects(&format!("{{at|{part}}}"), event) && selects(&format!("{{n|{part}}}"), event), "{part}");
    }
    assert!(!selects("{at|hour: 22}", event) && !selects("{missing|hour: 23}", event));
    assert!(selects("{at|hour: [1, 23]}", event) && selects("{at|hour|gte: 22}", event));
    assert!(!selects("{at|hour|lt: 22}", event) && selects("{at|day|neq: 5}", event));
    assert!(!selects("{at|year: 2026}", r#"{"at": "never"}"#));
}

#[test]
fn field_references_go_with_neq_and_anchors() {
    assert!(selects("{a|fieldref|neq: b}", r#"{"a": "x", "b": "y"}"#));
    assert!(!selects("{a|fieldref|neq: b}", r#"{"a": "X", "b": "x"}"#));
    // what is absent differs from nothing
    assert!(!selects("{a|fieldref|neq: b}", r#"{"a": "x"}"#) && !selects("{a|fieldref|neq: b}", r#"{"b": "x"}"#));
    assert!(selects("{a|fieldref|startswith: b}", r#"{"a": "xy", "b": "X"}"#));
    assert!(!selects("{a|fieldref|cased: b}", r#"{"a": "x", "b": "X"}"#));
    assert!(selects("{a|fieldref: [b, c]}", r#"{"a": "x", "c": "x"}"#));
}

#[test]
fn neq_holds_for_texts_numbers_and_lists() {
    assert!(selects("{a|neq: [x, y]}", r#"{"a": "z"}"#) && !selects("{a|neq: [x, y]}", r#"{"a": "Y"}"#));
    assert!(selects("{a|neq: 5}", r#"{"a": 6}"#) && !selects("{a|neq: 5}", r#"{"a": 5.0}"#));
    assert!(selects("{a|contains|neq: x}", r#"{"a": "abc"}"#) && !selects("{a|contains|neq: b}", r#"{"a": "abc"}"#));
    assert!(selects("{a|re|neq: '^b'}", r#"{"a": "abc"}"#));
    assert!(selects("{a|neq: null}", r#"{"a": ""}"#) && !selects("{a|neq: null}", "{}"));
}

#[test]
fn regular_expressions_take_anchors() {
    assert!(selects("{a|re|startswith: 'b|c'}", r#"{"a": "cab"}"#));
    assert!(!selects("{a|re|startswith: 'b|c'}", r#"{"a": "acb"}"#));
    assert!(
        selects("{a|re|endswith: 'b|c'}", r#"{"a": "ac"}"#) && !selects("{a|re|endswith: 'b|c'}", r#"{"a": "ca"}"#)
    );
    assert!(selects("{a|re|contains: 'b'}", r#"{"a": "abc"}"#));
}

#[test]
fn encodings_apply_in_their_order() {
    // of the specification: cmd in UTF-16 is 63 00 6d 00 64 00, with the bytes swapped, or with a byte order mark
    assert!(selects("{a|utf16le: cmd}", r#"{"a": "c\u0000m\u0000d\u0000"}"#));
    assert!(selects("{a|wide|contains: cmd}", r#"{"a": "xc\u0000m\u0000d\u0000x"}"#));
    assert!(selects("{a|utf16be: cmd}", r#"{"a": "\u0000c\u0000m\u0000d"}"#));
    assert!(selects("{a|utf16|base64: cmd}", r#"{"a": "//5jAG0AZAA="}"#));
    // each dash is encoded, not the first alone
    for text in ["LWVuYw==", "L2VuYw==", "4oCTZW5j"] {
        assert!(selects("{a|windash|base64: '-enc'}", &format!(r#"{{"a": "{text}"}}"#)), "{text}");
    }
    assert_eq!(faults(&rule("s: {a|utf16: x}\ncondition: s")), ["5:16 bad-value"]);
    assert_eq!(faults(&rule("s: {a|base64: 'x*'}\ncondition: s")), ["5:17 bad-value"]);
}

#[test]
fn windash_finds_every_combination_of_many_dashes() {
    let selection = "{a|windash|contains: ' -a -b -c -d'}";
    assert!(selects(selection, r#"{"a": "x -a /b \u2013c \u2015d y"}"#));
    assert!(selects(selection, r#"{"a": "X /A /B /C /D"}"#));
    assert!(!selects(selection, r#"{"a": "x -a _b -c -d"}"#));
    // a dash inside a word is none
    assert!(!selects("{a|windash: '-a-b'}", r#"{"a": "/a/b"}"#));
}

#[test]
fn modifiers_that_exclude_each_other_are_refused() {
    for chain in [
        "a|contains|startswith: x",
        "a|re|cidr: x",
        "a|gt|lt: 1",
        "a|exists|all: true",
        "a|cidr|startswith: 10.0.0.0/8",
        "a|hour|contains: 1",
        "a|hour|day: 1",
        "a|i: x",
        "a|re|base64: x",
        "'|exists': true",
    ] {
        let found = faults(&rule(&format!("s:\n  {chain}\ncondition: s")));
        assert!(matches!(found.as_slice(), [one] if one.ends_with("bad-modifier")), "{chain}: {found:?}");
    }
    assert_eq!(faults(&rule("s: {a|hour: noon}\ncondition: s")), ["5:15 wrong-type"]);
    assert_eq!(warnings(&rule("s: {a|contains|all: x}\ncondition: s")), ["5:7 style"]);
}

#[test]
fn so_many_of_the_selections_and_none_that_hide() {
    let text = |condition: &str| {
        rule(&format!("s1: {{a: 1}}\ns2: {{b: 1}}\ns3: {{c: 1}}\n_x: {{d: 1}}\ncondition: {condition}"))
    };
    let holds = |condition: &str, event: &str| !matches_in(&book(&[("x.yml", &text(condition))]), event).is_empty();
    assert!(holds("2 of s*", r#"{"a": 1, "c": 1}"#) && !holds("2 of s*", r#"{"a": 1}"#));
    assert!(holds("3 of them", r#"{"a": 1, "b": 1, "c": 1}"#) && !holds("3 of THEM", r#"{"a": 1, "b": 1, "d": 1}"#));
    assert!(!holds("1 of *", r#"{"d": 1}"#) && holds("1 of _*", r#"{"d": 1}"#) && holds("s1 or _x", r#"{"d": 1}"#));
    assert_eq!(faults(&text("4 of s*")), ["9:14 bad-condition"]);
    assert_eq!(faults(&text("0 of s*")), ["9:14 bad-condition"]);
    let many: String = (0..40).map(|number| format!("s{number}: {{a: {number}}}\n")).collect();
    assert_eq!(faults(&rule(&format!("{many}condition: 20 of them"))), ["45:14 too-large"]);
}

#[test]
fn placeholders_are_filled_in_or_refused() {
    let pipeline = "name: mine\nvars: {admins: ['root', 'adm_*'], ports: [22, 3389], hosts: [a.example, b.example]}\n";
    let fills = |selection: &str, event: &str| {
        let text = rule(&format!("sel: {selection}\ncondition: sel"));
        !matches_in(&book(&[("pipelines/mine.yml", pipeline), ("rule.yml", &text)]), event).is_empty()
    };
    assert!(fills("{u|expand: '%admins%'}", r#"{"u": "ADM_x"}"#) && !fills("{u|expand: '%admins%'}", r#"{"u": "x"}"#));
    assert!(fills("{p|expand: '%ports%'}", r#"{"p": 3389}"#) && fills("{p|gt|expand: '%ports%'}", r#"{"p": 23}"#));
    assert!(fills("{u|expand|contains: '@%hosts%:%ports%'}", r#"{"u": "x@b.example:22/"}"#));
    assert!(fills(r"{u|re|expand: '^\w+@%hosts%$'}", r#"{"u": "x@b.example"}"#));
    assert!(!fills(r"{u|re|expand: '^\w+@%hosts%$'}", r#"{"u": "x@bXexample"}"#));
    // without the modifier, and behind a backslash, a percent sign is one
    assert!(fills("{u: '%admins%'}", r#"{"u": "%admins%"}"#) && !fills("{u: '%admins%'}", r#"{"u": "root"}"#));
    assert!(fills(r"{u|expand: '\%plain%admins%'}", r#"{"u": "%plainroot"}"#));
    let found = RuleBook::new().update_all([("x.yml", rule("s: {u|expand: '%nobody%'}\ncondition: s").as_str())]);
    assert_eq!((found[0].code, found[0].line, found[0].column), ("unset-placeholder", 5, 17));
    assert!(found[0].hint.contains("vars: {nobody:"), "{}", found[0].hint);
}

#[test]
fn new_values_of_placeholders_reach_the_rules_and_change_their_version() {
    let text = rule("s: {u|expand: '%admins%'}\ncondition: s");
    let mut book = book(&[("pipelines/p.yml", "name: p\nvars: {admins: [root]}\n"), ("rule.yml", &text)]);
    let version = |book: &RuleBook| book.files().iter().find_map(|file| Some(file.rules.first()?.info.version.clone()));
    let before = version(&book);
    assert_eq!(matches_in(&book, r#"{"u": "admin"}"#), Vec::<String>::new());
    book.update("pipelines/p.yml", "name: p\nvars: {admins: [root, admin]}\n").expect("valid");
    assert_eq!(matches_in(&book, r#"{"u": "admin"}"#), ["t"]);
    assert_ne!(before, version(&book));
    // an invalid edit of a pipeline never replaces a valid one
    assert!(book.update("pipelines/p.yml", "name: p\nvars: [admins]\n").is_err());
    assert_eq!(matches_in(&book, r#"{"u": "admin"}"#), ["t"]);
    // a rule whose placeholder lost its values stays in force as it was, and says so
    book.remove("pipelines/p.yml");
    let files = book.files();
    assert_eq!((files.len(), files[0].diagnostics[0].code), (1, "unset-placeholder"));
    assert_eq!(matches_in(&book, r#"{"u": "admin"}"#), ["t"]);
}

#[test]
fn filters_narrow_rules_of_their_log_source() {
    let rules = "title: a\nid: a\nlogsource: {product: windows, category: process_creation}\ndetection: {s: {x: 1}, condition: s}\n---\n\
                 title: b\nid: b\nlogsource: {product: linux}\ndetection: {s: {x: 1}, condition: s}\n";
    let narrowed = |source: &str, of: &str| {
        let filter = format!(
            "title: f\nlogsource: {source}\nfilter: {{rules: {of}, ours: {{user|startswith: adm_}}, condition: not ours}}\n"
        );
        let book = book(&[("rules.yml", rules), ("filter.yml", &filter)]);
        let idle: Vec<_> =
            book.warnings().iter().map(|warning| warning.code).filter(|code| *code == "idle-filter").collect();
        (matches_in(&book, r#"{"x": 1, "user": "adm_1"}"#).join(" "), idle.len())
    };
    assert_eq!(narrowed("{product: windows}", "any"), ("b".to_owned(), 0));
    assert_eq!(narrowed("{product: windows}", "[]"), ("b".to_owned(), 0));
    assert_eq!(narrowed("{product: windows}", "[a, b]"), ("b".to_owned(), 0));
    assert_eq!(narrowed("{product: linux}", "b"), ("a".to_owned(), 0));
    assert_eq!(narrowed("{category: process_creation}", "all"), ("b".to_owned(), 0));
    assert_eq!(narrowed("{product: macos}", "[a]"), ("a b".to_owned(), 1));
    assert_eq!(faults("title: f\nlogsource: {product: x}\nfilter: {s: {x: 1}, condition: s}\n"), ["3:9 missing-key"]);
    let filter = "title: f\nlogsource: {product: windows}\nfilter: {rules: any, s: {x|re: 'a'}, condition: s}\n---\n";
    let many = format!("{}{rules}", filter.repeat(70));
    // without an id or a name, rules go by their title
    assert!(faults(&many).iter().all(|fault| fault.ends_with("duplicate-rule")));
    let many: String = (0..70).map(|number| filter.replace("title: f", &format!("title: f{number}"))).collect();
    assert_eq!(faults(&format!("{many}{rules}")), ["281:1 too-large"]);
}

#[test]
fn collections_of_sigma_1_are_unfolded() {
    let text = "action: global\ntitle: all\nlogsource: {product: otel}\nlevel: high\n---\n\
                id: one\ndetection: {s: {x: 1}, condition: s}\n---\n\
                action: repeat\nid: two\ndetection: {s: {x: 2}}\n---\n\
                action: reset\n---\n\
                title: own\nid: three\nlogsource: {product: otel}\ndetection: {s: {x: 3}, condition: s}\n";
    let book = book(&[("x.yml", text)]);
    let files = book.files();
    let read: Vec<_> =
        files[0].rules.iter().map(|rule| format!("{} {} {}", rule.info.id, rule.info.title, rule.info.level)).collect();
    assert_eq!(read, ["one all high", "two all high", "three own medium"]);
    for (number, id) in ["one", "two", "three"].iter().enumerate() {
        assert_eq!(matches_in(&book, &format!(r#"{{"x": {}}}"#, number + 1)), [*id]);
    }
    assert_eq!(
        faults("action: repeat\ntitle: x\n---\ntitle: y\ndetection: {s: {x: 1}, condition: s}\n"),
        ["1:9 bad-value"]
    );
    assert_eq!(
        faults("action: glboal\ntitle: x\n---\ntitle: y\ndetection: {s: {x: 1}, condition: s}\n"),
        ["1:9 bad-value"]
    );
}

#[test]
fn authors_may_add_keys_at_the_top_and_nowhere_else() {
    let text = |more: &str| format!("{more}{}", rule("s: {x: 1}\ncondition: s"));
    assert_eq!(warnings(&text("ticket_number: 7\n")), ["1:1 custom-key"]);
    assert_eq!(
        warnings(&rule("s: {x: 1}\ncondition: s").replace("otel}", "otel, retention: 30d}")),
        ["3:28 custom-key"]
    );
    // what looks like a key that has a meaning is not taken for one that has none
    assert_eq!(faults(&text("referenzes: [x]\n")), ["1:1 unknown-key"]);
    assert_eq!(faults(&rule("s: {x: 1}\ncondition: s").replace("product", "produkt")), ["3:13 unknown-key"]);
    assert_eq!(faults(&text("related: [{id: x, type: sibling}]\n")), ["1:25 bad-value"]);
    assert_eq!(faults(&text("related: [{id: x, type: derived, why: y}]\n")), ["1:34 unknown-key"]);
    assert_eq!(faults(&text(&format!("name: {}\n", "n".repeat(257)))), ["1:7 too-large"]);
    assert_eq!(warnings(&text("date: 2026/01/01\ntags: [attack.t1110, Loud]\n")), ["1:7 style", "2:22 style"]);
    assert_eq!(warnings(&text("taxonomy: ecs\n")), ["1:11 style"]);
    // without a log source a rule looks at spans and logs
    assert_eq!(warnings("title: t\ndetection: {s: {x: 1}, condition: s}\n"), Vec::<String>::new());
    assert_eq!(warnings(&text("")), Vec::<String>::new());
}

#[test]
fn ordered_correlations_may_name_every_rule_in_a_condition() {
    let steps = "title: a\nname: a\nlogsource: {product: otel}\ndetection: {s: {x: 1}, condition: s}\n---\n\
                 title: b\nname: b\nlogsource: {product: otel}\ndetection: {s: {x: 2}, condition: s}\n---\n";
    let text = |rules: &str, condition: &str| {
        format!(
            "{steps}title: c\nid: c\ncorrelation:\n  type: temporal_ordered\n  rules: {rules}\n  timespan: 5m\n  condition: {condition}\n"
        )
    };
    let lines = [r#"{"x": 1, "ts": 1000}"#, r#"{"x": 2, "ts": 2000}"#];
    let book = book(&[("x.yml", &text("[a, b]", "a AND b"))]);
    let alerts = offline::replay(&book.compile(), lines, "ts", "id").expect("replayed");
    assert_eq!(alerts.iter().map(|alert| (alert.rule.as_str(), alert.at_ms)).collect::<Vec<_>>(), [("c", 2_000)]);
    assert_eq!(faults(&text("[a, b]", "a or b")), ["17:14 bad-condition"]);
    assert_eq!(faults(&text("[a, b]", "a")), ["17:14 bad-condition"]);
    assert_eq!(faults(&text("[a, a]", "a")), ["15:14 bad-value"]);
}
