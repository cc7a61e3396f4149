//! Which events tell of an authentication, and whose address is the client's.

use ipnet::IpNet;
use model::Value;

use super::Outcome::{Denied, Failure, Success};
use super::{CLUES, Clues, Origin};

const SERVER: i8 = 2;
const CLIENT: i8 = 3;

fn clues<'a>(attributes: &[(&str, Value<'a>)]) -> Clues<'a> {
    let mut clues = Clues::default();
    for (key, value) in attributes {
        if let Some((_, clue)) = CLUES.iter().find(|(name, _)| name == key) {
            clues.note(*clue, value, false, true);
        }
    }
    clues
}

#[test]
fn a_refusal_is_told_by_the_side_that_refused() {
    for (key, value, expected) in [
        ("http.response.status_code", Value::Int(401), Failure),
        ("http.status_code", Value::Int(403), Denied),
        ("http.status_code", Value::str("401"), Failure),
        ("rpc.grpc.status_code", Value::Int(16), Failure),
        ("rpc.response.status_code", Value::str("PERMISSION_DENIED"), Denied),
    ] {
        let found = clues(&[(key, value)]);
        assert_eq!(found.of_span(SERVER, None, None, ""), Some(expected), "{key}");
        assert_eq!(found.of_span(CLIENT, None, None, ""), None, "{key} on the caller's span");
    }
    assert_eq!(clues(&[("http.status_code", Value::Int(200))]).of_span(SERVER, None, None, ""), None);
}

#[test]
fn what_the_sender_says_itself_is_not_judged_again() {
    let said = clues(&[("http.status_code", Value::Int(401)), ("auth.outcome", Value::str("success"))]);
    assert_eq!(said.of_span(SERVER, None, None, ""), None);
    assert_eq!(said.of_log("Failed password for root"), None);
}

#[test]
fn databases_refuse_on_the_callers_span() {
    let postgres = [("db.system", Value::str("postgresql"))];
    let with = |code: &'static str| clues(&[postgres[0].clone(), ("db.response.status_code", Value::str(code))]);
    assert_eq!(with("28P01").of_span(CLIENT, None, None, ""), Some(Failure));
    assert_eq!(with("42501").of_span(CLIENT, None, None, ""), Some(Denied));
    assert_eq!(with("23505").of_span(CLIENT, None, None, ""), None);
    let text = "password authentication failed for user \"app\"";
    assert_eq!(clues(&postgres).of_span(CLIENT, None, Some(text), ""), Some(Failure));
    assert_eq!(clues(&[("error.type", Value::str("28P01"))]).of_span(CLIENT, None, None, ""), None, "no database");
}

#[test]
fn exceptions_are_known_in_whatever_package_they_are() {
    let spring = "org.springframework.security.authentication.BadCredentialsException";
    for (name, expected) in [
        (spring, Some(Failure)),
        ("org.apache.shiro.authz.UnauthorizedException", Some(Denied)),
        ("jwt.exceptions.ExpiredSignatureError", Some(Failure)),
        ("psycopg.errors.InsufficientPrivilege", Some(Denied)),
        ("java.lang.NullPointerException", None),
    ] {
        assert_eq!(Clues::default().of_span(SERVER, Some(name), None, ""), expected, "{name}");
        assert_eq!(clues(&[("exception.type", Value::str(name))]).of_log(""), expected, "{name} in a log record");
    }
}

#[test]
fn well_known_log_lines_tell_how_it_ended() {
    for (line, expected) in [
        ("Failed password for invalid user admin from 203.0.113.9 port 52140 ssh2", Some(Failure)),
        ("Accepted publickey for deploy from 198.51.100.7 port 40022 ssh2: ED25519 SHA256:x", Some(Success)),
        ("Failed to authenticate since no credentials were found", Some(Failure)),
        ("org.apache.shiro.authc.UnknownAccountException: Realm [x] was unable to find account data", Some(Failure)),
        ("type=\"LOGIN_ERROR\", realmId=\"shop\", userId=\"null\", error=\"user_not_found\"", Some(Failure)),
        ("type=LOGIN, realmId=shop, clientId=web, userId=7", Some(Success)),
        ("user \"bob\": password mismatch, client: 203.0.113.9, server: _", Some(Failure)),
        ("access forbidden by rule, client: 203.0.113.9, server: _", Some(Denied)),
        ("203.0.113.9 - - [26/Nov/2026:10:00:00 +0000] \"GET /admin HTTP/1.1\" 403 153 \"-\" \"curl/8\"", Some(Denied)),
        ("[2026-11-26T10:00:00Z] \"GET /api HTTP/2\" 401 - jwt_authn_access_denied{Jwt_is_missing}", Some(Failure)),
        ("{\"response_code\":403,\"response_code_details\":\"rbac_access_denied_matched_policy[none]\"}", Some(Denied)),
        ("FATAL:  password authentication failed for user \"app\"", Some(Failure)),
        ("ERROR:  permission denied for table customers", Some(Denied)),
        ("connection authorized: user=app database=shop", Some(Success)),
        ("order 401 was shipped", None),
        ("GET /orders HTTP/1.1 took 403 ms", None),
        ("", None),
    ] {
        assert_eq!(Clues::default().of_log(line), expected, "{line}");
    }
}

#[test]
fn a_long_line_is_searched_at_its_beginning_and_cut_inside_a_character_without_harm() {
    let line = format!("{}é{}", "x".repeat(4_095), "Failed password for root");
    assert_eq!(Clues::default().of_log(&line), None);
    let line = format!("Failed password for root {}", "é".repeat(4_000));
    assert_eq!(Clues::default().of_log(&line), Some(Failure));
}

fn address(
    client: Option<&str>,
    peer: Option<&str>,
    forwarded_for: Option<&str>,
    rfc7239: Option<&str>,
) -> Option<String> {
    let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].iter().map(|net| net.parse().expect("a network")).collect();
    let own = |text: Option<&str>| text.map(str::to_owned);
    let origin = Origin {
        client: own(client),
        peer: own(peer),
        forwarded_for: own(forwarded_for),
        forwarded: own(rfc7239),
        held: None,
    };
    origin.client_address(&trusted)
}

#[test]
fn the_client_is_the_nearest_address_that_is_no_trusted_proxy() {
    let proxy = Some("10.0.0.1");
    let found = |text| address(None, proxy, Some(text), None);
    assert_eq!(found("203.0.113.9").as_deref(), Some("203.0.113.9"));
    assert_eq!(
        found("1.1.1.1, 203.0.113.9, 10.0.0.7").as_deref(),
        Some("203.0.113.9"),
        "what a client claims is passed over"
    );
    assert_eq!(found("[\"1.1.1.1, 203.0.113.9\"]").as_deref(), Some("203.0.113.9"), "header lines as an array");
    assert_eq!(found("203.0.113.9:51000").as_deref(), Some("203.0.113.9"));
    assert_eq!(found("[2001:db8::7]:443").as_deref(), Some("2001:db8::7"));
    assert_eq!(found("203.0.113.9, unknown").as_deref(), None, "an obscured hop hides what is behind it");
    assert_eq!(found("10.0.0.5, 10.0.0.7").as_deref(), Some("10.0.0.5"), "a request from inside");
    let rfc = address(None, proxy, None, Some("for=1.1.1.1, for=\"[2001:db8::9]:80\";proto=https;by=10.0.0.1"));
    assert_eq!(rfc.as_deref(), Some("2001:db8::9"));
}

#[test]
fn a_header_from_anybody_else_is_not_believed() {
    assert_eq!(address(None, Some("203.0.113.50"), Some("1.1.1.1"), None).as_deref(), Some("203.0.113.50"));
    assert_eq!(address(Some("203.0.113.50"), Some("10.0.0.1"), Some("1.1.1.1"), None), None, "the sender knows better");
    assert_eq!(address(Some("10.0.0.1"), None, Some("203.0.113.9"), None).as_deref(), Some("203.0.113.9"));
    assert_eq!(address(None, None, Some("1.1.1.1"), None), None, "no peer, nobody to trust");
}
