//! Alerts as they happen, as server-sent events.
//!
//! Each client reads from a bounded channel: whoever is too slow misses events, is told how many (`event: missed`), and
//! asks the list again. A stream ends after half an hour, when the server stops, or when the client goes; browsers come
//! back by themselves, and are asked for their session again.

use std::convert::Infallible;
use std::time::Duration;

use access::Permission;
use alerts::AlertEvent;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;
use metrics::gauge;
use model::TenantId;
use runtime::{ErrorKind, metric};
use tokio_stream::wrappers::BroadcastStream;
use tokio_stream::wrappers::errors::BroadcastStreamRecvError;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::gate::{Caller, Need, guarded};
use crate::problem::{Document, Problem};
use crate::state::ApiState;
use crate::wire::alert::Alert;

/// A comment line is sent when nothing else was for this long.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long a browser waits before it comes back.
const RETRY: Duration = Duration::from_secs(2);
/// A stream ends after this long.
const LONGEST: Duration = Duration::from_secs(30 * 60);

pub(crate) fn routes(state: &ApiState) -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(guarded(state, Need::Permission(Permission::ReadAlerts), routes!(stream_alerts)))
}

/// Follow alerts: `event: alert` with an alert as data whenever one is made or changes; `id` counts up.
#[utoipa::path(get, path = "/alerts/stream", tag = "alerts",
    responses((status = 200, body = Alert, content_type = "text/event-stream"),
        (status = "4XX", body = Document, content_type = "application/problem+json")))]
async fn stream_alerts(State(state): State<ApiState>, Caller(caller): Caller) -> Result<Response, Problem> {
    let seat = state.streams.clone().try_acquire_owned();
    let seat = seat.map_err(|_| Problem::new(ErrorKind::Overloaded, "too many clients follow the alert stream"))?;
    let listener = Listener::new(seat);
    let stop = state.stop.clone();
    let tenant = caller.tenant().clone();
    let hello = futures::stream::iter([Ok(Event::default().retry(RETRY).comment("following alerts"))]);
    let events = BroadcastStream::new(state.alerts.subscribe()).filter_map(move |received| {
        let _held_as_long_as_the_stream = &listener;
        futures::future::ready(write(received, &tenant).map(Ok::<_, Infallible>))
    });
    let end = async move {
        tokio::select! {
            () = stop.asked() => {}
            () = tokio::time::sleep(LONGEST) => {}
        }
    };
    let stream = hello.chain(events).take_until(end);
    let keep_alive = KeepAlive::new().interval(HEARTBEAT).text("still here");
    let mut response = Sse::new(stream).keep_alive(keep_alive).into_response();
    // proxies that gather answers before they pass them on would hold events back
    response.headers_mut().insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

fn write(received: Result<AlertEvent, BroadcastStreamRecvError>, tenant: &TenantId) -> Option<Event> {
    match received {
        Ok(event) if event.tenant == *tenant => {
            let alert = Event::default().event("alert").id(event.seq.to_string());
            alert.json_data(Alert::from(event.incident)).ok()
        }
        Ok(_) => None,
        Err(BroadcastStreamRecvError::Lagged(missed)) => {
            Some(Event::default().event("missed").data(missed.to_string()))
        }
    }
}

/// A client's seat; gives it back when the stream is dropped.
struct Listener(#[expect(dead_code, reason = "held, not read")] tokio::sync::OwnedSemaphorePermit);

impl Listener {
    fn new(seat: tokio::sync::OwnedSemaphorePermit) -> Self {
        gauge!(metric::API_STREAMS).increment(1.0);
        Self(seat)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        gauge!(metric::API_STREAMS).decrement(1.0);
    }
}
