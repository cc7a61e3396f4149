//! A secret is made once and read ever after.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_secret_is_made_once_and_only_its_owner_may_read_it() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let path = folder.path().join("redaction-key");
    assert_eq!(open(&path, || "first".to_owned()).expect("is made"), "first");
    assert_eq!(open(&path, || panic!("is not made again")).expect("is read"), "first");
    let mode = fs::metadata(&path).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = fs::read_dir(folder.path()).expect("readable").count();
    assert_eq!(names, 1, "nothing unfinished is left");
}
