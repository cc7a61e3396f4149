//! The handle that the rest of the house holds.

use std::fs;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread::{self, JoinHandle};

use model::{Lsn, TenantId};
use tokio::sync::oneshot;

use crate::queue::{Queue, Request};
use crate::recovery::recover;
use crate::segment::{self, Active};
use crate::shelf::Shelf;
use crate::writer::Writer;
use crate::{Frame, Reader, ReaderName, Recovery, Settings, WalError, cover, disk};

/// The write-ahead log. Cheap to clone; the last handle to go drains and closes it.
///
/// `T` travels with a frame in memory, from [`Wal::append`] to the `on_durable` function given to [`Wal::open`].
pub struct Wal<T> {
    handle: Arc<Handle<T>>,
}

impl<T> Clone for Wal<T> {
    fn clone(&self) -> Self {
        Self { handle: Arc::clone(&self.handle) }
    }
}

impl<T> std::fmt::Debug for Wal<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wal").field("end", &self.handle.shelf.end()).finish_non_exhaustive()
    }
}

/// A frame on its way to disk: resolves as [`Wal::append`] does, once. Dropping it does not take the frame back.
#[must_use = "a frame is durable when this resolves"]
pub struct Appending {
    shelf: Arc<Shelf>,
    answered: oneshot::Receiver<Result<Lsn, WalError>>,
}

impl Future for Appending {
    type Output = Result<Lsn, WalError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let answer = ready!(Pin::new(&mut this.answered).poll(cx));
        // a writer that lets go of a request without an answer has stopped
        Poll::Ready(answer.unwrap_or_else(|_| {
            let reason = this.shelf.failure().unwrap_or("the writer thread ended");
            Err(WalError::Failed { reason: reason.to_owned() })
        }))
    }
}

impl std::fmt::Debug for Appending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Appending").finish_non_exhaustive()
    }
}

struct Handle<T> {
    shelf: Arc<Shelf>,
    queue: Arc<Queue<T>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl<T: Send + 'static> Wal<T> {
    /// Opens the log in its directory, mends what a crash left (see [`Recovery`]), and starts the writer thread.
    ///
    /// `on_durable` runs on that thread for every frame, in order of position, after the frame is durable and before its
    /// append resolves; it must be quick and must not wait for the log. Frames from before the start are not given to
    /// it: read them with [`Wal::reader`]. Blocks while the directory is read.
    ///
    /// # Errors
    /// [`WalError::Io`] when the directory cannot be used, [`WalError::NewerVersion`] when a newer program wrote it.
    /// Damage is no error.
    pub fn open(
        settings: Settings,
        on_durable: impl FnMut(Lsn, T) + Send + 'static,
    ) -> Result<(Self, Recovery), WalError> {
        let recovered = recover(&settings)?;
        let recovery = recovered.recovery;
        let shelf = Arc::new(Shelf::new(settings, recovered.rows, recovered.cursors, recovered.end));
        let active = first_segment(&shelf, recovery.next)?;
        if active.is_some() {
            for path in recovered.empty {
                fs::remove_file(&path).map_err(WalError::io("remove empty segment", &path))?;
            }
            disk::sync_dir(&shelf.settings.dir).map_err(WalError::io("sync directory", &shelf.settings.dir))?;
        }
        let queue = Arc::new(Queue::new(shelf.settings.queue_bytes));
        let writer = Writer::new(Arc::clone(&shelf), Arc::clone(&queue), active, recovery.next, on_durable);
        let thread = thread::Builder::new().name("wal-writer".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(WalError::io("start the writer thread for", &shelf.settings.dir))?;
        let handle = Arc::new(Handle { shelf, queue, thread: Mutex::new(Some(thread)) });
        Ok((Self { handle }, recovery))
    }

    /// Appends a frame. Resolves when it is durable (see [`crate::SyncMode`]) and `on_durable` has run for it and every
    /// frame before it. Dropping the future does not take the frame back.
    ///
    /// # Errors
    /// [`WalError::QueueFull`] and [`WalError::Full`] are retryable and nothing was written. [`WalError::TooLarge`] will
    /// not get better. After [`WalError::Failed`] it is not known whether the frame is on disk.
    pub async fn append(&self, frame: Frame, attachment: T) -> Result<Lsn, WalError> {
        self.begin(frame, attachment)?.await
    }

    /// As [`Wal::append`], for who may go away before the frame is durable and leave the waiting to another.
    ///
    /// # Errors
    /// [`WalError::QueueFull`], [`WalError::TooLarge`] and [`WalError::Closed`], with nothing written; others come from
    /// [`Appending`].
    pub fn begin(&self, frame: Frame, attachment: T) -> Result<Appending, WalError> {
        let largest_bytes = self.handle.shelf.settings.effective_segment_bytes() - segment::HEADER_BYTES;
        let (frame, is_sealed) = cover::seal(frame, &self.handle.shelf.settings.keys).map_err(WalError::key)?;
        frame.check(largest_bytes)?;
        let (answer, answered) = oneshot::channel();
        self.handle.queue.push(Request { frame, is_sealed, attachment, answer })?;
        Ok(Appending { shelf: Arc::clone(&self.handle.shelf), answered })
    }

    /// Makes sure that frames of a tenant can be encrypted, if any are; before the first of them is appended.
    ///
    /// # Errors
    /// [`WalError::Key`] when its key cannot be made; asking again is safe.
    pub async fn prepare(&self, tenant: &TenantId) -> Result<(), WalError> {
        self.handle.shelf.settings.keys.ensure(tenant.as_str()).await.map_err(WalError::key)
    }

    /// Position of the last durable frame; zero before the first.
    pub fn end(&self) -> Lsn {
        self.handle.shelf.end()
    }

    /// Reads from after the saved cursor of `who`. Independent of the other reader and of the writer.
    pub fn reader(&self, who: ReaderName) -> Reader {
        Reader::new(Arc::clone(&self.handle.shelf), self.cursor(who))
    }

    /// How far `who` has finished, as saved on disk.
    pub fn cursor(&self, who: ReaderName) -> Lsn {
        self.handle.shelf.cursor(who)
    }

    /// Saves that `who` has finished with everything through `through`, and deletes segments that both readers have
    /// finished with. A position behind the saved one changes nothing; one past the end counts as the end. Blocks for
    /// two fsyncs.
    ///
    /// # Errors
    /// [`WalError::Io`]; the cursor is then as it was, and asking again is safe.
    pub fn advance(&self, who: ReaderName, through: Lsn) -> Result<(), WalError> {
        self.handle.shelf.advance(who, through)
    }

    /// False once a write or fsync failed: the log takes nothing any more until a restart.
    pub fn is_healthy(&self) -> bool {
        self.handle.shelf.failure().is_none()
    }

    /// Whether the log is under its budget and the disk above its reserve. A hint to refuse requests before they are decoded.
    pub fn has_room(&self) -> bool {
        self.handle.shelf.has_room()
    }

    /// Bytes of segments on disk, preallocated space included, quarantine not.
    pub fn bytes(&self) -> u64 {
        self.handle.shelf.bytes()
    }

    /// How many fsyncs made frames durable since the log was opened.
    pub fn fsyncs(&self) -> u64 {
        self.handle.shelf.fsyncs()
    }

    /// Writes what waits, forces it to disk and ends the writer thread. Other handles answer [`WalError::Closed`] from
    /// now on. Blocks.
    pub fn close(self) {
        self.handle.finish();
    }
}

impl<T> Handle<T> {
    fn finish(&self) {
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // the last handle may be dropped by the writer thread itself, inside `on_durable`: it must not wait for itself
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The segment to begin with; `None` when there is no room for one yet, so that readers can make some.
fn first_segment(shelf: &Shelf, next: Lsn) -> Result<Option<Active>, WalError> {
    let settings = &shelf.settings;
    let made = shelf
        .check_new_segment()
        .and_then(|()| Active::create(&settings.dir, next, settings.effective_segment_bytes()));
    match made {
        Ok(active) => {
            shelf.add(&active, None);
            Ok(Some(active))
        }
        Err(WalError::Full { reason }) => {
            tracing::warn!(reason, "write-ahead log opens without room");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
