//! A clock that jumps two hours either way raises no alert about what is missing, and makes nothing late.

use std::time::Duration;

use model::{Detection, EventBatch, Lsn, Signal};
use otlp::{Arrival, Format};
use rules::{Engine, RuleBook};
use serde_json::json;

use super::*;

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3_600 * SECOND;
const START: i64 = 1_767_225_600 * SECOND;
/// How long after its moment what is missing is noticed: twice the lateness.
const NOTICED_AFTER: i64 = 120;
/// Logins that fail, and are not followed by one that succeeds; and three that fail within a minute.
const RULES: &str = "\
title: failed
name: failed
detection: {s: {http.response.status_code: 401}, condition: s}
---
title: ok
name: ok
detection: {s: {http.response.status_code: 200}, condition: s}
---
title: missing
correlation: {type: temporal, condition: failed and not ok, group-by: [user.id], timespan: 30s}
---
title: many
correlation: {type: event_count, rules: [failed], group-by: [user.id], timespan: 1m, condition: {gte: 3}}
";

/// The engine as the walker drives it.
struct House {
    clock: Clock,
    quiet: Quiet,
    engine: Engine,
    spans: u64,
    found: Vec<Detection>,
}

fn tenant() -> TenantId {
    TenantId::default_tenant()
}

impl House {
    fn new() -> Self {
        let mut book = RuleBook::new();
        book.update("rule.yml", RULES).unwrap();
        let clock = Clock::fixed(START);
        let (quiet, engine) = (Quiet::new(clock.clone()), Engine::new(book.compile()));
        Self { clock, quiet, engine, spans: 0, found: Vec::new() }
    }

    /// A login that happened at this second of the truth, which the machine's clock need not know.
    fn login(&mut self, second: i64, user: &str, status: i64) {
        self.spans += 1;
        let at = (START + second * SECOND).to_string();
        let span = json!({
            "traceId": format!("{:032x}", self.spans), "spanId": format!("{:016x}", self.spans), "name": "login",
            "startTimeUnixNano": at, "endTimeUnixNano": at, "attributes": [
                {"key": "user.id", "value": {"stringValue": user}},
                {"key": "http.response.status_code", "value": {"intValue": status.to_string()}},
            ],
        });
        let request = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).to_string();
        let received_at = UnixNanos(self.clock.unix_nanos());
        let arrival = Arrival { received_at, ..Arrival::default() };
        let records = otlp::decode(Signal::Spans, Format::Json, request.as_bytes(), &arrival).unwrap().records;
        let batch = EventBatch { tenant: tenant(), signal: Signal::Spans, received_at, lsn: Lsn(0), records };
        let batch = batch.placed(Lsn(self.spans)).unwrap();
        self.found.extend(self.engine.evaluate(&batch, self.quiet.bound()));
        self.engine.newest().into_iter().for_each(|newest| self.quiet.hear(&tenant(), newest));
    }

    /// So many seconds in which nothing comes.
    fn wait(&mut self, seconds: i64) {
        for _ in 0..seconds {
            self.clock.advance(Duration::from_secs(1));
            self.found.extend(self.engine.tick(self.quiet.now(&tenant())));
        }
    }

    /// Title and second of what was found since the last call.
    fn found(&mut self) -> Vec<(String, i64)> {
        let told = |found: Detection| (found.rule.title.to_string(), (found.at.0 - START) / SECOND);
        self.found.drain(..).map(told).collect()
    }

    fn late(&self) -> u64 {
        self.engine.counters().map(|(_, counters)| counters.late).sum()
    }
}

#[test]
fn what_is_missing_is_noticed_in_its_time_whatever_the_clock_is_set_to() {
    for jumps in [[0, 0], [2 * HOUR, 0], [2 * HOUR, -2 * HOUR]] {
        let mut house = House::new();
        house.login(0, "ann", 401);
        house.clock.jump(jumps[0]);
        house.wait(20);
        house.login(20, "ann", 200);
        house.login(20, "bob", 401);
        house.clock.jump(jumps[1]);
        house.wait(29 + NOTICED_AFTER);
        assert_eq!(house.found(), [], "{jumps:?}: his time is not over");
        house.wait(3);
        assert_eq!(house.found(), [("missing".to_owned(), 50)], "{jumps:?}");
        assert_eq!(house.late(), 0, "{jumps:?}");
    }
}

#[test]
fn events_after_a_jump_are_counted_with_those_before_it() {
    for jump in [2 * HOUR, -2 * HOUR] {
        let mut house = House::new();
        house.login(0, "ann", 401);
        house.wait(10);
        house.clock.jump(jump);
        house.wait(10);
        house.login(20, "ann", 401);
        house.wait(10);
        house.login(30, "ann", 401);
        assert_eq!(house.found(), [("many".to_owned(), 30)], "{jump}");
        assert_eq!(house.late(), 0, "{jump}");
    }
}

#[test]
fn a_clock_that_was_set_back_only_puts_off_what_silence_says() {
    let mut house = House::new();
    house.login(0, "ann", 401);
    house.clock.jump(-2 * HOUR);
    house.wait(600);
    assert_eq!(house.found(), [], "by the machine's clock he has two hours left");
    // events say how late it is
    house.login(600, "bob", 200);
    assert_eq!(house.found(), [("missing".to_owned(), 30)]);
}

#[test]
fn after_a_sleep_the_first_event_says_how_late_it_is() {
    let mut house = House::new();
    house.login(0, "ann", 200);
    // the steady clock stood still meanwhile
    house.clock.jump(8 * HOUR);
    let woken = 8 * 3_600;
    house.login(woken, "bob", 401);
    house.wait(29 + NOTICED_AFTER);
    assert_eq!(house.found(), []);
    house.wait(3);
    assert_eq!(house.found(), [("missing".to_owned(), woken + 30)]);
}

#[test]
fn a_tenant_that_was_never_heard_of_goes_by_the_slower_clock() {
    let clock = Clock::fixed(START);
    let quiet = Quiet::new(clock.clone());
    clock.jump(2 * HOUR);
    assert_eq!((quiet.now(&tenant()).0, quiet.bound().0), (START, START + 2 * HOUR));
    clock.jump(-3 * HOUR);
    assert_eq!((quiet.now(&tenant()).0, quiet.bound().0), (START - HOUR, START));
}
