//! The columns of spans that counting reads, found once per batch.

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, FixedSizeBinaryArray, Int8Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampNanosecondArray,
};
use arrow::datatypes::{Int8Type, Int32Type, Int64Type, TimestampNanosecondType};
use arrow::error::ArrowError;
use model::UnixNanos;
use model::attribute::{entry_prefix, parse_entry};
use model::signal::span;
use model::signal::{ATTRS_REST, SERVICE, SPAN_ID, TRACE_ID};
use model::view::text_at;

use super::sketch::class_of;
use super::step_of;
use crate::row_order::{column, wrong};

/// What names the other side of a call, the surest first; the same as in `queries/counted_spans.sql`.
const PEER_KEYS: [&str; 6] =
    ["service.peer.name", "peer.service", "server.address", "net.peer.name", "db.system.name", "db.system"];

/// One batch of spans and where it stands among the others.
pub(crate) struct Columns<'a> {
    /// Rows before it.
    pub(crate) first_row: u32,
    /// The file its rows go to.
    pub(crate) part: usize,
    pub(crate) trace_id: &'a FixedSizeBinaryArray,
    pub(crate) span_id: &'a FixedSizeBinaryArray,
    pub(crate) parent: &'a FixedSizeBinaryArray,
    pub(crate) service: Labels<'a>,
    pub(crate) name: Labels<'a>,
    pub(crate) kind: &'a Int8Array,
    pub(crate) status: &'a Int8Array,
    pub(crate) start: &'a TimestampNanosecondArray,
    pub(crate) duration: &'a Int64Array,
    peers: Vec<Peer<'a>>,
}

/// A label column.
pub(crate) struct Labels<'a> {
    pub(crate) labels: &'a DictionaryArray<Int32Type>,
    pub(crate) texts: &'a StringArray,
}

/// Where the name of the other side may stand.
enum Peer<'a> {
    Column(&'a ArrayRef),
    Rest { entries: &'a ListArray, texts: &'a StringArray, prefix: String },
}

impl<'a> Columns<'a> {
    /// The names of the columns that are read, as far as the schema has them.
    pub(crate) const NAMES: [&'static str; 13] = [
        TRACE_ID,
        SPAN_ID,
        span::PARENT_SPAN_ID,
        SERVICE,
        span::NAME,
        span::KIND,
        span::STATUS_CODE,
        span::START_TIME,
        span::DURATION_NANOS,
        ATTRS_REST,
        PEER_KEYS[0],
        PEER_KEYS[2],
        PEER_KEYS[4],
    ];

    pub(crate) fn new(batch: &'a RecordBatch, first_row: u32, part: usize) -> Result<Self, ArrowError> {
        let bytes = |name| column(batch, name)?.as_fixed_size_binary_opt().ok_or_else(|| wrong(name));
        let small = |name| column(batch, name)?.as_primitive_opt::<Int8Type>().ok_or_else(|| wrong(name));
        let labels = |name| {
            let labels = column(batch, name)?.as_dictionary_opt::<Int32Type>().ok_or_else(|| wrong(name))?;
            let texts = labels.values().as_string_opt().ok_or_else(|| wrong(name))?;
            Ok::<_, ArrowError>(Labels { labels, texts })
        };
        let start = column(batch, span::START_TIME)?.as_primitive_opt::<TimestampNanosecondType>();
        let duration = column(batch, span::DURATION_NANOS)?.as_primitive_opt::<Int64Type>();
        Ok(Self {
            first_row,
            part,
            trace_id: bytes(TRACE_ID)?,
            span_id: bytes(SPAN_ID)?,
            parent: bytes(span::PARENT_SPAN_ID)?,
            service: labels(SERVICE)?,
            name: labels(span::NAME)?,
            kind: small(span::KIND)?,
            status: small(span::STATUS_CODE)?,
            start: start.ok_or_else(|| wrong(span::START_TIME))?,
            duration: duration.ok_or_else(|| wrong(span::DURATION_NANOS))?,
            peers: PEER_KEYS.iter().filter_map(|key| Peer::of(batch, key)).collect(),
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.trace_id.len()
    }

    /// The step and the size class of a row.
    pub(crate) fn place(&self, row: usize) -> (i32, u16) {
        (step_of(UnixNanos(self.start.value(row))), class_of(self.duration.value(row)))
    }

    /// What a row calls its other side.
    pub(crate) fn peer(&self, row: usize) -> Option<String> {
        self.peers.iter().find_map(|peer| peer.of_row(row)).filter(|peer| !peer.is_empty())
    }
}

impl Labels<'_> {
    /// Place of a row's text among the texts; one past the last when it has none.
    pub(crate) fn place(&self, row: usize) -> usize {
        self.labels.key(row).unwrap_or(self.texts.len())
    }
}

impl<'a> Peer<'a> {
    /// `None` when no row has it there.
    fn of(batch: &'a RecordBatch, key: &str) -> Option<Self> {
        if let Some(column) = batch.column_by_name(key) {
            return (column.null_count() < column.len()).then_some(Self::Column(column));
        }
        let entries = batch.column_by_name(ATTRS_REST)?.as_list_opt::<i32>()?;
        let texts: &StringArray = entries.values().as_string_opt()?;
        (!texts.is_empty()).then(|| Self::Rest { entries, texts, prefix: entry_prefix(key) })
    }

    fn of_row(&self, row: usize) -> Option<String> {
        match self {
            Self::Column(column) => text_at(column, row).map(str::to_owned),
            Self::Rest { entries, texts, prefix } => {
                let (from, to) = (entries.value_offsets()[row] as usize, entries.value_offsets()[row + 1] as usize);
                let entry = (from..to).map(|at| texts.value(at)).find(|entry| entry.starts_with(prefix.as_str()))?;
                parse_entry(entry).map(|(_, value)| value.text().into_owned())
            }
        }
    }
}
