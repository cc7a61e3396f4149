//! What names of exceptions, codes of databases and well-known log lines say about an authentication.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::Outcome::{self, Denied, Failure, Success};

/// Bytes of a text that are searched: the lines that matter say it at their beginning.
const SEARCHED_BYTES: usize = 4_096;

/// Exception types by the last part of their name.
const EXCEPTIONS: &[(&str, Outcome)] = &[
    // Spring Security
    ("BadCredentialsException", Failure),
    ("UsernameNotFoundException", Failure),
    ("AccountExpiredException", Failure),
    ("CredentialsExpiredException", Failure),
    ("DisabledException", Failure),
    ("LockedException", Failure),
    ("AuthenticationCredentialsNotFoundException", Failure),
    ("InsufficientAuthenticationException", Failure),
    ("InvalidBearerTokenException", Failure),
    ("OAuth2AuthenticationException", Failure),
    ("AuthenticationException", Failure),
    ("AccessDeniedException", Denied),
    ("AuthorizationDeniedException", Denied),
    ("InvalidCsrfTokenException", Denied),
    // Apache Shiro
    ("IncorrectCredentialsException", Failure),
    ("UnknownAccountException", Failure),
    ("LockedAccountException", Failure),
    ("DisabledAccountException", Failure),
    ("ExcessiveAttemptsException", Failure),
    ("ExpiredCredentialsException", Failure),
    ("UnauthenticatedException", Failure),
    ("UnauthorizedException", Denied),
    // JSON web tokens: jjwt, auth0, PyJWT, node jsonwebtoken, .NET
    ("ExpiredJwtException", Failure),
    ("MalformedJwtException", Failure),
    ("SignatureVerificationException", Failure),
    ("JWTVerificationException", Failure),
    ("TokenExpiredException", Failure),
    ("InvalidTokenError", Failure),
    ("ExpiredSignatureError", Failure),
    ("InvalidSignatureError", Failure),
    ("JsonWebTokenError", Failure),
    ("TokenExpiredError", Failure),
    ("SecurityTokenExpiredException", Failure),
    ("SecurityTokenInvalidSignatureException", Failure),
    // Python and its frameworks
    ("AuthenticationFailed", Failure),
    ("NotAuthenticated", Failure),
    ("PermissionDenied", Denied),
    // Node, Go and .NET
    ("UnauthorizedError", Failure),
    ("ForbiddenError", Denied),
    ("UnauthorizedAccessException", Denied),
    // Java platform, LDAP and Kerberos
    ("FailedLoginException", Failure),
    ("LoginException", Failure),
    ("AccessControlException", Denied),
    // database drivers
    ("SQLInvalidAuthorizationSpecException", Failure),
    ("InvalidPassword", Failure),
    ("InvalidAuthorizationSpecification", Failure),
    ("InsufficientPrivilege", Denied),
    ("MongoSecurityException", Failure),
];

/// Error codes by which databases refuse, as `db.response.status_code` or `error.type`.
const DATABASE_CODES: &[(&str, Outcome)] = &[
    // PostgreSQL SQLSTATE: class 28 and insufficient_privilege
    ("28P01", Failure),
    ("28000", Failure),
    ("42501", Denied),
    // MySQL and MariaDB
    ("1045", Failure),
    ("1698", Failure),
    ("1044", Denied),
    ("1142", Denied),
    ("1143", Denied),
    ("1227", Denied),
    // Microsoft SQL Server
    ("18456", Failure),
    ("229", Denied),
    // Oracle
    ("ORA-01017", Failure),
    ("ORA-28000", Failure),
    ("ORA-01031", Denied),
    // Redis and Valkey
    ("WRONGPASS", Failure),
    ("NOAUTH", Failure),
    ("NOPERM", Denied),
    // MongoDB
    ("AuthenticationFailed", Failure),
    ("Unauthorized", Denied),
];

/// Parts of well-known log lines. Where one is part of another, the longer comes first.
const TEXTS: &[(&str, Outcome)] = &[
    // OpenSSH
    ("Failed password for", Failure),
    ("Failed publickey for", Failure),
    ("Failed keyboard-interactive/pam for", Failure),
    ("maximum authentication attempts exceeded", Failure),
    ("Connection closed by authenticating user", Failure),
    ("Accepted password for", Success),
    ("Accepted publickey for", Success),
    ("Accepted keyboard-interactive/pam for", Success),
    // PAM
    ("authentication failure; logname=", Failure),
    // Spring Security
    ("AuthenticationFailureBadCredentialsEvent", Failure),
    ("AuthorizationDeniedEvent", Denied),
    ("AuthenticationSuccessEvent", Success),
    ("Failed to authenticate since ", Failure),
    ("Failed to process authentication request", Failure),
    ("Authentication request failed: ", Failure),
    ("BadCredentialsException", Failure),
    ("AuthorizationDeniedException", Denied),
    ("AccessDeniedException", Denied),
    // Apache Shiro
    ("IncorrectCredentialsException", Failure),
    ("UnknownAccountException", Failure),
    ("LockedAccountException", Failure),
    ("ExcessiveAttemptsException", Failure),
    ("Authentication failed for token submission", Failure),
    ("Subject does not have permission", Denied),
    ("Subject does not have role", Denied),
    // Keycloak, with and without quotes
    ("type=\"LOGIN_ERROR\"", Failure),
    ("type=LOGIN_ERROR", Failure),
    ("type=\"REFRESH_TOKEN_ERROR\"", Failure),
    ("type=REFRESH_TOKEN_ERROR", Failure),
    ("type=\"CODE_TO_TOKEN_ERROR\"", Failure),
    ("type=CODE_TO_TOKEN_ERROR", Failure),
    ("type=\"CLIENT_LOGIN_ERROR\"", Failure),
    ("type=CLIENT_LOGIN_ERROR", Failure),
    ("type=\"PERMISSION_TOKEN_ERROR\"", Denied),
    ("type=PERMISSION_TOKEN_ERROR", Denied),
    ("type=\"LOGIN\"", Success),
    ("type=LOGIN,", Success),
    // nginx
    ("password mismatch, client: ", Failure),
    ("no user/password was provided for basic authentication", Failure),
    ("access forbidden by rule", Denied),
    // Envoy
    ("jwt_authn_access_denied", Failure),
    ("Jwt verification fails", Failure),
    ("Jwt is expired", Failure),
    ("Jwt is missing", Failure),
    ("ext_authz_denied", Denied),
    ("rbac_access_denied", Denied),
    ("RBAC: access denied", Denied),
    // PostgreSQL
    ("password authentication failed for user", Failure),
    ("no pg_hba.conf entry for host", Failure),
    ("authentication failed for user", Failure),
    ("permission denied for table", Denied),
    ("permission denied for schema", Denied),
    ("permission denied for database", Denied),
    ("permission denied for function", Denied),
    ("connection authorized: user=", Success),
    // MySQL and MariaDB
    ("Access denied for user", Failure),
    // access logs of nginx, Apache and Envoy: the status follows the quoted request line
    ("HTTP/1.0\" 401 ", Failure),
    ("HTTP/1.1\" 401 ", Failure),
    ("HTTP/2\" 401 ", Failure),
    ("HTTP/2.0\" 401 ", Failure),
    ("HTTP/3\" 401 ", Failure),
    ("HTTP/3.0\" 401 ", Failure),
    ("HTTP/1.0\" 403 ", Denied),
    ("HTTP/1.1\" 403 ", Denied),
    ("HTTP/2\" 403 ", Denied),
    ("HTTP/2.0\" 403 ", Denied),
    ("HTTP/3\" 403 ", Denied),
    ("HTTP/3.0\" 403 ", Denied),
    // the same as JSON, as Envoy's format writes it
    ("\"response_code\":401", Failure),
    ("\"response_code\":403", Denied),
];

static TEXT_SEARCH: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let literals = TEXTS.iter().map(|(literal, _)| literal);
    AhoCorasick::builder()
        .match_kind(MatchKind::LeftmostFirst)
        .build(literals)
        .expect("a hundred short literals make a small automaton")
});

/// What a log line or message says.
pub(super) fn outcome_of_text(text: &str) -> Option<Outcome> {
    if text.is_empty() {
        return None;
    }
    let searched = &text.as_bytes()[..text.len().min(SEARCHED_BYTES)];
    TEXT_SEARCH.find(searched).map(|found| TEXTS[found.pattern().as_usize()].1)
}

/// What an exception's type says, whatever package it is in.
pub(super) fn outcome_of_exception(name: &str) -> Option<Outcome> {
    let last = name.rsplit(['.', ':', '$', '\\', '/']).next().unwrap_or(name);
    EXCEPTIONS.iter().find(|(known, _)| *known == last).map(|(_, outcome)| *outcome)
}

/// What a database's error code says.
pub(super) fn outcome_of_database(code: &str) -> Option<Outcome> {
    DATABASE_CODES.iter().find(|(known, _)| *known == code).map(|(_, outcome)| *outcome)
}
