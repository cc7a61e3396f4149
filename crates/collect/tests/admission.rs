//! What a key may bring: services, networks, rates and caps, and that a credential is believed before anything a client says.

mod house;

use std::sync::Arc;
use std::time::Duration;

use access::{LimitsChange, Principal};
use arrow::array::{Array, AsArray};
use collect::{Door, Pressure, bind};
use house::{House, open_log, send, settings, span, traces};
use model::signal::{KEY_ID, SERVICE, SERVICE_VERIFIED};
use model::view::text_at;
use model::{EventBatch, TenantId};
use otlp::Arrival;
use prost::Message as _;
use proto::collector::trace::v1::trace_service_client::TraceServiceClient;
use proto::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::resource::v1::Resource;
use proto::trace::v1::Span;
use wal::ReaderName;

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");
const SECOND: Duration = Duration::from_secs(1);

fn admin() -> Principal {
    Principal::without_login(TenantId::default_tenant())
}

/// A key with limits: its id and its whole text.
async fn key(house: &House, limits: LimitsChange) -> (String, String) {
    let made = house.access.create_limited_key(&admin(), "limited", &limits).await.expect("a key");
    (made.key.id, made.secret)
}

fn services(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| (*name).to_owned()).collect())
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Kind::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), key_strindex: 0 }
}

fn signed_as(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut message = traces(spans);
    let attributes = vec![text("service.name", service)];
    message.resource_spans[0].resource = Some(Resource { attributes, ..Resource::default() });
    message
}

async fn post(house: &House, key: &str, message: &ExportTraceServiceRequest) -> house::Answer {
    let bearer = format!("Bearer {key}");
    send(house.http, "POST", "/v1/traces", &[("authorization", &bearer), PROTOBUF], &message.encode_to_vec()).await
}

/// What the answer says was rejected, and why.
fn rejected(answer: &house::Answer) -> (i64, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let response = ExportTraceServiceResponse::decode(answer.body.as_slice()).expect("the response message");
    response.partial_success.map_or((0, String::new()), |partial| (partial.rejected_spans, partial.error_message))
}

fn verified(batch: &EventBatch) -> Vec<Option<bool>> {
    batch.records.column_by_name(SERVICE_VERIFIED).expect("in the schema").as_boolean().iter().collect()
}

fn texts(batch: &EventBatch, column: &str) -> Vec<String> {
    let column = batch.records.column_by_name(column).expect("in the schema");
    (0..column.len()).map(|row| text_at(column, row).unwrap_or("null").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_over_its_rate_is_told_when_to_come_back_and_other_keys_never_notice() {
    let house = House::open().await;
    let (_, flooding) = key(&house, LimitsChange { events_per_sec: Some(Some(10)), ..LimitsChange::default() }).await;
    let (_, modest) = key(&house, LimitsChange { events_per_sec: Some(Some(10)), ..LimitsChange::default() }).await;
    let large = traces((0..45).map(|_| span(1)).collect());
    let small = traces(vec![span(2)]);
    assert_eq!(post(&house, &flooding, &large).await.status, 200, "larger than a burst, and let in all the same");
    let mut refused = 0;
    for round in 0_u64..35 {
        let answer = post(&house, &flooding, &small).await;
        let (code, message) = answer.rpc_status();
        assert_eq!((answer.status, code), (429, 8), "round {round}: {message}");
        assert!(message.contains("events_per_sec of 10"), "{message}");
        // 45 events at 10 per second, less the burst: three and a half seconds, told in whole ones
        let left = Duration::from_millis(3_500) - Duration::from_millis(100) * u32::try_from(round).expect("small");
        let told = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        assert_eq!(answer.header("retry-after"), told.max(1).to_string(), "round {round}");
        refused += 1;
        if round % 4 == 0 {
            assert_eq!(post(&house, &modest, &small).await.status, 200, "round {round}");
        }
        house.clock.advance(SECOND / 10);
    }
    assert_eq!(refused, 35);
    house.clock.advance(SECOND * 100);
    assert_eq!(post(&house, &flooding, &large).await.status, 200);
    let bearer = format!("Bearer {flooding}");
    let garbage = send(house.http, "POST", "/v1/traces", &[("authorization", &bearer), PROTOBUF], b"garbage").await;
    assert_eq!(garbage.status, 429, "nobody looks into what is refused");
    house.clock.advance(SECOND * 100);
    assert_eq!(post(&house, &flooding, &small).await.status, 200, "and when it comes back it is let in");
    assert_eq!(house.rows(), 45 + 9 + 45 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn otlp_04_a_compressed_request_pays_for_what_it_inflates_to() {
    let house = House::open().await;
    let (_, secret) = key(&house, LimitsChange { bytes_per_sec: Some(Some(100_000)), ..LimitsChange::default() }).await;
    let mut large = span(1);
    large.name = "x".repeat(1_000_000);
    let packed = house::gzip(&traces(vec![large]).encode_to_vec());
    assert!(packed.len() < 10_000, "a hundredth of a burst on the wire");
    let bearer = format!("Bearer {secret}");
    let headers = [("authorization", bearer.as_str()), PROTOBUF, ("content-encoding", "gzip")];
    assert_eq!(send(house.http, "POST", "/v1/traces", &headers, &packed).await.status, 200);
    let answer = send(house.http, "POST", "/v1/traces", &headers, &packed).await;
    // a million bytes at 100,000 per second, less a burst of one second
    assert_eq!((answer.status, answer.header("retry-after")), (429, "10"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn over_grpc_a_key_over_its_bytes_gets_resource_exhausted_with_retry_info() {
    let house = House::open().await;
    let (_, secret) = key(&house, LimitsChange { bytes_per_sec: Some(Some(10)), ..LimitsChange::default() }).await;
    let mut client = TraceServiceClient::connect(format!("http://{}", house.grpc)).await.expect("connects");
    let request = || {
        let mut request = tonic::Request::new(traces(vec![span(1)]));
        request.metadata_mut().insert("authorization", format!("Bearer {secret}").parse().expect("ASCII"));
        request
    };
    client.export(request()).await.expect("the first is let in");
    let status = client.export(request()).await.expect_err("in debt");
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().contains("bytes_per_sec of 10"), "{status:?}");
    let details = house::RpcStatus::decode(status.details()).expect("google.rpc.Status").details;
    assert_eq!(details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
    // duration { seconds } in field 1: the bytes of one span less a burst of 10, at 10 per second
    let bytes = traces(vec![span(1)]).encoded_len() as u64;
    let secs = u8::try_from((bytes - 10).div_ceil(10)).expect("small");
    assert_eq!(details[0].value, [0x0a, 2, 0x08, secs]);
    let alone = status.metadata().get_bin("google.rpc.retryinfo-bin").expect("where the Python SDK looks");
    assert_eq!(alone.to_bytes().expect("base64"), details[0].value);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_to_nothing_through_our_fault_is_not_charged() {
    let house = House::open().await;
    let (_, secret) = key(&house, LimitsChange { bytes_per_sec: Some(Some(1)), ..LimitsChange::default() }).await;
    house.wal.clone().close();
    for _ in 0..3 {
        assert_eq!(
            post(&house, &secret, &traces(vec![span(1)])).await.status,
            503,
            "the log is closed, not the quota used"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_below_its_reserve_refuses_what_nobody_has_looked_into() {
    let house = House::open().await;
    let full = wal::Settings { reserve_bytes: u64::MAX, ..wal::Settings::new(house.dir.path().join("full")) };
    let (wal, _) = wal::Wal::open(full, |_, _: EventBatch| {}).expect("the log opens");
    let (access, clock) = (house.access.clone(), house.clock.clone());
    let door = Door { wal, access, clock, pressure: Arc::new(|| Pressure::Open), open_tenant: None, redaction: None };
    let collector = bind(settings(), door, &mut runtime::Listeners::default()).await.expect("free ports");
    let http = collector.http_addr();
    house.supervisor.start("full", |stop| collector.serve(stop));
    let bearer = format!("Bearer {}", house.key);
    let answer = send(http, "POST", "/v1/traces", &[("authorization", &bearer), PROTOBUF], b"garbage").await;
    assert_eq!((answer.status, answer.header("retry-after"), answer.rpc_status().0), (503, "1", 14));
    assert!(answer.rpc_status().1.contains("no room"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_works_from_its_networks_alone_and_a_change_is_in_force_at_once() {
    let house = House::open().await;
    let cidrs = |texts: &[&str]| LimitsChange { cidrs: services(texts), ..LimitsChange::default() };
    let (id, secret) = key(&house, cidrs(&["10.0.0.0/8", "2001:db8::/32"])).await;
    let message = traces(vec![span(1)]);
    let answer = post(&house, &secret, &message).await;
    assert_eq!((answer.status, answer.rpc_status().0), (403, 7));
    assert!(!answer.rpc_status().1.contains("10.0.0.0"), "a thief is not told from where it would work");
    for (texts, status) in [(&["127.0.0.1"][..], 200), (&["::1", "192.0.2.0/24"], 403), (&[], 200)] {
        house.access.limit_key(&admin(), &id, &cidrs(texts)).await.expect("a change");
        assert_eq!(post(&house, &secret, &message).await.status, status, "{texts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_what_the_caps_let_through_and_a_replay_gives_the_same_rows() {
    let house = House::open().await;
    let limits =
        LimitsChange { max_operations: Some(Some(3)), max_trace_events: Some(Some(4)), ..LimitsChange::default() };
    let (_, secret) = key(&house, limits).await;
    // seven operations in seven traces, of which three stay, then one trace of ten spans of a known operation
    let varied = signed_as("shop", (1..=7).map(span).collect());
    let (count, why) = rejected(&post(&house, &secret, &varied).await);
    assert_eq!(count, 4);
    assert!(why.contains("4 of operations beyond max_operations, 3 in an hour"), "{why}");
    let mut long = signed_as("shop", vec![span(2); 10]);
    long.resource_spans[0].scope_spans[0].spans[9] = span(1);
    let answer = post(&house, &secret, &long).await;
    let (count, why) = rejected(&answer);
    assert_eq!(count, 6, "the trace had one span, three more are allowed, and the other trace is not concerned");
    assert!(why.contains("6 beyond max_trace_events, 4 in a trace"), "{why}");
    let json = serde_json::to_vec(&varied).expect("writes");
    let bearer = format!("Bearer {secret}");
    let answer = send(house.http, "POST", "/v1/traces", &[("authorization", &bearer), JSON], &json).await;
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "5", "four operations, and one trace at its cap");
    // everything is refused: nothing is appended
    let other = signed_as("another", vec![span(9)]);
    assert_eq!(rejected(&post(&house, &secret, &other).await).0, 1);
    house.clock.advance(Duration::from_secs(3_600));
    assert_eq!(rejected(&post(&house, &secret, &other).await).0, 0, "a new hour, new operations");

    let live = house.batches();
    assert_eq!(live.iter().map(EventBatch::len).collect::<Vec<_>>(), [3, 4, 2, 1]);
    let House { wal, supervisor, dir, .. } = house;
    supervisor.stop(house::DEADLINE).await;
    wal.close();
    let (reopened, _, _) = open_log(dir.path());
    let mut reader = reopened.reader(ReaderName::Archive);
    for batch in &live {
        let frame = reader.next().expect("a sound log").expect("every frame").frame;
        assert_eq!(frame.format, wal::Format::Protobuf);
        let arrival = Arrival {
            received_at: frame.received_at,
            key_id: frame.key_id,
            services: frame.services,
            ..Arrival::default()
        };
        let again = otlp::decode(frame.signal, otlp::Format::Protobuf, &frame.payload, &arrival).expect("decodes");
        assert_eq!((again.records, again.rejected), (batch.records.clone(), 0));
    }
    assert!(reader.next().expect("a sound log").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_other_services_are_marked_or_rejected_as_the_key_says() {
    let house = House::open().await;
    let (id, secret) = key(&house, LimitsChange { services: services(&["cart"]), ..LimitsChange::default() }).await;
    let mut message = signed_as("cart", vec![span(1)]);
    message.resource_spans.extend(signed_as("payment", vec![span(2), span(3)]).resource_spans);
    assert_eq!(rejected(&post(&house, &secret, &message).await).0, 0);
    let reject = LimitsChange { on_other_service: Some(Some("reject".to_owned())), ..LimitsChange::default() };
    house.access.limit_key(&admin(), &id, &reject).await.expect("a change");
    let (count, why) = rejected(&post(&house, &secret, &message).await);
    assert_eq!(count, 2);
    assert!(why.contains("2 of services that this key does not list"), "{why}");
    let none = house.post("/v1/traces", &[PROTOBUF], &message.encode_to_vec()).await;
    assert_eq!(none.status, 200);
    let batches = house.batches();
    assert_eq!(verified(&batches[0]), [Some(true), Some(false), Some(false)]);
    assert_eq!((verified(&batches[1]), texts(&batches[1], SERVICE)), (vec![Some(true)], vec!["cart".to_owned()]));
    assert_eq!(verified(&batches[2]), [None; 3], "a key that lists no services says nothing");
}

/// The ways in which a client may claim to be another: each gives headers to add and a request to send.
fn spoof(number: usize, victim_id: &str, victim_key: &str) -> (Vec<(String, String)>, ExportTraceServiceRequest) {
    let names = ["auth.key_id", "auth.service_verified", "tenant", "tracehound.tenant", "service.name"];
    let name = names[number / 4 % names.len()];
    let claims = ["true", victim_id, "acme", "payment", "\u{0}payment"];
    let claim = claims[number / 20 % claims.len()];
    let mut message = signed_as("cart", vec![span(u8::try_from(number % 250).expect("small") + 1)]);
    let resource = message.resource_spans[0].resource.as_mut().expect("signed");
    let mut headers = Vec::new();
    match number % 4 {
        0 => {
            let header =
                ["x-tracehound-key", "x-scope-orgid", "x-tenant", "x-forwarded-for", "forwarded"][number / 4 % 5];
            let value = if header == "x-tracehound-key" { victim_key } else { claim };
            headers.push((header.to_owned(), value.replace('\u{0}', "")));
        }
        1 => message.resource_spans[0].scope_spans[0].spans[0].attributes.push(text(name, claim)),
        2 => resource.attributes.push(text(name, claim)),
        _ => headers.push(("baggage".to_owned(), format!("{name}={}", claim.replace('\u{0}', "%00")))),
    }
    if number >= 100 {
        // and with the word of truth where the server would write it
        let attribute = KeyValue {
            key: SERVICE_VERIFIED.to_owned(),
            value: Some(AnyValue { value: Some(Kind::BoolValue(true)) }),
            key_strindex: 0,
        };
        message.resource_spans[0].scope_spans[0].spans[0].attributes.insert(0, attribute);
    }
    (headers, message)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_claims_to_be_another_change_nothing() {
    let house = House::open().await;
    let (own_id, own) = key(&house, LimitsChange { services: services(&["payment"]), ..LimitsChange::default() }).await;
    let (victim_id, victim) =
        key(&house, LimitsChange { services: services(&["cart"]), ..LimitsChange::default() }).await;
    for number in 0..200 {
        let (claims, message) = spoof(number, &victim_id, &victim);
        let bearer = format!("Bearer {own}");
        let mut headers = vec![("authorization", bearer.as_str()), PROTOBUF];
        headers.extend(claims.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = send(house.http, "POST", "/v1/traces", &headers, &message.encode_to_vec()).await;
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
        let batch = house.batches().pop().expect("stored");
        assert_eq!(batch.tenant, TenantId::default_tenant(), "{number}");
        assert_eq!(texts(&batch, KEY_ID), [own_id.as_str()], "{number}");
        assert_eq!(
            (texts(&batch, SERVICE), verified(&batch)),
            (vec!["cart".to_owned()], vec![Some(false)]),
            "{number}"
        );
    }
    assert_eq!(house.rows(), 200);
}
