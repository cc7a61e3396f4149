//! The one thread that writes: natural group commit.
//!
//! While one fsync runs, requests gather in the queue; the next round writes them all with one fsync. Nothing waits on a
//! timer, so a lone request is as fast as the disk and a crowd shares the cost.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, histogram};
use model::Lsn;
use runtime::metric;
use tokio::sync::oneshot;

use crate::queue::{Queue, Request, Taken};
use crate::segment::Active;
use crate::shelf::Shelf;
use crate::{SyncMode, WalError};

/// A buffer that grew past this is given back after use.
const BUFFER_KEEP_BYTES: usize = 16 << 20;

struct Pending<T> {
    lsn: Lsn,
    size_bytes: u64,
    attachment: T,
    answer: oneshot::Sender<Result<Lsn, WalError>>,
}

/// State of the writer thread.
pub(crate) struct Writer<T, F> {
    shelf: Arc<Shelf>,
    queue: Arc<Queue<T>>,
    active: Option<Active>,
    next: Lsn,
    on_durable: F,
    buffer: Vec<u8>,
    pending: Vec<Pending<T>>,
    unsynced_since: Option<Instant>,
}

impl<T, F: FnMut(Lsn, T)> Writer<T, F> {
    pub(crate) fn new(
        shelf: Arc<Shelf>,
        queue: Arc<Queue<T>>,
        active: Option<Active>,
        next: Lsn,
        on_durable: F,
    ) -> Self {
        let (buffer, pending) = (Vec::new(), Vec::new());
        Self { shelf, queue, active, next, on_durable, buffer, pending, unsynced_since: None }
    }

    /// Writes until the queue is closed and empty, or an error stops the log.
    pub(crate) fn run(mut self) {
        let _alarm = Alarm { shelf: Arc::clone(&self.shelf), queue: Arc::clone(&self.queue) };
        loop {
            let taken = self.queue.take(self.patience());
            let begun = Instant::now();
            let done = match taken {
                Taken::Group(group) => self.write_group(group),
                Taken::Nothing => self.sync_when_due(),
                Taken::Closed => break,
            };
            histogram!(metric::WAL_GROUP_SECONDS).record(begun.elapsed().as_secs_f64());
            if let Err(error) = done {
                // what the disk holds now is not known: no second try, no answer that could be wrong
                self.stop(&error);
                return;
            }
        }
        if let Err(error) = self.sync() {
            self.stop(&error);
        } else if let Some(active) = &self.active {
            self.shelf.sealed(seal(active));
        }
    }

    fn stop(&self, error: &WalError) {
        self.shelf.fail(&error.to_string());
        self.queue.fail(&error.to_string());
    }

    fn write_group(&mut self, group: Vec<Request<T>>) -> Result<(), WalError> {
        let frames = group.len();
        let has_reserve = self.shelf.check_reserve(0);
        for request in group {
            match &has_reserve {
                Ok(()) => self.stage(request)?,
                Err(error) => self.refuse(request, error),
            }
        }
        self.commit()?;
        histogram!(metric::WAL_GROUP_FRAMES).record(frames as f64);
        self.sync_when_due()
    }

    fn refuse(&self, request: Request<T>, error: &WalError) {
        self.queue.release(request.frame.size_bytes());
        let _ = request.answer.send(Err(match error {
            WalError::Full { reason } => WalError::Full { reason: reason.clone() },
            other => WalError::Full { reason: other.to_string() },
        }));
    }

    /// Gives the frame its position and its place in the buffer, going to a new segment when this one is full.
    fn stage(&mut self, request: Request<T>) -> Result<(), WalError> {
        let size_bytes = request.frame.size_bytes();
        let room_bytes = self.active.as_ref().map_or(0, Active::room_bytes);
        if self.buffer.len() as u64 + size_bytes > room_bytes {
            self.commit()?;
            match self.rotate() {
                Ok(()) => {}
                Err(full @ WalError::Full { .. }) => {
                    self.refuse(request, &full);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        let Some(active) = &self.active else {
            return Err(WalError::Failed { reason: "no segment to write to".to_owned() });
        };
        let lsn = self.next;
        self.next = Lsn(lsn.0 + 1);
        request.frame.encode(lsn, active.name.id, request.is_sealed, &mut self.buffer);
        self.pending.push(Pending { lsn, size_bytes, attachment: request.attachment, answer: request.answer });
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), WalError> {
        self.shelf.check_new_segment()?;
        // the old segment is wholly on disk before the new one exists: a torn tail can only be in the last
        self.sync()?;
        let settings = &self.shelf.settings;
        let fresh = Active::create(&settings.dir, self.next, settings.effective_segment_bytes())?;
        let sealed_bytes = self.active.as_ref().map(seal);
        self.shelf.add(&fresh, sealed_bytes);
        self.active = Some(fresh);
        Ok(())
    }

    /// Writes the buffer, forces it to disk, hands the frames on in order, and answers.
    fn commit(&mut self) -> Result<(), WalError> {
        let (Some(last), Some(active)) = (self.pending.last().map(|pending| pending.lsn), &mut self.active) else {
            return Ok(());
        };
        active.file.write_all(&self.buffer).map_err(WalError::io("write segment", &active.path))?;
        active.len_bytes += self.buffer.len() as u64;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEEP_BYTES);
        self.unsynced_since.get_or_insert_with(Instant::now);
        if self.shelf.settings.sync == SyncMode::Always {
            self.sync()?;
        }
        if let Some(active) = &self.active {
            self.shelf.publish(active, last);
        }
        counter!(metric::WAL_FRAMES).increment(self.pending.len() as u64);
        for Pending { lsn, size_bytes, attachment, answer } in self.pending.drain(..) {
            (self.on_durable)(lsn, attachment);
            // before the answer: who hears it may send the next at once and must not meet its own bytes
            self.queue.release(size_bytes);
            // a caller that went away does not need its answer; the frame is kept all the same
            let _ = answer.send(Ok(lsn));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), WalError> {
        let (Some(_), Some(active)) = (self.unsynced_since, &self.active) else { return Ok(()) };
        let begun = Instant::now();
        active.file.sync_data().map_err(WalError::io("sync segment", &active.path))?;
        histogram!(metric::WAL_FSYNC_SECONDS).record(begun.elapsed().as_secs_f64());
        self.shelf.count_fsync();
        self.unsynced_since = None;
        Ok(())
    }

    /// How long the queue may be waited for before an interval ends.
    fn patience(&self) -> Option<Duration> {
        match (self.shelf.settings.sync, self.unsynced_since) {
            (SyncMode::Interval(interval), Some(since)) => Some(interval.saturating_sub(since.elapsed())),
            _ => None,
        }
    }

    fn sync_when_due(&mut self) -> Result<(), WalError> {
        if self.patience() == Some(Duration::ZERO) { self.sync() } else { Ok(()) }
    }
}

/// Gives unwritten space back and says how large the file is then.
fn seal(active: &Active) -> u64 {
    match active.seal() {
        Ok(()) => active.len_bytes,
        Err(error) => {
            tracing::warn!(segment = %active.path.display(), %error, "cannot give back the unwritten space of a segment");
            active.capacity_bytes
        }
    }
}

/// Stops the log when the writer thread panics, so that nobody waits for an answer that cannot come.
struct Alarm<T> {
    shelf: Arc<Shelf>,
    queue: Arc<Queue<T>>,
}

impl<T> Drop for Alarm<T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let reason = "the writer thread panicked";
            self.shelf.fail(reason);
            self.queue.fail(reason);
        }
    }
}

#[cfg(test)]
mod tests;
