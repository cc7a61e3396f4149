//! Boolean expressions over atoms, answered for all rows of a batch at once.

use crate::bits::Bits;

/// An expression whose leaves are atoms, or numbers of atoms once compiled.
#[derive(Debug, Clone)]
pub enum Expression<A> {
    /// A leaf.
    Atom(A),
    /// Every part holds.
    All(Vec<Self>),
    /// Some part holds.
    Any(Vec<Self>),
    /// The part does not hold. A field that is absent makes an atom false, so its negation is true.
    Not(Box<Self>),
}

impl<A> Expression<A> {
    /// Every part; one part is itself.
    pub fn all(parts: Vec<Self>) -> Self {
        Self::fold(parts, Self::All, |part| if let Self::All(inner) = part { Ok(inner) } else { Err(part) })
    }

    /// Some part; one part is itself.
    pub fn any(parts: Vec<Self>) -> Self {
        Self::fold(parts, Self::Any, |part| if let Self::Any(inner) = part { Ok(inner) } else { Err(part) })
    }

    /// The negation.
    pub fn not(part: Self) -> Self {
        if let Self::Not(inner) = part { *inner } else { Self::Not(Box::new(part)) }
    }

    fn fold(parts: Vec<Self>, join: fn(Vec<Self>) -> Self, inner: fn(Self) -> Result<Vec<Self>, Self>) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match inner(part) {
                Ok(parts) => flat.extend(parts),
                Err(part) => flat.push(part),
            }
        }
        if flat.len() == 1 { flat.remove(0) } else { join(flat) }
    }

    /// The same expression over other leaves.
    pub fn map<B>(&self, leaf: &mut impl FnMut(&A) -> B) -> Expression<B> {
        match self {
            Self::Atom(atom) => Expression::Atom(leaf(atom)),
            Self::All(parts) => Expression::All(parts.iter().map(|part| part.map(leaf)).collect()),
            Self::Any(parts) => Expression::Any(parts.iter().map(|part| part.map(leaf)).collect()),
            Self::Not(part) => Expression::Not(Box::new(part.map(leaf))),
        }
    }

    /// Puts the cheap parts of every conjunction first, so that they can rule a whole batch out.
    pub fn cheapest_first(&mut self, cost: &impl Fn(&A) -> u32) -> u32 {
        match self {
            Self::Atom(atom) => cost(atom),
            Self::All(parts) => {
                let mut ranked: Vec<(u32, Self)> =
                    parts.drain(..).map(|mut part| (part.cheapest_first(cost), part)).collect();
                ranked.sort_by_key(|(cost, _)| *cost);
                let cheapest = ranked.first().map_or(0, |(cost, _)| *cost);
                parts.extend(ranked.into_iter().map(|(_, part)| part));
                cheapest
            }
            Self::Any(parts) => parts.iter_mut().map(|part| part.cheapest_first(cost)).sum(),
            // a negation is true for most rows, so it rules nothing out: last
            Self::Not(part) => 1_000 + part.cheapest_first(cost),
        }
    }
}

/// The rows of a batch for which something holds; `None` when for no row.
pub type Rows = Option<Bits>;

impl Expression<usize> {
    /// Answers the expression for every row. Parts of a conjunction after one that no row passes are not asked.
    pub fn rows(&self, rows: usize, atom: &mut impl FnMut(usize) -> Rows) -> Rows {
        match self {
            Self::Atom(index) => atom(*index),
            Self::All(parts) => {
                let mut all: Rows = None;
                for part in parts {
                    let left = match (all.take(), part) {
                        (None, part) => part.rows(rows, atom)?,
                        (Some(left), Self::Not(part)) => without(left, part.rows(rows, atom)),
                        (Some(left), part) => left.and(&part.rows(rows, atom)?),
                    };
                    all = Some(left.some()?);
                }
                all.or_else(|| Bits::all(rows).some())
            }
            Self::Any(parts) => {
                let mut any: Rows = None;
                for part in parts {
                    let Some(found) = part.rows(rows, atom) else { continue };
                    any = Some(match any {
                        Some(any) => any.or(&found),
                        None => found,
                    });
                }
                any
            }
            Self::Not(part) => without(Bits::all(rows), part.rows(rows, atom)).some(),
        }
    }
}

fn without(left: Bits, right: Rows) -> Bits {
    match right {
        Some(right) => left.without(&right),
        None => left,
    }
}
