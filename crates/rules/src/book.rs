//! The rule book: the last valid text of every rule file, and what is wrong with later ones.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use model::detection::RuleInfo;

use crate::diagnostic::{Diagnostic, Report};
use crate::read;
use crate::rule::{Body, Rule};
use crate::set::{self, Compiled, RuleSet};

/// What a list of rules shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSummary {
    /// Names, texts, level and tags.
    pub info: RuleInfo,
    /// `event`, `filter`, `service_policy`, or the correlation type, as in `value_count`.
    pub kind: &'static str,
    /// The file it stands in.
    pub file: String,
    /// The line its document begins at.
    pub line: u32,
    /// Raises no alerts of its own, because a correlation refers to it.
    pub silent: bool,
    /// Number of unit tests in the file for it.
    pub tests: usize,
}

/// What an update changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changed {
    /// The text is the one already in use.
    Nothing,
    /// The file is new.
    Added,
    /// The file replaced an earlier one.
    Replaced,
}

/// A file of the book.
#[derive(Debug)]
pub struct FileView<'b> {
    /// Its name.
    pub name: &'b str,
    /// The text in use; the rejected text when no valid one was ever seen.
    pub text: &'b str,
    /// The rules in use.
    pub rules: Vec<RuleSummary>,
    /// Whether some valid text is in use.
    pub is_active: bool,
    /// What is wrong with the text that was rejected last; empty when the latest text is in use.
    pub diagnostics: &'b [Diagnostic],
}

#[derive(Debug, Clone, Default)]
struct Entry {
    text: String,
    /// `None` when no valid text was ever seen.
    rules: Option<Vec<Rule>>,
    rejected: Option<(String, Vec<Diagnostic>)>,
}

/// Every rule file with its last valid version: an invalid text never replaces a valid one.
///
/// A correlation may refer to rules of other files. A file that was rejected is tried again whenever another changes,
/// so the order in which files arrive does not matter.
#[derive(Debug, Clone, Default)]
pub struct RuleBook {
    files: BTreeMap<String, Entry>,
}

impl RuleBook {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a new text of a file.
    ///
    /// # Errors
    /// Every fault found; the earlier text stays in use and the faults are kept with the file.
    pub fn update(&mut self, file: &str, text: &str) -> Result<Changed, Vec<Diagnostic>> {
        let before = self.files.get(file).and_then(|entry| entry.rules.as_ref().map(|_| entry.text.clone()));
        self.accept(file, text)?;
        self.retry(file);
        Ok(match before {
            None => Changed::Added,
            Some(before) if before == text => Changed::Nothing,
            Some(_) => Changed::Replaced,
        })
    }

    /// Takes many files at once, in any order, and returns every fault. Meant for reading a whole folder.
    pub fn update_all<'t>(&mut self, files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<Diagnostic> {
        let mut waiting: Vec<(&str, &str, Vec<Rule>)> = Vec::new();
        let mut faults = Vec::new();
        for (file, text) in files {
            let mut report = Report::new(file);
            let rules = read::rules(text, &mut report);
            if report.is_empty() {
                waiting.push((file, text, rules));
            } else {
                faults.extend(self.reject(file, text, report.into_found()));
            }
        }
        // link everything at once; leave out the files with faults and link again, until what remains is sound
        loop {
            let found = self.link_with(&waiting);
            let (bad, good): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|(file, ..)| found.iter().any(|fault| fault.file == *file));
            waiting = good;
            if bad.is_empty() {
                break;
            }
            for (file, text, _) in bad {
                let own = found.iter().filter(|fault| fault.file == file).cloned().collect();
                faults.extend(self.reject(file, text, own));
            }
        }
        for (file, text, rules) in waiting {
            let entry = Entry { text: text.to_owned(), rules: Some(rules), rejected: None };
            self.files.insert(file.to_owned(), entry);
        }
        faults
    }

    /// Forgets a file. Rules that referred to its rules stop until the reference resolves again.
    pub fn remove(&mut self, file: &str) {
        self.files.remove(file);
    }

    /// Every file, by name.
    pub fn files(&self) -> Vec<FileView<'_>> {
        let linked = self.compile();
        let by_id: HashMap<&str, &Compiled> = linked.rules.iter().map(|rule| (rule.info.id.as_str(), rule)).collect();
        self.files
            .iter()
            .map(|(name, entry)| {
                let rejected = entry.rejected.as_ref();
                FileView {
                    name,
                    text: if entry.rules.is_some() { &entry.text } else { rejected.map_or("", |(text, _)| text) },
                    rules: summaries(name, entry.rules.as_deref().unwrap_or_default(), &by_id),
                    is_active: entry.rules.is_some(),
                    diagnostics: rejected.map_or(&[], |(_, faults)| faults),
                }
            })
            .collect()
    }

    /// Compiles every rule in use. Rules whose references do not resolve any more are left out.
    pub fn compile(&self) -> Arc<RuleSet> {
        Arc::new(set::link(&self.in_use(&[])).0)
    }

    /// What is wrong with the links between the files in use, for instance after a removal.
    pub fn broken_links(&self) -> Vec<Diagnostic> {
        set::link(&self.in_use(&[])).1
    }

    /// The rules in use of one file.
    pub(crate) fn rules_of(&self, file: &str) -> &[Rule] {
        self.files.get(file).and_then(|entry| entry.rules.as_deref()).unwrap_or_default()
    }

    fn in_use<'b>(&'b self, candidates: &'b [(&str, &str, Vec<Rule>)]) -> Vec<(&'b str, &'b [Rule])> {
        let kept = self.files.iter().filter(|(name, _)| !candidates.iter().any(|(file, ..)| file == name));
        let kept = kept.filter_map(|(name, entry)| Some((name.as_str(), entry.rules.as_deref()?)));
        kept.chain(candidates.iter().map(|(file, _, rules)| (*file, rules.as_slice()))).collect()
    }

    /// The faults that linking the candidates with the files in use brings to the candidates.
    fn link_with(&self, candidates: &[(&str, &str, Vec<Rule>)]) -> Vec<Diagnostic> {
        let (_, faults) = set::link(&self.in_use(candidates));
        faults.into_iter().filter(|fault| candidates.iter().any(|(file, ..)| *file == fault.file)).collect()
    }

    fn accept(&mut self, file: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
        let mut report = Report::new(file);
        let rules = read::rules(text, &mut report);
        let mut faults = report.into_found();
        if faults.is_empty() {
            let candidates = [(file, text, rules)];
            faults = self.link_with(&candidates);
            if faults.is_empty() {
                let [(_, _, rules)] = candidates;
                let entry = Entry { text: text.to_owned(), rules: Some(rules), rejected: None };
                self.files.insert(file.to_owned(), entry);
                return Ok(());
            }
        }
        Err(self.reject(file, text, faults))
    }

    fn reject(&mut self, file: &str, text: &str, faults: Vec<Diagnostic>) -> Vec<Diagnostic> {
        let entry = self.files.entry(file.to_owned()).or_default();
        entry.rejected = Some((text.to_owned(), faults.clone()));
        faults
    }

    /// Tries rejected files again after a change of another, until none of them becomes valid.
    fn retry(&mut self, changed: &str) {
        loop {
            let waiting: Vec<(String, String)> = self
                .files
                .iter()
                .filter(|(name, _)| *name != changed)
                .filter_map(|(name, entry)| Some((name.clone(), entry.rejected.as_ref()?.0.clone())))
                .collect();
            let accepted = waiting.iter().filter(|(file, text)| self.accept(file, text).is_ok()).count();
            if accepted == 0 {
                return;
            }
        }
    }
}

/// Checks one file on its own.
///
/// # Errors
/// Every fault found, in the order of the file.
pub fn check(file: &str, text: &str) -> Result<Vec<RuleSummary>, Vec<Diagnostic>> {
    let mut book = RuleBook::new();
    book.update(file, text)?;
    Ok(book.files().into_iter().flat_map(|view| view.rules).collect())
}

fn summaries(file: &str, rules: &[Rule], by_id: &HashMap<&str, &Compiled>) -> Vec<RuleSummary> {
    let one = |rule: &Rule| {
        let compiled = by_id.get(rule.info.id.as_str());
        RuleSummary {
            info: compiled.map_or_else(|| rule.info.clone(), |compiled| (*compiled.info).clone()),
            kind: match &rule.body {
                Body::Event(_) => "event",
                Body::Filter(_) => "filter",
                Body::Policy(_) => "service_policy",
                Body::Correlation(correlation) => correlation.kind.name,
            },
            file: file.to_owned(),
            line: rule.at.line,
            silent: compiled.is_some_and(|compiled| compiled.silent),
            tests: rule.examples.len(),
        }
    };
    rules.iter().map(one).collect()
}
