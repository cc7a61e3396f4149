//! The object store as the lake uses it: whole files by name.
//!
//! ```text
//! <prefix>/tracehound-lake    32 hexadecimal digits: which lake the prefix belongs to
//! <prefix>/<name of a file>   the file; metadata crc32c, 8 hexadecimal digits, its checksum in the catalog
//! ```
//!
//! Putting a file is the same however often it is done: a name has one content for ever. Requests are signed with the hash
//! of what they carry, so that the store refuses what changed on its way there.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::aws::AmazonS3Builder;
use object_store::path::Path as ObjectPath;
use object_store::{
    Attribute, Attributes, ClientOptions, Error, GetOptions, ObjectStore as _, ObjectStoreExt as _, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, RetryConfig,
};
use runtime::metric;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::Wanted;
use crate::guard::lock;
use crate::settings::ObjectStore;
use crate::{FileEntry, LakeError};

const MARKER: &str = "tracehound-lake";
const CHECKSUM: &str = "crc32c";
/// Bytes of a file sent in one request; a larger file takes several.
const SENT_BYTES: usize = 8 << 20;
/// Bytes of a file fetched in one request, two at a time.
const FETCHED_BYTES: u64 = 4 << 20;
/// Bytes read and summed at once.
const CHUNK_BYTES: usize = 1 << 20;
/// After a request failed, readers are told so without asking again, for so long: they would all wait at the same door.
const DOWN_FOR: Duration = Duration::from_secs(2);
/// Longest text of an error that is passed on: stores answer with whole pages.
const MAX_REASON: usize = 300;

/// A prefix of a bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    store: object_store::aws::AmazonS3,
    prefix: String,
    url: String,
    /// Which lake this is, if that was known when it was opened.
    id: Option<String>,
    /// The prefix was found to be this lake's.
    is_ours: AtomicBool,
    failed_at: Mutex<Option<Instant>>,
}

/// An object below the prefix.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) modified_unix_nanos: i64,
}

impl Bucket {
    /// Connects to nothing yet.
    pub(crate) fn open(settings: &ObjectStore, id: Option<String>) -> Result<Self, LakeError> {
        let wrong = LakeError::Setting { name: "object_store.url", rule: "s3://bucket/prefix" };
        let Some(place) = settings.url.strip_prefix("s3://") else { return Err(wrong) };
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let is_prefix = prefix.is_empty() || ObjectPath::parse(prefix.trim_end_matches('/')).is_ok();
        if bucket.is_empty() || !is_prefix {
            return Err(wrong);
        }
        let is_plaintext = settings.endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
        let client = ClientOptions::new()
            .with_allow_http(is_plaintext)
            .with_timeout(settings.patience)
            .with_connect_timeout(settings.patience.min(Duration::from_secs(5)));
        let retry = RetryConfig { max_retries: 3, retry_timeout: settings.patience, ..RetryConfig::default() };
        let mut builder =
            AmazonS3Builder::from_env().with_bucket_name(bucket).with_client_options(client).with_retry(retry);
        if let Some(endpoint) = &settings.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let (Some(id), Some(secret)) = (&settings.access_key_id, &settings.secret_access_key) {
            builder = builder.with_access_key_id(id).with_secret_access_key(secret);
        }
        Ok(Self {
            store: builder.build().map_err(failed("open", &settings.url))?,
            prefix: prefix.trim_end_matches('/').to_owned(),
            url: settings.url.clone(),
            id,
            is_ours: AtomicBool::new(false),
            failed_at: Mutex::default(),
        })
    }

    /// Makes sure that the prefix is this lake's, once a process.
    ///
    /// # Errors
    /// [`LakeError::Foreign`] when it is another's, [`LakeError::Store`].
    pub(crate) async fn claim(&self, id: &str) -> Result<(), LakeError> {
        if self.is_ours.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut found = self.marker().await?;
        if found.is_none() {
            let path = self.path(MARKER)?;
            let payload = || PutPayload::from(id.as_bytes().to_vec());
            let mut put = self.store.put_opts(&path, payload(), PutMode::Create.into()).await;
            if let Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) = put {
                // then it is a matter of who comes last, and both find out below
                put = self.store.put(&path, payload()).await;
            }
            found = self.marker().await?;
            if found.is_none() {
                put.map_err(failed("claim", MARKER))?;
            }
        }
        if found.as_deref() != Some(id) {
            return Err(LakeError::Foreign { url: self.url.clone() });
        }
        self.is_ours.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Makes sure that the prefix is not another lake's, before anything is read from it. One that is nobody's may be a
    /// mistake, or have lost its marker: that has nothing of ours is found out by whoever reads.
    ///
    /// # Errors
    /// As [`Bucket::claim`].
    pub(crate) async fn recognise(&self) -> Result<(), LakeError> {
        if self.is_ours.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.marker().await? {
            None => Ok(()),
            found if found == self.id => {
                self.is_ours.store(true, Ordering::Relaxed);
                Ok(())
            }
            Some(_) => Err(LakeError::Foreign { url: self.url.clone() }),
        }
    }

    async fn marker(&self) -> Result<Option<String>, LakeError> {
        let path = self.path(MARKER)?;
        match self.store.get_range(&path, 0..64).await {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("read", MARKER)(error)),
        }
    }

    /// Puts a file there, and asks whether it is.
    ///
    /// # Errors
    /// [`LakeError::Store`]; [`LakeError::Checksum`] or [`LakeError::Disk`] when the local file is not what was written.
    pub(crate) async fn put(&self, file: &FileEntry) -> Result<(), LakeError> {
        let sent = match self.send(file).await {
            Err(error @ (LakeError::Checksum { .. } | LakeError::Disk { .. })) => return Err(error),
            sent => sent,
        };
        // whatever the answer was, or if none came: what counts is what is there
        match self.has(file).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(sent.err().unwrap_or_else(|| LakeError::Store {
                action: "put",
                file: file.name.clone(),
                reason: "it took the file and has another one".to_owned(),
            })),
            Err(error) => Err(sent.err().unwrap_or(error)),
        }
    }

    async fn send(&self, file: &FileEntry) -> Result<(), LakeError> {
        let path = self.path(&file.name)?;
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::Metadata(CHECKSUM.into()), format!("{:08x}", file.checksum_crc32c).into());
        let mut reader = Reader::open(file).await?;
        let first = reader.next().await?;
        if first.len() < SENT_BYTES {
            reader.check()?;
            let options = PutOptions { attributes, ..PutOptions::default() };
            let put = self.store.put_opts(&path, first.into(), options).await;
            return put.map(drop).map_err(failed("put", &file.name));
        }
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let mut upload = self.store.put_multipart_opts(&path, options).await.map_err(failed("begin", &file.name))?;
        let mut part = first;
        let sent = loop {
            if let Err(error) = upload.put_part(part.into()).await {
                break Err(failed("put", &file.name)(error));
            }
            match reader.next().await {
                Ok(next) if next.is_empty() => break reader.check(),
                Ok(next) => part = next,
                Err(error) => break Err(error),
            }
        };
        if let Err(error) = sent {
            // what is left of it goes by the rules of the bucket when this does not get through either
            let _ = upload.abort().await;
            return Err(error);
        }
        upload.complete().await.map(drop).map_err(failed("complete", &file.name))
    }

    /// Whether the store has the file, by length and by the checksum that was put with it.
    async fn has(&self, file: &FileEntry) -> Result<bool, LakeError> {
        let path = self.path(&file.name)?;
        let head = match self.store.get_opts(&path, GetOptions::new().with_head(true)).await {
            Ok(head) => head,
            Err(Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(failed("look for", &file.name)(error)),
        };
        let noted = head.attributes.get(&Attribute::Metadata(CHECKSUM.into()));
        let is_noted = noted.is_none_or(|noted| noted.as_ref() == format!("{:08x}", file.checksum_crc32c));
        Ok(head.meta.size == file.bytes && is_noted)
    }

    /// Fetches a file and compares it.
    ///
    /// # Errors
    /// [`LakeError::Store`], [`LakeError::Foreign`], [`LakeError::Disk`]; [`LakeError::Lost`] and [`LakeError::Checksum`] when
    /// it is not what was put.
    pub(crate) async fn get(&self, wanted: &Wanted, to: &Path) -> Result<(), LakeError> {
        let has_just_failed = lock(&self.failed_at).is_some_and(|at| at.elapsed() < DOWN_FOR);
        if has_just_failed {
            let reason = "it could not be reached a moment ago".to_owned();
            return Err(LakeError::Store { action: "fetch", file: wanted.name.clone(), reason });
        }
        let mut got = match self.recognise().await {
            Ok(()) => self.receive(wanted, to).await,
            Err(error) => Err(error),
        };
        if let Err(LakeError::Checksum { .. }) = got {
            // damage on the way does not come twice
            got = self.receive(wanted, to).await;
        }
        let has_failed = matches!(got, Err(LakeError::Store { .. }));
        *lock(&self.failed_at) = has_failed.then(Instant::now);
        got
    }

    async fn receive(&self, wanted: &Wanted, to: &Path) -> Result<(), LakeError> {
        let path = self.path(&wanted.name)?;
        let mut file = tokio::fs::File::create(to).await.map_err(LakeError::disk("create", to))?;
        let starts = (0..wanted.bytes).step_by(FETCHED_BYTES as usize);
        let part = |start: u64| {
            let range = start..(start + FETCHED_BYTES).min(wanted.bytes);
            let path = &path;
            async move { self.store.get_range(path, range).await }
        };
        let mut parts = stream::iter(starts.map(part)).buffered(2);
        let (mut found, mut bytes) = (0, 0);
        loop {
            let part = match parts.try_next().await {
                Ok(Some(part)) => part,
                Ok(None) => break,
                Err(Error::NotFound { .. }) if self.marker().await?.is_some() => {
                    return Err(LakeError::Lost { file: wanted.name.clone() });
                }
                // a bucket or prefix that is not ours has none of our files
                Err(error) => return Err(failed("fetch", &wanted.name)(error)),
            };
            found = crc32c::crc32c_append(found, &part);
            bytes += part.len() as u64;
            file.write_all(&part).await.map_err(LakeError::disk("write", to))?;
        }
        file.flush().await.map_err(LakeError::disk("write", to))?;
        if bytes != wanted.bytes {
            let reason = format!("{bytes} of {} bytes came", wanted.bytes);
            return Err(LakeError::Store { action: "fetch", file: wanted.name.clone(), reason });
        }
        if found != wanted.checksum_crc32c {
            let (path, expected) = (wanted.path.clone(), wanted.checksum_crc32c);
            return Err(LakeError::Checksum { path, expected, found });
        }
        Ok(())
    }

    /// Removes a file. One that is gone already is no error.
    pub(crate) async fn delete(&self, name: &str) -> Result<(), LakeError> {
        match self.store.delete(&self.path(name)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", name)(error)),
        }
    }

    /// Objects below the prefix that `wants` their names, `limit` at most.
    pub(crate) async fn list(&self, limit: usize, wants: impl Fn(&str) -> bool) -> Result<Vec<Listed>, LakeError> {
        let prefix = (!self.prefix.is_empty()).then(|| ObjectPath::from(self.prefix.as_str()));
        let mut found = Vec::new();
        let mut objects = self.store.list(prefix.as_ref());
        while let Some(object) = objects.try_next().await.map_err(failed("list", &self.url))? {
            let location: &str = object.location.as_ref();
            let name = location.strip_prefix(&self.prefix).unwrap_or(location).trim_start_matches('/');
            if wants(name) && found.len() < limit {
                let modified_unix_nanos = object.last_modified.timestamp_nanos_opt().unwrap_or(i64::MAX);
                found.push(Listed { name: name.to_owned(), modified_unix_nanos });
            }
        }
        Ok(found)
    }

    fn path(&self, name: &str) -> Result<ObjectPath, LakeError> {
        let whole = if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) };
        let reason = |error: object_store::path::Error| error.to_string();
        ObjectPath::parse(whole).map_err(|error| LakeError::Store {
            action: "name",
            file: name.to_owned(),
            reason: reason(error),
        })
    }
}

/// A local file on its way out, summed as it goes.
struct Reader<'a> {
    file: tokio::fs::File,
    entry: &'a FileEntry,
    checksum_crc32c: u32,
}

impl<'a> Reader<'a> {
    async fn open(entry: &'a FileEntry) -> Result<Self, LakeError> {
        let file = tokio::fs::File::open(&entry.path).await.map_err(LakeError::disk("open", &entry.path))?;
        Ok(Self { file, entry, checksum_crc32c: 0 })
    }

    /// The next [`SENT_BYTES`]; fewer at the end.
    async fn next(&mut self) -> Result<Vec<u8>, LakeError> {
        let mut part = Vec::with_capacity(SENT_BYTES.min(usize::try_from(self.entry.bytes).unwrap_or(usize::MAX)));
        while part.len() < SENT_BYTES {
            let before = part.len();
            let left = CHUNK_BYTES.min(SENT_BYTES - before) as u64;
            let read = (&mut self.file).take(left).read_to_end(&mut part).await;
            if read.map_err(LakeError::disk("read", &self.entry.path))? == 0 {
                break;
            }
            self.checksum_crc32c = crc32c::crc32c_append(self.checksum_crc32c, &part[before..]);
        }
        Ok(part)
    }

    /// Whether what was read is what was written: damage on the local disk must not become the only copy.
    fn check(&self) -> Result<(), LakeError> {
        let (expected, found) = (self.entry.checksum_crc32c, self.checksum_crc32c);
        if found == expected {
            return Ok(());
        }
        Err(LakeError::Checksum { path: self.entry.path.clone(), expected, found })
    }
}

fn failed(action: &'static str, file: &str) -> impl Fn(Error) -> LakeError {
    let file = file.to_owned();
    move |error| {
        metrics::counter!(metric::LAKE_STORE_FAILURES, "action" => action).increment(1);
        let text = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        LakeError::Store { action, file: file.clone(), reason: text.chars().take(MAX_REASON).collect() }
    }
}
