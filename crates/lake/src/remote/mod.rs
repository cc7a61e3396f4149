//! Files in an object store: sealed ones are put there, and come back for as long as they are read.
//!
//! A file is written, synced and committed on the local disk as any other. Order of steps from there: put it into the
//! store, ask the store what it has, note in one catalog transaction that the store has the file. From then on the local
//! file is a copy, at the path where it always was: it may go when others need its room, and is fetched again when it is
//! opened. A crash before the transaction leaves an object that the next round writes again, with the same bytes; one after
//! it leaves nothing to do.
//!
//! Whoever opens a file goes through [`Lake::open_file`] or [`Lake::bring`]. An open file stays readable when its copy
//! goes, so readers need not hold it. The index beside a file never leaves the local disk.

mod bucket;
mod cache;
mod fetch;
mod offload;
mod stray;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub(crate) use bucket::Bucket;
pub(crate) use cache::{Cache, Wanted};

use crate::catalog::CatalogFile;
use crate::layout::Layout;
use crate::{LakeError, Settings, disk};

/// Files that come at the same time; more wait.
const FETCHES: usize = 4;
/// How long a start waits for the store to say whose the place is.
const RECOGNISED_WITHIN: Duration = Duration::from_secs(3);

/// What the lake knows of the store.
#[derive(Debug)]
pub(crate) struct Remote {
    /// `None` when no store is set: then files that lie in one cannot be read.
    pub(crate) bucket: Option<Bucket>,
    pub(crate) cache: Cache,
    /// How often the way of a file into the store failed, of those that have not got there since.
    failing: Mutex<HashMap<String, u32>>,
    fetches: Semaphore,
    /// Where fetches run: that of whoever opened the lake.
    runtime: Handle,
}

impl Remote {
    /// Connects to nothing. `id` says which lake this is, if that is known. Blocking.
    pub(crate) fn open(
        settings: &Settings,
        layout: &Layout,
        known: &[CatalogFile],
        id: Option<String>,
    ) -> Result<Self, LakeError> {
        let bucket = settings.object_store.as_ref().map(|store| Bucket::open(store, id)).transpose()?;
        let limit_bytes = settings.object_store.as_ref().map_or(u64::MAX, |store| store.cache_bytes);
        let cache = Cache::new(limit_bytes);
        let mut without_store = 0;
        for file in known.iter().filter(|file| file.is_remote) {
            let found_bytes = disk::length(&file.entry.path);
            let is_here = found_bytes == Some(file.entry.bytes);
            if found_bytes.is_some() && !is_here {
                disk::remove_file(&file.entry.path)?;
            }
            without_store += u64::from(bucket.is_none() && !is_here);
            cache.add(Wanted::of(&file.entry), is_here);
        }
        cache.make_room(0);
        if without_store > 0 {
            tracing::error!(
                files = without_store,
                "files lie in an object store and none is set: queries over their time fail"
            );
        }
        if bucket.is_some() {
            let fetched = layout.fetched_dir();
            disk::make_dir(&fetched)?;
            // what was under way when the process before ended
            for left in std::fs::read_dir(&fetched).map_err(LakeError::disk("list", &fetched))? {
                disk::remove_file(&left.map_err(LakeError::disk("list", &fetched))?.path())?;
            }
        }
        let runtime = Handle::try_current().map_err(|_| LakeError::Worker("fetch"))?;
        Ok(Self { bucket, cache, failing: Mutex::default(), fetches: Semaphore::new(FETCHES), runtime })
    }

    /// Refuses a prefix that belongs to another lake. A store that does not say so in time is asked again before anything
    /// is read from it, or put there: a store that is down keeps nobody from starting.
    ///
    /// # Errors
    /// [`LakeError::Foreign`].
    pub(crate) async fn recognise(&self) -> Result<(), LakeError> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        match tokio::time::timeout(RECOGNISED_WITHIN, bucket.recognise()).await {
            Ok(Err(error @ LakeError::Foreign { .. })) => return Err(error),
            Ok(Err(error)) => tracing::warn!(%error, "whose the place in the object store is will be asked later"),
            Err(_) => tracing::warn!("the object store does not answer; whose the place in it is will be asked later"),
            Ok(Ok(())) => {}
        }
        Ok(())
    }
}
