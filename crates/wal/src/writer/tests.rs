//! What the writer does when the disk refuses.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use model::{Lsn, Signal, TenantId, UnixNanos};
use tokio::sync::oneshot;

use super::Writer;
use crate::cursor::Cursors;
use crate::queue::{Queue, Request};
use crate::segment::{Active, SegmentName};
use crate::shelf::Shelf;
use crate::{Format, Frame, Settings, WalError};

/// Runs the writer over one request whose segment is `device`, and tells what the appender and the log say.
fn append_to(device: &str) -> (Result<Lsn, WalError>, bool, bool, Arc<Shelf>) {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { reserve_bytes: 0, ..Settings::new(dir.path()) };
    let shelf = Arc::new(Shelf::new(settings, Vec::new(), Cursors::default(), Lsn(0)));
    let queue = Arc::new(Queue::new(1 << 20));
    let file = File::options().write(true).open(device).unwrap();
    let name = SegmentName::fresh(Lsn(1));
    let active = Active { name, path: device.into(), file, len_bytes: 64, capacity_bytes: 1 << 20 };
    let frame = Frame {
        tenant: TenantId::default_tenant(),
        key_id: None,
        services: None,
        signal: Signal::Spans,
        format: Format::Protobuf,
        received_at: UnixNanos(0),
        payload: Bytes::from_static(b"payload"),
    };
    let (answer, mut answered) = oneshot::channel();
    queue.push(Request { frame: frame.clone(), is_sealed: false, attachment: (), answer }).unwrap();
    queue.close();
    let mut was_handed_on = false;
    Writer::new(Arc::clone(&shelf), Arc::clone(&queue), Some(active), Lsn(1), |_, ()| was_handed_on = true).run();
    let (answer, _) = oneshot::channel();
    let refuses =
        matches!(queue.push(Request { frame, is_sealed: false, attachment: (), answer }), Err(WalError::Failed { .. }));
    let result = answered.try_recv().unwrap_or(Err(WalError::Closed));
    (result, was_handed_on, refuses, shelf)
}

#[test]
fn a_failed_fsync_stops_the_log_and_nothing_is_acknowledged() {
    // a null device takes every write and refuses fsync
    let (result, was_handed_on, refuses, shelf) = append_to("/dev/null");
    assert!(result.is_err() && !was_handed_on && refuses);
    assert!(shelf.failure().is_some_and(|reason| reason.contains("sync")), "{:?}", shelf.failure());
    assert_eq!(shelf.end(), Lsn(0));
}

#[test]
fn a_failed_write_stops_the_log_and_nothing_is_acknowledged() {
    let (result, was_handed_on, refuses, shelf) = append_to("/dev/full");
    assert!(result.is_err() && !was_handed_on && refuses);
    assert!(shelf.failure().is_some_and(|reason| reason.contains("write")), "{:?}", shelf.failure());
    assert_eq!(shelf.fsyncs(), 0);
}
