//! The rows of a batch that satisfy an atom, and the rules that can match in it.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::field::{Desk, FieldIndex};
use super::{Index, Place};
use crate::atom::Cell;
use crate::bits::Bits;
use crate::budget::Meter;
use crate::column::Columns;
use crate::expression::Rows;
use crate::set::RuleSet;

const NONE: u32 = u32::MAX;
/// Sets of at least so many rows are kept for the next rule that asks.
const KEPT_ROWS: usize = 256;

/// What the values of one batch satisfy.
#[derive(Debug)]
pub struct Answers<'s> {
    set: &'s RuleSet,
    index: &'s Index,
    hits: Hits,
    postings: HashMap<usize, Postings, RandomState>,
    anywhere: Postings,
    kept: HashMap<usize, Bits, RandomState>,
}

impl<'s> Answers<'s> {
    /// Asks every value of a batch what it satisfies. The time that expressions and globs take is charged to the rules
    /// that ask for them.
    pub fn new(set: &'s RuleSet, index: &'s Index, columns: &mut Columns<'_>, meter: &mut Option<Meter>) -> Self {
        let mut hits = Hits::new(set.atoms.len());
        let mut desk = Desk::with(meter.take());
        for field in columns.present() {
            let values = index.fields.get(&field);
            let presence = index.presence.get(&field);
            if values.is_none() && presence.is_none() {
                continue;
            }
            let interned = columns.field(field);
            if interned.cells().is_empty() {
                continue;
            }
            presence.into_iter().flatten().for_each(|atom| hits.touch(*atom));
            values.into_iter().for_each(|values| hits.ask(values, interned.cells(), &mut desk));
        }
        let mut anywhere = Postings::default();
        if let Some(asked) = &index.anywhere {
            let (cells, pairs) = columns.everything();
            hits.ask(asked, &cells, &mut desk);
            anywhere = Postings::new(cells.len(), &pairs);
        }
        let (taken, spent) = desk.clear();
        *meter = taken;
        for (atom, nanos) in spent {
            let askers = index.checked.get(&atom).map(Vec::as_slice).unwrap_or_default();
            for rule in askers {
                meter.iter_mut().for_each(|meter| meter.charge(*rule, nanos / askers.len() as u64));
            }
        }
        Self { set, index, hits, postings: HashMap::default(), anywhere, kept: HashMap::default() }
    }

    /// The rules that can match in the batch, in order.
    pub fn candidates(&self) -> Vec<usize> {
        let waiting = self.hits.touched.iter().flat_map(|atom| &self.index.waiting[*atom as usize]);
        let mut rules: Vec<usize> = waiting.chain(&self.index.always).copied().collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// The rows that satisfy an atom.
    pub fn rows(&mut self, atom: usize, columns: &mut Columns<'_>) -> Rows {
        let field = match self.index.places[atom] {
            Place::Pair => return columns.pair(&self.set.atoms[atom]),
            Place::Nowhere => return None,
            _ if !self.hits.has(atom) => return None,
            Place::Presence(field) => {
                let field = columns.ready(field)?;
                return Bits::collect(columns.len(), |row| field.cell(row).is_some()).some();
            }
            Place::Field(field) => Some(field),
            Place::Anywhere => None,
        };
        if let Some(kept) = self.kept.get(&atom) {
            return Some(kept.clone());
        }
        let postings = match field {
            None => &self.anywhere,
            Some(field) => self.postings.entry(field).or_insert_with(|| match columns.ready(field) {
                Some(interned) => Postings::new(interned.cells().len(), &interned.pairs()),
                None => Postings::default(),
            }),
        };
        let mut rows = Bits::none(columns.len());
        let mut count = 0;
        for key in self.hits.keys(atom) {
            let found = postings.rows(key);
            count += found.len();
            found.iter().for_each(|row| rows.set(*row as usize));
        }
        if count >= KEPT_ROWS {
            self.kept.insert(atom, rows.clone());
        }
        rows.some()
    }
}

/// For each atom, the values that satisfy it: lists that share one array.
#[derive(Debug)]
struct Hits {
    /// By atom, the place of its latest value in `links`.
    heads: Vec<u32>,
    /// Value, and the place of the one before it.
    links: Vec<(u32, u32)>,
    /// Atoms with at least one value.
    touched: Vec<u32>,
}

impl Hits {
    fn new(atoms: usize) -> Self {
        Self { heads: vec![NONE; atoms], links: Vec::new(), touched: Vec::new() }
    }

    fn ask(&mut self, asked: &FieldIndex, cells: &[Cell<'_>], desk: &mut Desk) {
        for (key, cell) in cells.iter().enumerate() {
            let key = crate::column::number(key);
            asked.find(cell, desk, &mut |atom| self.hit(atom, key));
        }
    }

    fn hit(&mut self, atom: u32, key: u32) {
        let head = &mut self.heads[atom as usize];
        let before = self.links.get(*head as usize);
        if before.is_some_and(|(last, _)| *last == key) {
            return;
        }
        if before.is_none() {
            self.touched.push(atom);
        }
        let place = crate::column::number(self.links.len());
        self.links.push((key, *head));
        *head = place;
    }

    /// Notes that an atom is satisfied, without saying by what.
    fn touch(&mut self, atom: u32) {
        self.hit(atom, NONE);
    }

    fn has(&self, atom: usize) -> bool {
        self.heads[atom] != NONE
    }

    fn keys(&self, atom: usize) -> impl Iterator<Item = u32> + '_ {
        let mut at = self.heads[atom];
        std::iter::from_fn(move || {
            let (key, before) = *self.links.get(at as usize)?;
            at = before;
            Some(key)
        })
    }
}

/// For each value, the rows that have it.
#[derive(Debug, Default)]
struct Postings {
    /// By value, where its rows begin; one more at the end.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

impl Postings {
    /// From pairs of row and value.
    fn new(values: usize, pairs: &[(u32, u32)]) -> Self {
        let mut starts = vec![0_u32; values + 1];
        for (_, value) in pairs {
            if let Some(start) = starts.get_mut(*value as usize + 1) {
                *start += 1;
            }
        }
        for value in 0..values {
            starts[value + 1] += starts[value];
        }
        let mut next = starts.clone();
        let mut rows = vec![0; pairs.len()];
        for (row, value) in pairs {
            let Some(place) = next.get_mut(*value as usize) else { continue };
            if let Some(slot) = rows.get_mut(*place as usize) {
                *slot = *row;
            }
            *place += 1;
        }
        Self { starts, rows }
    }

    fn rows(&self, value: u32) -> &[u32] {
        let at = |value: usize| self.starts.get(value).map(|start| *start as usize);
        let range = at(value as usize).zip(at(value as usize + 1));
        range.and_then(|(start, end)| self.rows.get(start..end)).unwrap_or_default()
    }
}
