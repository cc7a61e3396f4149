//! Keys that hold secrets are met in every spelling, and keys that people need are not.

use super::*;
use crate::redaction::pattern::Pattern;

fn defaults() -> KeyRules {
    let mut rules = KeyRules::default();
    for (glob, is_credential) in DEFAULTS {
        rules.push(Glob::new(glob), Ruling { action: Action::Mask, is_credential: *is_credential });
    }
    rules
}

#[test]
fn globs_match_whole_keys() {
    for (glob, meant, other) in [
        ("user.email", "User_Email", "user.email.verified"),
        ("*.email", "customer-email", "email"),
        ("card*", "card.number", "discard"),
        ("a*b*c", "a.b.x.bc", "a.c.b"),
        ("*", "", "-"),
        ("a*a", "aa", "a"),
    ] {
        assert!(Glob::new(glob).matches(&normal(meant)), "{glob} means {meant}");
        assert!(glob == "*" || !Glob::new(glob).matches(&normal(other)), "{glob} does not mean {other}");
    }
}

#[test]
fn secrets_are_met_in_every_spelling() {
    for key in [
        "http.request.header.authorization",
        "http.request.header.proxy-authorization",
        "http.request.header.proxy_authorization",
        "Authorization",
        "http.request.header.cookie",
        "http.response.header.set-cookie",
        "http.response.header.set_cookie",
        "db.password",
        "userPassword",
        "PASSWD",
        "app.client_secret",
        "x-api-key",
        "apiKey",
        "http.request.header.x_api_key",
        "ssh.private_key",
        "access_token",
        "oauth.refreshToken",
        "id_token",
        "idToken",
        "http.request.header.x-amz-security-token",
    ] {
        assert!(defaults().on(&normal(key)).is_some(), "{key} is a secret");
    }
}

#[test]
fn keys_that_people_need_are_left() {
    for key in [
        "session.id",
        "user.id",
        "user.email",
        "auth.token.hash",
        "auth.method",
        "auth.jwt.alg",
        "auth.jwt.sub",
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.output_tokens",
        "gen_ai.token.type",
        "llm.token_count.prompt",
        "max_tokens",
        "db.query.text",
        "http.request.method",
        "url.path",
        "aws.s3.key",
        "messaging.kafka.message.key",
        "enduser.id",
        "http.request.header.user-agent",
        "invalid.token",
    ] {
        assert_eq!(defaults().on(&normal(key)), None, "{key}");
    }
}

#[test]
fn shipped_rules_need_no_needles_beyond_those_of_the_shipped_patterns() {
    let mut needles = Needles::default();
    Pattern::SecretPair.needles().iter().for_each(|needle| needles.add(*needle));
    let before = format!("{needles:?}");
    defaults().add_needles(&mut needles);
    assert_eq!(format!("{needles:?}"), before);
}
