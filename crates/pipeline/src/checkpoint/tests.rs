//! A checkpoint reads back whole or not at all.

use super::*;

fn sample() -> Checkpoint {
    let tenant = |name: &str| name.parse::<TenantId>().expect("plain name");
    Checkpoint { done: Lsn(42), engines: vec![(tenant("a"), vec![1, 2, 3]), (tenant("b"), vec![])] }
}

#[test]
fn a_checkpoint_reads_back() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = CheckpointFile::open(folder.path()).expect("folder is writable");
    assert_eq!(file.read(), None);
    file.write(&sample()).expect("disk takes it");
    assert_eq!(file.read(), Some(sample()));
}

#[test]
fn every_flipped_or_missing_byte_is_noticed() {
    let whole = render(&sample());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x40;
        assert_eq!(parse(&flipped), None, "flip at {at}");
        assert_eq!(parse(&whole[..at]), None, "cut at {at}");
    }
}
