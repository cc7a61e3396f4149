//! The stream of a connection, watched: its reads fail when nothing moves, or when it keeps us busy for nothing.
//!
//! Over TLS what is said inside counts, so that empty records keep no connection open.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::flood::{Allowance, Flood};
use crate::idle::Idle;

/// A stream that is watched.
pub(crate) struct Guarded<S> {
    socket: S,
    idle: Idle,
    flood: Flood,
}

impl<S> Guarded<S> {
    /// Nothing may move for `idle_limit` at most, and frames take from the allowance.
    pub fn new(socket: S, idle_limit: Duration, allowance: Arc<Allowance>) -> Self {
        Self { socket, idle: Idle::new(idle_limit), flood: Flood::new(allowance) }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let Poll::Ready(read) = Pin::new(&mut this.socket).poll_read(cx, buf) else {
            return this.idle.poll_end(cx).map(Err);
        };
        this.idle.touch();
        Poll::Ready(read.and_then(|()| this.flood.check(&buf.filled()[before..])))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write(cx, buf));
        this.idle.touch();
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.socket).poll_write_vectored(cx, bufs));
        this.idle.touch();
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}
