//! What access guarantees: keys, logins, sessions, roles and the audit trail, each against a real database.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop there")]

use std::time::Duration;

use access::{Access, AccessError, KeyDefaults, LimitsChange, OnOtherService, Permission, Principal, Role};
use model::TenantId;
use runtime::{Clock, Database, ErrorKind, Random};

const NOON: i64 = 1_764_000_000_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

struct House {
    dir: tempfile::TempDir,
    clock: Clock,
}

impl House {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), clock: Clock::fixed(NOON) }
    }

    async fn start(&self) -> (Access, Database) {
        let db = Database::open(&self.dir.path().join("house.db")).await.unwrap();
        let access = Access::open(db.clone(), self.clock.clone(), Random).await.unwrap();
        (access, db)
    }
}

fn admin() -> Principal {
    Principal::without_login(TenantId::default_tenant())
}

#[tokio::test]
async fn the_first_start_makes_one_key_and_a_restart_makes_none() {
    let house = House::new();
    let (access, db) = house.start().await;
    let first = access.bootstrap().await.unwrap();
    let key = first.ingest_key.expect("the first start makes a key");
    assert!(key.starts_with("th_"), "{key}");
    let grant = access.ingest(&key).await.unwrap();
    assert_eq!(grant.tenant, TenantId::default_tenant());
    assert_eq!(key.split('_').nth(1).unwrap(), &*grant.key_id);
    assert!(!format!("{:?}", access.bootstrap().await.unwrap()).contains("token"));
    db.close().await;

    let (access, _db) = house.start().await;
    assert!(access.bootstrap().await.unwrap().ingest_key.is_none());
    assert_eq!(access.ingest(&key).await.unwrap(), grant, "the key survives the restart");
}

#[tokio::test]
async fn there_is_the_tenant_default_and_no_other() {
    let (access, _db) = House::new().start().await;
    assert!(access.has_tenant(&TenantId::default_tenant()).await.unwrap());
    assert!(!access.has_tenant(&"shop".parse().unwrap()).await.unwrap());
}

#[tokio::test]
async fn revoking_the_last_key_is_not_undone_by_a_restart() {
    let house = House::new();
    let (access, db) = house.start().await;
    let key = access.bootstrap().await.unwrap().ingest_key.unwrap();
    let id = access.ingest(&key).await.unwrap().key_id;
    access.revoke_key(&admin(), &id).await.unwrap();
    db.close().await;

    let (access, _db) = house.start().await;
    assert!(access.bootstrap().await.unwrap().ingest_key.is_none());
    assert!(matches!(access.ingest(&key).await, Err(AccessError::UnknownKey)));
}

#[tokio::test]
async fn a_revoked_key_stops_at_once_and_for_every_clone() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let collector = access.clone();
    let made = access.create_key(&admin(), "shop").await.unwrap();
    assert!(!format!("{made:?}").contains(&made.secret));
    collector.ingest(&made.secret).await.unwrap();
    access.revoke_key(&admin(), &made.key.id).await.unwrap();
    assert!(matches!(collector.ingest(&made.secret).await, Err(AccessError::UnknownKey)));
    let again = access.revoke_key(&admin(), &made.key.id).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    let listed = access.list_keys(&admin()).await.unwrap();
    assert_eq!(listed[0].revoked.map(|at| at.0), Some(NOON));
}

#[tokio::test]
async fn wrong_keys_are_refused_whatever_is_wrong_with_them() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let made = access.create_key(&admin(), "shop").await.unwrap();
    let (id, good) = (made.key.id.clone(), made.secret.clone());
    let mut flipped = good.clone().into_bytes();
    let last = flipped.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let flipped = String::from_utf8(flipped).unwrap();
    let zeros = "0".repeat(64);
    for bad in [
        "",
        "th_",
        "th__",
        "Bearer x",
        &good[..good.len() - 1],
        &good[3..],
        &flipped,
        &format!("{good}0"),
        &format!("th_{id}_{zeros}"),
        &format!("th_ffffffffffffffff_{}", good.rsplit('_').next().unwrap()),
    ] {
        let error = access.ingest(bad).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthenticated, "{bad}");
        assert!(bad.is_empty() || !error.to_string().contains(bad));
    }
    access.ingest(&good).await.unwrap();
}

#[tokio::test]
async fn no_secret_is_kept_as_itself() {
    let house = House::new();
    let (access, db) = house.start().await;
    let start = access.bootstrap().await.unwrap();
    let cookie = access.login(&start.login_token).await.unwrap();
    let secrets = [start.ingest_key.unwrap(), start.login_token, cookie.value];
    db.close().await;
    for file in std::fs::read_dir(house.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for secret in &secrets {
            let secret = secret.rsplit('_').next().unwrap();
            let raw = hex_bytes(secret);
            assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
            assert!(!bytes.windows(raw.len()).any(|part| part == raw));
        }
    }
}

#[tokio::test]
async fn last_use_is_listed_at_once_and_survives_a_restart_once_noted() {
    let house = House::new();
    let (access, db) = house.start().await;
    let made = access.create_key(&admin(), "shop").await.unwrap();
    assert_eq!(access.list_keys(&admin()).await.unwrap()[0].last_used, None);
    house.clock.advance(MINUTE);
    access.ingest(&made.secret).await.unwrap();
    let used = access.list_keys(&admin()).await.unwrap()[0].last_used;
    assert_eq!(used.map(|at| at.0), Some(house.clock.unix_nanos()));
    access.note_use_once().await.unwrap();
    db.close().await;

    let (access, _db) = house.start().await;
    assert_eq!(access.list_keys(&admin()).await.unwrap()[0].last_used, used);
}

#[tokio::test]
async fn a_temporary_key_works_for_this_process_alone() {
    let house = House::new();
    let (access, db) = house.start().await;
    let key = access.temporary_key(&TenantId::default_tenant());
    access.ingest(&key).await.unwrap();
    access.note_use_once().await.unwrap();
    assert!(access.list_keys(&admin()).await.unwrap().is_empty());
    db.close().await;
    let (access, _db) = house.start().await;
    assert!(access.ingest(&key).await.is_err());
}

#[tokio::test]
async fn a_login_token_works_once() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let token = access.bootstrap().await.unwrap().login_token;
    let cookie = access.login(&token).await.unwrap();
    assert!(!format!("{cookie:?}").contains(&cookie.value));
    let principal = access.session(&cookie.value).await.unwrap();
    assert_eq!(principal, cookie.principal);
    assert_eq!(principal.tenant(), &TenantId::default_tenant());
    let mut roles = principal.roles().to_vec();
    roles.sort_unstable();
    assert_eq!(roles, [Role::Analyst, Role::RuleAuthor, Role::TenantAdmin, Role::Operator]);
    assert!(matches!(access.login(&token).await, Err(AccessError::UnknownToken)));
    assert!(matches!(access.login("").await, Err(AccessError::UnknownToken)));
}

#[tokio::test]
async fn of_many_who_hold_the_same_token_one_gets_in() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let token = access.bootstrap().await.unwrap().login_token;
    let (a, b, c) = tokio::join!(access.login(&token), access.login(&token), access.login(&token));
    assert_eq!([a, b, c].iter().filter(|login| login.is_ok()).count(), 1);
}

#[tokio::test]
async fn a_login_token_expires_after_fifteen_minutes() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let token = access.bootstrap().await.unwrap().login_token;
    house.clock.advance(15 * MINUTE);
    let error = access.login(&token).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthenticated);
}

#[tokio::test]
async fn a_start_makes_the_login_tokens_of_earlier_starts_useless() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let first = access.bootstrap().await.unwrap().login_token;
    let second = access.bootstrap().await.unwrap().login_token;
    assert!(access.login(&first).await.is_err());
    access.login(&second).await.unwrap();
}

#[tokio::test]
async fn a_session_slides_for_seven_days_and_ends_after_thirty() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let token = access.bootstrap().await.unwrap().login_token;
    let cookie = access.login(&token).await.unwrap().value;
    for _ in 0..4 {
        house.clock.advance(7 * DAY - MINUTE);
        access.session(&cookie).await.unwrap();
    }
    house.clock.advance(3 * DAY);
    assert!(matches!(access.session(&cookie).await, Err(AccessError::UnknownSession)), "30 days are over");

    let token = access.bootstrap().await.unwrap().login_token;
    let idle = access.login(&token).await.unwrap().value;
    house.clock.advance(7 * DAY);
    assert!(matches!(access.session(&idle).await, Err(AccessError::UnknownSession)), "not used for 7 days");
}

#[tokio::test]
async fn a_clock_that_jumps_two_hours_ends_no_session_and_no_key() {
    let two_hours = 2 * 3_600 * 1_000_000_000;
    for jumps in [[two_hours, -two_hours], [-two_hours, two_hours]] {
        let house = House::new();
        let (access, _db) = house.start().await;
        let key = access.bootstrap().await.unwrap().ingest_key.unwrap();
        let mut cookies = Vec::new();
        // some were used a moment ago, some days ago
        for days in [4, 2, 0] {
            cookies.push(access.login(&access.bootstrap().await.unwrap().login_token).await.unwrap().value);
            house.clock.advance(DAY * days);
        }
        for jump in jumps {
            house.clock.jump(jump);
            // a login clears away what is over
            access.login(&access.bootstrap().await.unwrap().login_token).await.unwrap();
            assert!(access.ingest(&key).await.is_ok(), "{jump}");
        }
        for cookie in cookies {
            assert!(access.session(&cookie).await.is_ok(), "{jumps:?}");
        }
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_at_once() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let token = access.bootstrap().await.unwrap().login_token;
    let cookie = access.login(&token).await.unwrap().value;
    access.logout(&cookie).await.unwrap();
    assert_eq!(access.session(&cookie).await.unwrap_err().kind(), ErrorKind::Unauthenticated);
    access.logout(&cookie).await.unwrap();
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_sessions() {
    let house = House::new();
    let (access, _db) = house.start().await;
    let mut cookies = Vec::new();
    for _ in 0..=access::session::MAX_SESSIONS {
        house.clock.advance(Duration::from_secs(1));
        let token = access.bootstrap().await.unwrap().login_token;
        cookies.push(access.login(&token).await.unwrap().value);
    }
    assert!(access.session(&cookies[0]).await.is_err(), "the oldest made room");
    access.session(&cookies[1]).await.unwrap();
}

#[tokio::test]
async fn every_role_is_allowed_what_the_table_says_and_nothing_else() {
    use Permission as P;
    let expected: [(Role, &[P]); 6] = [
        (Role::Viewer, &[P::ReadEvents, P::ReadAlerts, P::ReadRules]),
        (Role::Analyst, &[P::ReadEvents, P::ExportEvents, P::ReadAlerts, P::TriageAlerts, P::ReadRules]),
        (Role::RuleAuthor, &[P::ReadEvents, P::ReadAlerts, P::ReadRules, P::WriteRules]),
        (
            Role::TenantAdmin,
            &[P::ReadEvents, P::ExportEvents, P::ReadAlerts, P::TriageAlerts, P::ReadRules, P::ReadKeys, P::ManageKeys],
        ),
        (Role::Auditor, &[P::ReadRules, P::ReadKeys, P::ReadAudit, P::ReadSystem]),
        (Role::Operator, &[P::ReadSystem, P::ManageSystem]),
    ];
    for (role, allowed) in expected {
        for permission in P::ALL {
            assert_eq!(permission.roles().contains(&role), allowed.contains(&permission), "{role} {permission:?}");
        }
        assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
    }
    assert!(Access::authorize(&admin(), P::WriteRules).is_ok());
    let denied = Access::authorize(&admin(), P::ReadAudit).unwrap_err();
    assert_eq!(denied.kind(), ErrorKind::Forbidden);
}

#[tokio::test]
async fn names_of_keys_have_limits() {
    let house = House::new();
    let (access, _db) = house.start().await;
    for bad in ["", "  ", &"x".repeat(101)] {
        assert_eq!(access.create_key(&admin(), bad).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
    access.create_key(&admin(), &"ü".repeat(100)).await.unwrap();
}

#[tokio::test]
async fn the_audit_trail_records_keys_and_logins_and_shows_tampering() {
    let house = House::new();
    let (access, db) = house.start().await;
    let start = access.bootstrap().await.unwrap();
    access.login(&start.login_token).await.unwrap();
    let made = access.create_key(&admin(), "shop").await.unwrap();
    access.revoke_key(&admin(), &made.key.id).await.unwrap();
    let actions: Vec<String> =
        sqlx::query_scalar("SELECT action FROM audit ORDER BY seq").fetch_all(&db.reader).await.unwrap();
    assert_eq!(actions, ["key.create", "session.login", "key.create", "key.revoke"]);
    assert_eq!(access.verify_audit().await.unwrap(), 4);
    assert!(access.audit_trail(&admin(), None, 10).await.is_err(), "an admin is no auditor");

    for change in ["UPDATE audit SET actor = 'nobody' WHERE seq = 2", "DELETE FROM audit WHERE seq = 2"] {
        assert!(sqlx::query(change).execute(&db.writer).await.is_err(), "{change}");
    }
    sqlx::query("DROP TRIGGER audit_is_append_only_update").execute(&db.writer).await.unwrap();
    sqlx::query("UPDATE audit SET actor = 'nobody' WHERE seq = 2").execute(&db.writer).await.unwrap();
    assert!(matches!(access.verify_audit().await, Err(AccessError::AuditBroken { seq: 2 })));
}

fn hex_bytes(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[tokio::test]
async fn limits_of_a_key_survive_a_restart_and_the_settings_stand_in_for_what_it_does_not_say() {
    let house = House::new();
    let (access, db) = house.start().await;
    let asked = LimitsChange {
        services: Some(vec!["cart".to_owned(), "basket".to_owned(), "cart".to_owned()]),
        cidrs: Some(vec!["10.1.0.0/16".to_owned()]),
        bytes_per_sec: Some(Some(1_000)),
        ..LimitsChange::default()
    };
    let made = access.create_limited_key(&admin(), "cart", &asked).await.unwrap();
    let plain = access.create_key(&admin(), "plain").await.unwrap();
    db.close().await;

    let db = Database::open(&house.dir.path().join("house.db")).await.unwrap();
    let defaults =
        KeyDefaults { events_per_sec: Some(5), bytes_per_sec: Some(6), max_operations: 7, max_trace_events: 8 };
    let access = Access::open_with(db, house.clock.clone(), Random, defaults).await.unwrap();
    let grant = access.ingest(&made.secret).await.unwrap();
    assert_eq!(
        grant.services.as_deref(),
        Some(["basket".to_owned(), "cart".to_owned()].as_slice()),
        "each once, sorted"
    );
    let limits = &grant.limits;
    assert_eq!((limits.events_per_sec, limits.bytes_per_sec), (Some(5), Some(1_000)));
    assert_eq!((limits.max_operations, limits.max_trace_events), (7, 8));
    for (peer, allowed) in [("10.1.2.3", true), ("::ffff:10.1.2.3", true), ("10.2.0.1", false), ("::1", false)] {
        assert_eq!(limits.allows(peer.parse().unwrap()), allowed, "{peer}");
    }
    let plain = access.ingest(&plain.secret).await.unwrap();
    assert_eq!((plain.services, &plain.limits), (None, &access.default_limits()));
    assert_eq!(plain.limits.bytes_per_sec, Some(6));
    assert!(plain.limits.allows("203.0.113.9".parse().unwrap()));
}

#[tokio::test]
async fn a_change_of_limits_is_in_force_at_once_and_in_the_audit_trail() {
    let house = House::new();
    let (access, db) = house.start().await;
    let collector = access.clone();
    let made = access.create_key(&admin(), "cart").await.unwrap();
    let change = LimitsChange {
        services: Some(vec!["cart".to_owned()]),
        events_per_sec: Some(Some(50)),
        on_other_service: Some(Some("reject".to_owned())),
        ..LimitsChange::default()
    };
    let key = access.limit_key(&admin(), &made.key.id, &change).await.unwrap();
    assert_eq!((key.limits.events_per_sec, key.limits.on_other_service), (Some(50), OnOtherService::Reject));
    assert_eq!(collector.ingest(&made.secret).await.unwrap().limits.events_per_sec, Some(50));
    let detail: String =
        sqlx::query_scalar("SELECT detail FROM audit WHERE action = 'key.limit'").fetch_one(&db.reader).await.unwrap();
    assert_eq!(detail, r#"{"services":["cart"],"events_per_sec":50,"on_other_service":"reject"}"#);

    // one part of a change is wrong, and so nothing of it happens
    let half =
        LimitsChange { max_operations: Some(Some(1)), max_trace_events: Some(Some(0)), ..LimitsChange::default() };
    let error = access.limit_key(&admin(), &made.key.id, &half).await.unwrap_err();
    assert!(matches!(error, AccessError::Limit { field: "max_trace_events", .. }), "{error}");
    assert_eq!(error.to_string(), "max_trace_events must be 1 to 1000000000, got 0");
    assert_eq!(collector.ingest(&made.secret).await.unwrap().limits.max_operations, 10_000);
    let nobody = access.limit_key(&admin(), "0123456789abcdef", &change).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::NotFound);
    assert_eq!(access.verify_audit().await.unwrap(), 2);
}
