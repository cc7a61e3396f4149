//! Rules over history beside the version in force.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, FixedSizeBinaryArray, Int64Array, RecordBatch, TimestampNanosecondArray,
};
use arrow::datatypes::Int32Type;
use model::{EventBatch, Lsn, Signal, TenantId, TimeRange, UnixNanos};
use rules::backtest::{Backtest, BacktestAsk, BacktestReport, BaselineStart, RuleReport};
use rules::{NoPlaces, RuleBook, Settings};

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
const START: i64 = 1_767_225_600 * SECOND;

const BASE: &str =
    "title: failed\nid: failed\nname: failed\ndetection: {s: {http.response.status_code: 401}, condition: s}\n";

fn many(least: u32) -> String {
    format!(
        "title: many\nid: many\nsuppress: {{for: 0s}}\n\
correlation: {{type: event_count, rules: [failed], group-by: [service.name], timespan: 1m, condition: {{gte: {least}}}}}\n"
    )
}

/// Spans that end at these seconds.
fn batch(seconds: &[(i64, u8, i64)]) -> EventBatch {
    let ids = |size: usize| -> ArrayRef {
        let id = |(_, number, _): &(i64, u8, i64)| {
            let mut id = vec![1; size];
            id[0] = *number;
            id
        };
        Arc::new(FixedSizeBinaryArray::try_from_iter(seconds.iter().map(id)).expect("ids"))
    };
    let services: DictionaryArray<Int32Type> = seconds.iter().map(|_| Some("shop")).collect();
    let starts = seconds.iter().map(|(second, ..)| START + second * SECOND);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("trace_id", ids(16)),
        ("span_id", ids(8)),
        ("start_time", Arc::new(TimestampNanosecondArray::from_iter_values(starts).with_timezone("+00:00"))),
        ("duration_nanos", Arc::new(Int64Array::from_iter_values(seconds.iter().map(|_| 0)))),
        ("service", Arc::new(services)),
        (
            "http.response.status_code",
            Arc::new(Int64Array::from_iter_values(seconds.iter().map(|(.., status)| *status))),
        ),
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

fn book(many: &str) -> RuleBook {
    let mut book = RuleBook::new();
    let faults = book.update_all([("base.yml", BASE), ("many.yml", many)]);
    assert_eq!(faults, []);
    book
}

fn ask(compared: usize) -> BacktestAsk {
    BacktestAsk {
        tenant: TenantId::default_tenant(),
        range: TimeRange { start: UnixNanos(START), end: UnixNanos(START + 3 * HOUR) },
        settings: Settings::default(),
        places: Arc::new(NoPlaces),
        samples: 2,
        compared,
    }
}

fn run(
    tried: &RuleBook,
    deployed: Option<&RuleBook>,
    files: &[&str],
    compared: usize,
    batches: &[EventBatch],
) -> BacktestReport {
    let (candidate, deployed) = (tried.related(files), deployed.map(|book| book.related(files)));
    let mut test = Backtest::new(&candidate, deployed.as_ref(), ask(compared));
    let lead_in_nanos = START - test.reads().start.0;
    assert_eq!(lead_in_nanos, 60 * SECOND, "as long as the window");
    batches.iter().for_each(|batch| test.take(batch));
    test.finish()
}

fn of<'r>(report: &'r BacktestReport, id: &str) -> &'r RuleReport {
    report.rules.iter().find(|rule| rule.info.id == id).expect("is told of")
}

/// Refusals: two before the range, two right after it begins, three an hour later.
fn history() -> Vec<EventBatch> {
    vec![
        batch(&[(-20, 1, 401), (-10, 2, 401)]),
        batch(&[(5, 3, 401), (6, 4, 200), (10, 5, 401)]),
        batch(&[(3_700, 6, 401), (3_701, 7, 401), (3_702, 8, 401)]),
    ]
}

#[test]
fn alerts_are_counted_by_hour_and_windows_are_full_when_the_range_begins() {
    let found = run(&book(&many(3)), None, &["many.yml"], 100, &history());
    let many = of(&found, "many");
    assert_eq!(found.rules.len(), 1, "the rule it refers to is in another file, and not decided by this one");
    let bars: Vec<(i64, u64)> = many.histogram.iter().map(|bar| ((bar.start.0 - START) / HOUR, bar.alerts)).collect();
    assert_eq!(
        (many.alerts, bars),
        (3, vec![(0, 2), (1, 1)]),
        "the third refusal at 5 s counts those before the range"
    );
    assert_eq!(many.samples.len(), 2);
    assert_eq!(many.samples[0].at, UnixNanos(START + 5 * SECOND));
    assert_eq!(many.samples[0].events.len(), 3);
    assert!(many.diff.is_none());
}

#[test]
fn a_diff_tells_what_is_new_and_what_is_gone() {
    let (two, three) = (book(&many(2)), book(&many(3)));
    let looser = run(&two, Some(&three), &["many.yml"], 100, &history());
    let diff = of(&looser, "many").diff.clone().expect("compared");
    assert_eq!((diff.both, diff.only_new, diff.only_deployed), (3, 1, 0));
    assert_eq!(diff.new_samples[0].at, UnixNanos(START + 3_701 * SECOND));
    let stricter = run(&three, Some(&two), &["many.yml"], 100, &history());
    let diff = of(&stricter, "many").diff.clone().expect("compared");
    assert_eq!((diff.both, diff.only_new, diff.only_deployed), (3, 0, 1));
    let same = run(&three, Some(&three), &["many.yml"], 100, &history());
    let rule = of(&same, "many");
    let diff = rule.diff.clone().expect("compared");
    assert_eq!((diff.both, diff.only_new, diff.only_deployed), (rule.alerts, 0, 0));
}

#[test]
fn who_builds_on_a_changed_rule_is_tried_as_well() {
    let deployed = book(&many(3));
    let mut tried = deployed.clone();
    tried.update("base.yml", &BASE.replace("401", "[200, 401]")).expect("valid");
    let found = run(&tried, Some(&deployed), &["base.yml"], 100, &history());
    let ids: Vec<&str> = found.rules.iter().map(|rule| rule.info.id.as_str()).collect();
    assert_eq!(ids, ["many", "failed"]);
    let diff = of(&found, "many").diff.clone().expect("compared");
    assert_eq!((diff.both, diff.only_new, diff.only_deployed), (3, 1, 0), "the answer with 200 counts now");
    assert_eq!(of(&found, "failed").alerts, 0, "a rule that others refer to raises nothing of its own");
}

#[test]
fn an_event_that_is_stored_twice_counts_once_and_too_many_alerts_are_counted_without_being_compared() {
    let single =
        "title: one\nid: many\nsuppress: {for: 0s}\ndetection: {s: {http.response.status_code: 401}, condition: s}\n";
    let book = || {
        let mut book = RuleBook::new();
        book.update("many.yml", single).expect("valid");
        book
    };
    let twice = [batch(&[(1, 1, 401), (1, 1, 401), (2, 2, 401), (3, 3, 401)])];
    let candidate = book().related(&["many.yml"]);
    let run = |compared: usize, with: Option<&rules::Related>| {
        let mut test = Backtest::new(&candidate, with, ask(compared));
        twice.iter().for_each(|batch| test.take(batch));
        of(&test.finish(), "many").clone()
    };
    assert_eq!(run(100, None).alerts, 3);
    let deployed = book().related(&["many.yml"]);
    let diff = run(100, Some(&deployed)).diff.expect("compared");
    assert_eq!((diff.both, diff.not_compared), (3, 0));
    let mut empty = RuleBook::new();
    empty.update("other.yml", &single.replace("id: many", "id: other")).expect("valid");
    let nothing = empty.related(&["many.yml"]);
    let bounded = run(1, Some(&nothing));
    let diff = bounded.diff.expect("compared");
    assert_eq!((bounded.alerts, diff.only_new, diff.not_compared), (3, 1, 2));
}

#[test]
fn a_pipeline_that_changes_decides_the_rules_it_maps() {
    let rule = "title: own\nid: own\nlogsource: {product: shop}\nsuppress: {for: 0s}\n\
detection: {s: {code: 401}, condition: s}\n";
    let pipeline = |field: &str| {
        format!(
            "name: shop\npriority: 50\ntransformations:\n\
  - {{id: a, type: set_signal, signal: span, rule_conditions: [{{type: logsource, product: shop}}]}}\n\
  - {{id: b, type: field_name_mapping, mapping: {{code: {field}}}, rule_conditions: [{{type: logsource, product: shop}}]}}\n"
        )
    };
    let mut deployed = RuleBook::new();
    let faults =
        deployed.update_all([("own.yml", rule), ("other.yml", BASE), ("pipelines/shop.yml", &pipeline("nowhere"))]);
    assert_eq!(faults, []);
    let mut tried = deployed.clone();
    tried.update("pipelines/shop.yml", &pipeline("http.response.status_code")).expect("valid");
    assert_eq!(tried.changed_from(&deployed), ["own.yml"], "and no file that it does not map");
    assert_eq!(tried.changed_from(&tried), Vec::<String>::new());
    let found = run_all(&tried, Some(&deployed), &["own.yml"]);
    let diff = of(&found, "own").diff.clone().expect("compared");
    assert_eq!((diff.both, diff.only_new, diff.only_deployed), (0, 5, 0));
}

fn run_all(tried: &RuleBook, deployed: Option<&RuleBook>, files: &[&str]) -> BacktestReport {
    let (candidate, deployed) = (tried.related(files), deployed.map(|book| book.related(files)));
    let mut test = Backtest::new(&candidate, deployed.as_ref(), ask(100));
    history().iter().for_each(|batch| test.take(batch));
    test.finish()
}

#[test]
fn a_rule_that_learns_begins_with_history_or_says_that_it_has_none() {
    let learning = |keys: &str| {
        let text = format!(
            "title: new\nid: new\nsuppress: {{for: 0s}}\ncorrelation: {{type: first_seen, rules: [failed], \
fields: [http.response.status_code], group-by: [service.name], learn: 1s, forget: 1h, remember: 2h{keys}}}\n"
        );
        let mut book = RuleBook::new();
        assert_eq!(book.update_all([("base.yml", BASE), ("new.yml", &text)]), []);
        book.related(&["new.yml"])
    };
    let cold = learning("");
    let test = Backtest::new(&cold, None, ask(10));
    assert!(test.history().is_none());
    let rule = of(&test.finish(), "new").clone();
    assert_eq!(rule.baseline, Some(BaselineStart { from: UnixNanos(START), is_empty: true }));

    let warm = learning(", warm_start: history");
    let mut test = Backtest::new(&warm, Some(&cold), ask(10));
    let mut before = test.history().expect("it wants some");
    assert_eq!(before.range(), TimeRange { start: UnixNanos(START - HOUR), end: UnixNanos(START) });
    before.take(&batch(&[(-20, 1, 401), (-10, 2, 401)]));
    before.settle(UnixNanos(START));
    test.adopt(before, UnixNanos(START - HOUR));
    assert!(test.history().is_none(), "it was told");
    test.take(&batch(&[(5, 3, 401)]));
    test.take(&batch(&[(4_000, 4, 401)]));
    let rule = of(&test.finish(), "new").clone();
    assert_eq!(rule.baseline, Some(BaselineStart { from: UnixNanos(START - HOUR), is_empty: false }));
    let times: Vec<i64> = rule.samples.iter().map(|sample| (sample.at.0 - START) / SECOND).collect();
    let mut turned = Backtest::new(&cold, Some(&warm), ask(10));
    let before = turned.history().expect("the version in force wants some");
    turned.adopt(before, UnixNanos(START - HOUR));
    let turned = of(&turned.finish(), "new").clone();
    assert_eq!(turned.baseline.map(|start| start.is_empty), Some(true), "it is told of the version that is tried");
    assert_eq!(times, [4_000], "known at 5 s from history, and forgotten an hour later");
}

#[test]
fn what_is_inherited_is_read_from_around_the_range() {
    let inheriting = "title: r\nid: r\nlogsource: {product: otel, category: span}\n\
detection: {s: {entry.user.id: guest}, condition: s}\n";
    let mut book = RuleBook::new();
    book.update("r.yml", inheriting).expect("valid");
    let test = Backtest::new(&book.related(&["r.yml"]), None, ask(10));
    let reads = test.reads();
    assert_eq!((reads.start, reads.end), (UnixNanos(START - 30 * SECOND), UnixNanos(START + 3 * HOUR + 30 * SECOND)));
}
