//! One accepted request, decoded: the second of the two shapes that data has.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, UInt64Array};
use arrow::error::ArrowError;

use crate::{Lsn, Signal, TenantId, UnixNanos, column};

/// Events of one tenant and one signal that arrived in one request.
///
/// `records` has [`Signal::decoded_schema`] until the log has given the batch its place, and [`Signal::stored_schema`]
/// afterwards. Row order is the order on the wire; rows that could never be stored are already left out.
#[derive(Debug, Clone)]
pub struct EventBatch {
    /// Whose events.
    pub tenant: TenantId,
    /// What kind of events.
    pub signal: Signal,
    /// When the collector had the whole request.
    pub received_at: UnixNanos,
    /// Position in the log; zero until placed.
    pub lsn: Lsn,
    /// The events.
    pub records: RecordBatch,
}

impl EventBatch {
    /// The batch in its place: appends the `seq` and `row` columns, and whatever else is not known yet, as nulls. Costs
    /// 12 bytes per row and copies no other column.
    ///
    /// # Errors
    /// When `records` does not have the decoded schema of its signal.
    pub fn placed(self, lsn: Lsn) -> Result<Self, ArrowError> {
        let rows = self.records.num_rows();
        let seq: ArrayRef = Arc::new(UInt64Array::from_value(lsn.0, rows));
        let row: ArrayRef = Arc::new(UInt32Array::from_iter_values(0..u32::try_from(rows).unwrap_or(u32::MAX)));
        let mut columns = self.records.columns().to_vec();
        columns.extend([seq, row]);
        let schema = self.signal.stored_schema();
        let unknown = schema.fields().iter().skip(columns.len());
        columns.extend(unknown.map(|field| column::nulls(field.data_type(), rows)));
        let records = RecordBatch::try_new(schema, columns)?;
        Ok(Self { lsn, records, ..self })
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        self.records.num_rows()
    }

    /// Whether the batch holds no event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
