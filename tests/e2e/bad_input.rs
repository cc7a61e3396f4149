//! Bad input gets the right OTLP status and a text that names the fault, stores nothing, and stops nobody.

use std::io::Write;

use anyhow::{Result, ensure};
use tests::{Server, script};

struct Case {
    what: &'static str,
    path: &'static str,
    content_type: &'static str,
    encoding: Option<&'static str>,
    body: Vec<u8>,
    status: u16,
    says: &'static str,
}

fn case(what: &'static str, content_type: &'static str, body: &[u8], status: u16, says: &'static str) -> Case {
    Case { what, path: "/v1/traces", content_type, encoding: None, body: body.to_vec(), status, says }
}

fn gzip_of_zeros(bytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..bytes >> 20 {
        encoder.write_all(&zeros).expect("memory takes it");
    }
    encoder.finish().expect("memory takes it")
}

fn cases() -> Vec<Case> {
    let (protobuf, json) = ("application/x-protobuf", "application/json");
    let valid_gzip = gzip_of_zeros(1 << 20);
    let deep = format!("{{\"resourceSpans\":{}", "[".repeat(200_000));
    vec![
        case("damaged protobuf", protobuf, &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1], 400, "protobuf"),
        case("text as protobuf", protobuf, b"not protobuf at all", 400, "protobuf"),
        case("damaged JSON", json, b"{\"resourceSpans\":[{", 400, "JSON"),
        case("deep JSON", json, deep.as_bytes(), 400, ""),
        case("wrong type in JSON", json, b"{\"resourceSpans\":7}", 400, "resourceSpans"),
        case("unknown content type", "text/plain", b"hello", 415, "text/plain"),
        Case { encoding: Some("gzip"), ..case("not gzip", protobuf, b"plainly not gzip", 400, "gzip") },
        Case { encoding: Some("gzip"), ..case("cut gzip", protobuf, &valid_gzip[..valid_gzip.len() / 2], 400, "gzip") },
        Case { encoding: Some("gzip"), ..case("gzip bomb", protobuf, &gzip_of_zeros(200 << 20), 413, "67108864") },
        Case { encoding: Some("br"), ..case("unknown encoding", protobuf, b"x", 415, "br") },
        Case { path: "/v1/metrics", ..case("metrics", protobuf, b"", 404, "metrics") },
    ]
}

#[test]
fn each_fault_gets_its_status_and_a_text_that_names_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    let client = tests::client().build()?;
    for case in cases() {
        let mut request =
            client.post(format!("{}{}", server.http, case.path)).header("content-type", case.content_type);
        if let Some(encoding) = case.encoding {
            request = request.header("content-encoding", encoding);
        }
        let answer = request.body(case.body).send()?;
        let (status, text) = (answer.status().as_u16(), String::from_utf8_lossy(&answer.bytes()?).into_owned());
        ensure!(status == case.status, "{}: {status} instead of {}: {text}", case.what, case.status);
        ensure!(text.contains(case.says), "{}: does not say {:?}: {text}", case.what, case.says);
    }
    ensure!(server.items("/api/v1/traces/search")?.is_empty(), "something was stored");
    // still there for everybody else
    let sent = script::send(&server, "http", 1, None)?;
    server.get(&format!("/api/v1/traces/{}", sent["trace_ids"][0].as_str().unwrap_or_default()))?;
    Ok(())
}

#[test]
fn wrong_parameters_are_named_with_their_limit() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[])?;
    for (path, field) in [
        ("/api/v1/traces/search?limit=100000", "limit"),
        ("/api/v1/traces/search?start=yesterday", "start"),
        ("/api/v1/traces/search?min_duration=fast", "min_duration"),
        ("/api/v1/traces/search?status=bad", "status"),
        ("/api/v1/traces/not-hex", "trace"),
        ("/api/v1/logs/search?min_severity=loud", "min_severity"),
    ] {
        let answer = server.send(reqwest::Method::GET, path, None)?;
        let (status, text) = (answer.status().as_u16(), answer.text()?);
        ensure!(status == 400, "{path}: {status}: {text}");
        ensure!(text.contains(field), "{path}: does not name {field}: {text}");
    }
    Ok(())
}
