//! Whether a call is allowed, and what is wrong with it when not.

use super::pattern::Pattern;
use super::{Allowed, Policy, Violation};
use crate::edge::{Call, Caller};

/// The caller's name that stands for every service.
pub const ANY_CALLER: &str = "*";

impl Policy {
    /// Whether calls to a service are judged.
    pub fn lists(&self, callee: &str) -> bool {
        self.services.contains_key(callee)
    }

    /// What is wrong with a call; `None` when it is allowed, when its callee is not listed, or when nobody wants to know.
    pub(crate) fn verdict(&self, call: &Call) -> Option<Violation> {
        let allowed = self.services.get(&*call.callee)?;
        let operation = call.operation.as_deref();
        let violation = match &call.caller {
            Caller::Unknown => Some(Violation::UnknownCaller),
            Caller::External => from_outside(allowed, operation),
            Caller::Service(caller) => from_service(allowed, caller, operation),
        }?;
        (self.alert.contains(&violation) && !self.excuses(call)).then_some(violation)
    }

    fn excuses(&self, call: &Call) -> bool {
        let Caller::Service(caller) = &call.caller else { return false };
        self.exceptions.iter().any(|exception| {
            exception.callee == *call.callee
                && (exception.caller == **caller || exception.caller == ANY_CALLER)
                && call.at < exception.until
                && is_allowed(&exception.operations, call.operation.as_deref())
        })
    }
}

fn from_outside(allowed: &Allowed, operation: Option<&str>) -> Option<Violation> {
    if allowed.external.is_empty() {
        return Some(Violation::ExternalCaller);
    }
    (!is_allowed(&allowed.external, operation)).then_some(Violation::NewOperation)
}

fn from_service(allowed: &Allowed, caller: &str, operation: Option<&str>) -> Option<Violation> {
    let listed = [caller, ANY_CALLER].into_iter().filter_map(|name| allowed.callers.get(name));
    let mut listed = listed.peekable();
    if listed.peek().is_none() {
        return Some(Violation::NewCaller);
    }
    let is_fine = listed.any(|operations| is_allowed(operations, operation));
    (!is_fine).then_some(Violation::NewOperation)
}

/// A call that does not say what it asks for is judged by its caller alone.
fn is_allowed(operations: &[Pattern], operation: Option<&str>) -> bool {
    operation.is_none_or(|operation| operations.iter().any(|pattern| pattern.allows(operation)))
}
