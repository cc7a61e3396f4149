//! Rewriting touches what the editor names and not one byte beside it.

mod sample;

use std::borrow::Cow;
use std::ops::Range;

use model::Signal;
use otlp::rewrite::{Added, AddedValue, Edit, Editor, Place, Rewritten, Rule, Verdict, rewrite};
use otlp::{DecodeError, MAX_DEPTH};
use proptest::prelude::*;
use prost::Message;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;
use proto::trace::v1::span::{Event, Link};
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

const CANARY: &str = "hunter2";

/// Takes canaries out of every text and drops attributes called `gone`; notes whom it met.
#[derive(Default)]
struct Censor {
    is_blind: bool,
    seen: Vec<(Place, String)>,
    added: Vec<Added>,
    adds: Option<Added>,
}

impl Editor for Censor {
    fn is_clear(&self, _: Range<usize>) -> bool {
        self.is_blind
    }

    fn attribute(&mut self, outer: Rule, key: &str) -> Verdict {
        match key {
            "gone" => Verdict::Drop,
            "whole" => Verdict::Walk(Rule { number: 7, is_whole: true }),
            _ => Verdict::Walk(outer),
        }
    }

    fn text(&mut self, place: Place, rule: Rule, text: &str) -> Edit {
        self.seen.push((place, text.to_owned()));
        if rule.number == 7 && place != Place::Key {
            return Edit::Replace("hidden".to_owned());
        }
        if !text.contains(CANARY) {
            return Edit::Keep;
        }
        self.added.extend(self.adds.clone());
        Edit::Replace(text.replace(CANARY, "***"))
    }

    fn drops_unknown(&mut self, bytes: &[u8]) -> bool {
        bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    }

    fn added(&mut self) -> &mut Vec<Added> {
        &mut self.added
    }
}

fn text(text: &str) -> AnyValue {
    AnyValue { value: Some(Kind::StringValue(text.to_owned())) }
}

fn pair(key: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn list(pairs: Vec<KeyValue>) -> AnyValue {
    AnyValue { value: Some(Kind::KvlistValue(KeyValueList { values: pairs })) }
}

fn array(values: Vec<AnyValue>) -> AnyValue {
    AnyValue { value: Some(Kind::ArrayValue(ArrayValue { values })) }
}

fn one_span(span: Span) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn span_of(bytes: &[u8]) -> Span {
    let request = ExportTraceServiceRequest::decode(bytes).expect("still OTLP");
    request.resource_spans[0].scope_spans[0].spans[0].clone()
}

fn censor<'a>(signal: Signal, bytes: &'a [u8], censor: &mut Censor) -> Rewritten<'a> {
    rewrite(signal, bytes, censor).expect("can be walked")
}

/// A request with the canary in every place that holds text.
fn everywhere() -> ExportTraceServiceRequest {
    let attributes = vec![
        pair("plain", text(CANARY)),
        pair(CANARY, text("key")),
        pair("nested", list(vec![pair(CANARY, array(vec![text(CANARY), list(vec![pair("deep", text(CANARY))])]))])),
        pair("bytes", AnyValue { value: Some(Kind::BytesValue(CANARY.into())) }),
    ];
    let event = Event { name: CANARY.to_owned(), attributes: attributes.clone(), ..Event::default() };
    let link = Link { trace_state: CANARY.to_owned(), attributes: attributes.clone(), ..Link::default() };
    let span = Span {
        name: format!("GET /{CANARY}"),
        trace_state: CANARY.to_owned(),
        attributes: attributes.clone(),
        events: vec![event],
        links: vec![link],
        status: Some(Status { message: CANARY.to_owned(), code: 2 }),
        ..Span::default()
    };
    let scope = InstrumentationScope {
        name: CANARY.to_owned(),
        version: CANARY.to_owned(),
        attributes: attributes.clone(),
        ..InstrumentationScope::default()
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans: vec![span], schema_url: CANARY.to_owned() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { resource, scope_spans, schema_url: CANARY.to_owned() }],
    }
}

#[test]
fn a_canary_is_found_in_every_place_of_a_span() {
    let bytes = everywhere().encode_to_vec();
    let rewritten = censor(Signal::Spans, &bytes, &mut Censor::default());
    assert!(!String::from_utf8_lossy(&rewritten.payload).contains(CANARY));
    let expected = format!("{:?}", everywhere()).replace(CANARY, "***");
    let bytes_value = format!("{:?}", CANARY.as_bytes());
    let expected = expected.replace(&bytes_value, &format!("{:?}", b"***"));
    let decoded = ExportTraceServiceRequest::decode(&rewritten.payload[..]).expect("still OTLP");
    assert_eq!(format!("{decoded:?}"), expected, "nothing else has changed");
    assert_eq!(rewritten.records_walked, 1);
}

#[test]
fn a_canary_is_found_in_every_place_of_a_log_record() {
    let record = LogRecord {
        body: Some(list(vec![pair("a", array(vec![text(CANARY)]))])),
        severity_text: CANARY.to_owned(),
        event_name: CANARY.to_owned(),
        attributes: vec![pair("a", text(CANARY))],
        trace_id: format!("not an id but {CANARY}").into_bytes(),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let request = ExportLogsServiceRequest { resource_logs: vec![ResourceLogs { scope_logs, ..Default::default() }] };
    let bytes = request.encode_to_vec();
    let mut editor = Censor::default();
    let rewritten = censor(Signal::Logs, &bytes, &mut editor);
    assert!(!String::from_utf8_lossy(&rewritten.payload).contains(CANARY));
    ExportLogsServiceRequest::decode(&rewritten.payload[..]).expect("still OTLP");
    assert!(editor.seen.contains(&(Place::Body, CANARY.to_owned())), "bodies are shown as bodies: {:?}", editor.seen);
}

#[test]
fn dropped_attributes_leave_with_their_values_and_whole_rules_reach_every_leaf() {
    let number = AnyValue { value: Some(Kind::IntValue(42)) };
    let nested = list(vec![pair("n", number.clone()), pair("t", array(vec![text("x"), number.clone()]))]);
    let attributes = vec![pair("gone", text("x")), pair("whole", nested), pair("kept", number.clone())];
    let bytes = one_span(Span { attributes, ..Span::default() }).encode_to_vec();
    let rewritten = censor(Signal::Spans, &bytes, &mut Censor::default());
    let hidden = || text("hidden");
    let nested = list(vec![pair("n", hidden()), pair("t", array(vec![hidden(), hidden()]))]);
    assert_eq!(span_of(&rewritten.payload).attributes, [pair("whole", nested), pair("kept", number)]);
}

#[test]
fn added_attributes_go_to_their_owner_and_yield_to_what_the_client_sent() {
    let event = Event { name: CANARY.to_owned(), ..Event::default() };
    let own = vec![pair("found", text("by the client")), pair("x", text(CANARY))];
    let span = Span { attributes: own.clone(), events: vec![event], ..Span::default() };
    let bytes = one_span(span).encode_to_vec();
    let adds = Some(Added { key: "found".to_owned(), value: AddedValue::Int(-3) });
    let rewritten = censor(Signal::Spans, &bytes, &mut Censor { adds, ..Censor::default() });
    let span = span_of(&rewritten.payload);
    assert_eq!(span.attributes, [own[0].clone(), pair("x", text("***"))]);
    let number = AnyValue { value: Some(Kind::IntValue(-3)) };
    assert_eq!(span.events[0].attributes, [pair("found", number)], "an event has attributes of its own");
}

#[test]
fn unknown_fields_and_groups_survive_beside_an_edit_unless_they_hold_the_secret() {
    let mut span = Span { name: CANARY.to_owned(), ..Span::default() }.encode_to_vec();
    let unknown = [0xa2, 0x06, 3, b'n', b'e', b'w'];
    let group = [0xab, 0x06, 0x08, 0x01, 0xac, 0x06];
    span.extend(unknown);
    span.extend(group);
    let wrap = |span: &[u8]| {
        let mut bytes = one_span(Span::default()).encode_to_vec();
        assert_eq!(bytes.split_off(bytes.len() - 2), [0x12, 0]);
        let mut inner = vec![0x12, u8::try_from(span.len()).expect("small")];
        inner.extend_from_slice(span);
        let mut middle = vec![0x12, u8::try_from(inner.len()).expect("small")];
        middle.extend(inner);
        let mut outer = vec![0x0a, u8::try_from(middle.len()).expect("small")];
        outer.extend(middle);
        outer
    };
    let bytes = wrap(&span);
    let rewritten = censor(Signal::Spans, &bytes, &mut Censor::default()).payload;
    assert_eq!(rewritten[rewritten.len() - 12..], [&unknown[..], &group[..]].concat());
    assert_eq!(span_of(&rewritten).name, "***");

    let mut secret = vec![0xa2, 0x06, CANARY.len() as u8];
    secret.extend(CANARY.as_bytes());
    secret.extend(unknown);
    let bytes = wrap(&secret);
    let rewritten = censor(Signal::Spans, &bytes, &mut Censor::default()).payload;
    assert_eq!(rewritten, wrap(&unknown));
}

#[test]
fn values_nested_past_the_limit_are_refused_and_at_the_limit_walked() {
    let nested = |levels: u32| (1..levels).fold(text(CANARY), |inner, _| array(vec![inner]));
    let request = |levels| one_span(Span { attributes: vec![pair("a", nested(levels))], ..Span::default() });
    let bytes = request(MAX_DEPTH).encode_to_vec();
    let rewritten = censor(Signal::Spans, &bytes, &mut Censor::default());
    assert!(!String::from_utf8_lossy(&rewritten.payload).contains(CANARY));
    let bytes = request(MAX_DEPTH + 1).encode_to_vec();
    let refused = rewrite(Signal::Spans, &bytes, &mut Censor::default()).map(|_| ());
    assert!(matches!(refused, Err(DecodeError::TooDeep { .. })), "{refused:?}");
}

#[test]
fn texts_that_are_not_utf8_are_shown_and_otherwise_left_to_the_decoder() {
    let mut bytes = one_span(Span { name: format!("x{CANARY}"), ..Span::default() }).encode_to_vec();
    let at = bytes.iter().position(|byte| *byte == b'x').expect("the name");
    bytes[at] = 0xff;
    let rewritten = censor(Signal::Spans, &bytes, &mut Censor::default()).payload;
    assert!(!String::from_utf8_lossy(&rewritten).contains(CANARY));
}

#[test]
fn what_is_clear_is_not_walked() {
    let bytes = everywhere().encode_to_vec();
    let mut editor = Censor { is_blind: true, ..Censor::default() };
    let rewritten = censor(Signal::Spans, &bytes, &mut editor);
    assert!(matches!(rewritten.payload, Cow::Borrowed(_)));
    assert_eq!((rewritten.records_walked, editor.seen.len()), (0, 0));
}

proptest! {
    #[test]
    fn rewriting_nothing_is_the_identity(traces in sample::traces(), logs in sample::logs()) {
        for (signal, bytes) in [(Signal::Spans, traces.encode_to_vec()), (Signal::Logs, logs.encode_to_vec())] {
            // samples nest deeper than is allowed now and then
            let Ok(rewritten) = rewrite(signal, &bytes, &mut Quiet::default()) else { continue };
            prop_assert!(matches!(rewritten.payload, Cow::Borrowed(_)));
            prop_assert_eq!(rewritten.payload, bytes.as_slice());
        }
    }

    #[test]
    fn an_edited_span_name_changes_nothing_else(mut request in sample::traces()) {
        let mut expected = request.clone();
        for (span, twin) in spans(&mut request).zip(spans(&mut expected)) {
            span.name = CANARY.to_owned();
            twin.name = "***".to_owned();
        }
        let bytes = request.encode_to_vec();
        let Ok(rewritten) = rewrite(Signal::Spans, &bytes, &mut Censor::default()) else { return Ok(()) };
        prop_assert_eq!(rewritten.payload.as_ref(), expected.encode_to_vec());
    }

    #[test]
    fn damaged_requests_are_errors_or_walked_and_never_panic(
        request in sample::traces(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        tail in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = request.encode_to_vec();
        bytes.extend(tail);
        for (at, byte) in damage.into_iter().filter(|_| !request.resource_spans.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for signal in Signal::ALL {
            let _ = rewrite(signal, &bytes, &mut Censor::default());
        }
    }
}

fn spans(request: &mut ExportTraceServiceRequest) -> impl Iterator<Item = &mut Span> {
    request.resource_spans.iter_mut().flat_map(|group| &mut group.scope_spans).flat_map(|group| &mut group.spans)
}

/// Looks at everything and keeps it.
#[derive(Default)]
struct Quiet(Vec<Added>);

impl Editor for Quiet {
    fn is_clear(&self, _: Range<usize>) -> bool {
        false
    }

    fn attribute(&mut self, outer: Rule, _: &str) -> Verdict {
        Verdict::Walk(outer)
    }

    fn text(&mut self, _: Place, _: Rule, _: &str) -> Edit {
        Edit::Keep
    }

    fn drops_unknown(&mut self, _: &[u8]) -> bool {
        false
    }

    fn added(&mut self) -> &mut Vec<Added> {
        &mut self.0
    }
}
