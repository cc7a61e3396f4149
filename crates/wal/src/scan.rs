//! Walks the frames of one segment, and finds the next whole frame after damage.
//!
//! Never reads a body, never allocates by a number found on disk, and always moves forward, so every walk ends.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use model::Lsn;

use crate::frame::{ALIGN_BYTES, HEADER_BYTES, Header, MARKER};
use crate::segment;

const CHUNK_BYTES: usize = 64 * 1024;
static ZEROS: [u8; CHUNK_BYTES] = [0; CHUNK_BYTES];

/// What lies at one place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A frame with a whole header, and room for its body. The body is not checked yet.
    Frame {
        /// Where it begins.
        at: u64,
        /// What its header says.
        header: Header,
    },
    /// Bytes that are no frame, before one that is.
    Damage,
    /// No frame follows. Asking again is allowed: there may be more when the limit has moved.
    Rest {
        /// How many bytes from here on, up to the last that is not zero. None: the space was never written.
        written_bytes: u64,
    },
}

/// A place in a segment.
#[derive(Debug)]
pub(crate) struct Scan {
    id: u64,
    at: u64,
    last: Lsn,
}

impl Scan {
    /// Begins at the first frame of a segment.
    pub(crate) fn new(name: segment::SegmentName) -> Self {
        Self { id: name.id, at: segment::HEADER_BYTES, last: Lsn(name.first.0.saturating_sub(1)) }
    }

    /// Goes one step, reading nothing at or past `limit`.
    pub(crate) fn step(&mut self, file: &File, limit: u64) -> io::Result<Step> {
        if let Some(header) = self.header_at(file, self.at, limit)? {
            let at = self.at;
            self.at += header.size_bytes();
            self.last = header.lsn;
            return Ok(Step::Frame { at, header });
        }
        match self.search(file, limit)? {
            Found::Frame(at) => {
                self.at = at;
                Ok(Step::Damage)
            }
            Found::Nothing { written_bytes } => Ok(Step::Rest { written_bytes }),
        }
    }

    fn header_at(&self, file: &File, at: u64, limit: u64) -> io::Result<Option<Header>> {
        if at.saturating_add(HEADER_BYTES) > limit {
            return Ok(None);
        }
        let mut bytes = [0; HEADER_BYTES as usize];
        read_padded(file, &mut bytes, at)?;
        let header = Header::decode(&bytes, self.id);
        Ok(header.filter(|header| header.lsn > self.last && at.saturating_add(header.size_bytes()) <= limit))
    }

    fn search(&self, file: &File, limit: u64) -> io::Result<Found> {
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut written_bytes = 0;
        let mut from = self.at;
        while from < limit {
            let len = usize::try_from(limit - from).map_or(CHUNK_BYTES, |left| left.min(CHUNK_BYTES));
            let chunk = &mut chunk[..len];
            read_padded(file, chunk, from)?;
            // space that was never written is most of what is searched, and one comparison settles it
            if chunk != &ZEROS[..len] {
                let last = chunk.iter().rposition(|byte| *byte != 0).unwrap_or(0);
                written_bytes = from - self.at + last as u64 + 1;
                for (index, word) in chunk.chunks(ALIGN_BYTES as usize).enumerate() {
                    let at = from + index as u64 * ALIGN_BYTES;
                    if word.starts_with(&MARKER) && self.header_at(file, at, limit)?.is_some() {
                        return Ok(Found::Frame(at));
                    }
                }
            }
            from += len as u64;
        }
        Ok(Found::Nothing { written_bytes })
    }

    /// Whether the body of a frame is what was written. Reads in pieces, holding 64 KiB.
    pub(crate) fn is_whole(&self, file: &File, at: u64, header: &Header) -> io::Result<bool> {
        let mut chunk = vec![0; CHUNK_BYTES.min(header.body_bytes as usize)];
        let mut crc = crc32c::crc32c(&self.id.to_le_bytes());
        let mut left = header.body_bytes as usize;
        let mut from = at + HEADER_BYTES;
        while left > 0 {
            let piece = &mut chunk[..left.min(CHUNK_BYTES)];
            read_padded(file, piece, from)?;
            crc = crc32c::crc32c_append(crc, piece);
            left -= piece.len();
            from += piece.len() as u64;
        }
        Ok(crc == header.body_crc)
    }

    /// Reads a body; `None` when it is not what was written. Allocates what a whole header says, which fits the segment.
    pub(crate) fn read_body(&self, file: &File, at: u64, header: &Header) -> io::Result<Option<Bytes>> {
        let mut body = vec![0; header.body_bytes as usize];
        read_padded(file, &mut body, at + HEADER_BYTES)?;
        let crc = crc32c::crc32c_append(crc32c::crc32c(&self.id.to_le_bytes()), &body);
        Ok((crc == header.body_crc).then(|| Bytes::from(body)))
    }
}

enum Found {
    Frame(u64),
    Nothing { written_bytes: u64 },
}

/// Reads like a file that goes on with zeros for ever: one that was cut short is damage, not an error.
fn read_padded(file: &File, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
    while !into.is_empty() {
        match file.read_at(into, at) {
            Ok(0) => {
                into.fill(0);
                return Ok(());
            }
            Ok(read) => {
                into = &mut into[read..];
                at += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
