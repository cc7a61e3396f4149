//! The attack trips what it must trip, within its time, and its labels tell the truth.

use std::collections::{BTreeMap, BTreeSet};

use crate::reading::{Event, events};
use crate::rulings::{self, Rule};
use simulate::{Scenario, Stage, attack};

const NANOS_PER_SEC: u64 = 1_000_000_000;
const START: u64 = 1_767_268_800 * NANOS_PER_SEC;

fn told(scenario: &Scenario) -> Vec<Event> {
    scenario.exports.iter().flat_map(|(_, export)| events(export)).collect()
}

fn spans_of(scenario: &Scenario, events: &[Event], stage: Stage) -> Vec<Event> {
    let traces: BTreeSet<&[u8]> =
        scenario.labels.iter().filter(|l| l.stage == stage).map(|l| l.trace_id.as_slice()).collect();
    events.iter().filter(|e| e.is_span() && traces.contains(e.trace_id.as_slice())).cloned().collect()
}

#[test]
fn the_attack_trips_its_four_rules_and_names_the_attacker() {
    for seed in 1..20 {
        let scenario = attack(seed, START + seed * 77 * NANOS_PER_SEC);
        let alarms: BTreeMap<Rule, String> = rulings::alarms(told(&scenario).into_iter()).into_iter().collect();
        assert_eq!(alarms[&Rule::CredentialStuffing], scenario.attacker_address, "seed {seed}");
        assert_eq!(alarms[&Rule::StolenSession], scenario.stolen_session_id, "seed {seed}");
        assert_eq!(alarms[&Rule::RequestForgery], "image-provider", "seed {seed}");
        assert!(alarms.contains_key(&Rule::BulkExport), "seed {seed}");
        assert!(!alarms.contains_key(&Rule::BruteForce), "stuffing tries each account once");
    }
}

#[test]
fn the_attack_is_over_within_fifteen_seconds_and_told_in_order() {
    let scenario = attack(3, START);
    let offsets: Vec<u64> = scenario.exports.iter().map(|(offset, _)| *offset).collect();
    assert!(offsets.is_sorted());
    assert!(offsets.last().is_some_and(|last| *last <= 15 * NANOS_PER_SEC), "{offsets:?}");
    for (offset, export) in &scenario.exports {
        assert_eq!(export.at_unix_nanos, START + offset);
        assert!(events(export).iter().all(|event| event.start >= START && event.end < export.at_unix_nanos));
    }
    assert_eq!(attack(3, START).exports, scenario.exports, "the same seed and start tell the same story");
    assert_ne!(attack(4, START).exports, scenario.exports);
}

#[test]
fn stuffing_runs_through_four_services_and_leaves_log_lines() {
    let scenario = attack(5, START);
    let events = told(&scenario);
    let spans = spans_of(&scenario, &events, Stage::CredentialStuffing);
    let services: BTreeSet<&str> = spans.iter().map(|span| span.service.as_str()).collect();
    assert_eq!(services, BTreeSet::from(["auth", "gateway", "postgres", "user"]));
    let tries: Vec<&Event> = spans.iter().filter(|span| span.parent_span_id.is_empty()).collect();
    let users: BTreeSet<&str> = tries.iter().map(|try_| try_.get("user.id")).collect();
    assert!(users.len() >= 40 && users.len() == tries.len(), "every account once");
    let let_in: BTreeSet<&str> =
        tries.iter().filter(|t| t.get("http.response.status_code") == "200").map(|t| t.get("user.id")).collect();
    assert_eq!(let_in, scenario.taken_over_users.iter().map(String::as_str).collect());
    let warnings = events.iter().filter(|event| event.name == "auth.login.failure").count();
    assert_eq!(warnings, tries.len() - let_in.len());
}

#[test]
fn the_forged_request_lies_below_a_public_request_at_the_gateway() {
    let scenario = attack(6, START);
    let spans = spans_of(&scenario, &told(&scenario), Stage::RequestForgery);
    let calls: Vec<&Event> = spans.iter().filter(|span| span.get("server.address") == "169.254.169.254").collect();
    assert_eq!(calls.len(), 3);
    for call in calls {
        let client = 3;
        assert_eq!((call.service.as_str(), call.kind), ("image-provider", client));
        let mut ancestor = call;
        while let Some(parent) = spans.iter().find(|span| span.span_id == ancestor.parent_span_id) {
            ancestor = parent;
        }
        assert_eq!((ancestor.service.as_str(), ancestor.name.as_str()), ("gateway", "GET /images"));
        assert_eq!(ancestor.get("session.id"), "");
    }
}

#[test]
fn the_export_says_how_much_left_and_for_whom() {
    let scenario = attack(7, START);
    let spans = spans_of(&scenario, &told(&scenario), Stage::BulkExport);
    let server = 2;
    let export = spans.iter().find(|s| s.service == "admin-api" && s.kind == server).expect("a span of the export");
    assert_eq!(export.get("http.route"), "/admin/export");
    assert_eq!(export.get("db.response.returned_rows"), "48213");
    assert!(export.get("http.response.body.size").parse::<u64>().is_ok_and(|bytes| bytes > 10_000_000));
    let root = spans.iter().find(|span| span.parent_span_id.is_empty()).expect("a root");
    assert_eq!(root.get("session.id"), scenario.stolen_session_id);
    assert_eq!(root.get("client.address"), scenario.attacker_address);
    assert_eq!(root.get("user.id"), scenario.victim_user);
}
