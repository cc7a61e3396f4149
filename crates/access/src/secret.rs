//! Random secrets, and the hash that is kept in their place.

use runtime::Random;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// SHA-256 of a secret. A slow password hash would add nothing: the secrets are 256 random bits.
pub(crate) type SecretHash = [u8; 32];

/// 256 random bits, written as 64 hexadecimal digits.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    pub(crate) fn new(random: Random) -> Self {
        Self(random.bytes())
    }

    pub(crate) fn text(&self) -> String {
        hex::encode(self.0)
    }

    pub(crate) fn hash(&self) -> SecretHash {
        hash_text(&self.text())
    }
}

/// The hash of a presented secret.
pub(crate) fn hash_text(text: &str) -> SecretHash {
    Sha256::digest(text.as_bytes()).into()
}

/// Compares in a time that does not depend on where the two differ.
pub(crate) fn is_same(left: &SecretHash, right: &SecretHash) -> bool {
    left.ct_eq(right).into()
}
