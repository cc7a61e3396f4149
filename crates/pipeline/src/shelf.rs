//! The folder of rules: read at start, followed for changes, written by the API; the last valid version of each file rules.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rules::{Diagnostic, RuleBook, RuleSet, RuleSummary};
use runtime::{ErrorKind, Stop, metric};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

/// How often the folder is looked at for changes made by others, git for one.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Files past this number are left out and reported.
pub const FILES_MAX: usize = 10_000;
/// Folders inside folders past this depth are not entered, and reported.
const DEPTH_MAX: usize = 16;
/// Larger files are not read; a rule file is a few KiB.
pub const FILE_BYTES_MAX: u64 = rules::FILE_BYTES as u64;
/// Longest name of a file, folders included, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// Why the shelf did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// No rule file of this name.
    #[error("there is no rule file {0:?}")]
    NotFound(String),
    /// The name would leave the folder or is not a YAML file.
    #[error(
        "rule file name {0:?} must be a relative path of letters, digits, '.', '_' and '-' that ends in .yml or .yaml"
    )]
    Name(String),
    /// The text is no valid rule file; the stored one still rules.
    #[error("the rule file is not valid: {} problem(s)", .0.len())]
    Invalid(Vec<Diagnostic>),
    /// Somebody else changed the file meanwhile.
    #[error("rule file {name:?} has changed: its etag is {etag}")]
    Changed {
        /// The file.
        name: String,
        /// The etag it has now; empty when it is gone.
        etag: String,
    },
    /// The disk refused.
    #[error("rule file {path} cannot be read or written: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl ShelfError {
    /// What the caller should do.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound(_) => ErrorKind::NotFound,
            Self::Name(_) | Self::Invalid(_) => ErrorKind::Invalid,
            Self::Changed { .. } => ErrorKind::Conflict,
            Self::Io { .. } => ErrorKind::Unavailable,
        }
    }
}

/// A file on the shelf.
#[derive(Debug, Clone)]
pub struct RuleFile {
    /// Path relative to the folder, with `/`.
    pub name: String,
    /// The text on disk, which may be an invalid edit.
    pub text: String,
    /// Hash of the text: changes with every edit.
    pub etag: String,
    /// The rules in force from this file: those of the last valid text.
    pub rules: Vec<RuleSummary>,
    /// Names of the pipelines in force from it, when it is a file of pipelines.
    pub pipelines: Vec<String>,
    /// What is wrong with the text on disk; empty when it is the one in force.
    pub diagnostics: Vec<Diagnostic>,
    /// What is likely not meant in the text in force, as a log source that no pipeline maps.
    pub warnings: Vec<Diagnostic>,
}

/// A text that could be stored.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// The rules it would bring.
    pub rules: Vec<RuleSummary>,
    /// What is likely not meant in it.
    pub warnings: Vec<Diagnostic>,
}

/// The folder of rules. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RuleShelf {
    folder: Arc<Path>,
    held: Arc<Mutex<Held>>,
    in_force: Arc<watch::Sender<Arc<RuleSet>>>,
}

#[derive(Debug, Default)]
struct Held {
    book: RuleBook,
    files: BTreeMap<String, RuleFile>,
    /// Whether the folder could not be read at the last look.
    is_lost: bool,
}

impl RuleShelf {
    /// Reads the folder. Invalid files are reported, in the log and by [`RuleShelf::list`], and do not stop the others.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn open(folder: &Path) -> Result<Self, ShelfError> {
        let mut held = Held::default();
        held.take_in(read_folder(folder)?);
        let set = held.book.compile();
        set.warm();
        let in_force = watch::Sender::new(set);
        let shelf = Self { folder: folder.into(), held: Arc::new(Mutex::new(held)), in_force: Arc::new(in_force) };
        shelf.count(&shelf.held());
        Ok(shelf)
    }

    /// The rules in force, and every later version of them.
    pub fn subscribe(&self) -> watch::Receiver<Arc<RuleSet>> {
        self.in_force.subscribe()
    }

    /// Every file, by name.
    pub fn list(&self) -> Vec<RuleFile> {
        self.held().files.values().cloned().collect()
    }

    /// One file, by its name or by the id of a rule in it.
    pub fn get(&self, name_or_id: &str) -> Option<RuleFile> {
        let held = self.held();
        let by_name = held.files.get(name_or_id);
        by_name
            .or_else(|| held.files.values().find(|file| file.rules.iter().any(|rule| rule.info.id == name_or_id)))
            .cloned()
    }

    /// A copy of the files in force, to try changes on.
    pub fn book(&self) -> RuleBook {
        self.held().book.clone()
    }

    /// Says what is wrong with a text, were it stored as `name` beside the other files.
    ///
    /// # Errors
    /// The diagnostics, at least one.
    pub fn validate(&self, name: &str, text: &str) -> Result<Checked, Vec<Diagnostic>> {
        let mut book = self.held().book.clone();
        book.update(name, text)?;
        let view = book.files().into_iter().find(|view| view.name == name);
        Ok(view.map(|view| Checked { rules: view.rules, warnings: view.warnings }).unwrap_or_default())
    }

    /// Stores a file and puts it in force: on return it is on disk and judged by.
    ///
    /// # Errors
    /// [`ShelfError::Invalid`] with diagnostics, [`ShelfError::Changed`] when `if_match` is not the etag of what is
    /// stored, [`ShelfError::Name`], [`ShelfError::Io`]. The stored file then stays as it was.
    pub fn put(&self, name: &str, text: &str, if_match: Option<&str>) -> Result<RuleFile, ShelfError> {
        let path = self.path_of(name)?;
        self.validate(name, text).map_err(ShelfError::Invalid)?;
        let mut held = self.held();
        held.expect_etag(name, if_match)?;
        store(&path, text).map_err(|source| ShelfError::Io { path, source })?;
        held.book.update(name, text).map_err(ShelfError::Invalid)?;
        held.refresh(vec![(name.to_owned(), text.to_owned())]);
        self.enforce(&held);
        held.files.get(name).cloned().ok_or_else(|| ShelfError::NotFound(name.to_owned()))
    }

    /// Removes a file; its rules are out of force on return.
    ///
    /// # Errors
    /// [`ShelfError::NotFound`], [`ShelfError::Changed`], [`ShelfError::Io`].
    pub fn delete(&self, name: &str, if_match: Option<&str>) -> Result<(), ShelfError> {
        let path = self.path_of(name)?;
        let mut held = self.held();
        if !held.files.contains_key(name) {
            return Err(ShelfError::NotFound(name.to_owned()));
        }
        held.expect_etag(name, if_match)?;
        let removed = fs::remove_file(&path).and_then(|()| sync_parent(&path));
        removed.map_err(|source| ShelfError::Io { path, source })?;
        held.forget(name);
        self.enforce(&held);
        Ok(())
    }

    /// Follows the folder for changes made by others, until asked to stop.
    pub async fn follow(self, stop: Stop) {
        loop {
            tokio::select! {
                () = stop.asked() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            tokio::task::block_in_place(|| self.look());
        }
    }

    /// Reads the folder again and puts what changed in force.
    pub fn look(&self) {
        let mut held = self.held();
        match read_folder(&self.folder) {
            Ok(found) => {
                held.is_lost = false;
                if held.take_in(found) {
                    self.enforce(&held);
                    tracing::info!(files = held.files.len(), "rules reloaded");
                }
            }
            // the folder may be in the middle of being replaced; what was in force stays, and it is said once
            Err(error) => {
                if !std::mem::replace(&mut held.is_lost, true) {
                    tracing::warn!(%error, "rules folder cannot be read; the rules in force stay");
                }
            }
        }
    }

    fn enforce(&self, held: &Held) {
        let set = held.book.compile();
        set.warm();
        self.in_force.send_replace(set);
        self.count(held);
    }

    fn count(&self, held: &Held) {
        let active: usize = held.files.values().map(|file| file.rules.len()).sum();
        let invalid = held.files.values().filter(|file| !file.diagnostics.is_empty()).count();
        metrics::gauge!(metric::RULES, "state" => "active").set(active as f64);
        metrics::gauge!(metric::RULES, "state" => "invalid").set(invalid as f64);
        let unmapped = held.files.values().flat_map(|file| &file.rules).filter(|rule| !rule.is_mapped).count();
        metrics::gauge!(metric::RULES, "state" => "unmapped").set(unmapped as f64);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path_of(&self, name: &str) -> Result<PathBuf, ShelfError> {
        let wrong = || ShelfError::Name(name.chars().take(NAME_BYTES_MAX).collect());
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
        let relative = Path::new(name);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        let shallow = relative.components().count() <= DEPTH_MAX;
        let hidden = name.split('/').any(|part| part.is_empty() || part.starts_with('.'));
        if name.len() > NAME_BYTES_MAX
            || !name.chars().all(plain)
            || !inside
            || !shallow
            || hidden
            || !is_yaml(relative)
        {
            return Err(wrong());
        }
        Ok(self.folder.join(relative))
    }
}

impl Held {
    /// Makes the book agree with what the folder holds; whether anything changed.
    fn take_in(&mut self, found: BTreeMap<String, String>) -> bool {
        let gone: Vec<_> = self.files.keys().filter(|name| !found.contains_key(*name)).cloned().collect();
        let changed = |(name, text): &(&String, &String)| self.files.get(*name).is_none_or(|file| file.text != **text);
        let news: Vec<_> = found.iter().filter(changed).collect();
        if gone.is_empty() && news.is_empty() {
            return false;
        }
        for name in &gone {
            self.book.remove(name);
            self.files.remove(name);
        }
        let problems = self.book.update_all(news.iter().map(|(name, text)| (name.as_str(), text.as_str())));
        for problem in &problems {
            tracing::warn!(
                file = problem.file,
                line = problem.line,
                column = problem.column,
                code = problem.code,
                reason = problem.message,
                "rule file is not valid; its last valid version stays in force"
            );
        }
        let texts: Vec<_> = news.into_iter().map(|(name, text)| (name.clone(), text.clone())).collect();
        self.refresh(texts);
        true
    }

    fn forget(&mut self, name: &str) {
        self.book.remove(name);
        self.files.remove(name);
        self.refresh(Vec::new());
    }

    /// Notes new texts, and takes over from the book what each file has in force and what is wrong with it.
    fn refresh(&mut self, texts: Vec<(String, String)>) {
        for (name, text) in texts {
            let etag = hex::encode(&Sha256::digest(text.as_bytes())[..8]);
            let file = RuleFile {
                name: name.clone(),
                text,
                etag,
                rules: Vec::new(),
                pipelines: Vec::new(),
                diagnostics: Vec::new(),
                warnings: Vec::new(),
            };
            self.files.insert(name, file);
        }
        for view in self.book.files() {
            if let Some(file) = self.files.get_mut(view.name) {
                file.rules = view.rules;
                file.pipelines = view.pipelines.into_iter().map(str::to_owned).collect();
                file.diagnostics = view.diagnostics.to_vec();
                file.warnings = view.warnings;
            }
        }
    }

    fn expect_etag(&self, name: &str, if_match: Option<&str>) -> Result<(), ShelfError> {
        let etag = self.files.get(name).map(|file| file.etag.clone()).unwrap_or_default();
        match if_match {
            Some(expected) if expected.trim_matches('"') != etag => {
                Err(ShelfError::Changed { name: name.to_owned(), etag })
            }
            _ => Ok(()),
        }
    }
}

/// Texts of all rule files of a folder, or of the one file when `folder` is a file, by relative name.
///
/// # Errors
/// When the folder or a file in it cannot be read. Files over [`FILE_BYTES_MAX`] and past [`FILES_MAX`] are logged and left out.
pub fn read_folder(folder: &Path) -> Result<BTreeMap<String, String>, ShelfError> {
    let mut found = BTreeMap::new();
    if folder.is_file() {
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(text) = read_file(folder)? {
            found.insert(name, text);
        }
        return Ok(found);
    }
    read_into(folder, "", DEPTH_MAX, &mut found)?;
    Ok(found)
}

fn read_into(
    folder: &Path,
    prefix: &str,
    depth_left: usize,
    found: &mut BTreeMap<String, String>,
) -> Result<(), ShelfError> {
    let failed = |source| ShelfError::Io { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.')) else {
            continue;
        };
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            if depth_left > 1 {
                read_into(&path, &format!("{name}/"), depth_left - 1, found)?;
            } else {
                tracing::error!(folder = %path.display(), limit = DEPTH_MAX, "rules folder is too deep; this one is left out");
            }
        } else if is_yaml(&path) {
            if found.len() >= FILES_MAX {
                tracing::error!(file = name, limit = FILES_MAX, "too many rule files; this one is left out");
                continue;
            }
            if let Some(text) = read_file(&path)? {
                found.insert(name, text);
            }
        }
    }
    Ok(())
}

fn read_file(path: &Path) -> Result<Option<String>, ShelfError> {
    let failed = |source| ShelfError::Io { path: path.to_owned(), source };
    let read = fs::metadata(path).and_then(|meta| {
        if meta.len() > FILE_BYTES_MAX {
            tracing::error!(file = %path.display(), limit_bytes = FILE_BYTES_MAX, "rule file is too large; left out");
            return Ok(None);
        }
        fs::read(path).map(Some)
    });
    match read {
        // lossy, so that invalid UTF-8 becomes a diagnostic with a position instead of a file nobody sees
        Ok(bytes) => Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())),
        // gone between listing and reading: an editor replaced it
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "yml" || extension == "yaml")
}

fn store(path: &Path, text: &str) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}
