//! One Parquet file, from rows to durable bytes.
//!
//! Plain Parquet that any reader understands: the arrow schema is embedded, row groups have 131,072 rows, pages at most
//! 16,384, pages and dictionaries are compressed with zstd level 1, each column has statistics, and `trace_id` has a
//! bloom filter per row group. The key-value metadata names the layout version and the log range.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::take_record_batch;
use model::signal::{self, span};
use model::{Lsn, Signal};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{WriterProperties, WriterPropertiesBuilder};
use parquet::schema::types::ColumnPath;

use crate::LakeError;
use crate::file_entry::FORMAT_VERSION;
use crate::row_order::RowOrder;

/// Rows per row group: eight of the pages below.
const ROW_GROUP_ROWS: usize = 131_072;
/// Rows per data page at most.
const PAGE_ROWS: usize = 16_384;
/// Rows handed to the encoder at once; bounds the copy that bringing them in order makes.
const CHUNK_ROWS: usize = PAGE_ROWS;
/// One in a hundred row groups is read for nothing when a trace is looked up.
const BLOOM_FALSE_POSITIVES: f64 = 0.01;
/// Trace ids repeat within their trace; past this the rest of a row group is written plain.
const TRACE_DICTIONARY_BYTES: usize = 4 << 20;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) bytes: u64,
    pub(crate) checksum_crc32c: u32,
}

/// Writes `records` in the given order to `path` and has the system put the bytes on disk. Blocking.
pub(crate) fn write(
    path: &Path,
    signal: Signal,
    records: &RecordBatch,
    order: &RowOrder,
    range: (Lsn, Lsn),
) -> Result<Written, LakeError> {
    let failed = |source| LakeError::Parquet { path: path.to_owned(), source };
    let file = File::create(path).map_err(LakeError::disk("create", path))?;
    let sink = Sink { file: BufWriter::with_capacity(1 << 18, file), bytes: 0, checksum_crc32c: 0 };
    let properties = properties(signal, order.traces, range).map_err(failed)?;
    let mut writer = ArrowWriter::try_new(sink, records.schema(), Some(properties)).map_err(failed)?;
    for start in (0..order.rows.len()).step_by(CHUNK_ROWS) {
        let rows = order.rows.slice(start, CHUNK_ROWS.min(order.rows.len() - start));
        writer.write(&take_record_batch(records, &rows)?).map_err(failed)?;
    }
    let sink = writer.into_inner().map_err(failed)?;
    let written = Written { bytes: sink.bytes, checksum_crc32c: sink.checksum_crc32c };
    let file = sink.file.into_inner().map_err(|error| LakeError::disk("write", path)(error.into_error()))?;
    file.sync_all().map_err(LakeError::disk("sync", path))?;
    let on_disk = file.metadata().map_err(LakeError::disk("look at", path))?.len();
    if on_disk != written.bytes {
        let short = std::io::Error::other(format!("{on_disk} bytes on disk after writing {}", written.bytes));
        return Err(LakeError::disk("write", path)(short));
    }
    Ok(written)
}

fn properties(signal: Signal, traces: usize, range: (Lsn, Lsn)) -> Result<WriterProperties, ParquetError> {
    let trace_id = ColumnPath::from(signal::TRACE_ID);
    let distinct = traces.clamp(1, ROW_GROUP_ROWS) as u64;
    let metadata = vec![
        KeyValue::new("tracehound.format_version".to_owned(), FORMAT_VERSION.to_string()),
        KeyValue::new("tracehound.signal".to_owned(), signal.to_string()),
        KeyValue::new("tracehound.lsn".to_owned(), format!("{}-{}", range.0, range.1)),
    ];
    let mut builder = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_enabled(true)
        .set_key_value_metadata(Some(metadata))
        .set_column_dictionary_page_size_limit(trace_id.clone(), TRACE_DICTIONARY_BYTES)
        .set_column_bloom_filter_enabled(trace_id.clone(), true)
        .set_column_bloom_filter_fpp(trace_id.clone(), BLOOM_FALSE_POSITIVES)
        .set_column_bloom_filter_max_ndv(trace_id, distinct);
    // nearly every value differs from the others, or from its neighbour by little: a dictionary would only be thrown away
    builder = without_dictionary(builder, signal::SPAN_ID, Encoding::PLAIN);
    for column in [signal.time_column(), signal::RECEIVED_TIME, signal::SEQ, signal::ROW] {
        builder = without_dictionary(builder, column, Encoding::DELTA_BINARY_PACKED);
    }
    if signal == Signal::Spans {
        builder = without_dictionary(builder, span::PARENT_SPAN_ID, Encoding::PLAIN);
        builder = without_dictionary(builder, span::DURATION_NANOS, Encoding::DELTA_BINARY_PACKED);
    }
    Ok(builder.build())
}

fn without_dictionary(builder: WriterPropertiesBuilder, column: &str, encoding: Encoding) -> WriterPropertiesBuilder {
    let column = ColumnPath::from(column);
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
