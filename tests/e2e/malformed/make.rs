//! Makes sound requests and spoils them, each in a way whose right answer is known.

use std::io::Write as _;

use prost::Message;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;
use proto::trace::v1::span::Event;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tests::dice::Dice;

/// The default limit of a request.
const LIMIT_BYTES: usize = 64 << 20;
/// Most events of a request.
const LIMIT_EVENTS: usize = 262_144;

/// What the answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    Stored,
    Invalid,
    TooLarge,
    /// The reference reader refuses it; we may, and must at least not take all of it.
    RefusedOrPartly,
    /// Stored or refused, but answered.
    Unknown,
}

/// A request ready to be sent.
#[derive(Debug, Clone)]
pub struct Request {
    pub what: &'static str,
    pub expect: Expect,
    pub is_grpc: bool,
    pub is_json: bool,
    pub is_logs: bool,
    pub encoding: Option<&'static str>,
    pub body: Vec<u8>,
    /// Most events that may be stored of it.
    pub events: u64,
}

pub struct Maker {
    dice: Dice,
    serial: u64,
}

fn text(key: &str, value: String) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(Kind::StringValue(value)) }), key_strindex: 0 }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).expect("memory takes it")
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("small");
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

/// Few bytes that inflate to very many.
pub fn bomb(encoding: &'static str, inflated_bytes: usize, is_grpc: bool) -> Request {
    let zeros = vec![0; 1 << 20];
    // one megabyte, many times over: both formats go on after the end of a member
    let member = if encoding == "gzip" { gzip(&zeros) } else { zstandard(&zeros) };
    let body = member.repeat(inflated_bytes >> 20);
    let body = if is_grpc { framed(1, &body) } else { body };
    let (expect, encoding) = (Expect::TooLarge, Some(encoding));
    Request { what: "bomb", expect, is_grpc, is_json: false, is_logs: false, encoding, body, events: 0 }
}

impl Maker {
    pub fn new(dice: Dice) -> Self {
        Self { dice, serial: 0 }
    }

    fn span(&mut self) -> Span {
        self.serial += 1;
        let now = tests::unix_nanos();
        let event = Event { name: "retry".to_owned(), time_unix_nano: now, ..Event::default() };
        Span {
            trace_id: [&self.dice.bytes(15)[..], &[1]].concat(),
            span_id: [&self.dice.bytes(7)[..], &[1]].concat(),
            name: format!("operation {}", self.serial),
            kind: 2,
            start_time_unix_nano: now,
            end_time_unix_nano: now + 1_000,
            attributes: vec![text("http.route", "/a".to_owned()), text("own", "x".repeat(self.dice.below(60)))],
            events: vec![event],
            ..Span::default()
        }
    }

    fn traces(&mut self, spans: usize) -> ExportTraceServiceRequest {
        let spans = (0..spans).map(|_| self.span()).collect();
        let resource =
            Some(Resource { attributes: vec![text("service.name", "shop".to_owned())], ..Resource::default() });
        let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
        ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans { resource, scope_spans, ..Default::default() }],
        }
    }

    fn logs(&mut self, records: usize) -> ExportLogsServiceRequest {
        let log_records = (0..records).map(|_| {
            let body = Some(AnyValue { value: Some(Kind::StringValue("y".repeat(self.dice.below(80)))) });
            LogRecord { time_unix_nano: tests::unix_nanos(), body, severity_number: 9, ..LogRecord::default() }
        });
        let scope_logs = vec![ScopeLogs { log_records: log_records.collect(), ..ScopeLogs::default() }];
        ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }] }
    }

    /// A sound message: its bytes, how it is sent, and its events.
    fn message(&mut self) -> Request {
        let count = 1 + self.dice.below(8);
        let is_logs = self.dice.below(4) == 0;
        let (is_grpc, is_json) = [(true, false), (false, false), (false, true)][self.dice.below(3)];
        let body = match (is_logs, is_json) {
            (false, false) => self.traces(count).encode_to_vec(),
            (true, false) => self.logs(count).encode_to_vec(),
            (false, true) => serde_json::to_vec(&self.traces(count)).expect("writes"),
            (true, true) => serde_json::to_vec(&self.logs(count)).expect("writes"),
        };
        let (what, expect) = ("sound", Expect::Stored);
        Request { what, expect, is_grpc, is_json, is_logs, encoding: None, body, events: count as u64 }
    }

    /// Packs the message as its transport and a random encoding have it.
    fn packed(&mut self, mut request: Request) -> Request {
        let encoding = [None, Some("gzip"), Some("zstd")][self.dice.below(3)];
        self.packed_as(&mut request, encoding);
        request
    }

    fn packed_as(&mut self, request: &mut Request, encoding: Option<&'static str>) {
        request.encoding = encoding;
        match encoding {
            Some("gzip") => request.body = gzip(&request.body),
            Some(_) => request.body = zstandard(&request.body),
            None => {}
        }
        if request.is_grpc {
            request.body = framed(encoding.is_some().into(), &request.body);
        }
    }

    /// A sound request.
    pub fn sound(&mut self) -> Request {
        let message = self.message();
        self.packed(message)
    }

    /// The request of a number: all kinds in turn, the costly ones now and then.
    pub fn spoiled(&mut self, number: usize) -> Request {
        if number % 500 == 250 {
            let encoding = ["gzip", "zstd"][self.dice.below(2)];
            let inflated_bytes = LIMIT_BYTES + ((1 + self.dice.below(100)) << 20);
            return bomb(encoding, inflated_bytes, self.dice.below(2) == 0);
        }
        if number % 100 == 50 {
            return self.many();
        }
        match number % 12 {
            0 | 1 => self.mutated(),
            2 => self.cut(),
            3 => self.wrong_length(),
            4 => self.wrong_text(),
            5 => self.deep(),
            6 => self.cut_stream(),
            7 => self.members(),
            8 => self.noise(),
            9 => self.wrong_kind(),
            10 => self.wrong_frame(),
            _ => self.mislabelled(),
        }
    }

    /// Some bytes changed: what comes of it nobody knows but the reference reader.
    fn mutated(&mut self) -> Request {
        let mut request = self.message();
        for _ in 0..1 + self.dice.below(6) {
            let at = self.dice.below(request.body.len());
            request.body[at] = self.dice.roll() as u8;
        }
        request.what = "changed bytes";
        request.expect = Expect::Unknown;
        let json = serde_json::from_slice::<serde_json::Value>(&request.body);
        // a number of 400 digits is JSON, and no fault where it is not read
        if request.is_json && json.is_err_and(|fault| !fault.to_string().contains("out of range")) {
            (request.what, request.expect) = ("changed bytes, not JSON any more", Expect::Invalid);
        }
        let is_refused = match request.is_logs {
            false => ExportTraceServiceRequest::decode(request.body.as_slice()).is_err(),
            true => ExportLogsServiceRequest::decode(request.body.as_slice()).is_err(),
        };
        if !request.is_json && is_refused {
            (request.what, request.expect) = ("changed bytes, not protobuf any more", Expect::RefusedOrPartly);
        }
        // a changed byte may make one large event into many small ones
        request.events = request.body.len() as u64;
        self.packed(request)
    }

    /// The end is missing, somewhere inside the one field of the request.
    fn cut(&mut self) -> Request {
        let mut request = self.message();
        let keep = 1 + self.dice.below(request.body.len() - 1);
        request.body.truncate(keep);
        (request.what, request.expect) = ("cut message", Expect::Invalid);
        self.packed(request)
    }

    /// A length that reaches past the end, up to 2^64.
    fn wrong_length(&mut self) -> Request {
        let mut request = self.message();
        request.is_json = false;
        let more = 1_u64 << self.dice.below(64);
        let mut body = vec![0x0a];
        prost::encoding::encode_varint(more.max(2), &mut body);
        body.push(0x12);
        request.body = body;
        (request.what, request.expect) = ("length past the end", Expect::Invalid);
        self.packed(request)
    }

    /// A text that is not UTF-8.
    fn wrong_text(&mut self) -> Request {
        let mut request = self.message();
        let marked = if request.is_logs { "shop" } else { "operation" };
        let message = if request.is_logs {
            // records have no text of ours to spoil: name the scope
            let mut logs = self.logs(1);
            let scope = proto::common::v1::InstrumentationScope { name: marked.to_owned(), ..Default::default() };
            logs.resource_logs[0].scope_logs[0].scope = Some(scope);
            if request.is_json { serde_json::to_vec(&logs).expect("writes") } else { logs.encode_to_vec() }
        } else {
            request.body.clone()
        };
        request.body = message;
        let found = request.body.windows(marked.len()).position(|window| window == marked.as_bytes());
        request.body[found.expect("the text is in there")] = 0x80 + self.dice.below(0x40) as u8;
        (request.what, request.expect) = ("not UTF-8", Expect::Invalid);
        self.packed(request)
    }

    /// Values inside values: as deep as 200,000 levels.
    fn deep(&mut self) -> Request {
        let mut request = self.message();
        request.is_logs = false;
        let levels = [21, 100, 2_000, 20_000, 200_000][self.dice.below(5)];
        if request.is_json {
            let open = r#"{"arrayValue":{"values":["#.repeat(levels);
            let ids = r#""traceId":"01010101010101010101010101010101","spanId":"0202020202020202""#;
            let close = "]}}".repeat(levels);
            let span = format!(r#"{{{ids},"attributes":[{{"key":"deep","value":{open}{close}}}]}}"#);
            request.body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{span}]}}]}}]}}"#).into_bytes();
        } else {
            // lengths grow outwards: written backwards, so that this takes no time either
            let mut backwards: Vec<u8> = Vec::new();
            let wrap = |out: &mut Vec<u8>, number: u32| {
                let mut head = Vec::new();
                prost::encoding::encode_key(number, prost::encoding::WireType::LengthDelimited, &mut head);
                prost::encoding::encode_varint(out.len() as u64, &mut head);
                out.extend(head.into_iter().rev());
            };
            for _ in 0..levels {
                wrap(&mut backwards, 1);
                wrap(&mut backwards, 5);
            }
            wrap(&mut backwards, 2);
            wrap(&mut backwards, 9);
            let ids = [&[0x0a, 16][..], &[1; 16], &[0x12, 8], &[2; 8]].concat();
            backwards.extend(ids.into_iter().rev());
            for number in [2, 2, 1] {
                wrap(&mut backwards, number);
            }
            backwards.reverse();
            request.body = backwards;
        }
        (request.what, request.expect) = ("deep nesting", Expect::Invalid);
        self.packed(request)
    }

    /// A compressed body whose end is missing, or that is followed by something else.
    fn cut_stream(&mut self) -> Request {
        let mut request = self.message();
        let encoding = ["gzip", "zstd"][self.dice.below(2)];
        let mut body = if encoding == "gzip" { gzip(&request.body) } else { zstandard(&request.body) };
        if self.dice.below(2) == 0 {
            let keep = 1 + self.dice.below(body.len() - 1);
            body.truncate(keep);
            request.what = "cut stream";
        } else {
            body.extend(b"garbage after the end");
            request.what = "garbage after the stream";
        }
        request.encoding = Some(encoding);
        request.body = if request.is_grpc { framed(1, &body) } else { body };
        request.expect = Expect::Invalid;
        request
    }

    /// gzip of two members: nothing may be dropped, and a cut second one is a fault of the whole.
    fn members(&mut self) -> Request {
        let mut request = self.message();
        let (head, tail) = request.body.split_at(request.body.len() / 2);
        let mut tail = gzip(tail);
        request.what = "two members";
        if self.dice.below(2) == 0 {
            let keep = 1 + self.dice.below(tail.len() - 1);
            tail.truncate(keep);
            (request.what, request.expect) = ("cut second member", Expect::Invalid);
        }
        let body = [gzip(head), tail].concat();
        request.encoding = Some("gzip");
        request.body = if request.is_grpc { framed(1, &body) } else { body };
        request
    }

    /// No message at all.
    fn noise(&mut self) -> Request {
        let mut request = self.message();
        let count = 16 + self.dice.below(2_000);
        request.body = self.dice.bytes(count);
        // a group that is never closed, so that it cannot be a message by chance
        request.body.insert(0, 0x0b);
        (request.what, request.expect) = ("noise", Expect::Invalid);
        self.packed(request)
    }

    /// Fields of another type than the protocol has, and ids that are none.
    fn wrong_kind(&mut self) -> Request {
        let mut request = self.message();
        request.is_logs = false;
        let span = |fields: &str| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{fields}]}}]}}]}}"#);
        let texts = [
            span(r#"{"traceId":"0x0102"}"#),
            span(r#"{"traceId":"abc"}"#),
            span(r#"{"kind":"SPAN_KIND_SERVER"}"#),
            span(r#"{"startTimeUnixNano":-1}"#),
            span(r#"{"startTimeUnixNano":"18446744073709551616"}"#),
            span(r#"{"attributes":{"k":1}}"#),
            span(r#"{"attributes":[{"key":1}]}"#),
            span("7"),
            r#"{"resourceSpans":{}}"#.to_owned(),
            "[]".to_owned(),
            "{} {}".to_owned(),
        ];
        let binary: [&[u8]; 4] = [&[0x08, 1], &[0x0d, 1, 2, 3, 4], &[0x0a, 2, 0x10, 1], &[0x0f]];
        request.body = if request.is_json {
            texts[self.dice.below(texts.len())].clone().into_bytes()
        } else {
            binary[self.dice.below(binary.len())].to_vec()
        };
        (request.what, request.expect) = ("wrong kind of field", Expect::Invalid);
        self.packed(request)
    }

    /// A gRPC prefix that does not fit its message; over HTTP a body with a prefix where none belongs.
    fn wrong_frame(&mut self) -> Request {
        let mut request = self.message();
        let body = std::mem::take(&mut request.body);
        (request.what, request.expect) = ("wrong frame", Expect::Invalid);
        if !request.is_grpc {
            request.body = framed(0, &body);
            return request;
        }
        request.body = match self.dice.below(6) {
            0 => Vec::new(),
            1 => vec![0; 1 + self.dice.below(4)],
            2 => framed(2 + self.dice.below(254) as u8, &body),
            3 => framed(1, &body),
            4 => [framed(0, &body), framed(0, &body)].concat(),
            _ => {
                let length = body.len() as u32 + 1 + self.dice.below(1 << 20) as u32;
                [&[0][..], &length.to_be_bytes(), &body].concat()
            }
        };
        request
    }

    /// Not what its headers say.
    fn mislabelled(&mut self) -> Request {
        let mut request = self.message();
        (request.what, request.expect) = ("mislabelled", Expect::Invalid);
        match self.dice.below(3) {
            0 => {
                request.encoding = Some(["br", "snappy", "gzip, gzip", "deflate"][self.dice.below(4)]);
                if request.is_grpc {
                    request.body = framed(1, &request.body);
                }
            }
            1 => {
                // packed twice, said once
                request.body = gzip(&request.body);
                self.packed_as(&mut request, Some("gzip"));
            }
            _ => {
                request.encoding = Some(["gzip", "zstd"][self.dice.below(2)]);
                if request.is_grpc {
                    request.body = framed(1, &request.body);
                }
            }
        }
        request
    }

    /// Counts past a limit: events, or a length of the whole.
    fn many(&mut self) -> Request {
        let mut request = self.message();
        request.is_logs = false;
        request.what = "too many";
        request.expect = Expect::TooLarge;
        if request.is_json {
            let spans = vec!["{}"; LIMIT_EVENTS + 1].join(",");
            request.body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}"#).into_bytes();
        } else {
            let mut message = self.traces(1);
            let spans = &mut message.resource_spans[0].scope_spans[0].spans;
            spans.resize(LIMIT_EVENTS + 1, Span::default());
            request.body = message.encode_to_vec();
        }
        self.packed(request)
    }
}
