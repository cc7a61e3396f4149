//! What was acknowledged is found in the log after a restart, and reads to the same rows.

mod house;

use house::{House, open_log, span, traces};
use model::{EventBatch, Signal};
use otlp::Arrival;
use prost::Message as _;
use wal::ReaderName;

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_sees_every_acknowledged_frame_with_the_same_rows() {
    let house = House::open().await;
    let mut message = traces((1..=3).map(span).collect());
    message.resource_spans[0].scope_spans[0].spans[0].trace_id = vec![0; 16];
    let protobuf = message.encode_to_vec();
    let json = serde_json::to_vec(&message).expect("writes");
    for _ in 0..3 {
        let headers = [("content-type", "application/x-protobuf"), ("content-encoding", "gzip")];
        assert_eq!(house.post("/v1/traces", &headers, &house::gzip(&protobuf)).await.status, 200);
        let headers = [("content-type", "application/json")];
        assert_eq!(house.post("/v1/traces", &headers, &json).await.status, 200);
    }
    let live = house.batches();
    assert_eq!(live.len(), 6);
    let House { wal, supervisor, dir, .. } = house;
    supervisor.stop(house::DEADLINE).await;
    wal.close();

    let (reopened, _, _) = open_log(dir.path());
    let mut reader = reopened.reader(ReaderName::Archive);
    for (number, live) in live.iter().enumerate() {
        let entry = reader.next().expect("a sound log").expect("every frame");
        assert_eq!(entry.lsn.0, number as u64 + 1);
        let frame = entry.frame;
        let (format, payload) = match number % 2 {
            0 => (otlp::Format::Protobuf, &protobuf),
            _ => (otlp::Format::Json, &json),
        };
        assert_eq!(frame.payload.as_ref(), payload.as_slice(), "the bytes as received, inflated");
        assert!(frame.key_id.is_some());
        let arrival = Arrival {
            received_at: frame.received_at,
            key_id: frame.key_id,
            services: frame.services,
            ..Arrival::default()
        };
        let again = otlp::decode(frame.signal, format, &frame.payload, &arrival).expect("was valid before");
        let EventBatch { tenant, signal, received_at, records, .. } = live;
        assert_eq!((&frame.tenant, frame.signal, frame.received_at), (tenant, *signal, *received_at));
        assert_eq!(frame.signal, Signal::Spans);
        assert_eq!(&again.records, records);
        assert_eq!(again.rejected, 1);
    }
    assert!(reader.next().expect("a sound log").is_none());
}
