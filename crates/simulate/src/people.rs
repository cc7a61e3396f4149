//! Who visits the shop: customers, office staff, partners and probes, with their addresses and devices.
//!
//! Every address is from a range reserved for documentation or benchmarks (RFC 5737, RFC 2544, RFC 3849), so that the
//! demo never points at a real network:
//!
//! | range | who |
//! |---|---|
//! | 198.18.0.0/15, 2001:db8::/32 | customers at home, a /24 or /64 per household |
//! | 192.0.2.0/24 | 40 addresses of a mobile carrier, each shared by hundreds of phones (carrier-grade NAT) |
//! | 198.51.100.0/25 | three offices behind one address each |
//! | 198.51.100.128/25 | partners and probes |
//! | 203.0.113.0/24 | a hosting provider: only the attacker comes from there |

use crate::dice::{Dice, Stream};

/// Customers with an account.
pub(crate) const CUSTOMERS: u64 = 20_000;
/// ln((CUSTOMERS + 50) / 50), for the activity curve.
const CUSTOMERS_LOG_SPAN: f64 = 5.993_961_427_306_569;
/// People who work in the shop's offices.
pub(crate) const STAFF: u64 = 60;
/// Offices; staff member n works in office n modulo this.
pub(crate) const OFFICES: u64 = 3;
const PARTNERS: u64 = 25;
const CARRIER_ADDRESSES: u64 = 40;

/// One client of the shop for the length of a journey: everything the gateway can see of it.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) user_id: Option<String>,
    pub(crate) roles: &'static [&'static str],
    pub(crate) session_id: Option<String>,
    /// SHA-256 of an API key, for clients without a session.
    pub(crate) token_hash: Option<String>,
    pub(crate) address: String,
    pub(crate) agent: &'static str,
    /// The host name the client asks for.
    pub(crate) host: &'static str,
}

const DESKTOPS: [&str; 5] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:146.0) Gecko/20100101 Firefox/146.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:146.0) Gecko/20100101 Firefox/146.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Safari/537.36 Edg/143.0.0.0",
];

const PHONES: [&str; 4] = [
    "ShopApp/5.12.0 (iPhone17,1; iOS 26.1)",
    "ShopApp/5.11.3 (Pixel 10; Android 16)",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0.0.0 Mobile Safari/537.36",
];

const PARTNER_AGENT: &str = "partner-sync/3.4 okhttp/5.3.2";
const PROBE_AGENT: &str = "uptime-probe/2.1";
/// The host customers use.
pub(crate) const SHOP_HOST: &str = "www.shop.example";
/// The host staff use.
pub(crate) const ADMIN_HOST: &str = "admin.shop.example";

/// The identifier of a customer account.
pub(crate) fn customer_id(number: u64) -> String {
    format!("u{}", 100_000 + number)
}

/// The identifier of a staff account.
pub(crate) fn staff_id(number: u64) -> String {
    format!("staff-{number:02}")
}

/// The one public address of an office.
pub(crate) fn office_address(office: u64) -> String {
    format!("198.51.100.{}", 10 + 20 * (office % OFFICES))
}

fn home_address(seed: u64, customer: u64) -> String {
    let mut dice = Dice::new(seed, Stream::Person, customer, 0);
    if dice.per_mille(250) {
        return format!("2001:db8:{:x}:{:x}::{:x}", dice.below(0xffff), customer, dice.between(2, 0xfffe));
    }
    // neighbours may share a /24, never an address: 131,072 addresses for 20,000 homes
    let number = customer * 6 + dice.below(6);
    format!("198.{}.{}.{}", 18 + number / 65_536, number / 256 % 256, number % 256)
}

/// A customer chosen by activity, on one of their devices, with a fresh session.
pub(crate) fn customer(seed: u64, dice: &mut Dice) -> Visitor {
    let number = dice.zipf(CUSTOMERS, CUSTOMERS_LOG_SPAN);
    let mut habits = Dice::new(seed, Stream::Person, number, 1);
    let (desktop, phone) = (habits.one_of(&DESKTOPS), habits.one_of(&PHONES));
    let (address, agent) = match dice.below(100) {
        0..55 => (home_address(seed, number), desktop),
        55..65 => (home_address(seed, number), phone),
        65..96 => (format!("192.0.2.{}", 10 + dice.below(CARRIER_ADDRESSES)), phone),
        // shopping from work: customers behind the same address as the staff
        _ => (office_address(number), desktop),
    };
    Visitor {
        user_id: Some(customer_id(number)),
        roles: &["customer"],
        session_id: Some(dice.hex(16)),
        token_hash: None,
        address,
        agent,
        host: SHOP_HOST,
    }
}

/// A staff member at the office, with a fresh session; `number` is below [`STAFF`].
pub(crate) fn staff(seed: u64, dice: &mut Dice, number: u64) -> Visitor {
    let mut habits = Dice::new(seed, Stream::Person, CUSTOMERS + number, 1);
    Visitor {
        user_id: Some(staff_id(number)),
        roles: if number < 6 { &["admin", "staff"] } else { &["staff"] },
        session_id: Some(dice.hex(16)),
        token_hash: None,
        address: office_address(number),
        agent: habits.one_of(&DESKTOPS),
        host: ADMIN_HOST,
    }
}

/// A partner's machine, known by its API key.
pub(crate) fn partner(seed: u64, dice: &mut Dice) -> Visitor {
    let number = dice.below(PARTNERS);
    let mut habits = Dice::new(seed, Stream::Person, CUSTOMERS + STAFF + number, 1);
    Visitor {
        user_id: Some(format!("partner-{number:02}")),
        roles: &["partner"],
        session_id: None,
        token_hash: Some(habits.hex(32)),
        address: format!("198.51.100.{}", 130 + number),
        agent: PARTNER_AGENT,
        host: "partner.shop.example",
    }
}

/// One of the two uptime probes.
pub(crate) fn probe(number: u64) -> Visitor {
    Visitor {
        user_id: None,
        roles: &[],
        session_id: None,
        token_hash: None,
        address: format!("198.51.100.{}", 250 + number % 2),
        agent: PROBE_AGENT,
        host: SHOP_HOST,
    }
}

/// Nobody: the shop working for itself.
pub(crate) fn nobody() -> Visitor {
    Visitor { address: String::new(), agent: "", ..probe(0) }
}
