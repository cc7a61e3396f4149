//! The search against one that tries everything, on small random trees.

use std::sync::Arc;

use model::{EventId, SpanId};

use super::binding::{self, Search};
use super::path::ServicePath;
use super::relation::{How, Relation, contradiction};
use super::tree::{Span, Tree};
use super::{Comparison, Mark, TracePattern, bit};
use crate::expression::Expression;

/// The same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn id(number: usize) -> SpanId {
    SpanId([1, 0, 0, 0, 0, 0, 0, number as u8])
}

/// Spans in order of time; parents anywhere, missing ones and circles among them.
fn trace(dice: &mut Dice) -> Vec<Span> {
    let size = 1 + dice.roll(7);
    let span = |number: usize, dice: &mut Dice| Span {
        at: (number / 2) as i64,
        id: id(number),
        parent: (dice.roll(5) > 0).then(|| id(dice.roll(size + 1))),
        service: ["a", "b", "c"][dice.roll(3)].into(),
        sampling: 0,
    };
    (0..size).map(|number| span(number, dice)).collect()
}

fn pattern(dice: &mut Dice) -> TracePattern {
    let steps = 2 + dice.roll(3);
    let absent = if dice.roll(2) == 0 { bit(steps - 1) } else { 0 };
    let atoms = (0..steps).map(Expression::Atom);
    let parts =
        atoms.enumerate().map(|(step, atom)| if absent & bit(step) != 0 { Expression::not(atom) } else { atom });
    let relation = |dice: &mut Dice| {
        let left = dice.roll(steps);
        let right = (left + 1 + dice.roll(steps - 1)) % steps;
        Relation { left, how: How::ALL[dice.roll(4)], right }
    };
    let compared = |dice: &mut Dice| Comparison {
        left: (dice.roll(steps - 1), 0),
        right: (dice.roll(steps), 0),
        same: dice.roll(2) == 0,
    };
    TracePattern {
        steps: (0..steps).map(|step| format!("s{step}")).collect(),
        expression: Some(Expression::all(parts.collect())),
        absent,
        choices: vec![(0..steps).fold(0, |all, step| all | bit(step)) & !absent],
        relations: (0..dice.roll(4)).map(|_| relation(dice)).collect(),
        comparisons: (0..dice.roll(2)).map(|_| compared(dice)).collect(),
        counts: if dice.roll(3) == 0 { vec![(0, 2 + dice.roll(2))] } else { Vec::new() },
        path: (dice.roll(3) == 0)
            .then(|| ServicePath::parse(["a > **", "** > b", "* > ** > c"][dice.roll(3)]).expect("a path")),
        ..TracePattern::default()
    }
}

fn marks(dice: &mut Dice, spans: &[Span], steps: usize) -> Vec<Mark> {
    let mut marks = Vec::new();
    for span in spans {
        for step in (0..steps).filter(|_| dice.roll(2) == 0).collect::<Vec<_>>() {
            let value = (dice.roll(4) > 0).then(|| Arc::from(["u", "U", "v"][dice.roll(3)]));
            let event = EventId::External(span.id.to_string());
            marks.push(Mark {
                at: span.at,
                order: (0, u32::from(span.id.0[7])),
                span: span.id,
                step,
                event,
                values: Box::new([value]),
            });
        }
    }
    marks
}

/// Parents above a span, by their links, as long as they are no circle.
fn above(spans: &[Span], at: usize) -> Option<Vec<usize>> {
    let mut chain = Vec::new();
    let mut next = spans[at].parent;
    while let Some(place) = next.and_then(|parent| spans.iter().position(|span| span.id == parent)) {
        chain.push(place);
        if chain.len() > spans.len() {
            return None;
        }
        next = spans[place].parent;
    }
    Some(chain)
}

fn lies(spans: &[Span], left: usize, how: How, right: usize) -> bool {
    match how {
        How::ChildOf => above(spans, left).is_some() && spans[left].parent == Some(spans[right].id),
        How::DescendantOf => above(spans, left).is_some_and(|chain| chain.contains(&right)),
        How::SiblingOf => left != right && spans[left].parent.is_some() && spans[left].parent == spans[right].parent,
        How::Precedes => left < right,
        How::LinkedTo => false,
    }
}

/// Whether the demands between steps that have a span hold.
fn demands(pattern: &TracePattern, spans: &[Span], bound: &[Option<&Mark>]) -> bool {
    let place = |mark: &Mark| spans.iter().position(|span| span.id == mark.span).expect("a span of the trace");
    pattern.relations.iter().all(|relation| match (bound[relation.left], bound[relation.right]) {
        (Some(left), Some(right)) => lies(spans, place(left), relation.how, place(right)),
        _ => true,
    }) && pattern.comparisons.iter().all(|compared| match (bound[compared.left.0], bound[compared.right.0]) {
        (Some(left), Some(right)) => match (&left.values[0], &right.values[0]) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other) == compared.same,
            _ => false,
        },
        _ => true,
    })
}

/// Tries every span for every step.
fn brute(pattern: &TracePattern, spans: &[Span], marks: &[Mark], bound: &mut Vec<Option<Mark>>) -> bool {
    let step = bound.len();
    if step < pattern.steps.len() {
        let of_step =
            marks.iter().filter(|mark| mark.step == step && !pattern.is_absent(step)).map(|mark| Some(mark.clone()));
        let none = pattern.is_absent(step).then_some(None);
        return of_step.chain(none).any(|choice| {
            bound.push(choice);
            let found = brute(pattern, spans, marks, bound);
            bound.pop();
            found
        });
    }
    let refs: Vec<Option<&Mark>> = bound.iter().map(Option::as_ref).collect();
    if !demands(pattern, spans, &refs) {
        return false;
    }
    let too_few = pattern.counts.iter().any(|(step, least)| {
        let fits = |mark: &&Mark| {
            let mut with = refs.clone();
            with[*step] = Some(mark);
            mark.step == *step && demands(pattern, spans, &with)
        };
        marks.iter().filter(fits).count() < *least
    });
    let is_refuted = marks.iter().filter(|mark| pattern.is_absent(mark.step)).any(|mark| {
        let mut with = refs.clone();
        with[mark.step] = Some(mark);
        demands(pattern, spans, &with)
    });
    let depth = |mark: &&Mark| {
        let place = spans.iter().position(|span| span.id == mark.span).expect("a span of the trace");
        (above(spans, place).map_or(0, |chain| chain.len()), place)
    };
    let deepest = refs.iter().rev().flatten().max_by_key(|mark| depth(mark).0).map(|mark| depth(mark).1);
    let fits = pattern.path.as_ref().zip(deepest).is_none_or(|(path, place)| {
        let chain = above(spans, place).unwrap_or_default();
        let mut services: Vec<&str> = chain.iter().rev().chain([&place]).map(|place| &*spans[*place].service).collect();
        services.dedup();
        path.matches(&services)
    });
    !is_refuted && !too_few && fits
}

#[test]
fn the_search_finds_what_trying_everything_finds() {
    let mut dice = Dice(0x5eed_1234_5678);
    let (mut found, mut refused) = (0, 0);
    for round in 0..30_000 {
        let (spans, pattern) = (trace(&mut dice), pattern(&mut dice));
        let marks = marks(&mut dice, &spans, pattern.steps.len());
        let expected = brute(&pattern, &spans, &marks, &mut Vec::new());
        let tree = Tree::new(&spans);
        match binding::find(&pattern, &tree, marks.iter()).0 {
            Search::Found(binding) => {
                let mut bound: Vec<Option<&Mark>> = vec![None; pattern.steps.len()];
                binding.iter().for_each(|(step, mark)| bound[*step] = Some(mark));
                assert!(
                    expected && demands(&pattern, &spans, &bound),
                    "round {round}: {pattern:?} {spans:?} {marks:?}"
                );
                assert_eq!(
                    contradiction(
                        pattern.steps.len(),
                        &pattern
                            .relations
                            .iter()
                            .copied()
                            .filter(|one| !pattern.is_absent(one.left) && !pattern.is_absent(one.right))
                            .collect::<Vec<_>>()
                    ),
                    None,
                    "round {round}: {pattern:?}"
                );
                found += 1;
            }
            Search::Nothing => assert!(!expected, "round {round}: {pattern:?} {spans:?} {marks:?}"),
            Search::GaveUp => panic!("round {round}: gave up on {} spans", spans.len()),
        }
        refused += usize::from(!expected);
    }
    assert!(found > 3_000 && refused > 3_000, "found {found}, refused {refused}");
}

#[test]
fn relations_that_no_trace_satisfies_are_known() {
    let relations = |text: &str| -> Vec<Relation> {
        let one = |part: &str| {
            let words: Vec<&str> = part.split_whitespace().collect();
            let step = |word: &str| usize::from(word.as_bytes()[0] - b'a');
            let how = How::ALL.into_iter().find(|how| how.as_str() == words[1]).expect("a relation");
            Relation { left: step(words[0]), how, right: step(words[2]) }
        };
        text.split(',').map(one).collect()
    };
    for (text, first_wrong) in [
        ("a child_of b, b child_of a", Some(1)),
        ("a descendant_of b, b child_of c, c descendant_of a", Some(2)),
        ("a sibling_of b, a descendant_of b", Some(1)),
        ("a sibling_of b, a child_of c, c descendant_of b", Some(2)),
        ("a sibling_of b, b sibling_of c, a child_of c", Some(2)),
        ("a precedes b, b precedes c, c precedes a", Some(2)),
        ("a precedes a", Some(0)),
        ("a child_of b, a child_of c, b precedes c", None),
        ("a child_of b, b precedes a, a descendant_of c, c sibling_of d", None),
        ("a sibling_of b, b sibling_of c, a precedes c", None),
    ] {
        assert_eq!(contradiction(4, &relations(text)), first_wrong, "{text}");
    }
}

#[test]
fn a_path_is_walked_from_the_top() {
    let fits = |path: &str, services: &str| {
        ServicePath::parse(path).expect("a path").matches(&services.split_whitespace().collect::<Vec<_>>())
    };
    for (path, services) in [
        ("gateway > ** > *", "gateway images"),
        ("gateway > ** > *", "gateway shop cart images"),
        ("**", "a"),
        ("** > image-* > **", "gateway image-provider cdn"),
        ("Gateway > ?rders", "gateway orders"),
    ] {
        assert!(fits(path, services), "{path} | {services}");
    }
    for (path, services) in
        [("gateway > ** > *", "gateway"), ("gateway > *", "gateway a b"), ("** > a", "a b"), ("a > ** > a", "a")]
    {
        assert!(!fits(path, services), "{path} | {services}");
    }
    for wrong in ["", "a >", "a > > b", "a > **b", "a b > c"] {
        assert!(ServicePath::parse(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_trace_flooded_with_matches_is_given_up_and_never_walked_for_ever() {
    let steps = 8;
    let spans: Vec<Span> = (0..256_usize)
        .map(|n| Span {
            at: n as i64,
            id: SpanId([1, 0, 0, 0, 0, 0, 0, n as u8]),
            parent: None,
            service: "s".into(),
            sampling: 0,
        })
        .collect();
    let mark = |step: usize, span: &Span| Mark {
        at: span.at,
        order: (0, 0),
        span: span.id,
        step,
        event: EventId::External(String::new()),
        values: Box::new([]),
    };
    let marks: Vec<Mark> = (0..steps).flat_map(|step| spans.iter().map(move |span| mark(step, span))).collect();
    let pattern = TracePattern {
        steps: (0..steps).map(|step| step.to_string()).collect(),
        choices: vec![u8::MAX],
        path: Some(ServicePath::parse("t").expect("a path")),
        ..TracePattern::default()
    };
    assert_eq!(binding::find(&pattern, &Tree::new(&spans), marks.iter()).0, Search::GaveUp);
}
