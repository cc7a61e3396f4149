//! gRPC calls made by hand, so that the wrong can be sent, and one export told over every transport and encoding.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use model::Signal;
use prost::Message;
use proto::collector::trace::v1::{ExportTracePartialSuccess, ExportTraceServiceResponse};
use tokio::task::JoinSet;

use super::{House, RpcStatus};

pub const TRACES: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
pub const LOGS: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
pub const METRICS: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// What came back of a call made by hand.
#[derive(Debug)]
pub struct Raw {
    pub http_status: u16,
    pub code: String,
    pub message: String,
    pub accept_encoding: String,
    pub status: RpcStatus,
    /// The body without the prefix of its message.
    pub body: Vec<u8>,
    /// Bytes of body and texts together.
    pub bytes: usize,
}

/// Calls with any path, headers and body; the client under everything.
pub async fn raw(house: &House, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Raw {
    let socket = tokio::net::TcpStream::connect(house.grpc).await.expect("the collector listens");
    let io = TokioIo::new(socket);
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("HTTP/2");
    let mut tasks = JoinSet::new();
    tasks.spawn(connection);
    let mut request = http::Request::post(format!("http://{}{path}", house.grpc))
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", house.key));
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        request = request.header("content-type", "application/grpc");
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Full::new(Bytes::from(body))).expect("a request");
    let response = sender.send_request(request).await.expect("an answer");
    let http_status = response.status().as_u16();
    let head = response.headers().clone();
    let collected = response.into_body().collect().await.expect("a body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes();
    let text = |name: &str| {
        let value = head.get(name).or_else(|| trailers.get(name)).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let details = text("grpc-status-details-bin");
    let bytes = body.len() + details.len() + text("grpc-message").len();
    let details = STANDARD_NO_PAD.decode(details).expect("base64");
    let status = RpcStatus::decode(details.as_slice()).expect("google.rpc.Status");
    let (code, message, accept_encoding) = (text("grpc-status"), text("grpc-message"), text("grpc-accept-encoding"));
    Raw { http_status, code, message, accept_encoding, status, body: body.get(5..).unwrap_or_default().to_vec(), bytes }
}

/// A message in its gRPC prefix.
pub fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).expect("small");
    [&[flag][..], &length.to_be_bytes(), message].concat()
}

/// One of the ways in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Grpc,
    Protobuf,
    Json,
}

pub const WAYS: [Way; 3] = [Way::Grpc, Way::Protobuf, Way::Json];

/// What a client reads out of an answer, whatever the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// 0, or the gRPC code: over HTTP the one in the body.
    pub code: i64,
    /// HTTP status; over gRPC that of the call as such.
    pub http: u16,
    /// `partial_success` when it is set: rejected events and text.
    pub partial: Option<(i64, String)>,
    /// The text of a refusal.
    pub message: String,
    /// Whether the client is told to come back.
    pub is_retry: bool,
    /// Bytes of the answer's body and texts.
    pub bytes: usize,
}

impl House {
    /// Exports a message of the generated types.
    pub async fn tell<M: Message + serde::Serialize>(&self, way: Way, signal: Signal, message: &M) -> Told {
        let payload = match way {
            Way::Json => serde_json::to_vec(message).expect("writes"),
            Way::Grpc | Way::Protobuf => message.encode_to_vec(),
        };
        self.tell_bytes(way, signal, payload, false).await
    }

    /// Exports bytes, gzipped if told so.
    pub async fn tell_bytes(&self, way: Way, signal: Signal, payload: Vec<u8>, gzipped: bool) -> Told {
        let body = if gzipped { super::gzip(&payload) } else { payload };
        if way == Way::Grpc {
            let path = if signal == Signal::Spans { TRACES } else { LOGS };
            let encoding: &[(&str, &str)] = if gzipped { &[("grpc-encoding", "gzip")] } else { &[] };
            return told_by_grpc(raw(self, path, encoding, framed(gzipped.into(), &body)).await);
        }
        let media = if way == Way::Json { "application/json" } else { "application/x-protobuf" };
        let mut headers = vec![("content-type", media)];
        if gzipped {
            headers.push(("content-encoding", "gzip"));
        }
        let path = if signal == Signal::Spans { "/v1/traces" } else { "/v1/logs" };
        let answer = self.post(path, &headers, &body).await;
        assert_eq!(answer.header("content-type"), media, "the answer speaks as the request did");
        let (code, message) = if answer.status == 200 { (0, String::new()) } else { answer.rpc_status() };
        let partial = match way {
            _ if answer.status != 200 => None,
            Way::Json => partial_of_json(&answer.json()),
            _ => partial_of(&answer.body),
        };
        let is_retry = !answer.header("retry-after").is_empty();
        Told { code, http: answer.status, partial, message, is_retry, bytes: answer.body.len() }
    }
}

fn told_by_grpc(raw: Raw) -> Told {
    let code = raw.code.parse().expect("every call ends with a code");
    let is_retry = raw.status.details.iter().any(|detail| detail.type_url.ends_with("RetryInfo"));
    let partial = if code == 0 { partial_of(&raw.body) } else { None };
    Told { code, http: raw.http_status, partial, message: raw.message, is_retry, bytes: raw.bytes }
}

/// Traces and logs share the numbers of the answer's fields.
fn partial_of(body: &[u8]) -> Option<(i64, String)> {
    let response = ExportTraceServiceResponse::decode(body).expect("the response message");
    let told = |partial: ExportTracePartialSuccess| (partial.rejected_spans, partial.error_message);
    response.partial_success.map(told)
}

fn partial_of_json(body: &serde_json::Value) -> Option<(i64, String)> {
    let partial = body.get("partialSuccess")?;
    let count = partial.get("rejectedSpans").or_else(|| partial.get("rejectedLogRecords")).expect("a count");
    let count = count.as_str().and_then(|text| text.parse().ok()).expect("64-bit integers are strings");
    Some((count, partial["errorMessage"].as_str().expect("a text").to_owned()))
}
