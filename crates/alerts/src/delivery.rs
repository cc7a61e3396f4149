//! Sends what is in the outbox, and goes on after a restart where it was.
//!
//! Each target has a sender of its own, so that a slow one holds up nobody else. A sender works on several incidents at
//! once and on each in order. An attempt whose answer is lost, in a crash say, is made again with the same id.

use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use http::{HeaderName, HeaderValue, StatusCode};
use model::UnixNanos;
use runtime::egress::{Answer, Egress};
use runtime::{Stop, metric, telemetry};
use tracing::Instrument as _;

use crate::backoff;
use crate::book::AlertBook;
use crate::error::AlertsError;
use crate::notify::Target;
use crate::outbox::Message;

/// Messages read from the outbox at a time.
const BATCH: u32 = 64;
/// Messages under way to one target at a time.
const CONCURRENT: usize = 4;
/// Longest time between two looks into the outbox.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Pause after the database failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How often old incidents are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(60 * 60);
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What an attempt came to.
enum Outcome {
    Delivered,
    /// Failed, with the reason and the wait the receiver asked for.
    Failed(String, Option<Duration>),
    /// The receiver wants nothing more.
    Gone(String),
}

/// Background task: sends messages to the targets of the settings until the stop is asked for. Attempts under way then
/// are finished, which takes as long as one request may take.
pub async fn deliver(book: AlertBook, egress: Egress, stop: Stop) {
    let senders = book.shared.settings.targets.iter().map(|target| send_all(&book, &egress, target, &stop));
    futures::join!(futures::future::join_all(senders), tidy(&book, &stop));
}

async fn send_all(book: &AlertBook, egress: &Egress, target: &Target, stop: &Stop) {
    let mut changes = book.shared.outbox_changes.subscribe();
    while !stop.is_asked() {
        // seen before looking, so that a change during the look wakes the wait
        changes.mark_unchanged();
        let wait = match send_due(book, egress, target, stop).await {
            Ok(wait) => wait,
            Err(error) => {
                tracing::error!(target_name = target.name, %error, "outbox cannot be worked on");
                PAUSE
            }
        };
        if wait.is_zero() {
            continue;
        }
        tokio::select! {
            () = stop.asked() => {}
            _ = changes.changed() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Sends what is due, and says how long nothing else will be.
async fn send_due(book: &AlertBook, egress: &Egress, target: &Target, stop: &Stop) -> Result<Duration, AlertsError> {
    if book.shared.is_disabled(&target.name) {
        return Ok(LOOK_EVERY);
    }
    let due = book.due(&target.name, BATCH).await?;
    if due.is_empty() {
        let next = book.next_due(&target.name).await?;
        let now = book.shared.clock.unix_nanos();
        let wait = next.map_or(LOOK_EVERY, |next| {
            // at least a millisecond, so that rounding cannot turn the wait into a spin
            Duration::from_nanos(u64::try_from(next.0.saturating_sub(now)).unwrap_or(0)).max(Duration::from_millis(1))
        });
        return Ok(wait.min(LOOK_EVERY));
    }
    let mut first_error = Ok(());
    let mut attempts = stream::iter(due)
        .map(|message| async move {
            if stop.is_asked() || book.shared.is_disabled(&target.name) {
                return Ok(());
            }
            attempt(book, egress, target, &message).await
        })
        .buffer_unordered(CONCURRENT);
    while let Some(result) = attempts.next().await {
        first_error = first_error.and(result);
    }
    measure(book).await?;
    first_error.map(|()| Duration::ZERO)
}

async fn attempt(book: &AlertBook, egress: &Egress, target: &Target, message: &Message) -> Result<(), AlertsError> {
    let span = tracing::info_span!(
        target: telemetry::SPAN_TARGET,
        "deliver alert",
        otel.kind = "client",
        target_name = target.name,
        event_id = message.event_id,
        attempt = message.attempts + 1,
    );
    let outcome = post(book, egress, target, message).instrument(span).await;
    let label = settle(book, target, message, outcome).await?;
    metrics::counter!(metric::OUTBOX_ATTEMPTS, "notifier" => target.notifier.label(), "outcome" => label).increment(1);
    Ok(())
}

async fn post(book: &AlertBook, egress: &Egress, target: &Target, message: &Message) -> Outcome {
    let now = UnixNanos(book.shared.clock.unix_nanos());
    let mut request = target.notifier.request(&message.event_id, &message.body, now);
    // the egress client puts our own trace in its place when this attempt is traced
    request.headers.insert(TRACEPARENT, fresh_traceparent(book));
    match egress.post(request.url, request.headers, request.body).await {
        Ok(answer) => judge(&answer, now),
        // its texts name neither the URL nor an address
        Err(error) => Outcome::Failed(error.to_string(), None),
    }
}

fn judge(answer: &Answer, now: UnixNanos) -> Outcome {
    let status = answer.status;
    let reason = format!("receiver answered {}", status.as_u16());
    match status {
        _ if status.is_success() => Outcome::Delivered,
        StatusCode::GONE => Outcome::Gone(reason),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            let asked = answer.retry_after.as_deref().and_then(|value| backoff::retry_after(value, now));
            Outcome::Failed(reason, asked)
        }
        _ => Outcome::Failed(reason, None),
    }
}

/// Writes down what came of it, and names it for the metric.
async fn settle(
    book: &AlertBook,
    target: &Target,
    message: &Message,
    outcome: Outcome,
) -> Result<&'static str, AlertsError> {
    let (reason, asked) = match outcome {
        Outcome::Delivered => {
            book.delivered(message).await?;
            return Ok("delivered");
        }
        Outcome::Gone(reason) => {
            tracing::warn!(target_name = target.name, reason, "alert target is disabled");
            book.disable(message, &target.name, &reason).await?;
            return Ok("dead");
        }
        Outcome::Failed(reason, asked) => (reason, asked),
    };
    let retry = &book.shared.settings.retry;
    let made = message.attempts + 1;
    let wait = backoff::wait(retry, made, book.shared.random.fraction(), asked);
    let next = UnixNanos(book.shared.clock.unix_nanos()).plus(nanos(wait));
    if made >= retry.max_attempts || next > message.created.plus(nanos(retry.max_age)) {
        tracing::warn!(target_name = target.name, event_id = message.event_id, reason, "alert could not be delivered");
        book.give_up(message, &target.name, &reason).await?;
        return Ok("dead");
    }
    tracing::debug!(target_name = target.name, event_id = message.event_id, reason, ?wait, "alert is sent again later");
    book.retry_at(message, next, &reason).await?;
    Ok("retry")
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// A trace of its own for an attempt that is not traced, so that a receiver's trace can be found in its logs.
fn fresh_traceparent(book: &AlertBook) -> HeaderValue {
    let (trace, span) = (book.shared.random.bytes::<16>(), book.shared.random.bytes::<8>());
    let text = format!("00-{}-{}-00", hex::encode(trace), hex::encode(span));
    HeaderValue::from_str(&text).expect("hexadecimal digits are plain ASCII")
}

async fn measure(book: &AlertBook) -> Result<(), AlertsError> {
    let (pending, dead) = book.count_messages().await?;
    metrics::gauge!(metric::OUTBOX_PENDING).set(pending as f64);
    metrics::gauge!(metric::OUTBOX_DEAD).set(dead as f64);
    Ok(())
}

/// Once an hour: old incidents go, and messages that nobody will ever send.
async fn tidy(book: &AlertBook, stop: &Stop) {
    while !stop.is_asked() {
        if let Err(error) = tidy_once(book).await {
            tracing::warn!(%error, "alerts cannot be tidied");
        }
        tokio::select! {
            () = stop.asked() => {}
            () = tokio::time::sleep(TIDY_EVERY) => {}
        }
    }
}

async fn tidy_once(book: &AlertBook) -> Result<(), AlertsError> {
    let forgotten = book.retain().await?;
    let unclaimed = book.end_unclaimed().await?;
    if forgotten + unclaimed > 0 {
        tracing::info!(forgotten, unclaimed, "old alerts were forgotten");
    }
    measure(book).await
}
