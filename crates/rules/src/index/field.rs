//! Every question of all rules about one field, answered for a value at once.

use std::collections::HashMap;
use std::net::IpAddr;

use foldhash::fast::RandomState;
use regex::Regex;

use super::literal;
use super::networks::Networks;
use super::numbers::Numbers;
use super::table::{Seen, Table};
use crate::atom::{Anchor, AnyOf, Atom, Cell, Relation, Test};
use crate::budget::Meter;
use crate::pattern::Pattern;
use crate::time_part::TimePart;

/// A question that a text can rule out but not answer.
#[derive(Debug)]
enum Check {
    Glob(Pattern, bool),
    Regex(Regex),
    Part(TimePart, Relation, f64),
}

impl Check {
    fn passes(&self, cell: &Cell<'_>, lower: &str) -> bool {
        match self {
            Self::Glob(pattern, true) => pattern.matches(cell.text()),
            Self::Glob(pattern, false) => pattern.matches(lower),
            Self::Regex(regex) => regex.is_match(cell.text()),
            Self::Part(part, relation, right) => {
                part.of(cell.text()).is_some_and(|left| relation.holds(f64::from(left), *right))
            }
        }
    }
}

/// Whoever asks a table is an atom, or a check of this bit.
const CHECK: u32 = 1 << 31;

/// The questions about one field.
#[derive(Debug, Default)]
pub struct FieldIndex {
    /// Texts looked for in values in lower case.
    folded: Table,
    /// Texts looked for in values as they came.
    cased: Table,
    numbers: Numbers,
    networks: Networks,
    /// Atom, and what decides it.
    checks: Vec<(u32, Check)>,
    /// Checks that no text rules out.
    unfiltered: Vec<u32>,
    /// Comparisons with something that is no number.
    odd: Vec<(u32, Relation, f64)>,
}

/// Space for one value, used again for the next.
#[derive(Debug, Default)]
pub struct Desk {
    lower: String,
    folded: Seen,
    cased: Seen,
    /// Checks to make of the value.
    due: Vec<u32>,
    /// Measures checks, if they are measured.
    meter: Option<Meter>,
    /// What the checks of each atom took, in nanoseconds.
    spent: HashMap<u32, u64, RandomState>,
}

impl Desk {
    /// A desk at which checks are measured, if there is a meter.
    pub fn with(meter: Option<Meter>) -> Self {
        Self { meter, ..Self::default() }
    }

    /// The meter, and what the checks of each atom took, in nanoseconds.
    pub fn clear(self) -> (Option<Meter>, HashMap<u32, u64, RandomState>) {
        (self.meter, self.spent)
    }
}

impl FieldIndex {
    /// Takes in an atom on the field.
    pub fn add(&mut self, atom: u32, asked: &Atom) {
        match &asked.test {
            Test::AnyOf(any) => self.add_texts(atom, any),
            Test::Compare(relation, bound) => {
                if !self.numbers.add(*relation, *bound, atom) {
                    self.odd.push((atom, *relation, *bound));
                }
            }
            Test::Cidr(networks) => networks.iter().for_each(|network| self.networks.add(*network, atom)),
            Test::Regex(expressions) => {
                for regex in expressions {
                    let texts = literal::required(regex.as_str());
                    self.add_check(atom, Check::Regex(regex.clone()), texts.as_deref());
                }
            }
            Test::Part(part, relation, number) => self.add_check(atom, Check::Part(*part, *relation, *number), None),
            Test::Exists => self.folded.add("", Anchor::Contains, atom),
            // a pair of fields is not a question about one
            Test::SameAs { .. } => {}
        }
    }

    fn add_texts(&mut self, atom: u32, any: &AnyOf) {
        let table = if any.cased { &mut self.cased } else { &mut self.folded };
        any.exact.iter().for_each(|text| table.add(text, Anchor::Whole, atom));
        any.contains.iter().for_each(|text| table.add(text, Anchor::Contains, atom));
        any.starts.iter().for_each(|text| table.add(text, Anchor::Start, atom));
        any.ends.iter().for_each(|text| table.add(text, Anchor::End, atom));
        for number in &any.numbers {
            self.numbers.add(Relation::Eq, *number, atom);
        }
        for glob in &any.globs {
            let longest = glob.texts().max_by_key(|text| text.len()).map(str::to_ascii_lowercase);
            self.add_check(atom, Check::Glob(glob.clone(), any.cased), Some(longest.as_slice()));
        }
    }

    fn add_check(&mut self, atom: u32, check: Check, texts: Option<&[String]>) {
        let number = u32::try_from(self.checks.len()).unwrap_or(CHECK) | CHECK;
        match texts.filter(|texts| !texts.is_empty()) {
            Some(texts) => texts.iter().for_each(|text| self.folded.add(text, Anchor::Contains, number)),
            None => self.unfiltered.push(number),
        }
        self.checks.push((atom, check));
    }

    /// Makes it ready to be asked.
    pub fn finish(&mut self) {
        self.folded.finish();
        self.cased.finish();
        self.numbers.finish();
    }

    /// The atoms that a value satisfies; some may be named more than once.
    pub fn find(&self, cell: &Cell<'_>, desk: &mut Desk, hit: &mut impl FnMut(u32)) {
        let text = cell.text();
        let Desk { lower, folded, cased, due, meter, spent } = desk;
        lower.clear();
        lower.push_str(text);
        lower.make_ascii_lowercase();
        due.clear();
        due.extend(&self.unfiltered);
        self.folded.find(lower, folded, &mut |who| if who & CHECK == 0 { hit(who) } else { due.push(who) });
        if !self.cased.is_empty() {
            self.cased.find(text, cased, hit);
        }
        due.sort_unstable();
        due.dedup();
        for check in due {
            let Some((atom, check)) = self.checks.get((*check & !CHECK) as usize) else { continue };
            let started = meter.as_ref().map(Meter::read);
            if check.passes(cell, lower) {
                hit(*atom);
            }
            if let (Some(meter), Some(started)) = (&*meter, started) {
                *spent.entry(*atom).or_default() += meter.read().saturating_sub(started);
            }
        }
        if !self.numbers.is_empty() || !self.odd.is_empty() {
            self.compare(cell, hit);
        }
        if !self.networks.is_empty()
            && let Ok(address) = text.trim().parse::<IpAddr>()
        {
            self.networks.find(address, hit);
        }
    }

    fn compare(&self, cell: &Cell<'_>, hit: &mut impl FnMut(u32)) {
        let Some(number) = cell.number() else { return };
        self.numbers.find(number, hit);
        let odd = self.odd.iter().filter(|(_, relation, bound)| relation.holds(number, *bound));
        odd.for_each(|(atom, ..)| hit(*atom));
    }
}
