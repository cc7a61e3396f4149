//! What is remembered of calls in a checkpoint, and back.
//!
//! A span takes 36 bytes, big-endian: trace 16, span 8, event time 8, and 4 for the number of its service in the list. All
//! spans are one base64 text.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use model::{SpanId, TraceId};
use serde::{Deserialize, Serialize};

use super::memory::{Bounds, Memory, Waiting};
use crate::checkpoint::{RestoreError, load_event, save_event};

const SPAN_BYTES: usize = 36;

/// Everything remembered of the calls of one tenant; absent in checkpoints of before there were policies.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Calls1 {
    services: Vec<String>,
    spans: String,
    waiting: Vec<Waiting1>,
}

/// Trace, parent, span, time, service, operation, event, whether it is an event of the store.
type Waiting1 = (String, String, String, i64, u32, Option<String>, String, bool);

impl Calls1 {
    /// Whether there is nothing to write down.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty() && self.waiting.is_empty()
    }

    /// What to write down.
    pub fn save(memory: &Memory) -> Self {
        let mut services: Vec<String> = Vec::new();
        let mut numbers: HashMap<Arc<str>, u32> = HashMap::new();
        let mut number = |service: &Arc<str>| {
            *numbers.entry(Arc::clone(service)).or_insert_with(|| {
                services.push(service.to_string());
                u32::try_from(services.len() - 1).unwrap_or(u32::MAX)
            })
        };
        let spans = memory.spans();
        let mut bytes = Vec::with_capacity(spans.len() * SPAN_BYTES);
        for ((trace, span), at, service) in spans {
            bytes.extend(trace.0);
            bytes.extend(span.0);
            bytes.extend(at.to_be_bytes());
            bytes.extend(number(service).to_be_bytes());
        }
        let waiting = memory.waiting().map(|((trace, parent), waiting)| {
            let operation = waiting.operation.as_deref().map(str::to_owned);
            let service = number(&waiting.service);
            let (event, span) = (save_event(&waiting.event), waiting.span.to_string());
            (trace.to_string(), parent.to_string(), span, waiting.at, service, operation, event, waiting.is_stored)
        });
        let waiting = waiting.collect();
        Self { services, spans: BASE64.encode(bytes), waiting }
    }

    /// The memory.
    ///
    /// # Errors
    /// When a span or an identity does not read back.
    pub fn load(self, bounds: Bounds) -> Result<Memory, RestoreError> {
        let mut memory = Memory::default();
        let wrong = || RestoreError::Identity("calls".to_owned());
        let services: Vec<Arc<str>> = self.services.iter().map(|name| memory.service(name)).collect();
        let service = |number: u32| services.get(number as usize).ok_or_else(wrong);
        let bytes = BASE64.decode(&self.spans).map_err(|_| wrong())?;
        let (rows, []) = bytes.as_chunks::<SPAN_BYTES>() else { return Err(wrong()) };
        for row in rows {
            let (trace, rest) = row.split_at(16);
            let (span, rest) = rest.split_at(8);
            let (at, number) = rest.split_at(8);
            let key = (TraceId::from_slice(trace).ok_or_else(wrong)?, SpanId::from_slice(span).ok_or_else(wrong)?);
            let at = i64::from_be_bytes(at.try_into().map_err(|_| wrong())?);
            let number = u32::from_be_bytes(number.try_into().map_err(|_| wrong())?);
            memory.remember(key, at, service(number)?, bounds);
        }
        for (trace, parent, span, at, number, operation, event, is_stored) in self.waiting {
            let key = (trace.parse().map_err(|_| wrong())?, parent.parse().map_err(|_| wrong())?);
            let waiting = Waiting {
                at,
                span: span.parse().map_err(|_| wrong())?,
                service: Arc::clone(service(number)?),
                operation: operation.map(Arc::from),
                event: load_event(&event)?,
                is_stored,
            };
            memory.wait(key, waiting, bounds);
        }
        Ok(memory)
    }
}
