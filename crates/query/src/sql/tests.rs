//! The list of functions against the engine's own.

use datafusion::object_store::memory::InMemory;

use super::*;
use crate::engine::Engine;

#[test]
fn the_list_names_functions_that_exist_and_none_that_grows_without_bound() {
    let engine = Engine::new(Arc::new(InMemory::new()), &Limits::default()).unwrap();
    let known = engine.function_names();
    let unknown: Vec<_> = ALLOWED_FUNCTIONS.iter().filter(|name| !known.contains(*name)).collect();
    let left_out: Vec<_> = known.iter().filter(|name| !ALLOWED_FUNCTIONS.contains(name)).collect();
    println!("left out: {left_out:?}");
    assert!(unknown.is_empty(), "no such function: {unknown:?}");
    for name in ["repeat", "lpad", "rpad", "range", "generate_series", "array_repeat", "array_resize"] {
        assert!(!ALLOWED_FUNCTIONS.contains(&name));
    }
}

#[test]
fn only_one_reading_statement_passes() {
    let limits = Limits::default();
    for text in ["SELECT 1", "WITH a AS (SELECT 1) SELECT * FROM a", "EXPLAIN SELECT 1", "(SELECT 1)", "SELECT 1;"] {
        assert!(parse(text, &limits).is_ok(), "{text}");
    }
    for text in ["", "SELECT 1; SELECT 1", "DROP TABLE a", "EXPLAIN DROP TABLE a", "SET a = 1"] {
        assert!(parse(text, &limits).is_err(), "{text}");
    }
}
