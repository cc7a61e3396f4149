//! What an acknowledgement costs in CPU before its fsync: from the bytes of a request to columns and a frame in the log.

use std::time::Instant;

use model::{Signal, UnixNanos};
use otlp::{Arrival, Format};

use crate::corpus::Corpus;
use crate::{median, prost_path};

/// Rounds over the whole corpus; the median is reported.
const ROUNDS: usize = 5;

/// Prints one line per way through the decoder: microseconds of CPU a span, medians of [`ROUNDS`].
pub fn run(corpus: &Corpus) {
    let arrival = Arrival { received_at: UnixNanos(1), key_id: Some("key".into()), ..Arrival::default() };
    let own = time(corpus, |body| {
        let decoded = otlp::decode(Signal::Spans, Format::Protobuf, body, &arrival);
        decoded.expect("the corpus is valid").records.num_rows()
    });
    let prost = time(corpus, |body| prost_path::decode(body).num_rows());
    let checksum = time(corpus, |body| {
        std::hint::black_box(crc32c::crc32c(body));
        1
    });
    println!("| to columns | CPU us/span | against ours |");
    println!("|---|---|---|");
    println!("| borrowed walk, `otlp::decode` | {own:.2} | |");
    println!("| prost types, then the same builders | {prost:.2} | {:.1}x |", prost / own);
    println!("| (checksum of the frame, part of the log) | {checksum:.2} | |\n");
}

fn time(corpus: &Corpus, mut read: impl FnMut(&[u8]) -> usize) -> f64 {
    let rounds = (0..ROUNDS).map(|_| {
        let started = Instant::now();
        for (body, _) in &corpus.bodies {
            std::hint::black_box(read(body));
        }
        started.elapsed().as_secs_f64() * 1e6 / corpus.spans as f64
    });
    median(rounds.collect())
}
