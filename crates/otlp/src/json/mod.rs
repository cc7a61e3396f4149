//! OTLP JSON, transcoded to and from the protobuf wire format by one table of messages ([`schema`]).
//!
//! What the OTLP mapping leaves open is settled here: unknown fields are ignored; `null` is an unset field, and as an
//! element of a list an empty message; a repeated key adds to a list, and of anything else the last value that
//! is not the default counts; bytes after the document are an error; 64-bit integers are read from strings and numbers; enumerations
//! are numbers only; base64 is read in the standard and the URL-safe alphabet, padded or not.

mod print;
mod read;
mod schema;

use model::Signal;

use crate::fault::DecodeError;

pub(crate) use schema::Message;

/// The export request of a signal.
pub(crate) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Spans => &schema::TRACES_REQUEST,
        Signal::Logs => &schema::LOGS_REQUEST,
    }
}

/// The protobuf bytes of a JSON document. An empty document is an empty message.
pub(crate) fn to_protobuf(message: &'static Message, json: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    read::document(message, json).map_err(|error| DecodeError::Json { reason: error.to_string() })
}

/// The JSON document of protobuf bytes; fields that the table does not name are left out.
pub(crate) fn from_protobuf(message: &'static Message, protobuf: &[u8]) -> Result<String, DecodeError> {
    let mut json = String::with_capacity(protobuf.len() * 2);
    print::message(&mut json, message, protobuf)?;
    Ok(json)
}

#[cfg(test)]
mod tests;
