//! Check B29: of ten thousand secrets sent in every place of spans and logs, none is found anywhere afterwards.

#[path = "../../crates/collect/tests/house/value.rs"]
mod value;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use proto::collector::logs::v1::ExportLogsServiceRequest;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::common::v1::any_value::Value as Kind;
use proto::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use proto::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use proto::resource::v1::Resource;
use proto::trace::v1::span::{Event, Link};
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use serde::Serialize;
use tests::receiver::Receiver;
use tests::{Server, binary, unix_nanos, wait_for};
use value::{array, list, pair, text};

/// Spans, and as many log records.
const RECORDS: u64 = 500;
const RECORDS_PER_REQUEST: u64 = 25;
/// What every secret begins with, so that one search finds whatever is left of any.
const MARK: &str = "cnry7";

/// Everything that may be found afterwards where only what is not secret should be.
const RULE: &str = "title: a marked span
id: 7e1e7a0e-6f43-4ad8-8f6e-0a8ee9b1a029
logsource: {product: otel, category: span}
detection:
  marked:
    alarm: \"yes\"
  condition: marked
level: high
";

/// Makes secrets, each once, and counts them.
struct Canaries(u64);

impl Canaries {
    fn secret(&mut self) -> String {
        self.0 += 1;
        format!("{MARK}x{:08}", self.0)
    }

    /// A text with a secret in it, in one of the forms that are known by how they look.
    fn text(&mut self) -> String {
        let secret = self.secret();
        match self.0 % 6 {
            0 => format!("login with password={secret}&user=ann"),
            1 => format!("got {{\"api_key\": \"{secret}\"}}"),
            2 => format!("Authorization: Bearer {secret}"),
            3 => format!("postgres://app:{secret}@db:5432/shop"),
            4 => format!("used ghp_{secret}{}", "Ab3".repeat(8)),
            _ => format!("GET /reset?token={secret}#top"),
        }
    }

    /// Attributes with secrets: by key, by look, in a key, nested, in bytes.
    fn attributes(&mut self, number: u64) -> Vec<KeyValue> {
        let nested = list(vec![
            pair("password", text(self.secret())),
            pair("inner", array(vec![text(self.text()), list(vec![pair("client_secret", text(self.secret()))])])),
        ]);
        vec![
            pair("kept.number", text(format!("kept-{number}"))),
            pair("http.request.header.authorization", array(vec![text(format!("Bearer {}", self.secret()))])),
            pair("db.password", text(self.secret())),
            pair("url.full", text(self.text())),
            pair(&self.text(), text("key")),
            pair("config", nested),
            pair("blob", AnyValue { value: Some(Kind::BytesValue(self.text().into_bytes())) }),
        ]
    }
}

fn trace_id(number: u64) -> Vec<u8> {
    u128::from(number + 1).to_be_bytes().to_vec()
}

fn origin(canaries: &mut Canaries) -> Resource {
    let mut attributes = vec![pair("service.name", text("canaries"))];
    attributes.extend(canaries.attributes(0));
    Resource { attributes, ..Resource::default() }
}

fn scope(canaries: &mut Canaries) -> InstrumentationScope {
    InstrumentationScope {
        name: canaries.text(),
        attributes: canaries.attributes(0),
        ..InstrumentationScope::default()
    }
}

fn span(canaries: &mut Canaries, number: u64) -> Span {
    let event = Event { name: canaries.text(), attributes: canaries.attributes(number), ..Event::default() };
    let link = Link {
        trace_id: trace_id(number),
        span_id: vec![9; 8],
        attributes: vec![pair("note", text(canaries.text()))],
        ..Link::default()
    };
    let mut attributes = canaries.attributes(number);
    attributes.push(pair("alarm", text(if number == 0 { "yes" } else { "no" })));
    Span {
        trace_id: trace_id(number),
        span_id: vec![1; 8],
        name: format!("operation {}", canaries.text()),
        start_time_unix_nano: unix_nanos() - 1_000_000,
        end_time_unix_nano: unix_nanos(),
        attributes,
        events: vec![event],
        links: vec![link],
        status: Some(Status { message: canaries.text(), code: 2 }),
        ..Span::default()
    }
}

fn log_record(canaries: &mut Canaries, number: u64) -> LogRecord {
    let body = if number.is_multiple_of(2) {
        text(format!("kept-{number} {}", canaries.text()))
    } else {
        list(vec![pair("message", text(canaries.text())), pair("secret", text(canaries.secret()))])
    };
    LogRecord {
        time_unix_nano: unix_nanos(),
        body: Some(body),
        attributes: canaries.attributes(number),
        event_name: canaries.text(),
        trace_id: trace_id(number),
        span_id: vec![1; 8],
        ..LogRecord::default()
    }
}

/// Sends one request in the form whose turn it is: protobuf or JSON, compressed or not.
fn send(server: &Server, signal: &str, turn: u64, request: &(impl prost::Message + Serialize)) -> Result<()> {
    let (media, body) = if turn.is_multiple_of(2) {
        ("application/x-protobuf", request.encode_to_vec())
    } else {
        ("application/json", serde_json::to_vec(request)?)
    };
    let mut post = tests::client().build()?.post(format!("{}/v1/{signal}", server.http)).header("content-type", media);
    let body = if turn % 4 < 2 {
        body
    } else {
        post = post.header("content-encoding", "gzip");
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&body)?;
        encoder.finish()?
    };
    let answer = post.body(body).send()?;
    let status = answer.status();
    let said = answer.text()?;
    ensure!(status.is_success(), "{status}: {said}");
    ensure!(!said.contains(MARK), "the answer quotes a secret: {said}");
    Ok(())
}

fn send_all(server: &Server) -> Result<u64> {
    let mut canaries = Canaries(0);
    for turn in 0..RECORDS / RECORDS_PER_REQUEST {
        let numbers = turn * RECORDS_PER_REQUEST..(turn + 1) * RECORDS_PER_REQUEST;
        let spans = numbers.clone().map(|number| span(&mut canaries, number)).collect();
        let scope_spans = vec![ScopeSpans { scope: Some(scope(&mut canaries)), spans, ..ScopeSpans::default() }];
        let resource = Some(origin(&mut canaries));
        let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
        send(server, "traces", turn, &ExportTraceServiceRequest { resource_spans })?;
        let log_records = numbers.map(|number| log_record(&mut canaries, number)).collect();
        let scope_logs = vec![ScopeLogs { scope: Some(scope(&mut canaries)), log_records, ..ScopeLogs::default() }];
        let resource = Some(origin(&mut canaries));
        let resource_logs = vec![ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }];
        send(server, "logs", turn, &ExportLogsServiceRequest { resource_logs })?;
    }
    Ok(canaries.0)
}

/// Every file below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}

/// Whether a secret is in there, as it was sent or in the hexadecimal form in which bytes are stored and printed.
fn holds_mark(bytes: &[u8]) -> bool {
    let hexadecimal = hex::encode(MARK);
    [MARK, &hexadecimal].iter().any(|mark| bytes.windows(mark.len()).any(|window| window == mark.as_bytes()))
}

fn search(folder: &Path) -> Result<()> {
    let mut searched = 0;
    for path in files(folder)? {
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        searched += bytes.len();
        ensure!(!holds_mark(&bytes), "{} holds a secret", path.display());
    }
    ensure!(searched > 10_000, "only {searched} bytes were there to search");
    Ok(())
}

/// All stored rows as text, decoded from Parquet by the binary itself.
fn stored(data: &Path, table: &str) -> Result<String> {
    let output = Command::new(binary())
        .arg("query")
        .arg("--data-dir")
        .arg(data)
        .arg(format!("SELECT * FROM {table}"))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "query of {table} fails");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn b29_ten_thousand_secrets_leave_no_trace_and_what_is_no_secret_stays() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    fs::create_dir_all(&rules)?;
    fs::write(rules.join("rule.yml"), RULE)?;
    let receiver = Receiver::start(folder.path(), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 0)?;
    let (data, said) = (folder.path().join("data"), folder.path().join("stderr"));
    let (rules, secret_file) = (rules.to_string_lossy().into_owned(), receiver.secret_file().display().to_string());
    let flags = ["--rules", &rules, "--webhook", &receiver.url, "--webhook-secret-file", &secret_file];
    let server = Server::start_talking(&data, &flags, &said)?;

    let canaries = send_all(&server)?;
    ensure!(canaries >= 10_000, "only {canaries} secrets were sent");
    // refused requests are not quoted either
    let refused = server.export("traces", format!("\u{a}\u{ff}password={MARK}").into_bytes())?;
    ensure!(refused.status() == 400 && !refused.text()?.contains(MARK), "a damaged request is refused in silence");
    wait_for("the webhook", || {
        let received = receiver.received()?;
        ensure!(!received.is_empty(), "none yet");
        ensure!(!received.iter().any(|request| request.to_string().contains(MARK)), "{received:?}");
        Ok(())
    })?;
    let metrics = server.get("/metrics")?.to_string();
    ensure!(metrics.contains("tracehound_redacted_values_total") && !metrics.contains(MARK), "{metrics}");
    for page in ["/api/v1/traces/search?limit=200", "/api/v1/logs/search?limit=200", "/api/v1/alerts"] {
        let items = server.items(page)?;
        ensure!(!items.is_empty() && !items.iter().any(|item| holds_mark(item.to_string().as_bytes())), "{page}");
    }
    // the log as it lies on disk while the server runs, then everything after the last flush
    search(&data)?;
    ensure!(server.stop()?.success(), "stop ends with success");
    search(&data)?;
    ensure!(!fs::read_to_string(&said)?.contains(MARK), "the server's own lines hold a secret");
    for table in ["spans", "logs"] {
        let rows = stored(&data, table)?;
        ensure!(!holds_mark(rows.as_bytes()), "stored {table} hold a secret");
        for number in 0..RECORDS {
            ensure!(rows.contains(&format!("kept-{number}")), "kept-{number} of {table} is gone");
        }
    }
    Ok(())
}

#[test]
fn without_redaction_the_search_finds_what_was_sent() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    fs::create_dir_all(&data)?;
    let config = folder.path().join("tracehound.toml");
    fs::write(&config, "[redaction]\nenabled = false\n")?;
    let server = Server::start(&data, &["--config", &config.to_string_lossy()])?;
    send_all(&server)?;
    let Err(error) = search(&data) else { bail!("the search of this test is blind") };
    ensure!(error.to_string().contains("wal"), "{error}");
    Ok(())
}
