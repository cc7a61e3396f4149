//! The rule language: what matches what, and what is reported where.

use rules::{Diagnostic, RuleBook, offline};

/// Whether a detection, given as the lines below `detection:`, matches an event.
fn matches(detection: &str, event: &str) -> bool {
    let indented: String = detection.lines().map(|line| format!("  {line}\n")).collect();
    let mut book = RuleBook::new();
    book.update("rule.yml", &format!("title: t\nid: t\ndetection:\n{indented}")).expect("a valid rule");
    !offline::match_events(&book.compile(), [event]).expect("an event").is_empty()
}

/// Whether one selection matches an event.
fn selects(selection: &str, event: &str) -> bool {
    matches(&format!("sel: {selection}\ncondition: sel"), event)
}

#[test]
fn text_compares_without_case_unless_cased() {
    assert!(selects("{a: Admin}", r#"{"a": "aDMIN"}"#) && !selects("{a|cased: Admin}", r#"{"a": "aDMIN"}"#));
    assert!(
        selects("{a|contains|cased: Min}", r#"{"a": "adMin"}"#)
            && !selects("{a|contains|cased: Min}", r#"{"a": "admin"}"#)
    );
    assert!(selects("{a: 'ad*n'}", r#"{"a": "ADMIN"}"#) && !selects("{a: 'ad?n'}", r#"{"a": "admin"}"#));
    assert!(selects(r"{a: 'c:\x\*'}", r#"{"a": "C:\\x*"}"#) && !selects(r"{a: 'c:\x\*'}", r#"{"a": "C:\\x1"}"#));
}

#[test]
fn anchors_lists_and_all() {
    assert!(
        selects("{a|startswith: [x, /adm]}", r#"{"a": "/Admin"}"#)
            && !selects("{a|startswith: dmin}", r#"{"a": "admin"}"#)
    );
    assert!(selects("{a|endswith: .exe}", r#"{"a": "x.EXE"}"#) && !selects("{a|endswith: .exe}", r#"{"a": "x.exe "}"#));
    assert!(
        selects("{a|contains: [q, w]}", r#"{"a": "sword"}"#)
            && !selects("{a|contains|all: [q, w]}", r#"{"a": "sword"}"#)
    );
    assert!(selects("{a|contains|all: [s, w]}", r#"{"a": "sword"}"#));
    assert!(selects("[{a: 1}, {b: 2}]", r#"{"b": 2}"#) && !selects("{a: 1, b: 2}", r#"{"b": 2}"#));
}

#[test]
fn numbers_compare_as_numbers_and_as_text() {
    assert!(
        selects("{a: 401}", r#"{"a": 401}"#)
            && selects("{a: 401}", r#"{"a": "401"}"#)
            && selects("{a: '401'}", r#"{"a": 401}"#)
    );
    assert!(
        selects("{a: 1.50}", r#"{"a": 1.5}"#)
            && selects("{a: 0x10}", r#"{"a": 16}"#)
            && !selects("{a: 40}", r#"{"a": 401}"#)
    );
    assert!(
        selects("{a|gte: 500}", r#"{"a": 500}"#)
            && selects("{a|gt: 1.5}", r#"{"a": "2"}"#)
            && selects("{a|lt: -1}", r#"{"a": -2}"#)
    );
    assert!(!selects("{a|lte: 5}", r#"{"a": "many"}"#) && !selects("{a|lt: 5}", r#"{"b": 1}"#));
    assert!(selects("{a|startswith: 4}", r#"{"a": 404}"#));
}

#[test]
fn absence_null_and_emptiness_differ() {
    assert!(
        selects("{a: null}", r#"{"b": 1}"#)
            && selects("{a: null}", r#"{"a": null}"#)
            && !selects("{a: null}", r#"{"a": ""}"#)
    );
    assert!(selects("{a: ''}", r#"{"a": ""}"#) && !selects("{a: ''}", r#"{"b": ""}"#));
    assert!(selects("{a: [null, x]}", r#"{"b": 1}"#) && selects("{a: [null, x]}", r#"{"a": "x"}"#));
    assert!(selects("{a|exists: true}", r#"{"a": ""}"#) && selects("{a|exists: false}", r#"{"b": ""}"#));
    // an absent field makes the item false, and so its negation true
    assert!(matches("sel: {a: x}\ncondition: not sel", r#"{"b": 1}"#));
    assert!(
        selects("{a|neq: x}", r#"{"a": "y"}"#)
            && !selects("{a|neq: x}", r#"{"a": "X"}"#)
            && !selects("{a|neq: x}", "{}")
    );
}

#[test]
fn regular_expressions_networks_and_field_references() {
    assert!(selects("{a|re: 'b+c$'}", r#"{"a": "abbc"}"#) && !selects("{a|re: 'B+c'}", r#"{"a": "abbc"}"#));
    assert!(selects("{a|re|i: 'B+C'}", r#"{"a": "abbc"}"#) && selects("{a|re|s: 'a.b'}", r#"{"a": "a\nb"}"#));
    assert!(selects("{a|re|m: '^b'}", r#"{"a": "a\nb"}"#) && !selects("{a|re: '^b'}", r#"{"a": "a\nb"}"#));
    assert!(
        selects("{a|cidr: [10.0.0.0/8, 'fd00::/8']}", r#"{"a": "10.9.8.7"}"#)
            && selects("{a|cidr: 'fd00::/8'}", r#"{"a": "fd00::1"}"#)
    );
    assert!(
        !selects("{a|cidr: 10.0.0.0/8}", r#"{"a": "11.0.0.1"}"#)
            && !selects("{a|cidr: 10.0.0.0/8}", r#"{"a": "host"}"#)
    );
    assert!(selects("{a|fieldref: b}", r#"{"a": "X", "b": "x"}"#) && !selects("{a|fieldref: b}", r#"{"a": "x"}"#));
    assert!(selects("{a|fieldref|endswith: b}", r#"{"a": "wx", "b": "x"}"#));
    // the same pattern with other flags is another question
    assert!(!matches("one: {a|re|i: X}\ntwo: {a|re: X}\ncondition: one and two", r#"{"a": "x"}"#));
}

#[test]
fn encodings() {
    assert!(selects("{a|base64: foobar}", r#"{"a": "Zm9vYmFy"}"#));
    for text in ["Zm9vYmFy", "LWZvb2Jhcg==", "LS1mb29iYXI="] {
        assert!(selects("{a|base64offset|contains: foobar}", &format!(r#"{{"a": "x{text}"}}"#)), "{text}");
    }
    assert!(selects("{a|wide|base64offset|contains: hi}", r#"{"a": "aABpAA=="}"#));
    for dash in ["-", "/", "\u{2013}", "\u{2014}", "\u{2015}"] {
        assert!(selects("{a|windash|contains: ' -enc '}", &format!(r#"{{"a": "ps {dash}enc x"}}"#)), "{dash}");
    }
    assert!(!selects("{a|contains: ' -enc '}", r#"{"a": "ps /enc x"}"#));
}

#[test]
fn keywords_look_everywhere() {
    assert!(selects("[evil, bad]", r#"{"x": {"y": "so EVIL"}}"#) && !selects("[evil]", r#"{"x": "good"}"#));
    assert!(
        selects("{'|all': [a1, b2]}", r#"{"x": "a1", "y": "b2"}"#) && !selects("{'|all': [a1, b2]}", r#"{"x": "a1"}"#)
    );
}

#[test]
fn nested_objects_lists_and_other_names_are_found() {
    assert!(selects("{http.response.status_code: 401}", r#"{"http": {"response": {"status_code": 401}}}"#));
    assert!(selects("{http.response.status_code: 401}", r#"{"http.status_code": 401}"#));
    assert!(
        selects("{user.roles: admin}", r#"{"user.roles": ["staff", "admin"]}"#)
            && !selects("{user.roles: adm}", r#"{"user.roles": ["admin"]}"#)
    );
}

#[test]
fn conditions() {
    let parts = "a: {x: 1}\nb1: {y: 1}\nb2: {z: 1}\n_n: {n: 1}\n";
    let holds = |condition: &str, event: &str| matches(&format!("{parts}condition: {condition}"), event);
    assert!(holds("a and not b1 or b2", r#"{"z": 1}"#) && !holds("a and (not b1 or b2)", r#"{"z": 1}"#));
    assert!(
        holds("1 of b*", r#"{"y": 1}"#)
            && !holds("all of b*", r#"{"y": 1}"#)
            && holds("all of b*", r#"{"y": 1, "z": 1}"#)
    );
    assert!(holds("all of them", r#"{"x": 1, "y": 1, "z": 1}"#) && !holds("1 of them", r#"{"n": 1}"#));
    assert!(holds("not 1 of b*", "{}") && holds("NOT a AND any of b*", r#"{"z": 1}"#));
    assert!(holds("[a and b1, b2]", r#"{"z": 1}"#) && !holds("[a and b1, b2]", r#"{"y": 1}"#));
}

/// The faults of a file as `line:column code`.
fn faults(text: &str) -> Vec<String> {
    let found = rules::check("x.yml", text).expect_err("an invalid rule");
    assert!(found.iter().all(|fault: &Diagnostic| fault.file == "x.yml" && !fault.message.is_empty()));
    found.iter().map(|fault| format!("{}:{} {}", fault.line, fault.column, fault.code)).collect()
}

#[test]
fn every_fault_has_its_place() {
    let rule = |detection: &str| format!("title: t\ndetection:\n{detection}");
    let cases = [
        ("title: [t\n".to_owned(), "1:8 yaml"),
        ("- 1\n".to_owned(), "1:1 wrong-type"),
        ("title: t\n".to_owned(), "1:1 missing-key"),
        (rule("  a: {x: 1}\n"), "3:3 missing-key"),
        (rule("  a: {x: 1}\n  condition: a\nlevle: high\n"), "5:1 unknown-key"),
        (rule("  a: {x: 1}\n  condition: a\nlevel: hihg\n"), "5:8 bad-value"),
        (rule("  a: {x: 1}\n  a: {x: 2}\n  condition: a\n"), "4:3 duplicate-key"),
        (rule("  a: {x|contians: 1}\n  condition: a\n"), "3:7 bad-modifier"),
        (rule("  a: {x|re: '(a'}\n  condition: a\n"), "3:13 bad-regex"),
        (rule("  a: {x|gte: many}\n  condition: a\n"), "3:14 wrong-type"),
        (rule("  a: {x|cidr: 10.0.0.0/99}\n  condition: a\n"), "3:15 bad-value"),
        (rule("  a: {x: 1}\n  condition: a and b\n"), "4:20 unknown-selection"),
        (rule("  a: {x: 1}\n  condition: a and\n"), "4:19 bad-condition"),
        (rule("  a: {x: 1}\n  condition: (a\n"), "4:14 bad-condition"),
        (rule("  a: {x: 1}\n  condition: a | count() > 3\n"), "4:16 bad-condition"),
        (rule("  a: {x: {y: 1}}\n  condition: a\n"), "3:10 wrong-type"),
        (rule("  a: {x: 1}\n  condition: a\ntests: [{name: n, expect: maybe, events: []}]\n"), "5:27 bad-value"),
        ("x".repeat(600_000).to_owned(), "1:1 too-large"),
        (format!("title: t\ndetection: {}{}", "[".repeat(40), "]".repeat(40)), "2:35 too-large"),
    ];
    let wrong = cases.iter().filter(|(text, expected)| faults(text) != [*expected]);
    let wrong: Vec<_> =
        wrong.map(|(text, expected)| (text.chars().take(120).collect::<String>(), expected, faults(text))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn correlation_faults_have_their_place() {
    let base = "title: a\nname: a\ndetection: {s: {x: 1}, condition: s}\n---\ntitle: c\n";
    let correlation = |text: &str| format!("{base}correlation:\n{text}");
    let whole = "  type: event_count\n  rules: [a]\n  timespan: 5m\n  condition: {gte: 2}\n";
    assert!(rules::check("x.yml", &correlation(whole)).is_ok());
    assert_eq!(faults(&correlation(&whole.replace("[a]", "[b]"))), ["8:11 unknown-rule"]);
    assert_eq!(faults(&correlation(&whole.replace("event_count", "event_cuont"))), ["7:9 unknown-type"]);
    assert_eq!(faults(&correlation(&whole.replace("5m", "5 minutes"))), ["9:13 bad-value"]);
    assert_eq!(faults(&correlation(&whole.replace("gte", "gtee"))), ["10:15 unknown-key"]);
    assert_eq!(faults(&correlation(&whole.replace("event_count", "value_count"))), ["10:14 missing-key"]);
    assert_eq!(faults(&correlation(&whole.replace("rules", "rulez"))).len(), 2);
    let circle = "title: a\nname: a\ncorrelation: {type: event_count, rules: [b], timespan: 5m, condition: {gte: 2}}\n---\n\
                  title: b\nname: b\ncorrelation: {type: event_count, rules: [a], timespan: 5m, condition: {gte: 2}}\n";
    assert_eq!(faults(circle), ["3:42 cycle", "7:42 cycle"]);
    let doubled = "title: a\nid: a\ndetection: {s: {x: 1}, condition: s}\n---\ntitle: b\nid: a\ndetection: {s: {x: 1}, condition: s}\n";
    assert_eq!(faults(doubled), ["5:1 duplicate-rule"]);
}

#[test]
fn trace_pattern_faults_have_their_place() {
    let step =
        |name: &str| format!("title: {name}\nname: {name}\ndetection: {{s: {{x: {name}}}, condition: s}}\n---\n");
    let steps: String = ["pay", "authz", "entry"].map(step).concat();
    let lines = steps.lines().count() + 2;
    let pattern = |rest: &str| format!("{steps}title: t\ncorrelation:\n  type: trace_pattern\n{rest}");
    let whole = "  rules: [pay, authz, entry]\n  where: pay and entry and not authz\n";
    assert!(rules::check("x.yml", &pattern(whole)).is_ok());
    // line 2 of what follows `type` is the third after `correlation`
    let cases = [
        ("  rules: []\n", "0:3 missing-key"),
        ("  rules: [pay, pay]\n", "2:16 bad-value"),
        ("  rules: [pay, authy]\n", "2:16 unknown-rule"),
        ("  rules: [a, b, c, d, e, f, g, h, i]\n", "2:35 too-large"),
        ("  rules: [pay]\n  timespan: soon\n", "3:13 bad-value"),
        ("  rules: [pay]\n  timespan: 2d\n", "3:13 bad-value"),
        ("  rules: [pay]\n  condition: pay\n", "3:3 unknown-key"),
        ("  rules: [pay]\n  where: pay and autz\n", "3:18 unknown-selection"),
        ("  rules: [pay, authz]\n  where: not pay and not authz\n", "3:10 bad-value"),
        ("  rules: [pay, authz]\n  where: pay\n", "3:10 bad-value"),
        ("  rules: [pay, authz]\n  where: pay or (authz and not pay)\n", "3:10 bad-value"),
        ("  rules: [pay, entry]\n  relate: [pay below entry]\n", "3:16 bad-value"),
        ("  rules: [pay, entry]\n  relate: [pay child_of]\n", "3:12 bad-value"),
        ("  rules: [pay, entry]\n  relate: [pay child_of entri]\n", "3:25 unknown-rule"),
        ("  rules: [pay, entry]\n  relate: {pay: entry}\n", "3:11 wrong-type"),
        ("  rules: [pay]\n  relate: [pay child_of pay]\n", "3:12 cycle"),
        ("  rules: [pay, entry]\n  relate: [pay child_of entry, entry descendant_of pay]\n", "3:32 cycle"),
        ("  rules: [pay, entry]\n  relate: [pay sibling_of entry, pay child_of entry]\n", "3:34 cycle"),
        (
            "  rules: [pay, authz, entry]\n  where: pay and not authz and not entry\n  relate: [authz child_of entry]\n",
            "4:12 bad-value",
        ),
        ("  rules: [pay, entry]\n  compare: [pay.user.id = entry.user.id]\n", "3:25 bad-value"),
        ("  rules: [pay, entry]\n  compare: [pay.user.id != user.id]\n", "3:28 unknown-rule"),
        ("  rules: [pay, entry]\n  compare: [pay.user.id]\n", "3:13 bad-value"),
        ("  rules: [pay]\n  path: 'gateway > > *'\n", "3:9 bad-value"),
        ("  rules: [pay]\n  complete: true\n", "3:13 wrong-type"),
        ("  rules: [pay]\n  complete: {root: maybe}\n", "3:20 wrong-type"),
        ("  rules: [pay]\n  complete: {rooted: true}\n", "3:14 unknown-key"),
        ("  rules: [pay]\n  complete: {quiet: 0s}\n", "3:21 bad-value"),
        ("  rules: [pay]\n  complete: {quiet: 5m}\n", "3:21 bad-value"),
        ("  rules: [pay]\n  alias: {culprit: service.name}\n", "3:20 unknown-rule"),
        ("  rules: [pay]\n  alias: [pay.service.name]\n", "3:10 wrong-type"),
        ("  rules: [pay, authz]\n  where: pay and not authz\n  group-by: [authz.user.id]\n", "4:14 bad-value"),
    ];
    let place = |expected: &str| {
        let (line, place) = expected.split_once(':').expect("a place");
        // a missing key is reported where the map begins: at its first key
        format!("{}:{place}", lines + line.parse::<usize>().expect("a line").max(1))
    };
    let wrong = cases.iter().map(|(rest, expected)| (*rest, place(expected), faults(&pattern(rest))));
    let wrong: Vec<_> = wrong.filter(|(_, expected, found)| *found != [expected.clone()]).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let over =
        |input: &str| pattern("  rules: [pay]\n").replace("  rules: [pay]", &format!("  rules: [{input}]")) + "---\n";
    let logs = "title: l\nname: l\nlogsource: {category: log}\ndetection: {s: {x: 1}, condition: s}\n";
    assert_eq!(faults(&(over("l") + logs)), [format!("{}:11 bad-value", lines + 2)]);
    let count =
        "title: n\nname: n\ncorrelation: {type: event_count, rules: [pay], timespan: 5m, condition: {gte: 2}}\n";
    assert_eq!(faults(&(over("n") + count)), [format!("{}:11 bad-value", lines + 2)]);
    let found = rules::check("x.yml", &pattern("  rules: [pay, entry]\n  relate: [pay child_off entry]\n"))
        .expect_err("invalid");
    assert_eq!(
        (found[0].message.as_str(), found[0].hint.as_str()),
        ("there is no relation \"child_off\"", "did you mean \"child_of\"?")
    );
}

#[test]
fn hints_name_the_nearest_word() {
    let found =
        rules::check("x.yml", "title: t\nlevle: high\ndetection: {a: {x: 1}, condition: a}\n").expect_err("invalid");
    assert_eq!(found[0].hint, "did you mean \"level\"?");
    assert_eq!(found[0].to_string(), "x.yml:2:1: a rule has no key \"levle\" [unknown-key] (did you mean \"level\"?)");
}

#[test]
fn anchors_work_within_a_budget() {
    assert!(rules::check("x.yml", "title: t\ndetection:\n  a: &a {x: [1, 2]}\n  b: *a\n  condition: a or b\n").is_ok());
    let mut bomb = "title: t\nx0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n".to_owned();
    for level in 1..9 {
        let inner = format!("*x{}", level - 1);
        bomb.push_str(&format!("x{level}: &x{level} [{}]\n", [inner.as_str(); 10].join(", ")));
    }
    assert!(faults(&bomb)[0].ends_with("too-large"));
}

#[test]
fn an_invalid_text_never_replaces_a_valid_one() {
    let good = "title: t\nid: t\ndetection: {a: {x: 1}, condition: a}\n";
    let mut book = RuleBook::new();
    book.update("x.yml", good).expect("valid");
    let version = book.files()[0].rules[0].info.version.clone();
    assert!(book.update("x.yml", "title: t\nid: t\ndetection: {a: {x: 1}, condition: b}\n").is_err());
    let files = book.files();
    assert_eq!((files[0].text, files[0].diagnostics.len(), files[0].rules.len()), (good, 1, 1));
    assert_eq!(book.compile().len(), 1);
    // layout does not change the version, meaning does
    book.update("x.yml", "# same\ntitle: other words\nid: t\ndetection:\n  a:\n    x: 1\n  condition: a\n")
        .expect("valid");
    assert_eq!(book.files()[0].rules[0].info.version, version);
    book.update("x.yml", &good.replace("x: 1", "x: 2")).expect("valid");
    assert_ne!(book.files()[0].rules[0].info.version, version);
}

#[test]
fn references_cross_files_in_any_order() {
    let base = "title: base\nname: base\ndetection: {a: {x: 1}, condition: a}\n";
    let over =
        "title: over\nname: over\ncorrelation: {type: event_count, rules: [base], timespan: 5m, condition: {gte: 2}}\n";
    let mut book = RuleBook::new();
    assert_eq!(book.update_all([("a-over.yml", over), ("b-base.yml", base)]), []);
    assert_eq!(book.compile().len(), 2);
    book.remove("b-base.yml");
    assert_eq!((book.compile().len(), book.broken_links()[0].code), (0, "unknown-rule"));
    let mut book = RuleBook::new();
    assert!(book.update("a-over.yml", over).is_err());
    book.update("b-base.yml", base).expect("valid");
    assert_eq!((book.compile().len(), book.files()[0].diagnostics.len()), (2, 0));
}

#[test]
fn referred_rules_are_silent_unless_they_say_otherwise() {
    let file = |base: &str, over: &str| {
        format!(
            "title: base\nname: base\n{base}detection: {{a: {{x: 1}}, condition: a}}\n---\ntitle: over\nname: over\n{over}\
                 correlation: {{type: event_count, rules: [base], timespan: 5m, condition: {{gte: 2}}}}\n"
        )
    };
    let lines = [r#"{"x": 1, "ts": 1000}"#, r#"{"x": 1, "ts": "1970-01-01T00:00:02Z"}"#];
    let raised = |text: String| -> Vec<String> {
        let mut book = RuleBook::new();
        book.update("x.yml", &text).expect("valid");
        let alerts = offline::replay(&book.compile(), lines, "ts", "id").expect("replayed");
        alerts.into_iter().map(|alert| format!("{} {}", alert.rule, alert.at_ms)).collect()
    };
    assert_eq!(raised(file("", "")), ["over 2000"]);
    assert_eq!(raised(file("generate: true\n", "")), ["base 1000", "base 2000", "over 2000"]);
    assert_eq!(raised(file("", "generate: true\n")), ["base 1000", "base 2000", "over 2000"]);
}

#[test]
fn replay_prints_the_agreed_json() {
    let rule = "title: c\nid: c-1\nname: c\ncorrelation: {type: value_count, rules: [b], group-by: [who], timespan: 10s, \
                condition: {field: ip, gte: 2}, aliases: {who: {b: user}}}\n---\n\
                title: b\nname: b\ndetection: {a: {ev: x}, condition: a}\n";
    let mut book = RuleBook::new();
    book.update("x.yml", rule).expect("valid");
    let lines = [
        r#"{"ts": 20000, "ev": "x", "user": "U", "ip": "2", "id": 9}"#,
        "",
        r#"{"ts": 10000, "ev": "x", "user": "u", "ip": "1", "id": "k"}"#,
        r#"{"ts": 20001, "ev": "x", "ip": "3", "id": 5}"#,
    ];
    let alerts = offline::replay(&book.compile(), lines, "ts", "id").expect("replayed");
    let printed: Vec<String> = alerts.iter().map(|alert| alert.to_json().to_string()).collect();
    assert_eq!(printed, [r#"{"rule":"c-1","group":{"who":"u"},"at_ms":20000,"event_ids":[9,"k"]}"#]);
    let fault = offline::replay(&book.compile(), [r#"{"id": 1}"#], "ts", "id").expect_err("no time");
    assert_eq!(fault.to_string(), "line 1: no field \"ts\"");
    assert_eq!(
        offline::match_events(&book.compile(), ["", "[]"]).expect_err("a list").to_string(),
        "line 2: an event must be a JSON object"
    );
}
