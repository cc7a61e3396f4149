//! The log from the outside: through its public functions, and by damaging its files.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

mod damage;
/// The same as the end-to-end tests have.
#[expect(dead_code, reason = "not all of it is needed here")]
#[path = "../../../../tests/e2e/dice.rs"]
mod dice;
mod encrypted;
mod format;
mod log;
mod rot;

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use model::{Lsn, Signal, TenantId, UnixNanos};
use runtime::keyring::KeyFile;
use runtime::{Clock, Database, KeyRing};
use wal::{Entry, Format, Frame, ReaderName, Recovery, Settings, Wal};

/// A log small enough to fill: 64 KiB segments, four of them, no reserve.
fn settings(dir: &Path) -> Settings {
    Settings { segment_bytes: 64 << 10, budget_bytes: 256 << 10, reserve_bytes: 0, ..Settings::new(dir) }
}

/// Keys in a database in `dir`, sealed with the key "first", which has 64 times this digit.
async fn key_ring(dir: &Path, digit: char) -> KeyRing {
    let path = dir.join("keys");
    let mut file = std::fs::File::options().create(true).write(true).truncate(true).mode(0o600).open(&path).unwrap();
    writeln!(file, "first {}", String::from(digit).repeat(64)).unwrap();
    let database = Database::open(&dir.join("db")).await.unwrap();
    KeyRing::open(database, Clock::system(), KeyFile::read(&path).unwrap()).await.unwrap()
}

fn open(dir: &Path) -> (Wal<()>, Recovery) {
    Wal::open(settings(dir), |_, ()| {}).expect("the log opens")
}

fn frame(payload: impl Into<Bytes>) -> Frame {
    Frame {
        tenant: TenantId::default_tenant(),
        key_id: Some(Arc::from("key-1")),
        services: None,
        signal: Signal::Spans,
        format: Format::Protobuf,
        received_at: UnixNanos(1_764_000_000_000_000_000),
        payload: payload.into(),
    }
}

/// Everything the archive reader has not finished with.
fn read_all<T: Send + 'static>(wal: &Wal<T>) -> Vec<Entry> {
    let mut reader = wal.reader(ReaderName::Archive);
    std::iter::from_fn(|| reader.next().expect("the log reads")).collect()
}

fn lsns(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.lsn.0).collect()
}

/// Segment files in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).expect("the directory lists").map(|entry| entry.expect("an entry").path());
    let mut found: Vec<_> = files.filter(|path| path.extension().is_some_and(|ending| ending == "wal")).collect();
    found.sort();
    found
}

fn quarantined(dir: &Path) -> usize {
    std::fs::read_dir(dir.join("quarantine")).map_or(0, Iterator::count)
}

/// Writes a frame for every payload, closes the log, and gives the positions.
async fn fill(dir: &Path, payloads: &[Vec<u8>]) -> Vec<Lsn> {
    let (wal, _) = open(dir);
    let mut given = Vec::new();
    for payload in payloads {
        given.push(wal.append(frame(payload.clone()), ()).await.expect("the frame is appended"));
    }
    wal.close();
    given
}
