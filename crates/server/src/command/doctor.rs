//! `tracehound doctor`: what keeps the server from working well, before it is started and while it runs.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use collect::tls::certificate_expiry;
use pipeline::{places, shelf};
use runtime::Clock;

use crate::cli::ServeArgs;
use crate::command::pressure;
use crate::lock;
use crate::settings::{self, Resolved};

/// An fsync slower than this makes every acknowledgement slow.
const FSYNC_SLOW: Duration = Duration::from_millis(50);
/// How many fsyncs are timed.
const FSYNCS: usize = 16;
/// Fewer open files than this run out under many connections and files.
const OPEN_FILES_MIN: u64 = 1_024;
/// A certificate with less than this left should have been renewed.
const EXPIRY_DAYS_MIN: i64 = 14;

/// How a check ended.
enum Verdict {
    Good(String),
    Warning(String),
    Bad(String),
}

/// Prints a line per check, and for a server that is running on the data directory where it is held up; exit code 1 when
/// a check is bad.
pub async fn run(args: &ServeArgs) -> Result<ExitCode> {
    let resolved = match settings::read(args).and_then(settings::resolve) {
        Ok(resolved) => resolved,
        Err(error) => {
            println!("bad   settings: {error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    println!("ok    settings");
    let (data_directory, is_running) = data_directory(&resolved.settings.server.data_dir);
    let checks: [(&str, Verdict); 7] = [
        ("data directory", data_directory),
        ("fsync", fsync(&resolved.settings.server.data_dir)),
        (
            "listeners",
            if is_running { Verdict::Good("left to the running server".to_owned()) } else { listeners(&resolved) },
        ),
        ("certificate", certificate(&resolved, &Clock::system())),
        ("rules", rule_files(&resolved)),
        ("geo", places(resolved.settings.geo.database.as_deref())),
        ("open files", open_files()),
    ];
    let mut is_bad = false;
    for (name, verdict) in checks {
        match verdict {
            Verdict::Good(text) => println!("ok    {name}: {text}"),
            Verdict::Warning(text) => println!("warn  {name}: {text}"),
            Verdict::Bad(text) => {
                is_bad = true;
                println!("bad   {name}: {text}");
            }
        }
    }
    if is_running {
        let listen = resolved.settings.server.listen;
        match pressure::look_twice(listen).await {
            Ok((before, after)) => print!("{}", pressure::weigh(&before, &after).text()),
            Err(error) => println!(
                "warn  pressure: the running server does not show its metrics on {listen} (server.listen): {error}; run \
                 doctor with the settings of the server"
            ),
        }
    }
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Also says whether a server is running on it.
fn data_directory(folder: &Path) -> (Verdict, bool) {
    match lock::lock(folder) {
        Ok(_) => (Verdict::Good(format!("{} is writable and free", folder.display())), false),
        Err(error @ lock::LockError::InUse { .. }) => (Verdict::Warning(error.to_string()), true),
        Err(error) => (Verdict::Bad(error.to_string()), false),
    }
}

fn fsync(folder: &Path) -> Verdict {
    let path = folder.join("doctor.tmp");
    let timed = time_fsyncs(&path);
    // the measurement is over, whatever becomes of its file
    let _ = fs::remove_file(&path);
    match timed {
        Ok(median) if median > FSYNC_SLOW => {
            Verdict::Warning(format!("takes {median:?} (median of {FSYNCS}); every acknowledgement waits for one"))
        }
        Ok(median) => Verdict::Good(format!("takes {median:?} (median of {FSYNCS})")),
        Err(error) => Verdict::Bad(format!("fails in {}: {error}", folder.display())),
    }
}

fn time_fsyncs(path: &Path) -> std::io::Result<Duration> {
    let mut file = File::create(path)?;
    let mut took = Vec::new();
    for _ in 0..FSYNCS {
        file.write_all(&[0; 4096])?;
        let started = Instant::now();
        file.sync_data()?;
        took.push(started.elapsed());
    }
    took.sort();
    Ok(took[FSYNCS / 2])
}

fn listeners(resolved: &Resolved) -> Verdict {
    let settings = &resolved.settings;
    let mut taken = Vec::new();
    for (key, address) in [
        ("server.listen", settings.server.listen),
        ("otlp.grpc", settings.otlp.grpc),
        ("otlp.http", settings.otlp.http),
    ] {
        if let Err(error) = TcpListener::bind(address) {
            taken.push(format!("{key} {address}: {error}"));
        }
    }
    if taken.is_empty() { Verdict::Good("addresses are free".to_owned()) } else { Verdict::Bad(taken.join("; ")) }
}

fn certificate(resolved: &Resolved, clock: &Clock) -> Verdict {
    let Some(tls) = &resolved.otlp_tls else {
        let is_local =
            [resolved.settings.otlp.grpc, resolved.settings.otlp.http].iter().all(|at| at.ip().is_loopback());
        return match is_local {
            true => Verdict::Good("none is needed; OTLP listens on loopback alone".to_owned()),
            false => Verdict::Warning("none; otlp.allow_plaintext lets keys and events pass in plaintext".to_owned()),
        };
    };
    let file = tls.cert_file.display();
    let expires = match certificate_expiry(tls, clock) {
        Ok(expires) => expires,
        Err(error) => return Verdict::Bad(error.to_string()),
    };
    let left_secs = expires.0.saturating_sub(clock.unix_nanos()) / 1_000_000_000;
    match left_secs / 86_400 {
        _ if left_secs < 0 => Verdict::Bad(format!("{file} has expired ({expires}); clients refuse it")),
        days if days < EXPIRY_DAYS_MIN => Verdict::Warning(format!("{file} expires in {days} days ({expires})")),
        days => Verdict::Good(format!("{file} is valid for {days} days ({expires})")),
    }
}

/// Whether addresses have places. Rules of type `geo` are in force either way.
fn places(path: Option<&Path>) -> Verdict {
    let Some(path) = path else {
        return Verdict::Good("no geo.database: events say their place or have none".to_owned());
    };
    match places::check(path) {
        Ok(kind) => Verdict::Good(format!("{kind} of {}", path.display())),
        Err(error) => Verdict::Warning(format!("geo.database {} {error}; addresses have no place", path.display())),
    }
}

fn rule_files(resolved: &Resolved) -> Verdict {
    if resolved.rules_are_ours && !resolved.rules_dir.exists() {
        return Verdict::Good("the shipped rules will be unpacked at first start".to_owned());
    }
    let files = match shelf::read_folder(&resolved.rules_dir) {
        Ok(files) => files,
        Err(error) => return Verdict::Bad(error.to_string()),
    };
    let count = files.len();
    let problems = rules::RuleBook::new().update_all(files.iter().map(|(name, text)| (name.as_str(), text.as_str())));
    match problems.first() {
        None => Verdict::Good(format!("{count} files are valid")),
        Some(first) => Verdict::Bad(format!("{} problem(s), first: {first}", problems.len())),
    }
}

fn open_files() -> Verdict {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).and_then(|text| text.parse::<u64>().ok());
    match soft {
        Some(soft) if soft < OPEN_FILES_MIN => {
            Verdict::Warning(format!("limit is {soft}; raise it to at least {OPEN_FILES_MIN} (ulimit -n)"))
        }
        Some(soft) => Verdict::Good(format!("limit is {soft}")),
        None => Verdict::Good("no limit is known".to_owned()),
    }
}
