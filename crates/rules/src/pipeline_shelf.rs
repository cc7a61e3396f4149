//! Files of pipelines, each with its last valid version.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::book::FileView;
use crate::diagnostic::{Diagnostic, Report};
use crate::pipeline::{Pipeline, Pipelines};
use crate::read;

/// Every file of pipelines, and what they come to with the shipped ones.
#[derive(Debug, Clone)]
pub struct PipelineShelf {
    files: BTreeMap<String, Arc<Entry>>,
    in_use: Arc<Pipelines>,
}

#[derive(Debug, Clone, Default)]
struct Entry {
    text: String,
    /// `None` when no valid text was ever seen.
    pipelines: Option<Vec<Arc<Pipeline>>>,
    rejected: Option<(String, Vec<Diagnostic>)>,
}

impl Default for PipelineShelf {
    fn default() -> Self {
        Self { files: BTreeMap::new(), in_use: Pipelines::shipped() }
    }
}

impl PipelineShelf {
    /// Every pipeline in use.
    pub fn in_use(&self) -> Arc<Pipelines> {
        Arc::clone(&self.in_use)
    }

    /// Takes a new text of a file.
    ///
    /// # Errors
    /// Every fault found; the earlier text stays in use.
    pub fn update(&mut self, file: &str, text: &str) -> Result<(), Vec<Diagnostic>> {
        let mut report = Report::new(file);
        let pipelines = read::pipelines(text, &mut report);
        if !report.is_empty() {
            let faults = report.into_found();
            let entry = self.files.entry(file.to_owned()).or_default();
            Arc::make_mut(entry).rejected = Some((text.to_owned(), faults.clone()));
            return Err(faults);
        }
        let entry = Entry { text: text.to_owned(), pipelines: Some(pipelines), rejected: None };
        self.files.insert(file.to_owned(), Arc::new(entry));
        self.join();
        Ok(())
    }

    /// Forgets a file; whether there was one in use.
    pub fn remove(&mut self, file: &str) -> bool {
        let was_in_use = self.files.remove(file).is_some_and(|entry| entry.pipelines.is_some());
        if was_in_use {
            self.join();
        }
        was_in_use
    }

    /// The text in use of a file.
    pub fn text_in_use(&self, file: &str) -> Option<&str> {
        self.files.get(file).filter(|entry| entry.pipelines.is_some()).map(|entry| entry.text.as_str())
    }

    /// Whether the latest text of a file is not in use.
    pub fn is_rejected(&self, file: &str) -> bool {
        self.files.get(file).is_some_and(|entry| entry.rejected.is_some())
    }

    /// Every file, by name.
    pub fn views(&self) -> Vec<FileView<'_>> {
        let mut views = Vec::new();
        for (name, entry) in self.files.iter() {
            let pipelines = entry.pipelines.as_deref().unwrap_or_default();
            let rejected = entry.rejected.as_ref();
            views.push(FileView {
                name,
                text: if entry.pipelines.is_some() { &entry.text } else { rejected.map_or("", |(text, _)| text) },
                rules: Vec::new(),
                pipelines: pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect(),
                is_active: entry.pipelines.is_some(),
                diagnostics: rejected.map_or(&[], |(_, faults)| faults),
                warnings: Vec::new(),
            });
        }
        views
    }

    fn join(&mut self) {
        let own = self.files.values().flat_map(|entry| entry.pipelines.iter().flatten());
        self.in_use = Arc::new(Pipelines::new(own));
    }
}
