//! HTTP/2 frames written and read by hand, since no library sends what these send.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::DEADLINE;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
pub const PING: [u8; 17] = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
pub const PING_TYPE: u8 = 6;

/// Says what an HTTP/2 client says first.
pub async fn greet<S: AsyncWrite + Unpin>(mut stream: S) -> S {
    stream.write_all(&[PREFACE, &SETTINGS].concat()).await.expect("sent");
    stream
}

/// The next frame: type, flags and payload.
pub async fn next(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
    stream.read_exact(&mut payload).await?;
    Ok((head[3], head[4], payload))
}

/// Sends pings until the collector cuts the connection; how many it answered before.
pub async fn flood_with_pings<S: AsyncRead + AsyncWrite>(stream: S) -> usize {
    let (mut reading, mut writing) = tokio::io::split(stream);
    let flood = async {
        let many = PING.repeat(1_000);
        let mut sent = 0;
        while writing.write_all(&many).await.is_ok() {
            sent += 1_000;
        }
        sent
    };
    let mut pongs = Vec::new();
    let both = async { tokio::join!(flood, reading.read_to_end(&mut pongs)) };
    let (sent, _) = tokio::time::timeout(DEADLINE, both).await.expect("cut in time");
    println!("cut after {} pongs, {sent} pings had been written", pongs.len() / PING.len());
    pongs.len() / PING.len()
}
