//! A directory has one holder at a time, who is named.

use super::*;

#[test]
fn the_second_holder_is_told_who_the_first_is() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let held = lock(folder.path()).expect("nobody has it");
    let refused = lock(folder.path()).expect_err("somebody has it");
    assert!(refused.to_string().ends_with(&format!("is in use by process {}", std::process::id())), "{refused}");
    drop(held);
    lock(folder.path()).expect("nobody has it any more");
}
