//! After a start: frames that are durable but in no file yet go back into the memtable.

use arrow::array::RecordBatch;
use lake::{Lake, LakeError};
use model::{EventBatch, Lsn};
use otlp::TrustedProxies;
use wal::{Frame, ReaderName, Wal, WalError};

use crate::frame;

/// What replay did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Frames put back.
    pub frames: u64,
    /// Events put back.
    pub events: u64,
    /// Frames that could not be decoded; each was logged, and stays in the log until it is trimmed.
    pub unreadable: u64,
}

/// Why replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The log could not be read.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// The lake could not take what was read.
    #[error(transparent)]
    Lake(#[from] LakeError),
}

/// Puts every frame after the lake's mark back, in log order, flushing whenever the memtable is full, so that memory
/// stays bounded however long the log is. Run before the collector opens. `proxies` are those that the collector trusts;
/// `seen` is told each frame with what it read to.
///
/// # Errors
/// When the log cannot be read or a flush fails; nothing is lost, a later start replays again.
pub async fn run(
    wal: &Wal<EventBatch>,
    lake: &Lake,
    proxies: &TrustedProxies,
    mut seen: impl FnMut(&Frame, &RecordBatch),
) -> Result<Replayed, ReplayError> {
    let mut reader = wal.reader(ReaderName::Archive);
    reader.seek(lake.mark());
    let mut replayed = Replayed::default();
    while let Some(entry) = reader.next()? {
        let lsn = entry.lsn;
        replayed.frames += 1;
        let frame = entry.frame.clone();
        match frame::decode(entry, proxies) {
            Ok(batch) => {
                seen(&frame, &batch.records);
                replayed.events += batch.len() as u64;
                lake.insert(batch);
            }
            Err(error) => {
                replayed.unreadable += 1;
                tracing::error!(%lsn, %error, "frame left out of replay");
            }
        }
        if lake.is_full() {
            let mark: Lsn = lake.flush().await?;
            wal.advance(ReaderName::Archive, mark)?;
        }
    }
    Ok(replayed)
}
