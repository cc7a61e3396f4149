//! One message, whole, or none.

use super::*;

#[test]
fn a_message_is_taken_out_of_its_prefix_or_refused() {
    let unframed = |body: &'static [u8]| unframe(body, 10);
    assert_eq!(unframed(b"\0\0\0\0\x02ab"), Ok(Unframed { is_compressed: false, message: b"ab" }));
    assert_eq!(unframed(b"\x01\0\0\0\x02ab"), Ok(Unframed { is_compressed: true, message: b"ab" }));
    assert_eq!(unframed(b"\0\0\0\0\0"), Ok(Unframed { is_compressed: false, message: b"" }));
    assert_eq!(unframe(&frame(b"ab"), 10), unframed(b"\0\0\0\0\x02ab"), "as answers are framed");
    for wrong in [&b""[..], b"\0\0\0", b"\0\0\0\0\x02a", b"\0\0\0\0\x01ab", b"\x02\0\0\0\x01a"] {
        assert!(matches!(unframed(wrong), Err(FramingError::Malformed(_))), "{wrong:?}");
    }
    assert_eq!(unframed(b"\0\xff\0\0\0"), Err(FramingError::TooLarge { limit_bytes: 10 }));
}
