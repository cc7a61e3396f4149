//! What the shipped rules learn of the shop's ordinary traffic does not raise alerts afterwards, and what the attack does
//! that is new is found.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos};
use otlp::{Arrival, Format};
use rules::{Engine, RuleBook, RuleSet, Settings};
use simulate::{Export, Window};

const SEED: u64 = 7;
const HOUR: u64 = 3_600_000_000_000;
/// A Monday morning.
const START: u64 = 1_768_204_800_000_000_000;

/// The shipped files whose rules learn, with times to learn of half a day.
fn learning() -> Arc<RuleSet> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let mut book = RuleBook::new();
    let mut learning = 0;
    for entry in std::fs::read_dir(folder).expect("the rules folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if text.contains("type: first_seen") || text.contains("type: deviation") {
            let text = text.replace("learn: 7d", "learn: 12h").replace("min_buckets: 48", "min_buckets: 6");
            let text = text.replace("season: hour_of_week, min_buckets: 6", "season: none, min_buckets: 24");
            book.update(&path.to_string_lossy(), &text).expect("a valid file");
            learning += 1;
        }
    }
    assert!(learning >= 9, "only {learning} files");
    book.compile()
}

fn batch(export: &Export, position: u64) -> EventBatch {
    let signal = match export.signal {
        simulate::Signal::Traces => Signal::Spans,
        simulate::Signal::Logs => Signal::Logs,
    };
    let received_at = UnixNanos(export.at_unix_nanos.cast_signed());
    let arrival = Arrival { received_at, ..Arrival::default() };
    let records = otlp::decode(signal, Format::Protobuf, &export.body, &arrival).expect("decoded").records;
    let batch = EventBatch { tenant: TenantId::default_tenant(), signal, received_at, lsn: Lsn(position), records };
    batch.placed(Lsn(position)).expect("the stored schema")
}

#[test]
fn ordinary_traffic_raises_no_alert_once_it_was_learned_and_the_attack_does() {
    let settings = Settings { suppress: false, lateness: Duration::from_secs(60), ..Settings::default() };
    let mut engine = Engine::with_settings(learning(), settings);
    let window = Window { start_unix_nanos: START, end_unix_nanos: START + 18 * HOUR };
    let ordinary = simulate::traffic(SEED, window, 0.25).batched_every_secs(60);
    let mut found = Vec::new();
    let mut events = 0;
    let mut position = 0;
    for export in ordinary.filter(|export| export.signal == simulate::Signal::Traces) {
        position += 1;
        events += export.events;
        found.extend(engine.evaluate(&batch(&export, position), UnixNanos(i64::MAX)));
    }
    found.extend(engine.tick(UnixNanos((START + 18 * HOUR).cast_signed())));
    let alerts: Vec<String> = found.iter().map(|found| format!("{}: {}", found.rule.title, found.reason)).collect();
    assert!(events > 100_000, "only {events} spans");
    assert_eq!(alerts, [""; 0]);

    let attack = simulate::attack(SEED, START + 18 * HOUR).exports;
    for (_, export) in attack.iter().filter(|(_, export)| export.signal == simulate::Signal::Traces) {
        position += 1;
        found.extend(engine.evaluate(&batch(export, position), UnixNanos(i64::MAX)));
    }
    found.extend(engine.tick(UnixNanos((START + 19 * HOUR).cast_signed())));
    let mut rules: BTreeMap<&str, usize> = BTreeMap::new();
    found.iter().for_each(|found| *rules.entry(found.rule.title.as_str()).or_default() += 1);
    assert_eq!(rules.keys().copied().collect::<Vec<_>>(), ["Service reads far more rows of a table than usual"]);
    for (id, counters) in engine.counters() {
        assert_eq!((counters.late, counters.evicted, counters.limited), (0, 0, 0), "{id}");
    }
}
