//! What a real server asks of its file system, in order and with times, as strace saw it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use tests::serve_command;

/// Calls that change files or force them to disk; of the rest nothing depends on what is on disk.
const CALLS: &str = "trace=openat,open,creat,write,writev,pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,\
    syncfs,rename,renameat,renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,ftruncate,truncate,fallocate,link,linkat,\
    lseek,copy_file_range,sendfile";

/// One thing asked. Paths are below the recorded directory.
#[derive(Debug, Clone)]
pub struct Call {
    /// When it began, in nanoseconds since 1970; by the clock that the senders look at.
    pub begun: u64,
    /// When it was done.
    pub ended: u64,
    /// What.
    pub what: What,
}

/// What a call does.
#[derive(Debug, Clone)]
pub enum What {
    /// Makes the file when it is not there.
    Create(String),
    /// Gives the file this length.
    Resize(String, u64),
    /// Gives the file this length at least.
    Extend(String, u64),
    /// Writes bytes at a place.
    Write(String, u64, Vec<u8>),
    /// Forces a file or a directory to disk.
    Sync(String),
    /// Renames a file.
    Rename(String, String),
    /// Removes a file.
    Remove(String),
    /// Makes a directory.
    MakeDir(String),
    /// Removes a directory.
    RemoveDir(String),
}

/// The command line of a server under strace, which writes what it sees below `traces`.
pub fn traced_server(data: &Path, traces: &Path) -> Command {
    let serve = serve_command(data);
    let mut command = Command::new("strace");
    command.args(["-ff", "-f", "--seccomp-bpf", "-y", "-xx", "-s", "16777216", "-e", CALLS, "-e", "signal=none"]);
    command.args(["--absolute-timestamps=format:unix,precision:ns", "--syscall-times=ns", "-o"]);
    command.arg(traces.join("trace")).arg(serve.get_program()).args(serve.get_args());
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// Whether strace is there and may trace; the reason when not.
pub fn strace_is_missing() -> Option<String> {
    match Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("strace may not trace: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Some(format!("strace does not start: {error}")),
    }
}

/// Reads what strace wrote, in the order in which the calls were done; only what happened below `root`.
///
/// # Errors
/// When a call is among them that changes files in a way that is not understood here.
pub fn read(traces: &Path, root: &Path) -> Result<Vec<Call>> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(traces)? {
        let text = fs::read_to_string(entry?.path())?;
        lines.extend(text.lines().filter_map(Line::parse));
    }
    lines.sort_by_key(|line| line.ended);
    let mut reading = Reading { root: root.to_string_lossy().into_owned(), places: HashMap::new() };
    let mut calls = Vec::new();
    for line in lines {
        for what in reading.understand(&line).with_context(|| format!("{} {:?}", line.call, line.arguments))? {
            calls.push(Call { begun: line.begun, ended: line.ended, what });
        }
    }
    Ok(calls)
}

/// A call that succeeded, taken apart.
#[derive(Debug)]
struct Line {
    begun: u64,
    ended: u64,
    call: String,
    arguments: Vec<String>,
    returned: u64,
    /// Path of the returned descriptor.
    returned_path: Option<String>,
}

impl Line {
    /// `1764243936.031124607 write(9<\x2f..>, "\x38", 1) = 1 <0.000012349>`; texts are in hexadecimal, so that no comma,
    /// bracket or quote is in any. `None` for calls that failed or were never done.
    fn parse(line: &str) -> Option<Self> {
        let (begun, rest) = line.split_once(' ')?;
        let (call, rest) = rest.split_once('(')?;
        let (rest, took) = rest.strip_suffix('>')?.rsplit_once(" <")?;
        let (arguments, returned) = rest.rsplit_once(") = ")?;
        let returned_path = returned.split_once('<').and_then(|(_, path)| path.split_once('>'));
        let returned = returned.split(['<', ' ']).next()?.parse().ok()?;
        let begun = nanos(begun)?;
        Some(Self {
            begun,
            ended: begun + nanos(took)?,
            call: call.to_owned(),
            arguments: arguments.split(", ").map(str::to_owned).collect(),
            returned,
            returned_path: returned_path.and_then(|(path, _)| text(path)),
        })
    }

    fn number(&self, index: usize) -> Result<u64> {
        let argument = self.arguments.get(index).context("too few arguments")?;
        argument.parse().with_context(|| format!("{argument} is no number"))
    }

    /// The descriptor and its path.
    fn descriptor(&self, index: usize) -> Result<(u64, String)> {
        let argument = self.arguments.get(index).context("too few arguments")?;
        let (number, path) = argument.split_once('<').with_context(|| format!("{argument} has no path"))?;
        let path = path.split('>').next().and_then(text).with_context(|| format!("{argument} has no path"))?;
        Ok((number.parse()?, path))
    }

    /// A path argument, made absolute by the working directory in the argument before where there is one.
    fn path(&self, index: usize) -> Result<String> {
        let argument = self.arguments.get(index).context("too few arguments")?;
        quoted(argument).and_then(text).with_context(|| format!("{argument} is no path"))
    }

    fn bytes(&self) -> Vec<u8> {
        let texts = self.arguments.iter().filter_map(|argument| quoted(argument)).filter_map(unhex);
        let mut bytes: Vec<u8> = texts.flatten().collect();
        bytes.truncate(usize::try_from(self.returned).unwrap_or(usize::MAX));
        bytes
    }
}

/// What has to be remembered from call to call.
struct Reading {
    root: String,
    /// Where the next `write` to a descriptor goes.
    places: HashMap<u64, u64>,
}

impl Reading {
    fn below(&self, path: &str) -> Option<String> {
        let rest = path.strip_prefix(&self.root)?;
        // SQLite's index of its log is a mapping that is made anew after a crash
        (!rest.ends_with("-shm")).then(|| rest.trim_start_matches('/').to_owned())
    }

    fn understand(&mut self, line: &Line) -> Result<Vec<What>> {
        match line.call.as_str() {
            "openat" | "open" | "creat" => return self.opened(line),
            "rename" => {
                let (from, to) = (self.below(&line.path(0)?), self.below(&line.path(1)?));
                return Ok(from.zip(to).map(|(from, to)| What::Rename(from, to)).into_iter().collect());
            }
            "unlink" | "rmdir" | "mkdir" => {
                let Some(path) = self.below(&line.path(0)?) else { return Ok(vec![]) };
                return Ok(vec![match line.call.as_str() {
                    "unlink" => What::Remove(path),
                    "rmdir" => What::RemoveDir(path),
                    _ => What::MakeDir(path),
                }]);
            }
            _ => {}
        }
        let Ok((descriptor, path)) = line.descriptor(0) else { return Ok(vec![]) };
        let Some(path) = self.below(&path) else { return Ok(vec![]) };
        Ok(vec![match line.call.as_str() {
            "write" | "writev" => {
                let place = self.places.entry(descriptor).or_default();
                let at = *place;
                *place += line.returned;
                What::Write(path, at, line.bytes())
            }
            "lseek" => {
                self.places.insert(descriptor, line.returned);
                return Ok(vec![]);
            }
            "pwrite64" => What::Write(path, line.number(3)?, line.bytes()),
            "fsync" | "fdatasync" => What::Sync(path),
            "ftruncate" => What::Resize(path, line.number(1)?),
            "fallocate" => What::Extend(path, line.number(2)? + line.number(3)?),
            other => bail!("{other} is not understood"),
        }])
    }

    fn opened(&mut self, line: &Line) -> Result<Vec<What>> {
        let path = line.returned_path.as_deref().context("a descriptor has a path")?;
        let Some(path) = self.below(path) else { return Ok(vec![]) };
        self.places.insert(line.returned, 0);
        let flags = line.arguments.iter().find(|argument| argument.starts_with("O_")).map_or("", String::as_str);
        ensure!(!flags.contains("O_APPEND"), "appending is not understood");
        let mut asked = Vec::new();
        if flags.contains("O_CREAT") {
            asked.push(What::Create(path.clone()));
        }
        if flags.contains("O_TRUNC") {
            asked.push(What::Resize(path, 0));
        }
        Ok(asked)
    }
}

fn nanos(text: &str) -> Option<u64> {
    let (seconds, part) = text.split_once('.')?;
    (part.len() == 9).then_some(())?;
    Some(seconds.parse::<u64>().ok()? * 1_000_000_000 + part.parse::<u64>().ok()?)
}

fn quoted(argument: &str) -> Option<&str> {
    let (_, rest) = argument.split_once('"')?;
    rest.split_once('"').map(|(text, _)| text)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

fn text(hex: &str) -> Option<String> {
    String::from_utf8(unhex(hex)?).ok()
}

/// Every file below a directory with its bytes, and every directory.
pub fn files(root: &Path) -> Result<(BTreeMap<String, Vec<u8>>, Vec<String>)> {
    let (mut files, mut dirs) = (BTreeMap::new(), Vec::new());
    let mut open: Vec<PathBuf> = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
            if path.is_dir() {
                dirs.push(name);
                open.push(path);
            } else if !name.ends_with("-shm") {
                files.insert(name, fs::read(&path)?);
            }
        }
    }
    Ok((files, dirs))
}
