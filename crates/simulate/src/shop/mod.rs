//! What the twelve services do for each kind of request.

use proto::logs::v1::SeverityNumber;

use crate::attribute::{int, text, texts};
use crate::dice::{Dice, Stream};
use crate::journey::{Act, Request};
use crate::people::Visitor;
use crate::service::Service;
use crate::weave::{Statement, Weave, Woven};

mod account;
mod back_office;
mod browse;
mod database;
mod image;
mod partner;
mod purchase;

pub(crate) use account::{Credentials, log_in, open_account};
pub(crate) use back_office::{Listing, export, list};
pub(crate) use database::housekeeping;
pub(crate) use image::{Source, show};

/// What a client asks the gateway for.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'static str,
    pub(crate) route: &'static str,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) visitor: &'a Visitor,
    /// Median size of a good answer.
    pub(crate) answer_bytes: u64,
}

const SESSIONS_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "sessions",
    sql: "SELECT user_id, roles, expires_at FROM sessions WHERE token_hash = $1",
    median_micros: 700,
};

/// Turns one request into the spans and log lines of its trace.
pub(crate) fn perform(seed: u64, request: &Request) -> Woven {
    let dice = Dice::new(seed, Stream::Trace, request.journey, request.step);
    let mut weave = Weave::new(dice, request.at_unix_nanos);
    let visitor = &*request.visitor;
    act(&mut weave, request.act, visitor, request.known);
    weave.finish()
}

fn act(w: &mut Weave, act: Act, visitor: &Visitor, known: bool) {
    match act {
        Act::Login { right_password: true } => log_in(w, visitor, Credentials::Right),
        Act::Login { right_password: false } => log_in(w, visitor, Credentials::WrongPassword),
        Act::Logout => account::log_out(w, visitor),
        Act::PasswordReset => account::reset_password(w, visitor),
        Act::Account => open_account(w, visitor),
        Act::Browse => browse::list(w, visitor, known),
        Act::Search => browse::search(w, visitor),
        Act::Product => browse::product(w, visitor, known),
        Act::Image => {
            let source = Source::content_network(&mut w.dice);
            show(w, visitor, &source);
        }
        Act::AddToCart => purchase::add_to_cart(w, visitor),
        Act::ViewCart => purchase::view_cart(w, visitor),
        Act::Checkout => purchase::check_out(w, visitor),
        Act::OrderHistory => purchase::history(w, visitor),
        Act::Order => purchase::order(w, visitor),
        Act::AdminUsers => list(w, visitor, Listing::Users),
        Act::AdminOrders => list(w, visitor, Listing::Orders),
        Act::AdminExport => {
            let rows = w.dice.log_normal(220, 700).min(2_500);
            export(w, visitor, rows);
        }
        Act::PartnerOrders => partner::orders(w, visitor),
        Act::PartnerStock => partner::stock(w, visitor),
        Act::Probe => partner::probe(w, visitor),
        Act::SettleOrders => purchase::settle(w),
    }
}

/// A request through the gateway: who asks, what for, what came of it, and one access-log line.
pub(crate) fn enter(w: &mut Weave, ask: Ask<'_>, body: impl FnOnce(&mut Weave)) {
    let name = format!("{} {}", ask.method, ask.route);
    w.serve(Service::Gateway, name, |w| {
        let visitor = ask.visitor;
        w.tag(text("http.request.method", ask.method));
        w.tag(text("http.route", ask.route));
        w.tag(text("url.scheme", "https"));
        w.tag(text("url.path", ask.path.clone()));
        if !ask.query.is_empty() {
            w.tag(text("url.query", ask.query.clone()));
        }
        w.tag(text("server.address", visitor.host));
        w.tag(int("server.port", 443));
        w.tag(text("client.address", visitor.address.clone()));
        let balancer = 10 + w.dice.below(3);
        w.tag(text("network.peer.address", format!("10.0.0.{balancer}")));
        w.tag(text("network.protocol.version", "2"));
        w.tag(text("user_agent.original", visitor.agent));
        tag_identity(w, visitor, ask.route);
        let started = w.now();
        body(w);
        let bytes = if w.went_well() { w.dice.log_normal(ask.answer_bytes, 300) } else { 96 };
        w.tag(int("http.response.body.size", bytes));
        write_access_line(w, &ask, bytes, started);
    });
}

/// Who the gateway believes to serve. A login names the account it tries and has no session before it succeeds.
fn tag_identity(w: &mut Weave, visitor: &Visitor, route: &str) {
    if let Some(user_id) = &visitor.user_id {
        w.tag(text("user.id", user_id.clone()));
    }
    if route == account::LOGIN_ROUTE {
        return;
    }
    if let Some(session_id) = &visitor.session_id {
        w.tag(text("session.id", session_id.clone()));
    }
    if let Some(hash) = &visitor.token_hash {
        w.tag(text("auth.method", "api_key"));
        w.tag(text("auth.token.hash", hash.clone()));
    }
    if visitor.user_id.is_some() && !visitor.roles.is_empty() {
        w.tag(texts("user.roles", visitor.roles));
    }
}

fn write_access_line(w: &mut Weave, ask: &Ask<'_>, bytes: u64, started: u64) {
    let status = if w.failed() { 500 } else { w.status() };
    let took_micros = (w.now() - started) / 1000;
    let body = format!(
        "{} \"{} {} HTTP/2\" {status} {bytes} {}.{:03}ms",
        ask.visitor.address,
        ask.method,
        ask.path,
        took_micros / 1000,
        took_micros % 1000
    );
    let severity = if status >= 500 { SeverityNumber::Error } else { SeverityNumber::Info };
    let attributes = vec![
        text("http.request.method", ask.method),
        text("url.path", ask.path.clone()),
        int("http.response.status_code", status),
        int("http.response.body.size", bytes),
        text("client.address", ask.visitor.address.clone()),
        text("user_agent.original", ask.visitor.agent),
    ];
    w.log(severity, "http.server.access", body, attributes);
}

/// The gateway asks `auth` whose session this is.
pub(crate) fn introspect(w: &mut Weave, visitor: &Visitor) {
    if visitor.session_id.is_none() {
        return;
    }
    w.rpc(Service::Auth, "shop.auth.v1.Sessions/Introspect", |w| {
        if let Some(user_id) = &visitor.user_id {
            w.tag(text("user.id", user_id.clone()));
        }
        w.step("verify token", 180, |_| {});
        // two in three sessions are still in the cache
        if w.dice.per_mille(333) {
            w.query(&SESSIONS_SELECT, 1);
        }
    });
}
