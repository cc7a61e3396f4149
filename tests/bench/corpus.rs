//! The export requests that every benchmark replays.

/// Seed of the corpus, printed with the result.
pub const SEED: u64 = 20_260_101;
/// Distinct spans that are sent round and round.
const SPANS: u64 = 200_000;

/// Bodies as clients send them, with the spans in each.
pub struct Corpus {
    /// OTLP protobuf and its number of spans.
    pub bodies: Vec<(Vec<u8>, u64)>,
    /// Spans of all bodies.
    pub spans: u64,
    /// Bytes of all bodies.
    pub bytes: usize,
}

impl Corpus {
    /// The shop's usual traffic, now.
    pub fn new() -> Self {
        let exports = simulate::load(SEED, SPANS, tests::unix_nanos());
        let bodies: Vec<_> = exports.map(|export| (export.body, export.events as u64)).collect();
        let spans = bodies.iter().map(|(_, spans)| *spans).sum();
        let bytes = bodies.iter().map(|(body, _)| body.len()).sum();
        Self { bodies, spans, bytes }
    }

    /// Spans of a body on average.
    pub fn spans_per_body(&self) -> f64 {
        self.spans as f64 / self.bodies.len() as f64
    }
}
