//! The binary starts and says what it is. Having this test also makes `cargo test` build the binary that the
//! end-to-end tests run.

use std::process::Command;

#[test]
fn it_says_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_tracehound")).arg("version").output().expect("binary runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), concat!("tracehound ", env!("CARGO_PKG_VERSION")));
}
