//! Which keys have columns in merged files.

use model::{Signal, TenantId};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::Catalog;
use crate::LakeError;
use crate::promotion::{PromotedKey, Remembered};

const PROMOTED: &str = include_str!("promoted.sql");
const FORGET_PROMOTED: &str = include_str!("forget_promoted.sql");
const INSERT_PROMOTED: &str = include_str!("insert_promoted.sql");

impl Catalog {
    /// The keys of one tenant's signal.
    pub(crate) async fn promoted(&self, tenant: &TenantId, signal: Signal) -> Result<Vec<Remembered>, LakeError> {
        let query = sqlx::query(PROMOTED).bind(tenant.as_str()).bind(signal.as_str());
        let rows = query.fetch_all(&self.db.writer).await.map_err(LakeError::catalog("read"))?;
        rows.iter().map(|row| remembered(row).map_err(LakeError::catalog("read"))).collect()
    }

    /// The keys of every tenant, the most frequent first.
    pub(crate) async fn all_promoted(&self) -> Result<Vec<(TenantId, Signal, Remembered)>, LakeError> {
        let query = sqlx::query(PROMOTED).bind(None::<&str>).bind(None::<&str>);
        let rows = query.fetch_all(&self.db.reader).await.map_err(LakeError::catalog("read"))?;
        let read = |row: &SqliteRow| {
            let unreadable = |column| LakeError::CatalogRow { file: "a promoted key".to_owned(), column };
            let text = |column| row.try_get::<&str, _>(column).map_err(LakeError::catalog("read"));
            let tenant = text("tenant")?.parse().map_err(|_| unreadable("tenant"))?;
            let signal = text("signal")?.parse().map_err(|_| unreadable("signal"))?;
            Ok((tenant, signal, remembered(row).map_err(LakeError::catalog("read"))?))
        };
        rows.iter().map(read).collect()
    }

    /// Puts these keys in the place of those that were remembered, all or nothing.
    pub(crate) async fn remember_promoted(
        &self,
        tenant: &TenantId,
        signal: Signal,
        keys: &[Remembered],
    ) -> Result<(), LakeError> {
        let failed = || LakeError::catalog("change");
        let mut transaction = self.begin("change").await?;
        let forget = sqlx::query(FORGET_PROMOTED).bind(tenant.as_str()).bind(signal.as_str());
        forget.execute(&mut *transaction).await.map_err(failed())?;
        for Remembered { key, share } in keys {
            let insert = sqlx::query(INSERT_PROMOTED).bind(tenant.as_str()).bind(signal.as_str());
            let insert = insert.bind(key.key.as_str()).bind(key.tag.to_string()).bind(*share);
            insert.execute(&mut *transaction).await.map_err(failed())?;
        }
        transaction.commit().await.map_err(failed())
    }
}

fn remembered(row: &SqliteRow) -> Result<Remembered, sqlx::Error> {
    let tag = row.try_get::<&str, _>("tag")?.chars().next().unwrap_or('s');
    let key = PromotedKey { key: row.try_get("key")?, tag };
    Ok(Remembered { key, share: row.try_get("share")? })
}
