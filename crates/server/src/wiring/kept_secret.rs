//! Secrets that are made at the first start and kept in the data directory.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

/// The secret in the file, without the blanks around it. A file that is not there is made, readable for its owner alone.
///
/// # Errors
/// When the file can be neither read nor made.
pub(super) fn open(path: &Path, generate: impl FnOnce() -> String) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
    let secret = generate();
    write(path, &secret).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(secret)
}

/// Puts the file there whole or not at all: half a secret would be taken for one at the next start.
fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("tmp");
    let mut file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests;
