//! What the engine does with the calls of a batch: finds them, judges them by every policy, raises alerts.

use std::sync::Arc;

use model::{Detection, Signal, UnixNanos};

use super::{GROUP, Policy, SUPPRESS_NANOS, Violation};
use crate::budget::{self, Meter};
use crate::correlate::Firing;
use crate::edge::{Call, Caller};
use crate::engine::Tenant;
use crate::pass::{Matches, Pass, charge, mute_key};
use crate::reason::cut;
use crate::set::{Compiled, CompiledBody};

/// What stands for a caller without a name.
const EXTERNAL: &str = "(external)";
const UNKNOWN: &str = "(unknown)";

/// What policies found: the number of the rule, and its firings.
pub(crate) type Found = Vec<(usize, Vec<Firing>)>;

impl Pass<'_> {
    /// Judges the calls that the batch completes, and those whose time is over at the watermark.
    pub fn policies(&mut self, tenant: &mut Tenant, matches: Option<&mut Matches<'_>>, floor: i64) -> Found {
        let set = self.set;
        let Some(fields) = &set.edges else { return Vec::new() };
        let numbered = set.policies.iter().filter_map(|number| match &set.rules[*number].body {
            CompiledBody::Policy(_) if budget::is_stopped(self.stopped, &set.rules[*number]) => None,
            CompiledBody::Policy(policy) if policy.tenant.as_deref().is_none_or(|name| name == self.name.as_str()) => {
                Some((*number, policy))
            }
            _ => None,
        });
        let policies: Vec<(usize, &Arc<Policy>)> = numbered.collect();
        let Some((first, _)) = policies.first() else { return Vec::new() };
        let started = self.meter.as_ref().map(Meter::read);
        let bounds = self.settings.call_bounds();
        let wanted = |callee: &str| policies.iter().any(|(_, policy)| policy.lists(callee));
        let mut calls = Vec::new();
        let mut late = 0;
        if let Some(matches) = matches.filter(|matches| matches.events.signal != Some(Signal::Logs)) {
            fields.prepare(matches.events, &mut matches.columns);
            for row in 0..matches.events.len() {
                let Some(side) = fields.side(matches.events, &matches.columns, row) else { continue };
                late += u64::from(side.at < tenant.floor);
                let operation = || fields.operation(&matches.columns, row, side.role);
                tenant.calls.take(&side, bounds, &wanted, &operation, &mut calls);
            }
        }
        let evicted = tenant.calls.settle(bounds, floor, &mut calls);
        // looking for calls costs the same for one policy and for many
        charge(&mut self.meter, *first, started);
        calls.sort_by(|left, right| (left.at, &left.events).cmp(&(right.at, &right.events)));
        let mut found = Vec::new();
        for (number, policy) in policies {
            let rule = &set.rules[number];
            let started = self.meter.as_ref().map(Meter::read);
            let counters = self.counters(rule);
            counters.late += late;
            counters.evicted += evicted;
            let firings = self.violations(tenant, rule, policy, &calls);
            charge(&mut self.meter, number, started);
            if rule.referred {
                found.push((number, firings));
            }
        }
        found
    }

    fn violations(&mut self, tenant: &mut Tenant, rule: &Compiled, policy: &Policy, calls: &[Call]) -> Vec<Firing> {
        let mut firings = Vec::new();
        let mut raised = 0;
        for call in calls {
            let Some(violation) = policy.verdict(call) else { continue };
            let firing = firing(call, violation);
            self.counters(rule).matched += 1;
            if !rule.silent {
                if raised >= self.settings.detections_per_batch {
                    self.counters(rule).limited += 1;
                } else {
                    raised += usize::from(self.raise(tenant, rule, violation, &firing));
                }
            }
            if rule.referred {
                firings.push(firing);
            }
        }
        firings
    }

    /// Raises an alert, unless it is a repeat.
    fn raise(&mut self, tenant: &mut Tenant, rule: &Compiled, violation: Violation, firing: &Firing) -> bool {
        // who calls is judged whatever is asked for, so what is asked for tells no repeats apart
        let told = if violation == Violation::NewOperation { GROUP.len() } else { GROUP.len() - 1 };
        let group: Vec<(&str, &str)> =
            GROUP.into_iter().zip(firing.group.iter().map(|value| &**value)).take(told).collect();
        let by = rule.suppress.as_ref().map_or(&[][..], |suppress| &suppress.by);
        let is_key = |name: &str| by.is_empty() || by.iter().any(|field| field == name);
        let key = mute_key(rule, group.iter().filter(|(name, _)| is_key(name)).map(|(_, value)| *value));
        let for_nanos = rule.suppress.as_ref().map_or(SUPPRESS_NANOS, |suppress| suppress.for_nanos);
        if self.settings.suppress && tenant.mute.is_repeat(key, firing.at, for_nanos) {
            self.counters(rule).suppressed += 1;
            return false;
        }
        let group: Vec<(String, String)> =
            group.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        self.counters(rule).detections += 1;
        self.detections.push(Detection {
            id: Detection::derive_id(self.name, &rule.info, &group, &firing.key),
            tenant: self.name.clone(),
            rule: Arc::clone(&rule.info),
            group,
            at: UnixNanos(firing.at),
            window_start: UnixNanos(firing.since),
            metric: None,
            events: firing.events.to_vec(),
            events_omitted: 0,
            reason: firing.note.clone().unwrap_or_default(),
        });
        true
    }
}

fn firing(call: &Call, violation: Violation) -> Firing {
    let caller: Arc<str> = match &call.caller {
        Caller::Service(name) => Arc::clone(name),
        Caller::External => EXTERNAL.into(),
        Caller::Unknown => UNKNOWN.into(),
    };
    let operation = call.operation.clone().unwrap_or_else(|| "".into());
    let key = call.events.last().map(ToString::to_string).unwrap_or_default();
    Firing {
        at: call.at,
        since: call.at,
        key: key.into(),
        note: Some(sentence(&caller, &call.callee, &operation, violation)),
        group: vec![caller, Arc::clone(&call.callee), violation.as_str().into(), operation],
        metric: 1.0,
        events: call.events.clone().into(),
        omitted: 0,
    }
}

fn sentence(caller: &str, callee: &str, operation: &str, violation: Violation) -> String {
    let (caller, callee) = (cut(caller), cut(callee));
    let asked = if operation.is_empty() { String::new() } else { format!(" for {}", cut(operation)) };
    match violation {
        Violation::NewCaller => {
            format!("{caller} called {callee}{asked}; the policy does not list {caller} among its callers")
        }
        Violation::NewOperation => format!("{caller} called {callee}{asked}; the policy does not allow it that"),
        Violation::ExternalCaller => {
            format!("a request from outside reached {callee}{asked}; the policy allows none")
        }
        Violation::UnknownCaller => {
            format!("{callee} was called{asked} by somebody whose span did not come; it may have come from outside")
        }
    }
}
