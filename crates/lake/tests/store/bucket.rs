//! An object store in a folder that speaks the S3 protocol on loopback, and can be told to misbehave.

#![expect(clippy::unwrap_used, reason = "a test ends at the first thing that is wrong")]

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const NAME: &str = "events";
pub const KEY_ID: &str = "AKIATEST";
pub const SECRET: &str = "a secret of the test";

/// What goes wrong from now on.
#[derive(Debug, Default)]
pub struct Faults {
    /// Every request is answered 503.
    pub is_down: bool,
    /// So many writes are done and never answered.
    pub unanswered: usize,
    /// One in so many writes is done and never answered; 0 is none.
    pub unanswered_every: usize,
    /// Every answer comes so late.
    pub delay: Duration,
    /// Of so many files only half the body comes before the connection ends.
    pub cut: usize,
    /// Of so many files a bit is changed on the way.
    pub flipped: usize,
    /// Lists end after so many objects and claim to be complete.
    pub listed: Option<usize>,
}

/// Runs until it is dropped.
pub struct Bucket {
    pub endpoint: String,
    /// Where the objects lie as files.
    pub folder: PathBuf,
    shared: Arc<Shared>,
    _dir: TempDir,
    _stop: tokio::sync::oneshot::Sender<()>,
}

struct Shared {
    faults: Mutex<Faults>,
    /// Writes so far.
    written: AtomicUsize,
    /// Method and path of every request.
    seen: Mutex<Vec<String>>,
    s3: S3Service,
}

impl Bucket {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(NAME);
        std::fs::create_dir(&folder).unwrap();
        let mut s3 = S3ServiceBuilder::new(s3s_fs::FileSystem::new(dir.path()).unwrap());
        s3.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let shared = Arc::new(Shared {
            faults: Mutex::default(),
            written: AtomicUsize::new(0),
            seen: Mutex::default(),
            s3: s3.build(),
        });
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let serving = Arc::clone(&shared);
        // a runtime of its own, so that tests may block theirs
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                tokio::select! {
                    _ = stopped => {}
                    () = serve(listener, serving) => {}
                }
            });
        });
        let address = told.recv().unwrap();
        Self { endpoint: format!("http://{address}"), folder, shared, _dir: dir, _stop: stop }
    }

    pub fn fault(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.shared.faults.lock().unwrap());
    }

    /// Requests since the last call, as `GET /events/prefix/name`.
    pub fn take_seen(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.seen.lock().unwrap())
    }
}

impl Shared {
    /// Whether the answer to this write never comes.
    fn keeps_quiet(&self) -> bool {
        let mut faults = self.faults.lock().unwrap();
        let written = self.written.fetch_add(1, Ordering::SeqCst) + 1;
        let is_turn = faults.unanswered_every > 0 && written.is_multiple_of(faults.unanswered_every);
        is_turn || take_one(&mut faults.unanswered)
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            while let Ok((socket, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::task::spawn_local(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                    // a client that hangs up is no fault of ours
                    let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
                });
            }
        })
        .await;
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<s3s::Body> {
    let mut response = Response::new(s3s::Body::from(body.into()));
    *response.status_mut() = status;
    response
}

/// One less of what is left; whether there was any.
fn take_one(left: &mut usize) -> bool {
    let is_left = *left > 0;
    *left = left.saturating_sub(1);
    is_left
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<s3s::Body>, Infallible> {
    let is_write = matches!(*request.method(), Method::PUT | Method::POST);
    let is_file = request.method() == Method::GET && request.uri().path().ends_with(".parquet");
    let is_list =
        request.method() == Method::GET && request.uri().query().is_some_and(|query| query.contains("list-type"));
    shared.seen.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
    let (is_down, delay, listed) = {
        let faults = shared.faults.lock().unwrap();
        (faults.is_down, faults.delay, faults.listed)
    };
    tokio::time::sleep(delay).await;
    if is_down {
        return Ok(plain(StatusCode::SERVICE_UNAVAILABLE, "<Error><Code>SlowDown</Code></Error>"));
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let response = match shared.s3.call(Request::from_parts(parts, s3s::Body::from(body))).await {
        Ok(response) => response,
        Err(error) => return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, format!("{error:?}"))),
    };
    if is_write && shared.keeps_quiet() {
        std::future::pending::<()>().await;
    }
    if !response.status().is_success() || !(is_file || is_list) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let mut bytes = body.collect().await.unwrap().to_bytes().to_vec();
    if is_file && take_one(&mut shared.faults.lock().unwrap().flipped) {
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
    }
    if let Some(count) = listed.filter(|_| is_list) {
        let text = String::from_utf8(bytes).unwrap();
        let mut objects = text.match_indices("<Contents>").map(|(at, _)| at);
        let (first, cut) = (objects.next(), objects.nth(count.saturating_sub(1)));
        let text = match (first, cut) {
            (Some(first), _) if count == 0 => format!("{}</ListBucketResult>", &text[..first]),
            (_, Some(cut)) => format!("{}</ListBucketResult>", &text[..cut]),
            _ => text,
        };
        let mut response = plain(StatusCode::OK, text);
        response.headers_mut().insert("content-type", "application/xml".parse().unwrap());
        return Ok(response);
    }
    if is_file && take_one(&mut shared.faults.lock().unwrap().cut) {
        let half = Bytes::from(bytes[..bytes.len() / 2].to_vec());
        let broken = http_body_util::StreamBody::new(futures::stream::iter([
            Ok(hyper::body::Frame::data(half)),
            Err(std::io::Error::other("cut")),
        ]));
        return Ok(Response::from_parts(parts, s3s::Body::http_body(broken)));
    }
    Ok(Response::from_parts(parts, s3s::Body::http_body(Full::new(Bytes::from(bytes)))))
}
