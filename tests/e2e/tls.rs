//! TLS from the settings file to a span that is found; plaintext on the network is refused.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use prost::Message as _;
use proto::collector::trace::v1::ExportTraceServiceRequest;
use proto::trace::v1::{ResourceSpans, ScopeSpans, Span};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType, date_time_ymd};
use reqwest::blocking::Client;
use reqwest::{Certificate, Identity};
use serde_json::json;
use tests::{Server, binary, unix_nanos, wait_for};

const SPIFFE_ID: &str = "spiffe://prod.example/ns/shop/sa/cart";
const DAY: Duration = Duration::from_secs(86_400);

/// An authority with the files of a server in a folder: `ca.pem`, `cert.pem`, `key.pem`, and `tracehound.toml`.
struct Files {
    folder: tempfile::TempDir,
    authority: CertifiedIssuer<'static, KeyPair>,
}

impl Files {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let files = Self { folder: tempfile::tempdir()?, authority };
        std::fs::write(files.path("ca.pem"), files.authority.pem())?;
        files.serve(90 * DAY)?;
        let text = format!(
            "[otlp.tls]\ncert_file = {:?}\nkey_file = {:?}\nclient_ca_file = {:?}\nclient_auth = \"optional\"\n\
             [[otlp.tls.identities]]\nsan = \"spiffe://prod.example/ns/shop/*\"\ntenant = \"default\"\n",
            files.path("cert.pem"),
            files.path("key.pem"),
            files.path("ca.pem"),
        );
        std::fs::write(files.path("tracehound.toml"), text)?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        self.path("tracehound.toml").to_string_lossy().into_owned()
    }

    /// Certificate and key in PEM, for `left` from now.
    fn issue(&self, name: SanType, left: Duration) -> Result<(String, String)> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![name];
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_nanos(unix_nanos()) + left;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.authority)?.pem(), key.serialize_pem()))
    }

    /// Puts a new certificate in place for the server.
    fn serve(&self, left: Duration) -> Result<()> {
        let (cert, key) = self.issue(SanType::IpAddress("127.0.0.1".parse()?), left)?;
        std::fs::write(self.path("cert.pem"), cert)?;
        std::fs::write(self.path("key.pem"), key)?;
        Ok(())
    }

    /// A client that trusts our authority alone, with a SPIFFE id of its own when `known`.
    fn client(&self, known: bool) -> Result<Client> {
        let mut builder = tests::client().tls_certs_only([Certificate::from_pem(self.authority.pem().as_bytes())?]);
        if known {
            let (cert, key) = self.issue(SanType::URI(SPIFFE_ID.try_into()?), DAY)?;
            builder = builder.identity(Identity::from_pem(format!("{cert}{key}").as_bytes())?);
        }
        Ok(builder.build()?)
    }
}

fn one_span(trace_id: u8) -> Vec<u8> {
    let span = Span {
        trace_id: vec![trace_id; 16],
        span_id: vec![1; 8],
        name: "over TLS".to_owned(),
        start_time_unix_nano: unix_nanos(),
        end_time_unix_nano: unix_nanos(),
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let message =
        ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
    message.encode_to_vec()
}

fn post(client: &Client, server: &Server, key: Option<&str>, trace_id: u8) -> Result<u16> {
    let mut request =
        client.post(format!("{}/v1/traces", server.http)).header("content-type", "application/x-protobuf");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    Ok(request.body(one_span(trace_id)).send()?.status().as_u16())
}

fn run(data: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(binary());
    for address in ["LISTEN", "GRPC", "HTTP"] {
        let section = if address == "LISTEN" { "SERVER" } else { "OTLP" };
        command.env(format!("TRACEHOUND__{section}__{address}"), "127.0.0.1:0");
    }
    Ok(command.args(arguments).arg("--data-dir").arg(data).output()?)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_span_sent_over_tls_is_found_with_the_key_or_the_certificate_that_brought_it() -> Result<()> {
    let files = Files::new()?;
    let server = Server::start_bare(&files.path("data"), &["--config", &files.config()])?;
    ensure!(server.http.starts_with("https://") && server.grpc.starts_with("https://"), "{}", server.http);
    let key = server.key.clone().context("the first start prints an ingest key")?;
    ensure!(post(&files.client(false)?, &server, None, 1)? == 401, "no key and no certificate");
    ensure!(post(&files.client(false)?, &server, Some(&key), 2)? == 200, "with a key");
    ensure!(post(&files.client(true)?, &server, None, 3)? == 200, "with a SPIFFE id");
    let stranger = tests::client().build()?;
    ensure!(post(&stranger, &server, Some(&key), 4).is_err(), "a client that does not know the authority");
    ensure!(tests::client().build()?.post(server.http.replace("https", "http")).send().is_err(), "plaintext");

    let token = server.open.split("t=").nth(1).context("the link has a token")?.to_owned();
    let browser = tests::client().cookie_store(true).build()?;
    let login = browser.post(format!("{}/api/v1/session", server.base)).header("content-type", "application/json");
    ensure!(login.body(json!({ "token": token }).to_string()).send()?.status().is_success(), "logs in");
    for id in ["02".repeat(16), "03".repeat(16)] {
        let trace = browser.get(format!("{}/api/v1/traces/{id}", server.base)).send()?;
        ensure!(trace.status().is_success(), "{id}: {}", trace.status());
    }
    ensure!(server.stop()?.success(), "stops in order");
    let sql = "SELECT \"auth.key_id\" FROM spans ORDER BY trace_id";
    let output = run(&files.path("data"), &["query", sql, "--output", "json"])?;
    ensure!(said(&output).contains(&format!("cert:{SPIFFE_ID}")), "{}", said(&output));
    Ok(())
}

#[test]
fn a_new_certificate_is_served_without_a_restart_and_sighup_asks_for_it() -> Result<()> {
    let files = Files::new()?;
    let server = Server::start(&files.path("data"), &["--config", &files.config()])?;
    ensure!(post(&files.client(false)?, &server, None, 1)? == 200, "before");
    // signed by an authority that only later clients know
    let renewed = Files::new()?;
    for name in ["cert.pem", "key.pem"] {
        std::fs::copy(renewed.path(name), files.path(name))?;
    }
    ensure!(Command::new("kill").args(["-HUP", &server.pid().to_string()]).status()?.success(), "SIGHUP is sent");
    wait_for("the new certificate", || {
        ensure!(post(&renewed.client(false)?, &server, None, 2)? == 200, "not acknowledged");
        Ok(())
    })?;
    ensure!(post(&files.client(false)?, &server, None, 3).is_err(), "the old authority's clients are out");
    let metrics = server.get("/metrics")?;
    let metrics = metrics.as_str().context("text")?;
    ensure!(metrics.contains("tracehound_collect_tls_reloads_total{outcome=\"swapped\"} 1"), "{metrics}");
    Ok(())
}

#[test]
fn a_certificate_cannot_stand_for_a_tenant_that_does_not_exist() -> Result<()> {
    let files = Files::new()?;
    let config = files.path("tracehound.toml");
    let text = std::fs::read_to_string(&config)?;
    std::fs::write(&config, text.replace("tenant = \"default\"", "tenant = \"shop\""))?;
    let output = run(&files.path("data"), &["serve", "--config", &files.config()])?;
    ensure!(!output.status.success(), "its events would be acknowledged, and nobody could read them");
    for part in ["otlp.tls.identities.tenant", "spiffe://prod.example/ns/shop/*", "no tenant shop"] {
        ensure!(said(&output).contains(part), "{part} is not in: {}", said(&output));
    }
    Ok(())
}

#[test]
fn plaintext_on_the_network_is_refused_with_both_ways_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for command in [&["serve"][..], &["config", "check"]] {
        let output = run(folder.path(), &[command, &["--otlp-grpc", "0.0.0.0:0"]].concat())?;
        ensure!(!output.status.success(), "must be refused");
        let said = said(&output);
        for part in ["otlp.grpc", "0.0.0.0", "otlp.tls.cert_file", "otlp.allow_plaintext"] {
            ensure!(said.contains(part), "{part} is not in: {said}");
        }
    }
    let allowed = folder.path().join("allowed.toml");
    std::fs::write(&allowed, "[otlp]\nallow_plaintext = true\n")?;
    let arguments = ["config", "check", "--otlp-grpc", "0.0.0.0:0", "--config", &allowed.to_string_lossy()];
    let output = run(folder.path(), &arguments)?;
    ensure!(output.status.success(), "{}", said(&output));
    Ok(())
}

#[test]
fn doctor_says_when_the_certificate_ends_and_check_refuses_files_that_do_not_fit() -> Result<()> {
    let files = Files::new()?;
    let config = files.config();
    let doctor = || run(&files.path("data"), &["doctor", "--config", &config]);
    let line = |output: &Output| {
        let text = said(output);
        text.lines().find(|line| line.contains("certificate:")).map(str::to_owned).context(text)
    };
    ensure!(line(&doctor()?)?.starts_with("ok "), "{}", said(&doctor()?));
    files.serve(10 * DAY)?;
    let output = doctor()?;
    ensure!(output.status.success() && line(&output)?.starts_with("warn "), "{}", said(&output));
    files.serve(Duration::ZERO)?;
    // the certificate ends with this second
    let output = wait_for("its end", || {
        let output = doctor()?;
        ensure!(!output.status.success(), "still valid");
        Ok(output)
    })?;
    ensure!(line(&output)?.starts_with("bad ") && line(&output)?.contains("expired"), "{}", said(&output));

    std::fs::copy(files.path("ca.pem"), files.path("cert.pem"))?;
    let output = run(&files.path("data"), &["config", "check", "--config", &config])?;
    ensure!(!output.status.success(), "another certificate's key");
    ensure!(said(&output).contains("otlp.tls.key_file") && said(&output).contains("key.pem"), "{}", said(&output));
    Ok(())
}
