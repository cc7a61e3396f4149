//! An HTTP/2 connection that is closed when it keeps us busy without asking for anything.
//!
//! Pings, settings, resets, empty and tiny frames cost a client nothing and are answered before any request is seen, so
//! no limit on requests meets them. Here every frame that carries next to nothing takes one from the connection's
//! allowance; time and every answered request give back. An honest client needs at most six such frames per request (headers,
//! prefix, end of stream, two window updates, a ping that measures the network); one that cancels whatever it asks gets
//! nothing back.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use runtime::metric;
use tokio::time::Instant;

/// Frames a connection may have to its credit, and has at the start.
const MOST: u32 = 4_096;
/// Frames given back for a request that was answered.
const PER_ANSWER: u32 = 8;
/// Frames given back for every second.
const PER_SEC: u32 = 256;
/// A piece of a body with fewer bytes counts as a frame that carries next to nothing.
const TINY_BYTES: u32 = 128;

/// What every HTTP/2 client says first. Over HTTP/1 nothing is counted: there is no frame but the request.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;

/// Frames that one connection may still send.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: AtomicU32,
}

impl Allowance {
    pub fn new() -> Arc<Self> {
        Arc::new(Self { left: AtomicU32::new(MOST) })
    }

    /// A request was answered.
    pub fn answered(&self) {
        self.give(PER_ANSWER);
    }

    fn give(&self, frames: u32) {
        let more = |left: u32| Some(left.saturating_add(frames).min(MOST));
        // an update that always gives a value cannot fail
        let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn take(&self, frames: u32) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(frames)).is_ok()
    }
}

/// What a connection was read so far, and what that takes from its allowance.
pub(crate) struct Flood {
    allowance: Arc<Allowance>,
    frames: Frames,
    given_at: Instant,
}

impl Flood {
    pub fn new(allowance: Arc<Allowance>) -> Self {
        Self { allowance, frames: Frames::Preface { seen: 0 }, given_at: Instant::now() }
    }

    /// Counts bytes that were just read; an error once the allowance is used up.
    pub fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.frames.feed(bytes) {
            0 => Ok(()),
            tiny => self.charge(tiny),
        }
    }

    /// Takes from the allowance, first giving what time has earned when it does not suffice.
    fn charge(&mut self, frames: u32) -> io::Result<()> {
        if self.allowance.take(frames) {
            return Ok(());
        }
        let now = Instant::now();
        let earned_frames = now.duration_since(self.given_at).as_secs_f64() * f64::from(PER_SEC);
        self.given_at = now;
        self.allowance.give(earned_frames as u32);
        if self.allowance.take(frames) {
            return Ok(());
        }
        metrics::counter!(metric::COLLECT_FLOODS).increment(1);
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "too many frames without a request"))
    }
}

/// Where in the stream of frames the next byte lies.
#[derive(Debug)]
enum Frames {
    Preface {
        seen: usize,
    },
    /// Not HTTP/2.
    Other,
    Head {
        bytes: [u8; HEAD_BYTES],
        have: usize,
    },
    Payload {
        left: usize,
    },
}

impl Frames {
    /// Reads on; the number of frames that began and carry next to nothing.
    fn feed(&mut self, mut bytes: &[u8]) -> u32 {
        let mut tiny = 0_u32;
        while let Some(&first) = bytes.first() {
            match self {
                Self::Other => return tiny,
                Self::Preface { seen } if PREFACE[*seen] != first => *self = Self::Other,
                Self::Preface { seen } => {
                    *seen += 1;
                    bytes = &bytes[1..];
                    if *seen == PREFACE.len() {
                        *self = Self::Head { bytes: [0; HEAD_BYTES], have: 0 };
                    }
                }
                Self::Head { bytes: head, have } => {
                    let taken = bytes.len().min(HEAD_BYTES - *have);
                    head[*have..*have + taken].copy_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    *have += taken;
                    if *have == HEAD_BYTES {
                        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                        let is_worth_it = head[3] == DATA && length >= TINY_BYTES;
                        tiny += u32::from(!is_worth_it);
                        *self = Self::Payload { left: length as usize };
                    }
                }
                Self::Payload { left } => {
                    let taken = bytes.len().min(*left);
                    bytes = &bytes[taken..];
                    *left -= taken;
                    if *left == 0 {
                        *self = Self::Head { bytes: [0; HEAD_BYTES], have: 0 };
                    }
                }
            }
        }
        tiny
    }
}

#[cfg(test)]
mod tests;
