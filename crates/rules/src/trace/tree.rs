//! The spans of one trace as a tree, asked in constant time which lies below which.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use model::SpanId;

use super::links::Joined;
use super::relation::How;

/// What is remembered of every span of a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// When it ended, in nanoseconds.
    pub at: i64,
    pub id: SpanId,
    /// `None` for a root.
    pub parent: Option<SpanId>,
    pub service: Arc<str>,
    /// What it says of the sampling of its trace (see [`super::sampling`]).
    pub sampling: u32,
}

/// A tree, or several when parents are missing. Links that form a circle carry nobody below anybody.
#[derive(Debug)]
pub struct Tree<'s> {
    spans: &'s [Span],
    places: Vec<Place>,
    /// Which span links to which; known of traces that were drawn together.
    linked: Option<&'s HashSet<(SpanId, SpanId)>>,
    /// Spans of the trace that is judged have ids up to this one, when others are looked at as well.
    own: Option<SpanId>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    parent: Option<usize>,
    /// Numbers of a walk in depth: what is below has its numbers between these. Both 0 for spans in a circle.
    enters: usize,
    leaves: usize,
    depth: usize,
}

impl<'s> Tree<'s> {
    /// The tree of spans, which are in order of time, then of their ids.
    pub fn new(spans: &'s [Span]) -> Self {
        let mut index: HashMap<SpanId, usize> = HashMap::with_capacity(spans.len());
        for (at, span) in spans.iter().enumerate() {
            index.entry(span.id).or_insert(at);
        }
        let mut places = vec![Place::default(); spans.len()];
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
        let mut tops = Vec::new();
        for (at, span) in spans.iter().enumerate() {
            match span.parent.and_then(|parent| index.get(&parent)) {
                Some(parent) => {
                    places[at].parent = Some(*parent);
                    children[*parent].push(at);
                }
                None => tops.push(at),
            }
        }
        let mut number = 0;
        let mut open: Vec<(usize, usize)> = Vec::new();
        for top in tops {
            number += 1;
            places[top].enters = number;
            open.push((top, 0));
            while let Some((at, next)) = open.last_mut() {
                number += 1;
                match children[*at].get(*next) {
                    Some(child) => {
                        *next += 1;
                        places[*child].enters = number;
                        places[*child].depth = places[*at].depth + 1;
                        open.push((*child, 0));
                    }
                    None => {
                        places[*at].leaves = number;
                        open.pop();
                    }
                }
            }
        }
        Self { spans, places, linked: None, own: None }
    }

    /// The tree of several traces that were drawn together.
    pub fn of_joined(joined: &'s Joined) -> Self {
        Self { linked: Some(&joined.linked), own: Some(joined.own), ..Self::new(&joined.spans) }
    }

    /// Whether a span belongs to the trace that is judged.
    pub fn is_own(&self, id: SpanId) -> bool {
        self.own.is_none_or(|own| id <= own)
    }

    /// Where a span stands among the spans.
    pub fn find(&self, at: i64, id: SpanId) -> Option<usize> {
        self.spans.binary_search_by_key(&(at, id), |span| (span.at, span.id)).ok()
    }

    /// The span at a place.
    pub fn span(&self, at: usize) -> &'s Span {
        &self.spans[at]
    }

    /// How many spans stand above a span.
    pub fn depth(&self, at: usize) -> usize {
        self.places[at].depth
    }

    /// Whether a span lies so to another. What precedes what, of two that end together, the tree does not know.
    pub fn lies(&self, left: usize, how: How, right: usize) -> bool {
        let (one, other) = (&self.spans[left], &self.spans[right]);
        match how {
            How::ChildOf => self.places[left].enters > 0 && one.parent == Some(other.id),
            How::DescendantOf => {
                let (below, above) = (self.places[left], self.places[right]);
                above.enters < below.enters && below.leaves < above.leaves
            }
            How::SiblingOf => left != right && one.parent.is_some() && one.parent == other.parent,
            How::Precedes => one.at < other.at,
            How::LinkedTo => self.linked.is_some_and(|linked| linked.contains(&(one.id, other.id))),
        }
    }

    /// The services from the topmost span known down to this one; neighbours of one service are one.
    pub fn services(&self, at: usize) -> Vec<&'s str> {
        let mut services = vec![&*self.spans[at].service];
        let mut above = self.places[at].parent.filter(|_| self.places[at].enters > 0);
        while let Some(place) = above {
            services.push(&self.spans[place].service);
            above = self.places[place].parent;
        }
        services.reverse();
        services.dedup();
        services
    }
}
