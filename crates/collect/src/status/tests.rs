//! No permanent fault is told as retryable, and no passing one as permanent.

use super::*;

const RETRYABLE_HTTP: [u16; 4] = [429, 502, 503, 504];
const RETRYABLE_GRPC: [Code; 2] = [Code::Unavailable, Code::DeadlineExceeded];

fn permanent() -> Vec<Refusal> {
    vec![
        Refusal::NoCredential,
        Refusal::Access(AccessError::UnknownKey),
        Refusal::Metrics,
        Refusal::Path("/x".to_owned()),
        Refusal::Method("/x/Y".to_owned()),
        Refusal::NotPost,
        Refusal::MediaType("text/plain".to_owned()),
        Refusal::Encoding("br".to_owned()),
        Refusal::Framing("no message"),
        Refusal::TooLarge { limit_bytes: 1 },
        Refusal::Inflate(InflateError::TooLarge { limit_bytes: 1 }),
        Refusal::Inflate(InflateError::Malformed { encoding: "gzip", reason: "bad".to_owned() }),
        Refusal::Decode(DecodeError::TooManyEvents),
        Refusal::Decode(DecodeError::Json { reason: "bad".to_owned() }),
        Refusal::BrokenBody("reset".to_owned()),
        Refusal::Panicked,
        Refusal::Rewrite,
        Refusal::Network,
    ]
}

fn passing_faults() -> Vec<Refusal> {
    let io = std::io::Error::other("disk");
    vec![
        Refusal::Busy,
        Refusal::Closed("replaying"),
        Refusal::NoRoom,
        Refusal::Deadline,
        Refusal::Wal(WalError::Full { reason: "budget".to_owned() }),
        Refusal::Wal(WalError::QueueFull { limit_bytes: 1 }),
        Refusal::Wal(WalError::Failed { reason: "fsync".to_owned() }),
        Refusal::Wal(WalError::Closed),
        Refusal::Wal(WalError::Io { doing: "write", path: "x".into(), source: io }),
    ]
}

#[test]
fn otlp_25_26_permanent_faults_are_never_retryable() {
    for refusal in permanent() {
        assert!(!RETRYABLE_HTTP.contains(&refusal.http().as_u16()), "{refusal}");
        assert!(!RETRYABLE_GRPC.contains(&refusal.code()), "{refusal}");
        assert_eq!(refusal.status().retry_after, None, "{refusal}");
    }
}

#[test]
fn otlp_23_39_passing_faults_are_retryable_and_say_when() {
    for refusal in passing_faults() {
        assert_eq!(refusal.http(), StatusCode::SERVICE_UNAVAILABLE, "{refusal}");
        assert!(RETRYABLE_GRPC.contains(&refusal.code()), "{refusal}");
        assert_eq!(refusal.status().retry_after, Some(RETRY_AFTER), "{refusal}");
    }
}

#[test]
fn a_key_over_its_rate_is_told_its_own_time() {
    let retry_after = Duration::from_secs(7);
    let refusal = Refusal::OverQuota { limit: "events_per_sec", per_sec: 50, retry_after };
    assert_eq!((refusal.http(), refusal.code()), (StatusCode::TOO_MANY_REQUESTS, Code::ResourceExhausted));
    assert_eq!(refusal.status().retry_after, Some(retry_after));
    assert_eq!(refusal.to_string(), "this ingest key is over its events_per_sec of 50");
}

#[test]
fn otlp_17_a_key_that_does_not_allow_it_is_forbidden_for_good() {
    let refusal = Refusal::Access(AccessError::Denied(access::Permission::ReadEvents));
    assert_eq!((refusal.code(), refusal.http()), (Code::PermissionDenied, StatusCode::FORBIDDEN));
    assert_eq!(refusal.status().retry_after, None);
}

#[test]
fn otlp_24_exhausted_resources_say_when_to_come_back_exactly_when_coming_back_helps() {
    for refusal in permanent().into_iter().chain(passing_faults()) {
        if refusal.code() == Code::ResourceExhausted {
            assert_eq!(refusal.status().retry_after.is_some(), refusal.kind().is_retryable(), "{refusal}");
        }
    }
}
