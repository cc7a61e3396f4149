//! Accounts of keys: kept apart, changed at once, bounded.

use super::*;

const NOW: i64 = 1_764_000_000_000_000_000;
const SECOND: Duration = Duration::from_secs(1);

fn holder(key: &str) -> Holder {
    (TenantId::default_tenant(), Some(Arc::from(key)))
}

fn limits(events_per_sec: Option<u64>, bytes_per_sec: Option<u64>) -> Arc<KeyLimits> {
    Arc::new(KeyLimits {
        cidrs: Vec::new(),
        events_per_sec,
        bytes_per_sec,
        max_operations: 10,
        max_trace_events: 10,
        on_other_service: access::OnOtherService::Mark,
    })
}

fn wait(ledger: &Ledger, account: &Account) -> Option<Duration> {
    match account.check(ledger.now_nanos()) {
        Err(Refusal::OverQuota { retry_after, .. }) => Some(retry_after),
        _ => None,
    }
}

#[test]
fn the_wait_is_told_in_whole_seconds_between_one_and_thirty() {
    let clock = Clock::fixed(NOW);
    let ledger = Ledger::new(clock.clone());
    let account = ledger.account(&holder("a"), &limits(Some(10), None));
    account.charge_events(ledger.now_nanos(), 11);
    assert_eq!(wait(&ledger, &account), Some(SECOND), "a tenth of a second, rounded up");
    clock.advance(SECOND);
    assert_eq!(wait(&ledger, &account), None);
    account.charge_events(ledger.now_nanos(), 35);
    assert_eq!(wait(&ledger, &account), Some(3 * SECOND));
    account.charge_events(ledger.now_nanos(), 1_000_000);
    assert_eq!(wait(&ledger, &account), Some(30 * SECOND));
}

#[test]
fn every_key_pays_for_itself_alone() {
    let ledger = Ledger::new(Clock::fixed(NOW));
    let limits = limits(None, Some(100));
    let (flooding, modest) = (ledger.account(&holder("a"), &limits), ledger.account(&holder("b"), &limits));
    flooding.charge_bytes(ledger.now_nanos(), 10_000);
    assert!(wait(&ledger, &flooding).is_some() && wait(&ledger, &modest).is_none());
    let elsewhere = ledger.account(&("acme".parse().expect("a tenant"), Some(Arc::from("a"))), &limits);
    assert_eq!(wait(&ledger, &elsewhere), None, "the same id in another tenant is another key");
    assert!(wait(&ledger, &ledger.account(&holder("a"), &limits)).is_some(), "and the account is found again");
}

#[test]
fn changed_limits_are_in_force_at_once_and_what_did_not_change_stays() {
    let ledger = Ledger::new(Clock::fixed(NOW));
    let account = ledger.account(&holder("a"), &limits(Some(10), Some(10)));
    account.charge_events(ledger.now_nanos(), 1_000);
    account.charge_bytes(ledger.now_nanos(), 1_000);
    let account = ledger.account(&holder("a"), &limits(Some(20), Some(10)));
    assert!(matches!(account.check(NOW), Err(Refusal::OverQuota { limit: "bytes_per_sec", .. })));
    let account = ledger.account(&holder("a"), &limits(Some(20), None));
    assert_eq!(wait(&ledger, &account), None);
}

#[test]
fn the_number_of_accounts_is_bounded_and_the_one_in_use_stays() {
    let clock = Clock::fixed(NOW);
    let ledger = Ledger::new(clock.clone());
    let limits = limits(Some(1), None);
    for key in 0..MAX_ACCOUNTS + 10 {
        clock.advance(Duration::from_nanos(1));
        ledger.account(&holder("mine"), &limits).charge_events(ledger.now_nanos(), 1_000);
        ledger.account(&holder(&key.to_string()), &limits);
    }
    assert_eq!(ledger.accounts.lock().expect("not poisoned").len(), MAX_ACCOUNTS);
    assert!(wait(&ledger, &ledger.account(&holder("mine"), &limits)).is_some());
}

#[test]
fn a_clock_that_is_set_refuses_nobody_for_longer_and_forgives_nobody_sooner() {
    let hour = 3_600_000_000_000;
    for jump in [-2 * hour, 2 * hour] {
        let (clock, limits) = (Clock::fixed(NOW), limits(Some(100), None));
        let ledger = Ledger::new(clock.clone());
        let account = ledger.account(&holder("mine"), &limits);
        account.charge_events(ledger.now_nanos(), 1_000);
        let before = wait(&ledger, &account);
        assert!(before.is_some());
        clock.jump(jump);
        assert_eq!(wait(&ledger, &account), before, "{jump}");
    }
}
