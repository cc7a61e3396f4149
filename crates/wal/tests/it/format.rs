//! Old files stay readable for ever. Those in `format/` were written by other code than ours, from the drawing in
//! `frame.rs`.

use model::{Lsn, Signal, UnixNanos};
use runtime::Database;
use wal::{Format, Settings, Wal};

use crate::{key_ring, open, read_all, settings};

#[tokio::test]
async fn version_1_reads_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/format/v1.wal");
    std::fs::copy(sample, dir.path().join("00000000000000000007-0123456789abcdef.wal")).unwrap();
    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.frames, recovery.torn_tails, recovery.quarantined_segments), (3, 0, 0));
    assert_eq!(recovery.next, Lsn(13));

    let entries = read_all(&wal);
    let [spans, logs, gap] = entries.as_slice() else { panic!("three frames, got {entries:?}") };
    assert_eq!((spans.lsn, logs.lsn, gap.lsn), (Lsn(7), Lsn(8), Lsn(12)));
    assert_eq!((spans.frame.signal, spans.frame.format), (Signal::Spans, Format::Protobuf));
    assert_eq!((spans.frame.tenant.as_str(), spans.frame.key_id.as_deref()), ("default", None));
    assert_eq!(spans.frame.received_at, UnixNanos(1_764_000_000_000_000_000));
    assert_eq!(spans.frame.payload, b"\x0a\x00".as_slice());
    assert_eq!((logs.frame.signal, logs.frame.format), (Signal::Logs, Format::Json));
    assert_eq!((logs.frame.tenant.as_str(), logs.frame.key_id.as_deref()), ("acme_1", Some("key-1")));
    assert_eq!(logs.frame.received_at, UnixNanos(-1));
    assert_eq!(logs.frame.payload, br#"{"resourceLogs":[]}"#.as_slice());
    assert_eq!(gap.frame.payload, (0..=255).collect::<Vec<u8>>());
}

#[tokio::test]
async fn version_2_reads_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/format/v2.wal");
    std::fs::copy(sample, dir.path().join("00000000000000000003-00000000deadbeef.wal")).unwrap();
    let (wal, recovery) = open(dir.path());
    assert_eq!((recovery.frames, recovery.torn_tails, recovery.quarantined_segments), (2, 0, 0));

    let entries = read_all(&wal);
    let [plain, listed] = entries.as_slice() else { panic!("two frames, got {entries:?}") };
    assert_eq!((plain.frame.services.as_deref(), plain.frame.payload.as_ref()), (None, b"\x0a\x00".as_slice()));
    let names = ["cart".to_owned(), "payment".to_owned()];
    assert_eq!((listed.lsn, listed.frame.services.as_deref()), (Lsn(4), Some(names.as_slice())));
    assert_eq!((listed.frame.signal, listed.frame.format), (Signal::Logs, Format::Json));
    assert_eq!((listed.frame.tenant.as_str(), listed.frame.key_id.as_deref()), ("acme_1", Some("key-1")));
    assert_eq!(listed.frame.received_at, UnixNanos(-1));
    assert_eq!(listed.frame.payload, br#"{"resourceLogs":[]}"#.as_slice());
}

/// The key of its tenant, 32 times 0x22, as the database has it: sealed with 32 times 0x11 (64 times '1'), which the key file calls "first".
const SEALED: &str = "333333333333333333333333a6a17064e8b0570e909ac94f8509c10a24ea2d16a8fba78eda682ba781aca808b744667c38752d4fda0e15c2d55ce011";

#[tokio::test]
async fn version_3_reads_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/format/v3.wal");
    std::fs::copy(sample, dir.path().join("00000000000000000005-00000000cafef00d.wal")).unwrap();
    let place = tempfile::tempdir().unwrap();
    drop(key_ring(place.path(), '1').await);
    let database = Database::open(&place.path().join("db")).await.unwrap();
    let sealed: Vec<u8> =
        (0..SEALED.len()).step_by(2).map(|at| u8::from_str_radix(&SEALED[at..at + 2], 16).unwrap()).collect();
    let insert = "insert into data_keys (id, tenant, sealed_with, sealed, created_unix_nanos) values (1, 'acme_1', 'first', $1, 0)";
    sqlx::query(insert).bind(sealed).execute(&database.writer).await.unwrap();
    let keys = key_ring(place.path(), '1').await;
    let (wal, recovery) = Wal::open(Settings { keys, ..settings(dir.path()) }, |_, ()| {}).unwrap();
    assert_eq!((recovery.frames, recovery.torn_tails, recovery.quarantined_segments), (3, 0, 0));

    let entries = read_all(&wal);
    let [logs, spans, plain] = entries.as_slice() else { panic!("three frames, got {entries:?}") };
    let names = ["cart".to_owned(), "payment".to_owned()];
    assert_eq!((logs.lsn, logs.frame.services.as_deref()), (Lsn(5), Some(names.as_slice())));
    assert_eq!((logs.frame.signal, logs.frame.format), (Signal::Logs, Format::Json));
    assert_eq!((logs.frame.tenant.as_str(), logs.frame.key_id.as_deref()), ("acme_1", Some("key-1")));
    assert_eq!(logs.frame.payload, br#"{"resourceLogs":[]}"#.as_slice());
    assert_eq!((spans.lsn, spans.frame.payload.as_ref()), (Lsn(6), b"\x0a\x00".as_slice()));
    assert_eq!((plain.lsn, plain.frame.payload.as_ref()), (Lsn(7), b"\x0a\x00".as_slice()));
}
