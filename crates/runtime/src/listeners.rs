//! Listening sockets: opened here, or handed over by what started the process.
//!
//! A supervisor such as systemd may open the sockets and keep them open while the server restarts. Clients that come in
//! between are then not refused but wait in the system's queue, which matters for the many that do not try again when
//! a connection is refused. The sockets are handed over as file descriptors from 3 on, with `LISTEN_FDS` and
//! `LISTEN_PID` in the environment.

use std::io;
use std::net::SocketAddr;

use listenfd::ListenFd;
use tokio::net::TcpListener;

/// Sockets that were handed over and not yet taken.
#[derive(Debug, Default)]
pub struct Listeners {
    handed: Vec<(SocketAddr, std::net::TcpListener)>,
}

impl Listeners {
    /// Takes what the environment says was handed to this process; none is the usual case. For `server` alone, once.
    ///
    /// # Errors
    /// When something handed over is not a listening TCP socket.
    pub fn from_environment() -> io::Result<Self> {
        let mut descriptors = ListenFd::from_env();
        let mut handed = Vec::with_capacity(descriptors.len());
        for number in 0..descriptors.len() {
            if let Some(listener) = descriptors.take_tcp_listener(number)? {
                handed.push((listener.local_addr()?, listener));
            }
        }
        Ok(Self { handed })
    }

    /// The socket that was handed over for just this address, or else a new one.
    ///
    /// # Errors
    /// When the address is taken or not ours.
    pub async fn bind(&mut self, addr: SocketAddr) -> io::Result<TcpListener> {
        match self.handed.iter().position(|(own, _)| *own == addr) {
            Some(at) => {
                let (_, listener) = self.handed.swap_remove(at);
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener)
            }
            None => TcpListener::bind(addr).await,
        }
    }

    /// Addresses of sockets that nobody took: clients that connect there would wait for ever.
    pub fn unclaimed(&self) -> Vec<SocketAddr> {
        self.handed.iter().map(|(addr, _)| *addr).collect()
    }
}

#[cfg(test)]
mod tests;
