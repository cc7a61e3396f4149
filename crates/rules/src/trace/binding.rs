//! The search for spans that stand for the steps of a pattern, all its demands kept at once.
//!
//! A pattern holds when some spans can be bound to the steps of one of its choices so that every relation and every
//! comparison between bound steps holds, the path fits, the group has its values, and the expression is true: a step
//! under `not` counts as taken when some span matched it that lies to the bound ones as its own relations say.

use super::relation::{How, Relation};
use super::tree::Tree;
use super::{Comparison, Mark, TracePattern, bit};

/// Pairs of spans looked at in one search; beyond, the trace is given up and counted.
const PAIRS: u64 = 400_000;

/// Spans that stand for steps.
pub type Binding<'m> = Vec<(usize, &'m Mark)>;

/// How a search ended.
#[derive(Debug, PartialEq)]
pub enum Search<'m> {
    /// With a binding, steps in order.
    Found(Binding<'m>),
    /// The pattern does not hold.
    Nothing,
    /// Too many spans match too many steps.
    GaveUp,
}

/// Looks for the first binding, in the order of steps and of time. Says how many pairs it looked at.
pub fn find<'m>(pattern: &TracePattern, tree: &Tree<'_>, marks: impl Iterator<Item = &'m Mark>) -> (Search<'m>, u64) {
    let mut candidates: Vec<Vec<Candidate<'m>>> = vec![Vec::new(); pattern.steps.len()];
    for mark in marks {
        if let Some(place) = tree.find(mark.at, mark.span) {
            candidates[mark.step].push(Candidate { place, mark });
        }
    }
    let mut search = Searcher { pattern, tree, pairs: 0 };
    for choice in &pattern.choices {
        let steps: Vec<usize> = (0..pattern.steps.len()).filter(|step| choice & bit(*step) != 0).collect();
        let mut domains: Vec<Vec<Candidate<'m>>> = steps.iter().map(|step| candidates[*step].clone()).collect();
        search.prune(&steps, &mut domains);
        if domains.iter().any(Vec::is_empty) {
            continue;
        }
        let mut bound = Vec::with_capacity(steps.len());
        if search.bind(&steps, &domains, &candidates, &mut bound) {
            let binding = steps.into_iter().zip(bound.into_iter().map(|found| found.mark)).collect();
            return (Search::Found(binding), search.pairs);
        }
        if search.is_tired() {
            return (Search::GaveUp, search.pairs);
        }
    }
    (Search::Nothing, search.pairs)
}

/// The value that a pick finds in a binding.
pub fn value<'m>(pick: &[(usize, usize)], binding: &[(usize, &'m Mark)]) -> Option<&'m std::sync::Arc<str>> {
    pick.iter().find_map(|(step, slot)| {
        let (_, mark) = binding.iter().find(|(bound, _)| bound == step)?;
        mark.values.get(*slot)?.as_ref()
    })
}

#[derive(Debug, Clone, Copy)]
struct Candidate<'m> {
    place: usize,
    mark: &'m Mark,
}

struct Searcher<'p, 't> {
    pattern: &'p TracePattern,
    tree: &'p Tree<'t>,
    pairs: u64,
}

impl Searcher<'_, '_> {
    fn is_tired(&self) -> bool {
        self.pairs > PAIRS
    }

    /// Drops candidates that fit to none of another step, until none can be dropped: what is left hardly leads astray.
    fn prune(&mut self, steps: &[usize], domains: &mut [Vec<Candidate<'_>>]) {
        for _ in 0..steps.len() {
            let before: usize = domains.iter().map(Vec::len).sum();
            for (one, left) in steps.iter().enumerate() {
                for (other, right) in steps.iter().enumerate() {
                    if one == other || !self.speaks_of(*left, *right) {
                        continue;
                    }
                    let others = domains[other].clone();
                    domains[one].retain(|candidate| {
                        others.iter().any(|found| self.fits(*left, *candidate, *right, *found)) || self.is_tired()
                    });
                }
            }
            if before == domains.iter().map(Vec::len).sum::<usize>() {
                return;
            }
        }
    }

    /// Binds the steps from `bound.len()` on; whether that led to a binding.
    fn bind<'m>(
        &mut self,
        steps: &[usize],
        domains: &[Vec<Candidate<'m>>],
        candidates: &[Vec<Candidate<'m>>],
        bound: &mut Vec<Candidate<'m>>,
    ) -> bool {
        let depth = bound.len();
        let Some(step) = steps.get(depth) else { return self.is_whole(steps, candidates, bound) };
        for candidate in &domains[depth] {
            self.pairs += 1;
            if self.is_tired() {
                return false;
            }
            let fits = self.fits(*step, *candidate, *step, *candidate)
                && (0..depth).all(|earlier| self.fits(*step, *candidate, steps[earlier], bound[earlier]));
            if fits {
                bound.push(*candidate);
                if self.bind(steps, domains, candidates, bound) {
                    return true;
                }
                bound.pop();
            }
        }
        false
    }

    /// Whether what concerns the whole binding holds.
    fn is_whole(&mut self, steps: &[usize], candidates: &[Vec<Candidate<'_>>], bound: &[Candidate<'_>]) -> bool {
        let pattern = self.pattern;
        let binding: Binding<'_> = steps.iter().copied().zip(bound.iter().map(|found| found.mark)).collect();
        if pattern.group.iter().any(|pick| value(pick, &binding).is_none()) {
            return false;
        }
        if !bound.iter().any(|found| self.tree.is_own(found.mark.span)) {
            return false;
        }
        if let Some(path) = &pattern.path {
            let deepest = bound.iter().rev().max_by_key(|found| self.tree.depth(found.place));
            if !deepest.is_some_and(|found| path.matches(&self.tree.services(found.place))) {
                return false;
            }
        }
        let too_few = pattern.counts.iter().any(|(counted, least)| {
            let others = || steps.iter().zip(bound).filter(|(step, _)| *step != counted);
            let mut fits = |candidate: &Candidate<'_>| {
                self.fits(*counted, *candidate, *counted, *candidate)
                    && others().all(|(step, found)| self.fits(*counted, *candidate, *step, *found))
            };
            steps.contains(counted)
                && candidates[*counted].iter().filter(|candidate| fits(candidate)).take(*least).count() < *least
        });
        if too_few {
            return false;
        }
        let mut taken = steps.iter().fold(0, |taken, step| taken | bit(*step));
        for absent in (0..pattern.steps.len()).filter(|step| pattern.is_absent(*step)) {
            let refutes = candidates[absent].iter().any(|candidate| {
                self.fits(absent, *candidate, absent, *candidate)
                    && steps.iter().zip(bound).all(|(step, found)| self.fits(absent, *candidate, *step, *found))
            });
            taken |= if refutes { bit(absent) } else { 0 };
        }
        !self.is_tired() && pattern.holds(taken)
    }

    fn speaks_of(&self, one: usize, other: usize) -> bool {
        let pair = |left: usize, right: usize| (left, right) == (one, other) || (left, right) == (other, one);
        self.pattern.relations.iter().any(|relation| pair(relation.left, relation.right))
            || self.pattern.comparisons.iter().any(|compared| pair(compared.left.0, compared.right.0))
    }

    /// Whether two candidates satisfy all that is said of their two steps; with one step twice, all that is said of it.
    fn fits(&mut self, one: usize, left: Candidate<'_>, other: usize, right: Candidate<'_>) -> bool {
        self.pairs += 1;
        let of = |step: usize| if step == one { left } else { right };
        let pair = |a: usize, b: usize| (a, b) == (one, other) || (a, b) == (other, one);
        let lies = |relation: &Relation| {
            if !pair(relation.left, relation.right) {
                return true;
            }
            let (from, to) = (of(relation.left), of(relation.right));
            match relation.how {
                How::Precedes => (from.mark.at, from.mark.order) < (to.mark.at, to.mark.order),
                how => self.tree.lies(from.place, how, to.place),
            }
        };
        let compares = |compared: &Comparison| {
            if !pair(compared.left.0, compared.right.0) {
                return true;
            }
            let text = |(step, slot): (usize, usize)| of(step).mark.values.get(slot)?.as_deref();
            match (text(compared.left), text(compared.right)) {
                (Some(a), Some(b)) => a.eq_ignore_ascii_case(b) == compared.same,
                _ => false,
            }
        };
        self.pattern.relations.iter().all(lies) && self.pattern.comparisons.iter().all(compares)
    }
}
