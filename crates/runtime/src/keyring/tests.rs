//! Keys come back, keys of the file may change, and what was erased is gone from the bytes of the database.

use std::io::Write as _;
use std::path::Path;

use super::*;

fn key_file(dir: &Path, text: &str, mode: u32) -> Result<KeyFile, KeyError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let path = dir.join("keys");
    let _ = std::fs::remove_file(&path);
    let mut file = std::fs::File::options().create(true).write(true).truncate(true).mode(mode).open(&path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    KeyFile::read(&path)
}

fn line(name: &str, digit: char) -> String {
    format!("{name} {}\n", String::from(digit).repeat(64))
}

async fn ring(dir: &Path, text: &str) -> Result<KeyRing, KeyError> {
    let db = Database::open(&dir.join("db")).await.unwrap();
    KeyRing::open(db, Clock::fixed(5), key_file(dir, text, 0o600)?).await
}

#[tokio::test]
async fn a_tenant_keeps_its_key_while_the_key_file_is_rotated() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), &line("2025", 'a')).await.unwrap();
    keys.ensure("acme").await.unwrap();
    keys.ensure("globex").await.unwrap();
    let (acme, globex) = (keys.newest("acme").unwrap(), keys.newest("globex").unwrap());
    assert_ne!(acme.secret.expose(), globex.secret.expose());
    let sealed = acme.secret.seal_bytes(b"evidence", b"where");
    let both = format!("{}{}", line("2025", 'a'), line("2026", 'b'));
    for text in [&line("2025", 'a'), &both, &line("2026", 'b')] {
        let keys = ring(dir.path(), text).await.unwrap();
        assert_eq!(keys.key(acme.number).unwrap().open_bytes(&sealed, b"where").unwrap(), b"evidence");
        assert!(keys.key(acme.number).unwrap().open_bytes(&sealed, b"elsewhere").is_err());
        assert!(keys.key(globex.number).unwrap().open_bytes(&sealed, b"where").is_err());
    }
    let error = ring(dir.path(), &line("2025", 'a')).await.unwrap().key(acme.number).unwrap_err();
    assert!(matches!(&error, KeyError::Sealed { sealed_with, .. } if sealed_with == "2026"), "{error}");
    let error = ring(dir.path(), &line("2026", 'c')).await.unwrap_err();
    assert!(matches!(error, KeyError::Changed), "another key of the same name: {error}");
}

#[tokio::test]
async fn an_erased_key_is_in_no_byte_of_the_database() {
    let dir = tempfile::tempdir().unwrap();
    let keys = ring(dir.path(), &line("k", 'a')).await.unwrap();
    keys.ensure("acme").await.unwrap();
    keys.ensure("globex").await.unwrap();
    let number = keys.newest("acme").unwrap().number;
    let db = Database::open(&dir.path().join("db")).await.unwrap();
    let sealed: Vec<u8> =
        sqlx::query_scalar("select sealed from data_keys where tenant = 'acme'").fetch_one(&db.reader).await.unwrap();
    db.close().await;
    let bytes_on_disk = || {
        let files = ["db", "db-wal"].map(|name| std::fs::read(dir.path().join(name)).unwrap_or_default());
        files.concat()
    };
    let has_sealed = |bytes: &[u8]| bytes.windows(sealed.len()).any(|window| window == sealed);
    assert!(has_sealed(&bytes_on_disk()));
    keys.inner.as_ref().unwrap().db.close().await;
    let db = Database::open(&dir.path().join("db")).await.unwrap();
    assert_eq!(erase(&db, &Clock::fixed(6), "acme").await.unwrap(), 1);
    assert_eq!(erase(&db, &Clock::fixed(7), "acme").await.unwrap(), 0);
    assert!(!has_sealed(&bytes_on_disk()));
    db.close().await;
    let keys = ring(dir.path(), &line("k", 'a')).await.unwrap();
    assert!(keys.key(number).unwrap_err().is_erased());
    assert!(keys.newest("acme").is_none() && keys.newest("globex").is_some());
    // who comes back starts anew
    keys.ensure("acme").await.unwrap();
    assert_ne!(keys.newest("acme").unwrap().number, number);
    assert!(keys.key(number).unwrap_err().is_erased());
}

#[test]
fn a_key_file_that_others_may_read_or_that_is_wrong_is_refused_without_being_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let error = key_file(dir.path(), &line("k", 'a'), 0o640).unwrap_err().to_string();
    assert!(error.contains("mode 640"), "{error}");
    for (text, said) in [
        ("", "has no key"),
        ("# nothing\n", "has no key"),
        ("k abcdef\n", "line 1 is not 64 hexadecimal digits"),
        ("secretsecret\n", "line 1 is not a name and a key"),
        (&format!("{}{}", line("k", 'a'), line("k", 'b')), "line 2 names k again"),
        (&line("k", 'g'), "line 1 is not 64 hexadecimal digits"),
    ] {
        let error = key_file(dir.path(), text, 0o600).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("abcdef") && !error.contains("secretsecret"), "{error}");
    }
    assert_eq!(format!("{:?}", key_file(dir.path(), &line("k", 'a'), 0o600).unwrap()), r#"["k"]"#);
}
