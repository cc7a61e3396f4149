//! Which addresses are not places on the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of special address `ip` is; `None` for one that is public.
///
/// IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4) are as special as the address they carry,
/// because a gateway may deliver to it.
pub(super) fn special_class(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(v4) => special_v4(v4),
        IpAddr::V6(v6) => special_v6(v6),
    }
}

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    match ip.octets() {
        [0, ..] => Some("unspecified"),
        [127, ..] => Some("loopback"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Some("private"),
        [169, 254, ..] => Some("link-local"),
        [100, 64..=127, ..] => Some("carrier-grade NAT"),
        [224..=239, ..] => Some("multicast"),
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Some("reserved"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Some("documentation"),
        [198, 18..=19, ..] => Some("benchmarking"),
        _ => None,
    }
}

fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    if ip.is_unspecified() {
        return Some("unspecified");
    }
    if ip.is_loopback() {
        return Some("loopback");
    }
    match ip.segments() {
        // compatible, mapped and translated forms: the last four bytes are the IPv4 address
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] => special_v4(carried(high, low)),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => special_v4(carried(high, low)),
        [0x64, 0xff9b, 1, ..] => Some("local NAT64"),
        [0x2002, high, low, ..] => special_v4(carried(high, low)),
        [0x2001, 0, ..] => Some("tunnel"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Some("documentation"),
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xfec0..=0xfeff, ..] => Some("private"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        // only 2000::/3 is handed out as public
        [0x2000..=0x3fff, ..] => None,
        _ => Some("reserved"),
    }
}

fn carried(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}
