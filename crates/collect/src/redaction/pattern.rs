//! Secrets that are known by how they look, wherever they stand in a text.
//!
//! Every pattern names its *needles*: any text in which it finds something holds at least one of them (with regard to
//! ASCII case as stated). The [`super::prefilter`] rests on that.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::card;
use super::prefilter::Needle;

/// What a pattern recognises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// Private keys in PEM.
    PrivateKey,
    /// JSON Web Tokens, signed or encrypted.
    Jwt,
    /// What follows `Bearer`.
    Bearer,
    /// Keys of well-known services, and our own.
    ApiKey,
    /// The password in `scheme://user:password@host` and `user:password@tcp(host)`.
    UrlPassword,
    /// The value behind a telling name: `password=…`, `"secret": "…"`, `?token=…`, header lines of credentials.
    SecretPair,
    /// Payment card numbers.
    Card,
    /// E-mail addresses.
    Email,
}

/// A part of a text that a pattern found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// What is to be replaced.
    pub secret: Range<usize>,
    /// The whole credential, when the pattern knows it to be one.
    pub credential: bool,
}

impl Pattern {
    /// Every pattern in the order in which they are applied: the more telling first.
    pub const ALL: [Self; 8] = [
        Self::PrivateKey,
        Self::Jwt,
        Self::Bearer,
        Self::ApiKey,
        Self::UrlPassword,
        Self::SecretPair,
        Self::Card,
        Self::Email,
    ];

    /// As settings and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKey => "private_key",
            Self::Jwt => "jwt",
            Self::Bearer => "bearer",
            Self::ApiKey => "api_key",
            Self::UrlPassword => "url_password",
            Self::SecretPair => "secret_pair",
            Self::Card => "card",
            Self::Email => "email",
        }
    }

    /// What any text it finds something in must hold one of. Cards are found by their digits instead.
    pub const fn needles(self) -> &'static [Needle] {
        match self {
            Self::PrivateKey => &[Needle::Exact("PRIVATE KEY")],
            Self::Jwt => &[Needle::Exact("eyJ")],
            Self::Bearer => &[Needle::AnyCase("bearer")],
            Self::ApiKey => API_KEY_NEEDLES,
            Self::UrlPassword => &[Needle::Exact("@tcp("), Needle::Exact("@unix("), Needle::UrlAt],
            Self::SecretPair => SECRET_PAIR_NEEDLES,
            Self::Card => &[Needle::Digits],
            Self::Email => &[Needle::At],
        }
    }

    /// Where it finds something, in order and without overlaps.
    pub fn find(self, text: &str) -> Vec<Found> {
        let plain = |secret| Found { secret, credential: false };
        let matches = |regex: &Regex| regex.find_iter(text).map(|found| plain(found.range())).collect();
        match self {
            Self::PrivateKey => matches(&PRIVATE_KEY),
            Self::ApiKey => matches(&API_KEY),
            Self::Email => matches(&EMAIL),
            Self::Card => card::find(text).into_iter().map(plain).collect(),
            Self::Jwt => JWT.find_iter(text).map(|found| Found { secret: found.range(), credential: true }).collect(),
            Self::Bearer => captured(&BEARER, text).filter(|found| is_token(&text[found.secret.clone()])).collect(),
            Self::UrlPassword => captured(&URL_PASSWORD, text).map(|found| plain(found.secret)).collect(),
            Self::SecretPair => {
                let pairs = captured(&SECRET_PAIR, text).map(|found| plain(found.secret));
                pairs.filter(|found| !is_placeholder(&text[found.secret.clone()])).collect()
            }
        }
    }
}

/// What holds a JSON Web Token.
pub(super) fn first_jwt(text: &str) -> Option<&str> {
    JWT.find(text).map(|found| found.as_str())
}

/// The first group of each match that takes part in it.
fn captured<'r>(regex: &'r Regex, text: &'r str) -> impl Iterator<Item = Found> + 'r {
    let first = |captures: Captures<'_>| captures.iter().skip(1).flatten().map(|group| group.range()).next();
    regex.captures_iter(text).filter_map(first).map(|secret| Found { secret, credential: true })
}

/// Tells a token from a word of prose such as in `bearer authentication`.
fn is_token(text: &str) -> bool {
    text.len() >= 20 || text.bytes().any(|byte| byte.is_ascii_digit()) || text.bytes().any(|b| b.is_ascii_uppercase())
}

/// Tells a value from what stands for one in queries and templates, and from what was masked before.
fn is_placeholder(text: &str) -> bool {
    PLACEHOLDER.is_match(text)
}

const API_KEY_NEEDLES: &[Needle] = &[
    Needle::Exact("AKIA"),
    Needle::Exact("ASIA"),
    Needle::Exact("ghp_"),
    Needle::Exact("gho_"),
    Needle::Exact("ghu_"),
    Needle::Exact("ghs_"),
    Needle::Exact("ghr_"),
    Needle::Exact("github_pat_"),
    Needle::Exact("glpat-"),
    Needle::Exact("xox"),
    Needle::Exact("AIza"),
    Needle::Exact("k_live_"),
    Needle::Exact("k_test_"),
    Needle::Exact("sk-ant-"),
    Needle::Exact("sk-proj-"),
    Needle::OwnKey,
];

const SECRET_PAIR_NEEDLES: &[Needle] = &[
    Needle::AnyCase("passw"),
    Needle::AnyCase("passphrase"),
    Needle::AnyCase("pwd"),
    Needle::AnyCase("secret"),
    Needle::AnyCase("token"),
    Needle::AnyCase("apikey"),
    Needle::AnyCase("api_key"),
    Needle::AnyCase("api-key"),
    Needle::AnyCase("api.key"),
    Needle::AnyCase("private"),
    Needle::AnyCase("authorization"),
    Needle::AnyCase("cookie"),
];

/// A value in quotes, in escaped quotes, or up to what ends one: five ways, of which one takes part in a match.
macro_rules! value_after {
    ($sign:literal) => {
        concat!(
            r#"(?:\\?["'])?[ \t]*(?:"#,
            $sign,
            r#")[ \t]*(?:\\"([^"\\]+)|"((?:[^"\\]|\\.)+)|'((?:[^'\\]|\\.)+)|([^ \t\r\n"'&;,<>\\]+))"#
        )
    };
}

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the pattern is part of the program and compiled in its tests")
}

static PRIVATE_KEY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\z)",
    )
});

static JWT: LazyLock<Regex> =
    LazyLock::new(|| compiled(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){1,3}"));

static BEARER: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?i-u:\bbearer[ \t]+)([A-Za-z0-9._~+/=-]{8,})"));

static API_KEY: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        r"(?-u:\b)(?:A[KS]IA[A-Z0-9]{16}",
        r"|gh[pousr]_[A-Za-z0-9]{30,255}",
        r"|github_pat_[A-Za-z0-9_]{22,255}",
        r"|glpat-[A-Za-z0-9_-]{20,255}",
        r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}",
        r"|AIza[A-Za-z0-9_-]{35}",
        r"|[sr]k_(?:live|test)_[A-Za-z0-9]{16,255}",
        r"|sk-(?:ant|proj)-[A-Za-z0-9_-]{20,255}",
        r"|th_[0-9a-f]{16}_[0-9a-f]{64})",
    ))
});

static URL_PASSWORD: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        r#"://[^ \t\r\n\x0b\x0c/?\#:@"'<>]*:([^ \t\r\n\x0b\x0c/"'<>]+)@"#,
        r#"|[A-Za-z0-9_.-]+:([^ \t\r\n\x0b\x0c/@"'<>]+)@(?:tcp|unix)\("#,
    ))
});

static SECRET_PAIR: LazyLock<Regex> = LazyLock::new(|| {
    compiled(concat!(
        // header lines: everything up to the end of the line or the quote
        r#"(?i-u:\b(?:set-)?cookie\\?["']?[ \t]*[:=][ \t]*\\?["']?)([^\r\n"'\\]+)"#,
        r#"|(?i-u:\bauthorization\\?["']?[ \t]*[:=][ \t]*\\?["']?(?:(?:bearer|basic|digest|negotiate|token|apikey)[ \t]+)?)([^ \t\r\n"'\\,;&]+)"#,
        // names that are secrets whatever follows them
        r"|(?i-u:(?:passw(?:or)?d|passphrase|pwd|secret(?:[_.-]?(?:access[_.-]?)?key)?|api[_.-]?key|private[_.-]?key",
        r"|(?:access|refresh|id|auth|session|security)[_.-]?token))",
        value_after!("=|:|%3D"),
        // a plain token is one only as a parameter: prose writes `token: expired`
        r"|(?i-u:token)",
        value_after!("=|%3D"),
    ))
});

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,24}(?-u:\b)",
    )
});

static PLACEHOLDER: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?i)^(?:\?|\$[0-9]+|\$?\{.*\}?|:[a-z_][a-z0-9_]*|%s|%\([a-z0-9_]+\)s|@[a-z0-9_]+|\*+|null|nil|none|true|false|\[.*|<.*)$",
    )
});

#[cfg(test)]
mod tests;
