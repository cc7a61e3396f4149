//! Where a service runs in a cluster, as its spans say: namespace, labels of its pods, service account, ports.
//!
//! Resource attributes are those of the OpenTelemetry conventions for Kubernetes, as the Collector's `k8sattributes`
//! processor writes them. What the spans of one service say most often counts.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::Workload;
use crate::column::{Columns, Plan};
use crate::edge::side::{Role, Side};

/// Values of one kind told apart for one service.
const VALUES: usize = 16;
/// Ports learned for one service.
const PORTS: usize = 8;
/// The label that names an application; the older one after it.
const NAME_LABELS: [&str; 2] = ["app.kubernetes.io/name", "app"];

/// Numbers of the fields.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    namespace: usize,
    labels: [usize; 2],
    controllers: [usize; 3],
    accounts: [usize; 2],
    port: usize,
}

/// What the spans of a service say, and how often.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sightings {
    namespaces: BTreeMap<String, u64>,
    labels: [BTreeMap<String, u64>; 2],
    controllers: BTreeMap<String, u64>,
    accounts: BTreeMap<String, u64>,
    ports: BTreeMap<u16, u64>,
}

/// What was learned of where a service runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub workload: Workload,
    /// The label was made up from the name of the deployment.
    pub label_is_assumed: bool,
    /// Other namespaces in which the service was seen.
    pub elsewhere: Vec<String>,
}

impl Fields {
    /// Asks for the fields.
    pub fn new(plan: &mut Plan) -> Self {
        let mut field = |name: &str| plan.field(&format!("resource.k8s.{name}"));
        Self {
            namespace: field("namespace.name"),
            labels: NAME_LABELS.map(|label| field(&format!("pod.label.{label}"))),
            controllers: ["deployment.name", "statefulset.name", "daemonset.name"].map(&mut field),
            accounts: ["serviceaccount.name", "service_account.name"].map(&mut field),
            port: plan.field("server.port"),
        }
    }

    /// Makes the fields ready.
    pub fn prepare(&self, columns: &mut Columns<'_>) {
        let listed = self.labels.iter().chain(&self.controllers).chain(&self.accounts);
        for field in listed.chain([&self.namespace, &self.port]) {
            columns.field(*field);
        }
    }

    /// Notes what a span says of its service, and of the port of the one it calls.
    pub fn note(&self, columns: &Columns<'_>, row: usize, side: &Side<'_>, places: &mut BTreeMap<String, Sightings>) {
        let text = |field: usize| columns.ready(field)?.text(row);
        let port = text(self.port).and_then(|port| port.parse::<u16>().ok()).filter(|port| *port > 0);
        let of = match side.role {
            Role::Calls(peer) => peer,
            _ => side.service,
        };
        if let Some(port) = port.filter(|_| side.role != Role::Neither) {
            count(&mut of_service(places, of).ports, &port);
        }
        let Some(namespace) = text(self.namespace) else { return };
        let sightings = of_service(places, side.service);
        count(&mut sightings.namespaces, namespace);
        for (label, seen) in self.labels.iter().zip(&mut sightings.labels) {
            text(*label).into_iter().for_each(|value| count(seen, value));
        }
        for (fields, seen) in
            [(&self.controllers[..], &mut sightings.controllers), (&self.accounts[..], &mut sightings.accounts)]
        {
            fields.iter().find_map(|field| text(*field)).into_iter().for_each(|value| count(seen, value));
        }
    }
}

impl Sightings {
    /// What is said most often; `None` when no namespace is known.
    pub fn place(&self) -> Option<Place> {
        let namespace = most(&self.namespaces)?;
        let labelled = NAME_LABELS.into_iter().zip(&self.labels).find_map(|(label, seen)| Some((label, most(seen)?)));
        let assumed = || most(&self.controllers).map(|name| (NAME_LABELS[1], name));
        let label_is_assumed = labelled.is_none();
        let label = labelled.or_else(assumed);
        let mut ports: Vec<(u64, u16)> = self.ports.iter().map(|(port, times)| (*times, *port)).collect();
        ports.sort_unstable_by(|left, right| right.cmp(left));
        let mut ports: Vec<u16> = ports.into_iter().take(PORTS).map(|(_, port)| port).collect();
        ports.sort_unstable();
        let elsewhere = self.namespaces.keys().filter(|name| **name != namespace).cloned().collect();
        let workload = Workload {
            namespace,
            labels: label.iter().map(|(label, value)| ((*label).to_owned(), value.clone())).collect(),
            service_account: most(&self.accounts),
            ports,
        };
        Some(Place { workload, label_is_assumed: label_is_assumed && label.is_some(), elsewhere })
    }
}

fn of_service<'p>(places: &'p mut BTreeMap<String, Sightings>, service: &str) -> &'p mut Sightings {
    places.entry(service.to_owned()).or_default()
}

fn count<K, Q>(seen: &mut BTreeMap<K, u64>, value: &Q)
where
    K: Ord + Borrow<Q>,
    Q: ToOwned<Owned = K> + Ord + ?Sized,
{
    if let Some(times) = seen.get_mut(value) {
        *times += 1;
    } else if seen.len() < VALUES {
        seen.insert(value.to_owned(), 1);
    }
}

/// The value seen most often; of two, the one that sorts first.
fn most(seen: &BTreeMap<String, u64>) -> Option<String> {
    let best = seen.iter().min_by_key(|(value, times)| (std::cmp::Reverse(**times), *value))?;
    Some(best.0.clone())
}
