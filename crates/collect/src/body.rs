//! Bodies, read with a limit and against the budget.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::budget::Reservation;
use crate::status::Refusal;

/// Most bytes that are read and thrown away so that a client sees its answer instead of a reset connection.
const LINGER_BYTES: u64 = 128 << 20;
/// Longest time spent on that.
const LINGER: Duration = Duration::from_secs(5);

/// Reads the whole body, charging every byte before it is kept.
pub(crate) async fn read(
    body: &mut Incoming,
    limit_bytes: u64,
    reservation: &mut Reservation,
) -> Result<Bytes, Refusal> {
    if body.size_hint().lower() > limit_bytes {
        return Err(Refusal::TooLarge { limit_bytes });
    }
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Refusal::BrokenBody(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        length += data.len() as u64;
        if length > limit_bytes {
            return Err(Refusal::TooLarge { limit_bytes });
        }
        reservation.grow(data.len() as u64)?;
        // most requests arrive in one piece and are never copied
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if !first.is_empty() {
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() { first } else { whole.freeze() })
}

/// Reads what is left and keeps nothing. Over HTTP/1 a client that is still sending would otherwise meet a closed
/// connection and never read why.
pub(crate) async fn discard(body: &mut Incoming) {
    let mut left_bytes = LINGER_BYTES;
    let drained = async {
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            left_bytes = left_bytes.saturating_sub(length);
            if left_bytes == 0 {
                break;
            }
        }
    };
    // what is not read in time is cut off with the connection
    let _ = tokio::time::timeout(LINGER, drained).await;
}
