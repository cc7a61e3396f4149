//! A policy for other enforcers: what both have in common.

use model::UnixNanos;
use serde_json::Value as Json;

use super::{Allowed, Exception, Policy, Workload, istio, network, yaml_text};
use crate::diagnostic::{Diagnostic, Report};
use crate::pipeline::Pipelines;
use crate::policy::pattern::Pattern;
use crate::policy::verdict::ANY_CALLER;
use crate::read;
use crate::rule::Body;

/// Longest name of an object.
const NAME_CHARS: usize = 63;

/// What to export to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `AuthorizationPolicy` of `security.istio.io/v1`.
    Istio {
        /// The mesh's trust domain, as in `cluster.local`.
        trust_domain: String,
    },
    /// `NetworkPolicy` of `networking.k8s.io/v1`.
    NetworkPolicy,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// YAML documents, one for each service.
    pub text: String,
    /// What the target cannot say, or what is not known; one sentence each.
    pub warnings: Vec<String>,
}

/// Why a text cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The text is no valid rule file.
    #[error("the file is not valid: {} problem(s)", .0.len())]
    Invalid(Vec<Diagnostic>),
    /// No document of the file has a policy.
    #[error("the file holds no service_policy")]
    NoPolicy,
}

impl Target {
    /// Writes the policies of a rule file for this target. Exceptions that are over at `now` are left out.
    ///
    /// # Errors
    /// When the text is not valid, or holds no policy.
    pub fn export(&self, file: &str, text: &str, now: UnixNanos) -> Result<Exported, ExportError> {
        let mut report = Report::new(file);
        let rules = read::rules(text, &Pipelines::default(), &mut report);
        if !report.is_empty() {
            return Err(ExportError::Invalid(report.into_found()));
        }
        let policies = rules.iter().filter_map(|rule| match &rule.body {
            Body::Policy(policy) => Some(policy),
            _ => None,
        });
        let mut sheet = Sheet { warnings: Vec::new(), documents: Vec::new() };
        let mut policies = policies.peekable();
        if policies.peek().is_none() {
            return Err(ExportError::NoPolicy);
        }
        for policy in policies {
            for (service, allowed) in &policy.services {
                let Some(workload) = sheet.callee(policy, service) else { continue };
                let one = Subject { policy, service, workload, allowed, now };
                let document = match self {
                    Self::Istio { trust_domain } => istio::document(&one, trust_domain, &mut sheet),
                    Self::NetworkPolicy => network::document(&one, &mut sheet),
                };
                sheet.documents.push(document);
            }
        }
        let documents: Vec<String> = sheet.documents.iter().map(yaml_text::document).collect();
        Ok(Exported { text: documents.join("---\n"), warnings: sheet.warnings })
    }
}

/// What is being written.
pub struct Sheet {
    warnings: Vec<String>,
    documents: Vec<Json>,
}

/// One service that is called.
pub struct Subject<'p> {
    pub policy: &'p Policy,
    pub service: &'p str,
    pub workload: &'p Workload,
    pub allowed: &'p Allowed,
    now: UnixNanos,
}

impl Sheet {
    pub fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    fn callee<'p>(&mut self, policy: &'p Policy, service: &str) -> Option<&'p Workload> {
        let found = policy.workloads.get(service).filter(|workload| !workload.labels.is_empty());
        if found.is_none() {
            let what = "it is left out, so nothing limits who calls it";
            self.warn(format!("{service}: workloads.{service} with namespace and labels is missing; {what}"));
        }
        found
    }
}

impl<'p> Subject<'p> {
    /// Everybody who may call, and for what; exceptions that are not over among them.
    pub fn callers(&self, sheet: &mut Sheet) -> Vec<(&'p str, &'p [Pattern])> {
        let mut callers: Vec<(&str, &[Pattern])> =
            self.allowed.callers.iter().map(|(caller, patterns)| (caller.as_str(), patterns.as_slice())).collect();
        for exception in &self.policy.exceptions {
            if exception.callee == self.service && exception.until > self.now.0 {
                let Exception { caller, until_text, reason, .. } = exception;
                let what = format!("the exception for {caller} ({reason})");
                sheet.warn(format!("{}: {what} is exported without its end, {until_text}", self.service));
                callers.push((caller, &exception.operations));
            }
        }
        callers.sort_by_key(|(caller, _)| *caller);
        callers
    }

    /// The workload of a caller; `None` after warning, and for everybody.
    pub fn caller(
        &self,
        caller: &str,
        sheet: &mut Sheet,
        is_known: impl Fn(&Workload) -> bool,
        what: &str,
    ) -> Option<&'p Workload> {
        let found = self.policy.workloads.get(caller).filter(|workload| is_known(workload));
        if found.is_none() && caller != ANY_CALLER {
            let missing = format!("workloads.{caller} with {what} is missing");
            sheet.warn(format!("{}: {missing}; what is exported refuses {caller}", self.service));
        }
        found
    }

    /// Name and namespace of the object.
    pub fn metadata(&self) -> Json {
        serde_json::json!({"name": object_name(self.service), "namespace": self.workload.namespace})
    }
}

/// A name that Kubernetes takes: lower-case letters, digits and `-`. Told apart by a hash where letters were lost.
fn object_name(service: &str) -> String {
    let plain: String = service
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '-' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    let name = format!("tracehound-{}", plain.trim_matches('-'));
    if plain == service && name.len() <= NAME_CHARS {
        return name;
    }
    use sha2::{Digest, Sha256};
    let hash = hex::encode(&Sha256::digest(service)[..4]);
    let kept: String = name.chars().take(NAME_CHARS - hash.len() - 1).collect();
    format!("{}-{hash}", kept.trim_end_matches('-'))
}
