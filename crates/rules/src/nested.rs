//! Values inside JSON: of attributes that are maps or lists of maps, and of log bodies.
//!
//! A path goes through maps by key and through lists to each element, so a field may have several values.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use serde_json::Value as Json;

/// Values that one path finds in one event; further ones are passed over.
const VALUES: usize = 1_000;

/// The paths that rules ask for inside one attribute, or inside bodies, with their slots.
#[derive(Debug, Default)]
pub struct Wanted {
    paths: HashMap<String, usize, RandomState>,
}

/// Every path that rules ask for.
#[derive(Debug, Default)]
pub struct Nested {
    /// By attribute.
    pub attributes: HashMap<String, Wanted, RandomState>,
    /// Inside bodies.
    pub body: Wanted,
    slots: usize,
}

/// For each slot, rows in order with a value each.
pub type Found = Vec<Vec<(usize, String)>>;

impl Nested {
    /// The slot of a path inside an attribute, given at first use.
    pub fn in_attribute(&mut self, key: &str, path: &str) -> usize {
        let next = self.slots;
        let slot = self.attributes.entry(key.to_owned()).or_default().slot(path, next);
        self.slots = self.slots.max(slot + 1);
        slot
    }

    /// The slot of a path inside bodies, given at first use.
    pub fn in_body(&mut self, path: &str) -> usize {
        let slot = self.body.slot(path, self.slots);
        self.slots = self.slots.max(slot + 1);
        slot
    }

    /// The slot that a path inside an attribute has.
    pub fn slot_in_attribute(&self, key: &str, path: &str) -> Option<usize> {
        self.attributes.get(key)?.paths.get(path).copied()
    }

    /// The slot that a path inside bodies has.
    pub fn slot_in_body(&self, path: &str) -> Option<usize> {
        self.body.paths.get(path).copied()
    }

    /// No value for any slot yet.
    pub fn nothing(&self) -> Found {
        vec![Vec::new(); self.slots]
    }
}

impl Wanted {
    fn slot(&mut self, path: &str, next: usize) -> usize {
        *self.paths.entry(path.to_owned()).or_insert(next)
    }

    /// Adds the values of a JSON text to those found; a text that is no JSON map or list has none.
    pub fn collect(&self, row: usize, text: &str, found: &mut Found) {
        if !text.starts_with(['{', '[']) {
            return;
        }
        if let Ok(json) = serde_json::from_str::<Json>(text) {
            self.walk(&mut String::new(), &json, row, found);
        }
    }

    fn walk(&self, path: &mut String, json: &Json, row: usize, found: &mut Found) {
        match json {
            Json::Null => {}
            Json::Object(map) => {
                self.take(path, json, row, found);
                for (key, value) in map {
                    let end = path.len();
                    if end > 0 {
                        path.push('.');
                    }
                    path.push_str(key);
                    self.walk(path, value, row, found);
                    path.truncate(end);
                }
            }
            Json::Array(items) => items.iter().for_each(|item| self.walk(path, item, row, found)),
            _ => self.take(path, json, row, found),
        }
    }

    fn take(&self, path: &str, json: &Json, row: usize, found: &mut Found) {
        let Some(values) = self.paths.get(path).and_then(|slot| found.get_mut(*slot)) else { return };
        let is_full = values.len() >= VALUES && values[values.len() - VALUES].0 == row;
        if !is_full {
            let text = if let Json::String(text) = json { text.clone() } else { json.to_string() };
            values.push((row, text));
        }
    }
}

#[cfg(test)]
mod tests;
