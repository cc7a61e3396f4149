//! Journeys: what one visitor does, request by request, with the pauses between.
//!
//! A journey belongs to one second of time and is over within [`LOOKBACK_SECS`] of it, so a slice of time needs only
//! the journeys of that long before it.

use std::sync::Arc;

use crate::dice::{Dice, Stream};
use crate::people::{self, OFFICES, STAFF, Visitor};

/// No request comes later than this after the second its journey belongs to.
pub(crate) const LOOKBACK_SECS: u64 = LONGEST_SECS + SHIFT_SPREAD_SECS;
const LONGEST_SECS: u64 = 900;
/// Mean number of requests in a journey, measured over a simulated day; a test holds it.
pub(crate) const REQUESTS_PER_JOURNEY: f64 = 11.1;

pub(crate) const NANOS_PER_SEC: u64 = 1_000_000_000;
const NANOS_PER_MILLI: u64 = 1_000_000;
/// Every two hours one office starts its shift: a dozen people log in from one address within five minutes.
const SHIFT_SECS: u64 = 7200;
const SHIFT_STAFF: u64 = 12;
const SHIFT_SPREAD_SECS: u64 = 300;
const SETTLE_SECS: u64 = 60;
const PROBE_SECS: u64 = 30;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Login { right_password: bool },
    Logout,
    PasswordReset,
    Browse,
    Search,
    Product,
    Image,
    AddToCart,
    ViewCart,
    Checkout,
    OrderHistory,
    Order,
    Account,
    AdminUsers,
    AdminOrders,
    AdminExport,
    PartnerOrders,
    PartnerStock,
    Probe,
    SettleOrders,
}

/// One request of one visitor, not yet turned into spans.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) at_unix_nanos: u64,
    /// The journey's key and the step in it: together they name the request's dice.
    pub(crate) journey: u64,
    pub(crate) step: u64,
    pub(crate) act: Act,
    pub(crate) visitor: Arc<Visitor>,
    /// False for the requests of an anonymous visitor.
    pub(crate) known: bool,
}

/// Collects the requests of one journey while time passes.
struct Diary {
    dice: Dice,
    journey: u64,
    start: u64,
    now: u64,
    known: bool,
    visitor: Arc<Visitor>,
    requests: Vec<Request>,
}

impl Diary {
    fn new(dice: Dice, journey: u64, start: u64, visitor: Visitor) -> Self {
        Self { dice, journey, start, now: start, known: true, visitor: Arc::new(visitor), requests: Vec::new() }
    }

    /// Asks for something now; says whether the journey may go on.
    fn ask(&mut self, act: Act) -> bool {
        if self.now - self.start >= LONGEST_SECS * NANOS_PER_SEC {
            return false;
        }
        self.requests.push(Request {
            at_unix_nanos: self.now,
            journey: self.journey,
            step: self.requests.len() as u64,
            act,
            visitor: Arc::clone(&self.visitor),
            known: self.known,
        });
        true
    }

    fn think(&mut self, median_millis: u64) {
        self.now += self.dice.log_normal(median_millis, 900) * NANOS_PER_MILLI;
    }

    /// The images of a page are fetched right after it.
    fn images(&mut self, most: u64) {
        let page = self.now;
        for _ in 0..self.dice.below(most + 1) {
            self.now += self.dice.between(20, 90) * NANOS_PER_MILLI;
            self.ask(Act::Image);
        }
        self.now = self.now.max(page);
    }

    /// Logs in: five in a hundred mistype, and most of those get in at the second or third try.
    fn login(&mut self) -> bool {
        let wrong = if self.dice.per_mille(50) { self.dice.weighted(&[(60, 1), (25, 2), (15, 3)]) } else { 0 };
        self.login_after(wrong)
    }

    fn login_after(&mut self, wrong: u64) -> bool {
        for _ in 0..wrong {
            self.ask(Act::Login { right_password: false });
            self.think(6_000);
        }
        // a third failure makes half of them give up and ask for a new password
        if wrong == 3 && self.dice.per_mille(500) {
            self.ask(Act::PasswordReset);
            return false;
        }
        self.ask(Act::Login { right_password: true });
        self.think(3_000);
        true
    }
}

/// Every request of the journeys that begin in this second.
pub(crate) fn arrivals(seed: u64, second: u64, rate_per_sec: f64) -> Vec<Request> {
    let mut dice = Dice::new(seed, Stream::Arrival, 0, second);
    let journeys = dice.poisson(rate_per_sec * day_curve(second) / REQUESTS_PER_JOURNEY);
    let mut requests = Vec::new();
    for index in 0..journeys {
        let start = second * NANOS_PER_SEC + dice.below(NANOS_PER_SEC);
        requests.extend(journey(seed, second, index, start));
    }
    if rate_per_sec > 0.0 {
        requests.extend(shift(seed, second));
    }
    requests.extend(clockwork(second));
    requests
}

/// The busyness of a time of day (UTC), 1 on average: a parabola with its top in the afternoon.
fn day_curve(second: u64) -> f64 {
    const HALF_DAY: f64 = 43_200.0;
    const TOP: u64 = 14 * 3600;
    let apart = (second % 86_400).abs_diff(TOP);
    let distance = apart.min(86_400 - apart) as f64 / HALF_DAY;
    1.1 - 0.3 * distance * distance
}

fn journey_key(second: u64, index: u64) -> u64 {
    second << 16 | (index & 0xffff)
}

fn journey(seed: u64, second: u64, index: u64, start: u64) -> Vec<Request> {
    let key = journey_key(second, index);
    let mut dice = Dice::new(seed, Stream::Journey, key, 0);
    match dice.below(100) {
        0..89 => {
            let visitor = people::customer(seed, &mut dice);
            customer(Diary::new(dice, key, start, visitor))
        }
        89..95 => {
            let number = dice.below(STAFF);
            let visitor = people::staff(seed, &mut dice, number);
            let mut diary = Diary::new(dice, key, start, visitor);
            if diary.login() {
                office_work(&mut diary, 12);
            }
            diary.requests
        }
        _ => {
            let visitor = people::partner(seed, &mut dice);
            partner(Diary::new(dice, key, start, visitor))
        }
    }
}

/// A customer: perhaps logs in, then walks between pages until tired.
fn customer(mut diary: Diary) -> Vec<Request> {
    match diary.dice.below(1000) {
        // an app with an old password keeps trying for a while: a look-alike of a brute-force attack
        0..4 => {
            for _ in 0..3 {
                diary.ask(Act::Login { right_password: false });
                diary.now += 45 * NANOS_PER_SEC;
            }
            return diary.requests;
        }
        4..500 => {
            diary.ask(Act::Browse);
            diary.think(5_000);
            if !diary.login() {
                return diary.requests;
            }
        }
        500..700 => {
            let visitor = Visitor { user_id: None, roles: &[], ..(*diary.visitor).clone() };
            diary.visitor = Arc::new(visitor);
            diary.known = false;
        }
        // the rest are still logged in from last time
        _ => {}
    }
    let mut at = Act::Browse;
    while diary.ask(at) {
        match at {
            Act::Browse | Act::Search => diary.images(2),
            Act::Product => diary.images(3),
            _ => {}
        }
        diary.think(7_000);
        let Some(next) = next_page(&mut diary.dice, at, diary.known) else { break };
        at = next;
    }
    diary.requests
}

/// Where a customer goes from a page; nowhere when the journey is over.
fn next_page(dice: &mut Dice, at: Act, known: bool) -> Option<Act> {
    let next: &[(u64, Option<Act>)] = match at {
        Act::Browse => &[(45, Some(Act::Product)), (25, Some(Act::Search)), (15, Some(Act::Browse)), (15, None)],
        Act::Search => &[(55, Some(Act::Product)), (25, Some(Act::Search)), (20, None)],
        Act::Product => &[(35, Some(Act::Browse)), (28, Some(Act::AddToCart)), (17, Some(Act::Search)), (20, None)],
        Act::AddToCart => &[(50, Some(Act::ViewCart)), (35, Some(Act::Browse)), (15, None)],
        Act::ViewCart => &[(60, Some(Act::Checkout)), (25, Some(Act::Browse)), (15, None)],
        Act::Checkout => &[(60, Some(Act::OrderHistory)), (40, None)],
        Act::OrderHistory => &[(60, Some(Act::Order)), (20, Some(Act::Account)), (20, None)],
        Act::Order | Act::Account => &[(30, Some(Act::Browse)), (30, Some(Act::Logout)), (40, None)],
        _ => &[(1, None)],
    };
    let chosen = dice.weighted(next)?;
    let needs_account = matches!(chosen, Act::Checkout | Act::OrderHistory | Act::Logout);
    (known || !needs_account).then_some(chosen)
}

/// Back-office pages; exports are small (the attack's is not).
fn office_work(diary: &mut Diary, most: u64) {
    for _ in 0..diary.dice.between(3, most) {
        let page = diary.dice.weighted(&[
            (45, Act::AdminOrders),
            (40, Act::AdminUsers),
            (8, Act::AdminExport),
            (7, Act::Account),
        ]);
        if !diary.ask(page) {
            return;
        }
        diary.think(11_000);
    }
}

/// A partner's machine: reads new orders, then writes stock in a quick run.
fn partner(mut diary: Diary) -> Vec<Request> {
    diary.ask(Act::PartnerOrders);
    for _ in 0..diary.dice.between(4, 16) {
        diary.now += diary.dice.between(150, 900) * NANOS_PER_MILLI;
        diary.ask(Act::PartnerStock);
    }
    diary.requests
}

/// The start of an office's shift, the look-alike of credential stuffing: many users, one address. At most three of
/// the twelve mistype.
fn shift(seed: u64, second: u64) -> Vec<Request> {
    if !second.is_multiple_of(SHIFT_SECS) {
        return Vec::new();
    }
    let office = second / SHIFT_SECS % OFFICES;
    let mut requests = Vec::new();
    for place in 0..SHIFT_STAFF {
        let key = journey_key(second, 0xff00 + place);
        let mut dice = Dice::new(seed, Stream::Shift, key, 0);
        let number = (place * OFFICES + office) % STAFF;
        let visitor = people::staff(seed, &mut dice, number);
        let start = second * NANOS_PER_SEC + dice.below(SHIFT_SPREAD_SECS * NANOS_PER_SEC);
        let mistypes = place % 4 == second / SHIFT_SECS % 4 && dice.per_mille(600);
        let mut diary = Diary::new(dice, key, start, visitor);
        if diary.login_after(u64::from(mistypes)) {
            office_work(&mut diary, 5);
        }
        requests.extend(diary.requests);
    }
    requests
}

/// What happens by the clock, whatever the traffic: the settling of orders each minute, an uptime probe twice a minute.
fn clockwork(second: u64) -> Vec<Request> {
    let mut requests = Vec::new();
    if second.is_multiple_of(SETTLE_SECS) {
        let start = second * NANOS_PER_SEC;
        let mut diary =
            Diary::new(Dice::new(0, Stream::Journey, 0, 0), journey_key(second, 0xfffe), start, people::nobody());
        diary.ask(Act::SettleOrders);
        requests.extend(diary.requests);
    }
    if second.is_multiple_of(PROBE_SECS) {
        let start = second * NANOS_PER_SEC + 250 * NANOS_PER_MILLI;
        let probe = people::probe(second / PROBE_SECS);
        let mut diary = Diary::new(Dice::new(0, Stream::Journey, 0, 0), journey_key(second, 0xffff), start, probe);
        diary.ask(Act::Probe);
        requests.extend(diary.requests);
    }
    requests
}
