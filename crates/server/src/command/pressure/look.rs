//! Asking a server on this machine for its metrics.
//!
//! By hand over a plain socket: the address is the operator's own setting, and the client for the outside world
//! neither speaks to this machine nor reads as much as all metrics are.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::Sample;

/// Time between the two looks.
const APART: Duration = Duration::from_secs(1);
/// Longest wait for the server at each step.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const MAX_ANSWER_BYTES: u64 = 8 << 20;

/// Two looks at the metrics of the server that listens on `listen`, a second apart.
///
/// # Errors
/// When nobody answers there, or not with metrics.
pub async fn look_twice(listen: SocketAddr) -> io::Result<(Sample, Sample)> {
    let (address, started) = (reachable(listen), Instant::now());
    let before = look(address, started).await?;
    tokio::time::sleep(APART).await;
    Ok((before, look(address, started).await?))
}

/// An address to connect to for one to listen on.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

async fn look(address: SocketAddr, started: Instant) -> io::Result<Sample> {
    let asked = tokio::task::spawn_blocking(move || get_metrics(address));
    let text = asked.await.map_err(|error| io::Error::other(error.to_string()))??;
    Ok(Sample::parse(started.elapsed().as_secs_f64(), &text))
}

fn get_metrics(address: SocketAddr) -> io::Result<String> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    // version 1.0, so that the body comes in one piece and ends with the connection
    write!(socket, "GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    socket.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).unwrap_or("nothing");
    if status != "200" {
        return Err(io::Error::other(format!("/metrics answers {status}")));
    }
    Ok(body.to_owned())
}
