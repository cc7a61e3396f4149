//! The shipped rules over the demo's ordinary traffic: what looks along traces holds its peace.

use std::path::PathBuf;
use std::sync::Arc;

use model::{EventBatch, Lsn, Signal, TenantId, UnixNanos};
use otlp::{Arrival, Format};
use rules::{Engine, RuleBook, RuleSet};
use simulate::Window;

const START_SECS: u64 = 1_767_261_600;
const NANOS_PER_SEC: u64 = 1_000_000_000;

/// Rules that ask what a request caused, by title.
const ALONG_TRACES: [&str; 5] = [
    "Privileged change below the request of a user without the role",
    "Retry storm below one request",
    "One request makes 50 calls to other services",
    "SQL injection confirmed by what the database did",
    "Command of a request was run",
];

fn shipped() -> Arc<RuleSet> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../rules");
    let files = std::fs::read_dir(folder).expect("the rules folder").map(|entry| entry.expect("an entry").path());
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).expect("readable");
        (path.file_name().expect("a name").to_string_lossy().into_owned(), text)
    };
    let is_rule = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yml");
    let files: Vec<(String, String)> = files.filter(is_rule).map(read).collect();
    let mut book = RuleBook::new();
    let faults = book.update_all(files.iter().map(|(file, text)| (file.as_str(), text.as_str())));
    assert!(faults.is_empty(), "{faults:?}");
    book.compile()
}

/// The shop's exports as the detector gets them.
fn batches(seed: u64, seconds: u64) -> Vec<EventBatch> {
    let (start, end) = (START_SECS * NANOS_PER_SEC, (START_SECS + seconds) * NANOS_PER_SEC);
    let exports = simulate::traffic(seed, Window { start_unix_nanos: start, end_unix_nanos: end }, 5.0);
    let one = |(export, number): (simulate::Export, u64)| {
        let signal = match export.signal {
            simulate::Signal::Traces => Signal::Spans,
            simulate::Signal::Logs => Signal::Logs,
        };
        let received_at = UnixNanos(i64::try_from(export.at_unix_nanos).expect("a time"));
        let arrival = Arrival { received_at, ..Arrival::default() };
        let records = otlp::decode(signal, Format::Protobuf, &export.body, &arrival).expect("OTLP").records;
        let batch = EventBatch { tenant: TenantId::default_tenant(), signal, received_at, lsn: Lsn(0), records };
        batch.placed(Lsn(number)).expect("placed")
    };
    exports.zip(1..).map(one).collect()
}

#[test]
fn rules_that_look_along_traces_are_silent_on_ordinary_traffic() {
    let set = shipped();
    for title in ALONG_TRACES {
        assert!(set.infos().any(|info| info.title == title), "{title}");
    }
    let mut engine = Engine::new(set);
    let mut spans = 0;
    for batch in batches(11, 300) {
        spans += if batch.signal == Signal::Spans { batch.len() } else { 0 };
        let found = engine.evaluate(&batch, batch.received_at);
        let loud: Vec<_> = found.iter().filter(|found| ALONG_TRACES.contains(&found.rule.title.as_str())).collect();
        assert!(loud.is_empty(), "{loud:?}");
    }
    assert!(spans > 5_000, "only {spans} spans");
}
