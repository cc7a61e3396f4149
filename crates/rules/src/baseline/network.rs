//! Addresses reduced to their networks, as in `client.address/24`.
//!
//! `field/24` keeps 24 bits of an IPv4 address and 48 of an IPv6 address; `field/24/56` names both. An address that maps
//! IPv4 into IPv6 counts as IPv4. A value that is no address stays as it is.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;

/// Bits kept of an IPv6 address when the rule names those of IPv4 only: what a site is given.
const V6_BITS: u8 = 48;

/// How many bits of an address are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    v4_bits: u8,
    v6_bits: u8,
}

impl Network {
    /// The field and the network of `field/24` or `field/24/48`; no network when nothing of that kind stands at the end.
    ///
    /// # Errors
    /// When it names more bits than an address has.
    pub fn parse(text: &str) -> Result<(&str, Option<Self>), String> {
        let Some((head, last)) = cut(text) else { return Ok((text, None)) };
        let (field, v4_bits, v6_bits) = match cut(head) {
            Some((field, first)) => (field, first, last),
            None => (head, last, u16::from(V6_BITS)),
        };
        match (u8::try_from(v4_bits), u8::try_from(v6_bits)) {
            (Ok(v4_bits @ 0..=32), Ok(v6_bits @ 0..=128)) if !field.is_empty() => {
                Ok((field, Some(Self { v4_bits, v6_bits })))
            }
            _ => Err(format!("{text:?}: an IPv4 address has 32 bits, an IPv6 address 128")),
        }
    }

    /// The field of `field/24`, or the text itself.
    pub fn field(text: &str) -> &str {
        Self::parse(text).map_or(text, |(field, _)| field)
    }

    /// The network of an address, as in `198.51.100.0/24`.
    pub fn of(self, text: &str) -> Cow<'_, str> {
        let Ok(address) = text.trim().parse::<IpAddr>() else { return Cow::Borrowed(text) };
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { self.v4_bits } else { self.v6_bits };
        IpNet::new(address, bits).map_or(Cow::Borrowed(text), |network| Cow::Owned(network.trunc().to_string()))
    }
}

/// What stands before the last slash, and the number behind it.
fn cut(text: &str) -> Option<(&str, u16)> {
    let (head, tail) = text.rsplit_once('/')?;
    let is_number = !tail.is_empty() && tail.bytes().all(|byte| byte.is_ascii_digit());
    Some((head, tail.parse().ok().filter(|_| is_number)?))
}
