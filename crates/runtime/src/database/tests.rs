//! A transaction that SQLite took back by itself does not keep the next one from beginning; a description of a table that is
//! no text is refused.

use super::*;

#[tokio::test]
async fn after_a_transaction_that_was_taken_back_by_itself_the_next_one_begins() {
    let dir = tempfile::tempdir().unwrap();
    let database = Database::open(&dir.path().join("some.db")).await.unwrap();
    sqlx::query("create table things (name text primary key)").execute(&database.writer).await.unwrap();
    for _ in 0..2 {
        let mut transaction = database.writer.begin_with("begin immediate").await.unwrap();
        sqlx::query("insert into things values ('one')").execute(&mut *transaction).await.unwrap();
        // ends the transaction, as a disk that fails does
        let twice = sqlx::query("insert or rollback into things values ('one')").execute(&mut *transaction).await;
        assert!(twice.is_err());
        assert!(transaction.commit().await.is_err(), "there is nothing to commit");
    }
    let mut transaction = database.writer.begin_with("begin immediate").await.unwrap();
    sqlx::query("insert into things values ('two')").execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    let names: Vec<String> = sqlx::query_scalar("select name from things").fetch_all(&database.reader).await.unwrap();
    assert_eq!(names, ["two"]);
}

#[tokio::test]
async fn a_table_whose_description_is_no_text_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("some.db");
    let database = Database::open(&path).await.unwrap();
    sqlx::query("create table things (name sometype)").execute(&database.writer).await.unwrap();
    database.close().await;
    let bytes = std::fs::read(&path).unwrap();
    let at = bytes.windows(8).position(|bytes| bytes == b"sometype").unwrap();
    for place in 0..8 {
        let mut damaged = bytes.clone();
        damaged[at + place] = 0xff;
        std::fs::write(&path, damaged).unwrap();
        assert!(matches!(Database::open(&path).await, Err(DatabaseError::Damaged { .. })), "{place}");
    }
    std::fs::write(&path, bytes).unwrap();
    Database::open(&path).await.unwrap();
}
