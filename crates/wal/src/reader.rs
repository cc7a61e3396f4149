//! Reads frames in order, one at a time.

use std::fs::File;
use std::io;
use std::sync::Arc;

use model::Lsn;
use runtime::keyring::KeyError;

use crate::scan::{Scan, Step};
use crate::segment::SegmentName;
use crate::shelf::{Row, Shelf};
use crate::{Frame, WalError, cover};

/// A frame that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its position.
    pub lsn: Lsn,
    /// What was appended.
    pub frame: Frame,
}

/// Walks the log from a position to its end. Holds one frame at a time; every call does blocking file reads.
///
/// Damage is skipped to the next whole frame, and reported once per segment; positions then have a gap.
#[derive(Debug)]
pub struct Reader {
    shelf: Arc<Shelf>,
    after: Lsn,
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    name: SegmentName,
    row: Row,
    file: File,
    scan: Scan,
}

impl Reader {
    pub(crate) fn new(shelf: Arc<Shelf>, after: Lsn) -> Self {
        Self { shelf, after, place: None }
    }

    /// The next frame, or `None` at the end of what is durable; ask again when there may be more.
    ///
    /// # Errors
    /// [`WalError::Io`] when a file cannot be read, [`WalError::Key`] when a frame is encrypted with a key that is not there;
    /// asking again tries the same place. Frames of erased tenants are passed over.
    #[expect(clippy::should_implement_trait, reason = "a reader goes on after None, which iterators promise not to do")]
    pub fn next(&mut self) -> Result<Option<Entry>, WalError> {
        while self.after < self.shelf.end() {
            if self.place.is_none() {
                match self.shelf.segment_for(self.after) {
                    Some(row) => self.place = open(row)?,
                    None => return Ok(None),
                }
            }
            let Some(place) = &mut self.place else { continue };
            let limit = self.shelf.len_of(place.name).unwrap_or(place.row.len_bytes);
            let step = place.scan.step(&place.file, limit).map_err(WalError::io("read segment", &place.row.path))?;
            match step {
                Step::Frame { header, .. } if header.lsn <= self.after => {}
                Step::Frame { at, header } => {
                    let body = place.scan.read_body(&place.file, at, &header);
                    let body = body.map_err(WalError::io("read segment", &place.row.path))?;
                    let before = std::mem::replace(&mut self.after, header.lsn);
                    let Some((frame, is_sealed)) = body.and_then(Frame::decode) else {
                        self.shelf.report_damage(place.name);
                        continue;
                    };
                    if !is_sealed {
                        return Ok(Some(Entry { lsn: header.lsn, frame }));
                    }
                    match cover::open(frame, &self.shelf.settings.keys) {
                        Ok(frame) => return Ok(Some(Entry { lsn: header.lsn, frame })),
                        // as if it had never been there
                        Err(error) if error.is_erased() => {}
                        Err(KeyError::Changed) => self.shelf.report_damage(place.name),
                        Err(source) => {
                            self.seek(before);
                            return Err(WalError::Key { source });
                        }
                    }
                }
                Step::Damage => self.shelf.report_damage(place.name),
                Step::Rest { written_bytes } => {
                    if written_bytes > 0 {
                        self.shelf.report_damage(place.name);
                    }
                    match self.shelf.segment_after(place.name.first) {
                        Some(row) => self.place = open(row)?,
                        None => return Ok(None),
                    }
                }
            }
        }
        Ok(None)
    }

    /// Goes to another place: the next frame is the first one after `after`. Frames that were trimmed are not there any more.
    pub fn seek(&mut self, after: Lsn) {
        self.after = after;
        self.place = None;
    }

    /// Position of the last frame given, or where the reader was told to begin.
    pub fn position(&self) -> Lsn {
        self.after
    }
}

/// Opens a segment; `None` when it was trimmed meanwhile.
fn open(row: Row) -> Result<Option<Place>, WalError> {
    match File::open(&row.path) {
        Ok(file) => Ok(Some(Place { name: row.name, scan: Scan::new(row.name), row, file })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WalError::io("open segment", &row.path)(error)),
    }
}
