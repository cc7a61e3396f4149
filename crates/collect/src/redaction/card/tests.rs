//! Cards are found as people write them, and ids are not cards.

use super::*;

fn found(text: &str) -> Vec<&str> {
    find(text).into_iter().map(|range| &text[range]).collect()
}

#[test]
fn numbers_of_every_network_are_found_with_and_without_separators() {
    for number in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "5500-0000-0000-0004",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "6011111111111117",
        "3530111333300000",
        "30569309025904",
        "4222222222222",
        "6200000000000005",
    ] {
        assert_eq!(found(&format!("paid with {number}, thanks")), [number]);
        assert_eq!(found(number), [number]);
    }
}

#[test]
fn an_expiry_date_behind_a_number_does_not_hide_it() {
    assert_eq!(found("4111 1111 1111 1111 12/26"), ["4111 1111 1111 1111"]);
    assert_eq!(found("cards 4111111111111111 5500000000000004."), ["4111111111111111", "5500000000000004"]);
}

#[test]
fn ids_times_and_parts_of_words_are_left() {
    for text in [
        "1764000000000000000", // nanoseconds since 1970
        "1764000000000000",    // microseconds
        "4111111111111112",    // wrong last digit
        "9999999999999995",    // Luhn, but no network
        "a4111111111111111",   // part of a hexadecimal id
        "4111111111111111f",
        "0.4111111111111111", // a fraction
        "4111111111111111.5",
        "411111111111111", // too short for its network
        "550e8400-e29b-41d4-a716-446655440000",
        "2024-10-10 12 13 14 15",
        "41111111111111111111111111",
    ] {
        assert!(found(text).is_empty(), "{text}");
    }
}

#[test]
fn the_first_look_takes_ids_and_times_for_what_they_are() {
    for run in ["1764000000000000000", "1764000000000000", "20251126", "2025-11-26 12 30 00 000"] {
        assert!(!may_be_in(run.as_bytes()), "{run}");
    }
    for run in ["4111111111111111", "94111 1111 1111 1111 - 7", &"1 ".repeat(40)] {
        assert!(may_be_in(run.as_bytes()), "{run}");
    }
}
