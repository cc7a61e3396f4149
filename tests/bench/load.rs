//! A load over HTTP/1.1: requests that were made before, written to plain sockets, so that sending costs little beside serving.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::corpus::Corpus;

/// Longest wait for a socket; only reached when something is broken.
const PATIENCE: Duration = Duration::from_secs(30);
/// Pause before a connection that broke is made anew.
const RECONNECT_PAUSE: Duration = Duration::from_millis(10);
/// Longest head of an answer.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is sent, to whom.
pub struct Load {
    address: SocketAddr,
    tls: Option<Arc<ClientConfig>>,
    /// Head and body, and the spans in it.
    requests: Vec<(Vec<u8>, u64)>,
    spans_per_request: f64,
}

/// How it is sent.
#[derive(Clone, Copy)]
pub struct Pace {
    /// Connections with one request under way each.
    pub connections: usize,
    /// Spans offered per second, in an open loop; `None` sends the next request when the last is answered.
    pub rate: Option<f64>,
    /// Whether a client that was told to come back later does what it was told.
    pub obeys: bool,
    /// How long requests are begun.
    pub lasting: Duration,
}

/// What came of it.
#[derive(Default)]
pub struct Answers {
    /// Spans in acknowledged requests.
    pub acknowledged: u64,
    /// Spans in requests that were refused, by status and whether `Retry-After` came with it.
    pub refused: BTreeMap<(u16, bool), u64>,
    /// Spans in requests that got no answer.
    pub unanswered: u64,
    /// Of acknowledged requests, in order: from when the request was due in an open loop, from its sending otherwise.
    pub latencies: Vec<Duration>,
    /// From the first request to the last answer.
    pub seconds: f64,
}

impl Answers {
    /// Spans that were refused, however.
    pub fn refused(&self) -> u64 {
        self.refused.values().sum()
    }

    /// Spans of all requests that were sent.
    pub fn offered(&self) -> u64 {
        self.acknowledged + self.refused() + self.unanswered
    }

    fn add(&mut self, other: Self) {
        self.acknowledged += other.acknowledged;
        self.unanswered += other.unanswered;
        self.latencies.extend(other.latencies);
        for (kind, spans) in other.refused {
            *self.refused.entry(kind).or_default() += spans;
        }
    }
}

impl Load {
    /// The corpus for the server at `url`; `https` needs the settings of a client.
    pub fn new(corpus: &Corpus, url: &str, tls: Option<Arc<ClientConfig>>) -> Result<Self> {
        Self::encoded(corpus, url, tls, "identity", |body| Ok(body.to_vec()))
    }

    /// The corpus compressed with gzip, as SDKs send it when they are told to: a core that sends it can offer far more
    /// than a core that takes it in.
    pub fn gzipped(corpus: &Corpus, url: &str) -> Result<Self> {
        Self::encoded(corpus, url, None, "gzip", |body| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(body)?;
            Ok(encoder.finish()?)
        })
    }

    fn encoded(
        corpus: &Corpus,
        url: &str,
        tls: Option<Arc<ClientConfig>>,
        encoding: &str,
        encode: impl Fn(&[u8]) -> Result<Vec<u8>>,
    ) -> Result<Self> {
        let host = url.split("://").nth(1).context("a URL with its scheme")?;
        let requests = corpus.bodies.iter().map(|(body, spans)| {
            let body = encode(body)?;
            let length = body.len();
            let head = format!(
                "POST /v1/traces HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/x-protobuf\r\ncontent-encoding: {encoding}\r\ncontent-length: {length}\r\n\r\n"
            );
            Ok(([head.as_bytes(), &body].concat(), *spans))
        });
        let requests = requests.collect::<Result<_>>()?;
        Ok(Self { address: host.parse()?, tls, requests, spans_per_request: corpus.spans_per_body() })
    }

    /// Sends for as long as `pace` says, round and round.
    pub fn send(&self, pace: Pace) -> Result<Answers> {
        let turns = Turns { started: Instant::now(), next: AtomicU64::new(0), load: self, pace };
        let mut all = Answers::default();
        std::thread::scope(|scope| -> Result<()> {
            let senders: Vec<_> = (0..pace.connections).map(|_| scope.spawn(|| turns.take_all())).collect();
            for sender in senders {
                all.add(sender.join().expect("no sender panics")?);
            }
            Ok(())
        })?;
        all.seconds = turns.started.elapsed().as_secs_f64();
        all.latencies.sort();
        Ok(all)
    }

    fn connect(&self) -> Result<TcpStream> {
        let socket = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(socket)
    }
}

/// The order in which requests are due, shared by all connections.
struct Turns<'a> {
    started: Instant,
    next: AtomicU64,
    load: &'a Load,
    pace: Pace,
}

impl Turns<'_> {
    /// The next request and when it is due; `None` after the end.
    fn next(&self) -> Option<(usize, Instant)> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let due = match self.pace.rate {
            Some(rate) => self.started + Duration::from_secs_f64(number as f64 * self.load.spans_per_request / rate),
            None => Instant::now(),
        };
        let begun = due.max(Instant::now());
        (begun < self.started + self.pace.lasting).then_some((number as usize % self.load.requests.len(), due))
    }

    fn take_all(&self) -> Result<Answers> {
        let Some(tls) = &self.load.tls else { return self.take(|| self.load.connect()) };
        self.take(|| {
            let name = ServerName::from(self.load.address.ip());
            Ok(StreamOwned::new(ClientConnection::new(Arc::clone(tls), name)?, self.load.connect()?))
        })
    }

    /// Takes turns on one connection at a time, with a new one where the last broke.
    fn take<S: Read + Write>(&self, connect: impl Fn() -> Result<S>) -> Result<Answers> {
        let mut answers = Answers::default();
        let mut stream = connect()?;
        let mut buffer = Vec::with_capacity(HEAD_BYTES_MAX);
        while let Some((number, due)) = self.next() {
            if let Some(wait) = due.checked_duration_since(Instant::now()) {
                std::thread::sleep(wait);
            }
            let (request, spans) = &self.load.requests[number];
            let answer = stream.write_all(request).map_err(Into::into).and_then(|()| read(&mut stream, &mut buffer));
            let Ok(Answer { status, retry_after, closes }) = answer else {
                answers.unanswered += spans;
                std::thread::sleep(RECONNECT_PAUSE);
                stream = connect()?;
                continue;
            };
            if status == 200 {
                answers.acknowledged += spans;
                answers.latencies.push(due.elapsed());
            } else {
                *answers.refused.entry((status, retry_after.is_some())).or_default() += spans;
            }
            if closes {
                stream = connect()?;
            }
            if let Some(wait) = retry_after.filter(|_| self.pace.obeys) {
                std::thread::sleep(wait);
            }
        }
        Ok(answers)
    }
}

/// What an answer says, as far as a load wants to know.
struct Answer {
    status: u16,
    retry_after: Option<Duration>,
    closes: bool,
}

/// Reads one answer to its end; there is never a second behind it.
fn read(stream: &mut impl Read, buffer: &mut Vec<u8>) -> Result<Answer> {
    buffer.clear();
    let mut piece = [0; 4096];
    let head_bytes = loop {
        let read = stream.read(&mut piece)?;
        ensure!(read > 0 && buffer.len() < HEAD_BYTES_MAX, "the answer has no end");
        buffer.extend_from_slice(&piece[..read]);
        if let Some(at) = buffer.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let head = std::str::from_utf8(&buffer[..head_bytes])?;
    let value = |name: &str| {
        let pairs = head.lines().filter_map(|line| line.split_once(':'));
        pairs.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let answer = Answer {
        status: head.split(' ').nth(1).context("a status")?.parse()?,
        retry_after: value("retry-after").map(str::parse).transpose()?.map(Duration::from_secs),
        closes: value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
    };
    let body_bytes: usize = value("content-length").context("an answer of known length")?.parse()?;
    let missing = (head_bytes + body_bytes).checked_sub(buffer.len()).context("one answer at a time")?;
    let skipped = std::io::copy(&mut stream.take(missing as u64), &mut std::io::sink())?;
    ensure!(skipped == missing as u64, "the answer ended early");
    Ok(answer)
}
