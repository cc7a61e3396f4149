//! Prefixes, timeouts and texts of gRPC.

use super::*;

#[test]
fn only_what_says_so_is_compressed_and_only_by_what_the_call_names() {
    let unframed = |body, encoding| unframe(&Bytes::from_static(body), encoding, 10);
    assert!(
        matches!(unframed(b"\0\0\0\0\x01a", Encoding::Gzip), Ok((message, Encoding::Identity)) if &message[..] == b"a")
    );
    assert!(matches!(unframed(b"\x01\0\0\0\x01a", Encoding::Gzip), Ok((_, Encoding::Gzip))));
    assert!(matches!(unframed(b"\x01\0\0\0\x01a", Encoding::Identity), Err(Refusal::Framing(_))));
    assert!(matches!(unframed(b"\0\xff\0\0\0", Encoding::Identity), Err(Refusal::TooLarge { limit_bytes: 10 })));
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
