//! The groups and values that the rows of a batch have: each distinct combination is put together once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use sha2::{Digest as _, Sha256};

use super::recency::Digest;
use super::{Baseline, Part};
use crate::column::{self, Columns};

/// How the absence of a value is shown.
const ABSENT: &str = "(absent)";

/// The combinations of some fields' values among some rows.
#[derive(Debug, Default)]
pub struct Combos {
    /// Row and number of its combination. Rows without one of the values are not there.
    pub rows: Vec<(usize, u32)>,
    /// Of each combination, a row that has it.
    pub all: Vec<usize>,
}

impl Combos {
    /// Looks at rows whose fields have been interned.
    pub fn of(columns: &Columns<'_>, fields: &[usize], parts: &[Part], rows: &[usize]) -> Self {
        let interned: Option<Vec<_>> = fields.iter().map(|field| columns.ready(*field)).collect();
        let Some(interned) = interned else { return Self::default() };
        let mut found = Self { rows: Vec::with_capacity(rows.len()), all: Vec::new() };
        let mut numbers: Vec<HashMap<(u32, u32), u32, RandomState>> = vec![HashMap::default(); fields.len()];
        'rows: for row in rows {
            let mut number = 0;
            for ((field, part), numbers) in interned.iter().zip(parts).zip(&mut numbers) {
                let key = field.key(*row).map(column::number);
                if key.is_none() && !part.may_be_absent {
                    continue 'rows;
                }
                let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
                number = *numbers.entry((number, key.unwrap_or(u32::MAX))).or_insert(next);
            }
            if number as usize == found.all.len() {
                found.all.push(*row);
            }
            found.rows.push((*row, number));
        }
        found
    }
}

/// Who an event belongs to and what it shows.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The values of `group-by`.
    pub group: Digest,
    /// These and the values of `fields`.
    pub whole: Digest,
}

impl Reading {
    /// The reading of a row.
    pub fn of(columns: &Columns<'_>, fields: &[usize], baseline: &Baseline, row: usize) -> Self {
        let values = fields.iter().zip(&baseline.parts).map(|(field, part)| value(columns, *field, *part, row));
        Self::of_texts(&values.collect::<Vec<_>>(), baseline)
    }

    /// The reading of texts.
    pub fn of_texts(texts: &[Option<Cow<'_, str>>], baseline: &Baseline) -> Self {
        let group = texts.get(..baseline.groups).unwrap_or(texts);
        Self { group: digest(group), whole: digest(texts) }
    }
}

/// The values of a row, as they are shown.
pub fn texts(columns: &Columns<'_>, fields: &[usize], parts: &[Part], row: usize) -> Vec<Arc<str>> {
    let values = fields.iter().zip(parts).map(|(field, part)| shown(value(columns, *field, *part, row).as_deref()));
    values.collect()
}

/// The values that are told by number; `None` without one of them.
pub fn texts_of<'f>(
    text: impl Fn(usize) -> Option<&'f str>,
    numbers: &[usize],
    parts: &[Part],
) -> Option<Vec<Option<Cow<'f, str>>>> {
    let value = |(number, part): (&usize, &Part)| match text(*number) {
        Some(text) => Some(Some(reduced(text, *part))),
        None => part.may_be_absent.then_some(None),
    };
    numbers.iter().zip(parts).map(value).collect()
}

/// A value as it is shown.
pub fn shown(text: Option<&str>) -> Arc<str> {
    text.unwrap_or(ABSENT).into()
}

fn value<'c>(columns: &'c Columns<'_>, field: usize, part: Part, row: usize) -> Option<Cow<'c, str>> {
    columns.ready(field)?.text(row).map(|text| reduced(text, part))
}

fn reduced(text: &str, part: Part) -> Cow<'_, str> {
    part.network.map_or(Cow::Borrowed(text), |network| network.of(text))
}

/// Identity of values without regard to ASCII case, as Sigma compares. No two lists of values share their bytes: each is
/// preceded by its length, and the absence of one has none.
pub fn digest<T: AsRef<str>>(texts: &[Option<T>]) -> Digest {
    let mut hash = Sha256::new();
    for text in texts {
        match text {
            None => hash.update([0]),
            Some(text) => {
                let text = text.as_ref();
                hash.update([1]);
                hash.update((text.len() as u64).to_le_bytes());
                match text.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    true => hash.update(text.to_ascii_lowercase()),
                    false => hash.update(text),
                }
            }
        }
    }
    let whole = hash.finalize();
    std::array::from_fn(|byte| whole[byte])
}
