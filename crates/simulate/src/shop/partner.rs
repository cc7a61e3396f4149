//! Machines that call the shop: partners who sync orders and stock, and the uptime probe.

use proto::logs::v1::SeverityNumber;

use super::{Ask, enter};
use crate::attribute::int;
use crate::people::Visitor;
use crate::service::Service;
use crate::weave::{Statement, Weave};

const KEY_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "api_keys",
    sql: "SELECT partner_id, scopes FROM api_keys WHERE key_hash = $1",
    median_micros: 700,
};
const NEW_ORDERS_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "orders",
    sql: "SELECT id, lines FROM orders WHERE partner_id = $1 AND id > $2 ORDER BY id LIMIT 200",
    median_micros: 3_600,
};
const STOCK_UPSERT: Statement = Statement {
    operation: "UPDATE",
    table: "stock",
    sql: "UPDATE stock SET quantity = $3, updated_at = now() WHERE product_id = $1 AND warehouse = $2",
    median_micros: 1_600,
};

fn check_key(w: &mut Weave) {
    w.rpc(Service::Auth, "shop.auth.v1.Keys/Verify", |w| {
        w.step("hash key", 90, |_| {});
        if w.dice.per_mille(200) {
            w.query(&KEY_SELECT, 1);
        }
    });
}

/// `GET /partner/v1/orders`: what was ordered since the last sync.
pub(super) fn orders(w: &mut Weave, visitor: &Visitor) {
    let route = "/partner/v1/orders";
    let after = w.dice.below(9_000_000);
    let ask = Ask {
        method: "GET",
        route,
        path: route.to_owned(),
        query: format!("after={after}"),
        visitor,
        answer_bytes: 30_000,
    };
    enter(w, ask, |w| {
        check_key(w);
        let rows = w.dice.between(0, 60);
        w.http(Service::Orders, "GET", "/v1/partner-orders", "/v1/partner-orders", |w| {
            w.query(&NEW_ORDERS_SELECT, rows);
            w.step("serialize", 800, |_| {});
        });
        if !w.failed() {
            w.log(
                SeverityNumber::Info,
                "partner.sync",
                format!("{rows} orders handed to the partner"),
                vec![int("shop.orders", rows)],
            );
        }
    });
}

/// `PUT /partner/v1/stock/{product_id}`.
pub(super) fn stock(w: &mut Weave, visitor: &Visitor) {
    let product = w.dice.below(super::browse::PRODUCTS) + 1;
    let path = format!("/partner/v1/stock/{product}");
    let ask = Ask {
        method: "PUT",
        route: "/partner/v1/stock/{product_id}",
        path,
        query: String::new(),
        visitor,
        answer_bytes: 90,
    };
    enter(w, ask, |w| {
        check_key(w);
        w.http(Service::Catalog, "PUT", "/v1/stock/{product_id}", &format!("/v1/stock/{product}"), |w| {
            w.query(&STOCK_UPSERT, 1);
            w.step("invalidate cache", 300, |_| {});
            w.answer(204);
        });
    });
}

/// `GET /healthz`, from outside.
pub(super) fn probe(w: &mut Weave, visitor: &Visitor) {
    let ask = Ask {
        method: "GET",
        route: "/healthz",
        path: "/healthz".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 20,
    };
    enter(w, ask, |w| w.step("check dependencies", 600, |_| {}));
}
