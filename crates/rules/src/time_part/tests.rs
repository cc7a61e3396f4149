//! Times are read in the forms that senders write.

use super::TimePart;

#[test]
fn parts_are_read_as_they_are_written() {
    let parts = [TimePart::Year, TimePart::Month, TimePart::Day, TimePart::Week, TimePart::Hour, TimePart::Minute];
    let read = |text: &str| parts.map(|part| part.of(text));
    let expected = [2026, 1, 4, 1, 23, 5].map(Some);
    for text in [
        "2026-01-04T23:05:09Z",
        "2026-01-04T23:05:09.123456+14:00",
        "2026-01-04 23:05:09",
        "2026-01-04T23:05",
        "1767567909",
        "1767567909000",
        "1767567909000000",
        "1767567909123456789",
    ] {
        assert_eq!(read(text), expected, "{text}");
    }
    assert_eq!(read("2026-01-05"), [Some(2026), Some(1), Some(5), Some(2), None, None]);
    assert_eq!(TimePart::Hour.of("-100000000"), Some(14));
    for text in ["", "4624", "soon", "2026-13-01", "99999999999999999999", "1969-12-31T24:00:00Z"] {
        assert_eq!(TimePart::Year.of(text), None, "{text}");
    }
}
