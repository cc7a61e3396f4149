//! All SDKs and `telemetrygen` at the same time, through one restart.

use std::time::Instant;

use anyhow::{Result, ensure};
use tests::Server;

use super::crew::Crew;
use super::matrix::{self, FreePorts, rows};

#[test]
fn every_client_that_tries_again_loses_and_doubles_nothing_through_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let ports = FreePorts::new().for_server()?;
    let server = Server::start_on(folder.path(), ports)?;
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
    let server = Server::start_on(folder.path(), ports)?;
    let away = away.elapsed();
    crew.wait_until_back(&server)?;

    let (rows, tallies) = crew.finish()?;
    ensure!(server.stop()?.success(), "the server did not stop cleanly");
    let title = format!("Clients through a restart, connections refused for {:.1} s", away.as_secs_f64());
    matrix::check(&title, folder.path(), &rows, &tallies)
}
