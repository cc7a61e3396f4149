//! What an acknowledgement costs in CPU before its fsync: from the bytes of a request to columns and a frame in the log.

use std::time::Instant;

use collect::redaction::{MasterKey, Policy, Settings};
use model::{Signal, TenantId, UnixNanos};
use otlp::{Arrival, Format};
use runtime::Random;
use runtime::keyring::Secret;

use crate::corpus::Corpus;
use crate::{median, prost_path};

/// Rounds over the whole corpus; the median is reported.
const ROUNDS: usize = 5;

/// Prints one line per step: microseconds of CPU a span on one thread, medians of [`ROUNDS`].
pub fn run(corpus: &Corpus) {
    let arrival = Arrival { received_at: UnixNanos(1), key_id: Some("key".into()), ..Arrival::default() };
    let own = time(corpus, |body| {
        let decoded = otlp::decode(Signal::Spans, Format::Protobuf, body, &arrival);
        decoded.expect("the corpus is valid").records.num_rows()
    });
    let prost = time(corpus, |body| prost_path::decode(body).num_rows());
    let key = MasterKey::new(&[7; MasterKey::MIN_BYTES]).expect("long enough");
    let policy = Policy::compile(&Settings::default(), key).expect("the defaults are valid");
    let tenant = TenantId::default_tenant();
    let redaction = time(corpus, |body| {
        let rewritten = policy.redact(&tenant, Signal::Spans, body);
        rewritten.expect("the corpus is valid").payload.len()
    });
    let checksum = time(corpus, |body| {
        std::hint::black_box(crc32c::crc32c(body));
        1
    });
    let secret = Secret::random();
    let sealed = time(corpus, |body| secret.derive(&Random.bytes(), b"bench").seal_bytes(body, b"context").len());
    println!("| step of an acknowledgement | CPU us/span | |");
    println!("|---|---|---|");
    println!("| redaction, the default policy | {redaction:.2} | |");
    println!("| to columns, `otlp::decode` | {own:.2} | |");
    println!("| checksum of the frame | {checksum:.2} | |");
    println!("| encryption of the frame, if it is on | {sealed:.3} | |");
    println!("| **together, without encryption** | **{:.2}** | |", redaction + own + checksum);
    println!("| to columns through prost types and the same builders | {prost:.2} | {:.1}x ours |\n", prost / own);
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
