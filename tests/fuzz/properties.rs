//! What must hold for any input: checked by the fuzz targets, and by a plain test over the committed corpora.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use arrow::array::RecordBatch;
use bytes::Bytes;
use model::{Signal, TenantId, UnixNanos, signal};
use otlp::framing::{self, FramingError, PREFIX_BYTES, unframe};
use otlp::{Arrival, Decoded, Format};
use runtime::inflate::{Encoding, InflateError, inflate, inflate_exactly, inflated_bytes};
use wal::{Frame, ReaderName, Wal};

const NOW: i64 = 1_764_000_000_000_000_000;

/// The first byte tells the signal, the rest is the request.
pub fn protobuf(input: &[u8]) {
    decoded_rows_survive(Format::Protobuf, input);
}

/// The first byte tells the signal, the rest is the request.
pub fn json(input: &[u8]) {
    decoded_rows_survive(Format::Json, input);
}

fn read(signal: Signal, format: Format, payload: &[u8]) -> Result<Decoded, otlp::DecodeError> {
    let arrival = Arrival { received_at: UnixNanos(NOW), key_id: Some("key".into()), ..Arrival::default() };
    otlp::decode(signal, format, payload, &arrival)
}

/// Reading is deterministic; what was read can be written in both encodings and reads back to the same rows; once
/// written, nothing changes any more.
fn decoded_rows_survive(format: Format, input: &[u8]) {
    let Some((&first, payload)) = input.split_first() else { return };
    let signal = Signal::ALL[usize::from(first) % Signal::ALL.len()];
    let (once, twice) = (read(signal, format, payload), read(signal, format, payload));
    let decoded = match (once, twice) {
        (Ok(once), Ok(twice)) => {
            assert_eq!(once.records, twice.records, "reading twice");
            assert_eq!((once.rejected, &once.message), (twice.rejected, &twice.message), "reading twice");
            once
        }
        (Err(once), Err(twice)) => return assert_eq!(once, twice, "refusing twice"),
        (once, twice) => panic!("{once:?} and {twice:?}"),
    };
    assert!(decoded.rejected == 0 || !decoded.message.is_empty(), "whatever is rejected has a reason");
    let written = [Format::Protobuf, Format::Json].map(|format| {
        let bytes = otlp::encode(signal, format, &decoded.records).expect("own rows can be written");
        read(signal, format, &bytes).expect("what we wrote can be read").records
    });
    assert_eq!(written[0].num_rows(), decoded.records.num_rows(), "no row is lost on the way");
    if forges_own_marks(payload) {
        return;
    }
    for (records, format) in written.iter().zip(["protobuf", "JSON"]) {
        assert_same(records, &decoded.records, format);
        let again = otlp::encode(signal, Format::Protobuf, records).expect("own rows can be written");
        assert_same(&read(signal, Format::Protobuf, &again).expect("readable").records, records, format);
    }
}

/// Events and links are kept as the bytes that came, which a writer may say otherwise (unknown fields, defaults).
fn assert_same(left: &RecordBatch, right: &RecordBatch, how: &str) {
    for (index, field) in right.schema().fields().iter().enumerate() {
        if ![signal::span::EVENTS, signal::span::LINKS].contains(&field.name().as_str()) {
            assert_eq!(left.column(index), right.column(index), "column {} through {how}", field.name());
        }
    }
}

/// Keys inside lists by which bytes and special numbers are told in JSON: a client that sends them is taken at its word,
/// and gets back what they mean.
fn forges_own_marks(payload: &[u8]) -> bool {
    let marks: [&[u8]; 4] = [b"\x1cb", b"\x1cd", b"\\u001c", b"\\u001C"];
    let has = |mark: &&[u8]| payload.windows(mark.len()).any(|window| window == *mark);
    // JSON can say a mark in many ways
    marks.iter().any(has) || payload.windows(2).any(|window| window == b"\\u")
}

/// The first byte tells encoding and limit. Nothing inflates past the limit; measuring and inflating agree.
pub fn inflate_input(input: &[u8]) {
    let Some((&first, body)) = input.split_first() else { return };
    let encoding = [Encoding::Identity, Encoding::Gzip, Encoding::Zstd][usize::from(first & 3) % 3];
    let limit_bytes = 1_u64 << (first >> 4);
    let body = Bytes::copy_from_slice(body);
    let measured = inflated_bytes(&body, encoding, limit_bytes);
    match (inflate(body.clone(), encoding, limit_bytes), measured) {
        (Ok(inflated), Ok(bytes)) => {
            assert_eq!(inflated.len() as u64, bytes);
            assert!(bytes <= limit_bytes);
            let exact = inflate_exactly(body, encoding, bytes).expect("fits exactly");
            assert_eq!(exact, inflated);
        }
        (Err(InflateError::TooLarge { .. }), Err(InflateError::TooLarge { .. })) => {}
        (Err(InflateError::Malformed { .. }), Err(InflateError::Malformed { .. })) => {}
        (inflated, measured) => panic!("{inflated:?} and {measured:?}"),
    }
}

/// The first byte tells signal, encoding and limit, the rest is the body of a call. It is one message to the last byte or
/// nothing; what is in it is inflated and read without a panic.
pub fn grpc(input: &[u8]) {
    let Some((&first, body)) = input.split_first() else { return };
    let limit_bytes = 1_u64 << (first >> 4);
    let unframed = match unframe(body, limit_bytes) {
        Ok(unframed) => unframed,
        Err(FramingError::TooLarge { limit_bytes: told }) => return assert_eq!(told, limit_bytes),
        Err(FramingError::Malformed(why)) => return assert!(!why.is_empty()),
    };
    let message = unframed.message;
    assert_eq!(message, &body[PREFIX_BYTES..], "all that follows the prefix");
    assert!(message.len() as u64 <= limit_bytes);
    assert_eq!(framing::frame(message)[1..], body[1..], "the length is the one that was told");
    assert_eq!(body[0], u8::from(unframed.is_compressed));
    let encoding = match (unframed.is_compressed, first & 2) {
        (false, _) => Encoding::Identity,
        (true, 0) => Encoding::Gzip,
        (true, _) => Encoding::Zstd,
    };
    let signal = Signal::ALL[usize::from(first & 1)];
    let Ok(inflated) = inflate(Bytes::copy_from_slice(message), encoding, limit_bytes) else { return };
    assert!(inflated.len() as u64 <= limit_bytes);
    // what a request means is the property of another target: here it only has to be read
    drop(read(signal, Format::Protobuf, &inflated));
}

/// Frames of the segment that is damaged.
const FRAMES: usize = 12;

/// A sound segment: its file name and bytes.
fn segment() -> &'static (String, Vec<u8>) {
    static SEGMENT: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    SEGMENT.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory");
        let (wal, _) = Wal::open(settings(dir.path()), |_, ()| {}).expect("an empty log opens");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        for number in 0..FRAMES {
            runtime.block_on(wal.append(frame(number), ())).expect("there is room");
        }
        wal.close();
        let mut files = std::fs::read_dir(dir.path()).expect("lists").filter_map(Result::ok).map(|entry| entry.path());
        let path = files.find(|path| path.extension().is_some_and(|ending| ending == "wal")).expect("a segment");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read(path).expect("reads"))
    })
}

fn settings(dir: &Path) -> wal::Settings {
    wal::Settings { segment_bytes: 64 << 10, budget_bytes: 1 << 20, reserve_bytes: 0, ..wal::Settings::new(dir) }
}

fn frame(number: usize) -> Frame {
    Frame {
        services: None,
        tenant: TenantId::default_tenant(),
        key_id: number.is_multiple_of(2).then(|| Arc::from("key-1")),
        signal: Signal::ALL[number % 2],
        format: wal::Format::Protobuf,
        received_at: UnixNanos(NOW + number as i64),
        // lengths that end on and between the eight bytes that frames begin at
        payload: Bytes::from(vec![number as u8 + 1; number * 13]),
    }
}

/// The input is damage: three bytes each for a place in the used part of the segment and what is done to the byte there;
/// two bytes left over cut the file. The log opens, and what it reads was written, in order, once.
pub fn frames(input: &[u8]) {
    let (name, sound) = segment();
    let used = sound.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    // a closed segment ends with its last frame; one that was killed goes on with zeros
    let mut bytes = sound[..used].to_vec();
    bytes.resize(used + 64, 0);
    let mut first_damage = usize::MAX;
    let (damages, rest) = input.as_chunks::<3>();
    for [high, low, change] in damages.iter().take(1_000) {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % (used + 64);
        bytes[at] ^= change;
        first_damage = first_damage.min(if *change == 0 { usize::MAX } else { at });
    }
    if let [high, low] = rest {
        let keep = usize::from(u16::from_be_bytes([*high, *low])) % (used + 64);
        bytes.truncate(keep);
        first_damage = first_damage.min(keep);
    }
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join(name), &bytes).expect("writes");
    let first = read_back(dir.path());
    // a segment with a damaged version number may be refused as newer, and then only that
    let Some(first) = first else { return assert!(first_damage < 64, "a sound header is never refused") };
    let sound_frames = (0..FRAMES).take_while(|number| end_of(*number) <= first_damage).count();
    assert!(first_damage < 64 || first.len() >= sound_frames, "frames before the damage are all read");
    assert_eq!(read_back(dir.path()), Some(first), "opening again changes nothing");
}

/// Where a frame ends in the segment, by the layout that `wal` documents.
fn end_of(number: usize) -> usize {
    (0..=number).fold(64, |at, number| {
        let frame = frame(number);
        let body = 12 + frame.tenant.as_str().len() + frame.key_id.map_or(0, |key| key.len()) + frame.payload.len();
        at + (24 + body).next_multiple_of(8)
    })
}

/// The numbers of the frames that are read; `None` when the log refuses the file.
fn read_back(dir: &Path) -> Option<Vec<u64>> {
    let opened = Wal::open(settings(dir), |_, ()| {});
    let (wal, _) = match opened {
        Ok(opened) => opened,
        Err(wal::WalError::NewerVersion { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    let mut reader = wal.reader(ReaderName::Archive);
    let mut found = Vec::new();
    while let Some(entry) = reader.next().expect("the log reads") {
        let number = usize::try_from(entry.lsn.0).expect("few frames") - 1;
        assert!(number < FRAMES && entry.frame == frame(number), "a frame that was never written");
        assert!(found.last().is_none_or(|last| *last < entry.lsn.0), "in order, once");
        found.push(entry.lsn.0);
    }
    wal.close();
    Some(found)
}
