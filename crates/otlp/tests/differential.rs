//! Protobuf and JSON of one message mean the same rows, rows survive the way back, and nothing makes the reader panic.
//!
//! The generated types of opentelemetry-proto are the reference: prost writes the protobuf, their serde the JSON.

mod sample;

use arrow::array::RecordBatch;
use model::{Signal, UnixNanos};
use otlp::{Arrival, DecodeError, Decoded, Format, decode, encode};
use proptest::prelude::*;
use prost::Message;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;

fn read(signal: Signal, format: Format, payload: &[u8]) -> Result<Decoded, DecodeError> {
    let arrival = Arrival {
        received_at: UnixNanos(1_764_000_000_000_000_000),
        key_id: Some("key".into()),
        services: None,
        trusted_proxies: ["10.0.0.0/8".parse().expect("a network")].into(),
    };
    decode(signal, format, payload, &arrival)
}

/// Rows of a message, read from protobuf; the same through JSON, through storage and back, and by the count.
fn check(signal: Signal, message: &impl Message, events: usize, reference_json: Option<Vec<u8>>) -> Decoded {
    let direct = read(signal, Format::Protobuf, &message.encode_to_vec()).expect("valid protobuf");
    assert_eq!(direct.records.num_rows() + direct.rejected as usize, events, "every event is stored or counted");
    assert_eq!(direct.message.is_empty(), direct.rejected == 0);
    if let Some(json) = reference_json {
        let by_json = read(signal, Format::Json, &json);
        let by_json = by_json.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&json)));
        assert_same(&by_json.records, &direct.records, "as JSON of the reference");
        assert_eq!((by_json.rejected, &by_json.message), (direct.rejected, &direct.message));
    }
    for format in [Format::Protobuf, Format::Json] {
        let exported = encode(signal, format, &direct.records).expect("own rows");
        let again = read(signal, format, &exported).expect("own export");
        assert_eq!(again.rejected, 0);
        assert_same(&again.records, &direct.records, "on the way out and in");
    }
    direct
}

fn assert_same(left: &RecordBatch, right: &RecordBatch, how: &str) {
    for (index, field) in right.schema().fields().iter().enumerate() {
        assert_eq!(left.column(index), right.column(index), "column {} changes {how}", field.name());
    }
}

/// The JSON of the reference; `None` where it writes none, or writes `null` for a double that JSON has no number for.
fn reference_json(request: &impl serde::Serialize) -> Option<Vec<u8>> {
    let json = serde_json::to_string(request).ok()?;
    (!json.contains(r#""doubleValue":null"#)).then(|| json.into_bytes())
}

fn count_spans(request: &ExportTraceServiceRequest) -> usize {
    request.resource_spans.iter().flat_map(|resource| &resource.scope_spans).map(|scope| scope.spans.len()).sum()
}

fn count_logs(request: &ExportLogsServiceRequest) -> usize {
    request.resource_logs.iter().flat_map(|resource| &resource.scope_logs).map(|scope| scope.log_records.len()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn otlp_58_traces_mean_the_same_in_both_encodings(request in sample::traces()) {
        check(Signal::Spans, &request, count_spans(&request), reference_json(&request));
    }

    #[test]
    fn otlp_58_logs_mean_the_same_in_both_encodings(request in sample::logs()) {
        check(Signal::Logs, &request, count_logs(&request), reference_json(&request));
    }

    #[test]
    fn what_was_said_before_reads_as_it_did_the_first_time(request in sample::traces(), logs in sample::logs()) {
        for (signal, once) in [(Signal::Spans, request.encode_to_vec()), (Signal::Logs, logs.encode_to_vec())] {
            // protobuf: a message behind itself holds every element twice
            let twice = once.repeat(2);
            let once = read(signal, Format::Protobuf, &once).expect("valid protobuf").records;
            let twice = read(signal, Format::Protobuf, &twice).expect("valid protobuf").records;
            let rows = once.num_rows();
            assert_eq!(twice.num_rows(), 2 * rows);
            assert_same(&twice.slice(0, rows), &once, "when more follows");
            assert_same(&twice.slice(rows, rows), &once, "when it is said again");
        }
    }

    #[test]
    fn damaged_protobuf_is_an_error_or_other_rows_never_a_panic(
        request in sample::traces(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = request.encode_to_vec();
        prop_assume!(!bytes.is_empty());
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for signal in Signal::ALL {
            if let Ok(decoded) = read(signal, Format::Protobuf, &bytes) {
                encode(signal, Format::Json, &decoded.records).expect("whatever was accepted can be written");
            }
        }
        // what prost refuses we refuse, unless the damage lies in an event that is rejected or a field we do not keep
        let ours = read(Signal::Spans, Format::Protobuf, &bytes);
        if let (Ok(decoded), Err(_)) = (&ours, ExportTraceServiceRequest::decode(bytes.as_slice())) {
            let wire = encode(Signal::Spans, Format::Protobuf, &decoded.records).expect("accepted rows");
            ExportTraceServiceRequest::decode(wire.as_slice()).expect("what we keep is sound");
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_rows_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for signal in Signal::ALL {
            for format in [Format::Protobuf, Format::Json] {
                let _ = read(signal, format, &bytes);
            }
        }
    }
}
