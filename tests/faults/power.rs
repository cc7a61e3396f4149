//! The power goes, or the process dies, at any moment: the calls of a real server are recorded once under load, and what
//! a disk may hold at thousands of moments is made from them and started on.
//!
//! The senders look at the same clock as the recorder. An answer that came before a moment must be on the disk of that
//! moment; one that came later may be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tests::dice::Dice;
use tests::{Server, unix_nanos};

use crate::disk::{Disk, Loss};
use crate::form::rounds;
use crate::kill::SETTINGS;
use crate::recording::{self, Call, What};
use crate::recovery::{self, SpanKey};

/// Threads that send at the same time.
const SENDERS: u64 = 2;
/// Spans per export.
const SPANS: u64 = 8;
/// Pause of a sender after each answer, so that a state of the disk is small enough to be made thousands of times.
const PACE: Duration = Duration::from_millis(90);
/// Seconds that a recorded server is under load, in a short run and in a full one: a merge needs eight flushes, one a second.
const LIFE_SECS: (usize, usize) = (11, 30);
/// Threads that start on states.
const CHECKERS: usize = 2;

/// What was seen of one server.
struct Recording {
    disk: Disk,
    calls: Vec<Call>,
    /// Spans that were acknowledged, with when.
    acknowledged: Vec<(u64, Vec<SpanKey>)>,
}

/// Records two lives on one directory: the first begins with nothing, the second with what a kill left.
fn record(seed: u64) -> Result<Vec<Recording>> {
    let folder = tempfile::tempdir()?;
    let (root, config) = (folder.path().join("disk"), folder.path().join("config.toml"));
    fs::create_dir(&root)?;
    fs::write(&config, SETTINGS)?;
    let long = Duration::from_secs(rounds("TRACEHOUND_RECORD_SECS", LIFE_SECS.0, LIFE_SECS.1) as u64);
    let mut lives: Vec<Recording> = Vec::new();
    for life in 0..2 {
        let (files, dirs) = recording::files(&root)?;
        let traces = folder.path().join(format!("traces{life}"));
        fs::create_dir(&traces)?;
        let data = root.join("data");
        let mut command = recording::traced_server(&data, &traces);
        command.arg("--no-auth").arg("--config").arg(&config);
        let server = Server::start_command(command)?;
        let acknowledged = load(&server.http, (seed << 8) + life, long)?;
        let pid = fs::read_to_string(data.join("lock"))?;
        let killed = std::process::Command::new("kill").args(["-9", pid.trim()]).status()?;
        ensure!(killed.success(), "the recorded server could not be killed");
        server.wait()?;
        let calls = recording::read(&traces, &root)?;
        let disk = Disk::new(&files, &dirs, &calls);
        let earlier = lives.iter().flat_map(|life| &life.acknowledged).map(|(_, spans)| (0, spans.clone()));
        let acknowledged = earlier.chain(acknowledged).collect();
        // the model is worth nothing unless it says what is really there
        let image = disk.stopped_at(u64::MAX, Loss::Nothing, &mut Dice::new(0));
        let (real, _) = recording::files(&root)?;
        for (name, bytes) in &real {
            ensure!(image.files.get(name) == Some(bytes), "{name} is not what was recorded of it");
        }
        ensure!(image.files.len() == real.len(), "files that are not there were recorded");
        lives.push(Recording { disk, calls, acknowledged });
    }
    Ok(lives)
}

fn load(base: &str, seed: u64, life: Duration) -> Result<Vec<(u64, Vec<SpanKey>)>> {
    let until = Instant::now() + life;
    let send = |sender: u64| {
        let client = tests::client().build()?;
        let mut acknowledged = Vec::new();
        for number in 0.. {
            if Instant::now() > until {
                break;
            }
            for export in simulate::load((seed << 32) + (sender << 24) + number, SPANS, unix_nanos()) {
                let spans = recovery::spans_of(&export.body)?;
                let request = client.post(format!("{base}/v1/traces")).header("content-type", "application/x-protobuf");
                if request.body(export.body).send()?.status().is_success() {
                    acknowledged.push((unix_nanos(), spans));
                }
            }
            std::thread::sleep(PACE);
        }
        Ok::<_, anyhow::Error>(acknowledged)
    };
    std::thread::scope(|scope| {
        let senders: Vec<_> = (0..SENDERS).map(|sender| scope.spawn(move || send(sender))).collect();
        let mut all = Vec::new();
        for sender in senders {
            all.extend(sender.join().map_err(|_| anyhow!("a sender panicked"))??);
        }
        Ok(all)
    })
}

/// A state to be made and started on.
struct State<'a> {
    recording: &'a Recording,
    moment: u64,
    loss: Loss,
    seed: u64,
}

impl State<'_> {
    /// # Errors
    /// With what the state was made from, so that it can be made again from the same recording.
    fn check(&self, runtime: &tokio::runtime::Runtime, shelf: &Path) -> Result<u64> {
        let dir = tempfile::tempdir_in(shelf)?;
        let image = self.recording.disk.stopped_at(self.moment, self.loss, &mut Dice::new(self.seed));
        image.write(dir.path())?;
        let answered = self.recording.acknowledged.iter().filter(|(when, _)| *when < self.moment);
        let acknowledged: Vec<SpanKey> = answered.flat_map(|(_, spans)| spans.iter().cloned()).collect();
        let data = dir.path().join("data");
        fs::create_dir_all(&data)?;
        runtime.block_on(recovery::check(&data, &acknowledged)).with_context(|| {
            let calls = self.recording.calls.iter().filter(|call| call.begun < self.moment);
            let last: Vec<String> = calls.rev().take(12).map(|call| brief(&call.what)).collect();
            let names: Vec<_> = image.files.iter().map(|(name, bytes)| format!("{name} {}", bytes.len())).collect();
            format!("{:?}, seed {}, last calls, latest first: {last:#?}; files: {names:#?}", self.loss, self.seed)
        })
    }
}

fn brief(what: &What) -> String {
    match what {
        What::Write(path, at, bytes) => format!("write {path} {at}+{}", bytes.len()),
        other => format!("{other:?}"),
    }
}

/// Checks all states; prints how many and what they had in common.
fn check_all(what: &str, states: &[State<'_>]) -> Result<()> {
    let (next, replayed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // by reason: how often, and what the first was made from
    let broken: Mutex<BTreeMap<String, (usize, String)>> = Mutex::default();
    let shelf = shelf();
    std::thread::scope(|scope| {
        for _ in 0..CHECKERS {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                let runtime = runtime.expect("a runtime starts");
                while let Some(state) = states.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match state.check(&runtime, &shelf) {
                        Ok(found) => drop(replayed.fetch_add(found as usize, Ordering::Relaxed)),
                        Err(error) => {
                            let mut broken = broken.lock().expect("nobody panics with it");
                            let numbers = |letter: char| if letter.is_ascii_digit() { '#' } else { letter };
                            let reason: String = error.root_cause().to_string().chars().map(numbers).collect();
                            broken.entry(reason).or_insert((0, format!("{error:#}"))).0 += 1;
                        }
                    }
                }
            });
        }
    });
    let broken = broken.into_inner()?;
    let violations: usize = broken.values().map(|(count, _)| count).sum();
    println!("{what}: {} states, {violations} violations, {replayed:?} frames put back", states.len());
    ensure!(broken.is_empty(), "{what}: {violations} of {} states; by reason: {broken:#?}", states.len());
    Ok(())
}

/// Where states are made: in memory when there is such a place, because they are many and short-lived.
fn shelf() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() }
}

#[test]
fn whatever_a_power_cut_leaves_of_unsynced_writes_nothing_acknowledged_is_lost_or_doubled() -> Result<()> {
    if let Some(reason) = recording::strace_is_missing() {
        println!("power cut: skipped, {reason}");
        return Ok(());
    }
    let count = rounds("TRACEHOUND_POWER_CUTS", 300, 10_000);
    let mut dice = Dice::from_environment("TRACEHOUND_POWER_SEED", 1);
    let lives = record(dice.roll() >> 40)?;
    let states: Vec<State<'_>> = (0..count)
        .map(|_| {
            let recording = &lives[dice.below(lives.len())];
            // as likely at one call as at another, wherever in it
            let call = &recording.calls[dice.below(recording.calls.len())];
            let moment = call.begun + 1 + dice.below((call.ended - call.begun) as usize + 1_000) as u64;
            let block_bytes = [512, 4_096][dice.below(2)];
            State { recording, moment, loss: Loss::Power { block_bytes }, seed: dice.roll() }
        })
        .collect();
    check_all("power cut", &states)
}

/// The steps between which a process may die: what is there, and the call that did not happen any more.
const POINTS: [(&str, fn(&What) -> bool); 7] = [
    ("a merge is written, not named", |what| matches!(what, What::Rename(_, to) if to.ends_with(".l1.parquet"))),
    ("a file is written, not named", |what| matches!(what, What::Rename(_, to) if to.ends_with(".parquet"))),
    ("files are named, not committed", |what| matches!(what, What::Write(path, ..) if path.ends_with(".db-wal"))),
    ("a commit is written, not synced", |what| matches!(what, What::Sync(path) if path.ends_with(".db-wal"))),
    ("committed, cursors not moved", |what| matches!(what, What::Rename(_, to) if to.ends_with("cursors"))),
    ("cursors moved, log not trimmed", |what| matches!(what, What::Remove(path) if path.ends_with(".wal"))),
    ("a segment is made, not used", |what| matches!(what, What::Sync(path) if path.ends_with("/wal"))),
];

#[test]
fn a_process_that_dies_between_writing_committing_and_trimming_leaves_every_row_once() -> Result<()> {
    if let Some(reason) = recording::strace_is_missing() {
        println!("crash points: skipped, {reason}");
        return Ok(());
    }
    let each = rounds("TRACEHOUND_CRASHES", 25, 500);
    let mut dice = Dice::from_environment("TRACEHOUND_CRASH_SEED", 1);
    let lives = record(dice.roll() >> 40)?;
    for (point, is_next) in POINTS {
        let moments = |life: &Recording| {
            // not while the tables are made, which holds nothing that could be lost
            let first = life.acknowledged.iter().map(|(when, _)| *when).find(|when| *when > 0).unwrap_or(u64::MAX);
            let calls = life.calls.iter().filter(|call| call.begun > first && is_next(&call.what));
            calls.map(|call| call.begun).collect()
        };
        let moments: Vec<Vec<u64>> = lives.iter().map(moments).collect();
        let found: usize = moments.iter().map(Vec::len).sum();
        ensure!(found > 0, "{point}: this did not happen in the recording");
        let states: Vec<State<'_>> = (0..each)
            .map(|turn| {
                // every place where it happened in turn, a little earlier each time: other threads go on beside it
                let life = if turn % found < moments[0].len() { 0 } else { 1 };
                let place = turn % found - if life == 0 { 0 } else { moments[0].len() };
                let moment = moments[life][place] - dice.below(300_000) as u64;
                State { recording: &lives[life], moment, loss: Loss::Nothing, seed: dice.roll() }
            })
            .collect();
        check_all(&format!("process dies, {point} ({found} places)"), &states)?;
    }
    Ok(())
}
