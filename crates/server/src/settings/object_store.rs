//! Storage behind the S3 protocol for sealed files: the section `[lake.object_store]`.

use std::path::PathBuf;
use std::time::Duration;

use lake::Level;
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use super::resolved::{SettingsError, secret, wrong};

/// Where sealed files go; everything stays on the local disk when no URL is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectStore {
    /// `s3://bucket/prefix`; the prefix is for one data directory alone.
    pub url: Option<String>,
    /// Where a store that is not Amazon's listens, as in `https://minio.example:9000`.
    pub endpoint: Option<String>,
    /// The region; `AWS_REGION` when absent.
    pub region: Option<String>,
    /// Who we are there; with neither, `AWS_ACCESS_KEY_ID` and the other ways of the AWS SDKs are tried.
    pub access_key_id: Option<String>,
    /// File with the secret that belongs to it.
    pub secret_access_key_file: Option<PathBuf>,
    /// Whether an endpoint that is not on this machine may be reached without TLS.
    pub allow_http: bool,
    /// Levels whose files go there, of 0, 1 and 2.
    pub upload_levels: Vec<u8>,
    /// How old a file is at least when it goes there.
    pub min_age_secs: u64,
    /// Copies of such files on the local disk, all together.
    pub cache_bytes: u64,
    /// How long one request may take, and how long it is tried again, 1 to 300.
    pub timeout_secs: u64,
}

impl Default for ObjectStore {
    fn default() -> Self {
        let lake = lake::ObjectStore::new("");
        Self {
            url: None,
            endpoint: None,
            region: None,
            access_key_id: None,
            secret_access_key_file: None,
            allow_http: false,
            upload_levels: lake.levels.iter().map(|level| level.number()).collect(),
            min_age_secs: lake.min_age.as_secs(),
            cache_bytes: lake.cache_bytes,
            timeout_secs: lake.patience.as_secs(),
        }
    }
}

/// What the lake gets. The secret is read.
///
/// # Errors
/// The first key that is wrong.
pub(super) fn resolve(written: &ObjectStore) -> Result<Option<lake::ObjectStore>, SettingsError> {
    let Some(url) = &written.url else {
        if written.endpoint.is_some() || written.access_key_id.is_some() || written.secret_access_key_file.is_some() {
            return wrong("lake.object_store.url", "must be set when anything else in lake.object_store is".to_owned());
        }
        return Ok(None);
    };
    let is_place = url.strip_prefix("s3://").is_some_and(|place| !place.is_empty() && !place.starts_with('/'));
    if !is_place {
        return wrong("lake.object_store.url", format!("must be s3://bucket/prefix, got {url:?}"));
    }
    check_endpoint(written)?;
    let level = |number: &u8| Level::from_number(i64::from(*number));
    let levels: Option<Vec<Level>> = written.upload_levels.iter().map(level).collect();
    let Some(levels) = levels.filter(|levels| !levels.is_empty()) else {
        let given = &written.upload_levels;
        return wrong("lake.object_store.upload_levels", format!("must be a list of 0, 1 and 2, got {given:?}"));
    };
    if !(1..=300).contains(&written.timeout_secs) {
        let given = written.timeout_secs;
        return wrong("lake.object_store.timeout_secs", format!("must be 1 to 300, got {given}"));
    }
    let file = written.secret_access_key_file.as_deref();
    let secret_access_key = file.map(|file| secret("lake.object_store.secret_access_key_file", file)).transpose()?;
    if secret_access_key.is_some() != written.access_key_id.is_some() {
        let problem = "must be set together with lake.object_store.secret_access_key_file".to_owned();
        return wrong("lake.object_store.access_key_id", problem);
    }
    Ok(Some(lake::ObjectStore {
        endpoint: written.endpoint.clone(),
        region: written.region.clone(),
        access_key_id: written.access_key_id.clone(),
        secret_access_key,
        levels,
        min_age: Duration::from_secs(written.min_age_secs),
        cache_bytes: written.cache_bytes,
        patience: Duration::from_secs(written.timeout_secs),
        ..lake::ObjectStore::new(url)
    }))
}

fn check_endpoint(written: &ObjectStore) -> Result<(), SettingsError> {
    let key = "lake.object_store.endpoint";
    let Some(text) = &written.endpoint else { return Ok(()) };
    let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let Some(endpoint) = parsed else {
        return wrong(key, format!("must be an http or https URL, got {text:?}"));
    };
    let is_here = match endpoint.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if endpoint.scheme() == "http" && !is_here && !written.allow_http {
        return wrong(key, "must be https, or lake.object_store.allow_http must be true".to_owned());
    }
    Ok(())
}
