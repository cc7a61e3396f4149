//! What TLS costs the server: the same load in plaintext, then over TLS.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::{ClientConfig, RootCertStore};

use crate::corpus::Corpus;
use crate::load::Load;
use crate::step::{self, CONNECTIONS, HEADING, LASTING, STEPS};
use crate::{Cores, pin};

/// Prints a row for each.
pub fn run(corpus: &Corpus) -> Result<()> {
    println!("## tls\n\n{CONNECTIONS} connections, medians of {STEPS} steps of {} s;", LASTING.as_secs());
    println!(
        "server on core 0, load on core 1; HTTP/1.1, a self-signed certificate, connections stay open\n\n{HEADING}"
    );
    let folder = tempfile::tempdir()?;
    let plain = row(corpus, "plaintext", "", None)?;
    let (settings, client) = certificate(folder.path())?;
    let secured = row(corpus, "TLS", &settings, Some(client))?;
    println!("\nTLS adds {:.2} us/span\n", secured - plain);
    Ok(())
}

/// CPU us/span of the row that was printed.
fn row(corpus: &Corpus, what: &str, settings: &str, tls: Option<Arc<ClientConfig>>) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let server = step::server(folder.path(), settings)?;
    pin(std::process::id(), Cores::ONE_EACH.load)?;
    pin(server.pid(), Cores::ONE_EACH.server)?;
    let load = Load::new(corpus, &server.http, tls)?;
    let figures = step::measure(&load, server.pid(), step::pace(None))?;
    println!("| as fast as answered, {what} | {figures}");
    Ok(figures.cpu_us)
}

/// A certificate in `folder`: the settings that name it, and a client that trusts it alone.
fn certificate(folder: &Path) -> Result<(String, Arc<ClientConfig>)> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (cert_file, key_file) = (folder.join("cert.pem"), folder.join("key.pem"));
    fs::write(&cert_file, cert.pem())?;
    fs::write(&key_file, signing_key.serialize_pem())?;
    let settings = format!("[otlp.tls]\ncert_file = {cert_file:?}\nkey_file = {key_file:?}\n");
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let client = client.with_root_certificates(roots).with_no_client_auth();
    Ok((settings, Arc::new(client)))
}
