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

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub(crate) use bucket::Bucket;
pub(crate) use cache::{Cache, Wanted};

use crate::catalog::CatalogFile;
use crate::layout::Layout;
use crate::{LakeError, Settings, disk};

/// Files that come at the same time; more wait.
const FETCHES: usize = 4;

/// What the lake knows of the store.
#[derive(Debug)]
pub(crate) struct Remote {
    /// `None` when no store is set: then files that lie in one cannot be read.
    pub(crate) bucket: Option<Bucket>,
    pub(crate) cache: Cache,
    fetches: Semaphore,
    /// Where fetches run: that of whoever opened the lake.
    runtime: Handle,
}

impl Remote {
    /// Connects to nothing. Blocking.
    pub(crate) fn open(settings: &Settings, layout: &Layout, known: &[CatalogFile]) -> Result<Self, LakeError> {
        let bucket = settings.object_store.as_ref().map(Bucket::open).transpose()?;
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
        Ok(Self { bucket, cache, fetches: Semaphore::new(FETCHES), runtime })
    }
}
