//! The lake's directory as the engine reads it: what lies in the object store is fetched when it is asked for.

use std::fmt;
use std::ops::Range;

use datafusion::object_store::local::LocalFileSystem;
use datafusion::object_store::path::Path;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use lake::Lake;

use crate::QueryError;

/// How often a file is fetched for one who reads it; others may need its room between the two steps.
const ATTEMPTS: usize = 5;

/// Read-only.
#[derive(Debug)]
pub(crate) struct LakeFiles {
    local: LocalFileSystem,
    lake: Lake,
}

impl LakeFiles {
    pub(crate) fn new(lake: Lake) -> Result<Self> {
        Ok(Self { local: LocalFileSystem::new_with_prefix(&lake.settings().dir)?, lake })
    }

    /// Fetches the file if need be. Goes on when whoever asked is gone, so that the next one finds it.
    async fn bring(&self, location: &Path) -> Result<()> {
        if !self.lake.is_remote(location.as_ref()) {
            return Ok(());
        }
        let (lake, name) = (self.lake.clone(), location.to_string());
        let brought = tokio::task::spawn_blocking(move || lake.bring(&name)).await?;
        brought.map_err(|error| match self.lake.find(location.as_ref()) {
            Some(file) => Error::Generic { store: "lake", source: Box::new(QueryError::of_lake(&file, error)) },
            None => Error::Generic { store: "lake", source: Box::new(error) },
        })
    }

    /// A copy that has gone between being fetched and being read.
    fn has_gone<T>(&self, location: &Path, read: &Result<T>) -> bool {
        let has_gone = matches!(read, Err(Error::NotFound { .. })) && self.lake.is_remote(location.as_ref());
        if has_gone {
            self.lake.miss(location.as_ref());
        }
        has_gone
    }
}

impl fmt::Display for LakeFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("lake")
    }
}

#[async_trait::async_trait]
impl ObjectStore for LakeFiles {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        for _ in 1..ATTEMPTS {
            self.bring(location).await?;
            let read = self.local.get_opts(location, options.clone()).await;
            if !self.has_gone(location, &read) {
                return read;
            }
        }
        self.bring(location).await?;
        self.local.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<bytes::Bytes>> {
        for _ in 1..ATTEMPTS {
            self.bring(location).await?;
            let read = self.local.get_ranges(location, ranges).await;
            if !self.has_gone(location, &read) {
                return read;
            }
        }
        self.bring(location).await?;
        self.local.get_ranges(location, ranges).await
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(Error::NotImplemented { operation: "put".to_owned(), implementer: self.to_string() })
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented { operation: "put".to_owned(), implementer: self.to_string() })
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let refused = Error::NotImplemented { operation: "delete".to_owned(), implementer: self.to_string() };
        stream::once(async { Err(refused) }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let refused = Error::NotImplemented { operation: "list".to_owned(), implementer: self.to_string() };
        stream::once(async { Err(refused) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(Error::NotImplemented { operation: "list".to_owned(), implementer: self.to_string() })
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(Error::NotImplemented { operation: "copy".to_owned(), implementer: self.to_string() })
    }
}
