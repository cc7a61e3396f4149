//! Which socket serves an address.

use super::*;

fn handed() -> (Listeners, SocketAddr) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (Listeners { handed: vec![(addr, listener)] }, addr)
}

#[tokio::test]
async fn a_socket_that_was_handed_over_serves_its_address() {
    let (mut listeners, addr) = handed();
    // the address is in use, so only the handed socket can be it
    let listener = listeners.bind(addr).await.unwrap();
    assert_eq!(listener.local_addr().unwrap(), addr);
    assert!(listeners.unclaimed().is_empty());
    let _waiting = std::net::TcpStream::connect(addr).unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn another_address_is_bound_and_the_handed_socket_stays_unclaimed() {
    let (mut listeners, addr) = handed();
    let listener = listeners.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert_ne!(listener.local_addr().unwrap(), addr);
    assert_eq!(listeners.unclaimed(), [addr]);
}
