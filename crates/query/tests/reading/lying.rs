//! An index that denies rows that are there is caught, counted, and not asked again; one that is damaged is not asked.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use model::Signal;
use query::{Limits, LogSearch};
use runtime::metric;

use crate::support::{House, LAST_HOUR, Lie, acme, logs, record, span, spans, trace_id};

/// Bytes of a sidecar before its table of sections, and of a line of the table; see `lake::sidecar`.
const HEAD_BYTES: usize = 36;
const LINE_BYTES: usize = 24;
/// The filter over the traces of a file, and the filters over the words of its slices.
const TRACES: u32 = 1;
const WORDS: u32 = 16;
const FILTER_HEAD_BYTES: usize = 20;

/// Counts how often an index was caught, in this process.
struct Caught(Arc<AtomicU64>);

struct Tally(Arc<AtomicU64>);

impl CounterFn for Tally {
    fn increment(&self, by: u64) {
        self.0.fetch_add(by, Ordering::SeqCst);
    }

    fn absolute(&self, _: u64) {}
}

impl Recorder for Caught {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let is_lies = key.name() == metric::LAKE_INDEX_LIES;
        if is_lies { Counter::from_arc(Arc::new(Tally(Arc::clone(&self.0)))) } else { Counter::noop() }
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// A house in which every answer of an index is compared, or every `check_every`th.
async fn house(check_every: u64) -> House {
    House::with_limits(Limits { index_check_every: check_every, ..Limits::default() }).await
}

/// Makes the filters of one kind in the sidecar of every file deny what is there; the checksums are right again.
fn make_lie(house: &House, signal: Signal, kind: u32) {
    for file in house.lake.snapshot(&acme(), signal, LAST_HOUR).files {
        let path = file.index_path();
        let mut bytes = fs::read(&path).unwrap();
        let sections = number(&bytes, 32) as usize;
        let table_end = HEAD_BYTES + sections * LINE_BYTES;
        let mut lied = 0;
        for line in (HEAD_BYTES..table_end).step_by(LINE_BYTES) {
            if number(&bytes, line) != kind {
                continue;
            }
            let (start, length) = (number(&bytes, line + 4) as usize, number(&bytes, line + 12) as usize);
            let section = &mut bytes[start..start + length];
            if kind == TRACES {
                lied += flip(section);
            } else {
                let mut at = 4;
                while at < section.len() {
                    let filter = number(section, at) as usize;
                    lied += flip(&mut section[at + 4..at + 4 + filter]);
                    at += 4 + filter;
                }
            }
            let checksum = crc32c::crc32c(&bytes[start..start + length]);
            bytes[line + 20..line + 24].copy_from_slice(&checksum.to_le_bytes());
        }
        assert!(lied > 0, "the sidecar has such a filter");
        let checksum = crc32c::crc32c(&bytes[..table_end]);
        bytes[table_end..table_end + 4].copy_from_slice(&checksum.to_le_bytes());
        fs::write(&path, bytes).unwrap();
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Other fingerprints than those that were found for the hashes; three of them are combined, so all change.
fn flip(filter: &mut [u8]) -> usize {
    filter[FILTER_HEAD_BYTES..].iter_mut().for_each(|fingerprint| *fingerprint ^= 0xff);
    filter.len() - FILTER_HEAD_BYTES
}

async fn filled_with_logs(check_every: u64) -> House {
    let house = house(check_every).await;
    let lines =
        [record("pay", "payment declined for order 77", 9, 3_600_000 - 5_000), record("pay", "ready", 9, 3_590_000)];
    house.fill(Lie::Merged, &[logs(&lines)]).await;
    house
}

async fn declined(house: &House) -> Vec<String> {
    house.find_logs(|search| search.word = Some("declined".into())).await
}

#[tokio::test]
async fn an_index_that_lies_about_words_or_traces_is_caught() {
    let caught = Arc::new(AtomicU64::new(0));
    metrics::set_global_recorder(Caught(Arc::clone(&caught))).map_err(|_| "a recorder is there").unwrap();
    let line = ["payment declined for order 77"];

    // the lie works: where nobody looks, it loses a row
    let deceived = filled_with_logs(u64::MAX).await;
    make_lie(&deceived, Signal::Logs, WORDS);
    assert_eq!(declined(&deceived).await, [] as [&str; 0]);
    assert_eq!(caught.load(Ordering::SeqCst), 0);

    // where somebody looks, it does not, and the next answer comes without the index
    let house = filled_with_logs(1).await;
    make_lie(&house, Signal::Logs, WORDS);
    assert_eq!(declined(&house).await, line);
    assert_eq!(caught.load(Ordering::SeqCst), 1);
    assert_eq!(declined(&house).await, line);
    let search = LogSearch { regex: Some("payment declined for".into()), ..LogSearch::in_range(LAST_HOUR, 10) };
    assert_eq!(house.query.count_logs(&acme(), search).await.unwrap(), 1);
    assert_eq!(caught.load(Ordering::SeqCst), 1, "it is not asked any more");

    let made = [span(7, 1, "auth", "op", 3_590_000)];
    let deceived = self::house(u64::MAX).await;
    deceived.fill(Lie::Merged, &[spans(&made)]).await;
    make_lie(&deceived, Signal::Spans, TRACES);
    assert!(deceived.query.trace(&acme(), trace_id(7)).await.unwrap().is_none());

    let house = self::house(1).await;
    house.fill(Lie::Merged, &[spans(&made)]).await;
    make_lie(&house, Signal::Spans, TRACES);
    assert!(house.query.trace(&acme(), trace_id(7)).await.unwrap().is_some());
    assert_eq!(caught.load(Ordering::SeqCst), 2);
    assert!(house.query.trace(&acme(), trace_id(7)).await.unwrap().is_some());
    assert_eq!(caught.load(Ordering::SeqCst), 2, "it is not asked any more");
}

#[tokio::test]
async fn a_denial_that_is_right_is_not_taken_for_a_lie() {
    let house = filled_with_logs(1).await;
    for _ in 0..3 {
        assert_eq!(declined(&house).await.len(), 1);
        assert!(house.find_logs(|search| search.word = Some("nowhere".into())).await.is_empty());
    }
    // the second answer is compared; the third is believed again, as its file is gone and nobody looks into it
    let house = filled_with_logs(2).await;
    assert!(house.find_logs(|search| search.word = Some("nowhere".into())).await.is_empty());
    assert!(house.find_logs(|search| search.word = Some("nowhere".into())).await.is_empty());
    for file in house.lake.snapshot(&acme(), Signal::Logs, LAST_HOUR).files {
        fs::remove_file(&file.path).unwrap();
    }
    assert!(house.find_logs(|search| search.word = Some("nowhere".into())).await.is_empty());
}

#[tokio::test]
async fn a_damaged_index_of_words_means_a_scan() {
    let house = filled_with_logs(u64::MAX).await;
    for file in house.lake.snapshot(&acme(), Signal::Logs, LAST_HOUR).files {
        let mut bytes = fs::read(file.index_path()).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(file.index_path(), bytes).unwrap();
    }
    assert_eq!(declined(&house).await.len(), 1);
    let house = filled_with_logs(u64::MAX).await;
    for file in house.lake.snapshot(&acme(), Signal::Logs, LAST_HOUR).files {
        fs::remove_file(file.index_path()).unwrap();
    }
    assert_eq!(declined(&house).await.len(), 1);
}

#[tokio::test]
async fn a_file_of_logs_without_the_word_stays_closed() {
    let house = filled_with_logs(u64::MAX).await;
    for file in house.lake.snapshot(&acme(), Signal::Logs, LAST_HOUR).files {
        fs::remove_file(&file.path).unwrap();
    }
    let asked = |change: fn(&mut LogSearch)| house.find_logs(change);
    assert!(asked(|search| search.word = Some("refused".into())).await.is_empty());
    assert!(asked(|search| search.text = Some("was refused by".into())).await.is_empty());
    assert!(asked(|search| search.regex = Some(r"\d+ (?i:refused) \d+".into())).await.is_empty());
    // what may go on into a longer word is not certain: the file is looked into, and is not there
    let search = LogSearch { text: Some("refused".into()), ..LogSearch::in_range(LAST_HOUR, 10) };
    house.query.search_logs(&acme(), search).await.unwrap_err();
}
