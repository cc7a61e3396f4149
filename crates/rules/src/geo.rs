//! Where an address is, and how far one place is from another.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::correlate;
use crate::inherited::deal::Told;
use crate::kinds::Kept;
use crate::pass::{Insert, Matches};
use crate::set::Feed;

/// Mean radius of the Earth, in kilometres.
const EARTH_KM: f64 = 6_371.008_8;

/// A place on Earth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// How far off it may be, in kilometres.
    pub radius_km: f64,
}

/// Knows where public addresses are. Asked once for each distinct address of a batch.
pub trait Places: fmt::Debug + Send + Sync {
    /// Where an address is; `None` when that is not known. Private addresses are not asked for.
    fn find(&self, address: IpAddr) -> Option<Place>;
}

/// Knows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPlaces;

impl Places for NoPlaces {
    fn find(&self, _address: IpAddr) -> Option<Place> {
        None
    }
}

impl Place {
    /// A place that exists; `None` for anything else.
    pub fn new(latitude: f64, longitude: f64, radius_km: f64) -> Option<Self> {
        let exists = (-90.0..=90.0).contains(&latitude) && (-180.0..=180.0).contains(&longitude);
        let radius_km = if radius_km.is_finite() { radius_km.max(0.0) } else { 0.0 };
        exists.then_some(Self { latitude, longitude, radius_km })
    }

    /// The shortest way between two places that may each be off, by the haversine formula, in kilometres.
    pub fn distance_km(&self, other: &Self) -> f64 {
        let (north, other_north) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half = |angle: f64| (angle / 2.0).sin().powi(2);
        let across = half((other.longitude - self.longitude).to_radians());
        let share = half(other_north - north) + north.cos() * other_north.cos() * across;
        let way = 2.0 * EARTH_KM * share.clamp(0.0, 1.0).sqrt().asin();
        (way - self.radius_km - other.radius_km).max(0.0)
    }

    /// As it is kept in the memory of a group.
    pub fn text(&self) -> String {
        format!("{} {} {}", self.latitude, self.longitude, self.radius_km)
    }

    /// Reads what [`Place::text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(|number| number.parse::<f64>().ok());
        Self::new(numbers.next()??, numbers.next()??, numbers.next()??)
    }
}

/// The fields that tell where an event came from: the address, then latitude and longitude as the event may say them
/// itself, beside the address (`client.geo.location.lat`) or without a prefix.
pub fn fields_of(address: &str) -> Vec<String> {
    let beside = address.rsplit_once('.').map_or(address, |(of, _)| of);
    let mut fields = vec![address.to_owned()];
    for prefix in [format!("{beside}."), String::new()] {
        fields.extend(["lat", "lon"].map(|axis| format!("{prefix}geo.location.{axis}")));
    }
    fields
}

/// Hands the rows of a rule to a correlation, with where they came from as their value. Rows without one of the keys, or
/// from nobody knows where, are not counted.
pub fn feed_places(
    feed: &Feed,
    position: usize,
    matches: &mut Matches<'_>,
    places: &dyn Places,
    insert: &mut Insert<'_>,
) {
    let Some(rows) = matches.rows.get(&feed.rule) else { return };
    for field in feed.keys.iter().chain(&feed.values) {
        matches.columns.field(*field);
    }
    let columns = &matches.columns;
    let mut known: HashMap<&str, Option<Place>> = HashMap::new();
    for row in rows {
        let text = |field: usize| columns.ready(field)?.text(*row);
        let Some((keys, place)) = placed(feed, &text, &mut known, places) else { continue };
        let events = Arc::from([matches.events.id(*row)]);
        let value = Some(place.text().into());
        let kept = Kept { at: matches.events.time(*row), rule: position, value, events };
        insert((&correlate::key_of(&keys), &keys), kept);
    }
}

/// As [`feed_places`], of rows that waited for what they inherit.
pub fn feed_told(feed: &Feed, position: usize, rows: &[Told<'_>], places: &dyn Places, insert: &mut Insert<'_>) {
    let mut known: HashMap<&str, Option<Place>> = HashMap::new();
    for row in rows {
        let text = |field: usize| row.text(field);
        let Some((keys, place)) = placed(feed, &text, &mut known, places) else { continue };
        let value = Some(place.text().into());
        let kept = Kept { at: row.at(), rule: position, value, events: Arc::from([row.id().clone()]) };
        insert((&correlate::key_of(&keys), &keys), kept);
    }
}

/// The keys of an event, and where it came from; `None` without one of them.
fn placed<'t>(
    feed: &Feed,
    text: &dyn Fn(usize) -> Option<&'t str>,
    known: &mut HashMap<&'t str, Option<Place>>,
    places: &dyn Places,
) -> Option<(Vec<&'t str>, Place)> {
    let keys = feed.keys.iter().map(|field| text(*field)).collect::<Option<Vec<&str>>>()?;
    let (address, said) = feed.values.split_first()?;
    let place = said.chunks(2).find_map(|pair| stated(text, pair)).or_else(|| {
        let address = text(*address)?;
        *known.entry(address).or_insert_with(|| public(address).and_then(|address| places.find(address)))
    })?;
    Some((keys, place))
}

/// Where an event says itself that it came from.
fn stated<'t>(text: &dyn Fn(usize) -> Option<&'t str>, pair: &[usize]) -> Option<Place> {
    let number = |field: &usize| text(*field)?.trim().parse::<f64>().ok();
    Place::new(number(pair.first()?)?, number(pair.get(1)?)?, 0.0)
}

/// An address that is somewhere: private, shared and link-local ones are everywhere.
fn public(text: &str) -> Option<IpAddr> {
    let address = text.trim().parse::<IpAddr>().ok()?.to_canonical();
    let is_public = match address {
        IpAddr::V4(v4) => {
            let [first, second, ..] = v4.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            !(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || is_shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unspecified())
        }
    };
    is_public.then_some(address)
}
