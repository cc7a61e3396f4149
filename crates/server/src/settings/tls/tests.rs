//! `[otlp.tls]` is checked before anything listens, and what is wrong is named by key and file.

use std::path::Path;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::*;
use crate::settings::resolve;

/// A folder with `a.pem`, `a.key`, `b.pem`, `b.key`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["a", "b"] {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).expect("a certificate");
        std::fs::write(folder.path().join(format!("{name}.pem")), cert.pem()).expect("written");
        std::fs::write(folder.path().join(format!("{name}.key")), signing_key.serialize_pem()).expect("written");
    }
    folder
}

fn settings(folder: &Path, cert: &str, key: &str) -> Settings {
    let mut settings = Settings::default();
    settings.otlp.tls.cert_file = Some(folder.join(cert));
    settings.otlp.tls.key_file = Some(folder.join(key));
    settings
}

fn error(settings: Settings) -> String {
    resolve(settings).expect_err("must be refused").to_string()
}

#[test]
fn plaintext_on_the_network_is_refused_until_it_is_allowed_or_encrypted() {
    let mut open = Settings::default();
    open.otlp.http = "0.0.0.0:4318".parse().expect("an address");
    let said = error(open.clone());
    for part in ["otlp.http 0.0.0.0:4318", "otlp.tls.cert_file", "otlp.allow_plaintext"] {
        assert!(said.contains(part), "{said}");
    }
    open.otlp.allow_plaintext = true;
    assert!(resolve(open.clone()).expect("allowed").otlp_tls.is_none());
    let folder = folder();
    let encrypted = settings(folder.path(), "a.pem", "a.key");
    open.otlp.allow_plaintext = false;
    open.otlp.tls = encrypted.otlp.tls;
    assert!(resolve(open).expect("encrypted").otlp_tls.is_some());
}

#[test]
fn files_that_cannot_be_used_are_named_with_their_setting() {
    let folder = folder();
    std::fs::write(folder.path().join("empty"), "").expect("written");
    let cases = [
        ("a.pem", "b.key", "otlp.tls.key_file", "b.key"),
        ("missing.pem", "a.key", "otlp.tls.cert_file", "missing.pem"),
        ("a.pem", "missing.key", "otlp.tls.key_file", "missing.key"),
        ("a.key", "a.key", "otlp.tls.cert_file", "a.key"),
        ("a.pem", "a.pem", "otlp.tls.key_file", "a.pem"),
        ("empty", "a.key", "otlp.tls.cert_file", "empty"),
    ];
    for (cert, key, setting, file) in cases {
        let said = error(settings(folder.path(), cert, key));
        assert!(said.contains(setting) && said.contains(file), "{cert} and {key}: {said}");
        assert!(!said.contains("PRIVATE KEY"), "{said}");
    }
    let mut with_clients = settings(folder.path(), "a.pem", "a.key");
    with_clients.otlp.tls.client_ca_file = Some(folder.path().join("empty"));
    let said = error(with_clients);
    assert!(said.contains("otlp.tls.client_ca_file") && said.contains("empty"), "{said}");
}

#[test]
fn half_of_a_setting_is_refused() {
    let folder = folder();
    let good = || settings(folder.path(), "a.pem", "a.key");
    let identity = Identity { san: "spiffe://prod/*".to_owned(), tenant: "default".to_owned(), services: None };

    let mut half = good();
    half.otlp.tls.key_file = None;
    assert!(error(half).starts_with("otlp.tls.key_file must be set together"));
    let mut half = Settings::default();
    half.otlp.tls.client_auth = Some(Auth::Require);
    assert!(error(half).starts_with("otlp.tls.cert_file must be set"));
    let mut half = good();
    half.otlp.tls.client_auth = Some(Auth::Require);
    assert!(error(half).starts_with("otlp.tls.client_auth needs otlp.tls.client_ca_file"));
    let mut half = good();
    half.otlp.tls.identities = vec![identity];
    assert!(error(half).starts_with("otlp.tls.identities need otlp.tls.client_ca_file"));
    let mut demo = good();
    demo.server.demo = true;
    assert!(error(demo).starts_with("server.demo"));
}

#[test]
fn identities_are_read_from_the_file_and_checked() {
    let folder = folder();
    let text = r#"
        san = "spiffe://prod.example/ns/shop/*"
        tenant = "shop"
        services = ["cart"]
    "#;
    let good: Identity = toml::from_str(text).expect("as documented");
    let with = |identity: Identity| {
        let mut settings = settings(folder.path(), "a.pem", "a.key");
        settings.otlp.tls.client_ca_file = Some(folder.path().join("b.pem"));
        settings.otlp.tls.identities = vec![identity];
        settings
    };
    let tls = resolve(with(good.clone())).expect("valid").otlp_tls.expect("TLS");
    let clients = tls.clients.expect("client certificates");
    assert_eq!(clients.auth, ClientAuth::Require, "the default with an authority");
    assert_eq!(clients.identities[0].services.as_deref(), Some(&["cart".to_owned()][..]));

    let bad = |identity: Identity, key: &str| {
        let said = error(with(identity));
        assert!(said.starts_with(key), "{said}");
    };
    bad(Identity { san: "spiffe://prod*".to_owned(), ..good.clone() }, "otlp.tls.identities.san");
    bad(Identity { tenant: "Not A Tenant".to_owned(), ..good.clone() }, "otlp.tls.identities.tenant");
    bad(Identity { services: Some(Vec::new()), ..good.clone() }, "otlp.tls.identities.services");
    bad(Identity { services: Some(vec![String::new()]), ..good.clone() }, "otlp.tls.identities.services");
    bad(Identity { services: Some(vec!["a\nb".to_owned()]), ..good }, "otlp.tls.identities.services");
}

#[test]
fn settings_with_tls_can_be_printed_and_read_back() {
    let folder = folder();
    let mut given = settings(folder.path(), "a.pem", "a.key");
    given.otlp.tls.identities =
        vec![Identity { san: "a".to_owned(), tenant: "default".to_owned(), services: Some(vec!["cart".to_owned()]) }];
    let printed = toml::to_string_pretty(&given).expect("TOML");
    let again: Settings = toml::from_str(&printed).expect("reads");
    assert_eq!(again.otlp.tls.identities[0].services, given.otlp.tls.identities[0].services);
    assert_eq!(again.otlp.tls.cert_file, given.otlp.tls.cert_file);
}
