//! `geo`: two places in a row too far apart for the time between them.
//!
//! Sightings of a group stand in order of event time. At each moment the places seen then are compared with those seen
//! at the moment before, and with each other; the metric is the highest speed between two that are at least
//! `distance_gte` apart. What comes late may lie between the two, so a moment is judged when the watermark has passed it.

use std::collections::BTreeMap;

use model::EventId;

use super::{Finding, Kept, Kind, LooksAt, Settles, Window};
use crate::geo::Place;

/// Less time than this between two sightings counts as so much, in seconds.
const LEAST_SECONDS: f64 = 1.0;
/// Distinct places of one moment that are compared.
const PLACES: usize = 64;

/// The type.
pub static KIND: Kind = Kind {
    name: "geo",
    needs_field: true,
    needs_bounds: true,
    takes_many_fields: true,
    takes_expression: false,
    looks_at: LooksAt::Windows,
    settles: |_| Settles::OnWatermark,
    open: |condition, _| Box::new(Travel { distance_km: condition.distance_km.unwrap_or(0.0) }),
    what: |condition| {
        let field = condition.fields.first().map_or("the address", String::as_str);
        format!("km/h between places of {field}")
    },
};

struct Travel {
    distance_km: f64,
}

impl Window for Travel {
    fn look(&self, window: &[Kept]) -> Option<Finding> {
        let now = window.last()?.at;
        let first = window.partition_point(|kept| kept.at < now);
        let arrived = places(window, first, window.len());
        let before = window[..first].last().map_or(now, |kept| kept.at);
        let left = match before == now {
            true => BTreeMap::new(),
            false => places(window, window.partition_point(|kept| kept.at < before), first),
        };
        let hours = |from: i64, to: i64| ((to - from) as f64 / 1e9).max(LEAST_SECONDS) / 3_600.0;
        let travelled = left.values().flat_map(|from| arrived.values().map(move |to| (from, to, hours(before, now))));
        let at_once = arrived
            .values()
            .enumerate()
            .flat_map(|(number, to)| arrived.values().take(number).map(move |from| (from, to, hours(now, now))));
        let mut best: Option<(f64, [usize; 2])> = None;
        for (from, to, hours) in travelled.chain(at_once) {
            let distance = from.0.distance_km(&to.0);
            let speed = distance / hours;
            if distance >= self.distance_km && best.is_none_or(|(known, _)| speed > known) {
                best = Some((speed, [from.1.min(to.1), from.1.max(to.1)]));
            }
        }
        best.map(|(metric, pair)| Finding { metric, chosen: Some(pair.to_vec()) })
    }
}

/// The distinct places of a part of the window, each with the event that sorts first, in an order that does not depend on
/// which arrived first.
fn places(window: &[Kept], from: usize, to: usize) -> BTreeMap<&str, (Place, usize)> {
    let mut found: BTreeMap<&str, (Place, usize)> = BTreeMap::new();
    let events = |at: usize| -> &[EventId] { window.get(at).map_or(&[], |kept| &kept.events) };
    for (at, kept) in window.iter().enumerate().take(to).skip(from) {
        let Some(text) = kept.value.as_deref() else { continue };
        let Some(place) = Place::parse(text) else { continue };
        let known = found.entry(text).or_insert((place, at));
        if events(at) < events(known.1) {
            known.1 = at;
        }
        if found.len() > PLACES {
            found.pop_last();
        }
    }
    found
}
