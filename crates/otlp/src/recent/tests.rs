//! What was read before is found by its very bytes, and by nothing else.

use super::*;

fn read(bytes: &[u8], id: i32) -> Read<'_> {
    Read { bytes, said: Said::Other, place: Place::Label { column: 0, id }, clue: None }
}

fn id_of(found: Option<Read<'_>>) -> Option<i32> {
    match found?.place {
        Place::Label { id, .. } => Some(id),
        _ => None,
    }
}

#[test]
fn only_the_very_same_bytes_are_found() {
    let mut recent = Recent::new(64);
    recent.put(read(b"http.request.method GET", 1));
    assert_eq!(id_of(recent.get(b"http.request.method GET")), Some(1));
    assert_eq!(id_of(recent.get(b"http.request.method PUT")), None);
    assert_eq!(id_of(recent.get(b"http.request.method")), None);
    assert_eq!(id_of(recent.get(b"")), None);
}

#[test]
fn a_message_takes_the_place_of_another_in_its_slot() {
    // a middle and an end of zeros and one length: one slot for all
    let messages: Vec<_> = (0..100_u8).map(|first| [&[first][..], &[0; 40]].concat()).collect();
    let mut recent = Recent::new(64);
    for (id, bytes) in messages.iter().enumerate() {
        recent.put(read(bytes, id as i32));
        assert_eq!(id_of(recent.get(bytes)), Some(id as i32));
    }
    assert_eq!(id_of(recent.get(&messages[0])), None);
}

#[test]
fn short_messages_are_told_apart() {
    let mut recent = Recent::new(64);
    for (id, bytes) in [&b"a"[..], b"b", b"ab", b"abcdefg"].into_iter().enumerate() {
        recent.put(read(bytes, id as i32));
        assert_eq!(id_of(recent.get(bytes)), Some(id as i32));
    }
    assert_eq!(id_of(recent.get(b"c")), None);
}
