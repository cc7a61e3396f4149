//! What is remembered of the spans of a trace besides their places, where rules ask for it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;
use model::SpanId;

use super::links::Link;
use super::tree::Span;
use crate::inherited::facts::{Facts, FactsOf};

/// What a link, and finding a span by its id, take in bytes; estimates that err upwards.
const LINK_BYTES: usize = 40;
const PLACE_BYTES: usize = 32;

/// The spans that spans link to.
pub type LinksOf = HashMap<SpanId, Vec<Link>, RandomState>;

/// What a span says besides its place, as far as rules ask for it.
#[derive(Debug, Default)]
pub struct Told {
    /// What others inherit from it.
    pub facts: Option<Facts>,
    /// The spans it links to.
    pub links: Vec<Link>,
}

/// What the spans of one trace say.
#[derive(Debug, Default)]
pub struct Beside {
    /// What others inherit from them.
    pub facts: FactsOf,
    /// Where they link to.
    pub links: LinksOf,
    /// When each of them ended; `None` until one is asked for by its id.
    places: Option<HashMap<SpanId, i64, RandomState>>,
}

impl Beside {
    /// When a span ended, of several with its id the first. [`Self::index`] must have been called before.
    pub fn ended(&self, id: SpanId) -> Option<i64> {
        self.places.as_ref()?.get(&id).copied()
    }

    /// Makes spans, which are in order of time, findable by their ids; what that takes.
    pub fn index(&mut self, spans: &[Span]) -> usize {
        if self.places.is_some() {
            return 0;
        }
        let mut places: HashMap<SpanId, i64, RandomState> = HashMap::default();
        for span in spans {
            places.entry(span.id).or_insert(span.at);
        }
        let bytes = places.len() * PLACE_BYTES;
        self.places = Some(places);
        bytes
    }

    /// Notes where a span stands and what it says; what that takes.
    pub fn note(&mut self, id: SpanId, at: i64, Told { facts, links }: Told) -> usize {
        let mut bytes = links.len() * LINK_BYTES;
        if !links.is_empty() {
            // a span that comes twice, at two times, links to what either says
            self.links.entry(id).or_default().extend(links);
        }
        if let Some(places) = &mut self.places {
            let place = places.entry(id).or_insert_with(|| {
                bytes += PLACE_BYTES;
                at
            });
            *place = at.min(*place);
        }
        if let (Some(facts), Entry::Vacant(place)) = (facts, self.facts.entry(id)) {
            bytes += facts.bytes();
            place.insert(facts);
        }
        bytes
    }

    /// Forgets spans; what that frees. The others must be made findable anew.
    pub fn forget(&mut self, gone: &[Span]) -> usize {
        let mut freed = self.places.take().map_or(0, |places| places.len() * PLACE_BYTES);
        for span in gone {
            freed += self.facts.remove(&span.id).map_or(0, |facts| facts.bytes());
            freed += self.links.remove(&span.id).map_or(0, |links| links.len() * LINK_BYTES);
        }
        freed
    }

    /// What comes back from a checkpoint takes.
    pub fn bytes(&self) -> usize {
        let links: usize = self.links.values().map(Vec::len).sum();
        self.facts.values().map(Facts::bytes).sum::<usize>() + links * LINK_BYTES
    }
}
