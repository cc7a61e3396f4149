//! The names in a client certificate, and the tenant and services they stand for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use model::{TenantId, UnixNanos};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Most identities of the settings.
pub const MAX_IDENTITIES: usize = 1_000;
/// A certificate with more names than this stands for nobody.
pub const MAX_NAMES: usize = 100;
/// Longest name, in the settings as in a certificate; a SPIFFE id has at most this many bytes.
pub const MAX_SAN_BYTES: usize = 2_048;
/// Longest `cert:<san>` in `auth.key_id`; a longer one is cut there. The log takes 255 bytes.
pub const MAX_KEY_ID_BYTES: usize = 200;

const SPIFFE: &str = "spiffe://";

/// A name that stands for a tenant, and perhaps for some of its services.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The name.
    pub san: SanPattern,
    /// Whose events its bearer brings.
    pub tenant: TenantId,
    /// The services its bearer may speak for; `None` is every one.
    pub services: Option<Arc<[String]>>,
}

/// A subject alternative name as settings write it: whole, or with one `*` at its end for "begins with".
///
/// An address is an IP name, text with `:` a URI, with `@` an e-mail address, all else a DNS name. A pattern fits names
/// of its own kind alone, so that no authority can pass a DNS name off as a SPIFFE id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SanPattern {
    kind: Kind,
    text: String,
    is_prefix: bool,
}

/// Why a text is no [`SanPattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// Nothing, or nothing before the `*`.
    #[error("must name something")]
    Empty,
    /// Past [`MAX_SAN_BYTES`].
    #[error("must have at most {MAX_SAN_BYTES} bytes, got {0}")]
    Long(usize),
    /// A `*` that is not the last character.
    #[error("may have one `*`, at its end, got {0:?}")]
    Star(String),
    /// A `*` inside the part of a URI that says whose name it is: `spiffe://prod*` would fit `spiffe://prod.evil/`.
    #[error("must have everything up to the first `/` of the path before the `*`, got {0:?}")]
    Authority(String),
    /// An address is one machine.
    #[error("must be a whole IP address, without `*`, got {0:?}")]
    Address(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dns,
    Uri,
    Email,
    Ip,
}

impl FromStr for SanPattern {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        if text.len() > MAX_SAN_BYTES {
            return Err(IdentityError::Long(text.len()));
        }
        let (name, is_prefix) = text.strip_suffix('*').map_or((text, false), |name| (name, true));
        if name.is_empty() {
            return Err(IdentityError::Empty);
        }
        if name.contains('*') {
            return Err(IdentityError::Star(text.to_owned()));
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            if is_prefix {
                return Err(IdentityError::Address(text.to_owned()));
            }
            return Ok(Self { kind: Kind::Ip, text: address.to_string(), is_prefix });
        }
        if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(IdentityError::Address(text.to_owned()));
        }
        let kind = match name {
            name if name.contains(':') => Kind::Uri,
            name if name.contains('@') => Kind::Email,
            _ => Kind::Dns,
        };
        if is_prefix && kind == Kind::Uri && !names_an_authority(name) {
            return Err(IdentityError::Authority(text.to_owned()));
        }
        let text = if kind == Kind::Dns { name.to_ascii_lowercase() } else { name.to_owned() };
        Ok(Self { kind, text, is_prefix })
    }
}

/// Whether the beginning of a URI says whose name it is.
fn names_an_authority(uri: &str) -> bool {
    let rest = uri.split_once(':').map_or("", |(_, rest)| rest);
    match rest.strip_prefix("//") {
        Some(rest) => rest.contains('/'),
        None => !rest.is_empty() && !rest.starts_with('/'),
    }
}

impl SanPattern {
    fn fits(&self, name: &San) -> bool {
        let is_same = if self.is_prefix { name.text.starts_with(&self.text) } else { name.text == self.text };
        self.kind == name.kind && is_same
    }
}

impl fmt::Display for SanPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, if self.is_prefix { "*" } else { "" })
    }
}

/// Whom a verified client certificate speaks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerIdentity {
    /// The name that counted.
    pub san: Arc<str>,
    /// The tenant that the events belong to.
    pub tenant: TenantId,
    /// The services it may speak for; `None` is every one.
    pub services: Option<Arc<[String]>>,
    /// `cert:<san>`, for `auth.key_id`; at most [`MAX_KEY_ID_BYTES`].
    pub key_id: Arc<str>,
}

impl PeerIdentity {
    /// The services that one may speak for who shows a key beside the certificate: those that both list, where both do.
    /// Empty when they have none in common, `None` when neither has a list.
    pub fn services_beside(&self, key: Option<Arc<[String]>>) -> Option<Arc<[String]>> {
        match (&self.services, key) {
            (Some(own), Some(key)) => Some(own.iter().filter(|name| key.contains(name)).cloned().collect()),
            (Some(own), None) => Some(Arc::clone(own)),
            (None, key) => key,
        }
    }
}

/// Whom the names of a certificate stand for: the first of `identities` that fits any of them.
///
/// The certificate has to be verified before; this reads names and judges nothing. One that is malformed, or has more
/// than [`MAX_NAMES`] names, stands for nobody. So do the URIs of one with a SPIFFE id and a second URI: SPIFFE has
/// exactly one.
pub fn identify(certificate: &[u8], identities: &[Identity]) -> Option<PeerIdentity> {
    first_fit(&names(certificate), identities)
}

/// The client at the other end of a connection.
#[derive(Debug, Clone)]
pub(crate) enum Peer {
    /// Showed no certificate, or could not.
    Anonymous,
    /// Showed a good certificate whose names stand for nobody here.
    Unmapped {
        /// One of its names, so that a person can find it.
        name: Arc<str>,
        expires: UnixNanos,
    },
    /// Showed a certificate that is a credential.
    Known { identity: PeerIdentity, expires: UnixNanos },
}

impl Peer {
    /// Of a certificate that was verified.
    pub fn of(certificate: &[u8], identities: &[Identity]) -> Self {
        // what passed verification and does not parse is not trusted for long
        let expires = super::material::not_after(certificate).unwrap_or(UnixNanos(0));
        let names = names(certificate);
        match first_fit(&names, identities) {
            Some(identity) => Self::Known { identity, expires },
            None => {
                let name = names.first().map_or("no name", |name| name.text.as_str());
                Self::Unmapped { name: Arc::from(cut(name)), expires }
            }
        }
    }

    /// Whom it speaks for.
    pub fn identity(&self) -> Option<&PeerIdentity> {
        match self {
            Self::Known { identity, .. } => Some(identity),
            Self::Anonymous | Self::Unmapped { .. } => None,
        }
    }

    /// When its certificate ends; `None` when it has none.
    pub fn expires(&self) -> Option<UnixNanos> {
        match self {
            Self::Known { expires, .. } | Self::Unmapped { expires, .. } => Some(*expires),
            Self::Anonymous => None,
        }
    }
}

struct San {
    kind: Kind,
    text: String,
}

fn first_fit(names: &[San], identities: &[Identity]) -> Option<PeerIdentity> {
    let fit = |identity: &Identity| names.iter().find(|name| identity.san.fits(name)).map(|name| name.text.clone());
    let (identity, san) = identities.iter().find_map(|identity| Some((identity, fit(identity)?)))?;
    Some(PeerIdentity {
        key_id: Arc::from(cut(&format!("cert:{san}"))),
        san: Arc::from(san),
        tenant: identity.tenant.clone(),
        services: identity.services.clone(),
    })
}

/// The names that may count.
fn names(certificate: &[u8]) -> Vec<San> {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return Vec::new() };
    let general = &extension.value.general_names;
    if general.len() > MAX_NAMES {
        return Vec::new();
    }
    let mut names: Vec<_> = general.iter().filter_map(san).filter(|name| name.text.len() <= MAX_SAN_BYTES).collect();
    let uris = names.iter().filter(|name| name.kind == Kind::Uri).count();
    if uris > 1 && names.iter().any(|name| name.kind == Kind::Uri && name.text.starts_with(SPIFFE)) {
        names.retain(|name| name.kind != Kind::Uri);
    }
    names
}

fn san(name: &GeneralName<'_>) -> Option<San> {
    let (kind, text) = match name {
        GeneralName::DNSName(name) => (Kind::Dns, name.to_ascii_lowercase()),
        GeneralName::URI(uri) => (Kind::Uri, (*uri).to_owned()),
        GeneralName::RFC822Name(address) => (Kind::Email, (*address).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            (Kind::Ip, v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?.to_string())
        }
        _ => return None,
    };
    Some(San { kind, text })
}

/// The beginning of a text that `auth.key_id` and messages have room for.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(MAX_KEY_ID_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests;
