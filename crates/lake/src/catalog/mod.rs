//! The catalog: which files there are and how far the log is in them, on disk before anybody relies on it.

mod promoted;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use model::{Lsn, UnixNanos};
use runtime::{Database, KeyRing, metric};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, Sqlite, Transaction};

use crate::cover::Cover;
use crate::file_entry::FORMAT_VERSION;
use crate::layout::Layout;
use crate::{FileEntry, LakeError, Level, Partition, Zone};

const INSERT_FILE: &str = include_str!("insert_file.sql");
const ALL_FILES: &str = include_str!("all_files.sql");
const ADD_TO_SUMS: &str = include_str!("add_to_sums.sql");
const TAKE_FROM_SUMS: &str = include_str!("take_from_sums.sql");
const IS_LIVE: &str = include_str!("is_live.sql");
const SUMS: &str = include_str!("sums.sql");
const SET_STATE: &str = include_str!("set_state.sql");
const REMOVE_FILE: &str = include_str!("remove_file.sql");
const CLAIM: &str = include_str!("claim.sql");
const EPOCH: &str = include_str!("epoch.sql");
const RETIRE_LIVE: &str = include_str!("retire_live.sql");
const IDENTITY: &str = include_str!("identity.sql");
const KNOWN_IDENTITY: &str = include_str!("known_identity.sql");
const SET_REMOTE: &str = include_str!("set_remote.sql");
const MARK: &str = include_str!("mark.sql");
const ADVANCE_MARK: &str = include_str!("advance_mark.sql");

/// Say `ok`, or what is wrong with a table and its index.
const CHECKS: [&str; 2] = ["pragma integrity_check(lake_files)", "pragma integrity_check(lake_mark)"];

/// What the lake thinks of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileState {
    /// Found by queries.
    Live,
    /// Missing or of the wrong length when the lake was opened.
    Quarantined,
    /// Found by no new query; waits for being unlinked.
    Retired,
}

impl FileState {
    const ALL: [Self; 3] = [Self::Live, Self::Quarantined, Self::Retired];

    fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Quarantined => "quarantined",
            Self::Retired => "retired",
        }
    }
}

/// A row of the catalog.
#[derive(Debug, Clone)]
pub(crate) struct CatalogFile {
    pub(crate) entry: FileEntry,
    pub(crate) state: FileState,
    pub(crate) state_since_unix_nanos: i64,
    /// Whether the object store has it.
    pub(crate) is_remote: bool,
}

/// The lake's tables. Nobody else reads them.
#[derive(Debug, Clone)]
pub(crate) struct Catalog {
    db: Database,
    /// The epoch taken when it was opened; `None` may only read.
    epoch: Option<i64>,
    keys: KeyRing,
}

impl Catalog {
    /// Opens it for writing: whoever had it before can commit nothing any more.
    pub(crate) async fn open(db: Database, keys: KeyRing) -> Result<Self, LakeError> {
        db.migrate("lake", sqlx::migrate!("./migrations")).await?;
        // rows of a damaged page are passed over in silence; that they are in one of table and index only is seen
        for check in CHECKS {
            let found: Vec<String> =
                sqlx::query_scalar(check).fetch_all(&db.writer).await.map_err(LakeError::catalog("check"))?;
            if let Some(found) = found.into_iter().find(|found| found != "ok") {
                return Err(LakeError::CatalogDamaged { found });
            }
        }
        let epoch = sqlx::query_scalar(CLAIM).fetch_one(&db.writer).await.map_err(LakeError::catalog("claim"))?;
        Ok(Self { db, epoch: Some(epoch), keys })
    }

    /// To look at only, beside the one who writes.
    pub(crate) fn read_only(db: Database, keys: KeyRing) -> Self {
        Self { db, epoch: None, keys }
    }

    /// Begins a change, if this is still the one who may make it. SQLite lets one transaction write at a time, so nobody
    /// takes the next epoch between this and its commit.
    async fn begin(&self, action: &'static str) -> Result<Transaction<'static, Sqlite>, LakeError> {
        let mut transaction = self.db.writer.begin_with("begin immediate").await.map_err(LakeError::catalog(action))?;
        let epoch: Option<i64> =
            sqlx::query_scalar(EPOCH).fetch_optional(&mut *transaction).await.map_err(LakeError::catalog(action))?;
        if epoch.is_some() && epoch == self.epoch { Ok(transaction) } else { Err(LakeError::Fenced) }
    }

    /// Asks on the writing connection: behind a commit whose caller gave up, not beside it.
    pub(crate) async fn mark(&self) -> Result<Lsn, LakeError> {
        let found: Option<i64> =
            sqlx::query_scalar(MARK).fetch_optional(&self.db.writer).await.map_err(LakeError::catalog("read"))?;
        Ok(Lsn(found.map_or(0, i64::cast_unsigned)))
    }

    pub(crate) async fn files(&self, layout: Layout) -> Result<Vec<CatalogFile>, LakeError> {
        let failed = || LakeError::catalog("read");
        // both of one moment, while another process may write
        let mut transaction = self.db.reader.begin().await.map_err(failed())?;
        let rows = sqlx::query(ALL_FILES).fetch_all(&mut *transaction).await.map_err(failed())?;
        let sums = sqlx::query_as::<_, (i64, i64)>(SUMS).fetch_optional(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        let files: Vec<CatalogFile> =
            rows.iter().map(|row| read_row(row, &layout, &self.keys)).collect::<Result<_, _>>()?;
        let checksum = |row: &SqliteRow| row.try_get::<Option<i64>, _>("row_crc32c").map_err(failed());
        let checksums: Vec<Option<i64>> = rows.iter().map(checksum).collect::<Result<_, _>>()?;
        let found = (rows.len() as i64, checksums.into_iter().flatten().sum());
        match sums {
            Some(sums) if sums == found => Ok(files),
            _ => Err(LakeError::CatalogDamaged {
                found: format!("{} rows with checksums of {} where {sums:?} should be", found.0, found.1),
            }),
        }
    }

    /// Whether there is a live file of this name. Asks on the writing connection, as [`Catalog::mark`] does.
    pub(crate) async fn is_live(&self, name: &str) -> Result<bool, LakeError> {
        let found = sqlx::query_scalar::<_, i64>(IS_LIVE).bind(name).fetch_one(&self.db.writer).await;
        Ok(found.map_err(LakeError::catalog("read"))? > 0)
    }

    /// Adds the files of one flush and moves the mark, both or neither.
    pub(crate) async fn commit(&self, files: &[FileEntry], mark: Lsn) -> Result<(), LakeError> {
        let failed = || LakeError::catalog("commit to");
        let started = Instant::now();
        let mut transaction = self.begin("commit to").await?;
        for file in files {
            add(&mut transaction, file).await?;
        }
        sqlx::query(ADVANCE_MARK).bind(mark.0.cast_signed()).execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        metrics::histogram!(metric::LAKE_COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Puts `merged` in the place of `inputs`, all or nothing.
    ///
    /// # Errors
    /// [`LakeError::Superseded`] when an input is not live any more; the catalog's.
    pub(crate) async fn replace(
        &self,
        inputs: &[Arc<FileEntry>],
        merged: &FileEntry,
        now: UnixNanos,
    ) -> Result<(), LakeError> {
        let failed = || LakeError::catalog("commit to");
        let started = Instant::now();
        let mut transaction = self.begin("commit to").await?;
        for input in inputs {
            let retire = sqlx::query(RETIRE_LIVE).bind(input.name.as_str()).bind(now.0);
            let done = retire.execute(&mut *transaction).await.map_err(failed())?;
            if done.rows_affected() != 1 {
                // dropping the transaction undoes the others
                return Err(LakeError::Superseded { file: input.name.clone() });
            }
        }
        add(&mut transaction, merged).await?;
        transaction.commit().await.map_err(failed())?;
        metrics::histogram!(metric::LAKE_COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
        Ok(())
    }

    /// Moves files to another state, all or none.
    pub(crate) async fn set_state(&self, names: &[String], state: FileState, now: UnixNanos) -> Result<(), LakeError> {
        let failed = || LakeError::catalog("change");
        let mut transaction = self.begin("change").await?;
        for name in names {
            let change = sqlx::query(SET_STATE).bind(name).bind(state.as_str()).bind(now.0);
            change.execute(&mut *transaction).await.map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }

    /// Which lake this is, for whoever marks something outside as belonging to it; `fresh` when nobody asked before.
    pub(crate) async fn identity(&self, fresh: &str) -> Result<String, LakeError> {
        let mut transaction = self.begin("name").await?;
        let id = sqlx::query_scalar(IDENTITY).bind(fresh).fetch_one(&mut *transaction).await;
        let id = id.map_err(LakeError::catalog("name"))?;
        transaction.commit().await.map_err(LakeError::catalog("name"))?;
        Ok(id)
    }

    /// Which lake this is, if anybody asked before.
    pub(crate) async fn known_identity(&self) -> Result<Option<String>, LakeError> {
        let id = sqlx::query_scalar(KNOWN_IDENTITY).fetch_optional(&self.db.reader).await;
        id.map_err(LakeError::catalog("read"))
    }

    /// Notes that the object store has a file; `false` when its rows are in another one now, or over.
    pub(crate) async fn set_remote(&self, name: &str, now: UnixNanos) -> Result<bool, LakeError> {
        let failed = || LakeError::catalog("change");
        let mut transaction = self.begin("change").await?;
        let set = sqlx::query(SET_REMOTE).bind(name).bind(now.0).execute(&mut *transaction).await.map_err(failed())?;
        transaction.commit().await.map_err(failed())?;
        Ok(set.rows_affected() == 1)
    }

    /// Nothing, when this is still the one who may write.
    pub(crate) async fn check_epoch(&self) -> Result<(), LakeError> {
        // dropping the transaction ends it
        self.begin("look at").await.map(drop)
    }

    /// Forgets retired files, all or none.
    pub(crate) async fn remove(&self, names: &[String]) -> Result<(), LakeError> {
        let failed = || LakeError::catalog("remove from");
        let mut transaction = self.begin("remove from").await?;
        for name in names {
            sqlx::query(TAKE_FROM_SUMS).bind(name).execute(&mut *transaction).await.map_err(failed())?;
            sqlx::query(REMOVE_FILE).bind(name).execute(&mut *transaction).await.map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }
}

async fn add(transaction: &mut Transaction<'static, Sqlite>, file: &FileEntry) -> Result<(), LakeError> {
    let failed = || LakeError::catalog("commit to");
    insert(file).execute(&mut **transaction).await.map_err(failed())?;
    let sum = sqlx::query(ADD_TO_SUMS).bind(i64::from(checksum_of(file)));
    sum.execute(&mut **transaction).await.map_err(failed()).map(drop)
}

/// CRC-32C over what never changes of a row, as text: one that was changed on disk is known by it.
fn checksum_of(file: &FileEntry) -> u32 {
    let FileEntry { name, bytes, index_bytes, checksum_crc32c, format_version, created_unix_nanos, zone, .. } = file;
    let Zone { rows, min_time, max_time, services, error_count, max_duration_nanos } = zone;
    let services = serde_json::json!(services);
    let number = file.cover.number;
    let text = format!(
        "{name} {bytes} {index_bytes} {checksum_crc32c} {format_version} {created_unix_nanos} {number:?} {rows} {} {} \
         {error_count} {max_duration_nanos} {services}",
        min_time.0, max_time.0
    );
    crc32c::crc32c(text.as_bytes())
}

type Insert<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

fn insert(file: &FileEntry) -> Insert<'_> {
    let hour = match file.partition {
        Partition::Hour(hour) => Some(hour),
        Partition::Odd => None,
    };
    let services = file.zone.services.as_ref().map(|services| serde_json::json!(services).to_string());
    sqlx::query(INSERT_FILE)
        .bind(file.name.as_str())
        .bind(file.tenant.as_str())
        .bind(file.signal.as_str())
        .bind(hour)
        .bind(file.zone.rows.cast_signed())
        .bind(file.bytes.cast_signed())
        .bind(i64::from(file.checksum_crc32c))
        .bind(i64::from(file.format_version))
        .bind(file.zone.min_time.0)
        .bind(file.zone.max_time.0)
        .bind(file.min_lsn.0.cast_signed())
        .bind(file.max_lsn.0.cast_signed())
        .bind(services)
        .bind(file.zone.error_count.cast_signed())
        .bind(file.zone.max_duration_nanos)
        .bind(file.created_unix_nanos)
        .bind(i64::from(file.level.number()))
        .bind(file.index_bytes.cast_signed())
        .bind(file.cover.number)
        .bind(i64::from(checksum_of(file)))
}

fn read_row(row: &SqliteRow, layout: &Layout, keys: &KeyRing) -> Result<CatalogFile, LakeError> {
    let read = |column| row.try_get::<i64, _>(column).map_err(LakeError::catalog("read"));
    let text = |column| row.try_get::<&str, _>(column).map_err(LakeError::catalog("read"));
    let name = text("name")?.to_owned();
    let unreadable = |column| LakeError::CatalogRow { file: name.clone(), column };
    let hour: Option<i64> = row.try_get("hour").map_err(LakeError::catalog("read"))?;
    let services: Option<&str> = row.try_get("services").map_err(LakeError::catalog("read"))?;
    let services: Option<BTreeSet<String>> =
        services.map(serde_json::from_str).transpose().map_err(|_| unreadable("services"))?;
    let state = text("state")?;
    let version = u32::try_from(read("format_version")?).map_err(|_| unreadable("format_version"))?;
    if version > FORMAT_VERSION {
        return Err(LakeError::NewerLayout { file: name, version, newest: FORMAT_VERSION });
    }
    let remote_since: Option<i64> = row.try_get("remote_since_unix_nanos").map_err(LakeError::catalog("read"))?;
    let small = |column| u32::try_from(read(column)?).map_err(|_| unreadable(column));
    let number: Option<u32> = row.try_get("key_number").map_err(LakeError::catalog("read"))?;
    let entry = FileEntry {
        cover: Cover { keys: keys.clone(), number },
        path: layout.path(&name),
        tenant: text("tenant")?.parse().map_err(|_| unreadable("tenant"))?,
        signal: text("signal")?.parse().map_err(|_| unreadable("signal"))?,
        level: Level::from_number(read("level")?).ok_or_else(|| unreadable("level"))?,
        partition: hour.map_or(Partition::Odd, Partition::Hour),
        bytes: read("bytes")?.cast_unsigned(),
        index_bytes: read("index_bytes")?.cast_unsigned(),
        checksum_crc32c: small("checksum_crc32c")?,
        format_version: version,
        min_lsn: Lsn(read("min_lsn")?.cast_unsigned()),
        max_lsn: Lsn(read("max_lsn")?.cast_unsigned()),
        created_unix_nanos: read("created_unix_nanos")?,
        zone: Zone {
            rows: read("rows")?.cast_unsigned(),
            min_time: UnixNanos(read("min_time_unix_nanos")?),
            max_time: UnixNanos(read("max_time_unix_nanos")?),
            services,
            error_count: read("error_count")?.cast_unsigned(),
            max_duration_nanos: read("max_duration_nanos")?,
        },
        name: name.clone(),
    };
    let checksum: Option<i64> = row.try_get("row_crc32c").map_err(LakeError::catalog("read"))?;
    if checksum.is_some_and(|checksum| checksum != i64::from(checksum_of(&entry))) {
        return Err(unreadable("row_crc32c"));
    }
    // the name says again what five columns say
    let range = (entry.min_lsn, entry.max_lsn);
    if Layout::name(&entry.tenant, entry.signal, entry.partition, range, entry.level) != name {
        return Err(unreadable("name"));
    }
    Ok(CatalogFile {
        state: FileState::ALL.into_iter().find(|known| known.as_str() == state).ok_or_else(|| unreadable("state"))?,
        state_since_unix_nanos: read("state_since_unix_nanos")?,
        is_remote: remote_since.is_some(),
        entry,
    })
}
