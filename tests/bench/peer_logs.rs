//! The lines of the logs' benchmark as the tables of other stores have them, for `peers/clickhouse.py`.
//!
//! `bench log-corpus` writes them into `TRACEHOUND_BENCH_CORPUS`: `logs/*.parquet` with the columns of the table `otel_logs`
//! of the OpenTelemetry Collector's ClickHouse exporter, and `queries.json` with what is looked for.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use arrow::array::{ArrayRef, MapBuilder, RecordBatch, StringBuilder, TimestampNanosecondBuilder, UInt8Builder};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{InstrumentationScope, KeyValue};
use proto::logs::v1::LogRecord;
use serde_json::json;

use crate::peer_corpus::{FILE_ROWS, Maps, put, rfc3339, text};
use crate::{lake, log_lines, logs};

/// Writes the corpus.
pub fn run() -> Result<()> {
    let folder = std::env::var_os("TRACEHOUND_BENCH_CORPUS").map(PathBuf::from).context("TRACEHOUND_BENCH_CORPUS")?;
    fs::create_dir_all(folder.join("logs"))?;
    let start = tests::unix_nanos() - lake::AGO.as_nanos() as u64;
    let (mut table, mut files) = (Table::default(), 0);
    let mut end = start;
    for request in log_lines::requests(logs::lines(), start) {
        for resource_logs in &request.resource_logs {
            let resource = resource_logs.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
            for scope_logs in &resource_logs.scope_logs {
                for record in &scope_logs.log_records {
                    end = end.max(record.time_unix_nano);
                    table.push(resource, scope_logs.scope.as_ref(), record);
                }
            }
        }
        if table.rows >= FILE_ROWS {
            std::mem::take(&mut table).write(&folder.join(format!("logs/{files:04}.parquet")))?;
            files += 1;
        }
    }
    if table.rows > 0 {
        table.write(&folder.join(format!("logs/{files:04}.parquet")))?;
    }
    let asked = logs::ASKED.map(|(name, kind, asked)| json!({"name": name, "kind": kind, "asked": asked}));
    let queries = json!({ "logs": asked, "from": rfc3339(start), "to": rfc3339(end + 1_000_000_000) });
    fs::write(folder.join("queries.json"), serde_json::to_vec_pretty(&queries)?)?;
    println!("{} lines in {}", logs::lines(), folder.display());
    Ok(())
}

/// Rows of `otel_logs`.
struct Table {
    rows: usize,
    time: TimestampNanosecondBuilder,
    severity: UInt8Builder,
    /// Trace id, span id, severity, service, body, scope name.
    texts: [StringBuilder; 6],
    resource: Maps,
    attributes: Maps,
}

impl Default for Table {
    fn default() -> Self {
        let maps = || MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        Self {
            rows: 0,
            time: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            severity: UInt8Builder::new(),
            texts: Default::default(),
            resource: maps(),
            attributes: maps(),
        }
    }
}

impl Table {
    fn push(&mut self, resource: &[KeyValue], scope: Option<&InstrumentationScope>, record: &LogRecord) {
        let service = resource.iter().find(|pair| pair.key == "service.name").map(text).unwrap_or_default();
        let body = match record.body.as_ref().and_then(|body| body.value.as_ref()) {
            Some(Kind::StringValue(text)) => text.clone(),
            _ => String::new(),
        };
        let texts = [
            hex::encode(&record.trace_id),
            hex::encode(&record.span_id),
            record.severity_text.clone(),
            service,
            body,
            scope.map(|scope| scope.name.clone()).unwrap_or_default(),
        ];
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.append_value(text));
        self.time.append_value(record.time_unix_nano as i64);
        self.severity.append_value(record.severity_number as u8);
        put(&mut self.resource, resource);
        put(&mut self.attributes, &record.attributes);
        self.rows += 1;
    }

    fn write(mut self, path: &Path) -> Result<()> {
        let [trace, span, severity, service, body, scope] =
            self.texts.map(|mut column| Arc::new(column.finish()) as ArrayRef);
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("Timestamp", Arc::new(self.time.finish())),
            ("TraceId", trace),
            ("SpanId", span),
            ("SeverityText", severity),
            ("SeverityNumber", Arc::new(self.severity.finish())),
            ("ServiceName", service),
            ("Body", body),
            ("ResourceAttributes", Arc::new(self.resource.finish())),
            ("ScopeName", scope),
            ("LogAttributes", Arc::new(self.attributes.finish())),
        ];
        let batch = RecordBatch::try_from_iter(columns)?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?)).build();
        let mut writer = ArrowWriter::try_new(File::create(path)?, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    }
}
