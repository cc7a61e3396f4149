//! From the cart to the order, its payment and its confirmation mail.

use proto::logs::v1::SeverityNumber;

use super::account::deliver_mail;
use super::browse::PRODUCTS;
use super::{Ask, enter, introspect};
use crate::attribute::{int, text};
use crate::people::Visitor;
use crate::service::Service;
use crate::weave::{Fetch, Statement, Weave};

/// Payments the bank refuses, in a thousand.
const DECLINED_PER_MILLE: u64 = 25;

const PRICE_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "products",
    sql: "SELECT price_cents, currency FROM products WHERE id = $1",
    median_micros: 700,
};
const CART_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "cart_items",
    sql: "SELECT product_id, quantity FROM cart_items WHERE cart_id = $1",
    median_micros: 900,
};
const CART_UPSERT: Statement = Statement {
    operation: "INSERT",
    table: "cart_items",
    sql: "INSERT INTO cart_items (cart_id, product_id, quantity) VALUES ($1, $2, $3) ON CONFLICT (cart_id, product_id) DO UPDATE SET quantity = cart_items.quantity + $3",
    median_micros: 1_500,
};
const ADDRESS_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "users",
    sql: "SELECT email, addresses FROM users WHERE id = $1",
    median_micros: 900,
};
const PAYMENT_INSERT: Statement = Statement {
    operation: "INSERT",
    table: "payments",
    sql: "INSERT INTO payments (id, order_ref, amount_cents, state) VALUES ($1, $2, $3, $4)",
    median_micros: 1_700,
};
const ORDER_INSERT: Statement = Statement {
    operation: "INSERT",
    table: "orders",
    sql: "INSERT INTO orders (id, user_id, total_cents, state) VALUES ($1, $2, $3, 'placed')",
    median_micros: 1_800,
};
const ORDER_LINES_INSERT: Statement = Statement {
    operation: "INSERT",
    table: "order_lines",
    sql: "INSERT INTO order_lines (order_id, product_id, quantity, price_cents) SELECT * FROM unnest($1, $2, $3, $4)",
    median_micros: 2_100,
};
const ORDERS_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "orders",
    sql: "SELECT id, total_cents, state, placed_at FROM orders WHERE user_id = $1 ORDER BY placed_at DESC LIMIT 20",
    median_micros: 2_200,
};
const ORDER_LINES_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "order_lines",
    sql: "SELECT product_id, quantity, price_cents FROM order_lines WHERE order_id = ANY($1)",
    median_micros: 1_900,
};
const UNSETTLED_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "orders",
    sql: "SELECT id FROM orders WHERE state = 'placed' AND placed_at < now() - interval '1 minute' FOR UPDATE SKIP LOCKED LIMIT 100",
    median_micros: 4_000,
};
const ORDERS_SETTLE: Statement = Statement {
    operation: "UPDATE",
    table: "orders",
    sql: "UPDATE orders SET state = 'settled' WHERE id = ANY($1)",
    median_micros: 3_000,
};

fn price(w: &mut Weave, product: u64) {
    w.rpc(Service::Catalog, "shop.catalog.v1.Prices/Get", |w| {
        w.tag(int("shop.product_id", product));
        w.query(&PRICE_SELECT, 1);
    });
}

/// `POST /cart/items`.
pub(super) fn add_to_cart(w: &mut Weave, visitor: &Visitor) {
    let product = w.dice.below(PRODUCTS) + 1;
    let ask = Ask {
        method: "POST",
        route: "/cart/items",
        path: "/cart/items".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 700,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::Cart, "POST", "/v1/items", "/v1/items", |w| {
            price(w, product);
            w.query(&CART_UPSERT, 1);
            w.answer(201);
        });
    });
}

/// `GET /cart`.
pub(super) fn view_cart(w: &mut Weave, visitor: &Visitor) {
    let items = w.dice.between(1, 3);
    let ask = Ask {
        method: "GET",
        route: "/cart",
        path: "/cart".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 4_000,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::Cart, "GET", "/v1/cart", "/v1/cart", |w| {
            w.query(&CART_SELECT, items);
            for _ in 0..items {
                let product = w.dice.below(PRODUCTS) + 1;
                price(w, product);
            }
        });
    });
}

/// `POST /checkout`: the longest way through the shop, with the payment provider outside and a mail afterwards.
pub(super) fn check_out(w: &mut Weave, visitor: &Visitor) {
    let ask = Ask {
        method: "POST",
        route: "/checkout",
        path: "/checkout".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 1_200,
    };
    let mut sender = Vec::new();
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::Checkout, "POST", "/v1/checkout", "/v1/checkout", |w| sender = place_order(w, visitor));
    });
    deliver_mail(w, "order-confirmation", &sender);
}

fn place_order(w: &mut Weave, visitor: &Visitor) -> Vec<u8> {
    let user_id = visitor.user_id.clone().unwrap_or_default();
    let items = w.dice.between(1, 2);
    let amount_cents = w.dice.log_normal(4_900, 800);
    let declined = w.dice.per_mille(DECLINED_PER_MILLE);
    w.tag(text("user.id", user_id.clone()));
    w.rpc(Service::Cart, "shop.cart.v1.Carts/Get", |w| w.query(&CART_SELECT, items));
    let side_by_side = w.now();
    let mut latest = side_by_side;
    for _ in 0..items {
        w.resume_at(side_by_side);
        let product = w.dice.below(PRODUCTS) + 1;
        price(w, product);
        latest = latest.max(w.now());
    }
    w.resume_at(latest);
    w.rpc(Service::User, "shop.user.v1.Users/GetAddress", |w| w.query(&ADDRESS_SELECT, 1));
    w.http(Service::Payment, "POST", "/v1/charges", "/v1/charges", |w| charge(w, amount_cents, declined));
    let mut sender = Vec::new();
    if !w.went_well() {
        return sender;
    }
    let order = w.dice.below(9_000_000) + 1_000_000;
    w.http(Service::Orders, "POST", "/v1/orders", "/v1/orders", |w| {
        w.query(&ORDER_INSERT, 1);
        w.query(&ORDER_LINES_INSERT, items);
        sender = w.send("order-confirmation");
        if !w.failed() {
            let attributes =
                vec![int("shop.order_id", order), int("shop.amount_cents", amount_cents), text("user.id", user_id)];
            w.log(
                SeverityNumber::Info,
                "order.placed",
                format!("order {order} placed: {items} items, {amount_cents} cents"),
                attributes,
            );
        }
        w.answer(201);
    });
    sender
}

fn charge(w: &mut Weave, amount_cents: u64, declined: bool) {
    let status = if declined { 402 } else { 200 };
    let provider = Fetch {
        method: "POST",
        scheme: "https",
        host: "api.payments.example",
        path: "/v1/charges".to_owned(),
        status,
        answer_bytes: 610,
        median_micros: 160_000,
    };
    w.fetch(&provider);
    w.query(&PAYMENT_INSERT, 1);
    if w.failed() {
        return;
    }
    let outcome = if declined { "declined" } else { "captured" };
    let attributes = vec![text("payment.outcome", outcome), int("shop.amount_cents", amount_cents)];
    let severity = if declined { SeverityNumber::Warn } else { SeverityNumber::Info };
    w.log(severity, "payment.result", format!("payment of {amount_cents} cents {outcome}"), attributes);
    w.answer(status);
}

/// `GET /orders`.
pub(super) fn history(w: &mut Weave, visitor: &Visitor) {
    let orders = w.dice.between(1, 12);
    let ask = Ask {
        method: "GET",
        route: "/orders",
        path: "/orders".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 6_500,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::Orders, "GET", "/v1/orders", "/v1/orders", |w| {
            w.query(&ORDERS_SELECT, orders);
            w.query(&ORDER_LINES_SELECT, orders * 2);
        });
        w.step("render page", 1_800, |_| {});
    });
}

/// `GET /orders/{order_id}`.
pub(super) fn order(w: &mut Weave, visitor: &Visitor) {
    let order = w.dice.below(9_000_000) + 1_000_000;
    let ask = Ask {
        method: "GET",
        route: "/orders/{order_id}",
        path: format!("/orders/{order}"),
        query: String::new(),
        visitor,
        answer_bytes: 3_100,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::Orders, "GET", "/v1/orders/{order_id}", &format!("/v1/orders/{order}"), |w| {
            w.tag(int("shop.order_id", order));
            w.query(&ORDERS_SELECT, 1);
            w.query(&ORDER_LINES_SELECT, 2);
            w.rpc(Service::User, "shop.user.v1.Users/GetAddress", |w| w.query(&ADDRESS_SELECT, 1));
        });
        w.step("render page", 1_700, |_| {});
    });
}

/// Each minute `orders` settles what was placed.
pub(super) fn settle(w: &mut Weave) {
    w.job(Service::Orders, "job settle-orders", |w| {
        let orders = w.dice.between(1, 9);
        w.query(&UNSETTLED_SELECT, orders);
        w.rpc(Service::Payment, "shop.payment.v1.Charges/Settle", |w| {
            let provider = Fetch {
                method: "POST",
                scheme: "https",
                host: "api.payments.example",
                path: "/v1/settlements".to_owned(),
                status: 200,
                answer_bytes: 900,
                median_micros: 140_000,
            };
            w.fetch(&provider);
        });
        w.query(&ORDERS_SETTLE, orders);
        if !w.failed() {
            w.log(
                SeverityNumber::Info,
                "order.settled",
                format!("{orders} orders settled"),
                vec![int("shop.orders", orders)],
            );
        }
    });
}
