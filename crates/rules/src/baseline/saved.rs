//! Baselines in a checkpoint, and back.
//!
//! A value of `first_seen` takes 36 bytes, big-endian: digest 16, number of stretches 4, and for each its start 8 and end
//! 8. All values of a rule are one base64 text, the one used longest ago first. A closed bucket of `deviation` takes 16:
//! number 8, value 8 as an IEEE 754 double.

use std::collections::VecDeque;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use super::metric::Total;
use super::recency::{Digest, Recency};
use super::seen::{self, Counted, Seen, Start};
use super::stretch::{Stretch, Stretches};
use super::usual::{self, Open, Usual};
use super::{Asks, Baselines, Learned, Memory};
use crate::checkpoint::{RestoreError, load_event, save_event};
use crate::set::{CompiledBody, RuleSet};

/// What one rule has learned; absent in checkpoints of before there were such rules.
#[derive(Debug, Serialize, Deserialize)]
pub struct Baseline1 {
    rule: String,
    identity: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unread_before: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Seen1>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    usual: Option<Usual1>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Seen1 {
    groups: Vec<(String, Vec<Life1>)>,
    values: String,
    starts: Vec<Start1>,
}

/// Start, end, events counted, the time of the one that was enough, time and mark of those that wait.
type Life1 = (i64, i64, u64, Option<i64>, Vec<(i64, u64)>);

#[derive(Debug, Serialize, Deserialize)]
struct Start1 {
    at: i64,
    value: String,
    group: String,
    texts: Vec<String>,
    events: Vec<String>,
    omitted: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Usual1 {
    groups: Vec<UsualGroup1>,
}

#[derive(Debug, Serialize, Deserialize)]
struct UsualGroup1 {
    key: String,
    texts: Vec<String>,
    closed: String,
    open: Option<Open1>,
    /// Time, mark, worth, event.
    waiting: Vec<(i64, u64, u64, String)>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Open1 {
    bucket: i64,
    count: u64,
    /// The bits of a double.
    sum: u64,
    values: Vec<u64>,
    has_fired: bool,
    events: Vec<String>,
    omitted: u64,
}

/// What to write down of a tenant's baselines.
pub fn save(baselines: &Baselines) -> Vec<Baseline1> {
    let one = |((rule, identity), memory): (&super::Key, &Memory)| {
        let (seen, usual) = match &memory.learned {
            Learned::Seen(seen) => (Some(save_seen(seen)), None),
            Learned::Usual(usual) => (None, Some(save_usual(usual))),
        };
        let (rule, identity) = (rule.clone(), identity.clone());
        Baseline1 { rule, identity, unread_before: memory.unread_before, seen, usual }
    };
    baselines.iter().map(one).collect()
}

/// The baselines that the rules in use need; what belongs to others is left out.
///
/// # Errors
/// When an identity, a time or a value does not read back.
pub fn load(saved: Vec<Baseline1>, set: &RuleSet) -> Result<Baselines, RestoreError> {
    let mut baselines = Baselines::new();
    for one in saved {
        let key = (one.rule, one.identity);
        let baseline = set.rules.iter().find_map(|rule| match &rule.body {
            CompiledBody::Correlation(rule) => rule.baseline.as_ref().filter(|(_, known)| *known == key),
            CompiledBody::Event(_) | CompiledBody::Policy(_) => None,
        });
        let Some((baseline, _)) = baseline else { continue };
        let learned = match (one.seen, one.usual, &baseline.asks) {
            (Some(seen), None, Asks::FirstSeen(_)) => Learned::Seen(load_seen(seen)?),
            (None, Some(usual), Asks::Deviation(asks)) => {
                let mut learned = Usual::default();
                for group in usual.groups {
                    learned.restore(asks, digest(&group.key)?, load_group(group)?);
                }
                Learned::Usual(learned)
            }
            _ => return Err(wrong("baseline", &key.0)),
        };
        baselines.insert(key, Memory { learned, unread_before: one.unread_before });
    }
    Ok(baselines)
}

fn save_seen(seen: &Seen) -> Seen1 {
    let life = |life: &Stretch<Counted>| {
        let counted = &life.with;
        (life.start, life.end, counted.settled, counted.enough_at, counted.waiting.iter().copied().collect())
    };
    let groups = seen.groups.iter().map(|(key, group)| (hex::encode(key), group.lives.iter().map(life).collect()));
    let mut values = Vec::new();
    for (key, value) in seen.values.iter() {
        values.extend(key);
        values.extend(u32::try_from(value.seen.iter().count()).unwrap_or(u32::MAX).to_be_bytes());
        for stretch in value.seen.iter() {
            values.extend(stretch.start.to_be_bytes());
            values.extend(stretch.end.to_be_bytes());
        }
    }
    let start = |((at, value), start): (&(i64, Digest), &Start)| Start1 {
        at: *at,
        value: hex::encode(value),
        group: hex::encode(start.group),
        texts: start.texts.iter().map(|text| text.to_string()).collect(),
        events: start.events.iter().map(save_event).collect(),
        omitted: start.omitted,
    };
    Seen1 { groups: groups.collect(), values: BASE64.encode(values), starts: seen.starts.iter().map(start).collect() }
}

fn load_seen(saved: Seen1) -> Result<Seen, RestoreError> {
    let mut seen = Seen::default();
    for (key, lives) in saved.groups {
        let key = digest(&key)?;
        let life = |(start, end, settled, enough_at, waiting): Life1| Stretch {
            start,
            end,
            with: Counted { settled, enough_at, waiting: waiting.into_iter().collect() },
        };
        let lives = Stretches::restore(lives.into_iter().map(life).collect()).ok_or_else(|| wrong("group", ""))?;
        let waiting: usize = lives.iter().map(|life| life.with.waiting.len()).sum();
        if waiting > 0 {
            seen.waiting += waiting;
            seen.counting.insert(key);
        }
        insert(&mut seen.groups, key, seen::Group { lives })?;
    }
    let bytes = BASE64.decode(&saved.values).map_err(|_| wrong("values", ""))?;
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        let (key, value) = load_value(&mut rest).ok_or_else(|| wrong("values", ""))?;
        insert(&mut seen.values, key, value)?;
    }
    for start in saved.starts {
        let key = (start.at, digest(&start.value)?);
        let events: Result<Vec<_>, RestoreError> = start.events.iter().map(|event| load_event(event)).collect();
        let texts = start.texts.into_iter().map(Arc::from).collect();
        let start = Start { group: digest(&start.group)?, texts, events: events?, omitted: start.omitted };
        seen.starts.insert(key, start);
    }
    Ok(seen)
}

fn load_value(rest: &mut &[u8]) -> Option<(Digest, seen::Value)> {
    let (key, after) = rest.split_first_chunk::<16>()?;
    let (count, mut after) = after.split_first_chunk::<4>()?;
    let mut stretches = Vec::new();
    for _ in 0..u32::from_be_bytes(*count) {
        let (start, next) = after.split_first_chunk::<8>()?;
        let (end, next) = next.split_first_chunk::<8>()?;
        after = next;
        stretches.push(Stretch { start: i64::from_be_bytes(*start), end: i64::from_be_bytes(*end), with: () });
    }
    *rest = after;
    Some((*key, seen::Value { seen: Stretches::restore(stretches)? }))
}

fn insert<T>(items: &mut Recency<T>, key: Digest, item: T) -> Result<(), RestoreError> {
    if items.get(&key).is_some() {
        return Err(wrong("key", &hex::encode(key)));
    }
    items.insert(key, item);
    Ok(())
}

fn save_usual(usual: &Usual) -> Usual1 {
    let one = |(key, group): (&Digest, &usual::Group)| {
        let mut closed = Vec::with_capacity(group.closed.len() * 16);
        for (bucket, value) in &group.closed {
            closed.extend(bucket.to_be_bytes());
            closed.extend(value.to_be_bytes());
        }
        let waiting = group.waiting.iter().map(|((at, mark), (worth, event))| (*at, *mark, *worth, save_event(event)));
        UsualGroup1 {
            key: hex::encode(key),
            texts: group.texts.iter().map(|text| text.to_string()).collect(),
            closed: BASE64.encode(closed),
            open: group.open.as_ref().map(save_open),
            waiting: waiting.collect(),
        }
    };
    Usual1 { groups: usual.groups.iter().map(one).collect() }
}

fn save_open(open: &Open) -> Open1 {
    let mut values: Vec<u64> = open.total.values.iter().copied().collect();
    values.sort_unstable();
    Open1 {
        bucket: open.bucket,
        count: open.total.events,
        sum: open.total.sum.to_bits(),
        values,
        has_fired: open.has_fired,
        events: open.events.iter().map(save_event).collect(),
        omitted: open.omitted,
    }
}

fn load_group(saved: UsualGroup1) -> Result<usual::Group, RestoreError> {
    let bytes = BASE64.decode(&saved.closed).map_err(|_| wrong("buckets", &saved.key))?;
    let (halves, []) = bytes.as_chunks::<8>() else { return Err(wrong("buckets", &saved.key)) };
    let (pairs, []) = halves.as_chunks::<2>() else { return Err(wrong("buckets", &saved.key)) };
    let pair = |[bucket, value]: &[[u8; 8]; 2]| (i64::from_be_bytes(*bucket), f64::from_be_bytes(*value));
    let closed: VecDeque<(i64, f64)> = pairs.iter().map(pair).collect();
    if closed.iter().zip(closed.iter().skip(1)).any(|(one, next)| one.0 >= next.0) {
        return Err(wrong("buckets", &saved.key));
    }
    let mut group =
        usual::Group { texts: saved.texts.into_iter().map(Arc::from).collect(), closed, ..usual::Group::default() };
    for (at, mark, worth, event) in saved.waiting {
        group.waiting.insert((at, mark), (worth, load_event(&event)?));
    }
    if let Some(open) = saved.open {
        let events: Result<VecDeque<_>, RestoreError> = open.events.iter().map(|event| load_event(event)).collect();
        let total =
            Total { events: open.count, sum: f64::from_bits(open.sum), values: open.values.into_iter().collect() };
        group.open = Some(Open {
            bucket: open.bucket,
            total,
            has_fired: open.has_fired,
            events: events?,
            omitted: open.omitted,
            ..Open::default()
        });
    }
    Ok(group)
}

fn digest(text: &str) -> Result<Digest, RestoreError> {
    let bytes = hex::decode(text).ok().and_then(|bytes| Digest::try_from(bytes).ok());
    bytes.ok_or_else(|| wrong("digest", text))
}

fn wrong(what: &str, text: &str) -> RestoreError {
    RestoreError::Identity(format!("{what} {}", text.chars().take(80).collect::<String>()))
}
