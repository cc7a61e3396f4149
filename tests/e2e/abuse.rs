//! Attacks on HTTP/2 and on connections, while a client that behaves goes on as if nothing were.
//!
//! Frames are written by hand, since no library sends what these send. An attacker whose connection is closed comes back
//! at once, on one thread, for as long as the attack lasts.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::blocking::Client;
use tests::{Server, wait_for};

/// How long each attack goes on.
const ATTACK: Duration = Duration::from_secs(3);
/// Idle connections of one attack.
const IDLE: usize = 2_000;
/// Between two connections of one attacker.
const BREATH: Duration = Duration::from_millis(1);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The head of an export, in HPACK without compression.
fn head(path: &str) -> Vec<u8> {
    let literal = |name: &[u8], value: &str| [name, &[value.len() as u8], value.as_bytes()].concat();
    [
        // :method POST and :scheme http stand in the static table
        vec![0x83, 0x86],
        literal(&[0x04], path),
        literal(&[0x01], "localhost"),
        literal(&[0x0f, 0x10], "application/grpc"),
        literal(&[0x00, 2, b't', b'e'], "trailers"),
    ]
    .concat()
}

const EXPORT: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

/// Bytes of an attack without end: given how many pieces were sent on this connection, the next piece.
type Pieces = fn(u32) -> Vec<u8>;

fn rapid_reset(number: u32) -> Vec<u8> {
    let streams = (0..50).flat_map(|index| {
        let stream = (number * 50 + index) * 2 + 1;
        let reset = frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
        [frame(HEADERS, END_HEADERS, stream, &head(EXPORT)), reset].concat()
    });
    streams.collect()
}

fn continuations(number: u32) -> Vec<u8> {
    let name = [0x00, 1, b'x', 1, b'y'];
    let more = frame(CONTINUATION, 0, 1, &name).repeat(100);
    if number == 0 { [frame(HEADERS, 0, 1, &head(EXPORT)), more].concat() } else { more }
}

fn pings(_: u32) -> Vec<u8> {
    frame(PING, 0, 0, &[7; 8]).repeat(200)
}

fn settings(_: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[]).repeat(200)
}

fn empty_data(number: u32) -> Vec<u8> {
    let more = frame(DATA, 0, 1, &[]).repeat(200);
    if number == 0 { [frame(HEADERS, END_HEADERS, 1, &head(EXPORT)), more].concat() } else { more }
}

/// An attacker has a machine of its own in life. Here its threads get what everyone else leaves of this one, so that what
/// is measured is the server's answer to the attack and not who got a core.
fn step_back() {
    let thread = std::fs::read_link("/proc/thread-self").expect("a thread is named by the system");
    let id = thread.file_name().expect("by its number").to_owned();
    let done = Command::new("renice").args(["-n", "19", "-p"]).arg(id).output().expect("renice runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// One attacker, until told to stop: connects, floods until cut off, connects again. How often it was cut off.
fn flood(addr: SocketAddr, pieces: Pieces, stop: &AtomicBool) -> usize {
    step_back();
    let mut cut = 0;
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut socket) = TcpStream::connect(addr) else { continue };
        // what the server answers is read and forgotten, so that the attack is not slowed by it
        let Ok(mut answers) = socket.try_clone() else { continue };
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 1 << 16];
            while answers.read(&mut buffer).is_ok_and(|length| length > 0) {}
        });
        let mut number = 0;
        let opened = socket.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
        let mut is_open = opened.is_ok();
        while is_open && !stop.load(Ordering::SeqCst) {
            is_open = socket.write_all(&pieces(number)).is_ok();
            number += 1;
        }
        cut += usize::from(!is_open);
        let _ = socket.shutdown(std::net::Shutdown::Both);
        reading.join().expect("no reader panics");
        std::thread::sleep(BREATH);
    }
    cut
}

/// A client that behaves: one export after the other, over the transport under attack; times in order.
fn well_behaved(server: &Server, client: &Client, is_grpc: bool, lasting: Duration) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < lasting {
        let export = simulate::load(times.len() as u64, 5, tests::unix_nanos()).next().context("an export")?;
        let asked = Instant::now();
        let answer = if is_grpc {
            let length = u32::try_from(export.body.len())?.to_be_bytes();
            let call = client.post(format!("{}{EXPORT}", server.grpc)).header("te", "trailers");
            call.header("content-type", "application/grpc").body([&[0][..], &length, &export.body].concat()).send()?
        } else {
            let post = client.post(format!("{}/v1/traces", server.http));
            post.header("content-type", "application/x-protobuf").body(export.body).send()?
        };
        ensure!(answer.status() == 200 && !answer.headers().contains_key("grpc-status"), "answered {answer:?}");
        answer.bytes()?;
        times.push(asked.elapsed());
    }
    times.sort();
    Ok(times)
}

fn p99(times: &[Duration]) -> Duration {
    times[times.len() * 99 / 100]
}

fn descriptors(server: &Server) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{}/fd", server.pid()))?.count())
}

/// Of a released binary the promise; a development build on a busy machine shows only that nobody is shut out.
fn assert_unhurt(what: &str, calm: Duration, attacked: Duration) -> Result<()> {
    println!("{what}: p99 {attacked:?}, without {calm:?}");
    let limit = if tests::is_released() { calm * 2 } else { Duration::from_secs(5) };
    ensure!(attacked <= limit, "{what}: p99 {attacked:?}, {calm:?} without; at most {limit:?}");
    Ok(())
}

struct Scene {
    server: Server,
    clients: [Client; 2],
    addrs: [SocketAddr; 2],
    _folder: tempfile::TempDir,
}

impl Scene {
    fn open() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::start(folder.path(), &[])?;
        let clients = [tests::client().build()?, tests::client().http2_prior_knowledge().build()?];
        let addr = |url: &str| url.trim_start_matches("http://").parse();
        let addrs = [addr(&server.http)?, addr(&server.grpc)?];
        Ok(Self { server, clients, addrs, _folder: folder })
    }

    /// How long the well-behaved client waits when it is alone.
    fn calm(&self, is_grpc: bool) -> Result<Duration> {
        Ok(p99(&well_behaved(&self.server, &self.clients[usize::from(is_grpc)], is_grpc, ATTACK)?))
    }

    /// The well-behaved client alone, with each flood beside it, and alone again: a disk is not as quick at all times.
    fn under(&self, floods: &[(&str, Pieces)]) -> Result<()> {
        for (is_grpc, addr) in [(false, self.addrs[0]), (true, self.addrs[1])] {
            let client = &self.clients[usize::from(is_grpc)];
            let calm = self.calm(is_grpc)?;
            let before = descriptors(&self.server)?;
            let mut attacked = Vec::new();
            for (what, pieces) in floods {
                let stop = AtomicBool::new(false);
                let (times, cut, most) = std::thread::scope(|scope| {
                    let attacker = scope.spawn(|| flood(addr, *pieces, &stop));
                    let times = well_behaved(&self.server, client, is_grpc, ATTACK);
                    let most = descriptors(&self.server);
                    stop.store(true, Ordering::SeqCst);
                    (times, attacker.join().expect("no attacker panics"), most)
                });
                let (times, most) = (times?, most?);
                ensure!(cut > 0, "{what}: the attacker was never cut off");
                ensure!(most < before + 200, "{what}: {most} descriptors, {before} before");
                let transport = if is_grpc { "gRPC" } else { "HTTP" };
                println!("{what} over {transport}: cut off {cut} times, {} requests beside it", times.len());
                attacked.push((what, p99(&times)));
            }
            let calm = calm.max(self.calm(is_grpc)?);
            attacked.into_iter().try_for_each(|(what, p99)| assert_unhurt(what, calm, p99))?;
        }
        Ok(())
    }
}

#[test]
fn otlp_33_floods_of_frames_are_cut_off_and_hurt_nobody_else() -> Result<()> {
    Scene::open()?.under(&[
        ("rapid reset", rapid_reset),
        ("CONTINUATION flood", continuations),
        ("ping flood", pings),
        ("SETTINGS flood", settings),
        ("empty DATA flood", empty_data),
    ])
}

#[test]
fn otlp_46_slow_bodies_and_idle_connections_hurt_nobody_else() -> Result<()> {
    let scene = Scene::open()?;
    let calm = scene.calm(false)?;
    let before = descriptors(&scene.server)?;

    let mut slow = Vec::new();
    for _ in 0..200 {
        let mut socket = TcpStream::connect(scene.addrs[0])?;
        let head = "POST /v1/traces HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\ncontent-length: 100000\r\n\r\n";
        socket.write_all(head.as_bytes())?;
        slow.push(socket);
    }
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let dribble = std::thread::spawn({
        let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
        move || {
            step_back();
            while !stop.load(Ordering::SeqCst) {
                for socket in &mut slow {
                    sent.fetch_add(usize::from(socket.write_all(&[0x0a]).is_ok()), Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    });
    let times = well_behaved(&scene.server, &scene.clients[0], false, ATTACK)?;
    stop.store(true, Ordering::SeqCst);
    dribble.join().expect("no attacker panics");
    ensure!(sent.load(Ordering::SeqCst) > 200, "the bodies did move");
    let calm = calm.max(scene.calm(false)?);
    assert_unhurt("200 slow bodies", calm, p99(&times))?;

    let mut idle = Vec::new();
    for number in 0..IDLE {
        let mut socket = TcpStream::connect(scene.addrs[number % 2])?;
        if number % 4 == 1 {
            socket.write_all(PREFACE)?;
        }
        idle.push(socket);
    }
    let times = well_behaved(&scene.server, &scene.clients[0], false, ATTACK)?;
    let most = descriptors(&scene.server)?;
    ensure!(most < before + IDLE + 100, "{most} descriptors, {before} before");
    assert_unhurt("2,000 idle connections", calm, p99(&times))?;
    drop(idle);
    wait_for("descriptors to come back", || {
        let now = descriptors(&scene.server)?;
        ensure!(now < before + 100, "{now} descriptors, {before} before");
        Ok(())
    })
}

#[test]
fn otlp_33_the_http2_library_has_the_known_attacks_mended() -> Result<()> {
    let lock: toml::Table = std::fs::read_to_string(tests::root().join("Cargo.lock"))?.parse()?;
    let packages = lock["package"].as_array().context("a lock file has packages")?;
    let versions = packages.iter().filter(|package| package["name"].as_str() == Some("h2"));
    for version in versions.filter_map(|package| package["version"].as_str()) {
        let parts: Vec<u32> = version.split('.').map(str::parse).collect::<Result<_, _>>()?;
        ensure!(parts >= vec![0, 4, 16], "h2 {version}: RUSTSEC-2024-0003, -2024-0332 and -2026-0258 need 0.4.16");
    }
    Ok(())
}
