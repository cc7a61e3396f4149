//! All SDKs and `telemetrygen` at the same time, through one restart.

use std::time::Instant;

use anyhow::{Result, ensure};
use tests::Server;
use tests::held::HeldSockets;

use super::crew::Crew;
use super::matrix::{self, FreePorts, rows};

#[test]
fn every_client_that_tries_again_loses_and_doubles_nothing_through_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = FreePorts::new().for_server()?;
    let server = Server::start_on(folder.path(), ports, &["--no-auth"])?;
    let all = [
        rows("python", &["grpc", "http/protobuf"], &server),
        rows("node", &["http/protobuf", "http/json"], &server),
        rows("javaagent", &["grpc", "http/protobuf"], &server),
        rows("go", &["grpc"], &server),
        rows("rust", &["grpc", "http/protobuf"], &server),
        rows("telemetrygen", &["grpc"], &server),
    ];
    let mut crew = Crew::start(&server, all.concat())?;

    let away = Instant::now();
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let server = Server::start_on(folder.path(), ports, &["--no-auth"])?;
    let away = away.elapsed();
    crew.wait_until_back(&server)?;

    let (rows, tallies) = crew.finish()?;
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let title = format!("Clients through a restart, connections refused for {:.1} s", away.as_secs_f64());
    matrix::check(&title, folder.path(), &rows, &tallies)
}

/// The Node SDK over gRPC, and the Go SDK over HTTP and with it `telemetrygen`, give up an export at the first refused
/// connection. With sockets that stay open nobody is refused.
#[test]
fn clients_that_never_try_again_lose_nothing_when_the_sockets_stay_open() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let sockets = HeldSockets::open()?;
    let server = sockets.start_server(folder.path())?;
    let all = [
        rows("node", &["grpc"], &server),
        rows("go", &["http/protobuf"], &server),
        rows("telemetrygen", &["http/protobuf"], &server),
    ];
    let mut crew = Crew::start(&server, all.concat())?;

    let away = Instant::now();
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let server = sockets.start_server(folder.path())?;
    let away = away.elapsed();
    crew.wait_until_back(&server)?;

    let (rows, tallies) = crew.finish()?;
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let title = format!("Clients through a restart with sockets kept open, no answer for {:.1} s", away.as_secs_f64());
    matrix::check(&title, folder.path(), &rows, &tallies)
}
