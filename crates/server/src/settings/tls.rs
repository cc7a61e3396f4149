//! `[otlp.tls]`: certificate files, client certificates, and who may listen without.

use std::path::PathBuf;
use std::sync::Arc;

use collect::tls::{self, ClientAuth, ClientCertificates, MAX_IDENTITIES, TlsSettings};
use runtime::Clock;
use serde::{Deserialize, Serialize};

use super::resolved::{SettingsError, wrong};
use super::{Otlp, Settings};

/// Most services of one identity.
const MAX_SERVICES: usize = 64;
/// Longest name of a service.
const MAX_SERVICE_BYTES: usize = 256;

/// TLS of both OTLP listeners; plaintext when no file is named.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// PEM file: the server's certificate, then the ones that lead from it towards the root.
    pub cert_file: Option<PathBuf>,
    /// PEM file: the private key of the certificate, not encrypted.
    pub key_file: Option<PathBuf>,
    /// PEM file: the authorities that sign client certificates; absent asks clients for none.
    pub client_ca_file: Option<PathBuf>,
    /// `require` (the default with `client_ca_file`): no connection without a client certificate. `optional`: a client
    /// without one needs an ingest key.
    pub client_auth: Option<Auth>,
    /// Whom names in client certificates stand for; the first that fits counts.
    pub identities: Vec<Identity>,
}

/// Whether a client has to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// It has to.
    Require,
    /// It may.
    Optional,
}

/// Whom a name in a client certificate stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// DNS name, URI (a SPIFFE id for one), e-mail or IP address; one `*` at the end fits all that begin so.
    pub san: String,
    /// Whose events its bearer brings.
    pub tenant: String,
    /// Values of `service.name` it may speak for; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<String>>,
}

/// What the collector gets; `None` is plaintext. The files are read, and have to be right.
///
/// # Errors
/// The first key or file that is wrong, and a listener that would be plaintext on the network.
pub(super) fn resolve(settings: &Settings) -> Result<Option<TlsSettings>, SettingsError> {
    let tls = &settings.otlp.tls;
    let (cert_file, key_file) = match (&tls.cert_file, &tls.key_file) {
        (Some(cert_file), Some(key_file)) => (cert_file.clone(), key_file.clone()),
        (Some(_), None) => return wrong("otlp.tls.key_file", "must be set together with otlp.tls.cert_file".into()),
        (None, Some(_)) => return wrong("otlp.tls.cert_file", "must be set together with otlp.tls.key_file".into()),
        (None, None) => {
            if tls.client_ca_file.is_some() || tls.client_auth.is_some() || !tls.identities.is_empty() {
                return wrong("otlp.tls.cert_file", "must be set when anything else in otlp.tls is".into());
            }
            check_plaintext(&settings.otlp)?;
            return Ok(None);
        }
    };
    if settings.server.demo {
        return wrong("server.demo", "cannot be used with otlp.tls: demo traffic is sent in plaintext".into());
    }
    let resolved = TlsSettings { clients: clients(tls)?, ..TlsSettings::new(cert_file, key_file) };
    tls::certificate_expiry(&resolved, &Clock::system())?;
    Ok(Some(resolved))
}

fn clients(tls: &Tls) -> Result<Option<ClientCertificates>, SettingsError> {
    let Some(ca_file) = tls.client_ca_file.clone() else {
        if tls.client_auth.is_some() {
            return wrong("otlp.tls.client_auth", "needs otlp.tls.client_ca_file".into());
        }
        if !tls.identities.is_empty() {
            return wrong("otlp.tls.identities", "need otlp.tls.client_ca_file".into());
        }
        return Ok(None);
    };
    let auth = match tls.client_auth {
        None | Some(Auth::Require) => ClientAuth::Require,
        Some(Auth::Optional) => ClientAuth::Optional,
    };
    if tls.identities.len() > MAX_IDENTITIES {
        return wrong("otlp.tls.identities", format!("must be at most {MAX_IDENTITIES}, got {}", tls.identities.len()));
    }
    let identities = tls.identities.iter().map(identity).collect::<Result<_, _>>()?;
    Ok(Some(ClientCertificates { ca_file, auth, identities }))
}

fn identity(written: &Identity) -> Result<tls::Identity, SettingsError> {
    let san = match written.san.parse() {
        Ok(san) => san,
        Err(error) => return wrong("otlp.tls.identities.san", format!("{error}")),
    };
    let tenant = match written.tenant.parse() {
        Ok(tenant) => tenant,
        Err(error) => return wrong("otlp.tls.identities.tenant", format!("of {san}: {error}")),
    };
    let key = "otlp.tls.identities.services";
    if let Some(services) = &written.services {
        if services.is_empty() || services.len() > MAX_SERVICES {
            let count = services.len();
            return wrong(key, format!("of {san} must be 1 to {MAX_SERVICES} names, or absent for all, got {count}"));
        }
        let is_wrong =
            |name: &&String| name.is_empty() || name.len() > MAX_SERVICE_BYTES || name.contains(char::is_control);
        if let Some(name) = services.iter().find(is_wrong) {
            let limit = format!("1 to {MAX_SERVICE_BYTES} bytes each and no control characters");
            return wrong(key, format!("of {san} must have {limit}, got {name:?}"));
        }
    }
    Ok(tls::Identity { san, tenant, services: written.services.clone().map(Arc::from) })
}

/// Keys and events must not be readable on a network by mistake.
fn check_plaintext(otlp: &Otlp) -> Result<(), SettingsError> {
    for (key, address) in [("otlp.grpc", otlp.grpc), ("otlp.http", otlp.http)] {
        if !address.ip().is_loopback() && !otlp.allow_plaintext {
            let remedy = "set otlp.tls.cert_file and otlp.tls.key_file, or otlp.allow_plaintext = true where something \
                          else encrypts the way";
            return wrong(key, format!("{address} would take keys and events in plaintext from the network: {remedy}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
