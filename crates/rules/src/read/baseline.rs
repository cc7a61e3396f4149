//! What correlations of the types `first_seen` and `deviation` ask for.

use std::sync::Arc;

use super::correlation::{KEYS_OF_GROUP, aliases, inputs};
use super::{flag, keys, nearest, required, text, texts};
use crate::baseline::metric::Metric;
use crate::baseline::network::Network;
use crate::baseline::{Asks, Baseline, Deviation, FirstSeen, Part, Season};
use crate::diagnostic::{Place, Report, code};
use crate::kinds::Kind;
use crate::rule::{Condition, Correlation};
use crate::timespan;
use crate::yaml::{Node, Value};

/// The keys of a rule that learns values.
pub const KEYS_OF_FIRST_SEEN: [&str; 13] = [
    "type",
    "rules",
    "fields",
    "absent",
    "group-by",
    "learn",
    "forget",
    "remember",
    "returned",
    "min_events",
    "warm_start",
    "aliases",
    "generate",
];
/// The keys of a rule that learns numbers.
pub const KEYS_OF_DEVIATION: [&str; 10] =
    ["type", "rules", "metric", "group-by", "bucket", "baseline", "condition", "warm_start", "aliases", "generate"];

const FIELDS: usize = 8;
const SECOND: i64 = 1_000_000_000;
const DAY: i64 = 86_400 * SECOND;
const YEARS: i64 = 5 * 365 * DAY;
/// Events a group may be asked to have before it fires: while it learns, as many of them wait.
const MIN_EVENTS: i64 = 100_000;
/// Buckets in a window: what one group may take.
const WINDOW_BUCKETS: i64 = 4_032;
/// Fewer values have no median worth the name.
const FEWEST_BUCKETS: usize = 3;
const MOST_BUCKETS_BY_DEFAULT: usize = 24;

/// Reads a correlation that learns; `None` after reporting.
pub fn read(node: &Node, kind: &'static Kind, report: &mut Report) -> Option<Correlation> {
    match kind.name {
        "deviation" => deviation(node, kind, report),
        _ => first_seen(node, kind, report),
    }
}

fn first_seen(node: &Node, kind: &'static Kind, report: &mut Report) -> Option<Correlation> {
    keys(node, &KEYS_OF_FIRST_SEEN, "a first_seen", report);
    let rules = inputs(node, report)?;
    let mut group_by = group(node, report)?;
    let groups = group_by.len();
    let Some(listed) = node.get("fields") else {
        let hint = "name the fields whose values are learned, as in fields: [service.name, server.address]";
        report.add(node.at, code::MISSING_KEY, "a first_seen needs fields", hint);
        return None;
    };
    let fields = named(listed, "fields", FIELDS, report)?;
    if fields.is_empty() {
        report.add(listed.at, code::BAD_VALUE, "a first_seen needs at least one field", "");
        return None;
    }
    if let Some((both, at)) = fields.iter().find(|(field, _)| group_by.iter().any(|(known, _)| known == field)) {
        let message = format!("{both:?} is in fields and in group-by");
        report.add(*at, code::BAD_VALUE, message, "a field of the group is the same for all it learns: name it once");
        return None;
    }
    group_by.extend(fields);
    let parts = parts(node, &group_by, groups, report)?;
    let returned = flag(node, "returned", report);
    let forget_nanos = length(node, "forget", None, SECOND..=YEARS, report)?;
    let learn_nanos = length(node, "learn", returned.then_some(0), 0..=YEARS, report)?;
    let default = if returned { forget_nanos.saturating_mul(4).min(YEARS) } else { forget_nanos };
    let remember_nanos = length(node, "remember", Some(default), SECOND..=YEARS, report)?;
    let least = if returned { forget_nanos.saturating_add(1) } else { forget_nanos };
    if remember_nanos < least {
        let at = node.get("remember").map_or(node.at, |found| found.at);
        let message = "what is forgotten before it can return cannot be noticed: remember must be longer than forget";
        let message = if returned { message } else { "remember must not be shorter than forget" };
        report.add(at, code::BAD_VALUE, message, "as in forget: 90d, remember: 1y");
        return None;
    }
    let min_events = whole(node, "min_events", 0, 0..=MIN_EVENTS, report)?;
    let asks = FirstSeen { learn_nanos, min_events: min_events.unsigned_abs(), forget_nanos, remember_nanos, returned };
    let baseline = Baseline { parts, groups, has_history: history(node, report)?, asks: Asks::FirstSeen(asks) };
    Some(Correlation {
        kind,
        aliases: aliases(node, &rules, report),
        rules,
        group_by: group_by.into_iter().map(|(name, _)| name).collect(),
        // a value does not come up twice within it
        span_nanos: 0,
        condition: Condition::default(),
        generate_inputs: flag(node, "generate", report),
        trace: None,
        baseline: Some(Arc::new(baseline)),
    })
}

fn deviation(node: &Node, kind: &'static Kind, report: &mut Report) -> Option<Correlation> {
    keys(node, &KEYS_OF_DEVIATION, "a deviation", report);
    let rules = inputs(node, report)?;
    let group_by = group(node, report)?;
    let groups = group_by.len();
    let parts = parts(node, &group_by, groups, report)?;
    let (metric, fields) = metric(node, report)?;
    let bucket_nanos = length(node, "bucket", None, SECOND..=31 * DAY, report)?;
    let mut asks = Deviation {
        metric,
        bucket_nanos,
        window_buckets: 0,
        season: Season::None,
        min_buckets: 0,
        ratio_gte: None,
        mad_gte: None,
        floor: 0.0,
    };
    window(node, &mut asks, report)?;
    thresholds(node, &mut asks, report)?;
    let baseline = Baseline { parts, groups, has_history: history(node, report)?, asks: Asks::Deviation(asks) };
    Some(Correlation {
        kind,
        aliases: aliases(node, &rules, report),
        rules,
        group_by: group_by.into_iter().map(|(name, _)| name).collect(),
        span_nanos: bucket_nanos,
        condition: Condition { fields, ..Condition::default() },
        generate_inputs: flag(node, "generate", report),
        trace: None,
        baseline: Some(Arc::new(baseline)),
    })
}

/// `metric`: what is measured, and the fields it is measured of.
fn metric(node: &Node, report: &mut Report) -> Option<(Metric, Vec<String>)> {
    let hint = "write it like {sum: http.response.body.size}, {avg: duration}, {distinct: url.path} or {count: true}";
    let Some(found) = node.get("metric") else {
        report.add(node.at, code::MISSING_KEY, "a deviation needs a metric", hint);
        return None;
    };
    let [(key, value)] = found.entries().unwrap_or_default() else {
        report.add(found.at, code::WRONG_TYPE, "a metric is a map with one key", hint);
        return None;
    };
    let Some((_, metric)) = Metric::ALL.into_iter().find(|(name, _)| *name == key.text) else {
        let known = Metric::ALL.map(|(name, _)| name);
        report.add(key.at, code::UNKNOWN_KEY, format!("there is no metric {:?}", key.text), nearest(&key.text, &known));
        return None;
    };
    if metric == Metric::Count {
        if matches!(value.value, Value::Bool(true)) {
            return Some((metric, Vec::new()));
        }
        report.add(value.at, code::BAD_VALUE, "count takes true", "to count distinct values write {distinct: field}");
        return None;
    }
    let fields: Vec<String> = named(value, &key.text, FIELDS, report)?.into_iter().map(|(field, _)| field).collect();
    let is_right = if metric == Metric::Distinct { !fields.is_empty() } else { fields.len() == 1 };
    if !is_right {
        report.add(value.at, code::BAD_VALUE, format!("{} takes one field, got {}", key.text, fields.len()), hint);
        return None;
    }
    Some((metric, fields))
}

/// `baseline`: which buckets a bucket is compared with.
fn window(node: &Node, asks: &mut Deviation, report: &mut Report) -> Option<()> {
    let Some(found) = node.get("baseline").filter(|found| found.entries().is_some()) else {
        let at = node.get("baseline").map_or(node.at, |found| found.at);
        report.add(at, code::MISSING_KEY, "a deviation needs a baseline", "as in {window: 14d, season: hour_of_week}");
        return None;
    };
    keys(found, &["window", "season", "min_buckets"], "a baseline", report);
    let window_nanos = length(found, "window", None, asks.bucket_nanos..=YEARS, report)?;
    asks.window_buckets = window_nanos / asks.bucket_nanos;
    if asks.window_buckets > WINDOW_BUCKETS {
        let message = format!("{} buckets lie in the window, at most {WINDOW_BUCKETS} may", asks.window_buckets);
        report.add(found.at, code::TOO_LARGE, message, "take a longer bucket or a shorter window");
        return None;
    }
    if let Some((season, at)) = text(found, "season", report) {
        asks.season = match season.as_str() {
            "none" => Season::None,
            "hour_of_day" => Season::HourOfDay,
            "hour_of_week" => Season::HourOfWeek,
            other => {
                let known = ["none", "hour_of_day", "hour_of_week"];
                report.add(at, code::BAD_VALUE, format!("season cannot be {other:?}"), nearest(other, &known));
                return None;
            }
        };
    }
    let most = asks.buckets_of_a_season();
    let default = most.div_ceil(2).clamp(FEWEST_BUCKETS, MOST_BUCKETS_BY_DEFAULT);
    let at = found.get("min_buckets").map_or(found.at, |found| found.at);
    let wanted = whole(found, "min_buckets", default as i64, FEWEST_BUCKETS as i64..=WINDOW_BUCKETS, report)?;
    asks.min_buckets = usize::try_from(wanted).unwrap_or(usize::MAX);
    if asks.min_buckets > most {
        let message = format!("{most} buckets of one season lie in the window, and {wanted} are needed to judge");
        report.add(at, code::BAD_VALUE, message, "take a longer window, a shorter bucket or another season");
        return None;
    }
    Some(())
}

/// `condition`: how far from the baseline is out of the ordinary.
fn thresholds(node: &Node, asks: &mut Deviation, report: &mut Report) -> Option<()> {
    let hint = "write it like {ratio_gte: 8, floor: 50000000} or {mad_gte: 6, floor: 100}";
    let Some(found) = node.get("condition").filter(|found| found.entries().is_some()) else {
        let at = node.get("condition").map_or(node.at, |found| found.at);
        report.add(at, code::MISSING_KEY, "a deviation needs a condition", hint);
        return None;
    };
    keys(found, &["ratio_gte", "mad_gte", "floor"], "the condition of a deviation", report);
    let mut number = |key: &str, above: f64| -> Option<Option<f64>> {
        let Some(value) = found.get(key) else { return Some(None) };
        match value.value {
            Value::Number(number, _) if number > above && number.is_finite() => Some(Some(number)),
            Value::Number(number, _) => {
                report.add(value.at, code::BAD_VALUE, format!("{key} must be more than {above}, got {number}"), hint);
                None
            }
            _ => {
                let message = format!("{key} takes a number, got {}", value.value.type_name());
                report.add(value.at, code::WRONG_TYPE, message, hint);
                None
            }
        }
    };
    asks.ratio_gte = number("ratio_gte", 1.0)?;
    asks.mad_gte = number("mad_gte", 0.0)?;
    let floor = number("floor", 0.0)?;
    if asks.ratio_gte.is_none() && asks.mad_gte.is_none() {
        report.add(found.at, code::MISSING_KEY, "the condition needs ratio_gte or mad_gte", hint);
        return None;
    }
    let Some(floor) = floor else {
        let message = "the condition needs a floor: where little is usual, a little more is many times as much";
        report.add(found.at, code::MISSING_KEY, message, hint);
        return None;
    };
    asks.floor = floor;
    Some(())
}

/// `group-by`, each name with its place.
fn group(node: &Node, report: &mut Report) -> Option<Vec<(String, Place)>> {
    node.get("group-by").map_or(Some(Vec::new()), |found| named(found, "group-by", KEYS_OF_GROUP, report))
}

/// A list of fields without repeats.
fn named(node: &Node, key: &str, most: usize, report: &mut Report) -> Option<Vec<(String, Place)>> {
    let listed = texts(node, key, report);
    if let Some((_, at)) = listed.get(most) {
        report.add(*at, code::TOO_LARGE, format!("more than {most} fields in {key}"), "");
        return None;
    }
    for (number, (field, at)) in listed.iter().enumerate() {
        if listed.iter().take(number).any(|(known, _)| known == field) {
            report.add(*at, code::BAD_VALUE, format!("{field:?} stands twice in {key}"), "remove one");
            return None;
        }
    }
    Some(listed)
}

/// How each field is read: reduced to a network, and whether it may be absent.
fn parts(node: &Node, fields: &[(String, Place)], groups: usize, report: &mut Report) -> Option<Vec<Part>> {
    let absent = node.get("absent").map(|absent| texts(absent, "absent", report)).unwrap_or_default();
    for (field, at) in &absent {
        if !fields.iter().skip(groups).any(|(known, _)| known == field) {
            let message = format!("{field:?} is not among the fields");
            report.add(*at, code::BAD_VALUE, message, "absent names those fields whose absence is a value");
            return None;
        }
    }
    if !absent.is_empty() && absent.len() == fields.len() {
        let at = absent.first().map_or(node.at, |(_, at)| *at);
        let message = "every field may be absent, so that every event would count";
        report.add(at, code::BAD_VALUE, message, "leave out one field or add a group-by");
        return None;
    }
    let mut parts = Vec::with_capacity(fields.len());
    for (field, at) in fields {
        match Network::parse(field) {
            Ok((_, network)) => {
                parts.push(Part { network, may_be_absent: absent.iter().any(|(known, _)| known == field) });
            }
            Err(wrong) => {
                report.add(*at, code::BAD_VALUE, wrong, "write it like client.address/24 or client.address/24/56");
                return None;
            }
        }
    }
    Some(parts)
}

/// A length of time; `default` when absent, required when there is none.
fn length(
    node: &Node,
    key: &str,
    default: Option<i64>,
    allowed: std::ops::RangeInclusive<i64>,
    report: &mut Report,
) -> Option<i64> {
    if let Some(default) = default.filter(|_| node.get(key).is_none()) {
        return Some(default);
    }
    let (text, at) = required(node, key, "this", report)?;
    let nanos = timespan::parse_nanos(&text).filter(|nanos| allowed.contains(nanos));
    if nanos.is_none() {
        let (least, most) = (timespan::show_nanos(*allowed.start()), timespan::show_nanos(*allowed.end()));
        let hint = format!("a whole number and s, m, h, d, w, M or y, from {least} to {most}, as in 7d");
        report.add(at, code::BAD_VALUE, format!("{key} cannot be {text:?}"), hint);
    }
    nanos
}

/// A whole number; `default` when absent.
fn whole(
    node: &Node,
    key: &str,
    default: i64,
    allowed: std::ops::RangeInclusive<i64>,
    report: &mut Report,
) -> Option<i64> {
    let Some(found) = node.get(key) else { return Some(default) };
    let number = match &found.value {
        Value::Number(_, text) => text.parse().ok().filter(|number| allowed.contains(number)),
        _ => None,
    };
    if number.is_none() {
        let message = format!("{key} must be a whole number from {} to {}", allowed.start(), allowed.end());
        report.add(found.at, code::BAD_VALUE, message, "");
    }
    number
}

/// `warm_start`: whether to learn from stored events first.
fn history(node: &Node, report: &mut Report) -> Option<bool> {
    match text(node, "warm_start", report) {
        None => Some(false),
        Some((word, _)) if word == "history" => Some(true),
        Some((word, _)) if word == "none" => Some(false),
        Some((other, at)) => {
            let message = format!("warm_start cannot be {other:?}");
            report.add(at, code::BAD_VALUE, message, nearest(&other, &["history", "none"]));
            None
        }
    }
}
