//! Tokens: keyed hashes that stand for a value, the same for the same value of the same tenant.
//!
//! ```text
//! tenant key = HMAC-SHA256(master key, "tracehound redaction 1\0" + tenant)
//! token      = first 32 hexadecimal digits of HMAC-SHA256(tenant key, value)
//! ```

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Said before the tenant, so that no other use of the key gives the same bytes.
const CONTEXT: &[u8] = b"tracehound redaction 1\0";
/// Bytes of a hash that its token shows.
const TOKEN_BYTES: usize = 16;

/// The key that all tokens depend on. Never printed.
#[derive(Clone)]
pub struct MasterKey(Vec<u8>);

impl MasterKey {
    /// Least length in bytes.
    pub const MIN_BYTES: usize = 32;

    /// A key of these bytes; `None` when they are fewer than [`MasterKey::MIN_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= Self::MIN_BYTES).then(|| Self(bytes.to_vec()))
    }

    /// The maker of a tenant's tokens.
    pub(super) fn tokens_of(&self, tenant: &str) -> Tokens {
        let mut mac = keyed(&self.0);
        mac.update(CONTEXT);
        mac.update(tenant.as_bytes());
        Tokens(keyed(&mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Makes the tokens of one tenant.
pub(super) struct Tokens(Hmac<Sha256>);

impl Tokens {
    pub fn of(&self, value: &str) -> String {
        let mut mac = self.0.clone();
        mac.update(value.as_bytes());
        hex::encode(&mac.finalize().into_bytes()[..TOKEN_BYTES])
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}
