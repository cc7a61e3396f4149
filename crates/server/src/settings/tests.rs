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

#[test]
fn an_object_store_needs_its_place_and_a_way_that_nobody_listens_on() {
    assert!(resolve(Settings::default()).expect("valid").object_store.is_none());
    let secret = file("not told to anybody\n");
    let written = format!(
        "url = \"s3://events/prod\"\naccess_key_id = \"AKIA\"\nsecret_access_key_file = {:?}\nupload_levels = [1, 2]\n",
        secret.path()
    );
    let config = file(&format!("[lake.object_store]\n{written}"));
    let store = resolve(read(&args(&config)).expect("parses")).expect("valid").object_store.expect("a store");
    assert_eq!(store.secret_access_key.as_deref(), Some("not told to anybody"));
    assert_eq!(store.levels, [lake::Level::L1, lake::Level::L2]);
    assert!(!format!("{store:?}").contains("not told"), "secrets are not printed");
    for (wrong, named) in [
        ("region = \"here\"\nendpoint = \"https://minio\"", "lake.object_store.url"),
        ("url = \"https://bucket\"", "lake.object_store.url"),
        ("url = \"s3://b/p\"\nendpoint = \"http://minio.example:9000\"", "lake.object_store.endpoint"),
        ("url = \"s3://b/p\"\nupload_levels = [3]", "lake.object_store.upload_levels"),
        ("url = \"s3://b/p\"\naccess_key_id = \"AKIA\"", "lake.object_store.access_key_id"),
        ("url = \"s3://b/p\"\ntimeout_secs = 0", "lake.object_store.timeout_secs"),
    ] {
        let config = file(&format!("[lake.object_store]\n{wrong}\n"));
        let error = resolve(read(&args(&config)).expect("parses")).expect_err(wrong).to_string();
        assert!(error.starts_with(named), "{wrong}: {error}");
    }
    let config = file("[lake.object_store]\nurl = \"s3://b/p\"\nendpoint = \"http://127.0.0.1:9000\"\n");
    assert!(resolve(read(&args(&config)).expect("parses")).is_ok(), "on this machine nobody listens");
}
