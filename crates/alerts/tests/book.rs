//! What the book guarantees about incidents: grouping, idempotence, all-or-nothing, history and lists.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop there")]

#[expect(dead_code, reason = "each test file uses its part of the house")]
mod house;

use std::sync::Arc;
use std::time::Duration;

use alerts::{AlertBook, AlertFilter, AlertKind, AlertsError, DeliveryState, Incident, Status};
use house::{House, MINUTE, NOON, Receiver, detection, rule, tenant};
use model::{EventId, Severity, TraceId};
use runtime::{Clock, ErrorKind};

async fn all(book: &AlertBook) -> Vec<Incident> {
    book.list(&tenant(), &AlertFilter { limit: 100, ..AlertFilter::default() }).await.unwrap().items
}

#[tokio::test]
async fn a_detection_applied_twice_is_one_incident_and_one_message() {
    let receiver = Receiver::start([]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, _db) = house.open().await;
    let found = detection("first", "198.51.100.7", 0);
    let first = book.apply(std::slice::from_ref(&found)).await.unwrap();
    let again = book.apply(&[found.clone(), found.clone()]).await.unwrap();
    assert_eq!((first.created.len(), first.duplicates), (1, 0));
    assert_eq!((again.created.len(), again.updated.len(), again.duplicates), (0, 0, 2));
    let incidents = all(&book).await;
    assert_eq!((incidents.len(), incidents[0].count), (1, 1));
    let detail = book.get(&tenant(), &first.created[0]).await.unwrap().unwrap();
    assert_eq!(detail.deliveries.len(), 1);
    assert_eq!(detail.deliveries[0].event_id, format!("msg_{}_1", first.created[0]));
    assert_eq!(detail.deliveries[0].state, DeliveryState::Pending);
    assert_eq!(
        detail.evidence.iter().map(|evidence| &evidence.event).collect::<Vec<_>>(),
        found.events.iter().collect::<Vec<_>>()
    );
    assert_eq!(detail.incident.rule, *found.rule);
    assert_eq!(detail.incident.group, found.group);
    assert_eq!(detail.activity.iter().map(|line| line.kind.as_str()).collect::<Vec<_>>(), ["created"]);
}

#[tokio::test]
async fn the_same_detections_make_the_same_ids_in_another_database() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let house = House::new();
        let (book, _db) = house.open().await;
        let applied = book.apply(&[detection("a", "192.0.2.1", 0), detection("b", "192.0.2.2", 0)]).await.unwrap();
        assert!(applied.created.iter().all(|id| id.len() == 32));
        seen.push(applied);
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn detections_of_one_group_join_within_the_window_and_not_past_it() {
    let house = House::new();
    let (book, _db) = house.open().await;
    let start = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap();
    let joined = book.apply(&[detection("b", "192.0.2.1", 60), detection("late", "192.0.2.1", -30)]).await.unwrap();
    assert_eq!(joined.updated, start.created);
    let other = book.apply(&[detection("c", "192.0.2.2", 1)]).await.unwrap();
    assert_eq!(other.created.len(), 1, "another group");
    let past = book.apply(&[detection("d", "192.0.2.1", 121)]).await.unwrap();
    assert_eq!(past.created.len(), 1, "61 minutes after the last one");
    let first = book.get(&tenant(), &start.created[0]).await.unwrap().unwrap();
    assert_eq!((first.incident.count, first.evidence.len()), (3, 6));
    assert_eq!(first.incident.first_seen, NOON.plus(-30 * MINUTE));
    assert_eq!(first.incident.last_seen, NOON.plus(60 * MINUTE));
    assert!(first.incident.reason.contains("(b)"), "the latest in event time speaks: {}", first.incident.reason);
}

#[tokio::test]
async fn a_closed_incident_is_not_joined() {
    let house = House::new();
    let (book, _db) = house.open().await;
    let first = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap();
    book.set_status(&tenant(), &first.created[0], Status::Acknowledged, "", "ann").await.unwrap();
    assert_eq!(book.apply(&[detection("b", "192.0.2.1", 1)]).await.unwrap().updated, first.created);
    book.set_status(&tenant(), &first.created[0], Status::Closed, "done", "ann").await.unwrap();
    let next = book.apply(&[detection("c", "192.0.2.1", 2)]).await.unwrap();
    assert_eq!(next.created.len(), 1);
    assert_ne!(next.created, first.created);
}

#[tokio::test]
async fn a_higher_level_escalates_and_repetition_tells_nobody() {
    let receiver = Receiver::start([]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, _db) = house.open().await;
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    book.apply(&[detection("b", "192.0.2.1", 1)]).await.unwrap();
    let mut worse = detection("c", "192.0.2.1", 2);
    Arc::make_mut(&mut worse.rule).level = Severity::Critical;
    book.apply(&[worse]).await.unwrap();
    book.apply(&[detection("d", "192.0.2.1", 3)]).await.unwrap();
    let detail = book.get(&tenant(), &id).await.unwrap().unwrap();
    assert_eq!(detail.incident.severity, Severity::Critical, "severity does not fall by itself");
    let told: Vec<_> =
        detail.deliveries.iter().map(|message| (message.event_type.as_str(), message.event_id.clone())).collect();
    assert_eq!(told, [("alert.created", format!("msg_{id}_1")), ("alert.escalated", format!("msg_{id}_2"))]);
    let line = detail.activity.last().unwrap();
    assert_eq!(
        (line.kind.as_str(), line.from.as_deref(), line.to.as_deref()),
        ("escalated", Some("high"), Some("critical"))
    );
}

#[tokio::test]
async fn evidence_is_bounded_and_what_is_left_out_is_counted() {
    let mut house = House::new();
    house.settings.max_evidence = 3;
    let (book, _db) = house.open().await;
    let mut found = detection("a", "192.0.2.1", 0);
    found.events_omitted = 7;
    let repeated = detection("b", "192.0.2.1", 0);
    let id = book.apply(&[found, repeated]).await.unwrap().created.remove(0);
    let detail = book.get(&tenant(), &id).await.unwrap().unwrap();
    assert_eq!((detail.evidence.len(), detail.incident.evidence_omitted), (2, 7), "the same event is evidence once");
    let mut many = detection("c", "192.0.2.1", 1);
    many.events = (1..=6).map(|n| EventId::External(format!("event {n}"))).collect();
    book.apply(&[many]).await.unwrap();
    let detail = book.get(&tenant(), &id).await.unwrap().unwrap();
    assert_eq!((detail.evidence.len(), detail.incident.evidence_omitted), (3, 12));
    assert_eq!(detail.evidence[2].event, EventId::External("event 1".to_owned()));
}

#[tokio::test]
async fn lists_name_the_first_five_traces() {
    let house = House::new();
    let (book, _db) = house.open().await;
    let found: Vec<_> = (0..8).map(|minute| detection(&minute.to_string(), "192.0.2.1", minute)).collect();
    book.apply(&found).await.unwrap();
    let expected: Vec<_> = (1..=5).map(|byte| TraceId([byte; 16])).collect();
    assert_eq!(all(&book).await[0].trace_ids, expected);
}

#[tokio::test]
async fn a_call_that_fails_half_way_leaves_nothing() {
    let receiver = Receiver::start([]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, db) = house.open().await;
    let found = [detection("a", "192.0.2.1", 0), detection("b", "192.0.2.2", 0), detection("c", "192.0.2.3", 0)];
    // the third message cannot be written, as on a full disk
    sqlx::query(
        "CREATE TRIGGER full BEFORE INSERT ON outbox WHEN (SELECT COUNT(*) FROM outbox) = 2
         BEGIN SELECT RAISE(ABORT, 'disk is full'); END",
    )
    .execute(&db.writer)
    .await
    .unwrap();
    let mut events = book.subscribe();
    let error = book.apply(&found).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    for table in ["incidents", "detections", "incident_evidence", "activity", "outbox"] {
        let count = format!("SELECT COUNT(*) FROM {table}");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&db.reader).await.unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    assert!(events.try_recv().is_err(), "nobody is told of what was not kept");

    sqlx::query("DROP TRIGGER full").execute(&db.writer).await.unwrap();
    assert_eq!(book.apply(&found).await.unwrap().created.len(), 3, "the same call, made again, is kept");
}

#[tokio::test]
async fn people_change_the_status_and_history_says_who() {
    let receiver = Receiver::start([]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, _db) = house.open().await;
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    let detail = book.set_status(&tenant(), &id, Status::Acknowledged, " on it ", "ann").await.unwrap();
    assert_eq!(detail.incident.status, Status::Acknowledged);
    book.set_status(&tenant(), &id, Status::Acknowledged, "still on it", "bob").await.unwrap();
    book.set_status(&tenant(), &id, Status::Acknowledged, "", "bob").await.unwrap();
    book.set_status(&tenant(), &id, Status::Closed, "", "ann").await.unwrap();
    let detail = book.set_status(&tenant(), &id, Status::Open, "it is back", "ann").await.unwrap();
    let lines: Vec<_> = detail
        .activity
        .iter()
        .map(|line| (line.actor.as_str(), line.kind.as_str(), line.to.as_deref(), line.comment.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            ("system", "created", Some("open"), ""),
            ("ann", "status", Some("acknowledged"), "on it"),
            ("bob", "comment", None, "still on it"),
            ("ann", "status", Some("closed"), ""),
            ("ann", "status", Some("open"), "it is back"),
        ]
    );
    let told: Vec<_> = detail.deliveries.iter().map(|message| message.event_type.as_str()).collect();
    assert_eq!(told, ["alert.created", "alert.status", "alert.status", "alert.status"]);

    let missing = book.set_status(&tenant(), "nope", Status::Closed, "", "ann").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let long = book.set_status(&tenant(), &id, Status::Closed, &"x".repeat(4_001), "ann").await.unwrap_err();
    assert!(matches!(long, AlertsError::Comment { limit_chars: 4_000 }));
}

#[tokio::test]
async fn another_tenant_sees_and_changes_nothing() {
    let house = House::new();
    let (book, _db) = house.open().await;
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    let other = "other".parse().unwrap();
    assert!(book.list(&other, &AlertFilter::default()).await.unwrap().items.is_empty());
    assert!(book.get(&other, &id).await.unwrap().is_none());
    let refused = book.set_status(&other, &id, Status::Closed, "", "eve").await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_while_new_incidents_come_in() {
    let house = House::new();
    let (book, _db) = house.open().await;
    let found: Vec<_> = (0..7).map(|n| detection("a", &format!("192.0.2.{n}"), 0)).collect();
    let mut expected = book.apply(&found).await.unwrap().created;
    expected.reverse();
    let mut filter = AlertFilter { limit: 3, ..AlertFilter::default() };
    let mut seen = Vec::new();
    loop {
        let page = book.list(&tenant(), &filter).await.unwrap();
        seen.extend(page.items.into_iter().map(|incident| incident.id));
        book.apply(&[detection("new", &format!("203.0.113.{}", seen.len()), 0)]).await.unwrap();
        match page.next_cursor {
            Some(next) => filter.cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    for odd in ["", "x", "-1", "0", "'; DROP TABLE incidents"] {
        let filter = AlertFilter { cursor: Some(odd.to_owned()), ..AlertFilter::default() };
        assert!(matches!(book.list(&tenant(), &filter).await, Err(AlertsError::Cursor)), "{odd}");
    }
}

#[tokio::test]
async fn lists_filter_by_status_severity_and_rule() {
    let house = House::new();
    let (book, _db) = house.open().await;
    let mut low = detection("a", "192.0.2.2", 0);
    low.rule = rule("other", Severity::Low);
    low.id = "0123".to_owned();
    let ids = book.apply(&[detection("a", "192.0.2.1", 0), low, detection("a", "192.0.2.3", 0)]).await.unwrap().created;
    book.set_status(&tenant(), &ids[2], Status::Closed, "", "ann").await.unwrap();
    let base = AlertFilter { limit: 10, ..AlertFilter::default() };
    for (filter, expected) in [
        (AlertFilter { status: vec![Status::Open], ..base.clone() }, vec![1, 0]),
        (AlertFilter { status: vec![Status::Open, Status::Closed], ..base.clone() }, vec![2, 1, 0]),
        (AlertFilter { severity: vec![Severity::High], ..base.clone() }, vec![2, 0]),
        (AlertFilter { severity: vec![Severity::High], status: vec![Status::Open], ..base.clone() }, vec![0]),
        (AlertFilter { rule_id: Some("other".to_owned()), ..base.clone() }, vec![1]),
        (AlertFilter { rule_id: Some("' OR 1=1 --".to_owned()), ..base.clone() }, vec![]),
        (AlertFilter { limit: 0, ..base.clone() }, vec![2]),
    ] {
        let found: Vec<_> =
            book.list(&tenant(), &filter).await.unwrap().items.into_iter().map(|item| item.id).collect();
        let expected: Vec<_> = expected.into_iter().map(|at: usize| ids[at].clone()).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn subscribers_hear_what_was_committed() {
    let house = House::new();
    let (book, _db) = house.open().await;
    let mut events = book.subscribe();
    let id =
        book.apply(&[detection("a", "192.0.2.1", 0), detection("b", "192.0.2.1", 1)]).await.unwrap().created.remove(0);
    book.apply(&[detection("c", "192.0.2.1", 2)]).await.unwrap();
    book.set_status(&tenant(), &id, Status::Closed, "", "ann").await.unwrap();
    for (seq, kind, count) in [(1, AlertKind::Created, 2), (2, AlertKind::Updated, 3), (3, AlertKind::Status, 3)] {
        let event = events.try_recv().unwrap();
        assert_eq!((event.seq, event.kind, event.incident.count), (seq, kind, count));
        assert_eq!((event.tenant, event.incident.id), (tenant(), id.clone()));
    }
    assert!(events.try_recv().is_err());
}

#[tokio::test]
async fn incidents_that_nothing_touches_are_forgotten_with_all_that_belongs_to_them() {
    let receiver = Receiver::start([]).await;
    let mut house = House::new().telling(&[&receiver]);
    house.clock = Clock::fixed(NOON.0);
    house.settings.keep_for = Duration::from_secs(3_600);
    let (book, db) = house.open().await;
    book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap();
    house.clock.advance(Duration::from_secs(1_800));
    let kept = book.apply(&[detection("a", "192.0.2.2", 0)]).await.unwrap().created;
    assert_eq!(book.retain().await.unwrap(), 0);
    house.clock.advance(Duration::from_secs(1_801));
    assert_eq!(book.retain().await.unwrap(), 1);
    assert_eq!(all(&book).await.into_iter().map(|incident| incident.id).collect::<Vec<_>>(), kept);
    for (table, rows) in [("detections", 1), ("incident_evidence", 2), ("activity", 1), ("outbox", 1)] {
        let count = format!("SELECT COUNT(*) FROM {table}");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&db.reader).await.unwrap();
        assert_eq!(left, rows, "{table}");
    }
}
