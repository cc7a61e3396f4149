//! The protocol repository's own JSON examples, where they are at hand.

use std::path::Path;

use model::{Signal, UnixNanos};
use otlp::{Arrival, Format, decode, encode};
use prost::Message as _;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;

#[test]
fn otlp_58_the_examples_of_the_protocol_read_as_their_reference_types_do() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/cases/otlp");
    for (file, signal, events) in
        [("trace.json", Signal::Spans, 1), ("logs.json", Signal::Logs, 1), ("events.json", Signal::Logs, 1)]
    {
        let Ok(json) = std::fs::read(folder.join(file)) else {
            println!("skipped: {file} is not at hand");
            continue;
        };
        let protobuf = match signal {
            Signal::Spans => {
                serde_json::from_slice::<ExportTraceServiceRequest>(&json).map(|read| read.encode_to_vec())
            }
            Signal::Logs => serde_json::from_slice::<ExportLogsServiceRequest>(&json).map(|read| read.encode_to_vec()),
        };
        let arrival = Arrival { received_at: UnixNanos(1_764_000_000_000_000_000), key_id: None, ..Arrival::default() };
        let ours = decode(signal, Format::Json, &json, &arrival).expect("an official example");
        assert_eq!((ours.records.num_rows(), ours.rejected), (events, 0), "{file}");
        let theirs = decode(signal, Format::Protobuf, &protobuf.expect("an official example"), &arrival);
        assert_eq!(ours.records, theirs.expect("written by prost").records, "{file}");
        let exported = encode(signal, Format::Json, &ours.records).expect("own rows");
        let again = decode(signal, Format::Json, &exported, &arrival).expect("own export");
        assert_eq!(again.records, ours.records, "{file}");
    }
}
