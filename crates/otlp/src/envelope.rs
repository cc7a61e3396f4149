//! The three nested messages around the records of any signal: request, resource, scope.
//!
//! Traces and logs use the same field numbers: a request holds ResourceSpans or ResourceLogs in field 1; those hold the
//! resource in 1, the scopes in 2 and the schema URL in 3; a scope's message holds the scope in 1, records in 2, the
//! schema URL in 3. The schema URL comes last on the wire, so each level is walked twice: once for what stands around
//! the records, once for the records.

use arrow::array::RecordBatch;

use crate::fault::DecodeError;
use crate::rejection::{Place, Reason, Rejections};
use crate::tail::Tail;
use crate::wire::Fields;
use crate::{Decoded, MAX_EVENTS};

/// The columns of one signal under construction.
pub(crate) trait Records<'a> {
    /// What a record is called in messages to the client.
    const NAME: &'static str;
    /// The shared columns.
    fn tail(&mut self) -> &mut Tail<'a>;
    /// Adds the row of one record, or says why it can never be stored; then no column has changed.
    fn push(&mut self, record: &'a [u8]) -> Result<Option<Reason>, DecodeError>;
    /// The finished batch.
    fn finish(self) -> RecordBatch;
}

/// Reads a whole request.
pub(crate) fn read<'a, R: Records<'a>>(request: &'a [u8], mut records: R) -> Result<Decoded, DecodeError> {
    let mut rejections = Rejections::default();
    let mut seen = 0_u64;
    let mut place = Place { resource: 0, scope: 0, record: 0 };
    let mut resources = Fields::of(request, "request");
    while let Some((number, payload)) = resources.next()? {
        if number != 1 {
            continue;
        }
        let resource = payload.bytes("resource")?;
        let outer = around(resource, "resource")?;
        records.tail().set_resource(&outer.parts, outer.schema_url)?;
        place.scope = 0;
        let mut scopes = Fields::of(resource, "resource");
        while let Some((number, payload)) = scopes.next()? {
            if number != 2 {
                continue;
            }
            let scope = payload.bytes("scope")?;
            let inner = around(scope, "scope")?;
            records.tail().set_scope(&inner.parts, inner.schema_url)?;
            place.record = 0;
            let mut fields = Fields::of(scope, "scope");
            while let Some((number, payload)) = fields.next()? {
                if number != 2 {
                    continue;
                }
                seen += 1;
                if seen > MAX_EVENTS {
                    return Err(DecodeError::TooManyEvents);
                }
                if let Some(reason) = records.push(payload.bytes(R::NAME)?)? {
                    rejections.add(reason, place);
                }
                place.record += 1;
            }
            place.scope += 1;
        }
        place.resource += 1;
    }
    let mut message = rejections.message(seen, R::NAME);
    let references = records.tail().odd.table_references;
    if message.is_empty() && references > 0 {
        message = format!(
            "{references} attribute keys or values refer to a string table, which only profiles have; read as empty"
        );
    }
    Ok(Decoded { records: records.finish(), rejected: rejections.total(), message })
}

struct Around<'a> {
    parts: Vec<&'a [u8]>,
    schema_url: &'a str,
}

fn around<'a>(bytes: &'a [u8], name: &'static str) -> Result<Around<'a>, DecodeError> {
    let mut found = Around { parts: Vec::with_capacity(1), schema_url: "" };
    let mut fields = Fields::of(bytes, name);
    while let Some((number, payload)) = fields.next()? {
        match number {
            1 => found.parts.push(payload.bytes(name)?),
            3 => found.schema_url = payload.text("schema_url")?,
            _ => {}
        }
    }
    Ok(found)
}
