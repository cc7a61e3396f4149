//! Where addresses are, by a MaxMind file that the operator brings: read whole, read again when it is replaced.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use maxminddb::Reader;
use rules::{Place, Places};
use runtime::{Stop, metric};
use serde::Deserialize;

/// How often the file is looked at for changes.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Larger files are not read: the largest of MaxMind's with places has some 400 MB.
pub const FILE_BYTES_MAX: u64 = 1 << 30;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlacesError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is larger than allowed.
    #[error("has {bytes} bytes, more than the {FILE_BYTES_MAX} allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// What it says of itself is damaged.
    #[error("is damaged")]
    Damaged,
    /// It is not a MaxMind file.
    #[error("is no MaxMind database: {0}")]
    Format(#[from] maxminddb::MaxMindDbError),
}

/// The file. Cheap to clone.
#[derive(Debug, Clone)]
pub struct PlacesFile {
    path: Arc<Path>,
    held: Arc<RwLock<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    reader: Option<Reader<Vec<u8>>>,
    /// What was read last, or found to be of no use.
    stamp: Option<Stamp>,
}

/// Tells one version of a file from another.
type Stamp = (u64, Option<SystemTime>);

/// What we ask of a record.
#[derive(Debug, Deserialize)]
struct Record {
    location: Option<Location>,
}

#[derive(Debug, Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
    /// In kilometres.
    accuracy_radius: Option<u16>,
}

impl PlacesFile {
    /// Reads the file when it is there. When it is not, or is of no use, nobody's place is known, and that is said in the
    /// log and by `tracehound_geo_database_ready`; it is looked for again.
    pub fn open(path: &Path) -> Self {
        let file = Self { path: path.into(), held: Arc::default() };
        file.look();
        if file.held.read().unwrap_or_else(PoisonError::into_inner).stamp.is_none() {
            tracing::warn!(path = %path.display(), "geo.database is not there; geo rules see events only that say their place");
        }
        file
    }

    /// Follows the file for changes, until asked to stop.
    pub async fn follow(self, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            tokio::task::block_in_place(|| self.look());
        }
    }

    /// Reads the file again when it is another than before. One that cannot be used leaves the earlier one in force.
    pub fn look(&self) {
        let stamp = fs::metadata(&self.path).ok().map(|meta| (meta.len(), meta.modified().ok()));
        let before = self.held.read().unwrap_or_else(PoisonError::into_inner).stamp;
        if stamp.is_some() && stamp != before {
            let read = read(&self.path);
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            held.stamp = stamp;
            match read {
                Ok(reader) => {
                    tracing::info!(path = %self.path.display(), kind = %reader.metadata.database_type, "geo.database read");
                    held.reader = Some(reader);
                }
                Err(error) => tracing::warn!(path = %self.path.display(), %error, "geo.database cannot be used"),
            }
        }
        let is_ready = self.held.read().unwrap_or_else(PoisonError::into_inner).reader.is_some();
        metrics::gauge!(metric::GEO_READY).set(if is_ready { 1.0 } else { 0.0 });
    }
}

impl Places for PlacesFile {
    fn find(&self, address: IpAddr) -> Option<Place> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let place = held.reader.as_ref().and_then(|reader| place(reader, address));
        let outcome = match (&held.reader, &place) {
            (None, _) => "no_database",
            (_, None) => "unknown",
            _ => "found",
        };
        metrics::counter!(metric::GEO_LOOKUPS, "outcome" => outcome).increment(1);
        place
    }
}

/// Whether a file can be used, and what it says it is.
///
/// # Errors
/// Why it cannot.
pub fn check(path: &Path) -> Result<String, PlacesError> {
    let reader = read(path)?;
    Ok(reader.metadata.database_type.clone())
}

fn read(path: &Path) -> Result<Reader<Vec<u8>>, PlacesError> {
    let bytes = fs::metadata(path)?.len();
    if bytes > FILE_BYTES_MAX {
        return Err(PlacesError::TooLarge { bytes });
    }
    let bytes = fs::read(path)?;
    Ok(unless_damaged(|| Reader::from_source(bytes)).ok_or(PlacesError::Damaged)??)
}

/// Damage can make the crate's arithmetic overflow, which panics in builds that check it.
fn unless_damaged<T>(ask: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(ask)).ok()
}

/// A damaged record is one that is not there.
fn place(reader: &Reader<Vec<u8>>, address: IpAddr) -> Option<Place> {
    let record: Record = unless_damaged(|| reader.lookup(address).ok()?.decode().ok()?)??;
    let Location { latitude, longitude, accuracy_radius } = record.location?;
    Place::new(latitude?, longitude?, f64::from(accuracy_radius.unwrap_or(0)))
}
