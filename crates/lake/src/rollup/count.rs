//! Counting the spans of one flush.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use foldhash::fast::RandomState;
use model::UnixNanos;
use model::signal::span::STATUS_ERROR;

use super::callers::{Flushed, Outside, Owner, SpanKey, Waiting};
use super::cells::{Key, Keys};
use super::columns::{Columns, Labels};
use crate::LakeError;

use super::{Call, Callers, Cell, MAX_SERVICES, OTHER, Operation, Rollup, Table};

/// OTLP kinds of spans that are the near side of a call.
const CALLING_KINDS: [i8; 2] = [3, 4];
/// Rows that are counted before it is asked again whether to go on: about a millisecond.
const ROWS_BETWEEN_LOOKS: usize = 8_192;

/// Counts the rows of `parts`, each of which is a file in the making, and tells what to remember for the next flush.
///
/// A copy of a span within the flush is not counted, unless another service has a span of the same id that came first. A call is a span whose parent is of another service, with the
/// callee's duration and status, or a calling span without a child that names its other side. A parent id that two
/// services share counts as the span's own service when one of the two is.
///
/// `goes_on` is asked now and then.
///
/// # Errors
/// When a column is missing or of another type; [`LakeError::Stopping`] when it does not go on.
pub(crate) fn count(
    parts: &[&[RecordBatch]],
    callers: &Callers,
    goes_on: &dyn Fn() -> bool,
) -> Result<(Vec<Rollup>, Callers), LakeError> {
    let mut all = Vec::new();
    let mut rows = 0;
    for (part, batches) in parts.iter().enumerate() {
        for batch in *batches {
            all.push(Columns::new(batch, rows, part)?);
            rows += batch.num_rows() as u32;
        }
    }
    let mut counting = Counting::of(callers, &all, parts.len());
    counting.flushed.owners.reserve(rows as usize);
    for columns in &all {
        counting.take(columns, goes_on)?;
    }
    for meet in [Counting::meet_waiting, Counting::meet_children, Counting::meet_outside] {
        go_on(goes_on)?;
        meet(&mut counting);
    }
    go_on(goes_on)?;
    Ok(counting.finish())
}

fn go_on(goes_on: &dyn Fn() -> bool) -> Result<(), LakeError> {
    if goes_on() { Ok(()) } else { Err(LakeError::Stopping) }
}

/// Caller and callee by their names' numbers, whether it is known from the caller's side only, whether it failed.
type CallOf = (u32, u32, bool, bool);

/// A span with a parent, until the parent is found.
struct Child {
    parent: SpanKey,
    service: u32,
    part: u32,
    step: i32,
    class: u16,
    is_error: bool,
}

/// What is counted of one file. The keys of its cells are numbers of their own until the end.
#[derive(Default)]
struct Part {
    /// Service, name, kind and status.
    operations: Numbers<(u32, u32, i8, i8)>,
    calls: Numbers<CallOf>,
    last_seen: HashMap<u32, i64, RandomState>,
}

#[derive(Default)]
struct Numbers<K> {
    of: HashMap<K, u32, RandomState>,
    cells: Vec<(u32, Cell)>,
}

struct Counting<'a> {
    callers: &'a Callers,
    all: &'a [Columns<'a>],
    flushed: Flushed,
    ids: HashMap<Arc<str>, u32, RandomState>,
    parts: Vec<Part>,
    children: Vec<Child>,
    /// Of each row, a hash of all that is said of it: tells a copy from another span of the same id.
    contents: Vec<u32>,
    waiting: Vec<Waiting>,
    answered: HashSet<SpanKey, RandomState>,
}

impl<'a> Counting<'a> {
    fn of(callers: &'a Callers, all: &'a [Columns<'a>], parts: usize) -> Self {
        Self {
            callers,
            all,
            flushed: Flushed::default(),
            ids: HashMap::default(),
            parts: (0..parts).map(|_| Part::default()).collect(),
            children: Vec::new(),
            contents: Vec::new(),
            waiting: Vec::new(),
            answered: HashSet::default(),
        }
    }

    fn take(&mut self, columns: &Columns<'_>, goes_on: &dyn Fn() -> bool) -> Result<(), LakeError> {
        let (services, names) = (self.names(&columns.service), self.names(&columns.name));
        let hasher = self.callers.hasher.clone();
        for row in 0..columns.len() {
            if row.is_multiple_of(ROWS_BETWEEN_LOOKS) {
                go_on(goes_on)?;
            }
            let trace = columns.trace_id.value(row);
            let key = hasher.hash_one((trace, columns.span_id.value(row)));
            let parent = columns.parent.is_valid(row).then(|| hasher.hash_one((trace, columns.parent.value(row))));
            let (service, name) = (services[columns.service.place(row)], names[columns.name.place(row)]);
            let (kind, status) = (columns.kind.value(row), columns.status.value(row));
            let (start, duration) = (columns.start.value(row), columns.duration.value(row));
            self.contents.push(hasher.hash_one((service, name, kind, status, start, duration, parent)) as u32);
            if !self.own(key, service, columns.first_row + row as u32, CALLING_KINDS.contains(&kind)) {
                continue;
            }
            let (step, class) = columns.place(row);
            let part = &mut self.parts[columns.part];
            part.operations.add((service, name, kind, status), step, class, 1);
            let latest = part.last_seen.entry(service).or_insert(start);
            *latest = start.max(*latest);
            let (part, is_error) = (columns.part as u32, status == STATUS_ERROR);
            self.children.extend(parent.map(|parent| Child { parent, service, part, step, class, is_error }));
        }
        Ok(())
    }

    /// The numbers of the texts of a label column by their place, and last that of a row without text.
    fn names(&mut self, labels: &Labels<'_>) -> Vec<u32> {
        let texts = labels.texts.iter().map(Option::unwrap_or_default).chain([""]);
        texts.map(|text| self.name(text)).collect()
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let text: Arc<str> = text.into();
        let id = self.flushed.names.len() as u32;
        self.flushed.names.push(Arc::clone(&text));
        self.ids.insert(text, id);
        id
    }

    /// Notes whose a span is; false for a copy of one that was there.
    fn own(&mut self, key: SpanKey, service: u32, row: u32, is_calling: bool) -> bool {
        let first = match self.flushed.owners.entry(key) {
            Entry::Occupied(taken) => *taken.get(),
            Entry::Vacant(free) => {
                free.insert(Owner { service, row, is_answered: false, is_calling });
                return true;
            }
        };
        if self.contents[first.row as usize] == self.contents[row as usize] {
            return false;
        }
        if first.service != service {
            let further = self.flushed.shared.entry(key).or_default();
            if !further.contains(&service) {
                further.push(service);
            }
        }
        true
    }

    /// Children of earlier flushes whose parents have come now: counted where and when the parent is.
    fn meet_waiting(&mut self) {
        let remembered = self.callers;
        for child in remembered.waiting.iter() {
            let Some(parent) = self.flushed.owners.get_mut(&child.parent) else {
                self.waiting.push(Waiting { rounds: child.rounds + 1, ..child.clone() });
                continue;
            };
            parent.is_answered = true;
            let row = parent.row;
            let columns = self.columns_of(row);
            let (part, (step, _)) = (columns.part, columns.place((row - columns.first_row) as usize));
            let service = self.name(&child.service);
            let callers: Vec<u32> = self.flushed.services_of(child.parent).collect();
            self.called(
                &callers,
                &Child {
                    parent: child.parent,
                    service,
                    part: part as u32,
                    step,
                    class: child.class,
                    is_error: child.is_error,
                },
            );
        }
    }

    fn meet_children(&mut self) {
        for child in std::mem::take(&mut self.children) {
            if let Some(parent) = self.flushed.owners.get_mut(&child.parent) {
                parent.is_answered = true;
                if parent.service == child.service {
                    continue;
                }
                let callers: Vec<u32> = self.flushed.services_of(child.parent).collect();
                self.called(&callers, &child);
            } else if let Some(found) = self.callers.find(child.parent) {
                let callers: Vec<u32> = found.services.iter().map(|service| self.name(service)).collect();
                if let Some((callee, outside)) = found.taken_for
                    && self.answered.insert(child.parent)
                {
                    let call = (callers[0], self.name(&callee), true, outside.is_error);
                    self.parts[child.part as usize].calls.add(call, child.step, outside.class, -1);
                }
                self.called(&callers, &child);
            } else {
                let service = Arc::clone(&self.flushed.names[child.service as usize]);
                let Child { parent, class, is_error, .. } = child;
                self.waiting.push(Waiting { parent, service, class, is_error, rounds: 0 });
            }
        }
    }

    fn called(&mut self, callers: &[u32], child: &Child) {
        if callers.contains(&child.service) {
            return;
        }
        let calls = &mut self.parts[child.part as usize].calls;
        for caller in callers {
            calls.add((*caller, child.service, false, child.is_error), child.step, child.class, 1);
        }
    }

    /// Calling spans that nobody answered, and that name their other side.
    fn meet_outside(&mut self) {
        let mut outside = Vec::new();
        for (key, owner) in self.flushed.owners.iter().filter(|(_, owner)| owner.is_calling && !owner.is_answered) {
            let columns = self.columns_of(owner.row);
            let row = (owner.row - columns.first_row) as usize;
            let own_name = &self.flushed.names[owner.service as usize];
            if let Some(peer) = columns.peer(row).filter(|peer| **peer != **own_name) {
                let is_error = columns.status.value(row) == STATUS_ERROR;
                outside.push((*key, owner.service, peer, columns.part, columns.place(row), is_error));
            }
        }
        for (key, caller, peer, part, (step, class), is_error) in outside {
            let callee = self.name(&peer);
            self.parts[part].calls.add((caller, callee, true, is_error), step, class, 1);
            self.flushed.outside.insert(key, Outside { callee, class, is_error });
        }
    }

    fn columns_of(&self, row: u32) -> &'a Columns<'a> {
        let all = self.all;
        &all[all.partition_point(|columns| columns.first_row <= row) - 1]
    }

    fn finish(self) -> (Vec<Rollup>, Callers) {
        let names = &self.flushed.names;
        let rollups = self.parts.into_iter().map(|part| part.finish(names)).collect();
        let answered = self.answered.into_iter().collect();
        (rollups, self.callers.after(self.flushed.compact(), self.waiting, answered))
    }
}

impl<K: Copy + Eq + std::hash::Hash> Numbers<K> {
    fn add(&mut self, key: K, step: i32, class: u16, count: i64) {
        let next = self.of.len() as u32;
        let number = *self.of.entry(key).or_insert(next);
        self.cells.push((number, Cell { key: 0, step, class, count }));
    }

    /// The table under real keys.
    fn finish<R: Key>(self, key: impl Fn(K) -> R) -> Table<R> {
        let mut numbered: Vec<(K, u32)> = self.of.into_iter().collect();
        // in the order of their coming, so that the same rows always make the same table
        numbered.sort_unstable_by_key(|(_, number)| *number);
        let mut keys = Keys::default();
        let places: Vec<u16> = numbered.into_iter().map(|(numbers, _)| keys.place(key(numbers))).collect();
        let cells = self.cells.into_iter().map(|(number, cell)| Cell { key: places[number as usize], ..cell });
        Table::new(keys.all, cells.collect())
    }
}

impl Part {
    fn finish(self, names: &[Arc<str>]) -> Rollup {
        let mut services: Vec<u32> = self.last_seen.keys().copied().collect();
        // the busiest are not known yet; which ones stay must not depend on chance
        services.sort_unstable();
        services.truncate(MAX_SERVICES);
        let told: HashSet<u32, RandomState> = services.into_iter().collect();
        let service = |number: u32| match told.contains(&number) {
            true => names[number as usize].to_string(),
            false => OTHER.to_owned(),
        };
        let name = |number: u32| names[number as usize].to_string();
        let operations = self.operations.finish(|(of, named, kind, status)| Operation {
            service: service(of),
            name: name(named),
            kind,
            status,
        });
        let calls = self.calls.finish(|(caller, callee, is_outside, is_error)| Call {
            caller: name(caller),
            callee: name(callee),
            is_outside,
            is_error,
        });
        let mut last_seen: BTreeMap<String, UnixNanos> = BTreeMap::new();
        for (number, nanos) in self.last_seen {
            let latest = last_seen.entry(service(number)).or_insert(UnixNanos(nanos));
            *latest = UnixNanos(nanos).max(*latest);
        }
        Rollup { operations, calls, last_seen }
    }
}
