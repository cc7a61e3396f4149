//! A disk that is quickly full, and what is free of one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

/// A small disk in memory, taken away when dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one of so many bytes; the reason when the system does not allow it.
    ///
    /// # Errors
    /// What `mount` said.
    pub fn mount(at: &Path, bytes: u64) -> Result<Self, String> {
        let size = format!("size={bytes}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(at).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Self(at.to_owned())),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // a server that is still stopping keeps it busy; it goes when that has gone
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Bytes free, as an ordinary process sees it.
///
/// # Errors
/// When `df` does not tell.
pub fn free_bytes(at: &Path) -> Result<u64> {
    let output = Command::new("df").args(["--output=avail", "-B1"]).arg(at).output()?;
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().nth(1).unwrap_or_default().trim().parse()?)
}
