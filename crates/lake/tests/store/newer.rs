//! A store that a newer program wrote is refused as it is, and not read as if it were ours.

use lake::{Lake, LakeError};
use model::Signal;

use crate::support::*;

async fn refused(place: &Place) -> LakeError {
    Lake::open(place.settings(), place.database().await, place.clock.clone()).await.unwrap_err()
}

/// It was believed that a version that is not known is an error of the migrator. It passes over versions that it does
/// not know, because those of other crates are among them.
#[tokio::test]
async fn tables_of_a_newer_program_are_refused() {
    let place = Place::new();
    drop(place.open().await);
    place
        .meddle(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
             values (199, 'from the future', true, x'00', 0)",
        )
        .await;
    let error = refused(&place).await.to_string();
    assert!(error.contains("version 199, made by a newer program"), "{error}");
    // those of another crate are its own affair
    place.meddle("update _sqlx_migrations set version = 250 where version = 199").await;
    place.open().await;
}

#[tokio::test]
async fn files_of_a_newer_layout_are_refused_and_left_alone() {
    let place = Place::new();
    let lake = place.open().await;
    lake.insert(spans(1, &events(NOW, 5)));
    lake.flush().await.unwrap();
    let file = all(&lake, Signal::Spans).files[0].clone();
    drop(lake);
    place.meddle("update lake_files set format_version = 99").await;
    let error = refused(&place).await;
    assert!(matches!(error, LakeError::NewerLayout { version: 99, .. }), "{error}");
    assert!(error.to_string().contains(&file.name), "{error}");
    place.meddle("update lake_files set format_version = 3").await;
    assert_eq!(positions(&all(&place.open().await, Signal::Spans)), whole([1], 5), "nothing was touched");
}
