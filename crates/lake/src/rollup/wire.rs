//! A roll-up as two sections of a sidecar: what it comes to, and how that spreads over the steps.
//!
//! Numbers are LEB128 varints, signed ones zigzag; texts are a length and UTF-8.
//!
//! ```text
//! totals  = version u8 = 1, length of the body u32, zstd of the body
//! body    = texts: count, each a text
//!           services: count, each: text number, latest start less the one before (signed)
//!           operations: count, each: service, name, kind u8, status u8; cells
//!           calls: count, each: caller, callee, flags u8 (1 outside, 2 error); cells
//!           blocks: count, each: service or none (number of the text + 1), length of the block
//! steps   = the blocks one after another; each: length of its body u32, zstd of the body; body = cells
//! cells   = count, each: tag, then what the tag says has changed, then the count unless it is 1
//!           tag = what is left of the number << 3 | is one << 2 | what
//!           what 0: class + number; 1: step + number, then class; 2: key + number, then step (signed, from 0), then class
//! ```
//!
//! The block without service has the cells of the calls; the others have those of one service's operations.

use std::collections::{BTreeMap, HashMap};

use model::UnixNanos;

use super::{Call, Cell, Operation, Rollup, Table};
use crate::sidecar::Cursor;

/// Kind of the section with the totals.
pub(crate) const TOTALS: u32 = 4;
/// Kind of the section with the steps.
pub(crate) const STEPS: u32 = 5;
const VERSION: u8 = 1;
/// A body that says it is longer than any can be is damaged.
const MAX_BODY_BYTES: usize = 256 << 20;
const ZSTD_LEVEL: i32 = 3;

/// The sections of a roll-up.
pub(crate) fn sections(rollup: &Rollup) -> Vec<(u32, Vec<u8>)> {
    let mut texts = Texts::default();
    let mut keys = Vec::new();
    put(&mut keys, rollup.last_seen.len() as u64);
    let mut before = 0_i64;
    for (service, time) in &rollup.last_seen {
        put(&mut keys, texts.number(service));
        put_signed(&mut keys, time.0.wrapping_sub(before));
        before = time.0;
    }
    put(&mut keys, rollup.operations.keys().len() as u64);
    for operation in rollup.operations.keys() {
        put(&mut keys, texts.number(&operation.service));
        put(&mut keys, texts.number(&operation.name));
        keys.extend([operation.kind as u8, operation.status as u8]);
    }
    put_cells(&mut keys, &rollup.operations.totals());
    put(&mut keys, rollup.calls.keys().len() as u64);
    for call in rollup.calls.keys() {
        put(&mut keys, texts.number(&call.caller));
        put(&mut keys, texts.number(&call.callee));
        keys.push(u8::from(call.is_outside) | (u8::from(call.is_error) << 1));
    }
    put_cells(&mut keys, &rollup.calls.totals());
    let mut steps = Vec::new();
    let mut blocks: Vec<(u64, usize)> = Vec::new();
    let of_service = |cell: &Cell| &rollup.operations.keys()[usize::from(cell.key)].service;
    for cells in rollup.operations.cells().chunk_by(|left, right| of_service(left) == of_service(right)) {
        blocks.push((texts.number(of_service(&cells[0])) + 1, put_block(&mut steps, cells)));
    }
    blocks.push((0, put_block(&mut steps, rollup.calls.cells())));
    put(&mut keys, blocks.len() as u64);
    for (service, length) in blocks {
        put(&mut keys, service);
        put(&mut keys, length as u64);
    }
    let mut totals = vec![VERSION];
    let mut body = texts.written();
    body.extend(keys);
    put_compressed(&mut totals, &body);
    vec![(TOTALS, totals), (STEPS, steps)]
}

/// What the totals say.
#[derive(Debug)]
pub(crate) struct Totals {
    /// With every step as step 0.
    pub(crate) rollup: Rollup,
    /// The blocks of the steps: whose operations, `None` for calls, and how long.
    blocks: Vec<(Option<String>, usize)>,
}

/// Which blocks to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blocks<'a> {
    All,
    Of(&'a str),
}

impl Totals {
    /// `None` when this is no section of this kind, or of a version that is not known.
    pub(crate) fn read(section: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(section);
        if cursor.take(1)? != [VERSION] {
            return None;
        }
        let length = cursor.u32()? as usize;
        let body = decompressed(cursor.0, length)?;
        let mut cursor = Cursor(&body);
        let mut texts = Vec::new();
        for _ in 0..number(&mut cursor)? {
            let length = usize::try_from(number(&mut cursor)?).ok()?;
            texts.push(std::str::from_utf8(cursor.take(length)?).ok()?);
        }
        let text = |cursor: &mut Cursor<'_>| {
            let place = usize::try_from(number(cursor)?).ok()?;
            texts.get(place).map(|text| (*text).to_owned())
        };
        let (mut last_seen, mut before) = (BTreeMap::new(), 0_i64);
        for _ in 0..number(&mut cursor)? {
            let service = text(&mut cursor)?;
            before = before.wrapping_add(signed(&mut cursor)?);
            last_seen.insert(service, UnixNanos(before));
        }
        let mut operations = Vec::new();
        for _ in 0..number(&mut cursor)? {
            let (service, name) = (text(&mut cursor)?, text(&mut cursor)?);
            let [kind, status] = cursor.take(2)?.try_into().ok()?;
            let byte: fn(u8) -> i8 = |byte| byte as i8;
            operations.push(Operation { service, name, kind: byte(kind), status: byte(status) });
        }
        let operations = Table::from_parts(operations, cells(&mut cursor)?)?;
        let mut calls = Vec::new();
        for _ in 0..number(&mut cursor)? {
            let (caller, callee) = (text(&mut cursor)?, text(&mut cursor)?);
            let flags = cursor.take(1)?[0];
            calls.push(Call { caller, callee, is_outside: flags & 1 != 0, is_error: flags & 2 != 0 });
        }
        let calls = Table::from_parts(calls, cells(&mut cursor)?)?;
        let mut blocks = Vec::new();
        for _ in 0..number(&mut cursor)? {
            let service = match number(&mut cursor)? {
                0 => None,
                next => Some((*texts.get(usize::try_from(next - 1).ok()?)?).to_owned()),
            };
            blocks.push((service, usize::try_from(number(&mut cursor)?).ok()?));
        }
        Some(Self { rollup: Rollup { operations, calls, last_seen }, blocks })
    }

    /// The same with its steps, as far as they are wanted; `None` when the section does not fit.
    pub(crate) fn with_steps(self, section: &[u8], wanted: Blocks<'_>) -> Option<Rollup> {
        let mut cursor = Cursor(section);
        let (mut operation_cells, mut call_cells) = (Vec::new(), Vec::new());
        for (service, length) in &self.blocks {
            let block = cursor.take(*length)?;
            let is_wanted = match (wanted, service) {
                (Blocks::All, _) => true,
                (Blocks::Of(wanted), service) => service.as_deref() == Some(wanted),
            };
            if !is_wanted {
                continue;
            }
            let mut head = Cursor(block);
            let length = head.u32()? as usize;
            let found = cells(&mut Cursor(&decompressed(head.0, length)?))?;
            match service {
                Some(_) => operation_cells.extend(found),
                None => call_cells.extend(found),
            }
        }
        let Rollup { operations, calls, last_seen } = self.rollup;
        Some(Rollup {
            operations: Table::from_parts(operations.into_keys(), operation_cells)?,
            calls: Table::from_parts(calls.into_keys(), call_cells)?,
            last_seen,
        })
    }
}

#[derive(Default)]
struct Texts<'a> {
    places: HashMap<&'a str, u64>,
    all: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn number(&mut self, text: &'a str) -> u64 {
        *self.places.entry(text).or_insert_with(|| {
            self.all.push(text);
            self.all.len() as u64 - 1
        })
    }

    fn written(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.all.len() as u64);
        for text in &self.all {
            put(&mut out, text.len() as u64);
            out.extend(text.as_bytes());
        }
        out
    }
}

/// Writes cells as a block; returns its length.
fn put_block(out: &mut Vec<u8>, cells: &[Cell]) -> usize {
    let (mut body, before) = (Vec::new(), out.len());
    put_cells(&mut body, cells);
    put_compressed(out, &body);
    out.len() - before
}

fn put_compressed(out: &mut Vec<u8>, body: &[u8]) {
    out.extend((body.len() as u32).to_le_bytes());
    // only ever fails for want of memory, and then what follows says that the section is no use
    out.extend(zstd::bulk::compress(body, ZSTD_LEVEL).unwrap_or_default());
}

fn decompressed(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    if length > MAX_BODY_BYTES {
        return None;
    }
    zstd::bulk::decompress(bytes, length).ok().filter(|body| body.len() == length)
}

fn put_cells(out: &mut Vec<u8>, cells: &[Cell]) {
    put(out, cells.len() as u64);
    let mut before = Cell { key: 0, step: 0, class: 0, count: 0 };
    for (index, cell) in cells.iter().enumerate() {
        let one = u64::from(cell.count == 1) << 2;
        if index == 0 || cell.key != before.key {
            put(out, (u64::from(cell.key - before.key) << 3) | one | 2);
            put_signed(out, i64::from(cell.step));
            put(out, u64::from(cell.class));
        } else if cell.step != before.step {
            put(out, ((i64::from(cell.step) - i64::from(before.step)) as u64) << 3 | one | 1);
            put(out, u64::from(cell.class));
        } else {
            put(out, (u64::from(cell.class - before.class) << 3) | one);
        }
        if one == 0 {
            put_signed(out, cell.count);
        }
        before = *cell;
    }
}

fn cells(cursor: &mut Cursor<'_>) -> Option<Vec<Cell>> {
    let count = usize::try_from(number(cursor)?).ok()?;
    // a cell takes a byte at least
    let mut cells = Vec::with_capacity(count.min(cursor.0.len()));
    let mut cell = Cell { key: 0, step: 0, class: 0, count: 0 };
    for _ in 0..count {
        let tag = number(cursor)?;
        let more = tag >> 3;
        match tag & 3 {
            0 => cell.class = cell.class.checked_add(u16::try_from(more).ok()?)?,
            1 => {
                cell.step = cell.step.checked_add_unsigned(u32::try_from(more).ok()?)?;
                cell.class = u16::try_from(number(cursor)?).ok()?;
            }
            2 => {
                cell.key = cell.key.checked_add(u16::try_from(more).ok()?)?;
                cell.step = i32::try_from(signed(cursor)?).ok()?;
                cell.class = u16::try_from(number(cursor)?).ok()?;
            }
            _ => return None,
        }
        cell.count = if tag & 4 != 0 { 1 } else { signed(cursor)? };
        cells.push(cell);
    }
    Some(cells)
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_signed(out: &mut Vec<u8>, number: i64) {
    put(out, ((number << 1) ^ (number >> 63)) as u64);
}

fn number(cursor: &mut Cursor<'_>) -> Option<u64> {
    let mut found = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = cursor.take(1)?[0];
        found |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(found);
        }
    }
    None
}

fn signed(cursor: &mut Cursor<'_>) -> Option<i64> {
    let number = number(cursor)?;
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}
