//! What the log asks of the file system besides reading and writing.

use std::fs::File;
use std::io;
use std::path::Path;

/// Gives a new file its size and, where the file system can, its blocks, so that a full disk is met when a segment is
/// made and not in the middle of a frame. The bytes read as zeros.
pub(crate) fn preallocate(file: &File, size_bytes: u64) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(file, FallocateFlags::empty(), 0, size_bytes) {
            Err(error) if error == rustix::io::Errno::OPNOTSUPP || error == rustix::io::Errno::NOSYS => {}
            done => return Ok(done?),
        }
    }
    file.set_len(size_bytes)
}

/// Makes creations, renames and removals in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Bytes that an ordinary process may still write to the disk below `dir`.
pub(crate) fn free_bytes(dir: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(dir)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Whether an error says that the disk, or this user's share of it, is full.
pub(crate) fn is_out_of_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
