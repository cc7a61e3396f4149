//! Thousands of malformed requests over both transports: the right class of answer, nothing stored, memory flat.
//!
//! `TRACEHOUND_MALFORMED` sets how many (2,000 otherwise), `TRACEHOUND_MALFORMED_SEED` the seed.

mod make;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use make::{Expect, Maker, Request};
use reqwest::blocking::Client;
use tests::dice::Dice;
use tests::{Server, wait_for};

/// How far memory may rise over what the server holds after ordinary requests.
const RISE_BYTES: u64 = 256 << 20;
const USUAL: usize = 2_000;

/// What a client was told, whatever the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Stored,
    /// Stored but for some events.
    Partly,
    /// The request is wrong, or not spoken here: coming back is no use.
    Invalid,
    /// Larger than a limit: coming back is no use.
    TooLarge,
    /// Come back later, a fault of the server, or something no table knows.
    Other(u32),
}

fn of_http(status: u16) -> Class {
    match status {
        200 => Class::Stored,
        400 | 415 => Class::Invalid,
        413 => Class::TooLarge,
        other => Class::Other(other.into()),
    }
}

/// 0 of a call that succeeds stands in its trailers.
fn of_grpc(http: u16, code: Option<u32>) -> Class {
    match (http, code) {
        (200, None) => Class::Stored,
        (200, Some(3 | 12)) => Class::Invalid,
        (200, Some(8)) => Class::TooLarge,
        (_, code) => Class::Other(code.unwrap_or(http.into())),
    }
}

fn clients() -> Result<(Client, Client)> {
    Ok((tests::client().build()?, tests::client().http2_prior_knowledge().build()?))
}

fn send(server: &Server, (http, grpc): &(Client, Client), request: &Request) -> Result<Class> {
    let signal = if request.is_logs { "logs" } else { "traces" };
    if request.is_grpc {
        let service = if request.is_logs { "logs.v1.LogsService" } else { "trace.v1.TraceService" };
        let url = format!("{}/opentelemetry.proto.collector.{service}/Export", server.grpc);
        let mut call = grpc.post(url).header("content-type", "application/grpc").header("te", "trailers");
        if let Some(encoding) = request.encoding {
            call = call.header("grpc-encoding", encoding);
        }
        let answer = call.body(request.body.clone()).send()?;
        let code = answer.headers().get("grpc-status").map(|code| code.to_str().unwrap_or_default().parse());
        let (status, code) = (answer.status().as_u16(), code.transpose().context("a gRPC code")?);
        let body = answer.bytes()?;
        ensure!(code.is_some() || body.len() >= 5, "a call that succeeds answers with a message");
        let class = of_grpc(status, code);
        return Ok(if class == Class::Stored && body.len() > 5 { Class::Partly } else { class });
    }
    let media = if request.is_json { "application/json" } else { "application/x-protobuf" };
    let mut post = http.post(format!("{}/v1/{signal}", server.http)).header("content-type", media);
    if let Some(encoding) = request.encoding {
        post = post.header("content-encoding", encoding);
    }
    let answer = post.body(request.body.clone()).send()?;
    let class = of_http(answer.status().as_u16());
    let (media_back, body) = (answer.headers().get("content-type").cloned(), answer.bytes()?);
    ensure!(media_back.is_some_and(|back| back == media), "the answer speaks as the request did");
    ensure!(class == Class::Stored || !body.is_empty(), "a refusal has a body");
    let full = if request.is_json { &b"{}"[..] } else { b"" };
    Ok(if class == Class::Stored && body != full { Class::Partly } else { class })
}

/// Peak resident memory of a process.
fn peak_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("Linux tells the peak")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? << 10)
}

#[test]
fn malformed_requests_are_told_what_they_are_and_store_nothing() -> Result<()> {
    let count = std::env::var("TRACEHOUND_MALFORMED").ok().and_then(|text| text.parse().ok()).unwrap_or(USUAL);
    let dice = Dice::from_environment("TRACEHOUND_MALFORMED_SEED", 20_261);
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let clients = clients()?;
    let mut maker = Maker::new(dice);
    let (mut least, mut most) = (0, 0);
    for _ in 0..100 {
        let sound = maker.sound();
        ensure!(send(&server, &clients, &sound)? == Class::Stored, "sound requests are stored");
        (least, most) = (least + sound.events, most + sound.events);
    }
    let baseline = peak_bytes(server.pid())?;
    let mut told: BTreeMap<(&str, Class), usize> = BTreeMap::new();
    for number in 0..count {
        let request = maker.spoiled(number);
        let class = send(&server, &clients, &request).with_context(|| format!("request {number}: {}", request.what))?;
        let is_right = match request.expect {
            // an event that is rejected is not looked into
            Expect::RefusedOrPartly => matches!(class, Class::Partly | Class::Invalid | Class::TooLarge),
            Expect::Invalid => class == Class::Invalid,
            Expect::TooLarge => class == Class::TooLarge,
            Expect::Stored => class == Class::Stored,
            Expect::Unknown => !matches!(class, Class::Other(_)),
        };
        ensure!(is_right, "request {number}, {}: expected {:?}, told {class:?}", request.what, request.expect);
        if matches!(class, Class::Stored | Class::Partly) {
            least += if request.expect == Expect::Stored { request.events } else { 0 };
            most += request.events;
        }
        *told.entry((request.what, class)).or_default() += 1;
    }
    let peak = peak_bytes(server.pid())?;
    for ((what, class), requests) in &told {
        println!("{requests:>6}  {what}: {class:?}");
    }
    println!("{count} requests; peak memory {} MiB, baseline {} MiB", peak >> 20, baseline >> 20);
    ensure!(peak < baseline + RISE_BYTES, "memory rose from {baseline} to {peak} bytes");
    let accepted = server.metric("tracehound_collect_accepted_events_total")? as u64;
    ensure!((least..=most).contains(&accepted), "{accepted} events accepted, {least} to {most} were sound");
    wait_for("the gauges of rows", || {
        let rows =
            (server.metric("tracehound_memtable_rows")? as u64) + (server.metric("tracehound_lake_rows")? as u64);
        ensure!(rows == accepted, "{rows} rows, {accepted} events accepted");
        Ok(())
    })?;
    ensure!(send(&server, &clients, &maker.sound())? == Class::Stored, "the server is there for everybody else");
    Ok(())
}

#[test]
fn otlp_03_a_bomb_is_not_inflated_past_the_limit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let clients = clients()?;
    let mut maker = Maker::new(Dice::new(3));
    ensure!(send(&server, &clients, &maker.sound())? == Class::Stored, "sound requests are stored");
    let baseline = peak_bytes(server.pid())?;
    for is_grpc in [false, true] {
        for encoding in ["gzip", "zstd"] {
            // about 1 MiB of gzip, and less of zstd, that would inflate to 1 GiB: a limit of 64 MiB keeps it below twice that
            let bomb = make::bomb(encoding, 1 << 30, is_grpc);
            ensure!(send(&server, &clients, &bomb)? == Class::TooLarge, "{encoding} over gRPC {is_grpc}");
        }
    }
    let rise = peak_bytes(server.pid())?.saturating_sub(baseline);
    println!("four bombs of 1 GiB: memory rose by {} MiB over {} MiB", rise >> 20, baseline >> 20);
    ensure!(rise < 128 << 20, "memory rose by {rise} bytes");
    Ok(())
}
