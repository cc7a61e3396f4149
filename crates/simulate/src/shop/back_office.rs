//! The admin pages: listings of users and orders, and the export that the attack abuses.

use proto::logs::v1::SeverityNumber;

use super::{Ask, enter, introspect};
use crate::attribute::{int, text};
use crate::people::Visitor;
use crate::service::Service;
use crate::weave::{Statement, Weave};

/// A page of the back office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listing {
    Users,
    Orders,
}

/// Bytes of one exported row, about.
const BYTES_PER_EXPORTED_ROW: u64 = 410;

const USERS_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "users",
    sql: "SELECT id, email, display_name, created_at FROM users ORDER BY id LIMIT $1 OFFSET $2",
    median_micros: 3_000,
};
const ORDERS_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "orders",
    sql: "SELECT id, user_id, total_cents, state FROM orders ORDER BY placed_at DESC LIMIT $1 OFFSET $2",
    median_micros: 4_200,
};
const EXPORT_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "users",
    sql: "SELECT u.id, u.email, u.display_name, u.addresses, o.total_cents FROM users u LEFT JOIN orders o ON o.user_id = u.id WHERE u.created_at >= $1",
    median_micros: 9_000,
};

fn authorize(w: &mut Weave, visitor: &Visitor) {
    w.step("authorize", 250, |w| {
        if let Some(user_id) = &visitor.user_id {
            w.tag(text("user.id", user_id.clone()));
        }
        w.tag(text("shop.permission", "admin:read"));
    });
}

/// `GET /admin/users` or `GET /admin/orders`: fifty rows a page.
pub(crate) fn list(w: &mut Weave, visitor: &Visitor, listing: Listing) {
    let route = match listing {
        Listing::Users => "/admin/users",
        Listing::Orders => "/admin/orders",
    };
    let page = w.dice.between(1, 30);
    let ask = Ask {
        method: "GET",
        route,
        path: route.to_owned(),
        query: format!("page={page}"),
        visitor,
        answer_bytes: 14_000,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::AdminApi, "GET", route, route, |w| {
            authorize(w, visitor);
            match listing {
                Listing::Users => w.rpc(Service::User, "shop.user.v1.Users/List", |w| w.query(&USERS_SELECT, 50)),
                Listing::Orders => {
                    w.rpc(Service::Orders, "shop.orders.v1.Orders/List", |w| w.query(&ORDERS_SELECT, 50))
                }
            }
            w.step("render table", 1_200, |_| {});
        });
    });
}

/// `GET /admin/export`: customer rows as one file. The span that serves it says how many rows and bytes left.
pub(crate) fn export(w: &mut Weave, visitor: &Visitor, rows: u64) {
    let bytes = rows * BYTES_PER_EXPORTED_ROW;
    let route = "/admin/export";
    let ask = Ask {
        method: "GET",
        route,
        path: route.to_owned(),
        query: "table=customers&format=csv".to_owned(),
        visitor,
        answer_bytes: bytes,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::AdminApi, "GET", route, route, |w| {
            authorize(w, visitor);
            w.query(&EXPORT_SELECT, rows);
            w.step("write csv", 500 + rows * 3, |_| {});
            if w.failed() {
                return;
            }
            let user_id = visitor.user_id.clone().unwrap_or_default();
            w.tag(text("user.id", user_id.clone()));
            w.tag(int("db.response.returned_rows", rows));
            w.tag(int("http.response.body.size", bytes));
            let attributes = vec![
                text("user.id", user_id.clone()),
                int("db.response.returned_rows", rows),
                int("http.response.body.size", bytes),
            ];
            w.log(SeverityNumber::Info, "admin.export", format!("{user_id} exported {rows} customer rows"), attributes);
        });
    });
}
