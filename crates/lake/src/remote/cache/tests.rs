//! What stays and what goes, without a store.

use super::*;

fn wanted(dir: &std::path::Path, number: u64, bytes: u64) -> Wanted {
    let name = format!("file {number}");
    let path = dir.join(&name);
    std::fs::write(&path, vec![0; bytes as usize]).unwrap();
    Wanted { name, path, bytes, checksum_crc32c: 0 }
}

#[test]
fn what_is_held_stays_and_the_rest_goes_in_the_order_of_its_last_use() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::new(25);
    for number in 1..=4 {
        cache.add(wanted(dir.path(), number, 10), true);
    }
    cache.hold("file 1");
    assert!(cache.away("file 2").is_none(), "it is here, and was used last");
    cache.make_room(5);
    let left: Vec<bool> = (1..=4).map(|number| dir.path().join(format!("file {number}")).exists()).collect();
    assert_eq!(left, [true, true, false, false]);
    cache.make_room(100);
    assert!(dir.path().join("file 1").exists() && !dir.path().join("file 2").exists());
    cache.release("file 1");
    cache.make_room(100);
    assert!(cache.away("file 1").is_some());
    assert!(cache.is_remote("file 1") && !cache.may_forget("file 1"), "the store has it still");
    cache.set_deleted("file 1");
    assert!(cache.may_forget("file 1") && cache.may_forget("a file that was never there"));
    cache.forget(&["file 1".to_owned()]);
    assert!(!cache.is_remote("file 1"));
}
