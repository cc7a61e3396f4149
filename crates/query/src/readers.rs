//! How the engine opens a file: with its key if it has one, and so that what is wrong with it comes out as we said it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, CachedParquetMetaData, ParquetFileReaderFactory,
};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::object_store::{ObjectMeta, ObjectStore};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use lake::{FileEntry, Snapshot};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::ParquetMetaData;

use crate::QueryError;

/// The engine's own readers, with an eye on what is encrypted and what lies in the object store.
#[derive(Debug)]
pub(crate) struct LakeReaders {
    engine: CachedParquetFileReaderFactory,
    cache: Arc<FileMetadataCache>,
    snapshot: Snapshot,
    files: HashMap<String, Arc<FileEntry>>,
}

impl LakeReaders {
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        cache: Arc<FileMetadataCache>,
        snapshot: &Snapshot,
        files: &[Arc<FileEntry>],
    ) -> Self {
        let files = files.iter().map(|file| (file.name.clone(), Arc::clone(file))).collect();
        let engine = CachedParquetFileReaderFactory::new(store, Arc::clone(&cache));
        Self { engine, cache, snapshot: snapshot.clone(), files }
    }
}

impl ParquetFileReaderFactory for LakeReaders {
    fn create_reader(
        &self,
        partition_index: usize,
        partitioned_file: PartitionedFile,
        metadata_size_hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> Result<Box<dyn AsyncFileReader + Send>> {
        let object = partitioned_file.object_meta.clone();
        let file = self.files.get(object.location.as_ref()).cloned();
        let engine = self.engine.create_reader(partition_index, partitioned_file, metadata_size_hint, metrics)?;
        let Some(file) = file else { return Ok(engine) };
        let (snapshot, cache) = (self.snapshot.clone(), Arc::clone(&self.cache));
        Ok(Box::new(LakeReader { engine, footer: Footer { snapshot, file, cache, object } }))
    }
}

struct LakeReader {
    engine: Box<dyn AsyncFileReader + Send>,
    footer: Footer,
}

/// Where the footer of one file comes from.
#[derive(Clone)]
struct Footer {
    snapshot: Snapshot,
    file: Arc<FileEntry>,
    cache: Arc<FileMetadataCache>,
    object: ObjectMeta,
}

impl Footer {
    /// From the engine's cache, which has those of encrypted files as well: it is memory.
    fn cached(&self) -> Option<Arc<ParquetMetaData>> {
        let cached = self.cache.get(&self.object.location).filter(|cached| cached.is_valid_for(&self.object))?;
        let found = cached.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()?;
        Some(Arc::clone(found.parquet_metadata()))
    }

    /// Read from the file, which is fetched and decrypted if need be.
    async fn read(&self) -> ParquetResult<Arc<ParquetMetaData>> {
        let (snapshot, file) = (self.snapshot.clone(), Arc::clone(&self.file));
        let read = tokio::task::spawn_blocking(move || {
            let failed = |error| ParquetError::External(Box::new(QueryError::of_lake(&file, error)));
            let opened = snapshot.open_file(&file).map_err(failed)?;
            ArrowReaderMetadata::load(&opened, file.reader_options())
        });
        let read = read.await.map_err(|error| ParquetError::External(Box::new(error)))??;
        let metadata = Arc::clone(read.metadata());
        let kept = CachedParquetMetaData::new(Arc::clone(&metadata));
        self.cache.put(&self.object.location, CachedFileMetadataEntry::new(self.object.clone(), Arc::new(kept)));
        Ok(metadata)
    }
}

impl AsyncFileReader for LakeReader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        self.engine.get_bytes(range)
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        self.engine.get_byte_ranges(ranges)
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        let footer = self.footer.clone();
        let file = &footer.file;
        // the engine is built without encryption, and makes a text of whatever keeps it from a footer
        if !file.is_encrypted() && !footer.snapshot.is_away(file) {
            return self.engine.get_metadata(options);
        }
        async move {
            match footer.cached() {
                Some(found) => Ok(found),
                None => footer.read().await,
            }
        }
        .boxed()
    }
}
