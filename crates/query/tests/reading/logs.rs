//! Each condition of a log search.

use query::FilterOp::{Eq, Exists};
use query::{LogSearch, Order};
use serde_json::json;

use crate::support::{EVERYWHERE, House, LAST_HOUR, acme, ago, attribute, filter, logs, record, trace_id};

fn requests() -> Vec<serde_json::Value> {
    let mut failed = record("auth", "Login FAILED for 100%_sure", 17, 4_000);
    failed.1["traceId"] = json!(trace_id(7).to_string());
    failed.1["spanId"] = json!("00000000000000aa");
    failed.1["attributes"] = json!([attribute("user.id", json!("u1")), attribute("attempt", json!(3))]);
    failed.1["eventName"] = json!("login");
    let mut structured = record("cart", "", 9, 2_000);
    structured.1["body"] = json!({"kvlistValue": {"values": [attribute("sum", json!(5))]}});
    vec![
        logs(&[record("auth", "starting", 5, 5_000), failed]),
        logs(&[record("cart", "login page Größe", 13, 3_000), structured, record("cart", "ready", 21, 1_000)]),
    ]
}

#[tokio::test]
async fn every_condition_finds_its_records_newest_first() {
    let failed = "Login FAILED for 100%_sure";
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests()).await;
        let structured = r#"{"sum":5}"#;
        assert_eq!(
            house.find_logs(|_| {}).await,
            ["ready", structured, "login page Größe", failed, "starting"],
            "{lie:?}"
        );
        assert_eq!(house.find_logs(|search| search.order = Order::OldestFirst).await[0], "starting");
        assert_eq!(house.find_logs(|search| search.min_severity = Some(17)).await, ["ready", failed]);
        assert_eq!(house.find_logs(|search| search.service = Some("auth".into())).await, [failed, "starting"]);
        assert_eq!(house.find_logs(|search| search.text = Some("LOGIN".into())).await, ["login page Größe", failed]);
        assert_eq!(house.find_logs(|search| search.text = Some("GRÖSSE".into())).await, [] as [&str; 0]);
        assert_eq!(house.find_logs(|search| search.text = Some("gRÖße".into())).await, ["login page Größe"]);
        assert_eq!(house.find_logs(|search| search.text = Some("0%_s".into())).await, [failed]);
        assert_eq!(house.find_logs(|search| search.text = Some("g%n".into())).await, [] as [&str; 0], "no pattern");
        assert_eq!(house.find_logs(|search| search.text = Some("\\".into())).await, [] as [&str; 0]);
        assert_eq!(house.find_logs(|search| search.word = Some("FAILED".into())).await, [failed]);
        assert_eq!(house.find_logs(|search| search.word = Some("gRÖße".into())).await, ["login page Größe"]);
        assert_eq!(
            house.find_logs(|search| search.word = Some("fail".into())).await,
            [] as [&str; 0],
            "part of a word"
        );
        assert_eq!(house.find_logs(|search| search.regex = Some("^(Login|ready)".into())).await, ["ready", failed]);
        assert_eq!(house.find_logs(|search| search.regex = Some("login".into())).await, ["login page Größe"]);
        let both = house.find_logs(|search| {
            search.word = Some("login".into());
            search.regex = Some(r"\d%".into());
        });
        assert_eq!(both.await, [failed]);
        for (text, count) in [(None, 5), (Some("login"), 2), (Some("nowhere"), 0)] {
            let search = LogSearch { text: text.map(str::to_owned), ..LogSearch::in_range(LAST_HOUR, 1) };
            assert_eq!(house.query.count_logs(&acme(), search).await.unwrap(), count, "{text:?}");
        }
        assert_eq!(house.find_logs(|search| search.trace_id = Some(trace_id(7))).await, [failed]);
        assert_eq!(house.find_logs(|search| search.filters = vec![filter("user.id", Eq, "u1")]).await, [failed]);
        assert_eq!(house.find_logs(|search| search.filters = vec![filter("attempt", Eq, "3")]).await, [failed]);
        assert_eq!(house.find_logs(|search| search.filters = vec![filter("attempt", Exists, "")]).await, [failed]);
        assert_eq!(house.find_logs(|search| search.range.start = ago(3_000)).await.len(), 3);
        assert_eq!(house.find_logs(|search| search.range.end = ago(3_000)).await, [failed, "starting"]);
    }
}

#[tokio::test]
async fn a_condition_on_bodies_that_is_none_is_refused() {
    let house = House::new().await;
    let long = "a".repeat(1_025);
    for (field, asked) in [
        ("word", LogSearch { word: Some("two words".into()), ..LogSearch::in_range(LAST_HOUR, 1) }),
        ("word", LogSearch { word: Some(long.clone()), ..LogSearch::in_range(LAST_HOUR, 1) }),
        ("regex", LogSearch { regex: Some("(".into()), ..LogSearch::in_range(LAST_HOUR, 1) }),
        ("regex", LogSearch { regex: Some(long.clone()), ..LogSearch::in_range(LAST_HOUR, 1) }),
        ("regex", LogSearch { regex: Some(r"(\w{100}){100}".into()), ..LogSearch::in_range(LAST_HOUR, 1) }),
        ("text", LogSearch { text: Some(long.repeat(4)), ..LogSearch::in_range(LAST_HOUR, 1) }),
    ] {
        let error = house.query.search_logs(&acme(), asked.clone()).await.unwrap_err();
        assert!(matches!(&error, query::QueryError::Invalid { field: found, .. } if *found == field), "{error}");
        assert_eq!(house.query.count_logs(&acme(), asked).await.unwrap_err().kind(), error.kind());
    }
}

#[tokio::test]
async fn a_record_comes_back_with_everything_it_had() {
    for lie in EVERYWHERE {
        let house = House::filled(lie, &requests()).await;
        let search = LogSearch { text: Some("failed".into()), ..LogSearch::in_range(LAST_HOUR, 10) };
        let page = house.query.search_logs(&acme(), search).await.unwrap();
        let [hit] = page.items.as_slice() else { panic!("{} hits", page.items.len()) };
        assert_eq!((hit.id.lsn.0, hit.id.row), (1, 1));
        assert_eq!((hit.time, hit.severity_number, hit.severity_text.as_str()), (ago(4_000), 17, "AS SENT"));
        assert_eq!((hit.service.as_str(), hit.event_name.as_str()), ("auth", "login"));
        assert_eq!(hit.body, Some(("Login FAILED for 100%_sure".to_owned(), 's')));
        assert_eq!((hit.trace_id, hit.span_id.unwrap().to_string().as_str()), (Some(trace_id(7)), "00000000000000aa"));
        let attributes: Vec<_> = hit.attributes.iter().map(|(key, value)| (key.as_str(), value.text())).collect();
        assert_eq!(attributes, [("user.id", "u1".into()), ("attempt", "3".into())]);
        assert_eq!(hit.resource[0].0, "service.name");
    }
}
