//! Seats, the queue, and who is turned away.

use super::*;

#[tokio::test]
async fn the_queue_has_an_end_and_moves_on() {
    let door = Admission::new(&Limits { max_running: 1, max_waiting: 1, ..Limits::default() });
    let first = door.enter().await.unwrap();
    let mut second = std::pin::pin!(door.enter());
    assert!(futures::poll!(&mut second).is_pending());
    let refused = door.enter().await.unwrap_err();
    assert!(matches!(refused, QueryError::Overloaded { running: 1, waiting: 1 }));
    drop(first);
    drop(second.await.unwrap());
    assert_eq!(door.waiting.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_who_stops_waiting_leaves_the_queue() {
    let door = Admission::new(&Limits { max_running: 1, max_waiting: 1, ..Limits::default() });
    let _seat = door.enter().await.unwrap();
    {
        let mut given_up = std::pin::pin!(door.enter());
        assert!(futures::poll!(&mut given_up).is_pending());
    }
    let mut next = std::pin::pin!(door.enter());
    assert!(futures::poll!(&mut next).is_pending(), "there is room in the queue again");
}
