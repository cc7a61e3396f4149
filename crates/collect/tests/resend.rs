//! A request that comes again is acknowledged again and stored once; one that only looks alike is stored.

mod house;

use std::time::Duration;

use access::Principal;
use collect::Settings;
use house::call::{LOGS, TRACES, Told, WAYS, Way, framed, raw};
use house::{DEADLINE, House, NOW, send, settings, span, traces, value};
use model::{Signal, TenantId};
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};

const WINDOW: Duration = Duration::from_secs(60);

async fn house() -> House {
    House::with(Settings { resend_window: WINDOW, ..settings() }, None).await
}

fn logs(log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
}

fn said(time_unix_nano: u64, observed_time_unix_nano: u64) -> LogRecord {
    let body = Some(value::text("login failed"));
    LogRecord { time_unix_nano, observed_time_unix_nano, body, ..LogRecord::default() }
}

/// A request of logs that cannot be meant twice.
fn unmistakable() -> ExportLogsServiceRequest {
    logs(vec![said(NOW as u64, 0), said(NOW as u64, NOW as u64 + 1)])
}

fn assert_stored(told: &Told) {
    assert_eq!((told.code, &told.partial), (0, &None), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_16_47_a_request_that_comes_again_is_acknowledged_again_and_stored_once() {
    let house = house().await;
    let (spans, records) = (traces((1..=3).map(span).collect()), unmistakable());
    for way in WAYS {
        for round in 0..3 {
            assert_stored(&house.tell(way, Signal::Spans, &spans).await);
            assert_stored(&house.tell(way, Signal::Logs, &records).await);
            // gRPC and HTTP bring the same bytes; JSON is other bytes
            let kept = if way == Way::Json { 4 } else { 2 };
            assert_eq!(house.wal.end().0, kept, "{way:?}, round {round}");
        }
    }
    // compressed it is the same request
    assert_stored(&house.tell_bytes(Way::Protobuf, Signal::Logs, records.encode_to_vec(), true).await);
    assert_eq!(house.wal.end().0, 4);
    house.clock.advance(WINDOW + Duration::from_nanos(1));
    assert_stored(&house.tell(Way::Grpc, Signal::Logs, &records).await);
    assert_eq!(house.wal.end().0, 5, "its time was over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_ahead_or_back_makes_no_request_forgotten() {
    let hour = 3_600_000_000_000;
    let house = house().await;
    let spans = traces((1..=3).map(span).collect());
    assert_stored(&house.tell(Way::Grpc, Signal::Spans, &spans).await);
    for jump in [2 * hour, -2 * hour, -2 * hour] {
        house.clock.jump(jump);
        assert_stored(&house.tell(Way::Grpc, Signal::Spans, &spans).await);
        assert_eq!(house.wal.end().0, 1, "the clock was set by {jump}");
    }
    house.clock.advance(WINDOW + Duration::from_nanos(1));
    assert_stored(&house.tell(Way::Grpc, Signal::Spans, &spans).await);
    assert_eq!(house.wal.end().0, 2, "and none is remembered for longer");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_success_is_told_again_as_it_was() {
    let house = house().await;
    let mut message = traces((1..=3).map(span).collect());
    message.resource_spans[0].scope_spans[0].spans[0].trace_id = vec![0; 16];
    let first = house.tell(Way::Grpc, Signal::Spans, &message).await;
    assert_eq!(first.partial.as_ref().map(|partial| partial.0), Some(1));
    assert_eq!(house.tell(Way::Grpc, Signal::Spans, &message).await, first);
    assert_eq!((house.wal.end().0, house.rows()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_that_may_be_meant_twice_are_stored_twice() {
    let house = house().await;
    let second = NOW as u64;
    for record in [said(0, 0), said(second, 0), said(second + 5_000_000, second + 7_000), said(0, second)] {
        let before = house.wal.end().0;
        for _ in 0..2 {
            assert_stored(&house.tell(Way::Protobuf, Signal::Logs, &logs(vec![record.clone()])).await);
        }
        assert_eq!(house.wal.end().0, before + 2, "{record:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_keys_request_is_its_own() {
    let house = house().await;
    let admin = Principal::without_login(TenantId::default_tenant());
    let other = house.access.create_key(&admin, "other").await.expect("a key").secret;
    let body = unmistakable().encode_to_vec();
    for key in [&house.key, &other, &house.key, &other] {
        let headers = [("content-type", "application/x-protobuf"), ("x-tracehound-key", key)];
        assert_eq!(send(house.http, "POST", "/v1/logs", &headers, &body).await.status, 200);
    }
    assert_eq!(house.wal.end().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_16_27_who_gave_up_waiting_and_comes_again_waits_for_the_first_write() {
    let house = house().await;
    house.gate.shut();
    for (path, body) in
        [(LOGS, unmistakable().encode_to_vec()), (TRACES, traces(vec![span(1)]).encode_to_vec())].map(frame)
    {
        let refused = raw(&house, path, &[("grpc-timeout", "200m")], body.clone()).await;
        assert_eq!(refused.code, "4", "expired after the frame was written");
        let again = raw(&house, path, &[("grpc-timeout", "200m")], body).await;
        assert_eq!(again.code, "4", "nothing is acknowledged before the log has answered");
    }
    house.gate.open();
    for (path, body) in
        [(LOGS, unmistakable().encode_to_vec()), (TRACES, traces(vec![span(1)]).encode_to_vec())].map(frame)
    {
        assert_eq!(raw(&house, path, &[], body).await.code, "0");
    }
    assert_eq!((house.wal.end().0, house.rows()), (2, 3), "each was written once");
}

fn frame((path, message): (&'static str, Vec<u8>)) -> (&'static str, Vec<u8>) {
    (path, framed(0, &message))
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_under_way_together_are_written_once_and_both_answered() {
    let house = house().await;
    house.gate.shut();
    let records = unmistakable();
    let opens_when_one_is_written = async {
        while house.wal.end().0 == 0 {
            tokio::task::yield_now().await;
        }
        house.gate.open();
    };
    let twins = async {
        tokio::join!(
            house.tell(Way::Grpc, Signal::Logs, &records),
            house.tell(Way::Protobuf, Signal::Logs, &records),
            opens_when_one_is_written,
        )
    };
    let (first, second, ()) = tokio::time::timeout(DEADLINE, twins).await.expect("answered in time");
    assert_stored(&first);
    assert_stored(&second);
    assert_eq!((house.wal.end().0, house.rows()), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_twin_of_what_could_not_be_written_is_refused_as_it_was() {
    let house = house().await;
    house.wal.clone().close();
    for _ in 0..2 {
        let told = house.tell(Way::Grpc, Signal::Logs, &unmistakable()).await;
        assert_eq!((told.code, told.is_retry), (14, true), "{told:?}");
    }
    assert_eq!(house.rows(), 0);
}
