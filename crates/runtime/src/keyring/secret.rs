//! A key, and the few things that are done with one.

use std::fmt;
use std::sync::Arc;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};

use super::KeyError;
use crate::Random;

/// Bytes of a salt, random for each thing that is encrypted.
pub const SALT_BYTES: usize = 16;
const KEY_BYTES: usize = 32;

/// 256 bits that nobody is told. Cheap to clone; never printed.
#[derive(Clone)]
pub struct Secret {
    bytes: Arc<[u8; KEY_BYTES]>,
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        KEY_BYTES
    }
}

impl Secret {
    /// A new one.
    pub fn random() -> Self {
        Self::new(Random.bytes())
    }

    pub(super) fn new(bytes: [u8; KEY_BYTES]) -> Self {
        Self { bytes: Arc::new(bytes) }
    }

    /// The key of one thing: HKDF-SHA256 of this key with a salt, for a purpose.
    pub fn derive(&self, salt: &[u8; SALT_BYTES], purpose: &'static [u8]) -> Self {
        let mut derived = [0; KEY_BYTES];
        let purpose = [purpose];
        let pseudo_random = Salt::new(HKDF_SHA256, salt).extract(&self.bytes[..]);
        let expanded = pseudo_random.expand(&purpose, Length).expect("32 bytes are fewer than HKDF gives at most");
        expanded.fill(&mut derived).expect("the length is the one that was asked for");
        Self::new(derived)
    }

    /// The bytes, for a library that encrypts by itself.
    pub fn expose(&self) -> &[u8] {
        &self.bytes[..]
    }

    /// Nonce (12 bytes, random), what was encrypted, tag (16 bytes). `context` must be the same when it is opened.
    pub fn seal_bytes(&self, plain: &[u8], context: &[u8]) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = Random.bytes();
        let mut body = plain.to_vec();
        let sealed =
            self.cipher().seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body);
        sealed.expect("nothing in memory is longer than AES-GCM takes");
        let mut out = nonce.to_vec();
        out.extend(body);
        out
    }

    /// What [`Secret::seal_bytes`] was given.
    ///
    /// # Errors
    /// [`KeyError::Changed`] when a bit, the key or the context is another.
    pub fn open_bytes(&self, sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (nonce, body) = sealed.split_at_checked(NONCE_LEN).ok_or(KeyError::Changed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Changed)?;
        let mut body = body.to_vec();
        let plain = self.cipher().open_in_place(nonce, Aad::from(context), &mut body);
        let length = plain.map_err(|_| KeyError::Changed)?.len();
        body.truncate(length);
        Ok(body)
    }

    pub(super) fn seal(&self, with: &Self, context: &[u8]) -> Vec<u8> {
        with.seal_bytes(&self.bytes[..], context)
    }

    pub(super) fn unseal(with: &Self, sealed: &[u8], context: &[u8]) -> Result<Self, KeyError> {
        let bytes = with.open_bytes(sealed, context)?;
        Ok(Self::new(bytes.try_into().map_err(|_| KeyError::Changed)?))
    }

    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &self.bytes[..]).expect("the key has 32 bytes"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
