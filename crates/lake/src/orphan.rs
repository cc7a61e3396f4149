//! What an interrupted flush or merge left behind.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use model::Lsn;
use runtime::metric;

use crate::catalog::CatalogFile;
use crate::layout::Layout;
use crate::{Lake, LakeError, Level, disk, layout};

impl Lake {
    /// Removes files that have no catalog row and that only an interrupted flush or merge can have left; returns how many. Done
    /// once when the lake is opened. Parquet files of any other kind are left alone and logged: they may be all that is
    /// left of a lake whose catalog was lost.
    ///
    /// # Errors
    /// The disk's or the catalog's.
    pub async fn sweep_orphans(&self) -> Result<u64, LakeError> {
        let _no_merge = self.inner.merging.lock().await;
        let turn = Arc::clone(&self.inner.upkeep).lock_owned().await;
        let mark = self.inner.catalog.mark().await?;
        let known = self.inner.catalog.files(self.inner.layout.clone()).await?;
        let layout = self.inner.layout.clone();
        let swept = tokio::task::spawn_blocking(move || (sweep(&layout, mark, &names(&known)), turn));
        swept.await.map_err(|_| LakeError::Worker("orphan sweep"))?.0
    }
}

pub(crate) fn names(known: &[CatalogFile]) -> HashSet<&str> {
    known.iter().map(|file| file.entry.name.as_str()).collect()
}

/// An uncommitted flush begins right after the mark, because the mark is where the committed one before it ended. An
/// uncommitted merge covers committed files of its directory, which still have its rows. An index without its file says
/// nothing.
pub(crate) fn sweep(layout: &Layout, mark: Lsn, known: &HashSet<&str>) -> Result<u64, LakeError> {
    let mut leftovers = Vec::new();
    let mut strangers = 0_u64;
    for tenant in children(layout.dir())?.into_iter().filter(|name| !name.starts_with('.')) {
        for signal in children(&layout.path(&tenant))? {
            for hour in children(&layout.path(&format!("{tenant}/{signal}")))? {
                let dir = format!("{tenant}/{signal}/{hour}");
                let here: Vec<String> =
                    children(&layout.path(&dir))?.into_iter().map(|file| format!("{dir}/{file}")).collect();
                let committed: Vec<(Lsn, Lsn)> = here
                    .iter()
                    .filter(|name| known.contains(name.as_str()))
                    .filter_map(|name| Layout::claims_of(name).map(|(range, _)| range))
                    .collect();
                for name in here {
                    if layout::indexed(&name).is_some_and(|file| !known.contains(file.as_str())) {
                        leftovers.push(name);
                        continue;
                    }
                    let claims = Layout::claims_of(&name).filter(|_| !known.contains(name.as_str()));
                    let Some(((first, last), level)) = claims else { continue };
                    let covers = |range: &(Lsn, Lsn)| first <= range.0 && range.1 <= last;
                    let is_leftover = match level {
                        Level::L0 => first.0 == mark.0 + 1,
                        _ => committed.iter().any(covers),
                    };
                    match is_leftover {
                        true => leftovers.push(name),
                        false => strangers += 1,
                    }
                }
            }
        }
    }
    if strangers > 0 {
        tracing::warn!(files = strangers, dir = %layout.dir().display(), "parquet files without a catalog row are left alone");
        // an empty catalog beside full directories is a lost catalog, not an interrupted first flush
        if known.is_empty() {
            leftovers.clear();
        }
    }
    let mut removed = 0;
    for name in &leftovers {
        disk::remove(&layout.path(name))?;
        removed += 1;
    }
    for name in children(&layout.temporary_dir())? {
        disk::remove_file(&layout.temporary_dir().join(name))?;
        removed += 1;
    }
    metrics::counter!(metric::LAKE_ORPHANS).increment(removed);
    Ok(removed)
}

/// Names in a directory that are UTF-8, as all of ours are; none when it is absent or no directory.
fn children(dir: &Path) -> Result<Vec<String>, LakeError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(vec![]);
        }
        Err(error) => return Err(LakeError::disk("list", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(LakeError::disk("list", dir))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}
