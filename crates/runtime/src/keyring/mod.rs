//! Keys that stored events are encrypted with: one per tenant, sealed with a key that lies outside the data directory.
//!
//! The database has every tenant's key, 256 random bits, sealed with a key of the key file (AES-256-GCM; the tenant and the
//! number of the key are part of what is authenticated). What is written to disk is never encrypted with such a key itself
//! but with one derived from it and from a salt of its own, so that nonces need to be unique within one file only.
//! Destroying a sealed key makes everything that was ever encrypted under it unreadable.

mod key_file;
mod secret;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use sqlx::Row;

pub use key_file::KeyFile;
pub use secret::{SALT_BYTES, Secret};

use crate::{Clock, Database};

const ALL: &str = include_str!("all.sql");
const ADD: &str = include_str!("add.sql");
const SEAL: &str = include_str!("seal.sql");
const ERASE: &str = include_str!("erase.sql");

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The key file cannot be used.
    #[error("{0}")]
    File(String),
    /// Something is encrypted and no key file is set.
    #[error("it is encrypted, and no key file is set")]
    NoKeyFile,
    /// The key was destroyed: what it encrypted can never be read again.
    #[error("the key of tenant {tenant} was erased: nothing can read it any more")]
    Erased {
        /// Whose key.
        tenant: String,
    },
    /// The key file does not have the key that this one is sealed with.
    #[error("the key file has no key {sealed_with}, which the key of tenant {tenant} is sealed with")]
    Sealed {
        /// Whose key.
        tenant: String,
        /// The key of the key file.
        sealed_with: String,
    },
    /// No key has this number.
    #[error("there is no key {0}")]
    Unknown(u32),
    /// What should be there was changed, or is sealed with another key.
    #[error("it was changed, or encrypted with another key")]
    Changed,
    /// The key was erased, and a reader keeps the database from forgetting the pages it stood on.
    #[error(
        "the key is erased, and whoever reads the database keeps its old pages on disk: end that, then erase again"
    )]
    Busy,
    /// The database refused.
    #[error("cannot {action} keys: {source}")]
    Database {
        /// What was tried.
        action: &'static str,
        /// What it said.
        source: sqlx::Error,
    },
    /// The tables could not be made.
    #[error(transparent)]
    Migrate(#[from] crate::database::DatabaseError),
}

impl KeyError {
    /// Whether what is encrypted is gone for good.
    pub fn is_erased(&self) -> bool {
        matches!(self, Self::Erased { .. })
    }
}

/// The keys of one data directory; without a key file it encrypts nothing. Cheap to clone.
#[derive(Clone, Default)]
pub struct KeyRing {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    db: Database,
    clock: Clock,
    file: KeyFile,
    keys: RwLock<Keys>,
    /// One makes a key at a time.
    making: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Keys {
    by_number: HashMap<u32, Slot>,
    newest: HashMap<String, u32>,
}

enum Slot {
    Open(Secret),
    Erased { tenant: String },
    Sealed { tenant: String, sealed_with: String },
}

/// A key with its number.
#[derive(Clone)]
pub struct Numbered {
    /// What is written beside what it encrypts.
    pub number: u32,
    /// The key.
    pub secret: Secret,
}

impl KeyRing {
    /// Reads every key. Those that are not sealed with the newest key of the file are sealed anew with it.
    ///
    /// # Errors
    /// [`KeyError::Database`], [`KeyError::Changed`] when a key of the file is not the one of that name.
    pub async fn open(db: Database, clock: Clock, file: KeyFile) -> Result<Self, KeyError> {
        db.migrate("runtime", sqlx::migrate!("./migrations")).await?;
        let rows = sqlx::query(ALL).fetch_all(&db.reader).await.map_err(failed("read"))?;
        let (mut keys, mut outdated) = (Keys::default(), Vec::new());
        for row in rows {
            let number: u32 = row.try_get("id").map_err(failed("read"))?;
            let tenant: String = row.try_get("tenant").map_err(failed("read"))?;
            let sealed_with: String = row.try_get("sealed_with").map_err(failed("read"))?;
            let sealed: Option<Vec<u8>> = row.try_get("sealed").map_err(failed("read"))?;
            let slot = match (sealed, file.key(&sealed_with)) {
                (None, _) => Slot::Erased { tenant },
                (Some(_), None) => Slot::Sealed { tenant, sealed_with },
                (Some(sealed), Some(key)) => {
                    let secret = Secret::unseal(key, &sealed, &context(&tenant, number, &sealed_with))?;
                    if sealed_with != file.newest().0 {
                        outdated.push((number, tenant.clone(), secret.clone()));
                    }
                    keys.newest.insert(tenant, number);
                    Slot::Open(secret)
                }
            };
            keys.by_number.insert(number, slot);
        }
        for (number, tenant, secret) in outdated {
            put(&db, &file, number, &tenant, &secret).await?;
        }
        let inner = Inner { db, clock, file, keys: RwLock::new(keys), making: tokio::sync::Mutex::default() };
        Ok(Self { inner: Some(Arc::new(inner)) })
    }

    /// Whether anything is encrypted that is written from now on.
    pub fn is_on(&self) -> bool {
        self.inner.is_some()
    }

    /// Makes sure that a tenant has a key, on disk before it is used.
    ///
    /// # Errors
    /// [`KeyError::Database`].
    pub async fn ensure(&self, tenant: &str) -> Result<(), KeyError> {
        let Some(inner) = &self.inner else { return Ok(()) };
        if self.newest(tenant).is_some() {
            return Ok(());
        }
        let _making = inner.making.lock().await;
        if self.newest(tenant).is_some() {
            return Ok(());
        }
        let now = inner.clock.unix_nanos();
        let number: u32 =
            sqlx::query_scalar(ADD).bind(tenant).bind(now).fetch_one(&inner.db.writer).await.map_err(failed("make"))?;
        let secret = Secret::random();
        put(&inner.db, &inner.file, number, tenant, &secret).await?;
        let mut keys = inner.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.by_number.insert(number, Slot::Open(secret));
        keys.newest.insert(tenant.to_owned(), number);
        Ok(())
    }

    /// The key that a tenant's events are encrypted with; `None` when nothing is, or before [`KeyRing::ensure`].
    pub fn newest(&self, tenant: &str) -> Option<Numbered> {
        let keys = self.inner.as_ref()?.keys.read().unwrap_or_else(PoisonError::into_inner);
        let number = *keys.newest.get(tenant)?;
        match keys.by_number.get(&number) {
            Some(Slot::Open(secret)) => Some(Numbered { number, secret: secret.clone() }),
            _ => None,
        }
    }

    /// The key of this number.
    ///
    /// # Errors
    /// Any but those of the database.
    pub fn key(&self, number: u32) -> Result<Secret, KeyError> {
        let inner = self.inner.as_ref().ok_or(KeyError::NoKeyFile)?;
        let keys = inner.keys.read().unwrap_or_else(PoisonError::into_inner);
        match keys.by_number.get(&number) {
            Some(Slot::Open(secret)) => Ok(secret.clone()),
            Some(Slot::Erased { tenant }) => Err(KeyError::Erased { tenant: tenant.clone() }),
            Some(Slot::Sealed { tenant, sealed_with }) => {
                Err(KeyError::Sealed { tenant: tenant.clone(), sealed_with: sealed_with.clone() })
            }
            None => Err(KeyError::Unknown(number)),
        }
    }
}

/// Destroys the keys of a tenant in the database, and what the database keeps of them in pages that are free. No server
/// may be running on it. Returns how many there were.
///
/// # Errors
/// [`KeyError::Database`].
pub async fn erase(db: &Database, clock: &Clock, tenant: &str) -> Result<u64, KeyError> {
    db.migrate("runtime", sqlx::migrate!("./migrations")).await?;
    let run = async |statement: &'static str| {
        sqlx::query(statement).execute(&db.writer).await.map(drop).map_err(failed("erase"))
    };
    // what is freed is overwritten with zeros
    run("pragma secure_delete = on").await?;
    let erase = sqlx::query(ERASE).bind(tenant).bind(clock.unix_nanos());
    let erased = erase.execute(&db.writer).await.map_err(failed("erase"))?.rows_affected();
    // pages from before lie in SQLite's own log and, freed earlier, in the file
    emptied(db).await?;
    run("vacuum").await?;
    emptied(db).await?;
    Ok(erased)
}

/// Empties SQLite's own log, or says that a reader keeps it.
async fn emptied(db: &Database) -> Result<(), KeyError> {
    let checkpoint = sqlx::query_scalar::<_, i64>("pragma wal_checkpoint(truncate)").fetch_one(&db.writer);
    match checkpoint.await.map_err(failed("erase"))? {
        0 => Ok(()),
        _ => Err(KeyError::Busy),
    }
}

async fn put(db: &Database, file: &KeyFile, number: u32, tenant: &str, secret: &Secret) -> Result<(), KeyError> {
    let (sealed_with, key) = file.newest();
    let sealed = secret.seal(key, &context(tenant, number, sealed_with));
    let put = sqlx::query(SEAL).bind(number).bind(sealed_with).bind(sealed);
    put.execute(&db.writer).await.map(drop).map_err(failed("write"))
}

/// What a sealed key belongs to, so that it cannot be put in the place of another.
fn context(tenant: &str, number: u32, sealed_with: &str) -> Vec<u8> {
    format!("tracehound key\n{tenant}\n{number}\n{sealed_with}").into_bytes()
}

fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> KeyError {
    move |source| KeyError::Database { action, source }
}

impl PartialEq for KeyRing {
    fn eq(&self, other: &Self) -> bool {
        match (&self.inner, &other.inner) {
            (None, None) => true,
            (Some(left), Some(right)) => Arc::ptr_eq(left, right),
            _ => false,
        }
    }
}

impl Eq for KeyRing {}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "KeyRing(on)" } else { "KeyRing(off)" })
    }
}

#[cfg(test)]
mod tests;
