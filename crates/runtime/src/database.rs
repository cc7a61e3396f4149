//! The one database: SQLite beside the data, opened once and handed down.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::Connection as _;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

/// How long a writer waits for another before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Migration versions that each crate has.
const VERSIONS_PER_CRATE: i64 = 100;
/// The newest migration of one crate that is applied and not known.
const APPLIED: &str = "select max(version) from _sqlx_migrations where version > ? and version <= ?";
/// The texts that tables are made from, as they lie in the file.
const SCHEMA: &str = "select cast(sql as blob) from sqlite_schema where sql is not null";
/// Connections for reading.
const READERS: u32 = 4;

/// Why the database could not be opened or brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// SQLite could not open or create the file.
    #[error("cannot open database {path}: {source}", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: sqlx::Error,
    },
    /// The file is damaged where its tables are described.
    #[error("database {path} is damaged: the description of a table is no text", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A newer version made tables that this one does not know. They are left alone.
    #[error("the tables of {owner} are of version {found}, made by a newer program; this one knows up to {newest}")]
    Newer {
        /// The crate that owns the tables.
        owner: &'static str,
        /// What is there.
        found: i64,
        /// What is known.
        newest: i64,
    },
    /// A table of this version could not be made.
    #[error("cannot bring the tables of {owner} up to date: {source}")]
    Migrate {
        /// The crate that owns the tables.
        owner: &'static str,
        /// What went wrong.
        source: sqlx::migrate::MigrateError,
    },
}

/// Handles to the database: one connection that writes, a few that read. Cheap to clone.
///
/// Committed means on disk: WAL mode with `synchronous=FULL`. Each crate owns its tables and reads nobody else's.
#[derive(Debug, Clone)]
pub struct Database {
    /// The single writing connection; a transaction here waits for the one before.
    pub writer: SqlitePool,
    /// Reading connections; they see the last commit.
    pub reader: SqlitePool,
}

impl Database {
    /// Opens the file, creating it when absent.
    ///
    /// # Errors
    /// [`DatabaseError::Open`], [`DatabaseError::Damaged`].
    pub async fn open(path: &Path) -> Result<Self, DatabaseError> {
        let failed = |source| DatabaseError::Open { path: path.to_owned(), source };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let writer = pool(1).connect_with(options.clone()).await.map_err(failed)?;
        let schema: Vec<Vec<u8>> = sqlx::query_scalar(SCHEMA).fetch_all(&writer).await.map_err(failed)?;
        // sqlx takes for granted that names and types of columns are texts, and loses its thread over one that is not
        if schema.iter().any(|text| std::str::from_utf8(text).is_err()) {
            return Err(DatabaseError::Damaged { path: path.to_owned() });
        }
        let reader = pool(READERS).connect_with(options.read_only(true)).await.map_err(failed)?;
        Ok(Self { writer, reader })
    }

    /// Brings one crate's tables up to date. Migration versions are unique over all crates: each crate numbers its own
    /// within its hundred (lake 1xx, alerts 2xx, access 3xx, pipeline 4xx, runtime 5xx).
    ///
    /// # Errors
    /// [`DatabaseError::Newer`], [`DatabaseError::Migrate`].
    pub async fn migrate(&self, owner: &'static str, mut migrator: Migrator) -> Result<(), DatabaseError> {
        let newest = migrator.iter().map(|step| step.version).max().unwrap_or(0);
        // the table of applied migrations is shared; each crate sees the others' as missing
        migrator.set_ignore_missing(true);
        let failed = |source| DatabaseError::Migrate { owner, source };
        migrator.run(&self.writer).await.map_err(failed)?;
        let last = newest / VERSIONS_PER_CRATE * VERSIONS_PER_CRATE + VERSIONS_PER_CRATE - 1;
        let found: Option<i64> = sqlx::query_scalar(APPLIED)
            .bind(newest)
            .bind(last)
            .fetch_one(&self.writer)
            .await
            .map_err(|source| failed(source.into()))?;
        found.map_or(Ok(()), |found| Err(DatabaseError::Newer { owner, found, newest }))
    }

    /// Closes every connection, folding SQLite's own log into the file.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

/// When the disk fails in the middle of a transaction, SQLite takes the transaction back by itself, and what counts them
/// above it does not notice: such a connection would refuse every transaction from then on. It is replaced instead.
fn pool(max_connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(max_connections)
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

#[cfg(test)]
mod tests;
