//! The resources of a batch, each list read once.

use std::borrow::Cow;
use std::collections::HashMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use model::attribute::{self, Value};
use model::signal;

use super::Map;

/// For each wanted key, the labels of the resource column that have it, with its value.
#[derive(Debug, Default)]
pub struct Resources<'b> {
    found: Map<Cow<'b, str>, Vec<(usize, Value<'b>)>>,
}

impl<'b> Resources<'b> {
    /// Reads the lists once; the first value of a key counts.
    pub fn read(batch: &'b RecordBatch, is_wanted: impl Fn(&str) -> bool) -> Self {
        let mut found: Map<Cow<'b, str>, Vec<(usize, Value<'b>)>> = HashMap::default();
        let labels = batch.column_by_name(signal::RESOURCE).and_then(|column| column.as_dictionary_opt::<Int32Type>());
        let Some(values) = labels.and_then(|labels| labels.values().as_string_opt::<i32>()) else {
            return Self { found };
        };
        for label in (0..values.len()).filter(|label| values.is_valid(*label)) {
            let list: &'b str = values.value(label);
            for (key, value) in attribute::parse_list(list).filter(|(key, _)| is_wanted(key)) {
                let known = found.entry(key).or_default();
                if known.last().is_none_or(|(last, _)| *last != label) {
                    known.push((label, value));
                }
            }
        }
        Self { found }
    }

    /// Labels and values of a key; `None` when no resource has it.
    pub fn of(&self, key: &str) -> Option<&[(usize, Value<'b>)]> {
        self.found.get(key).map(Vec::as_slice)
    }

    /// The keys that were found.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.found.keys().map(|key| &**key)
    }
}
