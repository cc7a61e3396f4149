//! Payloads that only those read who have the key of their tenant.
//!
//! ```text
//! number of the key u32  salt 16 bytes  nonce 12 bytes  encrypted payload  tag 16 bytes
//! ```
//!
//! AES-256-GCM with a key of the frame alone: HKDF-SHA256 of the tenant's with the salt, for the purpose "tracehound log
//! frame". What else the frame says is authenticated with it. The number is little endian.

use bytes::Bytes;
use runtime::Random;
use runtime::keyring::{KeyError, KeyRing, SALT_BYTES};

use crate::Frame;

const PURPOSE: &[u8] = b"tracehound log frame";

/// The frame as it is written, and whether its payload is encrypted.
///
/// # Errors
/// When it should be and its tenant has no key: then it must not be written.
pub(crate) fn seal(frame: Frame, keys: &KeyRing) -> Result<(Frame, bool), KeyError> {
    if !keys.is_on() {
        return Ok((frame, false));
    }
    let key = keys.newest(frame.tenant.as_str()).ok_or(KeyError::Unknown(0))?;
    let salt: [u8; SALT_BYTES] = Random.bytes();
    let mut payload = key.number.to_le_bytes().to_vec();
    payload.extend(salt);
    payload.extend(key.secret.derive(&salt, PURPOSE).seal_bytes(&frame.payload, &frame.context()));
    Ok((Frame { payload: Bytes::from(payload), ..frame }, true))
}

/// The frame as it was given to [`seal`].
///
/// # Errors
/// When its key is not there, or was erased, or the frame is not what was written.
pub(crate) fn open(frame: Frame, keys: &KeyRing) -> Result<Frame, KeyError> {
    let (number, rest) = frame.payload.split_first_chunk().ok_or(KeyError::Changed)?;
    let (salt, sealed) = rest.split_first_chunk::<SALT_BYTES>().ok_or(KeyError::Changed)?;
    let key = keys.key(u32::from_le_bytes(*number))?;
    let payload = key.derive(salt, PURPOSE).open_bytes(sealed, &frame.context())?;
    Ok(Frame { payload: Bytes::from(payload), ..frame })
}
