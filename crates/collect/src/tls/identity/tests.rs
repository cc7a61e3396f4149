//! Names of certificates against names of settings.

use rcgen::{CertificateParams, KeyPair, SanType};

use super::*;

fn certificate(names: Vec<SanType>) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    let key = KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").der().to_vec()
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().expect("ASCII"))
}

fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().expect("ASCII"))
}

fn email(text: &str) -> SanType {
    SanType::Rfc822Name(text.try_into().expect("ASCII"))
}

fn ip(text: &str) -> SanType {
    SanType::IpAddress(text.parse().expect("an address"))
}

fn identity(san: &str, tenant: &str) -> Identity {
    Identity {
        san: san.parse().unwrap_or_else(|error| panic!("{san}: {error}")),
        tenant: tenant.parse().expect("a tenant"),
        services: None,
    }
}

/// The tenant a certificate with these names stands for.
fn tenant(names: Vec<SanType>, identities: &[Identity]) -> Option<String> {
    identify(&certificate(names), identities).map(|peer| peer.tenant.as_str().to_owned())
}

#[test]
fn every_kind_of_name_stands_for_its_tenant() {
    let identities = [
        identity("spiffe://prod.example/ns/shop/*", "shop"),
        identity("spiffe://prod.example/ns/pay/sa/api", "pay"),
        identity("Gateway.Example", "edge"),
        identity("batch-*", "batch"),
        identity("robot@example.com", "robots"),
        identity("192.0.2.7", "four"),
        identity("2001:db8:0:0::7", "six"),
        identity("urn:example:*", "urns"),
    ];
    let cases = [
        (uri("spiffe://prod.example/ns/shop/sa/cart"), Some("shop")),
        (uri("spiffe://prod.example/ns/shopping/sa/cart"), None),
        (uri("spiffe://prod.example.evil/ns/shop/sa/cart"), None),
        (uri("spiffe://prod.example/ns/pay/sa/api"), Some("pay")),
        (uri("spiffe://prod.example/ns/pay/sa/api2"), None),
        (dns("gateway.EXAMPLE"), Some("edge")),
        (dns("batch-3"), Some("batch")),
        (email("robot@example.com"), Some("robots")),
        (ip("192.0.2.7"), Some("four")),
        (ip("192.0.2.77"), None),
        (ip("2001:db8::7"), Some("six")),
        (uri("urn:example:a"), Some("urns")),
    ];
    for (name, expected) in cases {
        assert_eq!(tenant(vec![name.clone()], &identities).as_deref(), expected, "{name:?}");
    }
    assert_eq!(tenant(Vec::new(), &identities), None, "a certificate without names");
    assert_eq!(identify(b"no certificate", &identities), None);
}

#[test]
fn a_name_of_another_kind_never_fits() {
    let identities = [identity("spiffe://prod.example/*", "shop"), identity("192.0.2.7", "four")];
    assert_eq!(tenant(vec![dns("spiffe://prod.example/ns/shop")], &identities), None);
    assert_eq!(tenant(vec![email("spiffe://prod.example/ns/shop")], &identities), None);
    assert_eq!(tenant(vec![dns("192.0.2.7")], &identities), None);
}

#[test]
fn the_first_identity_that_fits_counts_and_brings_its_services() {
    let services: Arc<[String]> = Arc::from(["cart".to_owned()]);
    let mut narrow = identity("spiffe://prod.example/ns/shop/sa/cart", "shop");
    narrow.services = Some(Arc::clone(&services));
    let identities = [narrow, identity("spiffe://prod.example/*", "rest")];
    let certificate = certificate(vec![dns("cart"), uri("spiffe://prod.example/ns/shop/sa/cart")]);
    let peer = identify(&certificate, &identities).expect("known");
    assert_eq!((peer.tenant.as_str(), peer.services), ("shop", Some(services)));
    assert_eq!(&*peer.san, "spiffe://prod.example/ns/shop/sa/cart");
    assert_eq!(&*peer.key_id, "cert:spiffe://prod.example/ns/shop/sa/cart");
}

#[test]
fn a_key_beside_a_certificate_narrows_its_services() {
    let list =
        |names: &[&str]| -> Option<Arc<[String]>> { Some(names.iter().map(|name| (*name).to_owned()).collect()) };
    let mut identity = identity("cart", "shop");
    identity.services = list(&["cart", "pay"]);
    let mut peer = identify(&certificate(vec![dns("cart")]), &[identity]).expect("known");
    assert_eq!(peer.services_beside(None), list(&["cart", "pay"]));
    assert_eq!(peer.services_beside(list(&["pay", "mail"])), list(&["pay"]));
    assert_eq!(peer.services_beside(list(&["mail"])), list(&[]));
    peer.services = None;
    assert_eq!(peer.services_beside(list(&["mail"])), list(&["mail"]));
    assert_eq!(peer.services_beside(None), None);
}

#[test]
fn two_uris_beside_a_spiffe_id_and_too_many_names_stand_for_nobody() {
    let identities = [identity("spiffe://prod.example/*", "shop"), identity("cart", "dns")];
    let two = vec![uri("spiffe://prod.example/a"), uri("spiffe://prod.example/b")];
    assert_eq!(tenant(two.clone(), &identities), None);
    assert_eq!(tenant([two, vec![dns("cart")]].concat(), &identities).as_deref(), Some("dns"));
    let many = |count| std::iter::repeat_n(dns("cart"), count).collect::<Vec<_>>();
    assert_eq!(tenant(many(MAX_NAMES), &identities).as_deref(), Some("dns"));
    assert_eq!(tenant(many(MAX_NAMES + 1), &identities), None);
}

#[test]
fn a_long_name_is_cut_in_the_key_id_and_a_longer_one_is_no_name() {
    let identities = [identity("spiffe://prod.example/*", "shop")];
    let long = format!("spiffe://prod.example/{}", "x".repeat(1_000));
    let peer = identify(&certificate(vec![uri(&long)]), &identities).expect("known");
    assert_eq!((peer.key_id.len(), &*peer.san), (MAX_KEY_ID_BYTES, long.as_str()));
    let longer = format!("spiffe://prod.example/{}", "x".repeat(MAX_SAN_BYTES));
    assert_eq!(tenant(vec![uri(&longer)], &identities), None);
}

#[test]
fn patterns_that_say_less_than_they_seem_to_are_refused() {
    for text in
        ["", "*", "a*b", "**", "spiffe://*", "spiffe:*", "spiffe:/*", "spiffe://prod*", "10.0.0.*", "10.1", "::1*"]
    {
        assert!(text.parse::<SanPattern>().is_err(), "{text:?} was taken");
    }
    assert_eq!("x".repeat(2_049).parse::<SanPattern>(), Err(IdentityError::Long(2_049)));
    assert_eq!("spiffe://prod/*".parse::<SanPattern>().expect("whole authority").to_string(), "spiffe://prod/*");
}
