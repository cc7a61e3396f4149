//! Each pattern replaces the secret and nothing around it, and its needles stand in whatever it finds.

use super::*;

/// The text with what the patterns find in angle brackets, one pattern after the other.
fn marked(text: &str) -> String {
    let mut text = text.to_owned();
    for pattern in Pattern::ALL {
        let mut out = String::new();
        let mut done = 0;
        for found in pattern.find(&text) {
            out.push_str(&text[done..found.secret.start]);
            out.push_str("***");
            done = found.secret.end;
        }
        out.push_str(&text[done..]);
        text = out;
    }
    text
}

const JWT_TEXT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1LTcifQ.c2lnbmF0dXJl";

#[test]
fn secrets_are_replaced_and_their_surroundings_stay() {
    let own_key = format!("th_{}_{}", "0a".repeat(8), "9f".repeat(32));
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
    let cases = [
        (format!("calling with {JWT_TEXT}, ok"), "calling with ***, ok"),
        (format!("Authorization: Bearer {JWT_TEXT}"), "Authorization: Bearer ***"),
        ("authorization=Basic dXNlcjpwYXNz, x".to_owned(), "authorization=Basic ***, x"),
        ("used bearer abcd1234efgh5678 twice".to_owned(), "used bearer *** twice"),
        (format!("key {own_key} revoked"), "key *** revoked"),
        ("AKIAIOSFODNN7EXAMPLE in us-east-1".to_owned(), "*** in us-east-1"),
        (format!("ghp_{} pushed", "a1B2".repeat(9)), "*** pushed"),
        (format!("github_pat_{} pushed", "a1_B".repeat(9)), "*** pushed"),
        ("xoxb-123456789012-abcdef posted".to_owned(), "*** posted"),
        (format!("maps?k=AIza{}&x=1", "a_B-0".repeat(7)), "maps?k=***&x=1"),
        (format!("sk_live_{}!", "4eC39HqLyjWD"), "sk_live_4eC39HqLyjWD!"),
        (format!("sk_live_{}!", "4eC39HqLyjWDarjtT1zdp7dc"), "***!"),
        (format!("{pem}\nloaded"), "***\nloaded"),
        ("postgres://app:p%40ss@db:5432/shop".to_owned(), "postgres://app:***@db:5432/shop"),
        ("redis://:p@ss@cache:6379".to_owned(), "redis://:***@cache:6379"),
        ("root:hunter2@tcp(db:3306)/shop".to_owned(), "root:***@tcp(db:3306)/shop"),
        ("/login?user=ann&password=hunter2&next=/".to_owned(), "/login?user=ann&password=***&next=/"),
        ("/cb?access_token=abc.def#x".to_owned(), "/cb?access_token=***"),
        ("/reset?token=8d1f&lang=en".to_owned(), "/reset?token=***&lang=en"),
        (r#"{"password":"hun\"ter2","user":"ann"}"#.to_owned(), r#"{"password":"***","user":"ann"}"#),
        (r#"{\"password\":\"hunter2\",\"user\":\"ann\"}"#.to_owned(), r#"{\"password\":\"***\",\"user\":\"ann\"}"#),
        ("{'api_key': 'k-1', 'n': 3}".to_owned(), "{'api_key': '***', 'n': 3}"),
        ("DB_PASSWORD=hunter2 PORT=1".to_owned(), "DB_PASSWORD=*** PORT=1"),
        ("Server=db;Uid=app;Pwd=hunter2;".to_owned(), "Server=db;Uid=app;Pwd=***;"),
        ("password: hunter2 given".to_owned(), "password: *** given"),
        ("x-api-key: 1234".to_owned(), "x-api-key: ***"),
        ("Cookie: session=1; theme=dark\r\nHost: a".to_owned(), "Cookie: ***\r\nHost: a"),
        ("client_secret%3Dabc".to_owned(), "client_secret%3D***"),
        ("card 4111 1111 1111 1111 declined".to_owned(), "card *** declined"),
        ("mail to ann.b+c@mail.example.org today".to_owned(), "mail to *** today"),
    ];
    for (text, expected) in cases {
        assert_eq!(marked(&text), expected);
        assert_eq!(marked(expected), expected, "masking twice is masking once");
    }
}

#[test]
fn what_people_read_is_left() {
    for text in [
        "bearer authentication required",
        "Failed password for root from 203.0.113.7 port 22 ssh2",
        "password authentication failed for user \"app\"",
        "UPDATE users SET password = $1 WHERE id = ?",
        "SELECT * FROM t WHERE token = :token AND secret = ?",
        "GET /products?page=2&sort=price",
        "http://user@host/path",
        "https://host/a:b@c",
        "@opentelemetry/instrumentation-http",
        "token: expired",
        "input_tokens=512 max_tokens=1024",
        "order 1764000000000000 shipped",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "the secret of success",
        "monkey_test_mode",
        "path_to_th_file",
        "password=***",
    ] {
        assert_eq!(marked(text), text);
    }
}
