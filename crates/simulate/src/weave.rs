//! Weaves one trace: nested calls between services become spans, their log lines are tied to the innermost open span.
//!
//! Time is a cursor in nanoseconds that every call and every piece of work moves forward. When a leaf call (a database
//! statement or a fetch from outside) fails, the failure travels up by itself: every later step is skipped and every
//! open span closes as an error.

use proto::common::v1::KeyValue;
use proto::logs::v1::{LogRecord, SeverityNumber};
use proto::trace::v1::{
    Span, Status,
    span::{Event, Link, SpanKind},
    status::StatusCode,
};

use crate::attribute::{any, int, text};
use crate::dice::Dice;
use crate::service::{Instance, Service};

mod call;

pub(crate) use call::{Fetch, Statement};

/// Sampled, and whether the parent is known and remote (OTLP span flags).
const FLAGS_LOCAL: u32 = 0x101;
const FLAGS_REMOTE: u32 = 0x301;
/// Longest line of descent; a deeper call would be a fault of the script.
const MAX_DEPTH: usize = 32;

/// A finished trace.
#[derive(Debug, Default)]
pub(crate) struct Woven {
    pub(crate) trace_id: Vec<u8>,
    pub(crate) spans: Vec<(Instance, Span)>,
    pub(crate) logs: Vec<(Instance, LogRecord)>,
    /// When the last span ended.
    pub(crate) end_unix_nanos: u64,
}

/// Why a leaf call failed.
#[derive(Debug, Clone)]
struct Failure {
    error_type: &'static str,
    exception: &'static str,
    message: String,
}

/// A trace being woven.
pub(crate) struct Weave {
    pub(crate) dice: Dice,
    now: u64,
    /// Indexes of the open spans, outermost first.
    open: Vec<usize>,
    woven: Woven,
    /// Chooses the copies of the services this trace meets.
    replicas: u64,
    /// How many more leaf calls succeed; none means all.
    faultless_leaves: Option<u64>,
    failure: Option<Failure>,
    /// Status of the last HTTP answer.
    status: u64,
    /// The database reports its own span for every statement of this trace, not only for one in four.
    database_traced: bool,
    retries_allowed: bool,
}

impl Weave {
    pub(crate) fn new(mut dice: Dice, start_unix_nanos: u64) -> Self {
        let mut trace_id = dice.bits().to_be_bytes().to_vec();
        trace_id.extend_from_slice(&(dice.bits() | 1).to_be_bytes());
        let replicas = dice.bits();
        let faultless_leaves = dice.per_mille(5).then(|| dice.below(4));
        Self {
            dice,
            now: start_unix_nanos,
            open: Vec::new(),
            woven: Woven { trace_id, ..Woven::default() },
            replicas,
            faultless_leaves,
            failure: None,
            status: 200,
            database_traced: false,
            retries_allowed: true,
        }
    }

    /// The same trace without chance: no faults, no retries, every database statement traced. For scripted stories.
    pub(crate) fn scripted(dice: Dice, start_unix_nanos: u64) -> Self {
        let chance = Self::new(dice, start_unix_nanos);
        Self { faultless_leaves: None, database_traced: true, retries_allowed: false, ..chance }
    }

    pub(crate) fn finish(self) -> Woven {
        debug_assert!(self.open.is_empty(), "every opened span is closed");
        self.woven
    }

    pub(crate) fn now(&self) -> u64 {
        self.now
    }

    /// Moves the cursor, for work that runs side by side.
    pub(crate) fn resume_at(&mut self, unix_nanos: u64) {
        self.now = unix_nanos;
    }

    pub(crate) fn span_count(&self) -> usize {
        self.woven.spans.len()
    }

    pub(crate) fn failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Status of the last HTTP answer.
    pub(crate) fn status(&self) -> u64 {
        self.status
    }

    /// The service at work answers with this status.
    pub(crate) fn answer(&mut self, status: u64) {
        self.status = status;
    }

    /// True when the trace may go on as hoped: nothing failed and the last answer was no refusal.
    pub(crate) fn went_well(&self) -> bool {
        !self.failed() && self.status < 400
    }

    /// Works for a log-normal while around this median.
    pub(crate) fn work(&mut self, median_micros: u64) {
        self.now += self.dice.log_normal(median_micros * 1000, 460);
    }

    /// Adds an attribute to the innermost open span.
    pub(crate) fn tag(&mut self, attribute: KeyValue) {
        if let Some(index) = self.open.last() {
            self.woven.spans[*index].1.attributes.push(attribute);
        }
    }

    /// A step inside the service at work.
    pub(crate) fn step(&mut self, name: &str, median_micros: u64, body: impl FnOnce(&mut Self)) {
        if self.failed() {
            return;
        }
        let service = self.service();
        self.start(service, SpanKind::Internal, name.to_owned());
        self.work(median_micros);
        body(self);
        self.end();
    }

    /// A log line of the service at work, tied to the innermost open span.
    pub(crate) fn log(&mut self, severity: SeverityNumber, event: &str, body: String, attributes: Vec<KeyValue>) {
        let service = self.service();
        self.log_as(service, severity, event, body, attributes);
    }

    fn log_as(
        &mut self,
        service: Service,
        severity: SeverityNumber,
        event: &str,
        body: String,
        attributes: Vec<KeyValue>,
    ) {
        let span_id = self.open.last().map(|index| self.woven.spans[*index].1.span_id.clone()).unwrap_or_default();
        // the collector of the log lines looks a little later
        let observed = self.now + self.dice.between(200_000, 4_000_000);
        let record = LogRecord {
            time_unix_nano: self.now,
            observed_time_unix_nano: observed,
            severity_number: severity as i32,
            severity_text: severity_text(severity).to_owned(),
            body: Some(any(body)),
            attributes,
            flags: 1,
            trace_id: self.woven.trace_id.clone(),
            span_id,
            event_name: event.to_owned(),
            ..LogRecord::default()
        };
        let instance = self.instance(service);
        self.woven.logs.push((instance, record));
    }

    fn service(&self) -> Service {
        self.open.last().map_or(Service::Gateway, |index| self.woven.spans[*index].0.service)
    }

    fn instance(&self, service: Service) -> Instance {
        service.instance(self.replicas >> (4 * service as u64), self.now)
    }

    /// Opens a span below the innermost open one.
    fn start(&mut self, service: Service, kind: SpanKind, name: String) {
        assert!(self.open.len() < MAX_DEPTH, "a trace deeper than {MAX_DEPTH} spans");
        let parent = self.open.last().map(|index| &self.woven.spans[*index].1);
        let remote = matches!(kind, SpanKind::Server | SpanKind::Consumer) && parent.is_some();
        let span = Span {
            trace_id: self.woven.trace_id.clone(),
            span_id: (self.dice.bits() | 1).to_be_bytes().to_vec(),
            parent_span_id: parent.map(|parent| parent.span_id.clone()).unwrap_or_default(),
            flags: if remote { FLAGS_REMOTE } else { FLAGS_LOCAL },
            name,
            kind: kind as i32,
            start_time_unix_nano: self.now,
            attributes: Vec::with_capacity(16),
            ..Span::default()
        };
        let instance = self.instance(service);
        self.open.push(self.woven.spans.len());
        self.woven.spans.push((instance, span));
    }

    /// Closes the innermost open span, as an error while a failure travels up.
    fn end(&mut self) {
        let Some(index) = self.open.pop() else { return };
        self.now += self.dice.between(1_000, 9_000);
        let span = &mut self.woven.spans[index].1;
        span.end_time_unix_nano = self.now;
        if let Some(failure) = &self.failure
            && span.status.is_none()
        {
            span.status = Some(Status { code: StatusCode::Error as i32, message: failure.message.clone() });
        }
        self.woven.end_unix_nanos = self.woven.end_unix_nanos.max(self.now);
    }

    /// Marks the innermost open span as failed without ending the story.
    fn refuse(&mut self, error_type: String) {
        self.tag(text("error.type", error_type));
        if let Some(index) = self.open.last() {
            self.woven.spans[*index].1.status = Some(Status { code: StatusCode::Error as i32, message: String::new() });
        }
    }

    /// Whether the leaf call that begins now fails.
    fn leaf_fails(&mut self) -> bool {
        match &mut self.faultless_leaves {
            Some(0) => {
                self.faultless_leaves = None;
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// The innermost open span fails for good: an exception event, an error line, and the way up.
    fn fail(&mut self, failure: Failure) {
        let exception = vec![
            text("exception.type", failure.exception),
            text("exception.message", failure.message.clone()),
            text(
                "exception.stacktrace",
                format!("{}: {}\n  at call (client:211)\n  at serve (handler:88)", failure.exception, failure.message),
            ),
        ];
        self.tag(text("error.type", failure.error_type));
        if let Some(index) = self.open.last() {
            let event = Event {
                time_unix_nano: self.now,
                name: "exception".to_owned(),
                attributes: exception.clone(),
                ..Event::default()
            };
            self.woven.spans[*index].1.events.push(event);
        }
        self.log(SeverityNumber::Error, "exception", failure.message.clone(), exception);
        self.failure = Some(failure);
    }

    /// Hangs the innermost open span below a span that is closed already, as a message consumer does.
    fn follow(&mut self, sender: &[u8]) {
        let link = Link {
            trace_id: self.woven.trace_id.clone(),
            span_id: sender.to_vec(),
            flags: FLAGS_REMOTE,
            ..Link::default()
        };
        if let Some(index) = self.open.last() {
            let span = &mut self.woven.spans[*index].1;
            span.parent_span_id = sender.to_vec();
            span.flags = FLAGS_REMOTE;
            span.links.push(link);
        }
    }

    /// Tags the status of the last HTTP answer.
    fn tag_status(&mut self) {
        self.tag(int("http.response.status_code", self.status));
    }
}

fn severity_text(severity: SeverityNumber) -> &'static str {
    match severity {
        SeverityNumber::Debug => "DEBUG",
        SeverityNumber::Info => "INFO",
        SeverityNumber::Warn => "WARN",
        _ => "ERROR",
    }
}
