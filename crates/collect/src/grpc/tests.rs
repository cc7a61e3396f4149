//! Prefixes, timeouts and texts of gRPC.

use super::*;

#[test]
fn a_message_is_taken_out_of_its_prefix_or_refused() {
    let unframed = |bytes: &'static [u8]| unframe(Bytes::from_static(bytes), Encoding::Gzip, 10);
    assert!(matches!(unframed(b"\0\0\0\0\x02ab"), Ok((message, Encoding::Identity)) if &message[..] == b"ab"));
    assert!(matches!(unframed(b"\x01\0\0\0\x02ab"), Ok((_, Encoding::Gzip))));
    assert!(matches!(unframed(b"\0\0\0\0\0"), Ok((message, _)) if message.is_empty()));
    for wrong in [&b""[..], b"\0\0\0", b"\0\0\0\0\x02a", b"\0\0\0\0\x01ab", b"\x02\0\0\0\x01a"] {
        assert!(matches!(unframed(wrong), Err(Refusal::Framing(_))), "{wrong:?}");
    }
    assert!(matches!(unframed(b"\0\xff\0\0\0"), Err(Refusal::TooLarge { .. })));
    let unnamed = unframe(Bytes::from_static(b"\x01\0\0\0\x01a"), Encoding::Identity, 10);
    assert!(matches!(unnamed, Err(Refusal::Framing(_))));
}

#[test]
fn timeouts_have_a_unit() {
    let parsed = |text| parse_timeout(&HeaderValue::from_static(text));
    assert_eq!(parsed("10S"), Some(Duration::from_secs(10)));
    assert_eq!(parsed("250m"), Some(Duration::from_millis(250)));
    assert_eq!(parsed("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
    for wrong in ["", "S", "10", "-1S", "123456789S", "1x"] {
        assert_eq!(parsed(wrong), None, "{wrong:?}");
    }
}

#[test]
fn texts_survive_headers() {
    assert_eq!(percent_encode("100% ä\n"), "100%25 %C3%A4%0A");
}
