//! One Parquet file, from rows to durable bytes.
//!
//! Plain Parquet that any reader understands: the arrow schema is embedded, row groups have 131,072 rows (eight slices),
//! pages at most one slice, pages and dictionaries are compressed with zstd, and each column has statistics. The key-value
//! metadata names the layout version and the log range. Which slices hold a trace is written beside it
//! ([`crate::sidecar`]). Merged files have columns beside those of the stored schema ([`crate::promotion`]).

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use model::signal::{self, log, span};
use model::{Lsn, Signal};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::cover::FileKey;
use crate::file_entry::FORMAT_VERSION;
use crate::promotion::Splitter;
use crate::rollup::Rollup;
use crate::row_order::{GROUP_SLICES, SLICE_ROWS};
use crate::sidecar::Builder;
use crate::{LakeError, Level, Zone, sidecar};

const ROW_GROUP_ROWS: usize = GROUP_SLICES * SLICE_ROWS;
/// Trace ids repeat within their trace; past this the rest of a row group is written plain.
const TRACE_DICTIONARY_BYTES: usize = 4 << 20;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) checksum_crc32c: u32,
    pub(crate) zone: Zone,
    /// The index to put beside it.
    pub(crate) index: Vec<u8>,
}

/// A file that is being written, slice by slice. Blocking.
pub(crate) struct FileWriter {
    path: PathBuf,
    signal: Signal,
    writer: ArrowWriter<Sink>,
    /// What has columns beside those of the stored schema; `None` where nothing is promoted.
    splitter: Option<Splitter>,
    zone: Zone,
    index: Builder,
    key: Option<FileKey>,
}

impl FileWriter {
    pub(crate) fn create(
        path: &Path,
        signal: Signal,
        level: Level,
        range: (Lsn, Lsn),
        key: Option<FileKey>,
        splitter: Option<Splitter>,
    ) -> Result<Self, LakeError> {
        let failed = |source| LakeError::Parquet { path: path.to_owned(), source };
        let file = File::create(path).map_err(LakeError::disk("create", path))?;
        let sink = Sink { file: BufWriter::with_capacity(1 << 18, file), bytes: 0, checksum_crc32c: 0 };
        let properties = properties(signal, level, range, key.as_ref()).map_err(failed)?;
        let schema = splitter.as_ref().map_or_else(|| signal.stored_schema(), Splitter::schema);
        let writer = ArrowWriter::try_new(sink, schema, Some(properties)).map_err(failed)?;
        let index = Builder::new(signal, level.has_values());
        Ok(Self { path: path.to_owned(), signal, writer, splitter, zone: Zone::empty(), index, key })
    }

    /// Writes the next slice: [`SLICE_ROWS`] rows, in the last one fewer.
    pub(crate) fn write_slice(&mut self, slice: &RecordBatch) -> Result<(), LakeError> {
        self.index.add_slice(slice)?;
        self.zone.add(self.signal, slice);
        let failed = |source| LakeError::Parquet { path: self.path.clone(), source };
        match &mut self.splitter {
            Some(splitter) => self.writer.write(&splitter.split(slice)?).map_err(failed),
            None => self.writer.write(slice).map_err(failed),
        }
    }

    /// Completes the file and has the system put its bytes on disk. A file of spans takes the counts of them.
    pub(crate) fn finish(self, rollup: Option<&Rollup>) -> Result<Written, LakeError> {
        let Self { path, mut writer, splitter, zone, index, key, .. } = self;
        if let Some(metadata) = splitter.as_ref().and_then(Splitter::metadata) {
            writer.append_key_value_metadata(metadata);
        }
        let sink = writer.into_inner().map_err(|source| LakeError::Parquet { path: path.clone(), source })?;
        let (bytes, checksum_crc32c) = (sink.bytes, sink.checksum_crc32c);
        let file = sink.file.into_inner().map_err(|error| LakeError::disk("write", &path)(error.into_error()))?;
        file.sync_all().map_err(LakeError::disk("sync", &path))?;
        let on_disk = file.metadata().map_err(LakeError::disk("look at", &path))?.len();
        if on_disk != bytes {
            let short = std::io::Error::other(format!("{on_disk} bytes on disk after writing {bytes}"));
            return Err(LakeError::disk("write", &path)(short));
        }
        let index = index.finish(bytes, checksum_crc32c, rollup);
        let index = sidecar::covered(index, key.as_ref(), (bytes, checksum_crc32c));
        Ok(Written { bytes, checksum_crc32c, zone, index })
    }
}

fn properties(
    signal: Signal,
    level: Level,
    range: (Lsn, Lsn),
    key: Option<&FileKey>,
) -> Result<WriterProperties, ParquetError> {
    let metadata = vec![
        KeyValue::new("tracehound.format_version".to_owned(), FORMAT_VERSION.to_string()),
        KeyValue::new("tracehound.signal".to_owned(), signal.to_string()),
        KeyValue::new("tracehound.lsn".to_owned(), format!("{}-{}", range.0, range.1)),
        KeyValue::new("tracehound.slice_rows".to_owned(), SLICE_ROWS.to_string()),
    ];
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(level.zstd())?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(SLICE_ROWS)
        .set_dictionary_enabled(true)
        .set_key_value_metadata(Some(metadata))
        .set_column_dictionary_page_size_limit(ColumnPath::from(signal::TRACE_ID), TRACE_DICTIONARY_BYTES);
    // nearly every value differs from the others, or from its neighbour by little: a dictionary would only be thrown away
    builder = without_dictionary(builder, signal::SPAN_ID, Encoding::PLAIN);
    for column in [signal.time_column(), signal::RECEIVED_TIME, signal::SEQ, signal::ROW] {
        builder = without_dictionary(builder, column, Encoding::DELTA_BINARY_PACKED);
    }
    if signal == Signal::Logs {
        // bodies that do not repeat lie one behind the other with their lengths before them, as a search wants them
        let body = ColumnPath::from(log::BODY);
        builder = builder.set_column_encoding(body, Encoding::DELTA_LENGTH_BYTE_ARRAY);
    }
    if signal == Signal::Spans {
        builder = without_dictionary(builder, span::PARENT_SPAN_ID, Encoding::PLAIN);
        builder = without_dictionary(builder, span::DURATION_NANOS, Encoding::DELTA_BINARY_PACKED);
        for column in [span::NESTED_LEFT, span::NESTED_RIGHT] {
            builder = without_dictionary(builder, column, Encoding::DELTA_BINARY_PACKED);
        }
    }
    if let Some(key) = key {
        builder = builder.with_file_encryption_properties(key.encryption()?);
    }
    Ok(builder.build())
}

fn without_dictionary(builder: WriterPropertiesBuilder, column: &str, encoding: Encoding) -> WriterPropertiesBuilder {
    // a name may contain dots, and is one part of the path all the same
    let column = ColumnPath::new(vec![column.to_owned()]);
    builder.set_column_dictionary_enabled(column.clone(), false).set_column_encoding(column, encoding)
}

/// Counts and sums what passes, so that the catalog knows what must be there when the file is read again.
struct Sink {
    file: BufWriter<File>,
    bytes: u64,
    checksum_crc32c: u32,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        self.checksum_crc32c = crc32c::crc32c_append(self.checksum_crc32c, &bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
