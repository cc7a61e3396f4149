//! What delivery guarantees, over real sockets to a receiver that verifies signatures with the official library.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop there")]

mod house;

use std::collections::HashSet;
use std::time::Duration;

use alerts::{AlertBook, Delivery, DeliveryState, IncidentDetail, Status};
use house::{House, Receiver, Reply, Sender, detection, eventually, tenant};

async fn detail(book: &AlertBook, id: &str) -> IncidentDetail {
    book.get(&tenant(), id).await.unwrap().unwrap()
}

/// Waits until every message about an incident has ended.
async fn settled(book: &AlertBook, id: &str) -> Vec<Delivery> {
    eventually(|| async {
        let messages = detail(book, id).await.deliveries;
        messages.iter().all(|message| message.state != DeliveryState::Pending).then_some(messages)
    })
    .await
}

#[tokio::test]
async fn an_alert_arrives_signed_with_its_evidence_and_links() {
    let receiver = Receiver::start([]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let mut found = detection("a", "<script>{{7*7}}${jndi:ldap://x}\u{202e}\n", 0);
    found.reason = "\"quoted\" {{template}}\u{0}".to_owned();
    let id = book.apply(&[found.clone()]).await.unwrap().created.remove(0);
    let got = receiver.wait_for(1).await.remove(0);
    got.verify();
    assert_eq!(got.id(), format!("msg_{id}_1"));
    assert_eq!(got.headers["content-type"], "application/json");
    let traceparent = got.headers["traceparent"].to_str().unwrap();
    assert!(traceparent.len() == 55 && traceparent.starts_with("00-"), "{traceparent}");

    let body = got.json();
    assert_eq!(body["type"], "alert.created");
    let data = &body["data"];
    assert_eq!(data["id"], id.as_str());
    assert_eq!(data["rule"]["id"], "stuffing");
    assert_eq!(data["rule"]["level"], "high");
    assert_eq!(data["rule"]["author"], "somebody");
    assert_eq!(data["rule"]["tags"][0], "attack.t1110.004");
    assert_eq!(data["reason"], found.reason.as_str());
    assert_eq!(data["group"]["client.address"], found.group[0].1.as_str());
    assert_eq!((data["severity"].as_str(), data["status"].as_str()), (Some("high"), Some("open")));
    assert_eq!(data["count"], 1);
    assert_eq!(data["first_seen"], found.at.to_string());
    let trace = "01".repeat(16);
    assert_eq!(data["trace_ids"], serde_json::json!([trace]));
    assert_eq!(data["span_ids"], serde_json::json!(["01".repeat(8)]));
    assert_eq!(data["log_ids"], serde_json::json!(["1-3"]));
    assert_eq!(data["url"], format!("https://hound.example/ui/alerts/{id}"));
    assert_eq!(data["trace_urls"][0], format!("https://hound.example/ui/traces/{trace}"));

    let messages = settled(&book, &id).await;
    assert_eq!((messages[0].state, messages[0].attempts), (DeliveryState::Delivered, 1));
    assert_eq!((&messages[0].last_error, messages[0].next_attempt), (&None, None));
    assert!(messages[0].target.starts_with("127.0.0.1-0"));
    sender.stop().await;
}

#[tokio::test]
async fn a_message_is_sent_again_with_the_same_id_and_body_until_it_is_taken() {
    let script = [Reply::Status(500), Reply::Status(502), Reply::Status(404), Reply::Status(302)];
    let receiver = Receiver::start(script).await;
    let house = House::new().telling(&[&receiver]);
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    let got = receiver.wait_for(5).await;
    for attempt in &got {
        attempt.verify();
        assert_eq!((attempt.id(), &attempt.body), (got[0].id(), &got[0].body));
    }
    let messages = settled(&book, &id).await;
    assert_eq!((messages[0].state, messages[0].attempts), (DeliveryState::Delivered, 5));
    sender.stop().await;
    assert_eq!(receiver.got().len(), 5, "what was taken is not sent again");
}

#[tokio::test]
async fn what_never_succeeds_becomes_a_dead_letter_that_can_be_seen() {
    let receiver = Receiver::start(vec![Reply::Status(500); 3]).await;
    let mut house = House::new().telling(&[&receiver]);
    house.settings.retry.max_attempts = 3;
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    let messages = settled(&book, &id).await;
    assert_eq!((messages[0].state, messages[0].attempts), (DeliveryState::Dead, 3));
    assert_eq!(messages[0].last_error.as_deref(), Some("receiver answered 500"), "and nothing of its body");
    let line = detail(&book, &id).await.activity.pop().unwrap();
    assert_eq!((line.kind.as_str(), line.comment.as_str()), ("undelivered", "receiver answered 500"));

    book.set_status(&tenant(), &id, Status::Closed, "", "ann").await.unwrap();
    receiver.wait_for(4).await;
    assert_eq!(settled(&book, &id).await[1].state, DeliveryState::Delivered, "the dead one holds up nothing");
    sender.stop().await;
    assert_eq!(receiver.got().len(), 4);
}

#[tokio::test]
async fn a_message_that_gets_too_old_is_dead() {
    let receiver = Receiver::start(vec![Reply::Status(500); 100]).await;
    let mut house = House::new().telling(&[&receiver]);
    house.settings.retry.max_age = Duration::ZERO;
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    let messages = settled(&book, &id).await;
    assert_eq!((messages[0].state, messages[0].attempts), (DeliveryState::Dead, 1));
    sender.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_asked_no_more() {
    let gone = Receiver::start([Reply::Status(410)]).await;
    let alive = Receiver::start([]).await;
    let house = House::new().telling(&[&gone, &alive]);
    let (book, db) = house.open().await;
    let ids = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created;
    book.set_status(&tenant(), &ids[0], Status::Acknowledged, "", "ann").await.unwrap();
    let sender = Sender::start(&book);
    let messages = settled(&book, &ids[0]).await;
    for message in messages {
        let expected = if message.target == "127.0.0.1-0" { DeliveryState::Dead } else { DeliveryState::Delivered };
        assert_eq!(message.state, expected, "{message:?}");
    }
    let disabled: Vec<_> =
        detail(&book, &ids[0]).await.activity.into_iter().filter(|line| line.kind == "target-disabled").collect();
    assert_eq!(disabled.len(), 1);
    let next = book.apply(&[detection("a", "192.0.2.2", 0)]).await.unwrap().created.remove(0);
    settled(&book, &next).await;
    sender.stop().await;
    db.close().await;

    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let after = book.apply(&[detection("a", "192.0.2.3", 0)]).await.unwrap().created.remove(0);
    let messages = settled(&book, &after).await;
    assert_eq!((messages[0].state, messages[0].attempts), (DeliveryState::Dead, 0), "and a restart changes nothing");
    assert_eq!(gone.got().len(), 1);
    assert_eq!(alive.got().len(), 4);

    book.enable_target("127.0.0.1-0").await.unwrap();
    book.apply(&[detection("a", "192.0.2.4", 0)]).await.unwrap();
    gone.wait_for(2).await;
    sender.stop().await;
}

#[tokio::test]
async fn a_restart_picks_up_what_was_pending() {
    let receiver = Receiver::start([]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, db) = house.open().await;
    let ids: Vec<_> =
        book.apply(&[detection("a", "192.0.2.1", 0), detection("a", "192.0.2.2", 0)]).await.unwrap().created;
    drop(book);
    db.close().await;

    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let got: HashSet<_> = receiver.wait_for(2).await.iter().map(|got| got.id()).collect();
    assert_eq!(got, ids.iter().map(|id| format!("msg_{id}_1")).collect());
    for id in &ids {
        settled(&book, id).await;
    }
    sender.stop().await;
    assert_eq!(receiver.got().len(), 2);
}

#[tokio::test]
async fn a_crash_between_sending_and_writing_down_sends_again_with_the_same_id() {
    let receiver = Receiver::start([Reply::Silence]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, db) = house.open().await;
    let sender = Sender::start(&book);
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    receiver.wait_for(1).await;
    sender.cut_off().await;
    drop(book);
    db.close().await;

    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let got = receiver.wait_for(2).await;
    assert_eq!((got[0].id(), &got[0].body), (got[1].id(), &got[1].body));
    assert_eq!(settled(&book, &id).await[0].state, DeliveryState::Delivered);
    sender.stop().await;
}

#[tokio::test]
async fn messages_about_one_incident_arrive_in_order_although_the_first_has_to_be_repeated() {
    let receiver = Receiver::start(vec![Reply::Status(500); 6]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, _db) = house.open().await;
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    for status in [Status::Acknowledged, Status::Closed, Status::Open] {
        book.set_status(&tenant(), &id, status, "", "ann").await.unwrap();
    }
    let sender = Sender::start(&book);
    let got = receiver.wait_for(10).await;
    let numbers: Vec<_> = got.iter().map(|got| got.id().rsplit('_').next().unwrap().to_owned()).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert_eq!(numbers.last().unwrap(), "4");
    let last = got.last().unwrap().json();
    assert_eq!((&last["type"], &last["data"]["change"]["from"]), (&"alert.status".into(), &"closed".into()));
    assert_eq!(last["data"]["change"]["actor"], "ann");
    settled(&book, &id).await;
    sender.stop().await;
}

#[tokio::test]
async fn a_slow_receiver_holds_up_no_other() {
    let slow = Receiver::start(vec![Reply::Silence; 10]).await;
    let quick = Receiver::start([]).await;
    let house = House::new().telling(&[&slow, &quick]);
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    for n in 0..6 {
        book.apply(&[detection("a", &format!("192.0.2.{n}"), 0)]).await.unwrap();
    }
    quick.wait_for(6).await;
    sender.cut_off().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let receiver = Receiver::start([Reply::RetryAfter(429, "1"), Reply::RetryAfter(503, "1")]).await;
    let mut house = House::new().telling(&[&receiver]);
    house.settings.retry.longest = Duration::from_millis(150);
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let started = tokio::time::Instant::now();
    book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap();
    receiver.wait_for(3).await;
    assert!(started.elapsed() >= Duration::from_millis(300), "twice the longest wait, as both asked for more");
    sender.stop().await;
}

#[tokio::test]
async fn addresses_that_the_operator_has_not_allowed_are_never_reached() {
    let receiver = Receiver::start([]).await;
    let mut house = House::new().telling(&[&receiver]);
    house.settings.retry.max_attempts = 2;
    let secret = alerts::SigningSecret::parse(house::SECRET).unwrap();
    let metadata = "https://169.254.169.254/latest/meta-data?token=hush".parse().unwrap();
    house.settings.targets = vec![alerts::Target::webhook(0, metadata, secret)];
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let id = book.apply(&[detection("a", "192.0.2.1", 0)]).await.unwrap().created.remove(0);
    let message = settled(&book, &id).await.remove(0);
    assert_eq!(message.state, DeliveryState::Dead);
    let error = message.last_error.unwrap();
    assert!(error.contains("link-local") && !error.contains("hush"), "{error}");
    sender.stop().await;
}

#[tokio::test]
async fn many_alerts_at_once_are_each_delivered_once() {
    let receiver = Receiver::start([]).await;
    let house = House::new().telling(&[&receiver]);
    let (book, _db) = house.open().await;
    let sender = Sender::start(&book);
    let found: Vec<_> = (0..200).map(|n| detection("a", &format!("2001:db8::{n:x}"), 0)).collect();
    let ids = book.apply(&found).await.unwrap().created;
    receiver.wait_for(200).await;
    for id in &ids {
        settled(&book, id).await;
    }
    sender.stop().await;
    let got: Vec<_> = receiver.got();
    got.iter().for_each(house::Got::verify);
    assert_eq!(got.iter().map(house::Got::id).collect::<HashSet<_>>().len(), 200);
    assert_eq!(got.len(), 200);
}
