//! Files and directories that are really on disk.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use runtime::directory;

use crate::{LakeError, layout};

/// Makes a directory and its missing parents, and makes their names durable.
pub(crate) fn make_dir(dir: &Path) -> Result<(), LakeError> {
    directory::make(dir).map_err(LakeError::disk("create", dir))
}

/// Gives a finished, synced file its name, and makes the name durable. Replaces what an interrupted flush left there.
pub(crate) fn publish(temporary: &Path, path: &Path) -> Result<(), LakeError> {
    fs::rename(temporary, path).map_err(LakeError::disk("rename", temporary))?;
    sync_parent(path)
}

/// Removes a file. One that is gone already is no error.
pub(crate) fn remove_file(path: &Path) -> Result<(), LakeError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LakeError::disk("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Removes a data file with its index and, when it was the last one, its directory.
pub(crate) fn remove(path: &Path) -> Result<(), LakeError> {
    remove_file(path)?;
    remove_file(&layout::index_path(path))?;
    if let Some(dir) = path.parent() {
        // fails, as it should, while the directory holds something
        let _ = fs::remove_dir(dir);
    }
    Ok(())
}

/// Length of a file; `None` when there is none, or none that can be looked at.
pub(crate) fn length(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().filter(fs::Metadata::is_file).map(|found| found.len())
}

fn sync_parent(path: &Path) -> Result<(), LakeError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(LakeError::disk("sync", parent))
}
