//! Times put together to stretches: times that follow each other within a gap are one stretch.
//!
//! Which stretches a set of times makes does not depend on the order in which they come, and a time that falls into a
//! stretch costs a comparison. So the first sighting of a value after a long silence is the start of a stretch, and that
//! is known for certain once the watermark has passed it.

/// Stretches of one value, which are few but for senders with clocks far in the future, and files read in large batches:
/// more than the events of such a batch.
const STRETCHES: usize = 8_200;

/// Times without a gap, both ends included, with what is kept of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretch<T> {
    pub start: i64,
    pub end: i64,
    pub with: T,
}

/// Stretches in order of time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stretches<T>(Vec<Stretch<T>>);

/// What a time did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It lies in a stretch that starts here.
    Inside(i64),
    /// It begins a stretch.
    Began,
    /// It is the new start of the stretch that started here.
    Moved(i64),
    /// It closed the gap before the stretch that started here: that is none any more.
    Joined(i64),
    /// There are too many stretches: the latest, which started here, was dropped. The time may be the one.
    Dropped(i64),
}

impl<T: Default> Stretches<T> {
    /// Puts a time in. `join` puts what is kept of a later stretch to that of an earlier one.
    pub fn insert(&mut self, at: i64, gap: i64, join: impl FnOnce(&mut T, T)) -> Change {
        let after = self.0.partition_point(|stretch| stretch.start <= at);
        let reaches_back = after
            .checked_sub(1)
            .and_then(|before| self.0.get(before))
            .is_some_and(|before| at.saturating_sub(before.end) <= gap);
        let reaches_on = self.0.get(after).is_some_and(|next| next.start.saturating_sub(at) <= gap);
        if reaches_back && reaches_on {
            let next = self.0.remove(after);
            if let Some(before) = self.0.get_mut(after - 1) {
                before.end = next.end.max(before.end);
                join(&mut before.with, next.with);
            }
            return Change::Joined(next.start);
        }
        if reaches_back && let Some(before) = self.0.get_mut(after - 1) {
            before.end = at.max(before.end);
            return Change::Inside(before.start);
        }
        if reaches_on && let Some(next) = self.0.get_mut(after) {
            return Change::Moved(std::mem::replace(&mut next.start, at));
        }
        if self.0.is_empty() {
            // nearly every value has one stretch, and there are many values
            self.0.reserve_exact(1);
        }
        self.0.insert(after, Stretch { start: at, end: at, with: T::default() });
        if self.0.len() > STRETCHES
            && let Some(dropped) = self.0.pop()
        {
            return Change::Dropped(dropped.start);
        }
        Change::Began
    }

    /// The stretch that a time lies in.
    pub fn around(&mut self, at: i64) -> Option<&mut Stretch<T>> {
        let after = self.0.partition_point(|stretch| stretch.start <= at);
        self.0.get_mut(after.checked_sub(1)?).filter(|stretch| at <= stretch.end)
    }

    /// The end of the stretch before the one that starts here.
    pub fn end_before(&self, start: i64) -> Option<i64> {
        let before = self.0.partition_point(|stretch| stretch.start < start);
        self.0.get(before.checked_sub(1)?).map(|stretch| stretch.end)
    }

    /// Drops the stretches before the last one that starts before `floor`.
    pub fn trim(&mut self, floor: i64) {
        let begun = self.0.partition_point(|stretch| stretch.start < floor);
        if begun > 1 {
            self.0.drain(..begun - 1);
        }
    }

    /// Drops the stretch that starts here.
    pub fn forget(&mut self, start: i64) -> Option<T> {
        let place = self.0.binary_search_by_key(&start, |stretch| stretch.start).ok()?;
        Some(self.0.remove(place).with)
    }

    /// The latest time.
    pub fn end(&self) -> Option<i64> {
        self.0.last().map(|stretch| stretch.end)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Stretch<T>> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Stretch<T>> {
        self.0.iter_mut()
    }

    /// Stretches as they were written down: in order of time, none reaching the next.
    pub fn restore(stretches: Vec<Stretch<T>>) -> Option<Self> {
        let is_sound = stretches.iter().all(|stretch| stretch.start <= stretch.end)
            && stretches.windows(2).all(|pair| pair[0].end < pair[1].start);
        (is_sound && stretches.len() <= STRETCHES).then_some(Self(stretches))
    }

    /// Puts the stretches of another set of times to these. `join` as in [`Self::insert`].
    pub fn absorb(&mut self, others: Self, gap: i64, mut join: impl FnMut(&mut T, T)) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(others.0);
        all.sort_by_key(|stretch| stretch.start);
        for next in all {
            match self.0.last_mut().filter(|last| next.start.saturating_sub(last.end) <= gap) {
                Some(last) => {
                    last.end = next.end.max(last.end);
                    join(&mut last.with, next.with);
                }
                None => self.0.push(next),
            }
        }
        let surplus = self.0.len().saturating_sub(STRETCHES);
        self.0.drain(..surplus);
    }
}
