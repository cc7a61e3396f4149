//! The signature, against the vector of the Standard Webhooks specification, and the handling of secrets.

use super::*;

#[test]
fn the_signature_is_the_one_of_the_specification() {
    let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
    let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
    assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_secret_is_base64_behind_its_prefix_and_plain_text_otherwise() {
    assert_eq!(SigningSecret::parse("whsec_aGVsbG8=\n").unwrap().0, b"hello");
    assert_eq!(SigningSecret::parse("whsec_aGVsbG8").unwrap().0, b"hello");
    assert_eq!(SigningSecret::parse(" plain text\r\n").unwrap().0, b"plain text");
    for bad in ["", " \n", "whsec_", "whsec_***"] {
        assert!(matches!(SigningSecret::parse(bad), Err(AlertsError::Secret)), "{bad:?}");
    }
    let made = SigningSecret::generate(Random);
    assert_eq!(SigningSecret::parse(&made.expose()).unwrap(), made);
}

#[test]
fn neither_secret_nor_url_shows_in_debug_text() {
    let secret = SigningSecret::parse("hush-hush").unwrap();
    let target = crate::Target::webhook(0, "https://hooks.example/T1/hush-hush?k=hush-hush".parse().unwrap(), secret);
    assert_eq!(target.name, "hooks.example-0");
    assert!(!format!("{target:?}").contains("hush"), "{target:?}");
}
