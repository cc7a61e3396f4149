//! Who called, seen through proxies.

use std::net::IpAddr;

use ipnet::IpNet;

/// Hops of a forwarding header that are looked at, from the nearest on; a client may have written any number.
const MAX_HOPS: usize = 32;

/// What an event says about where its request came from.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    /// `client.address`.
    pub client: Option<String>,
    /// The other end of the connection.
    pub peer: Option<String>,
    /// `x-forwarded-for`.
    pub forwarded_for: Option<String>,
    /// `forwarded` (RFC 7239).
    pub forwarded: Option<String>,
    /// `client.address` as sent, kept out of its column until the whole event is known.
    pub held: Option<String>,
}

impl Origin {
    /// Walks the forwarding header from the nearest hop outwards and gives the first address that is no trusted proxy.
    ///
    /// Only a header that a trusted proxy handed on is believed: the peer must be trusted, or, where no peer is given,
    /// the address that was taken for the client's. `None` when nothing is derived.
    pub fn client_address(&self, trusted: &[IpNet]) -> Option<String> {
        let is_trusted = |address: IpAddr| trusted.iter().any(|net| net.contains(&address));
        let client = self.client.as_deref().and_then(parse);
        if client.is_some_and(|client| !is_trusted(client)) {
            return None;
        }
        let nearest = self.peer.as_deref().and_then(parse).or(client)?;
        if !is_trusted(nearest) {
            // no proxy in between: the peer is the client
            return self.client.is_none().then(|| nearest.to_string());
        }
        let mut outermost = None;
        for hop in self.hops() {
            // a hop that is no address ("unknown", a name) hides everything behind it
            let Some(address) = parse(hop) else { break };
            outermost = Some(address);
            if !is_trusted(address) {
                break;
            }
        }
        outermost.filter(|address| Some(*address) != client).map(|address| address.to_string())
    }

    /// Addresses as written, nearest first.
    fn hops(&self) -> impl Iterator<Item = &str> {
        let (text, is_rfc7239) = match (&self.forwarded_for, &self.forwarded) {
            (Some(text), _) => (text.as_str(), false),
            (None, Some(text)) => (text.as_str(), true),
            (None, None) => ("", false),
        };
        // arrays of header lines are stored as JSON; the brackets of an IPv6 address stay
        let text = text.strip_prefix("[\"").and_then(|text| text.strip_suffix("\"]")).unwrap_or(text);
        let parts = text.rsplit(',').map(|part| part.trim_matches([' ', '"', '\\']));
        parts
            .filter(|part| !part.is_empty())
            .take(MAX_HOPS)
            .map(move |part| if is_rfc7239 { for_of(part) } else { part })
    }
}

/// The `for` of one element of a `forwarded` header.
fn for_of(element: &str) -> &str {
    let pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let found = pairs.map(|(name, value)| (name.trim(), value)).find(|(name, _)| name.eq_ignore_ascii_case("for"));
    found.map_or("", |(_, value)| value.trim_matches([' ', '"', '\\']))
}

/// An address, with or without port and brackets.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => text.rsplit_once(':').map(|(address, _)| address)?,
    };
    bare.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}
