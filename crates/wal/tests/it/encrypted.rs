//! Payloads that only those read who have the key, and nobody once it was erased.

use model::{Lsn, TenantId};
use runtime::keyring::erase;
use runtime::{Clock, Database};
use wal::{Frame, ReaderName, Settings, Wal, WalError};

use crate::{frame, key_ring, open, read_all, segments, settings};

const SAID: &[u8] = b"what nobody else should read";

fn of(tenant: &str, payload: &'static [u8]) -> Frame {
    Frame { tenant: tenant.parse().unwrap(), ..frame(payload) }
}

async fn fill(dir: &std::path::Path, keys: runtime::KeyRing) {
    let (wal, _) = Wal::open(Settings { keys, ..settings(dir) }, |_, ()| {}).unwrap();
    for tenant in ["acme", "globex", "acme"] {
        let tenant: TenantId = tenant.parse().unwrap();
        wal.prepare(&tenant).await.unwrap();
        wal.append(of(tenant.as_str(), SAID), ()).await.unwrap();
    }
    wal.close();
}

fn has_said(dir: &std::path::Path) -> bool {
    segments(dir).iter().any(|path| std::fs::read(path).unwrap().windows(SAID.len()).any(|window| window == SAID))
}

#[tokio::test]
async fn a_payload_is_on_disk_for_those_who_have_the_key() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(dir.path(), key_ring(place.path(), '1').await).await;
    assert!(!has_said(dir.path()));
    let (wal, recovery) = open(dir.path());
    assert_eq!(recovery.frames, 3, "whole without the key");
    let error = wal.reader(ReaderName::Archive).next().unwrap_err();
    assert!(matches!(error, WalError::Key { .. }) && error.to_string().contains("no key file"), "{error}");
    wal.close();
    let keys = key_ring(place.path(), '1').await;
    let (wal, _) = Wal::open(Settings { keys, ..settings(dir.path()) }, |_, ()| {}).unwrap();
    assert!(read_all(&wal).iter().all(|entry| entry.frame.payload == SAID));
    assert_eq!(read_all(&wal).len(), 3);
    let error = wal.append(of("nobody", SAID), ()).await.unwrap_err();
    assert!(matches!(error, WalError::Key { .. }), "nothing is written in plain text instead: {error}");
}

#[tokio::test]
async fn frames_of_an_erased_tenant_are_passed_over() {
    let (dir, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fill(dir.path(), key_ring(place.path(), '1').await).await;
    let database = Database::open(&place.path().join("db")).await.unwrap();
    assert_eq!(erase(&database, &Clock::system(), "acme").await.unwrap(), 1);
    let keys = key_ring(place.path(), '1').await;
    let (wal, _) = Wal::open(Settings { keys, ..settings(dir.path()) }, |_, ()| {}).unwrap();
    let left = read_all(&wal);
    assert_eq!((left.len(), left[0].lsn, left[0].frame.tenant.as_str()), (1, Lsn(2), "globex"));
    assert_eq!(wal.end(), Lsn(3));
}
