//! Who writes, who waits, and what is remembered.

use bytes::Bytes;
use tempfile::TempDir;
use wal::Wal;

use super::*;

const WINDOW: Duration = Duration::from_secs(60);

struct House {
    wal: Wal<()>,
    resends: Resends,
    _dir: TempDir,
}

fn house(max_requests: usize) -> House {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = wal::Settings { reserve_bytes: 0, ..wal::Settings::new(dir.path()) };
    let (wal, _) = Wal::open(settings, |_, ()| {}).expect("an empty log opens");
    House { wal, resends: Resends::new(WINDOW, max_requests).expect("a window"), _dir: dir }
}

fn frame(number: u8) -> Frame {
    Frame {
        tenant: TenantId::default_tenant(),
        key_id: Some("key".into()),
        services: None,
        signal: Signal::Logs,
        format: Format::Protobuf,
        received_at: UnixNanos(0),
        payload: Bytes::from(vec![number; 100]),
    }
}

fn key(number: u8) -> Key {
    Key::of(&frame(number), u128::from(number))
}

impl House {
    async fn is_known(&self, number: u8, now_nanos: i64) -> bool {
        matches!(self.resends.turn(&key(number), now_nanos).await, Turn::Kept)
    }

    async fn ticket(&self, number: u8, now_nanos: i64) -> Ticket<'_> {
        match self.resends.turn(&key(number), now_nanos).await {
            Turn::Write(ticket) => ticket,
            Turn::Kept => panic!("{number} is known"),
        }
    }

    async fn store(&self, number: u8, now_nanos: i64) {
        let ticket = self.ticket(number, now_nanos).await;
        ticket.write(self.wal.begin(frame(number), ()).expect("room")).await.expect("durable");
    }
}

#[tokio::test]
async fn what_is_durable_is_known_until_its_time_is_over() {
    let house = house(10);
    house.store(1, 0).await;
    let window_nanos = house.resends.window_nanos();
    assert!(house.is_known(1, window_nanos).await && !house.is_known(1, window_nanos + 1).await);
    let others = [
        Key { tenant: "other".parse().expect("a tenant"), ..key(1) },
        Key { key_id: Some("other".into()), ..key(1) },
        Key { key_id: None, ..key(1) },
        Key { signal: Signal::Spans, ..key(1) },
        Key { format: Format::Json, ..key(1) },
        Key { digest: 2, ..key(1) },
    ];
    for other in others {
        assert!(matches!(house.resends.turn(&other, 0).await, Turn::Write(_)), "{other:?}");
    }
}

#[tokio::test]
async fn what_was_not_written_is_the_next_ones_turn() {
    let house = house(10);
    drop(house.ticket(1, 0).await);
    let ticket = house.ticket(1, 0).await;
    house.wal.clone().close();
    house.wal.begin(frame(1), ()).expect_err("the log is closed");
    drop(ticket);
    assert!(!house.is_known(1, 0).await, "a write that failed acknowledges nothing");
}

#[tokio::test]
async fn a_twin_waits_for_the_one_who_writes() {
    let house = house(10);
    let ticket = house.ticket(1, 0).await;
    let twin = house.is_known(1, 0);
    tokio::pin!(twin);
    tokio::select! {
        biased;
        known = &mut twin => panic!("nothing is known yet: {known}"),
        () = std::future::ready(()) => {}
    }
    ticket.write(house.wal.begin(frame(1), ()).expect("room")).await.expect("durable");
    assert!(twin.await);
    assert_eq!(house.wal.end().0, 1);
}

#[tokio::test]
async fn who_goes_away_leaves_the_waiting_to_the_next() {
    let house = house(10);
    let ticket = house.ticket(1, 0).await;
    let mut writing = Box::pin(ticket.write(house.wal.begin(frame(1), ()).expect("room")));
    // seen once and dropped: whether the frame is durable by then does not matter
    let _ = futures_poll(&mut writing).await;
    drop(writing);
    assert!(house.is_known(1, 0).await);
    assert_eq!(house.wal.end().0, 1, "written once");
}

/// One look at a future.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> bool {
    tokio::select! {
        biased;
        _ = future => true,
        () = std::future::ready(()) => false,
    }
}

#[tokio::test]
async fn the_oldest_is_forgotten_when_there_are_too_many() {
    let house = house(3);
    for number in 1..=5 {
        house.store(number, i64::from(number)).await;
    }
    for (number, is_known) in [(5, true), (4, true), (3, true)] {
        assert_eq!(house.is_known(number, 6).await, is_known, "{number}");
    }
    assert!(!house.is_known(1, 6).await && !house.is_known(2, 6).await);
    // what the log held at the start is known, too, and does not make others be known for longer
    let house = self::house(3);
    (1..=4).for_each(|number| house.resends.remember(key(number), 0));
    assert!(!house.is_known(1, 0).await);
    assert!(house.is_known(4, 0).await);
}

#[test]
fn no_time_remembers_nothing() {
    assert!(Resends::new(Duration::ZERO, 10).is_none());
}
