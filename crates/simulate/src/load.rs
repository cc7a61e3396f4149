//! Bulk bodies for benchmarks, and one big trace for the waterfall.

use proto::trace::v1::Span;

use crate::attribute::int;
use crate::batch::{Export, MAX_SPANS_PER_EXPORT, span_exports};
use crate::dice::{Dice, Stream};
use crate::journey::{Act, Request};
use crate::people;
use crate::service::{Instance, Service};
use crate::shop;
use crate::weave::{Statement, Weave};

/// Event time between the traces of a load, one millisecond: a thousand traces per second.
const NANOS_BETWEEN_TRACES: u64 = 1_000_000;
/// Rows of a big trace that are worked on side by side.
const LANES: u64 = 6;
const ROWS_PER_CHUNK: u64 = 24;

/// A trace with a chosen number of spans.
#[derive(Debug, Clone)]
pub struct BigTrace {
    /// Its id.
    pub trace_id: [u8; 16],
    /// Its spans, parents before children, at most [`MAX_SPANS_PER_EXPORT`] in one export.
    pub exports: Vec<Export>,
}

/// Export requests with exactly `n_spans` spans in all, of the shop's usual kinds, from `start_unix_nanos` on; full ones
/// of [`MAX_SPANS_PER_EXPORT`] except the last. Made one at a time, so a load may be larger than memory. Every seed has
/// trace ids of its own.
pub fn load(seed: u64, n_spans: u64, start_unix_nanos: u64) -> impl Iterator<Item = Export> {
    let mut left = n_spans;
    let mut number = 0;
    let mut spans: Vec<(Instance, Span)> = Vec::new();
    std::iter::from_fn(move || {
        let wanted = usize::try_from(left).map_or(MAX_SPANS_PER_EXPORT, |left| left.min(MAX_SPANS_PER_EXPORT));
        if wanted == 0 {
            return None;
        }
        let mut at = start_unix_nanos;
        while spans.len() < wanted {
            at = start_unix_nanos + number * NANOS_BETWEEN_TRACES;
            spans.extend(one_of_the_usual(seed, number, at));
            number += 1;
        }
        left -= wanted as u64;
        let rest = spans.split_off(wanted);
        span_exports(seed, at, std::mem::replace(&mut spans, rest)).pop()
    })
}

fn one_of_the_usual(seed: u64, number: u64, at_unix_nanos: u64) -> Vec<(Instance, Span)> {
    let mut dice = Dice::new(seed, Stream::Load, number, 0);
    let act = dice.weighted(&[
        (30, Act::Browse),
        (25, Act::Product),
        (15, Act::Search),
        (12, Act::AddToCart),
        (6, Act::Checkout),
        (6, Act::OrderHistory),
        (6, Act::Login { right_password: true }),
    ]);
    let visitor = people::customer(seed, &mut dice).into();
    // the journey key is out of the range of ordinary traffic, so the trace ids are too
    let request = Request { at_unix_nanos, journey: u64::MAX - number, step: 0, act, visitor, known: true };
    shop::perform(seed, &request).spans
}

const ROW_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "products",
    sql: "SELECT id, version FROM products WHERE sku = $1",
    median_micros: 600,
};
const ROW_UPDATE: Statement = Statement {
    operation: "UPDATE",
    table: "products",
    sql: "UPDATE products SET price_cents = $2, version = version + 1 WHERE id = $1",
    median_micros: 1_100,
};

/// One trace with exactly `spans` spans (at least 1, at most a million): a partner's catalogue import, in chunks, with
/// rows worked on side by side. Its tree is up to eleven spans deep and its children lie within their parents.
pub fn big_trace(seed: u64, spans: usize, start_unix_nanos: u64) -> BigTrace {
    let spans = spans.clamp(1, 1_000_000);
    let mut weave = Weave::scripted(Dice::new(seed, Stream::Load, u64::MAX, spans as u64), start_unix_nanos);
    let w = &mut weave;
    w.serve(Service::Gateway, "POST /partner/v1/import".to_owned(), |w| {
        w.http(Service::AdminApi, "POST", "/v1/imports", "/v1/imports", |w| {
            let mut chunk = 0;
            while w.span_count() < spans {
                w.step("import chunk", 300, |w| {
                    w.tag(int("shop.chunk", chunk));
                    import_chunk(w, spans);
                });
                chunk += 1;
            }
        });
    });
    let mut woven = weave.finish();
    // parents come before their children, so what is left is a whole tree
    woven.spans.truncate(spans);
    let trace_id = woven.trace_id.as_slice().try_into().unwrap_or_default();
    BigTrace { trace_id, exports: span_exports(seed, woven.end_unix_nanos, woven.spans) }
}

fn import_chunk(w: &mut Weave, spans: usize) {
    for row in 0..ROWS_PER_CHUNK / LANES {
        let started = w.now();
        let mut latest = started;
        for lane in 0..LANES {
            if w.span_count() >= spans {
                break;
            }
            w.resume_at(started);
            import_row(w, row * LANES + lane);
            latest = latest.max(w.now());
        }
        w.resume_at(latest);
    }
}

fn import_row(w: &mut Weave, row: u64) {
    w.step("import row", 60, |w| {
        w.tag(int("shop.row", row));
        w.http(Service::Catalog, "PUT", "/v1/products/{product_id}", &format!("/v1/products/{row}"), |w| {
            w.query(&ROW_SELECT, 1);
            w.step("apply price", 80, |w| {
                if row.is_multiple_of(3) {
                    w.rpc(Service::Orders, "shop.orders.v1.Orders/Reprice", |w| w.query(&ROW_UPDATE, 1));
                }
            });
            w.query(&ROW_UPDATE, 1);
        });
    });
}
