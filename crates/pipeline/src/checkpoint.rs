//! What the rule engine knew, and how far in the log it was when it knew it.
//!
//! One file, replaced whole. All integers little-endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | magic `THCKPT\0\0` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 4 | CRC-32C of everything after this field |
//! | 16 | 8 | position of the last judged frame |
//! | 24 | 4 | number of tenants |
//! | 28 | .. | per tenant: u32 length and name, u32 length and engine state |
//!
//! A file that is absent, damaged or of another version reads as "nothing": the engine then starts afresh at the end of
//! what the log has already trimmed. Detections are idempotent by id, so judging a frame twice raises nothing twice.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use model::{Lsn, TenantId};
use runtime::directory;

const MAGIC: &[u8; 8] = b"THCKPT\0\0";
const VERSION: u32 = 1;
/// Larger files are not read: no engine's bounded state comes near.
const MAX_BYTES: u64 = 1 << 30;

/// State of the rule engines after a frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checkpoint {
    /// Position of the last judged frame.
    pub done: Lsn,
    /// Engine state per tenant.
    pub engines: Vec<(TenantId, Vec<u8>)>,
}

/// Where checkpoints are kept.
#[derive(Debug, Clone)]
pub struct CheckpointFile {
    path: PathBuf,
}

impl CheckpointFile {
    /// The checkpoint file of a data directory's `detect` folder, which is made when absent.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(folder: &Path) -> io::Result<Self> {
        directory::make(folder)?;
        Ok(Self { path: folder.join("checkpoint") })
    }

    /// Reads the last checkpoint; `None` when there is none that can be trusted.
    pub fn read(&self) -> Option<Checkpoint> {
        let length = fs::metadata(&self.path).ok()?.len();
        if length > MAX_BYTES {
            tracing::error!(path = %self.path.display(), length, "checkpoint of the rule engine is too large to be ours");
            return None;
        }
        let read = fs::read(&self.path).ok()?;
        let checkpoint = parse(&read);
        if checkpoint.is_none() {
            tracing::error!(path = %self.path.display(), "checkpoint of the rule engine is damaged; it starts afresh");
        }
        checkpoint
    }

    /// Replaces the checkpoint: on return it is on disk.
    ///
    /// # Errors
    /// When the disk refuses; the former checkpoint then still stands.
    pub fn write(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let temporary = self.path.with_extension("tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&render(checkpoint))?;
        file.sync_all()?;
        fs::rename(&temporary, &self.path)?;
        match self.path.parent() {
            Some(folder) => File::open(folder)?.sync_all(),
            None => Ok(()),
        }
    }
}

fn render(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&checkpoint.done.0.to_le_bytes());
    body.extend_from_slice(&length_of(checkpoint.engines.len()));
    for (tenant, state) in &checkpoint.engines {
        for part in [tenant.as_str().as_bytes(), state] {
            body.extend_from_slice(&length_of(part.len()));
            body.extend_from_slice(part);
        }
    }
    let mut file = MAGIC.to_vec();
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    file.extend_from_slice(&body);
    file
}

fn length_of(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("engine state is bounded far below 4 GiB").to_le_bytes()
}

fn parse(file: &[u8]) -> Option<Checkpoint> {
    let (head, body) = file.split_at_checked(16)?;
    let sum = u32::from_le_bytes(head[12..16].try_into().ok()?);
    if &head[..8] != MAGIC || head[8..12] != VERSION.to_le_bytes() || crc32c::crc32c(body) != sum {
        return None;
    }
    let mut rest = body;
    let done = Lsn(u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?));
    let tenants = take_length(&mut rest)?;
    let mut engines = Vec::new();
    for _ in 0..tenants {
        let length = take_length(&mut rest)?;
        let tenant = std::str::from_utf8(take(&mut rest, length)?).ok()?.parse().ok()?;
        let length = take_length(&mut rest)?;
        engines.push((tenant, take(&mut rest, length)?.to_vec()));
    }
    rest.is_empty().then_some(Checkpoint { done, engines })
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn take_length(rest: &mut &[u8]) -> Option<usize> {
    let bytes = take(rest, 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(bytes)).ok()
}

#[cfg(test)]
mod tests;
