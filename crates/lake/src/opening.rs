//! What happens before the front door opens: the catalog is read and compared with the disk.

use std::sync::Arc;

use model::UnixNanos;
use runtime::{Clock, Database};

use crate::catalog::{Catalog, CatalogFile, FileState};
use crate::layout::Layout;
use crate::remote::Remote;
use crate::retention::Retired;
use crate::version::Version;
use crate::{FileEntry, LakeError, Settings, disk, orphan};

/// Everything a lake starts with.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) layout: Layout,
    pub(crate) catalog: Catalog,
    pub(crate) version: Version,
    pub(crate) retired: Vec<Retired>,
    pub(crate) quarantined: Vec<Arc<FileEntry>>,
    pub(crate) remote: Remote,
}

pub(crate) async fn open(settings: &Settings, db: Database, clock: &Clock) -> Result<Opened, LakeError> {
    check(settings)?;
    let dir = std::path::absolute(&settings.dir).map_err(LakeError::disk("find", &settings.dir))?;
    let layout = Layout::new(dir);
    let catalog = Catalog::open(db, settings.keys.clone()).await?;
    let (mark, id) = (catalog.mark().await?, catalog.known_identity().await?);
    let known = catalog.files(layout.clone()).await?;
    let locked = known.iter().filter(|file| file.state != FileState::Retired).find_map(|file| {
        let source = file.entry.cover.refusal().filter(|error| !error.is_erased())?;
        Some(LakeError::Key { file: file.entry.name.clone(), source })
    });
    if let Some(error) = locked {
        return Err(error);
    }
    let (on_disk, here) = (layout.clone(), settings.clone());
    let looked = tokio::task::spawn_blocking(move || {
        disk::make_dir(&on_disk.temporary_dir())?;
        orphan::sweep(&on_disk, mark, &orphan::names(&known))?;
        let remote = Remote::open(&here, &on_disk, &known, id)?;
        Ok::<_, LakeError>((known.into_iter().map(|file| (found_state(&file), file)).collect::<Vec<_>>(), remote))
    });
    let (looked, remote) = looked.await.map_err(|_| LakeError::Worker("opening"))??;
    remote.recognise().await?;
    for state in [FileState::Live, FileState::Quarantined] {
        let changed = looked.iter().filter(|(found, file)| *found == state && file.state != state);
        let names: Vec<String> = changed.map(|(_, file)| file.entry.name.clone()).collect();
        if !names.is_empty() {
            catalog.set_state(&names, state, UnixNanos(clock.unix_nanos())).await?;
        }
    }
    let (mut live, mut retired, mut quarantined) = (Vec::new(), Vec::new(), Vec::new());
    for (state, CatalogFile { entry, state_since_unix_nanos, .. }) in looked {
        match state {
            FileState::Live => live.push(Arc::new(entry)),
            FileState::Quarantined => quarantined.push(Arc::new(entry)),
            FileState::Retired => {
                retired.push(Retired { file: Arc::new(entry), since_unix_nanos: state_since_unix_nanos });
            }
        }
    }
    Ok(Opened { layout, catalog, version: Version::new(mark, live), retired, quarantined, remote })
}

fn check(settings: &Settings) -> Result<(), LakeError> {
    if settings.memtable_limit_bytes == 0 || settings.memtable_limit_bytes > Settings::MAX_MEMTABLE_LIMIT_BYTES {
        return Err(LakeError::Setting { name: "memtable_limit_bytes", rule: "between 1 and 1073741824" });
    }
    if settings.flush_bytes == 0 || settings.flush_bytes > settings.memtable_limit_bytes {
        return Err(LakeError::Setting { name: "flush_bytes", rule: "between 1 and memtable_limit_bytes" });
    }
    if !(0.0..=1.0).contains(&settings.compaction_share) {
        return Err(LakeError::Setting { name: "compaction_share", rule: "between 0 and 1" });
    }
    if settings.max_hours_per_flush == 0 {
        return Err(LakeError::Setting { name: "max_hours_per_flush", rule: "at least 1" });
    }
    Ok(())
}

/// A file that came back, as when its disk was mounted late, or that was put back from a copy, is live again. What the
/// object store has is found out when it is read.
fn found_state(file: &CatalogFile) -> FileState {
    if file.state == FileState::Retired {
        return FileState::Retired;
    }
    if file.entry.cover.refusal().is_some() {
        tracing::warn!(
            file = file.entry.name,
            rows = file.entry.zone.rows,
            "the key of a file was erased, its rows are missing from answers"
        );
        return FileState::Quarantined;
    }
    if file.is_remote {
        return FileState::Live;
    }
    let found_bytes = disk::length(&file.entry.path);
    let is_whole = || file.state != FileState::Quarantined || file.entry.verify().is_ok();
    if found_bytes == Some(file.entry.bytes) && is_whole() {
        return FileState::Live;
    }
    tracing::error!(
        path = %file.entry.path.display(),
        expected_bytes = file.entry.bytes,
        ?found_bytes,
        rows = file.entry.zone.rows,
        "file of the catalog is missing or damaged, its rows are missing from answers"
    );
    FileState::Quarantined
}
