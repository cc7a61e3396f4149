//! How long a connection has been silent, and when that is too long.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// A deadline that every byte of either side puts off.
pub(crate) struct Idle {
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Idle {
    pub fn new(limit: Duration) -> Self {
        Self { limit, deadline: Box::pin(sleep(limit)) }
    }

    /// Something moved.
    pub fn touch(&mut self) {
        self.deadline.as_mut().reset(Instant::now() + self.limit);
    }

    /// Resolves, with what to tell, when nothing moved for the limit.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        self.deadline.as_mut().poll(cx).map(|()| io::Error::new(io::ErrorKind::TimedOut, "connection was idle"))
    }
}
