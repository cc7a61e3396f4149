//! The committed corpora of the fuzz targets, replayed: what once found its way into them never fails again.

#[path = "fuzz/properties.rs"]
mod properties;

use std::path::Path;

fn replay(target: &str, property: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut inputs = 0;
    for entry in std::fs::read_dir(&folder).expect("the corpus is committed") {
        let path = entry.expect("lists").path();
        println!("{}", path.display());
        property(&std::fs::read(&path).expect("reads"));
        inputs += 1;
    }
    assert!(inputs >= 10, "{inputs} inputs in {}", folder.display());
}

#[test]
fn protobuf() {
    replay("protobuf", properties::protobuf);
}

#[test]
fn json() {
    replay("json", properties::json);
}

#[test]
fn inflate() {
    replay("inflate", properties::inflate_input);
}

#[test]
fn grpc() {
    replay("grpc", properties::grpc);
}

#[test]
fn frames() {
    replay("frames", properties::frames);
}
