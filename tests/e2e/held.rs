//! Sockets that stay open while a server restarts, as systemd keeps those of a `.socket` unit.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::{Ports, Server, serve_command_on};

/// Moves the sockets from where a child can be given them to where they are handed over, and becomes the server.
const HAND_OVER: &str = r#"exec 3<&0 4<&2 0</dev/null 2>&1; export LISTEN_FDS=2 LISTEN_PID=$$; exec "$0" "$@""#;

/// The OTLP sockets of a server; connections wait in them while no server runs.
#[derive(Debug)]
pub struct HeldSockets {
    grpc: TcpListener,
    http: TcpListener,
}

impl HeldSockets {
    /// Opens both on free ports.
    ///
    /// # Errors
    /// When no port is free.
    pub fn open() -> Result<Self> {
        Ok(Self { grpc: TcpListener::bind("127.0.0.1:0")?, http: TcpListener::bind("127.0.0.1:0")? })
    }

    /// Starts a server without authentication that is handed the sockets.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_server(&self, data_dir: &Path) -> Result<Server> {
        let ports = Ports { api: 0, grpc: self.grpc.local_addr()?.port(), http: self.http.local_addr()?.port() };
        let serve = serve_command_on(data_dir, ports);
        let mut command = Command::new("sh");
        command.args(["-c", HAND_OVER]).arg(serve.get_program()).args(serve.get_args()).arg("--no-auth");
        for (name, value) in serve.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        command.stdin(Stdio::from(OwnedFd::from(self.grpc.try_clone()?)));
        command.stderr(Stdio::from(OwnedFd::from(self.http.try_clone()?)));
        Server::start_command(command)
    }
}
