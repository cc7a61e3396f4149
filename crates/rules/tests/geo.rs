//! Impossible travel: two places in a row too far apart, whatever the order of arrival.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{
    ArrayRef, FixedSizeBinaryArray, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field};
use model::attribute::{self, Value};
use model::{Detection, EventBatch, EventId, Lsn, Signal, TenantId, UnixNanos};
use rules::{Engine, Place, Places, RuleBook, RuleSet, Settings};

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60;
const START: i64 = 1_767_225_600 * SECOND;
const LATER: UnixNanos = UnixNanos(i64::MAX);

/// A map of the world with a few addresses in it.
#[derive(Debug, Default)]
struct Atlas {
    places: HashMap<IpAddr, Place>,
    asked: AtomicU64,
    of: Mutex<Vec<IpAddr>>,
}

impl Places for Atlas {
    fn find(&self, address: IpAddr) -> Option<Place> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.of.lock().expect("no panic").push(address);
        self.places.get(&address).copied()
    }
}

const BERLIN: (&str, [f64; 3]) = ("198.51.100.1", [52.52, 13.405, 20.0]);
const SYDNEY: (&str, [f64; 3]) = ("198.51.100.2", [-33.8688, 151.2093, 50.0]);
const POTSDAM: (&str, [f64; 3]) = ("198.51.100.3", [52.3906, 13.0645, 20.0]);
const PARIS: (&str, [f64; 3]) = ("2001:db8::4", [48.8566, 2.3522, 100.0]);
/// Near the date line, on both sides of it.
const SUVA: (&str, [f64; 3]) = ("198.51.100.5", [-18.1416, 178.4419, 10.0]);
const APIA: (&str, [f64; 3]) = ("198.51.100.6", [-13.8507, -171.7514, 10.0]);
const KNOWN: [(&str, [f64; 3]); 6] = [BERLIN, SYDNEY, POTSDAM, PARIS, SUVA, APIA];

fn atlas() -> Arc<Atlas> {
    let place = |[north, east, radius]: [f64; 3]| Place::new(north, east, radius).expect("it exists");
    let places = KNOWN.iter().map(|(address, at)| (address.parse().expect("an address"), place(*at)));
    Arc::new(Atlas { places: places.collect(), ..Atlas::default() })
}

/// A login of a user.
#[derive(Debug, Clone)]
struct Login {
    second: i64,
    number: u8,
    user: &'static str,
    address: &'static str,
    said: Option<[f64; 2]>,
}

fn login(second: i64, number: u8, user: &'static str, address: &'static str) -> Login {
    Login { second, number, user, address, said: None }
}

fn batch(logins: &[Login]) -> EventBatch {
    let ids = |size: usize| -> ArrayRef {
        let id = |login: &Login| {
            let mut id = vec![1; size];
            id[0] = login.number;
            id
        };
        Arc::new(FixedSizeBinaryArray::try_from_iter(logins.iter().map(id)).expect("ids"))
    };
    let item = Field::new("item", DataType::Utf8, false);
    let mut rest = ListBuilder::new(StringBuilder::new()).with_field(item);
    for login in logins {
        for (axis, degrees) in ["lat", "lon"].into_iter().zip(login.said.into_iter().flatten()) {
            let key = format!("client.geo.location.{axis}");
            rest.values().append_value(attribute::entry(&key, &Value::Double(degrees)));
        }
        rest.append(true);
    }
    let texts = |of: fn(&Login) -> &'static str| -> ArrayRef {
        Arc::new(logins.iter().map(|login| Some(of(login)).filter(|text| !text.is_empty())).collect::<StringArray>())
    };
    let times = logins.iter().map(|login| START + login.second * SECOND);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16)),
        ("span_id", ids(8)),
        ("start_time", Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("+00:00"))),
        ("duration_nanos", Arc::new(Int64Array::from_iter_values(logins.iter().map(|_| 0)))),
        ("user.id", texts(|login| login.user)),
        ("client.address", texts(|login| login.address)),
        ("attrs_rest", Arc::new(rest.finish())),
    ];
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    EventBatch {
        tenant: TenantId::default_tenant(),
        signal: Signal::Spans,
        received_at: UnixNanos(START),
        lsn: Lsn(1),
        records: RecordBatch::try_from_iter_with_nullable(columns).expect("a batch"),
    }
}

fn compile() -> Arc<RuleSet> {
    let text = "title: in\nname: in\ndetection: {s: {user.id|exists: true}, condition: s}\n---\ntitle: travel\nid: travel\n\
                correlation: {type: geo, rules: [in], group-by: [user.id], timespan: 24h, condition: {field: client.address, speed_gte: 900, distance_gte: 500}}\n";
    let mut book = RuleBook::new();
    book.update("geo.yml", text).expect("a valid rule");
    book.compile()
}

/// Everything judged, nothing held back.
fn exact() -> Settings {
    Settings { suppress: false, lateness: std::time::Duration::from_secs(3_600), ..Settings::default() }
}

fn engine(atlas: &Arc<Atlas>) -> Engine {
    Engine::with_settings(compile(), exact()).with_places(Arc::clone(atlas) as Arc<dyn Places>)
}

/// User and minute of what was found, in order.
fn found(detections: &[Detection]) -> Vec<String> {
    let shown = |one: &Detection| format!("{} at {}m", one.group[0].1, (one.at.0 - START) / SECOND / MINUTE);
    detections.iter().map(shown).collect()
}

fn judged(logins: &[Login]) -> Vec<Detection> {
    let mut engine = engine(&atlas());
    let mut found = engine.evaluate(&batch(logins), LATER);
    found.extend(engine.tick(UnixNanos(START + 1_000 * 3_600 * SECOND)));
    found
}

#[test]
fn a_user_cannot_be_in_two_far_places_within_an_hour() {
    let logins = [
        login(0, 1, "ann", BERLIN.0),
        login(60 * MINUTE, 2, "ann", SYDNEY.0),
        // a train ride, and a day for the flight
        login(0, 3, "bob", BERLIN.0),
        login(10 * MINUTE, 4, "bob", POTSDAM.0),
        login(0, 5, "eve", BERLIN.0),
        login(23 * 60 * MINUTE, 6, "eve", SYDNEY.0),
        // private addresses are everywhere, and nobody knows where the last one is
        login(0, 7, "joe", BERLIN.0),
        login(MINUTE, 8, "joe", "10.0.0.1"),
        login(MINUTE, 9, "joe", "203.0.113.9"),
    ];
    let detections = judged(&logins);
    assert_eq!(found(&detections), ["ann at 60m"]);
    // the places may be 70 km off together
    let speed = detections[0].metric.expect("a speed");
    assert!((16_000.0..16_100.0).contains(&speed), "{speed} km/h");
    let ids: Vec<u8> = detections[0]
        .events
        .iter()
        .filter_map(|event| match event {
            EventId::Span(_, span) => Some(span.0[0]),
            _ => None,
        })
        .collect();
    assert_eq!(ids, [1, 2]);
    assert!(detections[0].reason.contains("km/h between places of client.address"), "{}", detections[0].reason);
}

#[test]
fn the_short_way_round_the_earth_counts_and_how_far_off_places_may_be_is_taken_off() {
    // 1,144 km over the date line in an hour and a half
    assert_eq!(found(&judged(&[login(0, 1, "ann", SUVA.0), login(90 * MINUTE, 2, "ann", APIA.0)])), [""; 0]);
    assert_eq!(found(&judged(&[login(0, 1, "ann", SUVA.0), login(60 * MINUTE, 2, "ann", APIA.0)])), ["ann at 60m"]);
    // 878 km, of which 120 may be error: too slow within an hour, too fast within 45 minutes
    assert_eq!(found(&judged(&[login(0, 1, "ann", BERLIN.0), login(60 * MINUTE, 2, "ann", PARIS.0)])), [""; 0]);
    assert_eq!(found(&judged(&[login(0, 1, "ann", BERLIN.0), login(45 * MINUTE, 2, "ann", PARIS.0)])), ["ann at 45m"]);
}

#[test]
fn an_event_that_comes_late_may_lie_between_two_others() {
    let mut engine = engine(&atlas());
    let far = [login(0, 1, "ann", BERLIN.0), login(30 * MINUTE, 2, "ann", SYDNEY.0)];
    assert_eq!(engine.evaluate(&batch(&far), LATER), [], "not before the watermark");
    // she was in Sydney just before as well: that is where the jump is
    let mut detections = engine.evaluate(&batch(&[login(29 * MINUTE, 3, "ann", SYDNEY.0)]), LATER);
    detections.extend(engine.tick(UnixNanos(START + 10 * 3_600 * SECOND)));
    assert_eq!(found(&detections), ["ann at 29m"]);
}

#[test]
fn what_an_event_says_of_its_place_goes_before_the_lookup() {
    let atlas = atlas();
    let mut engine = engine(&atlas);
    let said = |second, number, address, at| Login { said: Some(at), ..login(second, number, "ann", address) };
    let logins = [
        said(0, 1, BERLIN.0, [52.5, 13.4]),
        said(MINUTE, 2, BERLIN.0, [-33.9, 151.2]),
        said(2 * MINUTE, 3, "", [91.0, 0.0]),
    ];
    let mut detections = engine.evaluate(&batch(&logins), LATER);
    detections.extend(engine.tick(UnixNanos(START + 10 * 3_600 * SECOND)));
    assert_eq!(found(&detections), ["ann at 1m"]);
    assert_eq!(atlas.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn each_address_of_a_batch_is_looked_up_once_and_private_ones_never() {
    let atlas = atlas();
    let mut engine = engine(&atlas);
    let addresses = [
        BERLIN.0,
        PARIS.0,
        "10.1.2.3",
        "127.0.0.1",
        "fd00::1",
        "100.64.0.1",
        "169.254.169.254",
        "not an address",
        "::ffff:198.51.100.1",
    ];
    let logins: Vec<Login> =
        (0..200).map(|n| login(n, n as u8, "ann", addresses[n as usize % addresses.len()])).collect();
    engine.evaluate(&batch(&logins), LATER);
    let mut asked = atlas.of.lock().expect("no panic").clone();
    asked.sort();
    let expected: Vec<IpAddr> =
        [BERLIN.0, BERLIN.0, PARIS.0].iter().map(|text| text.parse().expect("an address")).collect();
    assert_eq!(asked, expected, "the mapped form is a text of its own");
}

/// Numbers that look random and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % below
    }
}

/// The distance by the angle between two arrows from the middle of the Earth, which is not how the engine works it out.
fn distance_km(one: [f64; 3], other: [f64; 3]) -> f64 {
    let arrow = |[north, east, _]: [f64; 3]| {
        let (north, east) = (north.to_radians(), east.to_radians());
        [north.cos() * east.cos(), north.cos() * east.sin(), north.sin()]
    };
    let (a, b) = (arrow(one), arrow(other));
    let chord = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    (2.0 * (chord / 2.0).min(1.0).asin() * 6_371.008_8 - one[2] - other[2]).max(0.0)
}

/// User and second at which somebody was too fast, found by looking at all pairs.
fn by_all_pairs(logins: &[Login]) -> BTreeSet<(&'static str, i64)> {
    let places: BTreeMap<&str, [f64; 3]> = KNOWN.into_iter().collect();
    let mut seen: BTreeMap<&str, BTreeMap<i64, Vec<[f64; 3]>>> = BTreeMap::new();
    for login in logins {
        if let Some(place) = places.get(login.address) {
            seen.entry(login.user).or_default().entry(login.second).or_default().push(*place);
        }
    }
    let mut fast = BTreeSet::new();
    for (user, moments) in seen {
        let times: Vec<i64> = moments.keys().copied().collect();
        for (number, now) in times.iter().enumerate() {
            let before = number.checked_sub(1).map(|at| times[at]).filter(|before| now - before <= 24 * 3_600);
            let earlier = before.iter().flat_map(|before| moments[before].iter().map(move |place| (*before, place)));
            let together = moments[now].iter().map(|place| (*now, place));
            let mut pairs = earlier.chain(together).flat_map(|one| moments[now].iter().map(move |other| (one, other)));
            let is_fast = pairs.any(|((at, one), other)| {
                let (km, hours) = (distance_km(*one, *other), ((now - at).max(1)) as f64 / 3_600.0);
                km >= 500.0 && km / hours >= 900.0
            });
            if is_fast {
                fast.insert((user, *now));
            }
        }
    }
    fast
}

#[test]
fn any_order_of_arrival_with_checkpoints_gives_what_looking_at_all_pairs_gives() {
    let mut all = 0;
    for seed in 0..60 {
        let mut numbers = Numbers(seed);
        let users = ["ann", "bob", "eve"];
        let mut logins: Vec<Login> = (0..120)
            .map(|number| {
                let place = KNOWN[numbers.next(KNOWN.len())].0;
                let address = [place, place, place, "10.0.0.1"][numbers.next(4)];
                // within the lateness of an hour, some at the very same time
                login((numbers.next(300) * 12) as i64, number, users[numbers.next(3)], address)
            })
            .collect();
        let expected = by_all_pairs(&logins);
        for at in (1..logins.len()).rev() {
            logins.swap(at, numbers.next(at + 1));
        }
        let places = atlas();
        let mut engine = engine(&places);
        let mut detections = Vec::new();
        let mut rest = logins.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + numbers.next(30)));
            detections.extend(engine.evaluate(&batch(now), LATER));
            let saved = engine.checkpoint();
            engine = Engine::restore_with(compile(), exact(), &saved)
                .expect("reads back")
                .with_places(Arc::clone(&places) as Arc<dyn Places>);
            assert_eq!(engine.checkpoint(), saved);
            rest = later;
        }
        detections.extend(engine.tick(UnixNanos(START + 100 * 3_600 * SECOND)));
        let got: Vec<(&str, i64)> =
            detections.iter().map(|one| (one.group[0].1.as_str(), (one.at.0 - START) / SECOND)).collect();
        assert_eq!(got.iter().copied().collect::<BTreeSet<_>>(), expected, "seed {seed}");
        assert_eq!(got.len(), expected.len(), "each moment once, seed {seed}");
        all += got.len();
    }
    assert!(all > 1_000, "only {all} journeys tell little");
}

#[test]
fn a_rule_that_cannot_be_read_says_where() {
    let rule = |correlation: &str| {
        let text = format!(
            "title: in\nname: in\ndetection: {{s: {{a: 1}}, condition: s}}\n---\ntitle: t\ncorrelation: {{type: geo, rules: [in], {correlation}}}\n"
        );
        RuleBook::new().update("g.yml", &text).expect_err("faults").iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let cases = [
        ("timespan: 1d, condition: {field: a, speed_gte: 1, distance_gte: 1}", "takes 1 to 16 group-by fields, got 0"),
        ("timespan: 1d, group-by: [a]", "a geo correlation needs condition"),
        ("timespan: 1d, group-by: [a], condition: {field: a, speed_gte: 1}", "distance_gte must be a number above 0"),
        (
            "timespan: 1d, group-by: [a], condition: {field: a, speed_gte: -1, distance_gte: 1}",
            "speed_gte must be a number above 0",
        ),
        ("timespan: 1d, group-by: [a], condition: {field: a, gte: 1}", "the condition of geo has no key \"gte\""),
        ("group-by: [a], condition: {field: a, speed_gte: 1, distance_gte: 1}", "a correlation needs timespan"),
    ];
    for (correlation, expected) in cases {
        let found = rule(correlation);
        assert!(
            found.iter().any(|fault| fault.starts_with("g.yml:6:") && fault.contains(expected)),
            "{correlation}: {found:?}"
        );
    }
}
