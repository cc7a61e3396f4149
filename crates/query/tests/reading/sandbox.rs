//! What SQL may do here, and everything it may not.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use runtime::ErrorKind;
use serde_json::json;

use crate::support::{EVERYWHERE, House, acme, logs, record, span, spans};

#[tokio::test]
async fn spans_and_logs_can_be_asked() {
    let requests = [
        spans(&[
            span(1, 1, "auth", "login", 1_000).with("http.route", json!("/login")).with("attempt", json!(3)),
            span(1, 2, "auth", "other", 900).resource("host.name", json!("node-1")),
        ]),
        logs(&[record("auth", "hello", 9, 1_000)]),
    ];
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests).await;
        let number = async |text: &str| {
            let found = house.query.sql(&acme(), text).await.unwrap();
            found.batches[0].column(0).as_primitive::<Int64Type>().value(0)
        };
        assert_eq!(number("SELECT count(*) FROM spans").await, 2, "{lie:?}");
        assert_eq!(number("SELECT count(*) FROM logs WHERE body LIKE 'hel%'").await, 1);
        assert_eq!(number(r#"SELECT count(*) FROM spans WHERE "http.route" = '/login'"#).await, 1);
        assert_eq!(number("SELECT count(*) FROM spans WHERE attribute(attrs_rest, 'attempt') = '3'").await, 1);
        assert_eq!(number("SELECT count(*) FROM spans WHERE attribute(resource, 'host.name') = 'node-1'").await, 1);
        assert_eq!(number("WITH s AS (SELECT * FROM spans) SELECT count(*) FROM s JOIN logs USING (service)").await, 2);
        assert_eq!(
            number("SELECT count(*) FROM spans WHERE start_time > TIMESTAMP '2026-11-22T14:29:59.050Z'").await,
            1
        );
        let ids = house.query.sql(&acme(), "SELECT encode(trace_id, 'hex') AS id FROM spans LIMIT 1").await.unwrap();
        let id = arrow::util::display::array_value_to_string(ids.batches[0].column(0), 0).unwrap();
        assert_eq!(id, crate::support::trace_id(1).to_string());
        let explained = house.query.sql(&acme(), "EXPLAIN SELECT * FROM spans").await.unwrap();
        assert!(explained.batches[0].num_rows() > 0);
        let plan = format!("{:?}", explained.batches);
        assert!(!plan.contains(std::env::temp_dir().to_str().unwrap()), "no path of ours: {plan}");
    }
}

#[tokio::test]
async fn everything_else_is_refused() {
    let house = House::new().await;
    house.take(&acme(), &spans(&[span(1, 1, "auth", "login", 1_000)]));
    let file = std::env::temp_dir().join("tracehound-sandbox-test.csv");
    let copy = format!("COPY spans TO '{}'", file.display());
    let refused = [
        copy.as_str(),
        "COPY (SELECT * FROM spans) TO '/tmp/x.parquet' STORED AS PARQUET",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE TABLE t AS SELECT * FROM spans",
        "CREATE VIEW v AS SELECT * FROM spans",
        "DROP TABLE spans",
        "INSERT INTO spans SELECT * FROM spans",
        "DELETE FROM spans",
        "UPDATE spans SET name = 'x'",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "SHOW TABLES",
        "SHOW ALL",
        "DESCRIBE spans",
        "PREPARE p AS SELECT 1",
        "BEGIN",
        "EXPLAIN COPY spans TO '/tmp/x.parquet'",
        "EXPLAIN CREATE TABLE t AS SELECT 1",
        "EXPLAIN ANALYZE INSERT INTO spans SELECT * FROM spans",
        "SELECT * FROM generate_series(1, 1000000000)",
        "SELECT * FROM range(1, 1000000000)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM \"/etc/passwd\"",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.df_settings",
        "SELECT * FROM nothing",
        "SELECT (SELECT count(*) FROM information_schema.tables)",
        "SELECT generate_series(1, 1000000000)",
        "SELECT range(1, 1000000000)",
        "SELECT repeat('x', 1000000000) FROM spans",
        "SELECT lpad('x', 1000000000, 'y') FROM spans",
        "SELECT array_repeat(1, 1000000000) FROM spans",
        "SELECT version()",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
        "SELECT 1; SELECT 2",
        "SELECT * INTO t FROM spans",
        "",
        ";",
        "SELEC 1",
    ];
    for text in refused {
        let error = match house.query.sql(&acme(), text).await {
            Ok(found) => panic!("{text} was answered with {} batches", found.batches.len()),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::Invalid, "{text}: {error}");
        assert!(error.to_string().starts_with("sql: ") && !error.to_string().contains('\n'), "{text}: {error}");
    }
    assert!(!file.exists());
    let long = format!("SELECT '{}'", "x".repeat(64 << 10));
    let error = house.query.sql(&acme(), &long).await.unwrap_err();
    assert_eq!(error.to_string(), "sql text has 65545 bytes, at most 65536 are allowed");
    let joins: String = (0..9).map(|n| format!(" CROSS JOIN spans s{n}")).collect();
    let joins = format!("SELECT 1 FROM spans{joins}");
    let error = house.query.sql(&acme(), &joins).await.unwrap_err();
    assert_eq!(error.to_string(), "sql: at most 8 joins are allowed, got 9");
    let nested = format!("SELECT {}1{}", "(".repeat(500), ")".repeat(500));
    assert_eq!(house.query.sql(&acme(), &nested).await.unwrap_err().kind(), ErrorKind::Invalid);
}
