//! Nothing the policy forbids comes out of it, whatever it stands in, and everything else does.

mod house;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use collect::redaction::{KeyRule, MasterKey, Policy, Settings, ValueRule};
use house::value::{array, list, pair, text};
use house::{House, NOW, span, traces};
use model::{Signal, TenantId};
use proptest::prelude::*;
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::trace::v1::Span;
use proto::trace::v1::span::Event;
use wal::ReaderName;

const CARD: &str = "4111 1111 1111 1111";

fn policy(settings: &Settings) -> Policy {
    Policy::compile(settings, MasterKey::new(&[7; 32]).expect("long enough")).expect("valid settings")
}

fn rule(matches: &str, action: &str) -> KeyRule {
    KeyRule { matches: matches.to_owned(), action: action.to_owned() }
}

fn int(number: i64) -> AnyValue {
    AnyValue { value: Some(Kind::IntValue(number)) }
}

fn redacted(policy: &Policy, tenant: &str, span: Span) -> Span {
    let bytes = traces(vec![span]).encode_to_vec();
    let tenant = tenant.parse().expect("a tenant");
    let rewritten = policy.redact(&tenant, Signal::Spans, &bytes).expect("can be walked").payload;
    let request = ExportTraceServiceRequest::decode(&rewritten[..]).expect("still OTLP");
    request.resource_spans[0].scope_spans[0].spans[0].clone()
}

/// The attributes of a span after redaction, as text where they are text.
fn attributes(policy: &Policy, attributes: Vec<KeyValue>) -> Vec<(String, String)> {
    shown(&redacted(policy, "default", Span { attributes, ..span(1) }).attributes)
}

fn shown(attributes: &[KeyValue]) -> Vec<(String, String)> {
    let value = |pair: &KeyValue| match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Kind::StringValue(text)) => text.clone(),
        Some(Kind::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.iter().map(|pair| (pair.key.clone(), value(pair))).collect()
}

fn find<'a>(attributes: &'a [(String, String)], key: &str) -> Option<&'a str> {
    attributes.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str())
}

fn jwt(sub: &str) -> String {
    let encode = |json: String| URL_SAFE_NO_PAD.encode(json);
    let header = encode(r#"{"alg":"RS256","kid":"k1"}"#.to_owned());
    let body =
        format!(r#"{{"iss":"https://id.example","aud":"shop","sub":"{sub}","exp":1764003600,"iat":1764000000}}"#);
    format!("{header}.{}.c2lnbmF0dXJl", encode(body))
}

#[test]
fn a_token_in_the_authorization_header_leaves_what_detection_needs() {
    let token = jwt("u-7");
    let header = array(vec![text(format!("Bearer {token}"))]);
    let sent = vec![pair("http.request.header.authorization", header), pair("user.id", text("u-7"))];
    let kept = attributes(&policy(&Settings::default()), sent);
    assert!(find(&kept, "http.request.header.authorization").is_some_and(|value| value.contains("\"Bearer ***\"")));
    for (key, value) in [
        ("user.id", "u-7"),
        ("auth.jwt.alg", "RS256"),
        ("auth.jwt.kid", "k1"),
        ("auth.jwt.iss", "https://id.example"),
        ("auth.jwt.aud", "shop"),
        ("auth.jwt.sub", "u-7"),
        ("auth.jwt.exp", "1764003600"),
        ("auth.jwt.iat", "1764000000"),
    ] {
        assert_eq!(find(&kept, key), Some(value), "{key}");
    }
    let hash = find(&kept, "auth.token.hash").expect("a hash of the token");
    assert!(hash.len() == 32 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");

    // the same token elsewhere has the same hash: in a text, in an event, behind another header
    let event = Event { name: format!("retry with bearer {token}"), ..Event::default() };
    let sent = Span { name: format!("GET /?t={token}"), events: vec![event], ..span(2) };
    let kept = redacted(&policy(&Settings::default()), "default", sent);
    assert_eq!(kept.name, "GET /?t=***");
    assert_eq!(kept.events[0].name, "retry with bearer ***");
    assert_eq!(find(&shown(&kept.attributes), "auth.token.hash"), Some(hash));
    assert_eq!(find(&shown(&kept.events[0].attributes), "auth.token.hash"), Some(hash));
}

#[test]
fn basic_credentials_leave_their_method_and_hash_and_what_the_client_says_wins() {
    let sent = vec![pair("authorization", text("Basic YW5uOmh1bnRlcjI=")), pair("auth.method", text("ldap"))];
    let kept = attributes(&policy(&Settings::default()), sent.clone());
    assert_eq!(find(&kept, "authorization"), Some("Basic ***"));
    assert_eq!(find(&kept, "auth.method"), Some("ldap"));
    assert_eq!(find(&kept, "auth.token.hash").map(str::len), Some(32));
    assert_eq!(kept.iter().filter(|(key, _)| key == "auth.method").count(), 1);
    let kept = attributes(&policy(&Settings::default()), sent[..1].to_vec());
    assert_eq!(find(&kept, "auth.method"), Some("basic"));
}

#[test]
fn tokens_join_within_a_tenant_and_not_across() {
    let settings = Settings { keys: vec![rule("user.email", "token")], ..Settings::default() };
    let policy = policy(&settings);
    let token_of = |tenant: &str, value: &str| {
        let sent = Span { attributes: vec![pair("User-Email", text(value))], ..span(1) };
        shown(&redacted(&policy, tenant, sent).attributes)[0].1.clone()
    };
    let token = token_of("default", "ann@example.org");
    assert_eq!(token.len(), 32);
    assert_eq!(token, token_of("default", "ann@example.org"));
    assert_ne!(token, token_of("default", "bob@example.org"));
    assert_ne!(token, token_of("other", "ann@example.org"));
}

#[test]
fn the_first_matching_key_rule_holds_and_reaches_nested_values() {
    let keys = vec![rule("db.password.age", "leave"), rule("customer.*", "token"), rule("internal.*", "drop")];
    let policy = policy(&Settings { keys, ..Settings::default() });
    let nested = list(vec![pair("n", int(5)), pair("t", array(vec![text("x"), int(5)]))]);
    let sent = vec![
        pair("db.password.age", int(30)),
        pair("db.password", int(1234)),
        pair("customer.data", nested),
        pair("internal.note", text("x")),
        pair("config", list(vec![pair("name", text("a")), pair("password", text("hunter2"))])),
    ];
    let kept = attributes(&policy, sent);
    assert_eq!(find(&kept, "db.password.age"), Some("30"));
    assert_eq!(find(&kept, "db.password"), Some("***"));
    assert_eq!(find(&kept, "internal.note"), None);
    let data = find(&kept, "customer.data").expect("is kept");
    assert!(!data.contains("IntValue") && !data.contains("\"x\""), "{data}");
    let config = find(&kept, "config").expect("is kept");
    assert!(config.contains("\"a\"") && config.contains("***") && !config.contains("hunter2"), "{config}");
}

#[test]
fn an_allow_list_fails_closed() {
    let settings = Settings { allow_list: vec!["http.*".to_owned(), "user.id".to_owned()], ..Settings::default() };
    let policy = policy(&settings);
    let sent = vec![
        pair("http.route", text("/cart")),
        pair("http.request.header.cookie", text("a=b")),
        pair("user.id", text("u-7")),
        pair("cart", list(vec![pair("user.id", text("u-8")), pair("total", int(12))])),
        pair("note", array(vec![text("x")])),
        pair("http.response.status_code", int(200)),
    ];
    let kept = attributes(&policy, sent);
    assert_eq!(find(&kept, "http.route"), Some("/cart"));
    assert_eq!(find(&kept, "http.response.status_code"), Some("200"));
    assert_eq!(find(&kept, "http.request.header.cookie"), Some("***"), "key rules come before the list");
    assert_eq!(find(&kept, "user.id"), Some("u-7"));
    for key in ["cart", "note"] {
        let value = find(&kept, key).expect("keys stay");
        assert!(value.contains("***") && !value.contains("12") && !value.contains("u-8"), "{value}");
    }

    let log = |settings: &Settings| {
        let record = LogRecord { body: Some(text("ann bought 3")), ..LogRecord::default() };
        let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
        let request =
            ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] };
        let (policy, bytes) = (self::policy(settings), request.encode_to_vec());
        let kept = policy.redact(&TenantId::default_tenant(), Signal::Logs, &bytes).expect("can be walked").payload;
        String::from_utf8_lossy(&kept).contains("ann bought 3")
    };
    assert!(!log(&settings), "bodies are values without a key");
    let allow_list = vec!["body".to_owned()];
    assert!(log(&Settings { allow_list, ..Settings::default() }));
}

#[test]
fn the_operators_own_patterns_apply_with_and_without_a_literal_beginning() {
    for regex in ["E-[0-9]{6}", "[0-9]{6}-emp", "(?i)emp:[a-z]+", "[a-z][0-9]{5}[a-z]"] {
        let value = ValueRule { name: "employee".to_owned(), regex: regex.to_owned(), action: "mask".to_owned() };
        let policy = policy(&Settings { values: vec![value], ..Settings::default() });
        let sent = vec![pair("note", text("by E-123456, 123456-emp, EMP:ann, a12345b"))];
        let kept = attributes(&policy, sent);
        assert!(find(&kept, "note").is_some_and(|note| note.matches("***").count() == 1), "{regex}: {kept:?}");
    }
}

#[test]
fn clean_telemetry_is_never_walked() {
    let attributes = vec![
        pair("http.request.method", text("POST")),
        pair("url.full", text("https://shop.example/cart/items?page=2")),
        pair("user.email", text("ann@example.org")),
        pair("session.id", text("0af7651916cd43dd8448eb211c80319c")),
        pair("db.query.text", text("SELECT id, total FROM orders WHERE customer = $1")),
        pair("order.id", text("1764000000000000")),
        pair("thread.name", text("http-nio-8080-exec-7")),
        pair("enduser.path", text("/month_report/with_length")),
    ];
    let spans = (100..=250).map(|number| Span { attributes: attributes.clone(), ..span(number) }).collect();
    let bytes = traces(spans).encode_to_vec();
    let policy = policy(&Settings::default());
    let rewritten = policy.redact(&TenantId::default_tenant(), Signal::Spans, &bytes).expect("can be walked");
    assert_eq!(rewritten.records_walked, 0);
    assert_eq!(rewritten.payload, bytes);
}

#[test]
fn only_the_record_with_a_candidate_is_walked() {
    let mut spans: Vec<_> = (100..=250).map(span).collect();
    spans[99].attributes = vec![pair("db.password", text("hunter2"))];
    let bytes = traces(spans).encode_to_vec();
    let policy = policy(&Settings::default());
    let rewritten = policy.redact(&TenantId::default_tenant(), Signal::Spans, &bytes).expect("can be walked");
    assert_eq!(rewritten.records_walked, 1);
}

#[tokio::test]
async fn the_log_holds_what_was_judged_whatever_the_encoding_of_the_request() {
    let policy = Arc::new(policy(&Settings::default()));
    let house = House::redacting(house::settings(), None, Some(policy)).await;
    // a field that OTLP does not know, and a key that is written twice
    let json = format!(
        r#"{{"secretField":"hunter2","resourceSpans":[{{"scopeSpans":[{{"spans":[{{
            "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","startTimeUnixNano":"{NOW}",
            "name":"password=hunter2","name":"again p\u0061ssword=hunter2","unknown":["hunter2"],
            "attributes":[{{"key":"db.pass\u0077ord","value":{{"stringValue":"hunter2"}}}},
                          {{"key":"kept","value":{{"intValue":"7"}}}}]}}]}}]}}]}}"#
    );
    let answer = house.post("/v1/traces", &[("content-type", "application/json")], json.as_bytes()).await;
    assert_eq!(answer.status, 200);
    let secret = Span { name: "redis://:hunter2@cache:6379".to_owned(), ..span(1) };
    let body = house::gzip(&traces(vec![secret]).encode_to_vec());
    let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
    assert_eq!(house.post("/v1/traces", &headers, &body).await.status, 200);

    let mut reader = house.wal.reader(ReaderName::Archive);
    let mut frames = 0;
    while let Some(entry) = reader.next().expect("the log is readable") {
        assert_eq!(entry.frame.format, wal::Format::Protobuf);
        let request = ExportTraceServiceRequest::decode(&entry.frame.payload[..]).expect("still OTLP");
        assert!(!format!("{request:?}").contains("hunter2"), "{request:?}");
        frames += 1;
    }
    assert_eq!((frames, house.rows()), (2, 2));
    let batches = house.batches();
    assert!(!format!("{batches:?}").contains("hunter2"), "batches are made of what the log holds");
    assert!(format!("{batches:?}").contains("kept"));
}

#[tokio::test]
async fn answers_to_refused_requests_never_quote_what_was_sent() {
    let policy = Arc::new(policy(&Settings::default()));
    let house = House::redacting(house::settings(), None, Some(policy)).await;
    let bad_id = Span { trace_id: b"hunter2".to_vec(), name: "hunter2".to_owned(), ..span(1) };
    let body = traces(vec![bad_id]).encode_to_vec();
    let partial = house.post("/v1/traces", &[("content-type", "application/x-protobuf")], &body).await;
    assert_eq!(partial.status, 200);
    assert!(!String::from_utf8_lossy(&partial.body).contains("hunter2"), "{partial:?}");
    for body in [
        r#""hunter2""#,
        r#"{"resourceSpans":"hunter2"}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"hunter2"}]}]}]}"#,
        "hunter2",
    ] {
        let answer = house.post("/v1/traces", &[("content-type", "application/json")], body.as_bytes()).await;
        assert_eq!(answer.status, 400);
        assert!(!String::from_utf8_lossy(&answer.body).contains("hunter2"), "{answer:?}");
    }
}

/// A secret in some wrapping, and what of it must not be kept.
fn secret() -> impl Strategy<Value = (String, String)> {
    let word = "[a-z]{3}[0-9]{5}[a-z]{3}";
    prop_oneof![
        word.prop_map(|secret| (format!("password={secret}&a=b"), secret)),
        word.prop_map(|secret| (format!("x \"client_secret\": \"{secret}\""), secret)),
        word.prop_map(|secret| (format!("Authorization: Bearer {secret}xyz"), secret)),
        word.prop_map(|secret| (format!("amqp://app:{secret}@mq:5672/"), secret)),
        word.prop_map(|secret| (format!("see {}", jwt(&secret)), jwt(&secret))),
        word.prop_map(|secret| (format!("ghp_{}{secret}", "Ab3".repeat(9)), secret)),
        Just((format!("card {CARD} declined"), CARD.to_owned())),
    ]
}

/// A value with a secret somewhere in it, and the secret.
fn hiding_place() -> impl Strategy<Value = (AnyValue, String)> {
    let leaf = secret().prop_flat_map(|(wrapped, secret)| {
        let as_bytes = AnyValue { value: Some(Kind::BytesValue(wrapped.clone().into_bytes())) };
        prop_oneof![Just((text(wrapped), secret.clone())), Just((as_bytes, secret))]
    });
    leaf.prop_recursive(6, 12, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|(value, secret)| (array(vec![int(1), value]), secret)),
            inner.prop_map(|(value, secret)| (list(vec![pair("k", value), pair("l", text("plain"))]), secret)),
        ]
    })
}

/// A request with secrets in some of its places, and the secrets.
fn request() -> impl Strategy<Value = (ExportTraceServiceRequest, Vec<String>)> {
    let span = (hiding_place(), secret(), secret(), secret(), "[ -~]{0,20}", 0..32_u32).prop_map(
        |((value, in_value), name, key, status, plain, places)| {
            let mut span = span(1);
            let mut secrets = Vec::new();
            let mut put = |bit: u32, secret: &str| {
                let is_in = places & (1 << bit) != 0;
                if is_in {
                    secrets.push(secret.to_owned());
                }
                is_in
            };
            span.attributes.push(pair("plain", text(plain)));
            if put(0, &in_value) {
                span.attributes.push(pair("value", value.clone()));
            }
            if put(1, &name.1) {
                span.name = name.0;
            }
            if put(2, &key.1) {
                span.attributes.push(pair(&key.0, int(1)));
            }
            if put(3, &status.1) {
                span.status = Some(proto::trace::v1::Status { message: status.0, code: 2 });
            }
            if put(4, &in_value) {
                span.events.push(Event { attributes: vec![pair("e", value)], ..Event::default() });
            }
            (span, secrets)
        },
    );
    proptest::collection::vec(span, 1..5).prop_map(|spans| {
        let (spans, secrets): (Vec<_>, Vec<_>) = spans.into_iter().unzip();
        (traces(spans), secrets.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_secret_survives_and_the_quick_pass_changes_nothing((request, secrets) in request()) {
        let bytes = request.encode_to_vec();
        let tenant = TenantId::default_tenant();
        let quick = policy(&Settings::default()).redact(&tenant, Signal::Spans, &bytes).expect("can be walked");
        let thorough = policy(&Settings::default()).thorough();
        let thorough = thorough.redact(&tenant, Signal::Spans, &bytes).expect("can be walked");
        prop_assert_eq!(&quick.payload, &thorough.payload);
        prop_assert!(quick.records_walked <= thorough.records_walked);
        for secret in secrets {
            let found = quick.payload.windows(secret.len()).any(|window| window == secret.as_bytes());
            prop_assert!(!found, "{} is still there", secret);
        }
        let kept = ExportTraceServiceRequest::decode(&quick.payload[..]).expect("still OTLP");
        let spans = |request: &ExportTraceServiceRequest| request.resource_spans[0].scope_spans[0].spans.len();
        prop_assert_eq!(spans(&kept), spans(&request));
        // what was redacted once is left in peace
        let again = policy(&Settings::default()).redact(&tenant, Signal::Spans, &quick.payload).expect("again");
        prop_assert_eq!(&again.payload, &quick.payload);
    }

    #[test]
    fn hostile_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), junk in ".{0,200}") {
        let policy = policy(&Settings::default()).thorough();
        for signal in Signal::ALL {
            let _ = policy.redact(&TenantId::default_tenant(), signal, &bytes);
        }
        let sent = Span { name: junk.clone(), attributes: vec![pair("authorization", text(junk))], ..span(1) };
        redacted(&policy, "default", sent);
    }
}
