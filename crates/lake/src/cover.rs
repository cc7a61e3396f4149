//! What of a file is encrypted, and with which key.
//!
//! A Parquet file is encrypted as Parquet has it (modular encryption, AES-256-GCM, footer and all columns), so that readers
//! which are given its key read it; the metadata of the footer key says which that is. The index beside it is encrypted as
//! a whole: the filters in it answer whoever guesses a value.
//!
//! ```text
//! footer key metadata:  number of the tenant's key u32  salt 16 bytes
//! index:                magic "THIE"  version u32  number u32  salt 16 bytes  nonce 12 bytes  encrypted index  tag 16 bytes
//! ```
//!
//! The key of a file is derived from the tenant's with the salt. An index is bound to the length and the checksum of its
//! file as well. Numbers are little endian.

use std::sync::Arc;

use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::{ParquetError, Result as ParquetResult};
use runtime::Random;
use runtime::keyring::{KeyError, KeyRing, SALT_BYTES, Secret};

use crate::LakeError;

const FILE: &[u8] = b"tracehound parquet file";
const INDEX: &[u8] = b"tracehound index";
const MAGIC: [u8; 4] = *b"THIE";
const VERSION: u32 = 1;
/// Bytes before the nonce of an index.
const HEAD_BYTES: usize = 12 + SALT_BYTES;

/// Whether a file is encrypted, and who has the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cover {
    pub(crate) keys: KeyRing,
    /// The key of its tenant; `None` for a file in plain text.
    pub(crate) number: Option<u32>,
}

/// What one file is written with.
#[derive(Clone)]
pub(crate) struct FileKey {
    number: u32,
    salt: [u8; SALT_BYTES],
    tenant: Secret,
}

impl Cover {
    /// Of a file that is about to be written; its tenant has a key if anything is encrypted.
    pub(crate) fn fresh(keys: &KeyRing, tenant: &str) -> Self {
        Self { keys: keys.clone(), number: keys.newest(tenant).map(|key| key.number) }
    }

    /// The key to write the file with.
    ///
    /// # Errors
    /// [`LakeError::Key`] when it should be encrypted and there is no key: then it must not be written.
    pub(crate) fn key(&self, file: &str) -> Result<Option<FileKey>, LakeError> {
        let failed = |source| LakeError::Key { file: file.to_owned(), source };
        match self.number {
            Some(number) => {
                let tenant = self.keys.key(number).map_err(failed)?;
                Ok(Some(FileKey { number, salt: Random.bytes(), tenant }))
            }
            None if self.keys.is_on() => Err(failed(KeyError::Unknown(0))),
            None => Ok(None),
        }
    }

    /// Why it cannot be read, for want of its key.
    pub(crate) fn refusal(&self) -> Option<KeyError> {
        self.keys.key(self.number?).err()
    }

    /// What a Parquet reader needs to read it.
    pub(crate) fn decryption(&self) -> Option<Arc<FileDecryptionProperties>> {
        self.number?;
        let keys = Arc::new(Retriever(self.keys.clone()));
        let properties = FileDecryptionProperties::with_key_retriever(keys).build();
        Some(properties.expect("a retriever alone is always enough"))
    }

    /// The plain index; `None` when it was changed, or cannot be read with the keys there are.
    pub(crate) fn open_index(&self, bytes: &[u8], bound_to: (u64, u32)) -> Option<Vec<u8>> {
        let (head, sealed) = bytes.split_at_checked(HEAD_BYTES)?;
        if head[..4] != MAGIC || head[4..8] != VERSION.to_le_bytes() {
            return None;
        }
        let number = u32::from_le_bytes(head[8..12].try_into().ok()?);
        let salt: [u8; SALT_BYTES] = head[12..].try_into().ok()?;
        let key = self.keys.key(number).ok()?.derive(&salt, INDEX);
        key.open_bytes(sealed, &context(head, bound_to)).ok()
    }
}

impl FileKey {
    /// What a Parquet writer needs.
    pub(crate) fn encryption(&self) -> ParquetResult<Arc<FileEncryptionProperties>> {
        let mut metadata = self.number.to_le_bytes().to_vec();
        metadata.extend(self.salt);
        let key = self.tenant.derive(&self.salt, FILE);
        FileEncryptionProperties::builder(key.expose().to_vec()).with_footer_key_metadata(metadata).build()
    }

    /// The index of the file of this length and checksum, encrypted.
    pub(crate) fn seal_index(&self, plain: &[u8], bound_to: (u64, u32)) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(VERSION.to_le_bytes());
        out.extend(self.number.to_le_bytes());
        // one of its own: an index may be written again, with other content
        let salt: [u8; SALT_BYTES] = Random.bytes();
        out.extend(salt);
        let sealed = self.tenant.derive(&salt, INDEX).seal_bytes(plain, &context(&out, bound_to));
        out.extend(sealed);
        out
    }
}

fn context(head: &[u8], (file_bytes, file_checksum): (u64, u32)) -> Vec<u8> {
    let mut context = head.to_vec();
    context.extend(file_bytes.to_le_bytes());
    context.extend(file_checksum.to_le_bytes());
    context
}

/// Finds the key that a file names.
struct Retriever(KeyRing);

impl KeyRetriever for Retriever {
    fn retrieve_key(&self, metadata: &[u8]) -> ParquetResult<Vec<u8>> {
        let failed = |error: KeyError| ParquetError::External(Box::new(error));
        let changed = || failed(KeyError::Changed);
        let (number, salt) = metadata.split_first_chunk().ok_or_else(changed)?;
        let salt: [u8; SALT_BYTES] = salt.try_into().map_err(|_| changed())?;
        let tenant = self.0.key(u32::from_le_bytes(*number)).map_err(failed)?;
        Ok(tenant.derive(&salt, FILE).expose().to_vec())
    }
}
