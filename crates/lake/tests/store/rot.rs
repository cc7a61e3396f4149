//! Thousands of changed and missing bytes in files, indexes and the catalog: none is read as if it were whole, all are found.
//!
//! A short run is part of the tests; `TRACEHOUND_FAULTS=full` makes it the full one. Seeds are printed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lake::{FileEntry, Inspection, Lake, Settings, SliceIndex, TraceFilter, ValueIndex, Wanted};
use model::{Lsn, Signal, TimeRange};
use runtime::{Clock, Database};
use tokio::task::JoinSet;

use crate::dice::Dice;
use crate::support::*;

/// Cases of a short run and of a full one.
const CASES: (u64, u64) = (120, 5_000);

/// Damaged catalogs that are opened at the same time.
const AT_ONCE: usize = 32;

/// Cuts bytes short, changes some bits, or zeroes a block; never leaves them as they are.
fn damage(dice: &mut Dice, bytes: &mut Vec<u8>) {
    let before = bytes.clone();
    while *bytes == before {
        let at = dice.below(bytes.len());
        match dice.below(5) {
            0 => bytes.truncate(at),
            1 => {
                let end = (at + 512).min(bytes.len());
                bytes[at..end].fill(0);
            }
            2 => bytes[at] = dice.roll() as u8,
            _ => (0..=dice.below(3)).for_each(|_| {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }),
        }
    }
}

fn cases() -> u64 {
    let is_full = std::env::var("TRACEHOUND_FAULTS").is_ok_and(|form| form == "full");
    if is_full { CASES.1 } else { CASES.0 }
}

/// A store with small files, merged files and indexes of both.
struct Source {
    place: Place,
    files: BTreeMap<PathBuf, Vec<u8>>,
    entries: BTreeMap<String, FileEntry>,
    mark: Lsn,
}

impl Source {
    async fn write() -> Self {
        let place = Place::new();
        let database = place.database().await;
        let lake = Lake::open(place.settings(), database.clone(), place.clock.clone()).await.unwrap();
        for lsn in 1..=10 {
            let events = events(NOW.plus(lsn as i64 * 1_000_000_000), 150);
            lake.insert(spans(lsn * 2, &events));
            lake.insert(logs(lsn * 2 + 1, &events));
            lake.flush().await.unwrap();
            if lsn == 8 {
                while lake.compact_once().await.unwrap() {}
                // what was merged is unlinked, so that every file that lies there is live
                place.clock.advance(2 * lake.settings().unlink_grace);
                lake.retain().await.unwrap();
            }
        }
        let live = Signal::ALL.map(|signal| all(&lake, signal).files).into_iter().flatten();
        let entries: BTreeMap<_, _> = live.map(|file| (file.name.clone(), as_stored(&file))).collect();
        assert_eq!(entries.len(), 6);
        let mark = lake.mark();
        drop(lake);
        // the last connection folds SQLite's log into the catalog, which would otherwise mend what is damaged
        database.close().await;
        let files = below(place.dir.path());
        assert!(!files.contains_key(Path::new("catalog.db-wal")), "the log is folded into the catalog");
        Self { place, files, entries, mark }
    }

    /// A copy of the store in which one file is `bytes`.
    fn copy(&self, damaged: &Path, bytes: &[u8]) -> tempfile::TempDir {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() };
        for (name, whole) in &self.files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, if name == damaged { bytes } else { whole }).unwrap();
        }
        dir
    }

    async fn open(&self, dir: &Path) -> Result<(Lake, Clock, Database), String> {
        let database = Database::open(&dir.join("catalog.db")).await.map_err(|error| error.to_string())?;
        let settings = Settings { retention: 72 * HOUR, ..Settings::new(dir.join("lake")) };
        let clock = Clock::fixed(self.place.clock.unix_nanos());
        let lake = Lake::open(settings, database.clone(), clock.clone()).await.map_err(|error| error.to_string())?;
        Ok((lake, clock, database))
    }

    /// Everything that answers queries is what was written; what does not is named. Returns how many are named.
    ///
    /// # Errors
    /// What is wrong and not said.
    fn hold(&self, lake: &Lake) -> Result<usize, &'static str> {
        let mut known = BTreeSet::new();
        let mut named = 0;
        for signal in Signal::ALL {
            let snapshot = lake.snapshot(&acme(), signal, TimeRange::ALL);
            named += snapshot.missing.len();
            known.extend(snapshot.missing.iter().map(|file| file.name.clone()));
            for file in &snapshot.files {
                known.insert(file.name.clone());
                match lake.check(file) {
                    Ok(())
                        if fs::read(&file.path).ok().as_ref()
                            != self.files.get(&Path::new("lake").join(&file.name)) =>
                    {
                        return Err("wrong rows");
                    }
                    Ok(()) if self.entries.get(&file.name) != Some(&as_stored(file)) => return Err("a wrong summary"),
                    Ok(()) => {}
                    Err(error) if error.to_string().contains(&file.name) => named += 1,
                    Err(_) => return Err("an error that does not name the file"),
                }
            }
        }
        if self.entries.keys().any(|name| !known.contains(name)) {
            return Err("a file that is gone");
        }
        if lake.mark() == self.mark { Ok(named) } else { Err("a wrong mark") }
    }

    fn victims(&self, extension: &str) -> Vec<&PathBuf> {
        self.files.keys().filter(|name| name.extension().is_some_and(|found| found == extension)).collect()
    }
}

/// The entry without where it lies.
fn as_stored(file: &FileEntry) -> FileEntry {
    let mut entry = file.clone();
    entry.path = PathBuf::new();
    entry
}

fn below(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            match path.is_dir() {
                true => open.push(path),
                false => drop(found.insert(path.strip_prefix(root).unwrap().to_owned(), fs::read(&path).unwrap())),
            }
        }
    }
    found
}

#[tokio::test]
async fn a_damaged_file_never_answers_and_the_scrubber_finds_every_one() {
    let source = Source::write().await;
    let victims = source.victims("parquet");
    for seed in 0..cases() {
        let mut dice = Dice::new(seed);
        let victim = victims[dice.below(victims.len())];
        let mut bytes = source.files[victim].clone();
        damage(&mut dice, &mut bytes);
        let dir = source.copy(victim, &bytes);
        let (lake, clock, _) = source.open(dir.path()).await.unwrap();
        let what = format!("seed {seed}, {}", victim.display());
        assert_eq!(source.hold(&lake), Ok(1), "{what}: found before its rows are used");
        lake.doubt();
        clock.advance(25 * HOUR);
        while lake.scrub_once().await.unwrap().is_some() {}
        let missing: Vec<_> = Signal::ALL.iter().flat_map(|signal| all(&lake, *signal).missing).collect();
        assert_eq!(missing.len(), 1, "{what}: the scrubber finds it");
        assert!(victim.ends_with(&missing[0].name), "{what}: and names it");
    }
    println!("damaged files: {} cases, none answered, all found by the scrubber", cases());
}

#[tokio::test]
async fn a_damaged_index_never_hides_a_row_and_is_found() {
    let source = Source::write().await;
    let victims = source.victims("idx");
    let mut scanned = 0;
    for seed in 0..cases() {
        let mut dice = Dice::new(seed ^ 0x1d);
        let victim = victims[dice.below(victims.len())];
        let mut bytes = source.files[victim].clone();
        damage(&mut dice, &mut bytes);
        let dir = source.copy(victim, &bytes);
        let (lake, _, database) = source.open(dir.path()).await.unwrap();
        let what = format!("seed {seed}, {}", victim.display());
        assert_eq!(source.hold(&lake), Ok(0), "{what}: the rows are whole");
        for signal in Signal::ALL {
            for file in all(&lake, signal).files {
                let (traces, values) = (SliceIndex::open(&file), ValueIndex::open(&file));
                let filter = TraceFilter::open(&file);
                let is_victim = victim.with_extension("parquet").ends_with(&file.name);
                assert!(
                    is_victim || (filter.is_ok() && traces.is_ok() && values.is_ok()),
                    "{what}: the others are whole"
                );
                scanned += u32::from(is_victim && (filter.is_err() || traces.is_err()));
                let Ok(index) = traces else { continue };
                if filter.is_err() {
                    continue;
                }
                let rows = read_file(&file.path);
                let mut first = 0;
                for batch in &rows {
                    for (row, trace) in traces_of(batch).into_iter().enumerate() {
                        let Some(trace) = trace else { continue };
                        let at = first + row as u64;
                        assert!(index.rows_of(&[trace]).iter().any(|range| range.contains(&at)), "{what}: row {at}");
                        assert!(filter.as_ref().is_ok_and(|filter| filter.may_hold(&[trace])), "{what}: row {at}");
                    }
                    first += batch.num_rows() as u64;
                }
            }
        }
        let snapshot = all(&lake, Signal::Spans);
        let mut counted = 0;
        let rolled = snapshot.roll_up(&snapshot.range, Wanted::Figures, &|| true, &mut |rollup| {
            let cells = rollup.operations.iter().flat_map(|(_, cells)| cells);
            counted += cells.map(|cell| cell.count).sum::<i64>();
            true
        });
        assert!(rolled.is_ok() && counted == snapshot.rows() as i64, "{what}: {counted} of {}", snapshot.rows());
        let inspection =
            Inspection::open(&dir.path().join("lake"), database, runtime::KeyRing::default()).await.unwrap();
        let faults = inspection.verify(|_| {});
        assert_eq!(faults.len(), 1, "{what}: {faults:?}");
    }
    println!("damaged indexes: {} cases, all found, {scanned} files scanned instead, no row hidden", cases());
}

/// What came of one damaged catalog.
async fn judge(source: &Source, seed: u64) -> &'static str {
    let victim = Path::new("catalog.db");
    let mut bytes = source.files[victim].clone();
    damage(&mut Dice::new(seed ^ 0xca7), &mut bytes);
    let dir = source.copy(victim, &bytes);
    match source.open(dir.path()).await {
        Err(_) => "refused",
        // cut to nothing it is a new one to SQLite: that it is lost is logged, and the files are left alone
        Ok((lake, _, _)) if lake.mark() == Lsn(0) && below(dir.path()).len() >= source.files.len() => "lost as a whole",
        Ok((lake, _, _)) => match source.hold(&lake) {
            Ok(0) => "harmless",
            Ok(_) => "files named",
            Err(what) => what,
        },
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_catalog_brings_no_wrong_rows() {
    let source = Arc::new(Source::write().await);
    let mut found: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut judging = JoinSet::new();
    for seed in 0..cases() {
        // a refusal may take as long as SQLite is waited for
        if judging.len() >= AT_ONCE {
            let (what, seed) = judging.join_next().await.unwrap().unwrap();
            found.entry(what).or_default().push(seed);
        }
        let source = Arc::clone(&source);
        judging.spawn(async move { (judge(&source, seed).await, seed) });
    }
    for (what, seed) in judging.join_all().await {
        found.entry(what).or_default().push(seed);
    }
    let counts: Vec<_> = found.iter().map(|(what, seeds)| (what, seeds.len())).collect();
    println!("damaged catalog: {} cases: {counts:?}", cases());
    for never in ["wrong rows", "a wrong summary", "a file that is gone", "an error that does not name the file"] {
        assert!(!found.contains_key(never), "{never}: {found:?}");
    }
}
