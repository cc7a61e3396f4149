//! The OTLP mapping of JSON, rule by rule (checks 48 to 57).

use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as AnyKind;
use proto::trace::v1::Span;

use super::*;

fn read(json: &str) -> Result<ExportTraceServiceRequest, DecodeError> {
    let protobuf = to_protobuf(&schema::TRACES_REQUEST, json.as_bytes())?;
    Ok(ExportTraceServiceRequest::decode(protobuf.as_slice()).expect("the transcoder writes protobuf"))
}

fn span(fields: &str) -> Result<Span, DecodeError> {
    let mut request = read(&format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#))?;
    Ok(request.resource_spans.remove(0).scope_spans.remove(0).spans.remove(0))
}

fn value(json: &str) -> Result<Option<AnyKind>, DecodeError> {
    let mut span = span(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#))?;
    Ok(span.attributes.remove(0).value.and_then(|value| value.value))
}

fn reason(result: Result<impl std::fmt::Debug, DecodeError>) -> String {
    result.expect_err("must be refused").to_string()
}

#[test]
fn otlp_48_ids_are_hexadecimal_in_either_case() {
    let read = span(r#""traceId":"5B8EFFF798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":"""#);
    let read = read.expect("valid");
    assert_eq!(hex::encode(&read.trace_id), "5b8efff798038103d269b633813fc60c");
    assert_eq!(hex::encode(&read.span_id), "eee19b7ec3c1b174");
    assert!(read.parent_span_id.is_empty());
    for wrong in ["0x5b8efff798038103d269b633813fc60", "abc", "W47/95gDgQPSabYzgT/GDA=="] {
        assert!(reason(span(&format!(r#""traceId":"{wrong}""#))).contains("traceId"), "{wrong}");
    }
}

#[test]
fn otlp_49_enumerations_are_integers() {
    assert_eq!(span(r#""kind":2"#).map(|span| span.kind), Ok(2));
    assert_eq!(span(r#""kind":77"#).map(|span| span.kind), Ok(77));
    assert!(reason(span(r#""kind":"SPAN_KIND_SERVER""#)).contains("kind: expected an integer"));
    assert!(span(r#""kind":"2""#).is_err());
}

#[test]
fn otlp_50_integers_are_strings_or_numbers_and_exact() {
    for text in ["18446744073709551615", r#""18446744073709551615""#] {
        assert_eq!(span(&format!(r#""startTimeUnixNano":{text}"#)).map(|s| s.start_time_unix_nano), Ok(u64::MAX));
    }
    for text in ["9007199254740993", r#""9007199254740993""#] {
        assert_eq!(value(&format!(r#"{{"intValue":{text}}}"#)), Ok(Some(AnyKind::IntValue(9_007_199_254_740_993))));
    }
    assert_eq!(value(r#"{"intValue":-9223372036854775808}"#), Ok(Some(AnyKind::IntValue(i64::MIN))));
    assert_eq!(value(r#"{"intValue":1e3}"#), Ok(Some(AnyKind::IntValue(1_000))));
    for wrong in ["1.5", r#""1.5""#, "18446744073709551616", r#""""#, "true", "[]", "{}"] {
        assert!(value(&format!(r#"{{"intValue":{wrong}}}"#)).is_err(), "{wrong}");
    }
    assert!(span(r#""startTimeUnixNano":-1"#).is_err());
    assert!(span(r#""droppedEventsCount":4294967296"#).is_err());
}

#[test]
fn otlp_51_52_unknown_fields_are_ignored_at_every_level() {
    let read = span(r#""trace_id":"zz","name":"n","newField":{"deep":[1,{"x":null}]}"#).expect("valid");
    assert!(read.trace_id.is_empty());
    assert_eq!(read.name, "n");
    assert_eq!(value(r#"{"newKind":[1],"stringValue":"s"}"#), Ok(Some(AnyKind::StringValue("s".to_owned()))));
}

#[test]
fn otlp_53_54_55_what_is_left_out_is_a_default() {
    assert!(matches!(value(r#"{"arrayValue":{}}"#), Ok(Some(AnyKind::ArrayValue(list))) if list.values.is_empty()));
    assert!(matches!(value(r#"{"kvlistValue":{}}"#), Ok(Some(AnyKind::KvlistValue(list))) if list.values.is_empty()));
    assert_eq!(value("{}"), Ok(None));
    assert_eq!(value("null"), Ok(None));
    assert_eq!(value(r#"{"stringValue":null}"#), Ok(None));
    let read = span(r#""attributes":[{},{"key":"a"},{"value":{"boolValue":false}}],"events":null,"traceId":null"#);
    let read = read.expect("valid");
    assert_eq!(read.attributes.len(), 3);
    assert_eq!(read.attributes[1].key, "a");
    let mixed = value(r#"{"arrayValue":{"values":[null,{"intValue":"1"}]}}"#);
    assert!(matches!(mixed, Ok(Some(AnyKind::ArrayValue(list))) if list.values.len() == 2));
    for empty in ["", "{}", "null", r#"{"resourceSpans":[]}"#] {
        assert_eq!(read_resources(empty), Ok(0), "{empty:?}");
    }
}

fn read_resources(json: &str) -> Result<usize, DecodeError> {
    read(json).map(|request| request.resource_spans.len())
}

#[test]
fn otlp_56_doubles_and_bytes() {
    let double = |json: &str| match value(&format!(r#"{{"doubleValue":{json}}}"#)) {
        Ok(Some(AnyKind::DoubleValue(number))) => number,
        other => panic!("{json}: {other:?}"),
    };
    assert!(double(r#""NaN""#).is_nan());
    assert_eq!(double(r#""Infinity""#), f64::INFINITY);
    assert_eq!(double(r#""-Infinity""#), f64::NEG_INFINITY);
    assert_eq!(double("1"), 1.0);
    assert_eq!(double("-0.5"), -0.5);
    assert!(value(r#"{"doubleValue":"inf"}"#).is_err());
    for text in ["+/8=", "+/8", "-_8=", "-_8"] {
        assert_eq!(value(&format!(r#"{{"bytesValue":"{text}"}}"#)), Ok(Some(AnyKind::BytesValue(vec![0xfb, 0xff]))));
    }
    assert!(value(r#"{"bytesValue":"!"}"#).is_err());
}

#[test]
fn otlp_57_repeated_keys_and_trailing_bytes_have_one_outcome() {
    let read = span(r#""name":"first","name":"second","attributes":[{"key":"a"}],"attributes":[{"key":"b"}]"#);
    let read = read.expect("valid");
    assert_eq!(read.name, "second");
    assert_eq!(read.attributes.len(), 2);
    for trailing in ["{} {}", "{}x", "{}\0"] {
        assert!(to_protobuf(&schema::TRACES_REQUEST, trailing.as_bytes()).is_err(), "{trailing:?}");
    }
    let deep = format!("{}{}", r#"{"x":"#.repeat(200_000), "}".repeat(200_000));
    assert!(to_protobuf(&schema::TRACES_REQUEST, deep.as_bytes()).is_err());
}

#[test]
fn faults_name_the_field_and_the_place() {
    let text = reason(span("\"name\":\n5"));
    assert!(text.contains("name: expected") && text.contains("line 2"), "{text}");
    for wrong in ["[]", "5", "\"x\"", "{", "{\"resourceSpans\":{}}", "{\"resourceSpans\":[5]}", "\u{feff}{}"] {
        assert!(read(wrong).is_err(), "{wrong:?}");
    }
    assert!(to_protobuf(&schema::TRACES_REQUEST, b"{\"resourceSpans\":[{\"schemaUrl\":\"\xff\"}]}").is_err());
}

#[test]
fn no_refusal_quotes_a_value_because_it_may_be_a_secret() {
    for document in [r#""hunter2""#, "8675309", "-8675309", "8675309.5"] {
        let text = reason(read(document));
        assert!(!text.contains("hunter2") && !text.contains("8675309"), "{text}");
    }
    let wrong = [
        r#""name":8675309"#,
        r#""name":["hunter2"]"#,
        r#""kind":"hunter2""#,
        r#""startTimeUnixNano":"hunter2""#,
        r#""attributes":"hunter2""#,
        r#""attributes":[8675309]"#,
        r#""attributes":["hunter2"]"#,
        r#""status":"hunter2""#,
        r#""attributes":[{"key":"k","value":{"boolValue":"hunter2"}}]"#,
        r#""attributes":[{"key":"k","value":{"doubleValue":"hunter2"}}]"#,
        r#""attributes":[{"key":"k","value":{"bytesValue":"hunter2!"}}]"#,
        r#""attributes":[{"key":"k","value":"hunter2"}]"#,
    ];
    for fields in wrong {
        let text = reason(span(fields));
        assert!(!text.contains("hunter2") && !text.contains("8675309"), "{text}");
    }
}

#[test]
fn otlp_70_text_that_is_not_utf8_is_refused_in_fields_that_are_ignored_too() {
    for wrong in [&b"{\"later\":\"\xff\"}"[..], b"{\"\xff\":1}", b"{\"resourceSpans\":[{\"later\":[\"\xc3\"]}]}"] {
        let refused = to_protobuf(&schema::TRACES_REQUEST, wrong).map(|_| ());
        assert!(reason(refused).contains("UTF-8"), "{}", String::from_utf8_lossy(wrong));
    }
}
