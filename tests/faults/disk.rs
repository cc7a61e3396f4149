//! What can be on a disk after the power went, or the process died, in the middle of recorded calls.
//!
//! Only what a file was synced for is certain, and a name only when its directory was synced after it was given. Of
//! everything else, anything may be there: each block of a write by itself, a length without its bytes, a name without
//! the next one. Names of one file change in order.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use anyhow::Result;
use tests::dice::Dice;

use crate::recording::{Call, What};

/// How a disk loses what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The process died and the system lives: nothing that was done is lost.
    Nothing,
    /// The power went; writes are kept or not in blocks of this size.
    Power {
        /// 512 for old disks, 4,096 for new ones.
        block_bytes: usize,
    },
}

/// A change of one file's bytes.
#[derive(Debug)]
struct Change {
    begun: u64,
    ended: u64,
    what: Bytes,
}

#[derive(Debug)]
enum Bytes {
    Write(u64, Vec<u8>),
    Resize(u64),
    Extend(u64),
}

/// A file, whatever its name.
#[derive(Debug, Default)]
struct Inode {
    /// What was there when the recording began, certain.
    before: Vec<u8>,
    changes: Vec<Change>,
    syncs: Vec<(u64, u64)>,
}

/// A change of names.
#[derive(Debug)]
struct Naming {
    begun: u64,
    ended: u64,
    what: Name,
    /// Names that hang together change in order.
    group: usize,
}

#[derive(Debug)]
enum Name {
    Create(String, usize),
    Rename(String, String),
    Remove(String),
    MakeDir(String),
    RemoveDir(String),
}

/// A disk with everything that happened to it.
#[derive(Debug, Default)]
pub struct Disk {
    inodes: Vec<Inode>,
    /// Names that were there when the recording began.
    named_before: BTreeMap<String, usize>,
    dirs_before: Vec<String>,
    namings: Vec<Naming>,
    dir_syncs: HashMap<String, Vec<(u64, u64)>>,
}

/// What a disk holds at one moment.
#[derive(Debug, Default)]
pub struct Image {
    /// Files and their bytes.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Directories.
    pub dirs: Vec<String>,
}

impl Disk {
    /// A disk that held these files for long, and what was done to it then.
    pub fn new(files: &BTreeMap<String, Vec<u8>>, dirs: &[String], calls: &[Call]) -> Self {
        let mut disk = Self { dirs_before: dirs.to_vec(), ..Self::default() };
        for (name, bytes) in files {
            disk.named_before.insert(name.clone(), disk.inodes.len());
            disk.inodes.push(Inode { before: bytes.clone(), ..Inode::default() });
        }
        let mut names: HashMap<String, usize> = disk.named_before.clone().into_iter().collect();
        let mut groups: HashMap<String, usize> = HashMap::new();
        for call in calls {
            disk.take_in(call, &mut names, &mut groups);
        }
        disk
    }

    fn take_in(&mut self, call: &Call, names: &mut HashMap<String, usize>, groups: &mut HashMap<String, usize>) {
        let (begun, ended) = (call.begun, call.ended);
        let change = |inodes: &mut Vec<Inode>, path: &str, what| {
            // a file whose last name is gone, or a descriptor that is no file
            if let Some(inode) = names.get(path) {
                inodes[*inode].changes.push(Change { begun, ended, what });
            }
        };
        let what = match &call.what {
            What::Write(path, at, bytes) => return change(&mut self.inodes, path, Bytes::Write(*at, bytes.clone())),
            What::Resize(path, bytes) => return change(&mut self.inodes, path, Bytes::Resize(*bytes)),
            What::Extend(path, bytes) => return change(&mut self.inodes, path, Bytes::Extend(*bytes)),
            What::Sync(path) => {
                match names.get(path) {
                    Some(inode) => self.inodes[*inode].syncs.push((begun, ended)),
                    None => self.dir_syncs.entry(path.clone()).or_default().push((begun, ended)),
                }
                return;
            }
            What::Create(path) => {
                if names.contains_key(path) {
                    return;
                }
                names.insert(path.clone(), self.inodes.len());
                self.inodes.push(Inode::default());
                Name::Create(path.clone(), self.inodes.len() - 1)
            }
            What::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
                Name::Rename(from.clone(), to.clone())
            }
            What::Remove(path) => {
                names.remove(path);
                Name::Remove(path.clone())
            }
            What::MakeDir(path) => Name::MakeDir(path.clone()),
            What::RemoveDir(path) => Name::RemoveDir(path.clone()),
        };
        let next = groups.len();
        let group = *groups.entry(what.path().to_owned()).or_insert(next);
        if let Name::Rename(_, to) = &what {
            // what comes to this name later waits for this
            let joined = groups.insert(to.clone(), group);
            for naming in self.namings.iter_mut().filter(|naming| Some(naming.group) == joined) {
                naming.group = group;
            }
        }
        self.namings.push(Naming { begun, ended, what, group });
    }

    /// What is there when it stops at a moment.
    pub fn stopped_at(&self, moment: u64, loss: Loss, dice: &mut Dice) -> Image {
        let (mut names, mut dirs) = (self.named_before.clone(), self.dirs_before.clone());
        for naming in self.kept(moment, loss, dice) {
            match &naming.what {
                Name::Create(path, inode) => drop(names.insert(path.clone(), *inode)),
                Name::Rename(from, to) => {
                    if let Some(inode) = names.remove(from) {
                        names.insert(to.clone(), inode);
                    }
                }
                Name::Remove(path) => drop(names.remove(path)),
                Name::MakeDir(path) => dirs.push(path.clone()),
                Name::RemoveDir(path) => dirs.retain(|dir| dir != path),
            }
        }
        // a name whose directory was lost is lost
        let removed: Vec<&str> = self.namings.iter().filter_map(|naming| naming.what.removed_dir()).collect();
        let is_there = |path: &str| {
            let mut above = Path::new(path).ancestors().skip(1).map(|dir| dir.to_string_lossy().into_owned());
            above.all(|dir| dir.is_empty() || dirs.contains(&dir) || removed.contains(&dir.as_str()))
        };
        names.retain(|path, _| is_there(path));
        let mut image = Image::default();
        for (path, inode) in names {
            image.files.insert(path, self.inodes[inode].bytes_at(moment, loss, dice));
        }
        image.dirs = dirs.iter().filter(|dir| is_there(dir)).cloned().collect();
        image
    }

    /// The changes of names that are on disk, in order.
    fn kept(&self, moment: u64, loss: Loss, dice: &mut Dice) -> Vec<&Naming> {
        let begun = self.namings.iter().filter(|naming| naming.begun < moment);
        if loss == Loss::Nothing {
            return begun.filter(|naming| naming.ended <= moment).collect();
        }
        let begun: Vec<&Naming> = begun.collect();
        // either every group by itself, or one journal for all
        let is_journal = dice.below(2) == 0;
        let group_of = |naming: &Naming| if is_journal { 0 } else { naming.group };
        let mut groups: HashMap<usize, (usize, usize)> = HashMap::new();
        for naming in &begun {
            let (count, certain) = groups.entry(group_of(naming)).or_default();
            *count += 1;
            let syncs = naming.what.dir().and_then(|dir| self.dir_syncs.get(dir));
            if syncs.is_some_and(|syncs| syncs.iter().any(|sync| sync.0 >= naming.ended && sync.1 <= moment)) {
                *certain = *count;
            }
        }
        let mut order: Vec<_> = groups.keys().copied().collect();
        order.sort_unstable();
        let mut left: HashMap<usize, usize> = HashMap::new();
        for group in order {
            let (count, certain) = groups[&group];
            left.insert(group, certain + dice.below(count - certain + 1));
        }
        let mut kept = Vec::new();
        for naming in begun {
            if let Some(left) = left.get_mut(&group_of(naming)).filter(|left| **left > 0) {
                *left -= 1;
                kept.push(naming);
            }
        }
        kept
    }
}

impl Name {
    fn path(&self) -> &str {
        match self {
            Self::Create(path, _)
            | Self::Rename(path, _)
            | Self::Remove(path)
            | Self::MakeDir(path)
            | Self::RemoveDir(path) => path,
        }
    }

    /// The directory that has to be synced.
    fn dir(&self) -> Option<&str> {
        let path = if let Self::Rename(_, to) = self { to } else { self.path() };
        Path::new(path).parent().and_then(Path::to_str)
    }

    fn removed_dir(&self) -> Option<&str> {
        if let Self::RemoveDir(path) = self { Some(path) } else { None }
    }
}

impl Inode {
    fn bytes_at(&self, moment: u64, loss: Loss, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = self.before.clone();
        // a disk that keeps nothing, one that keeps everything, and those between
        let mood = dice.below(4);
        for change in self.changes.iter().filter(|change| change.begun < moment) {
            let is_certain = match loss {
                Loss::Nothing if change.ended > moment => continue,
                Loss::Nothing => true,
                Loss::Power { .. } => self.syncs.iter().any(|sync| sync.0 >= change.ended && sync.1 <= moment),
            };
            let mut keeps = || is_certain || mood == 0 || (mood != 1 && dice.below(2) == 0);
            match &change.what {
                Bytes::Resize(length) if keeps() => bytes.resize(*length as usize, 0),
                Bytes::Extend(length) if keeps() => {
                    let length = bytes.len().max(*length as usize);
                    bytes.resize(length, 0);
                }
                Bytes::Write(at, written) => {
                    let block_bytes = if let Loss::Power { block_bytes } = loss { block_bytes } else { 4_096 };
                    let mut from = *at as usize;
                    let end = from + written.len();
                    while from < end {
                        let to = ((from / block_bytes + 1) * block_bytes).min(end);
                        if keeps() {
                            let length = bytes.len().max(to);
                            bytes.resize(length, 0);
                            bytes[from..to].copy_from_slice(&written[from - *at as usize..to - *at as usize]);
                        }
                        from = to;
                    }
                    if keeps() {
                        // a length can come to disk before the bytes
                        let length = bytes.len().max(end);
                        bytes.resize(length, 0);
                    }
                }
                Bytes::Resize(_) | Bytes::Extend(_) => {}
            }
        }
        bytes
    }
}

impl Image {
    /// Puts it into an empty directory.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, root: &Path) -> Result<()> {
        for dir in &self.dirs {
            fs::create_dir_all(root.join(dir))?;
        }
        for (name, bytes) in &self.files {
            let path = root.join(name);
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::write(path, bytes)?;
        }
        Ok(())
    }
}
