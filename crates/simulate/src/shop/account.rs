//! Logging in and out, and everything about one's own account.

use proto::logs::v1::SeverityNumber;

use super::{Ask, enter, introspect};
use crate::attribute::text;
use crate::people::Visitor;
use crate::service::Service;
use crate::weave::{Fetch, Statement, Weave};

/// The route that takes a user name and a password.
pub(super) const LOGIN_ROUTE: &str = "/login";

/// What a visitor presents at login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    Right,
    WrongPassword,
}

const CREDENTIALS_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "users",
    sql: "SELECT id, password_hash, locked_until FROM users WHERE login = $1",
    median_micros: 900,
};
const SESSION_INSERT: Statement = Statement {
    operation: "INSERT",
    table: "sessions",
    sql: "INSERT INTO sessions (token_hash, user_id, roles, expires_at) VALUES ($1, $2, $3, $4)",
    median_micros: 1_300,
};
const SESSION_DELETE: Statement = Statement {
    operation: "DELETE",
    table: "sessions",
    sql: "DELETE FROM sessions WHERE token_hash = $1",
    median_micros: 1_100,
};
const PROFILE_SELECT: Statement = Statement {
    operation: "SELECT",
    table: "users",
    sql: "SELECT id, email, display_name, addresses FROM users WHERE id = $1",
    median_micros: 900,
};
const RESET_INSERT: Statement = Statement {
    operation: "INSERT",
    table: "password_resets",
    sql: "INSERT INTO password_resets (token_hash, user_id, expires_at) VALUES ($1, $2, $3)",
    median_micros: 1_300,
};

/// `POST /login`: gateway, auth, user, postgres. A refusal is a 401 at the gateway and a warning from auth.
pub(crate) fn log_in(w: &mut Weave, visitor: &Visitor, credentials: Credentials) {
    let ask = Ask {
        method: "POST",
        route: LOGIN_ROUTE,
        path: "/login".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 420,
    };
    enter(w, ask, |w| {
        w.tag(text("auth.method", "password"));
        w.http(Service::Auth, "POST", "/v1/authenticate", "/v1/authenticate", |w| {
            authenticate(w, visitor, credentials)
        });
        if w.failed() {
            return;
        }
        let right = credentials == Credentials::Right;
        w.tag(text("auth.outcome", if right { "success" } else { "failure" }));
        if let Some(session_id) = visitor.session_id.as_ref().filter(|_| right) {
            w.tag(text("session.id", session_id.clone()));
        }
    });
}

fn authenticate(w: &mut Weave, visitor: &Visitor, credentials: Credentials) {
    let user_id = visitor.user_id.clone().unwrap_or_default();
    w.tag(text("user.id", user_id.clone()));
    w.rpc(Service::User, "shop.user.v1.Users/GetCredentials", |w| w.query(&CREDENTIALS_SELECT, 1));
    w.step("verify password", 42_000, |_| {});
    if credentials == Credentials::Right {
        w.query(&SESSION_INSERT, 1);
    }
    if w.failed() {
        return;
    }
    let mut attributes = vec![
        text("user.id", user_id.clone()),
        text("client.address", visitor.address.clone()),
        text("user_agent.original", visitor.agent),
        text("auth.method", "password"),
    ];
    if credentials == Credentials::Right {
        attributes.push(text("auth.outcome", "success"));
        w.log(
            SeverityNumber::Info,
            "auth.login.success",
            format!("user {user_id} logged in from {}", visitor.address),
            attributes,
        );
    } else {
        attributes.push(text("auth.outcome", "failure"));
        attributes.push(text("auth.failure.reason", "wrong_password"));
        w.answer(401);
        w.log(
            SeverityNumber::Warn,
            "auth.login.failure",
            format!("login failed for user {user_id} from {}: wrong password", visitor.address),
            attributes,
        );
    }
}

/// `POST /logout`.
pub(super) fn log_out(w: &mut Weave, visitor: &Visitor) {
    let ask = Ask {
        method: "POST",
        route: "/logout",
        path: "/logout".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 60,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.rpc(Service::Auth, "shop.auth.v1.Sessions/Revoke", |w| w.query(&SESSION_DELETE, 1));
    });
}

/// `GET /account`: the profile page.
pub(crate) fn open_account(w: &mut Weave, visitor: &Visitor) {
    let ask = Ask {
        method: "GET",
        route: "/account",
        path: "/account".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 2_300,
    };
    enter(w, ask, |w| {
        introspect(w, visitor);
        w.http(Service::User, "GET", "/v1/profile", "/v1/profile", |w| {
            w.query(&PROFILE_SELECT, 1);
            w.step("render profile", 900, |_| {});
        });
    });
}

/// `POST /password-reset`: the answer is at once, the mail follows.
pub(super) fn reset_password(w: &mut Weave, visitor: &Visitor) {
    let ask = Ask {
        method: "POST",
        route: "/password-reset",
        path: "/password-reset".to_owned(),
        query: String::new(),
        visitor,
        answer_bytes: 80,
    };
    let mut sender = Vec::new();
    enter(w, ask, |w| {
        w.http(Service::Auth, "POST", "/v1/password-resets", "/v1/password-resets", |w| {
            w.rpc(Service::User, "shop.user.v1.Users/GetProfile", |w| w.query(&PROFILE_SELECT, 1));
            w.query(&RESET_INSERT, 1);
            sender = w.send("password-reset");
            w.answer(202);
        });
    });
    deliver_mail(w, "password-reset", &sender);
}

/// The email service takes a message from its queue, writes the mail and hands it to the relay.
pub(super) fn deliver_mail(w: &mut Weave, queue: &str, sender: &[u8]) {
    w.consume(Service::Email, queue, sender, |w| {
        w.step("render template", 3_500, |_| {});
        let relay = Fetch {
            method: "POST",
            scheme: "https",
            host: "mail-relay.example",
            path: "/v3/send".to_owned(),
            status: 202,
            answer_bytes: 140,
            median_micros: 85_000,
        };
        w.fetch(&relay);
        if !w.failed() {
            let attributes = vec![text("messaging.destination.name", queue)];
            w.log(SeverityNumber::Info, "email.sent", format!("mail of kind {queue} handed to the relay"), attributes);
        }
    });
}
