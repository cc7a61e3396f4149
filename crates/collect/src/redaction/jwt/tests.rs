//! Claims are read when they are what they should be, and left out otherwise.

use super::*;

fn token(header: &str, body: &str) -> String {
    format!("{}.{}.c2lnbmF0dXJl", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(body))
}

#[test]
fn header_and_claims_that_detection_needs_are_kept() {
    let body = r#"{"iss":"https://id.example","aud":["shop","admin"],"sub":"u-7","exp":1764003600,"iat":1764000000.5}"#;
    let claims = read(&token(r#"{"alg":"RS256","kid":"2025-11","typ":"JWT"}"#, body));
    let texts = [
        ("auth.jwt.alg", "RS256"),
        ("auth.jwt.kid", "2025-11"),
        ("auth.jwt.iss", "https://id.example"),
        ("auth.jwt.aud", "shop,admin"),
        ("auth.jwt.sub", "u-7"),
    ];
    assert_eq!(claims.texts, texts.map(|(name, text)| (name, text.to_owned())));
    assert_eq!(claims.seconds, [("auth.jwt.exp", 1_764_003_600), ("auth.jwt.iat", 1_764_000_000)]);
}

#[test]
fn what_is_not_as_it_should_be_is_left_out() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for token in [
        "".to_owned(),
        "...".to_owned(),
        "eyJ".to_owned(),
        token("[]", "7"),
        token(r#"{"alg":{"a":1}}"#, r#"{"sub":7,"exp":"soon","iat":1e300}"#),
        token("{}", &format!(r#"{{"sub":{deep}}}"#)),
        format!("{}.{}.x", "e".repeat(1 << 20), "y".repeat(1 << 20)),
    ] {
        assert_eq!(read(&token), Claims::default(), "{}", &token[..token.len().min(80)]);
    }
    let long = read(&token("{}", &format!(r#"{{"sub":"{}"}}"#, "ä".repeat(4_000))));
    assert_eq!(long.texts[0].1.len(), 256, "long claims are cut at a character");
}
