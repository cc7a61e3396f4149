//! The rules that are loaded: the SigmaHQ collection where it is present, else the shipped pack.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use rules::{RuleBook, RuleSet};

/// Words, in upper and lower case, with wildcards, all of several, as numbers, and some that occur nowhere.
const KEYWORDS: [&str; 24] = [
    "[whoami]",
    "[WHOAMI, PowerShell]",
    "['net* user']",
    "['cmd.exe /c', 'cmd /c']",
    "{'|all': [node, server]}",
    "{'|all': [powershell, '-enc']}",
    "['C:\\\\Windows\\\\System32\\\\']",
    "['user1?7']",
    "[mimikatz, sekurlsa, lsadump]",
    "['host-0? example']",
    "['host-0?.example']",
    "[IMPHASH]",
    "['Microsoft-Windows-Sysmon']",
    "['S-1-5-18']",
    "['run=4?1']",
    "[reg.exe, regedit]",
    "['\\\\AppData\\\\Local\\\\Temp\\\\*.exe']",
    "[rundll32, regsvr32, mshta]",
    "{'|all': [Microsoft, Corporation, cmd]}",
    "[curl, wget, bitsadmin]",
    "['\u{00ae} Operating System']",
    "[certutil]",
    "['- -', '--token']",
    "[nothing-like-this-occurs, neither-does-this]",
];

/// Texts of rule files, by name.
pub struct Texts(Vec<(String, String)>);

/// The folder with test data by others, where it is present.
pub fn cases() -> Option<PathBuf> {
    let path = root().join("../shared/cases/sigma-stateless");
    path.exists().then_some(path)
}

fn root() -> PathBuf {
    std::env::var_os("TRACEHOUND_ROOT")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."), PathBuf::from)
}

impl Texts {
    /// The texts, and a line that says which they are.
    pub fn load() -> Result<Self> {
        let texts = match cases() {
            Some(cases) => {
                let folder = tempfile::tempdir()?;
                let archive = cases.join("rules.tar.xz");
                let unpacked = Command::new("tar").arg("-xJf").arg(archive).arg("-C").arg(folder.path()).status()?;
                ensure!(unpacked.success(), "the rules cannot be unpacked");
                Self(read(folder.path())?)
            }
            None => {
                println!("../shared/cases is absent: the shipped rules stand in for the SigmaHQ collection");
                Self(read(&root().join("rules"))?)
            }
        };
        Ok(texts)
    }

    /// Rules that look for words in every field: the collection has none that do nothing else.
    pub fn of_keywords() -> Self {
        let rule = |(number, keywords): (usize, &&str)| {
            let text = format!(
                "title: words {number}\nid: words-{number}\nlogsource: {{product: windows}}\ndetection: {{keywords: {keywords}, condition: keywords}}\n"
            );
            (format!("words-{number}.yml"), text)
        };
        Self(KEYWORDS.iter().enumerate().map(rule).collect())
    }

    /// Each text.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(_, text)| text.as_str())
    }

    /// Our rules, ready to run.
    pub fn compile(&self) -> Result<Arc<RuleSet>> {
        let mut book = RuleBook::new();
        let faults = book.update_all(self.0.iter().map(|(file, text)| (file.as_str(), text.as_str())));
        faults.iter().take(5).for_each(|fault| println!("left out: {fault}"));
        let set = book.compile();
        set.warm();
        Ok(set)
    }
}

fn read(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "yml") {
                texts.push((path.display().to_string(), fs::read_to_string(&path)?));
            }
        }
    }
    texts.sort();
    Ok(texts)
}
