//! Looking around: the product list, a product, the search.

use proto::logs::v1::SeverityNumber;

use super::{Ask, enter, introspect};
use crate::attribute::{int, text};
use crate::people::Visitor;
use crate::service::Service;
use crate::weave::{Statement, Weave};

/// Products on sale.
pub(super) const PRODUCTS: u64 = 5_000;
const CATEGORIES: [&str; 8] = ["outdoor", "kitchen", "audio", "books", "toys", "garden", "office", "bikes"];
const WORDS: [&str; 10] =
    ["lamp", "tent", "kettle", "headphones", "novel", "puzzle", "spade", "desk", "helmet", "stove"];

const PRODUCTS_BY_CATEGORY: Statement = Statement {
    operation: "SELECT",
    table: "products",
    sql: "SELECT id, name, price_cents, image FROM products WHERE category = $1 ORDER BY rank LIMIT $2",
    median_micros: 2_400,
};
const PRODUCT_BY_ID: Statement = Statement {
    operation: "SELECT",
    table: "products",
    sql: "SELECT id, name, description, price_cents, image FROM products WHERE id = $1",
    median_micros: 800,
};
const STOCK_BY_PRODUCT: Statement = Statement {
    operation: "SELECT",
    table: "stock",
    sql: "SELECT warehouse, quantity FROM stock WHERE product_id = $1",
    median_micros: 900,
};
const REVIEWS_BY_PRODUCT: Statement = Statement {
    operation: "SELECT",
    table: "reviews",
    sql: "SELECT author, stars, body FROM reviews WHERE product_id = $1 ORDER BY created_at DESC LIMIT 10",
    median_micros: 1_600,
};
const PRODUCT_SEARCH: Statement = Statement {
    operation: "SELECT",
    table: "products",
    sql: "SELECT id, ts_rank(words, query) FROM products, websearch_to_tsquery($1) query WHERE words @@ query ORDER BY 2 DESC LIMIT 200",
    median_micros: 7_500,
};

/// `GET /products`: a page of a category.
pub(super) fn list(w: &mut Weave, visitor: &Visitor, known: bool) {
    let category = w.dice.one_of(&CATEGORIES);
    let page = w.dice.between(1, 6);
    let query = format!("category={category}&page={page}");
    let ask =
        Ask { method: "GET", route: "/products", path: "/products".to_owned(), query, visitor, answer_bytes: 18_000 };
    enter(w, ask, |w| {
        if known {
            introspect(w, visitor);
        }
        w.http(Service::Catalog, "GET", "/v1/products", "/v1/products", |w| {
            w.query(&PRODUCTS_BY_CATEGORY, 24);
            w.query(&STOCK_BY_PRODUCT, 24);
            w.step("rank products", 1_500, |w| w.tag(text("shop.category", category)));
        });
        w.step("render page", 2_200, |_| {});
    });
}

/// `GET /products/{product_id}`; a few links are stale and answer 404.
pub(super) fn product(w: &mut Weave, visitor: &Visitor, known: bool) {
    let id = w.dice.zipf(PRODUCTS, 4.615_120_516_841_26) + 1;
    let gone = w.dice.per_mille(8);
    let ask = Ask {
        method: "GET",
        route: "/products/{product_id}",
        path: format!("/products/{id}"),
        query: String::new(),
        visitor,
        answer_bytes: 26_000,
    };
    enter(w, ask, |w| {
        if known {
            introspect(w, visitor);
        }
        w.http(Service::Catalog, "GET", "/v1/products/{product_id}", &format!("/v1/products/{id}"), |w| {
            w.tag(int("shop.product_id", id));
            w.query(&PRODUCT_BY_ID, u64::from(!gone));
            if gone && !w.failed() {
                w.answer(404);
                w.log(
                    SeverityNumber::Info,
                    "catalog.product.missing",
                    format!("product {id} is no longer sold"),
                    vec![int("shop.product_id", id)],
                );
                return;
            }
            let side_by_side = w.now();
            w.query(&STOCK_BY_PRODUCT, 2);
            let stock_known = w.now();
            w.resume_at(side_by_side);
            w.query(&REVIEWS_BY_PRODUCT, 10);
            w.resume_at(w.now().max(stock_known));
        });
        if w.went_well() {
            w.step("render page", 2_600, |_| {});
        }
    });
}

/// `GET /search`.
pub(super) fn search(w: &mut Weave, visitor: &Visitor) {
    let words = w.dice.one_of(&WORDS);
    let ask = Ask {
        method: "GET",
        route: "/search",
        path: "/search".to_owned(),
        query: format!("q={words}"),
        visitor,
        answer_bytes: 15_000,
    };
    enter(w, ask, |w| {
        w.rpc(Service::Catalog, "shop.catalog.v1.Search/Query", |w| {
            w.step("parse query", 120, |_| {});
            let hits = w.dice.below(160);
            w.query(&PRODUCT_SEARCH, hits);
            w.step("highlight", 900, |w| w.tag(int("shop.search.hits", hits)));
        });
        w.step("render page", 2_000, |_| {});
    });
}
