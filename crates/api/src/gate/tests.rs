//! Requests that other sites make.

use axum::http::{HeaderMap, Method, Uri};
use model::TenantId;

use super::check_site;
use crate::state::Auth;

fn asks(auth: &Auth, method: Method, headers: &[(&'static str, &str)]) -> bool {
    let headers: HeaderMap =
        headers.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect();
    check_site(auth, &method, &Uri::from_static("/api/v1/session"), &headers).is_ok()
}

#[test]
fn a_changing_request_must_come_from_the_same_host() {
    let ours = ("host", "hound.example:8080");
    let post = |headers: &[(&'static str, &str)]| asks(&Auth::Session, Method::POST, headers);
    assert!(post(&[ours, ("origin", "http://hound.example:8080")]));
    assert!(post(&[ours, ("origin", "https://HOUND.example:8080")]));
    assert!(post(&[("host", "hound.example"), ("origin", "https://hound.example")]));
    assert!(!post(&[ours, ("origin", "http://evil.example:8080")]));
    assert!(!post(&[ours, ("origin", "http://hound.example")]));
    assert!(!post(&[ours, ("origin", "null")]));
    assert!(!post(&[("origin", "http://hound.example:8080")]), "no host to compare with");
    assert!(!post(&[ours, ("sec-fetch-site", "cross-site"), ("content-type", "application/json")]));
    assert!(asks(&Auth::Session, Method::GET, &[ours, ("origin", "http://evil.example")]), "reading changes nothing");
}

#[test]
fn without_an_origin_a_post_must_be_json() {
    let ours = ("host", "hound.example");
    assert!(asks(&Auth::Session, Method::POST, &[ours, ("content-type", "application/json; charset=utf-8")]));
    assert!(!asks(&Auth::Session, Method::POST, &[ours, ("content-type", "text/plain")]));
    assert!(!asks(&Auth::Session, Method::POST, &[ours]));
    assert!(asks(&Auth::Session, Method::DELETE, &[ours]), "a form cannot send DELETE");
}

#[test]
fn without_login_the_host_must_be_loopback() {
    let auth = Auth::None(TenantId::default_tenant());
    for host in ["localhost:8080", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"] {
        assert!(asks(&auth, Method::GET, &[("host", host)]), "{host}");
    }
    for host in ["evil.example:8080", "10.0.0.1", "localhost.evil.example", "[::2]"] {
        assert!(!asks(&auth, Method::GET, &[("host", host)]), "{host}");
    }
    assert!(!asks(&auth, Method::GET, &[]));
}
