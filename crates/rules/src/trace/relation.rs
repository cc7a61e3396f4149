//! How two steps of a pattern lie to each other in the tree of a trace.

/// A demand on two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation {
    /// The step it speaks of.
    pub left: usize,
    /// How it lies.
    pub how: How,
    /// To which other step.
    pub right: usize,
}

/// How a span lies to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Its parent is the other.
    ChildOf,
    /// The other is among its parents' parents, or is its parent.
    DescendantOf,
    /// Both have the same parent.
    SiblingOf,
    /// It ends before the other; of two that end together, the one that was taken in first.
    Precedes,
    /// It has a span link to the other, of its own trace or of another.
    LinkedTo,
}

impl How {
    /// Every relation.
    pub const ALL: [Self; 5] = [Self::ChildOf, Self::DescendantOf, Self::SiblingOf, Self::Precedes, Self::LinkedTo];

    /// Its name in rules.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChildOf => "child_of",
            Self::DescendantOf => "descendant_of",
            Self::SiblingOf => "sibling_of",
            Self::Precedes => "precedes",
            Self::LinkedTo => "linked_to",
        }
    }
}

/// The first relation that no trace can satisfy together with those before it.
pub fn contradiction(steps: usize, relations: &[Relation]) -> Option<usize> {
    (0..relations.len()).find(|last| is_impossible(steps, &relations[..=*last]))
}

/// What follows for every pair of steps, until nothing more follows.
fn is_impossible(steps: usize, relations: &[Relation]) -> bool {
    let mut below = vec![vec![false; steps]; steps];
    let mut alike = vec![vec![false; steps]; steps];
    let mut before = vec![vec![false; steps]; steps];
    let mut siblings = Vec::new();
    let mut children = Vec::new();
    for Relation { left, how, right } in relations {
        match how {
            How::ChildOf => children.push((*left, *right)),
            How::DescendantOf => below[*left][*right] = true,
            How::SiblingOf => siblings.push((*left, *right)),
            How::Precedes => before[*left][*right] = true,
            How::LinkedTo => {}
        }
    }
    children.iter().for_each(|(child, parent)| below[*child][*parent] = true);
    siblings.iter().for_each(|(one, other)| alike[*one][*other] = true);
    // each round that changes something sets at least one of 3 * steps * steps flags
    for _ in 0..=3 * steps * steps {
        let known = (below.clone(), alike.clone(), before.clone());
        for (a, b, c) in triples(steps) {
            below[a][c] |= below[b][c] && (below[a][b] || alike[a][b]);
            alike[a][c] |= a != c && alike[a][b] && alike[b][c];
            alike[b][a] |= alike[a][b];
            before[a][c] |= before[a][b] && before[b][c];
        }
        for (child, parent) in &children {
            (0..steps).filter(|other| alike[*child][*other]).for_each(|other| below[other][*parent] = true);
        }
        if (&below, &alike, &before) == (&known.0, &known.1, &known.2) {
            break;
        }
    }
    let itself = (0..steps).any(|step| below[step][step] || before[step][step]);
    let torn = triples(steps).any(|(a, b, _)| alike[a][b] && (below[a][b] || below[b][a]));
    itself || torn || relations.iter().any(|relation| relation.left == relation.right)
}

fn triples(steps: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    (0..steps).flat_map(move |a| (0..steps).flat_map(move |b| (0..steps).map(move |c| (a, b, c))))
}
