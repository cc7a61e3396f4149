//! The wire reader agrees with prost on what is a field, and refuses what is damaged.

use super::*;

fn all(bytes: &[u8]) -> Result<Vec<(u32, Payload<'_>)>, DecodeError> {
    let mut fields = Fields::of(bytes, "test");
    let mut found = Vec::new();
    while let Some(field) = fields.next()? {
        found.push(field);
    }
    Ok(found)
}

#[test]
fn every_wire_type_is_read() {
    let mut bytes = Vec::new();
    put_tag(&mut bytes, 1, 0);
    put_varint(&mut bytes, u64::MAX);
    put_tag(&mut bytes, 2, 1);
    bytes.extend(7_u64.to_le_bytes());
    put_bytes(&mut bytes, 3, b"abc");
    put_tag(&mut bytes, 536_870_911, 5);
    bytes.extend(9_u32.to_le_bytes());
    let expected = vec![
        (1, Payload::Varint(u64::MAX)),
        (2, Payload::Fixed64(7)),
        (3, Payload::Bytes(b"abc")),
        (536_870_911, Payload::Fixed32(9)),
    ];
    assert_eq!(all(&bytes), Ok(expected));
}

#[test]
fn groups_are_skipped_with_all_they_hold() {
    // group 2 { 1: varint 5, group 3 {} } then 4: varint 6
    let bytes = [0x13, 0x08, 0x05, 0x1b, 0x1c, 0x14, 0x20, 0x06];
    assert_eq!(all(&bytes), Ok(vec![(4, Payload::Varint(6))]));
    assert!(all(&bytes[..5]).is_err());
    assert!(all(&[0x14]).is_err());
    assert!(all(&[0x13, 0x1c]).is_err());
    assert!(all(&[0x13; 21]).is_err());
}

#[test]
fn damaged_bytes_are_refused() {
    let damaged: [&[u8]; 8] = [
        &[0x80],                                                             // ends inside a tag
        &[0x00, 0x01],                                                       // field number 0
        &[0x08],                                                             // varint missing
        &[0x09, 1, 2, 3],                                                    // fixed64 cut short
        &[0x0a, 0x05, b'a'],                                                 // length past the end
        &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],                         // length far past the end
        &[0x0f, 0x00],                                                       // wire type 7
        &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], // 65 bits
    ];
    for bytes in damaged {
        assert!(all(bytes).is_err(), "{bytes:?}");
    }
}
