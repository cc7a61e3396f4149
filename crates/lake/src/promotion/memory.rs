//! Which keys have columns, from one merge to the next.

use super::{FORGET_SHARE, MAX_COLUMNS, PROMOTE_SHARE, PromotedKey, Sample};

/// Weight of what a merge saw against what was remembered.
const WEIGHT: f64 = 0.5;

/// A key that has a column, and how often it was seen lately.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Remembered {
    pub(crate) key: PromotedKey,
    /// Share of the rows that have it, the last merge counting half.
    pub(crate) share: f64,
}

/// What a merge does.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// The columns of the file it writes.
    pub(crate) columns: Vec<PromotedKey>,
    /// What the next merge of the tenant's signal finds.
    pub(crate) remembered: Vec<Remembered>,
    /// Keys that are frequent enough and have no column, because all are used up.
    pub(crate) refused: usize,
}

impl Chosen {
    /// No columns, and nothing new to remember.
    pub(crate) fn of(remembered: &[Remembered]) -> Self {
        Self { remembered: remembered.to_vec(), ..Self::default() }
    }
}

/// Chooses the columns of a file: every remembered key that was seen, and every other one that is frequent enough.
pub(crate) fn choose(remembered: &[Remembered], sample: &Sample) -> Chosen {
    let shares = sample.shares();
    let share_of = |key: &PromotedKey| shares.iter().find(|(seen, _)| *seen == key).map_or(0.0, |(_, share)| *share);
    let aged = |old: &Remembered| {
        let share = old.share + WEIGHT * (share_of(&old.key) - old.share);
        Remembered { key: old.key.clone(), share }
    };
    let mut next: Vec<Remembered> = remembered.iter().map(aged).collect();
    let mut refused = 0;
    for (key, share) in shares.iter().filter(|(_, share)| *share >= PROMOTE_SHARE) {
        if next.iter().any(|known| known.key == **key) {
            continue;
        }
        let new = Remembered { key: (*key).clone(), share: *share };
        let least = (0..next.len()).min_by(|left, right| next[*left].share.total_cmp(&next[*right].share));
        match least {
            _ if next.len() < MAX_COLUMNS => next.push(new),
            Some(least) if next[least].share < FORGET_SHARE => next[least] = new,
            _ => refused += 1,
        }
    }
    let seen = next.iter().filter(|known| share_of(&known.key) > 0.0).map(|known| known.key.clone());
    let columns = sample.in_order(seen.collect());
    Chosen { columns, remembered: next, refused }
}
