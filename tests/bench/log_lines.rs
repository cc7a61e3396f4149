//! Log lines of a shop's services: the same ones for the same numbers, 60 to 140 bytes of text with ids, addresses and times.
//!
//! A line is told by its number alone. One in a million is about a certificate, one in two hundred about a payment that was
//! declined, one in fifty about a timeout; most are requests, statements, events and health checks.

use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;

use crate::corpus::SEED;

/// Lines of a request.
pub const PER_REQUEST: u64 = 500;
/// Event time between two lines: 2,778 lines a second, ten million an hour.
const NANOS_BETWEEN: u64 = 360_000;
/// Each with the number of its copies.
const SERVICES: [(&str, u64); 8] = [
    ("gateway", 4),
    ("catalog", 3),
    ("cart", 2),
    ("orders", 3),
    ("payments", 2),
    ("inventory", 2),
    ("sessions", 2),
    ("notifications", 1),
];
/// One line in so many is about a certificate.
const RARE_EVERY: u64 = 1_000_000;

/// Requests with so many lines in all, the first of which is of this moment. Made one at a time.
pub fn requests(lines: u64, start_unix_nanos: u64) -> impl Iterator<Item = ExportLogsServiceRequest> + Send {
    let firsts = (0..lines).step_by(PER_REQUEST as usize);
    firsts.map(move |first| request(first..(first + PER_REQUEST).min(lines), start_unix_nanos))
}

/// The same as bytes.
pub fn bodies(lines: u64, start_unix_nanos: u64) -> impl Iterator<Item = Vec<u8>> + Send {
    requests(lines, start_unix_nanos).map(|request| request.encode_to_vec())
}

fn request(numbers: std::ops::Range<u64>, start_unix_nanos: u64) -> ExportLogsServiceRequest {
    let mut of_copy: std::collections::BTreeMap<(usize, u64), Vec<LogRecord>> = std::collections::BTreeMap::new();
    for number in numbers {
        let mut dice = Dice(SEED ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let Line { service, severity, text } = line(number, &mut dice);
        let copy = dice.below(SERVICES[service].1);
        let time = start_unix_nanos + number * NANOS_BETWEEN;
        of_copy.entry((service, copy)).or_default().push(record(time, severity, text, &mut dice));
    }
    let resource_logs = of_copy.into_iter().map(|((service, copy), log_records)| {
        let name = SERVICES[service].0;
        let attributes = vec![
            pair("service.name", name.to_owned()),
            pair("service.instance.id", format!("{name}-{copy}")),
            pair("deployment.environment.name", "production".to_owned()),
            pair("k8s.pod.name", format!("{name}-7d9f8b6c5d-{copy}")),
        ];
        ResourceLogs {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_logs: vec![ScopeLogs {
                scope: Some(InstrumentationScope {
                    name: format!("com.shop.{name}"),
                    ..InstrumentationScope::default()
                }),
                log_records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }
    });
    ExportLogsServiceRequest { resource_logs: resource_logs.collect() }
}

fn record(time_unix_nano: u64, severity: i32, text: String, dice: &mut Dice) -> LogRecord {
    let in_trace = dice.below(10) < 6;
    let id = |bytes: usize, dice: &mut Dice| if in_trace { hex_bytes(dice, bytes) } else { Vec::new() };
    LogRecord {
        time_unix_nano,
        observed_time_unix_nano: time_unix_nano + 1_000_000,
        severity_number: severity,
        severity_text: ["DEBUG", "INFO", "WARN", "ERROR"][(severity as usize - 5) / 4].to_owned(),
        body: Some(string(text)),
        attributes: vec![pair("thread.name", format!("worker-{}", dice.below(32)))],
        trace_id: id(16, dice),
        span_id: id(8, dice),
        ..LogRecord::default()
    }
}

struct Line {
    service: usize,
    severity: i32,
    text: String,
}

fn line(number: u64, dice: &mut Dice) -> Line {
    let (debug, info, warn, error) = (5, 9, 13, 17);
    let of = |service: usize, severity: i32, text: String| Line { service, severity, text };
    if number % RARE_EVERY == RARE_EVERY / 2 {
        let text =
            format!("TLS certificate of edge-{} expires in 6 days, fingerprint {:016x}", dice.below(9), dice.next());
        return of(0, warn, text);
    }
    let (order, user, millis) = (1_000_000 + dice.below(9_000_000), dice.below(200_000), 1 + dice.below(400));
    let address = format!("10.{}.{}.{}", dice.below(64), dice.below(256), dice.below(256));
    match dice.below(1_000) {
        0..5 => of(
            4,
            warn,
            format!(
                "payment pay_{:012x} for order {order} declined: insufficient funds (code 5{})",
                dice.next() >> 16,
                dice.below(10)
            ),
        ),
        5..25 => of(
            3,
            warn,
            format!(
                "retrying call to inventory (attempt {} of 5) after {millis} ms: upstream request timeout, request {:016x}",
                1 + dice.below(5),
                dice.next()
            ),
        ),
        25..30 => of(
            7,
            error,
            format!(
                "connection to kafka broker {address}:9092 lost: connection reset by peer; reconnecting in {millis} ms"
            ),
        ),
        30..32 => of(
            2,
            error,
            format!(
                "unhandled exception in worker-{}: NullPointerException at com.shop.cart.CartService.merge(CartService.java:{})",
                dice.below(32),
                dice.below(900)
            ),
        ),
        32..47 => of(
            6,
            warn,
            format!(
                "failed login for user{user}@example.com from {address}: wrong password, {} failures in a row",
                1 + dice.below(6)
            ),
        ),
        47..107 => of(
            4,
            info,
            format!("payment pay_{:012x} for order {order} authorised by acquirer in {millis} ms", dice.next() >> 16),
        ),
        107..167 => of(
            3,
            info,
            format!(
                "order {order} placed by user u{user}: {} items, total {}.{:02} EUR, request {:016x}",
                1 + dice.below(9),
                dice.below(500),
                dice.below(100),
                dice.next()
            ),
        ),
        167..247 => of(
            7,
            info,
            format!(
                "published event order.placed key={order} partition={} offset={} to topic orders",
                dice.below(24),
                dice.below(90_000_000)
            ),
        ),
        247..367 => of(
            1,
            debug,
            format!(
                "cache miss for key product:{}:price, loaded from primary in {} us",
                dice.below(50_000),
                100 + dice.below(5_000)
            ),
        ),
        367..487 => of(
            3,
            debug,
            format!(
                "SELECT id, version FROM orders WHERE customer_id = {user} took {millis} ms, {} rows, pool {}/32 connections in use",
                dice.below(50),
                dice.below(32)
            ),
        ),
        487..587 => of(
            6,
            info,
            format!("session {:016x} of user u{user} refreshed, expires in 1800 s, client {address}", dice.next()),
        ),
        587..687 => of(
            5,
            debug,
            format!(
                "health check passed: database {} ms, cache {} ms, queue depth {}",
                dice.below(20),
                dice.below(5),
                dice.below(300)
            ),
        ),
        _ => of(
            0,
            info,
            format!(
                "GET /api/v1/products/{}?page={} 200 in {millis} ms from {address}, request {:016x}",
                dice.below(50_000),
                dice.below(20),
                dice.next()
            ),
        ),
    }
}

fn hex_bytes(dice: &mut Dice, bytes: usize) -> Vec<u8> {
    (0..bytes / 8).flat_map(|_| (dice.next() | 1).to_be_bytes()).collect()
}

fn pair(key: &str, text: String) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(string(text)), ..KeyValue::default() }
}

fn string(text: String) -> AnyValue {
    AnyValue { value: Some(Kind::StringValue(text)) }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let word = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ word >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
