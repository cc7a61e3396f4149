//! A MaxMind file is read, replaced, taken away and damaged; places are known as long as any version could be read.

use std::fs;

use pipeline::places::{PlacesFile, check};
use rules::Places as _;

const FILE: &[u8] = include_bytes!("geo/places.mmdb");

fn find(file: &PlacesFile, address: &str) -> Option<(f64, f64, f64)> {
    let place = file.find(address.parse().expect("an address"))?;
    Some((place.latitude, place.longitude, place.radius_km))
}

#[test]
fn addresses_of_both_families_have_places_and_records_without_one_have_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("places.mmdb");
    fs::write(&path, FILE).expect("writes");
    let file = PlacesFile::open(&path);
    assert_eq!(find(&file, "198.51.100.7"), Some((52.52, 13.405, 20.0)));
    assert_eq!(find(&file, "198.51.100.200"), Some((-33.8688, 151.2093, 50.0)));
    assert_eq!(find(&file, "2001:db8:1::9"), Some((48.8566, 2.3522, 100.0)));
    assert_eq!(find(&file, "203.0.113.5"), None, "its record names a country only");
    assert_eq!(find(&file, "192.0.2.1"), None);
    assert_eq!(check(&path).expect("of use"), "Tracehound-Test-City");
}

#[test]
fn a_file_that_comes_later_is_read_and_one_of_no_use_leaves_the_earlier_in_force() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("places.mmdb");
    let file = PlacesFile::open(&path);
    assert_eq!(find(&file, "198.51.100.7"), None);
    fs::write(&path, FILE).expect("writes");
    file.look();
    assert!(find(&file, "198.51.100.7").is_some());
    fs::write(&path, b"half a file").expect("writes");
    file.look();
    assert!(find(&file, "198.51.100.7").is_some());
    assert!(check(&path).is_err());
    fs::remove_file(&path).expect("removes");
    file.look();
    assert!(find(&file, "198.51.100.7").is_some());
}

#[test]
fn no_damage_to_the_file_panics_or_hangs() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("places.mmdb");
    let mut of_use = 0;
    for at in 0..FILE.len() {
        let mut bytes = FILE.to_vec();
        bytes[at] ^= 0xff;
        for bytes in [&bytes, &FILE[..at]] {
            fs::write(&path, bytes).expect("writes");
            let file = PlacesFile::open(&path);
            let addresses = ["198.51.100.7", "198.51.100.200", "2001:db8:1::9", "203.0.113.5", "::1"];
            of_use += addresses.iter().filter(|address| find(&file, address).is_some()).count();
        }
    }
    assert!(of_use > 0, "some damage leaves places that can be read");
}
