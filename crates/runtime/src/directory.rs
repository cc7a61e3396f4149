//! Directories whose names are on disk.
//!
//! A file that is synced in a directory that is not named on disk is lost with it when the power goes: the system
//! promises the bytes of a file, not the way to it.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a directory and its missing parents, and makes their names durable. One that is there is left alone.
///
/// # Errors
/// The disk's.
pub fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    make(parent)?;
    match fs::create_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    File::open(parent)?.sync_all()
}
