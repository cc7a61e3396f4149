//! The calls between services: HTTP, gRPC, SQL, messages and fetches from outside, with their semantic conventions.

use proto::logs::v1::SeverityNumber;
use proto::trace::v1::span::SpanKind;

use super::{Failure, Weave};
use crate::attribute::{int, text};
use crate::service::Service;

/// One in this many thousand internal calls meets a copy that is restarting, and is tried again.
const RETRIED_PER_MILLE: u64 = 6;
/// One in this many thousand statements is reported by the database itself too.
const DATABASE_TRACED_PER_MILLE: u64 = 250;
/// The database writes a line about every statement slower than this.
const SLOW_STATEMENT_NANOS: u64 = 25_000_000;
const TIMEOUT_MICROS: u64 = 900_000;
const BROKER: &str = "rabbitmq.shop.svc.cluster.local";

/// A SQL statement the shop knows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Statement {
    pub(crate) operation: &'static str,
    pub(crate) table: &'static str,
    pub(crate) sql: &'static str,
    pub(crate) median_micros: u64,
}

/// A request to a host outside the shop.
#[derive(Debug, Clone)]
pub(crate) struct Fetch<'a> {
    pub(crate) method: &'static str,
    pub(crate) scheme: &'static str,
    pub(crate) host: &'a str,
    pub(crate) path: String,
    pub(crate) status: u64,
    pub(crate) answer_bytes: u64,
    pub(crate) median_micros: u64,
}

impl Weave {
    /// Opens the trace at the edge; `body` is what the service does.
    pub(crate) fn serve(&mut self, service: Service, name: String, body: impl FnOnce(&mut Self)) {
        self.start(service, SpanKind::Server, name);
        self.status = 200;
        self.work(300);
        body(self);
        self.close_http_server();
    }

    /// A trace that starts inside a service, by the clock.
    pub(crate) fn job(&mut self, service: Service, name: &str, body: impl FnOnce(&mut Self)) {
        self.start(service, SpanKind::Internal, name.to_owned());
        self.work(200);
        body(self);
        self.end();
    }

    /// An HTTP call from the service at work to another; `route` may have `{names}`, `path` has the values.
    pub(crate) fn http(
        &mut self,
        to: Service,
        method: &'static str,
        route: &str,
        path: &str,
        body: impl FnOnce(&mut Self),
    ) {
        if self.failed() {
            return;
        }
        let from = self.service();
        let retried = self.meets_restart();
        if retried {
            self.start(from, SpanKind::Client, method.to_owned());
            self.tag_http_client(to, method, path);
            self.work(1_500);
            self.refuse("connection_refused".to_owned());
            self.end();
            self.log_retry(to);
        }
        self.start(from, SpanKind::Client, method.to_owned());
        self.tag_http_client(to, method, path);
        if retried {
            self.tag(int("http.request.resend_count", 1));
        }
        self.work(180);
        self.start(to, SpanKind::Server, format!("{method} {route}"));
        self.tag(text("http.request.method", method));
        self.tag(text("http.route", route));
        self.tag(text("url.path", path));
        self.tag(text("url.scheme", "http"));
        self.tag(text("network.protocol.version", "1.1"));
        self.status = 200;
        self.work(250);
        body(self);
        self.close_http_server();
        self.work(150);
        self.tag_status();
        if self.status >= 400 {
            let status = self.status.to_string();
            self.refuse(status);
        }
        self.end();
    }

    /// A gRPC call from the service at work to another; `method` is fully qualified.
    pub(crate) fn rpc(&mut self, to: Service, method: &'static str, body: impl FnOnce(&mut Self)) {
        if self.failed() {
            return;
        }
        let from = self.service();
        if self.meets_restart() {
            self.start(from, SpanKind::Client, method.to_owned());
            self.tag_rpc_client(to, method);
            self.work(1_200);
            self.tag(text("rpc.response.status_code", "UNAVAILABLE"));
            self.refuse("UNAVAILABLE".to_owned());
            self.end();
            self.log_retry(to);
        }
        self.start(from, SpanKind::Client, method.to_owned());
        self.tag_rpc_client(to, method);
        self.work(120);
        self.start(to, SpanKind::Server, method.to_owned());
        self.tag(text("rpc.system.name", "grpc"));
        self.tag(text("rpc.method", method));
        self.work(150);
        body(self);
        self.close_rpc();
        self.work(100);
        self.close_rpc();
    }

    /// A SQL statement of the service at work, answered with this many rows.
    pub(crate) fn query(&mut self, statement: &Statement, rows: u64) {
        if self.failed() {
            return;
        }
        let from = self.service();
        let (host, port) = Service::Postgres.host();
        let name = format!("{} {}", statement.operation, statement.table);
        self.start(from, SpanKind::Client, name.clone());
        self.tag_statement(statement);
        self.tag(text("service.peer.name", "postgres"));
        self.tag(text("server.address", host));
        self.tag(int("server.port", port));
        self.work(90);
        if self.leaf_fails() {
            self.now += TIMEOUT_MICROS * 1000;
            self.tag(text("db.response.status_code", "57014"));
            let message = "canceling statement due to statement timeout".to_owned();
            self.fail(Failure { error_type: "57014", exception: "QueryCanceled", message });
            self.end();
            return;
        }
        // a big answer takes its time: about 8 microseconds for each row
        let median_micros = statement.median_micros + rows * 8;
        if self.database_traced || self.dice.per_mille(DATABASE_TRACED_PER_MILLE) {
            self.start(Service::Postgres, SpanKind::Server, name);
            self.tag_statement(statement);
            self.tag_rows(statement, rows);
            self.execute(statement, median_micros);
            self.end();
        } else {
            self.execute(statement, median_micros);
        }
        self.tag_rows(statement, rows);
        self.work(60);
        self.end();
    }

    fn execute(&mut self, statement: &Statement, median_micros: u64) {
        let before = self.now;
        self.work(median_micros);
        let took = self.now - before;
        if took > SLOW_STATEMENT_NANOS {
            let body = format!(
                "duration: {}.{:03} ms  execute <unnamed>: {}",
                took / 1_000_000,
                took / 1000 % 1000,
                statement.sql
            );
            let attributes = vec![
                text("db.namespace", "shop"),
                text("db.query.text", statement.sql),
                text("postgresql.backend_type", "client backend"),
            ];
            self.log_as(Service::Postgres, SeverityNumber::Info, "postgresql.slow_statement", body, attributes);
        }
    }

    /// A request to a host outside the shop. A failure of the other side is only an answer; a timeout is a failure.
    pub(crate) fn fetch(&mut self, fetch: &Fetch<'_>) {
        if self.failed() {
            return;
        }
        let from = self.service();
        self.start(from, SpanKind::Client, fetch.method.to_owned());
        self.tag(text("http.request.method", fetch.method));
        self.tag(text("url.full", format!("{}://{}{}", fetch.scheme, fetch.host, fetch.path)));
        self.tag(text("server.address", fetch.host));
        self.tag(int("server.port", if fetch.scheme == "https" { 443 } else { 80 }));
        if self.leaf_fails() {
            self.now += TIMEOUT_MICROS * 1000;
            let message = format!("no answer from {} within 900 ms", fetch.host);
            self.fail(Failure { error_type: "timeout", exception: "TimeoutError", message });
            self.end();
            return;
        }
        self.work(fetch.median_micros);
        self.tag(int("http.response.status_code", fetch.status));
        self.tag(int("http.response.body.size", fetch.answer_bytes));
        self.tag(text("network.protocol.version", if fetch.scheme == "https" { "2" } else { "1.1" }));
        if fetch.status >= 400 {
            self.refuse(fetch.status.to_string());
        }
        self.end();
    }

    /// Sends a message and answers the sender's span id, which the consumer follows.
    pub(crate) fn send(&mut self, queue: &str) -> Vec<u8> {
        if self.failed() {
            return Vec::new();
        }
        let from = self.service();
        self.start(from, SpanKind::Producer, format!("send {queue}"));
        let sender = self.open.last().map(|index| self.woven.spans[*index].1.span_id.clone()).unwrap_or_default();
        self.tag_message(queue, "send", &sender);
        self.work(400);
        self.end();
        sender
    }

    /// Handles a message some time after it was sent; `sender` is what [`Weave::send`] answered.
    pub(crate) fn consume(&mut self, service: Service, queue: &str, sender: &[u8], body: impl FnOnce(&mut Self)) {
        if self.failed() || sender.is_empty() {
            return;
        }
        self.work(9_000);
        self.start(service, SpanKind::Consumer, format!("process {queue}"));
        self.follow(sender);
        self.tag_message(queue, "process", sender);
        body(self);
        self.end();
    }

    fn meets_restart(&mut self) -> bool {
        self.retries_allowed && self.dice.per_mille(RETRIED_PER_MILLE)
    }

    fn log_retry(&mut self, to: Service) {
        self.now += self.dice.between(20, 60) * 1_000_000;
        let body = format!("call to {} refused, trying again", to.name());
        self.log(
            SeverityNumber::Warn,
            "client.retry",
            body,
            vec![text("service.peer.name", to.name()), int("http.request.resend_count", 1)],
        );
    }

    /// A failure below becomes status 500 here.
    fn close_http_server(&mut self) {
        if self.failed() {
            self.status = 500;
        }
        self.tag_status();
        if self.status >= 500 {
            self.refuse(self.status.to_string());
        }
        self.end();
    }

    fn close_rpc(&mut self) {
        let status = if self.failed() { "INTERNAL" } else { "OK" };
        self.tag(text("rpc.response.status_code", status));
        if self.failed() {
            self.tag(text("error.type", status));
        }
        self.end();
    }

    fn tag_http_client(&mut self, to: Service, method: &str, path: &str) {
        let (host, port) = to.host();
        self.tag(text("http.request.method", method));
        self.tag(text("url.full", format!("http://{host}:{port}{path}")));
        self.tag(text("server.address", host));
        self.tag(int("server.port", port));
        self.tag(text("service.peer.name", to.name()));
    }

    fn tag_rpc_client(&mut self, to: Service, method: &str) {
        let (host, port) = to.host();
        self.tag(text("rpc.system.name", "grpc"));
        self.tag(text("rpc.method", method));
        self.tag(text("server.address", host));
        self.tag(int("server.port", port));
        self.tag(text("service.peer.name", to.name()));
    }

    fn tag_statement(&mut self, statement: &Statement) {
        self.tag(text("db.system.name", "postgresql"));
        self.tag(text("db.namespace", "shop"));
        self.tag(text("db.operation.name", statement.operation));
        self.tag(text("db.collection.name", statement.table));
        self.tag(text("db.query.text", statement.sql));
    }

    /// Only a statement that reads returns rows.
    fn tag_rows(&mut self, statement: &Statement, rows: u64) {
        if statement.operation == "SELECT" {
            self.tag(int("db.response.returned_rows", rows));
        }
    }

    /// The message is named after the span that sent it, so both ends agree.
    fn tag_message(&mut self, queue: &str, operation: &str, sender: &[u8]) {
        let message_id = sender.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        self.tag(text("messaging.system", "rabbitmq"));
        self.tag(text("messaging.destination.name", queue));
        self.tag(text("messaging.operation.type", operation));
        self.tag(text("messaging.operation.name", if operation == "send" { "publish" } else { "deliver" }));
        self.tag(text("messaging.message.id", message_id));
        self.tag(text("server.address", BROKER));
        self.tag(int("server.port", 5672));
    }
}
