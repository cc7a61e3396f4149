//! Settings come from file, environment and flags, and wrong ones are named.

use std::io::Write;

use super::*;

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("temporary file");
    file.write_all(text.as_bytes()).expect("disk takes it");
    file
}

fn args(config: &tempfile::NamedTempFile) -> ServeArgs {
    ServeArgs { config: Some(config.path().to_owned()), ..ServeArgs::default() }
}

#[test]
fn flags_override_the_file_and_the_file_overrides_defaults() {
    let config = file("[server]\nlisten = \"127.0.0.1:9\"\nstop_secs = 5\n[lake]\nflush_secs = 3\n");
    let given = ServeArgs { listen: Some("127.0.0.1:7".parse().expect("address")), ..args(&config) };
    let settings = read(&given).expect("valid");
    assert_eq!(settings.server.listen.port(), 7);
    assert_eq!(settings.server.stop_secs, 5);
    assert_eq!(settings.lake.flush_secs, 3);
    assert_eq!(settings.lake.retention_hours, Lake::default().retention_hours);
}

#[test]
fn a_key_that_does_not_exist_is_named() {
    let config = file("[lake]\nflush_seconds = 3\n");
    let error = read(&args(&config)).expect_err("unknown key").to_string();
    assert!(error.contains("flush_seconds"), "{error}");
}

#[test]
fn a_value_outside_its_range_is_named_with_the_range() {
    let config = file("[server]\nstop_secs = 31\n");
    let error = resolve(read(&args(&config)).expect("parses")).expect_err("too long").to_string();
    assert_eq!(error, "server.stop_secs must be 1 to 30, got 31");
}

#[test]
fn limits_of_keys_are_generous_unless_they_are_set() {
    let limits = Settings::default().otlp.limits;
    assert_eq!((limits.events_per_sec, limits.bytes_per_sec), (None, None));
    assert_eq!((limits.max_operations, limits.max_trace_events), (10_000, 1_000_000));
    let config = file("[otlp.limits]\nevents_per_sec = 5000\nmax_operations = 0\n");
    let settings = read(&args(&config)).expect("parses");
    assert_eq!(settings.otlp.limits.events_per_sec, Some(5_000));
    let error = resolve(settings).expect_err("no operation at all").to_string();
    assert_eq!(error, "otlp.limits.max_operations must be 1 to 100000, got 0");
}

#[test]
fn no_auth_is_refused_when_any_listener_is_not_loopback() {
    let config = file("[server]\nno_auth = true\n[otlp]\nhttp = \"0.0.0.0:4318\"\n");
    let error = resolve(read(&args(&config)).expect("parses")).expect_err("open to all").to_string();
    assert_eq!(error, "otlp.http must be a loopback address with --no-auth, got 0.0.0.0:4318");
}

#[test]
fn a_webhook_that_was_written_with_a_private_address_may_reach_just_that_one() {
    let given = ServeArgs { webhook: vec!["http://127.0.0.1:9000/hook".to_owned()], ..ServeArgs::default() };
    let resolved = resolve(read(&given).expect("parses")).expect("valid");
    assert_eq!(resolved.allow, ["127.0.0.1/32".parse().expect("CIDR")]);
}
