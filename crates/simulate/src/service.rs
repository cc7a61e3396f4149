//! The twelve services: who they are, what they are written in, and the OTLP resource each running copy reports.

use proto::resource::v1::Resource;

use crate::attribute::text;
use crate::dice::{Dice, Stream};

/// The `service.name` of every simulated service.
pub const SERVICES: [&str; 12] = [
    "gateway",
    "auth",
    "user",
    "cart",
    "checkout",
    "payment",
    "catalog",
    "orders",
    "image-provider",
    "email",
    "admin-api",
    "postgres",
];

/// A service of the shop. Its position is its index in [`SERVICES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Service {
    Gateway,
    Auth,
    User,
    Cart,
    Checkout,
    Payment,
    Catalog,
    Orders,
    ImageProvider,
    Email,
    AdminApi,
    Postgres,
}

const REPLICAS: u64 = 3;
const NANOS_PER_DAY: u64 = 86_400_000_000_000;
const DAYS_BETWEEN_DEPLOYS: u64 = 3;
/// Every deploy of the world's first day has this number, so that versions look lived-in.
const FIRST_DEPLOY_DAY: u64 = 20_000;

/// One running copy of a service, of the version that was deployed at the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instance {
    pub(crate) service: Service,
    replica: u64,
    deploy: u64,
}

impl Service {
    pub(crate) fn name(self) -> &'static str {
        SERVICES[self as usize]
    }

    /// Host name and port inside the cluster.
    pub(crate) fn host(self) -> (String, u64) {
        let port = if self == Self::Postgres { 5432 } else { 8080 };
        (format!("{}.shop.svc.cluster.local", self.name()), port)
    }

    fn language(self) -> &'static str {
        match self {
            Self::Gateway | Self::Catalog => "go",
            Self::Auth | Self::Payment => "rust",
            Self::User | Self::Orders | Self::Checkout => "java",
            Self::Cart | Self::AdminApi | Self::ImageProvider => "nodejs",
            Self::Email => "python",
            Self::Postgres => "cpp",
        }
    }

    /// The instrumentation library that would make these spans.
    pub(crate) fn scope(self) -> (&'static str, &'static str) {
        match self.language() {
            "go" => ("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "0.64.0"),
            "rust" => ("tracing-opentelemetry", "0.34.0"),
            "java" => ("io.opentelemetry.spring-webmvc-6.0", "2.22.0-alpha"),
            "nodejs" => ("@opentelemetry/instrumentation-http", "0.208.0"),
            "python" => ("opentelemetry.instrumentation.pika", "0.60b1"),
            _ => ("pg_tracing", "0.1.3"),
        }
    }

    /// The copy that serves a call at this moment; `choice` picks among the copies. The database has one primary.
    pub(crate) fn instance(self, choice: u64, at_unix_nanos: u64) -> Instance {
        let replica = if self == Self::Postgres { 0 } else { choice % REPLICAS };
        let day = at_unix_nanos / NANOS_PER_DAY + self as u64;
        Instance { service: self, replica, deploy: day.saturating_sub(FIRST_DEPLOY_DAY) / DAYS_BETWEEN_DEPLOYS }
    }
}

impl Instance {
    /// What the copy says about itself in every export.
    pub(crate) fn resource(self, seed: u64) -> Resource {
        let service = self.service;
        let mut dice = Dice::new(seed, Stream::Instance, service as u64 * REPLICAS + self.replica, self.deploy);
        let mut template = Dice::new(seed, Stream::Instance, 1000 + service as u64, self.deploy);
        let pod = match service {
            Service::Postgres => format!("postgres-{}", self.replica),
            _ => format!("{}-{}-{}", service.name(), &template.hex(5)[..9], &dice.hex(3)[..5]),
        };
        let id = dice.hex(16);
        let instance_id = format!("{}-{}-4{}-8{}-{}", &id[..8], &id[8..12], &id[13..16], &id[17..20], &id[20..]);
        let version = format!("2.{}.{}", self.deploy / 10, self.deploy % 10);
        let attributes = vec![
            text("service.name", service.name()),
            text("service.namespace", "shop"),
            text("service.version", if service == Service::Postgres { "17.6".to_owned() } else { version }),
            text("service.instance.id", instance_id),
            text("deployment.environment.name", "production"),
            text("k8s.namespace.name", "shop"),
            text("k8s.pod.name", pod),
            text("cloud.region", "eu-central-1"),
            text("telemetry.sdk.language", service.language()),
            text("telemetry.sdk.name", "opentelemetry"),
        ];
        Resource { attributes, ..Resource::default() }
    }
}
