//! The thresholds of the shipped rules, counted by hand, for this crate may not know the rule engine.

use std::collections::{BTreeMap, BTreeSet};

use crate::reading::Event;

const NANOS_PER_SEC: u64 = 1_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    CredentialStuffing,
    BruteForce,
    StolenSession,
    RequestForgery,
    BulkExport,
}

/// A rule and the entity it names.
pub type Alarm = (Rule, String);

/// Values seen per group, with their times.
type Sightings = BTreeMap<String, Vec<(u64, String)>>;

/// Groups in which some window of this length holds this many different values (or, when `distinct` is false, sightings).
fn crowded(mut sightings: Sightings, window_secs: u64, threshold: usize, distinct: bool) -> Vec<String> {
    let mut groups = Vec::new();
    for (group, seen) in &mut sightings {
        seen.sort();
        let full = (0..seen.len()).any(|first| {
            let within = seen[first..].iter().take_while(|(at, _)| *at - seen[first].0 <= window_secs * NANOS_PER_SEC);
            match distinct {
                true => within.map(|(_, value)| value).collect::<BTreeSet<_>>().len() >= threshold,
                false => within.count() >= threshold,
            }
        });
        if full {
            groups.push(group.clone());
        }
    }
    groups
}

/// Every rule that would fire on these events, with the group it fires for.
pub fn alarms(events: impl Iterator<Item = Event>) -> Vec<Alarm> {
    let (mut per_address, mut per_user, mut per_session) = (Sightings::new(), Sightings::new(), Sightings::new());
    let mut alarms = BTreeSet::new();
    for event in events {
        // spans and log lines alike: a rule that counts both must stay silent too
        let refused_login = event.get("http.route") == "/login" && event.get("http.response.status_code") == "401";
        if refused_login || event.name == "auth.login.failure" {
            per_address
                .entry(event.get("client.address").to_owned())
                .or_default()
                .push((event.start, event.get("user.id").to_owned()));
            per_user.entry(event.get("user.id").to_owned()).or_default().push((event.start, String::new()));
        }
        if event.attributes.contains_key("session.id") && event.attributes.contains_key("client.address") {
            per_session
                .entry(event.get("session.id").to_owned())
                .or_default()
                .push((event.start, event.get("client.address").to_owned()));
        }
        if ["169.254.169.254", "metadata.google.internal", "fd00:ec2::254"].contains(&event.get("server.address")) {
            alarms.insert((Rule::RequestForgery, event.service.clone()));
        }
        let rows = event.get("db.response.returned_rows").parse::<u64>().unwrap_or_default();
        if rows >= 10_000 {
            alarms.insert((Rule::BulkExport, event.service.clone()));
        }
    }
    alarms.extend(crowded(per_address, 600, 10, true).into_iter().map(|group| (Rule::CredentialStuffing, group)));
    alarms.extend(crowded(per_user, 300, 10, false).into_iter().map(|group| (Rule::BruteForce, group)));
    alarms.extend(crowded(per_session, 900, 2, true).into_iter().map(|group| (Rule::StolenSession, group)));
    alarms.into_iter().collect()
}
