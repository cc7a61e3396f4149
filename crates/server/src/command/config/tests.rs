//! Printed settings show no secret.

use super::*;

#[test]
fn webhook_secrets_are_not_printed() {
    let mut settings = Settings::default();
    settings.alerts.webhooks = vec!["https://user:pass@hooks.example.com:8443/services/T0/SECRET?token=x".to_owned()];
    let printed = toml::to_string_pretty(&redact(settings)).expect("settings are TOML");
    assert!(printed.contains("https://hooks.example.com:8443/<redacted>"), "{printed}");
    assert!(!printed.contains("SECRET") && !printed.contains("pass") && !printed.contains("token"), "{printed}");
}
