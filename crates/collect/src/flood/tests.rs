//! Frames are counted however they are cut, and only those that carry nothing.

use super::*;

const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];

fn data(length: u16) -> Vec<u8> {
    let [high, low] = length.to_be_bytes();
    let mut frame = vec![0, high, low, DATA, 0, 0, 0, 0, 1];
    frame.resize(HEAD_BYTES + usize::from(length), 7);
    frame
}

#[test]
fn frames_are_counted_however_the_bytes_are_cut() {
    let stream = [PREFACE, &PING, &data(200), &data(0), &data(127), &data(128), &PING].concat();
    for piece_bytes in [1, 2, 7, 9, 10, 100, stream.len()] {
        let mut frames = Frames::Preface { seen: 0 };
        let tiny: u32 = stream.chunks(piece_bytes).map(|piece| frames.feed(piece)).sum();
        assert_eq!(tiny, 4, "two pings and two small pieces, in pieces of {piece_bytes} bytes");
    }
}

#[test]
fn http_1_has_no_frames() {
    let mut frames = Frames::Preface { seen: 0 };
    assert_eq!(frames.feed(b"P"), 0);
    assert_eq!(frames.feed(b"OST /v1/traces HTTP/1.1\r\n\r\n"), 0);
    assert_eq!(frames.feed(&[0; 100_000]), 0);
}

#[tokio::test(start_paused = true)]
async fn the_allowance_ends_and_comes_back_with_answers_and_time() {
    let allowance = Allowance::new();
    let mut flood = Flood::new(Arc::clone(&allowance));
    flood.charge(MOST).expect("a burst is fine");
    assert!(flood.charge(1).is_err());
    allowance.answered();
    flood.charge(PER_ANSWER).expect("an answer gives back");
    assert!(flood.charge(1).is_err());
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    flood.charge(2 * PER_SEC).expect("time gives back");
    assert!(flood.charge(1).is_err());
    tokio::time::advance(std::time::Duration::from_secs(1_000)).await;
    flood.charge(MOST).expect("time gives back");
    assert!(flood.charge(1).is_err(), "and never more than the most");
}
