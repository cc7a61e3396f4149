//! The three nested messages around the records of any signal: request, resource, scope.
//!
//! Traces and logs use the same field numbers: a request holds ResourceSpans or ResourceLogs in field 1; those hold the
//! resource in 1, the scopes in 2 and the schema URL in 3; a scope's message holds the scope in 1, records in 2, the
//! schema URL in 3. The schema URL comes last on the wire, so what stands around records is set once they are read.

use arrow::array::RecordBatch;

use crate::fault::DecodeError;
use crate::rejection::{Place, Reason, Rejections};
use crate::tail::Tail;
use crate::wire::{Fields, Payload};
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
        let first_row = records.tail().row();
        let mut outer = Around::default();
        place.scope = 0;
        let mut scopes = Fields::of(resource, "resource");
        while let Some((number, payload)) = scopes.next()? {
            if number != 2 {
                outer.note(number, payload, "resource")?;
                continue;
            }
            let scope_row = records.tail().row();
            let mut inner = Around::default();
            place.record = 0;
            let mut fields = Fields::of(payload.bytes("scope")?, "scope");
            while let Some((number, payload)) = fields.next()? {
                if number != 2 {
                    inner.note(number, payload, "scope")?;
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
            records.tail().set_scope(scope_row, &inner.parts, inner.schema_url)?;
            place.scope += 1;
        }
        records.tail().set_resource(first_row, &outer.parts, outer.schema_url)?;
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

/// What stands around records.
#[derive(Default)]
struct Around<'a> {
    parts: Vec<&'a [u8]>,
    schema_url: &'a str,
}

impl<'a> Around<'a> {
    fn note(&mut self, number: u32, payload: Payload<'a>, name: &'static str) -> Result<(), DecodeError> {
        match number {
            1 => self.parts.push(payload.bytes(name)?),
            3 => self.schema_url = payload.text("schema_url")?,
            _ => {}
        }
        Ok(())
    }
}
