//! Which alerts were raised lately, so that repeats are held back.

use std::collections::HashMap;

/// More remembered alerts than this and the oldest are forgotten.
const REMEMBERED: usize = 100_000;

/// The last alert of each rule and group, in event time.
#[derive(Debug, Default)]
pub struct Mute {
    last: HashMap<String, (i64, i64)>,
    pruned_at: i64,
}

/// Looking for what can be forgotten is worth it this often, in event time.
const PRUNE_NANOS: i64 = 10_000_000_000;

impl Mute {
    /// Whether an alert at `at` is a repeat; remembers it when it is not.
    pub fn is_repeat(&mut self, key: String, at: i64, for_nanos: i64) -> bool {
        if let Some((last, _)) = self.last.get_mut(&key) {
            if at.abs_diff(*last) < for_nanos.unsigned_abs() {
                return true;
            }
            *last = at.max(*last);
            return false;
        }
        if self.last.len() >= REMEMBERED {
            self.forget_half();
        }
        self.last.insert(key, (at, for_nanos));
        false
    }

    /// Forgets what can no longer hold anything back.
    pub fn prune(&mut self, floor: i64) {
        if floor.saturating_sub(self.pruned_at) < PRUNE_NANOS {
            return;
        }
        self.pruned_at = floor;
        self.last.retain(|_, (last, for_nanos)| last.saturating_add(*for_nanos) >= floor);
    }

    /// What can still hold something back: key, time, for how long.
    pub fn entries(&self, floor: i64) -> impl Iterator<Item = (&String, i64, i64)> {
        let entries = self.last.iter().map(|(key, (last, for_nanos))| (key, *last, *for_nanos));
        entries.filter(move |(_, last, for_nanos)| last.saturating_add(*for_nanos) >= floor)
    }

    /// Takes back what was remembered.
    pub fn insert(&mut self, key: String, at: i64, for_nanos: i64) {
        self.last.insert(key, (at, for_nanos));
    }

    fn forget_half(&mut self) {
        let mut times: Vec<i64> = self.last.values().map(|(last, _)| *last).collect();
        times.sort_unstable();
        let middle = times[times.len() / 2];
        self.last.retain(|_, (last, _)| *last > middle);
    }
}
