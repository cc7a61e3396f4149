//! The rule book: the last valid text of every rule file, and what is wrong with later ones.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use model::detection::RuleInfo;

use crate::diagnostic::{Diagnostic, Gravity, Place, Report, code};
use crate::log_source::Reach;
use crate::pipeline::is_pipeline_file;
use crate::pipeline_shelf::PipelineShelf;
use crate::read;
use crate::rule::{Body, Rule};
use crate::set::{self, Compiled, RuleSet};

/// What the regular expressions of all files may take.
const REGEX_BYTES: usize = 1024 * 1024 * 1024;

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
    /// Whether its log source is one that spans or log records come from; the rule is never evaluated otherwise.
    pub is_mapped: bool,
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
    /// The rules in use; none in a file of pipelines.
    pub rules: Vec<RuleSummary>,
    /// Names of the pipelines in use, when it is a file of pipelines.
    pub pipelines: Vec<&'b str>,
    /// Whether some valid text is in use.
    pub is_active: bool,
    /// What is wrong with the text that was rejected last; empty when the latest text is in use.
    pub diagnostics: &'b [Diagnostic],
    /// What is likely not meant in the text in use.
    pub warnings: Vec<Diagnostic>,
}

/// A rule file.
#[derive(Debug, Clone, Default)]
struct Entry {
    text: String,
    /// `None` when no valid text was ever seen.
    rules: Option<Vec<Rule>>,
    warnings: Vec<Diagnostic>,
    regex_bytes: usize,
    rejected: Option<Rejected>,
}

/// A text that is not in use.
#[derive(Debug, Clone)]
struct Rejected {
    text: String,
    faults: Vec<Diagnostic>,
    /// Its rules, when nothing is wrong with it but what it refers to: it is tried again when other files change.
    candidate: Option<Candidate>,
}

/// A file that was read, and waits to be linked with the others.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    file: String,
    text: String,
    rules: Vec<Rule>,
    warnings: Vec<Diagnostic>,
    regex_bytes: usize,
}

/// The rules in use, compiled, and what is wrong or odd with the links between them.
type Linked = (Arc<RuleSet>, Vec<Diagnostic>);

/// Every rule file with its last valid version: an invalid text never replaces a valid one.
///
/// A correlation may refer to rules of other files. A file that was rejected for what it refers to is tried again
/// whenever another changes, so the order in which files arrive does not matter. Files in a folder `pipelines` say how
/// rules are read: when one changes, every rule file is read again.
#[derive(Debug, Clone, Default)]
pub struct RuleBook {
    files: BTreeMap<String, Arc<Entry>>,
    pipelines: PipelineShelf,
    /// Compiled at first use after a change.
    linked: OnceLock<Linked>,
}

impl RuleBook {
    /// An empty book, with the shipped pipelines.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a new text of a file.
    ///
    /// # Errors
    /// Every fault found; the earlier text stays in use and the faults are kept with the file.
    pub fn update(&mut self, file: &str, text: &str) -> Result<Changed, Vec<Diagnostic>> {
        let before = self.text_in_use(file).map(str::to_owned);
        let is_same = before.as_deref() == Some(text) && !self.is_rejected(file);
        let faults = if is_same { Vec::new() } else { self.update_all([(file, text)]) };
        let own: Vec<Diagnostic> = faults.into_iter().filter(|fault| fault.file == file).collect();
        if !own.is_empty() {
            return Err(own);
        }
        Ok(match before {
            None => Changed::Added,
            Some(before) if before == text => Changed::Nothing,
            Some(_) => Changed::Replaced,
        })
    }

    /// Takes many files at once, in any order, and returns every fault. Meant for reading a whole folder.
    pub fn update_all<'t>(&mut self, files: impl IntoIterator<Item = (&'t str, &'t str)>) -> Vec<Diagnostic> {
        self.linked = OnceLock::new();
        let (pipelines, rules): (Vec<_>, Vec<_>) = files.into_iter().partition(|(file, _)| is_pipeline_file(file));
        let mut faults = Vec::new();
        let mut is_remapped = false;
        for (file, text) in pipelines {
            match self.pipelines.update(file, text) {
                Ok(()) => is_remapped = true,
                Err(found) => faults.extend(found),
            }
        }
        if is_remapped {
            let earlier = self.latest(|file| !rules.iter().any(|(changed, _)| *changed == file));
            self.read(earlier.iter().map(|(file, text)| (file.as_str(), text.as_str())).chain(rules), &mut faults);
        } else {
            self.read(rules.into_iter(), &mut faults);
        }
        faults
    }

    /// Forgets a file. Rules that referred to its rules stop until the reference resolves again.
    pub fn remove(&mut self, file: &str) {
        self.linked = OnceLock::new();
        if self.pipelines.remove(file) {
            let all = self.latest(|_| true);
            self.read(all.iter().map(|(file, text)| (file.as_str(), text.as_str())), &mut Vec::new());
        }
        self.files.remove(file);
    }

    /// Every file, by name.
    pub fn files(&self) -> Vec<FileView<'_>> {
        let (linked, remarks) = self.linked();
        let by_id: HashMap<&str, &Compiled> = linked.rules.iter().map(|rule| (rule.info.id.as_str(), rule)).collect();
        let mut linking: HashMap<&str, Vec<Diagnostic>> = HashMap::new();
        for warning in remarks.iter().filter(|remark| remark.gravity == Gravity::Warning) {
            linking.entry(&warning.file).or_default().push(warning.clone());
        }
        let mut views: Vec<FileView<'_>> = self.pipelines.views();
        views.extend(self.files.iter().map(|(name, entry)| {
            let rejected = entry.rejected.as_ref();
            let mut warnings = entry.warnings.clone();
            warnings.extend(linking.remove(name.as_str()).unwrap_or_default());
            FileView {
                name,
                text: if entry.rules.is_some() { &entry.text } else { rejected.map_or("", |found| &found.text) },
                rules: summaries(name, entry.rules.as_deref().unwrap_or_default(), &by_id),
                pipelines: Vec::new(),
                is_active: entry.rules.is_some(),
                diagnostics: rejected.map_or(&[], |found| &found.faults),
                warnings,
            }
        }));
        views.sort_by_key(|view| view.name);
        views
    }

    /// Compiles every rule in use. Rules whose references do not resolve any more are left out.
    pub fn compile(&self) -> Arc<RuleSet> {
        Arc::clone(&self.linked().0)
    }

    /// What is wrong with the links between the files in use, for instance after a removal.
    pub fn broken_links(&self) -> Vec<Diagnostic> {
        let found = self.linked().1.iter().filter(|remark| remark.gravity == Gravity::Error);
        found.cloned().collect()
    }

    /// What is likely not meant in the files in use, by file and line.
    pub fn warnings(&self) -> Vec<Diagnostic> {
        self.files().into_iter().flat_map(|view| view.warnings).collect()
    }

    /// The rules in use of one file.
    pub(crate) fn rules_of(&self, file: &str) -> &[Rule] {
        self.files.get(file).and_then(|entry| entry.rules.as_deref()).unwrap_or_default()
    }

    fn linked(&self) -> &Linked {
        self.linked.get_or_init(|| {
            let (set, remarks) = set::link(&self.in_use(&[]));
            (Arc::new(set), remarks)
        })
    }

    fn text_in_use(&self, file: &str) -> Option<&str> {
        let rules = self.files.get(file).filter(|entry| entry.rules.is_some()).map(|entry| entry.text.as_str());
        rules.or_else(|| self.pipelines.text_in_use(file))
    }

    fn is_rejected(&self, file: &str) -> bool {
        self.files.get(file).is_some_and(|entry| entry.rejected.is_some()) || self.pipelines.is_rejected(file)
    }

    /// The latest text of rule files, whether it is in use or not.
    fn latest(&self, wanted: impl Fn(&str) -> bool) -> Vec<(String, String)> {
        let wanted = self.files.iter().filter(|(file, _)| wanted(file));
        let latest = wanted.map(|(file, entry)| {
            let text = entry.rejected.as_ref().map_or(&entry.text, |rejected| &rejected.text);
            (file.clone(), text.clone())
        });
        latest.collect()
    }

    /// Reads rule files, and puts in force what is sound. Files rejected for their links are tried again beside them.
    fn read<'t>(&mut self, files: impl Iterator<Item = (&'t str, &'t str)>, faults: &mut Vec<Diagnostic>) {
        let pipelines = self.pipelines.in_use();
        let mut waiting: Vec<Candidate> = Vec::new();
        let mut regex_bytes: usize = self.files.values().map(|entry| entry.regex_bytes).sum();
        for (file, text) in files {
            let mut report = Report::new(file);
            let rules = read::rules(text, &pipelines, &mut report);
            let before = self.files.get(file).map_or(0, |entry| entry.regex_bytes);
            regex_bytes = regex_bytes.saturating_sub(before).saturating_add(report.regex_bytes());
            if regex_bytes > REGEX_BYTES {
                let message = format!("the regular expressions of all files take more than {REGEX_BYTES} bytes");
                report.add(Place::default(), code::TOO_LARGE, message, "make them simpler, or load fewer rules");
                regex_bytes = regex_bytes.saturating_sub(report.regex_bytes()).saturating_add(before);
            }
            let warnings = report.take_warnings();
            let regex_bytes = report.regex_bytes();
            let (file, text) = (file.to_owned(), text.to_owned());
            if report.is_empty() {
                waiting.push(Candidate { file, text, rules, warnings, regex_bytes });
            } else {
                let found = report.into_found();
                faults.extend(found.iter().cloned());
                self.reject(&file, Rejected { text, faults: found, candidate: None });
            }
        }
        let news: HashSet<String> = waiting.iter().map(|candidate| candidate.file.clone()).collect();
        let again = self.files.iter().filter(|(file, _)| !news.contains(*file));
        let again = again.filter_map(|(_, entry)| entry.rejected.as_ref()?.candidate.clone());
        waiting.extend(again.collect::<Vec<_>>());
        for (candidate, found) in self.settle(waiting) {
            if news.contains(&candidate.file) {
                faults.extend(found.iter().cloned());
            }
            let (file, text) = (candidate.file.clone(), candidate.text.clone());
            self.reject(&file, Rejected { text, faults: found, candidate: Some(candidate) });
        }
    }

    /// Links everything at once, leaves out the files with faults and links again, until what remains is sound and in
    /// use; what was left out, with its faults.
    fn settle(&mut self, mut waiting: Vec<Candidate>) -> Vec<(Candidate, Vec<Diagnostic>)> {
        let mut left_out = Vec::new();
        let linked = loop {
            let (set, remarks) = set::link(&self.in_use(&waiting));
            let mut found = faults_of(&waiting, &remarks);
            self.spread(&waiting, &mut found);
            if found.is_empty() {
                break (Arc::new(set), remarks);
            }
            let (bad, good): (Vec<_>, Vec<_>) =
                waiting.into_iter().partition(|candidate| found.contains_key(&candidate.file));
            waiting = good;
            for candidate in bad {
                let own = found.remove(&candidate.file).unwrap_or_default();
                left_out.push((candidate, own));
            }
        };
        for candidate in waiting {
            let Candidate { file, text, rules, warnings, regex_bytes } = candidate;
            let entry = Entry { text, rules: Some(rules), warnings, regex_bytes, rejected: None };
            self.files.insert(file, Arc::new(entry));
        }
        self.linked = OnceLock::from(linked);
        left_out
    }

    /// Adds the files that refer to rules of faulty files: found here at once, a chain of them would take a round each.
    fn spread(&self, candidates: &[Candidate], found: &mut HashMap<String, Vec<Diagnostic>>) {
        let mut referring: HashMap<&str, Vec<(&Candidate, Place)>> = HashMap::new();
        let mut by_file: HashMap<&str, &Candidate> = HashMap::new();
        for candidate in candidates {
            by_file.insert(&candidate.file, candidate);
            for reference in candidate.rules.iter().flat_map(Rule::references) {
                referring.entry(&reference.rule).or_default().push((candidate, reference.at));
            }
        }
        let mut lost: Vec<&Candidate> = found.keys().filter_map(|file| by_file.get(file.as_str()).copied()).collect();
        while let Some(candidate) = lost.pop() {
            let still: HashSet<&str> = self.rules_of(&candidate.file).iter().flat_map(Rule::names).collect();
            for name in candidate.rules.iter().flat_map(Rule::names).filter(|name| !still.contains(name)) {
                for (other, at) in referring.get(name).into_iter().flatten() {
                    if found.contains_key(&other.file) {
                        continue;
                    }
                    let mut report = Report::new(&other.file);
                    let hint = format!("it stands in {}, which has faults", candidate.file);
                    report.add(*at, code::UNKNOWN_RULE, format!("there is no rule {name:?}"), hint);
                    found.insert(other.file.clone(), report.into_found());
                    lost.push(other);
                }
            }
        }
    }

    /// The rules of all files by name, those of candidates in place of earlier ones.
    pub(crate) fn in_use<'b>(&'b self, candidates: &'b [Candidate]) -> Vec<(&'b str, &'b [Rule])> {
        let replaced: HashSet<&str> = candidates.iter().map(|candidate| candidate.file.as_str()).collect();
        let kept = self.files.iter().filter(|(name, _)| !replaced.contains(name.as_str()));
        let kept = kept.filter_map(|(name, entry)| Some((name.as_str(), entry.rules.as_deref()?)));
        let news = candidates.iter().map(|candidate| (candidate.file.as_str(), candidate.rules.as_slice()));
        let mut all: Vec<_> = kept.chain(news).collect();
        all.sort_by_key(|(file, _)| *file);
        all
    }

    fn reject(&mut self, file: &str, rejected: Rejected) {
        let entry = self.files.entry(file.to_owned()).or_default();
        Arc::make_mut(entry).rejected = Some(rejected);
    }
}

/// The faults that linking brings to candidates, by file.
fn faults_of(candidates: &[Candidate], remarks: &[Diagnostic]) -> HashMap<String, Vec<Diagnostic>> {
    let names: HashSet<&str> = candidates.iter().map(|candidate| candidate.file.as_str()).collect();
    let mut found: HashMap<String, Vec<Diagnostic>> = HashMap::new();
    for fault in remarks {
        if fault.gravity == Gravity::Error && names.contains(fault.file.as_str()) {
            found.entry(fault.file.clone()).or_default().push(fault.clone());
        }
    }
    found
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
            is_mapped: !matches!(&rule.body, Body::Event(event) if event.reach == Reach::Nowhere),
        }
    };
    rules.iter().map(one).collect()
}
