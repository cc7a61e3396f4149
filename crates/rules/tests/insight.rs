//! Explanations, coverage and conversions: what people ask of a rule besides running it.

use model::{TimeRange, UnixNanos};
use rules::RuleBook;
use rules::convert::{ConvertError, Converted, Target, convert};
use rules::coverage::{Seen, coverage, navigator, techniques};
use rules::explain::{self, ExplainLimits, Part};

const RULES: &str = r#"
title: failed login
id: failed
name: failed
logsource: {product: otel, category: span}
tags: [attack.t1110.001]
detection:
  login: {kind: server, http.route|endswith: /login}
  refused:
    - http.response.status_code: [401, 403]
    - auth.outcome: failure
  probe: {user_agent.original|contains: Probe}
  condition: login and refused and not probe
---
title: many failed logins
id: many
level: high
tags: [attack.credential-access, attack.t1110, owasp.api2]
correlation: {type: event_count, rules: [failed], group-by: [user.id], timespan: 5m, condition: {gte: 3}}
---
title: no log after it
id: absent
tags: [attack.t1562]
correlation: {type: temporal, condition: failed and not seen, group-by: [user.id], timespan: 10m}
---
title: seen in a log
id: seen
name: seen
logsource: {product: otel, category: log}
detection: {s: {body|contains: login refused}, condition: s}
"#;

fn book() -> RuleBook {
    let mut book = RuleBook::new();
    book.update("rules.yml", RULES).expect("valid");
    book
}

fn event(second: u32, user: &str, status: u16) -> String {
    format!(
        r#"{{"ts":"2026-11-27T10:00:{second:02}Z","kind":"server","http.route":"/api/Login","http.status_code":{status},"user":{{"id":"{user}"}}}}"#
    )
}

fn atoms<'p>(part: &'p Part, found: &mut Vec<&'p explain::AtomJudgement>) {
    match part {
        Part::Atom(atom) => found.push(atom),
        Part::Not(_, part) => atoms(part, found),
        Part::All(_, parts) | Part::Any(_, parts) => parts.iter().for_each(|part| atoms(part, found)),
    }
}

#[test]
fn an_explanation_says_which_parts_hold_and_where_values_were_found() {
    let set = book().compile();
    let line = event(1, "ann", 401);
    let found = explain::lines(&set, "failed", [line.as_str()], "ts", ExplainLimits::default()).expect("is JSON");
    let found = found.expect("there is such a rule");
    let judgement = &found.events[0].judgements[0];
    assert!(judgement.holds && judgement.applies && judgement.condition.holds());
    let mut all = Vec::new();
    atoms(&judgement.condition, &mut all);
    let of = |field: &str| *all.iter().find(|atom| atom.field.as_deref() == Some(field)).expect("is asked");
    let status = of("http.response.status_code");
    assert_eq!(status.value.as_deref(), Some("401"));
    assert_eq!(status.source.as_deref(), Some("attribute http.status_code"), "found under its former name");
    let route = of("http.route");
    assert_eq!((route.holds, route.asks.as_str()), (true, "ends with \"/login\""), "case does not count");
    let (outcome, agent) = (of("auth.outcome"), of("user_agent.original"));
    assert_eq!((outcome.holds, &outcome.value, &outcome.source), (false, &None, &None));
    assert!(!agent.holds, "what stands under not does not hold, and so the condition does");
    assert!(found.state.is_none());

    let line = event(1, "ann", 200);
    let found = explain::lines(&set, "failed", [line.as_str()], "ts", ExplainLimits::default()).expect("is JSON");
    assert!(!found.expect("there is such a rule").events[0].judgements[0].holds);
    let unknown = explain::lines(&set, "none", [line.as_str()], "ts", ExplainLimits::default()).expect("is JSON");
    assert!(unknown.is_none());
}

#[test]
fn an_explanation_of_a_correlation_tells_counts_and_deadlines() {
    let set = book().compile();
    let lines = [event(3, "bob", 401), event(1, "ann", 401), event(2, "ann", 403)];
    let lines = || lines.iter().map(String::as_str);
    let found = explain::lines(&set, "many", lines(), "ts", ExplainLimits::default()).expect("is JSON").expect("known");
    assert_eq!(found.events.iter().map(|event| event.event.as_str()).collect::<Vec<_>>(), ["1", "2", "0"], "by time");
    assert!(found.detections.is_empty());
    let state = found.state.expect("a correlation remembers");
    assert_eq!((state.asks.as_str(), state.groups_total), ("at least 3", 2));
    assert_eq!(state.groups[0].group, [("user.id".to_owned(), "bob".to_owned())], "the latest first");
    assert_eq!((state.groups[1].metric, state.groups[1].events[0].1), (Some(2.0), 2));

    let one_more = event(4, "ann", 401);
    let found = explain::lines(&set, "many", lines().chain([one_more.as_str()]), "ts", ExplainLimits::default());
    let found = found.expect("is JSON").expect("known");
    assert_eq!(found.detections.len(), 1, "the third refusal of one user");

    let absent = explain::lines(&set, "absent", lines(), "ts", ExplainLimits { events: 1, groups: 1 });
    let absent = absent.expect("is JSON").expect("known");
    assert_eq!((absent.events.len(), absent.events_omitted), (1, 2));
    let state = absent.state.expect("a correlation remembers");
    assert_eq!((state.groups.len(), state.groups_total), (1, 2));
    let last = UnixNanos::from_rfc3339("2026-11-27T10:00:03Z").expect("a moment");
    assert_eq!(state.groups[0].deadline, Some(last.plus(600 * 1_000_000_000)), "judged when the timespan is over");
}

#[test]
fn rules_that_miss_a_field_cannot_fire_and_say_so() {
    let set = book().compile();
    let verdict = |lines: &[String]| {
        let mut seen = Seen::new(&set);
        seen.take_lines(&set, lines.iter().map(String::as_str)).expect("is JSON");
        coverage(&set, &seen)
    };
    let of = |found: &[rules::coverage::RuleCoverage], id: &str| {
        found.iter().find(|rule| rule.info.id == id).cloned().expect("is there")
    };
    let whole = verdict(&[event(1, "ann", 200)]);
    assert!(of(&whole, "failed").can_fire, "a value that did not occur yet may occur");
    assert!(of(&whole, "many").can_fire);
    assert!(of(&whole, "absent").can_fire, "absence needs nothing to be there");
    assert!(!of(&whole, "seen").can_fire);

    let without_user =
        verdict(&[r#"{"kind":"server","http.route":"/login","http.response.status_code":401}"#.to_owned()]);
    assert!(of(&without_user, "failed").can_fire);
    assert_eq!(
        (of(&without_user, "many").can_fire, of(&without_user, "many").missing_fields),
        (false, vec!["user.id".into()])
    );

    let without_status = verdict(&[r#"{"kind":"server","http.route":"/login","user.id":"a"}"#.to_owned()]);
    let failed = of(&without_status, "failed");
    assert_eq!(failed.missing_fields, ["auth.outcome", "http.response.status_code"]);
    let many = of(&without_status, "many");
    assert!(!many.can_fire && many.reasons.iter().any(|reason| reason.contains("failed login")), "{many:?}");

    let nothing = verdict(&[]);
    assert!(nothing.iter().all(|rule| !rule.can_fire && !rule.reasons.is_empty()));

    let covered = techniques(&whole);
    let ids: Vec<&str> = covered.iter().map(|technique| technique.id.as_str()).collect();
    assert_eq!(ids, ["T1110", "T1562"], "a tactic is no technique, and a rule without alerts covers none");
    let layer = navigator("n", &techniques(&without_user));
    assert_eq!(layer["versions"]["layer"], "4.5");
    let score = |id: &str| {
        let techniques = layer["techniques"].as_array().expect("a list");
        techniques.iter().find(|technique| technique["techniqueID"] == id).map(|found| found["score"].clone())
    };
    assert_eq!(score("T1110"), Some(0.into()), "its rule cannot fire on these data");
}

fn converted(text: &str, target: Target) -> Result<Converted, ConvertError> {
    let mut book = RuleBook::new();
    book.update("r.yml", text).expect("valid");
    convert(&book.compile(), "r", target, None)
}

fn rule(detection: &str) -> String {
    format!("title: t\nid: r\nlogsource: {{product: otel, category: span}}\ndetection: {detection}\n")
}

#[test]
fn a_rule_becomes_searches_whose_answers_together_are_its_matches() {
    let found = converted(
        &rule("{a: {http.route: /login, service.name: shop}, b: {user.id: x}, condition: a and not b}"),
        Target::Search,
    );
    let found = found.expect("can be said");
    assert_eq!(
        found.queries,
        [
            "/api/v1/traces/search?filter=http.route%3D/login&service=shop&filter=%21user.id",
            "/api/v1/traces/search?filter=http.route%3D/login&service=shop&filter=user.id%21%3Dx",
        ]
    );
    assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    let found = converted(
        &rule("{a: {http.response.status_code: [401, 403], duration|gte: 1.5}, condition: a}"),
        Target::Search,
    );
    let found = found.expect("can be said");
    assert_eq!(found.queries.len(), 2);
    assert!(found.queries[0].contains("min_duration=1500000") && found.notes.is_empty(), "{found:?}");
}

#[test]
fn what_a_target_cannot_say_is_refused_with_the_part_and_a_way_out() {
    let contains = rule("{a: {url.query|contains: select}, condition: a}");
    let error = converted(&contains, Target::Search).expect_err("the search compares whole values").to_string();
    assert!(error.contains("url.query contains \"select\"") && error.contains("SQL"), "{error}");
    assert!(converted(&contains, Target::Sql).is_ok());
    let error = converted(&rule("{a: [word], condition: a}"), Target::Sql).expect_err("no field").to_string();
    assert!(error.contains("any field"), "{error}");
    let network = rule("{a: {client.address|cidr: fd00::/8}, condition: a}");
    assert!(converted(&network, Target::Sql).expect_err("IPv6").to_string().contains("IPv6"));
    let set = book().compile();
    let error = convert(&set, "many", Target::Sql, None).expect_err("a correlation").to_string();
    assert!(error.contains("failed"), "it names what to convert instead: {error}");
    assert!(matches!(convert(&set, "none", Target::Sql, None), Err(ConvertError::Unknown(_))));
}

#[test]
fn a_converted_rule_asks_for_the_time_it_is_given() {
    let set = book().compile();
    let range = TimeRange { start: UnixNanos(5), end: UnixNanos(9) };
    let found = convert(&set, "failed", Target::Sql, Some(&range)).expect("can be said");
    assert!(found.queries[0].contains("start_time >= to_timestamp_nanos(5)"), "{:?}", found.queries);
}

const INHERITING: &str = "title: query for a guest\nid: r\nlogsource: {product: otel, category: span}\n\
detection: {s: {name: query, entry.user.id: guest}, condition: s}\n";

/// A line of a trace: its span, the span above, and what it says.
fn span(id: u32, parent: Option<u32>, rest: &str) -> String {
    let parent = parent.map_or_else(String::new, |parent| format!(r#""parent_span_id":"{parent:016x}","#));
    format!(r#"{{"ts":1000,"trace_id":"{:032x}","span_id":"{id:016x}",{parent}{rest}}}"#, 7)
}

#[test]
fn an_explanation_tells_what_an_event_inherits_and_from_whom() {
    let mut book = RuleBook::new();
    book.update("r.yml", INHERITING).expect("valid");
    let set = book.compile();
    let explained = |user: &str| {
        // the query comes before the span that it inherits from
        let lines = [
            span(2, Some(1), r#""name":"query""#),
            span(1, None, &format!(r#""name":"request","kind":"server","user.id":"{user}""#)),
        ];
        let found = explain::lines(&set, "r", lines.iter().map(String::as_str), "ts", ExplainLimits::default());
        found.expect("is JSON").expect("known")
    };
    let found = explained("guest");
    assert_eq!(found.detections.len(), 1);
    let judgement = &found.events[0].judgements[0];
    let mut all = Vec::new();
    atoms(&judgement.condition, &mut all);
    let entry = all.iter().find(|atom| atom.field.as_deref() == Some("entry.user.id")).expect("is asked");
    assert!(judgement.holds && entry.holds, "{judgement:?}");
    assert_eq!(entry.value.as_deref(), Some("guest"));
    assert_eq!(entry.source.as_deref(), Some("entry span of the trace"));
    assert!(!found.events[1].judgements[0].holds, "the request is no query");

    let found = explained("ann");
    let judgement = &found.events[0].judgements[0];
    assert_eq!((judgement.holds, found.detections.len()), (false, 0), "{judgement:?}");
}

#[test]
fn an_explanation_of_a_rule_that_learns_tells_how_much_it_knows() {
    let mut book = RuleBook::new();
    let learning = "title: new\nid: new\ncorrelation: {type: first_seen, rules: [failed], fields: [http.route], \
group-by: [user.id], learn: 1s, forget: 1h}\n";
    let faults = book.update_all([("rules.yml", RULES), ("new.yml", learning)]);
    assert_eq!(faults, []);
    let lines = [event(1, "ann", 401), event(2, "bob", 401), event(3, "ann", 401)];
    let lines = lines.iter().map(String::as_str);
    let found = explain::lines(&book.compile(), "new", lines, "ts", ExplainLimits::default());
    let state = found.expect("is JSON").expect("known").state.expect("it remembers");
    let learned = state.learned.expect("it learns");
    assert_eq!((learned.groups, learned.values, learned.lacks_history), (2, 2, false));
}

#[test]
fn coverage_knows_what_is_inherited_and_what_nobody_has_mapped() {
    let unmapped = "title: u\nid: u\nlogsource: {product: cobol}\ndetection: {s: {name: query}, condition: s}\n";
    let policy = "title: p\nid: p\nservice_policy: {version: 1, services: {a: }}\n";
    let mut book = RuleBook::new();
    let faults = book.update_all([("r.yml", INHERITING), ("u.yml", unmapped), ("p.yml", policy)]);
    assert_eq!(faults, []);
    let set = book.compile();
    let verdict = |lines: &[String]| {
        let mut seen = Seen::new(&set);
        seen.take_lines(&set, lines.iter().map(String::as_str)).expect("is JSON");
        let found = coverage(&set, &seen);
        ["r", "u", "p"].map(|id| found.iter().find(|rule| rule.info.id == id).cloned().expect("is there"))
    };
    let [inheriting, unmapped, policy] = verdict(&[span(2, Some(1), r#""name":"query""#)]);
    assert_eq!((inheriting.can_fire, inheriting.missing_fields), (false, vec!["entry.user.id".to_owned()]));
    assert!(!unmapped.can_fire && unmapped.reasons[0].starts_with("never evaluated"), "{unmapped:?}");
    assert_eq!((policy.can_fire, policy.kind), (true, "service_policy"));
    let [inheriting, ..] = verdict(&[span(2, Some(1), r#""name":"query""#), span(1, None, r#""user.id":"ann""#)]);
    assert!(inheriting.can_fire, "another span has what is inherited");
    let [.., policy] = verdict(&[]);
    assert_eq!((policy.can_fire, policy.reasons), (false, vec!["no spans were seen".to_owned()]));
}

#[test]
fn what_no_query_can_say_of_the_newer_parts_is_refused() {
    let said = |text: &str, target| converted(text, target).expect_err("has no counterpart").to_string();
    for target in [Target::Sql, Target::Search] {
        let error = said(INHERITING, target);
        assert!(error.contains("entry.user.id") && error.contains("inherited"), "{error}");
        let error = said(&rule("{a: {timestamp|hour|gte: 22}, condition: a}"), target);
        assert!(error.contains("a hour that is at least 22"), "{error}");
        let unmapped = "title: t\nid: r\nlogsource: {product: cobol}\ndetection: {a: {b: c}, condition: a}\n";
        assert!(said(unmapped, target).contains("set_signal"));
        let policy = "title: p\nid: r\nservice_policy: {version: 1, services: {a: }}\n";
        assert!(said(policy, target).contains("service-call policy"));
        let error = said(&rule("{a: {body.order.total|gte: 5}, condition: a}"), target);
        assert!(error.contains("body.order.total"), "{error}");
        let error = said(&rule("{a: {request.target|contains: x}, condition: a}"), target);
        assert!(error.contains("request.target"), "{error}");
    }
    let dashed = rule("{a: {process.command_line|windash|contains: ' -enc'}, condition: a}");
    let found = converted(&dashed, Target::Sql).expect("can be said");
    assert!(found.queries[0].contains("' \u{2013}enc'"), "{:?}", found.queries);
}

#[test]
fn a_rule_through_a_pipeline_is_converted_with_what_its_events_look_like() {
    let text = "title: t\nid: r\nlogsource: {category: webserver}\ndetection: {a: {sc-status: 404}, condition: a}\n";
    let found = converted(text, Target::Sql).expect("can be said");
    assert!(found.queries[0].contains("http.response.status_code"), "{:?}", found.queries);
    let error = converted(text, Target::Search);
    // whatever it says, it speaks of fields as people call them
    assert!(!format!("{error:?}").contains('|'), "{error:?}");
}
