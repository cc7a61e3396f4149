//! Bulk bodies and big traces have the asked size.

use std::collections::BTreeSet;

use crate::reading::events;
use simulate::{MAX_SPANS_PER_EXPORT, big_trace, load};

const START: u64 = 1_767_225_600_000_000_000;

#[test]
fn a_load_has_exactly_the_asked_spans_and_no_id_twice() {
    let exports: Vec<_> = load(9, 10_123, START).collect();
    let sizes: Vec<usize> = exports.iter().map(|export| export.events).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 10_123);
    assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == MAX_SPANS_PER_EXPORT));
    let ids: BTreeSet<_> = exports.iter().flat_map(events).map(|e| (e.trace_id, e.span_id)).collect();
    assert_eq!(ids.len(), 10_123);
    assert_eq!(load(9, 0, START).count(), 0);
    assert!(load(9, 600, START).eq(load(9, 600, START)));
}

#[test]
fn a_big_trace_is_one_whole_tree() {
    for spans in [1, 7, 501, 10_000] {
        let big = big_trace(4, spans, START);
        let events: Vec<_> = big.exports.iter().flat_map(events).collect();
        assert_eq!(events.len(), spans);
        assert!(events.iter().all(|event| event.trace_id == big.trace_id));
        let ids: BTreeSet<_> = events.iter().map(|event| event.span_id.clone()).collect();
        assert_eq!(ids.len(), spans);
        let orphans = events.iter().filter(|event| !ids.contains(&event.parent_span_id)).count();
        assert_eq!(orphans, 1, "only the root has no parent");
    }
}
