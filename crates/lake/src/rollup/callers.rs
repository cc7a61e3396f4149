//! What is remembered from flush to flush, so that a call is counted when its two sides come apart.
//!
//! A child usually ends, and comes, before its parent. Children whose parent has not come yet wait; spans of the last
//! flushes are kept with their services for children that come later. Both are bounded, and what falls out is a call that
//! is not counted. Nothing of this outlives a restart.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use foldhash::fast::RandomState;
use model::TenantId;

/// Flushes whose spans are remembered at most.
const MAX_FLUSHES: usize = 8;
/// Spans remembered at most, but for those of the last flush: about 24 bytes each.
const MAX_SPANS: usize = 512 << 10;
/// Spans remembered of all tenants together, but for those of the last flush; those of the tenants that were silent for
/// longest go first.
pub(super) const MAX_ALL_SPANS: usize = 2 << 20;
/// Flushes without spans of a tenant after which it is forgotten: ten minutes where one comes every ten seconds.
pub(super) const MAX_SILENT_FLUSHES: u32 = 60;
/// Children that wait at most; the oldest go first.
const MAX_WAITING: usize = 128 << 10;
/// Flushes for which a child waits at most.
const MAX_ROUNDS: u8 = 8;

/// Trace and span id folded into one number.
pub(crate) type SpanKey = u64;
pub(crate) type BySpan<T> = HashMap<SpanKey, T, RandomState>;

/// What one tenant's last flushes had. Replaced as a whole, like the version it belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Callers {
    /// Folds ids the same way as long as the process lives, and nobody outside knows how.
    pub(crate) hasher: RandomState,
    /// Latest last.
    recent: Vec<Arc<Flushed>>,
    /// Oldest first.
    pub(crate) waiting: Arc<Vec<Waiting>>,
    /// Spans of `recent` that were counted as calls to the outside, and whose other side came after all.
    answered: Arc<HashSet<SpanKey, RandomState>>,
}

/// What is remembered of every tenant. Replaced as a whole, like the version it belongs to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remembered(HashMap<TenantId, OfTenant>);

#[derive(Debug, Clone)]
struct OfTenant {
    callers: Arc<Callers>,
    /// Flushes since its last spans.
    silent_flushes: u32,
}

/// The spans of one flush.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    pub(crate) names: Vec<Arc<str>>,
    pub(crate) owners: BySpan<Owner>,
    /// Further services with a span of the same id, the way Zipkin clients share them.
    pub(crate) shared: BySpan<Vec<u32>>,
    /// Spans counted as calls to the outside.
    pub(crate) outside: BySpan<Outside>,
}

/// Whose a span is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owner {
    /// Place of the service among the names.
    pub(crate) service: u32,
    /// Place of the row among all rows of the flush.
    pub(crate) row: u32,
    /// Whether a child was seen.
    pub(crate) is_answered: bool,
    /// Whether it is the near side of a call.
    pub(crate) is_calling: bool,
}

/// A call to the outside as it was counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outside {
    pub(crate) callee: u32,
    pub(crate) class: u16,
    pub(crate) is_error: bool,
}

/// A span whose parent has not come yet.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) parent: SpanKey,
    pub(crate) service: Arc<str>,
    pub(crate) class: u16,
    pub(crate) is_error: bool,
    pub(crate) rounds: u8,
}

/// Where a parent was found among the last flushes.
pub(crate) struct Found {
    pub(crate) services: Vec<Arc<str>>,
    /// The call to the outside that it was taken for.
    pub(crate) taken_for: Option<(Arc<str>, Outside)>,
}

impl Flushed {
    /// Without the names that are not looked up any more, those of operations.
    pub(crate) fn compact(mut self) -> Self {
        let mut numbers: HashMap<u32, u32, RandomState> = HashMap::default();
        let mut names = Vec::new();
        let before = &self.names;
        let mut number = |old: &mut u32| {
            *old = *numbers.entry(*old).or_insert_with(|| {
                names.push(Arc::clone(&before[*old as usize]));
                names.len() as u32 - 1
            });
        };
        self.owners.values_mut().for_each(|owner| number(&mut owner.service));
        self.shared.values_mut().flatten().for_each(&mut number);
        self.outside.values_mut().for_each(|outside| number(&mut outside.callee));
        self.names = names;
        self
    }

    /// The services that a span is of.
    pub(crate) fn services_of(&self, key: SpanKey) -> impl Iterator<Item = u32> {
        let first = self.owners.get(&key).map(|owner| owner.service);
        // empty nearly always
        let further = if self.shared.is_empty() { None } else { self.shared.get(&key) };
        first.into_iter().chain(further.into_iter().flatten().copied())
    }
}

impl Remembered {
    /// What is remembered of a tenant; nothing of one that is not known.
    pub(crate) fn of(&self, tenant: &TenantId) -> Arc<Callers> {
        self.0.get(tenant).map(|known| Arc::clone(&known.callers)).unwrap_or_default()
    }

    /// What is remembered after one more flush, which had spans of the tenants given. A tenant that is silent is forgotten
    /// after a while, and sooner when there are many: its next calls with earlier spans are then not counted.
    pub(crate) fn after(&self, next: impl IntoIterator<Item = (TenantId, Callers)>) -> Self {
        let mut tenants = self.0.clone();
        tenants.values_mut().for_each(|known| known.silent_flushes += 1);
        for (tenant, callers) in next {
            tenants.insert(tenant, OfTenant { callers: Arc::new(callers), silent_flushes: 0 });
        }
        tenants.retain(|_, known| known.silent_flushes <= MAX_SILENT_FLUSHES);
        let mut spans: usize = tenants.values().map(|known| known.callers.sizes().0).sum();
        if spans > MAX_ALL_SPANS {
            let mut silent: Vec<(u32, TenantId)> =
                tenants.iter().map(|(tenant, known)| (known.silent_flushes, tenant.clone())).collect();
            silent.retain(|(flushes, _)| *flushes > 0);
            silent.sort_unstable();
            while spans > MAX_ALL_SPANS
                && let Some((_, tenant)) = silent.pop()
            {
                spans -= tenants.remove(&tenant).map_or(0, |known| known.callers.sizes().0);
            }
        }
        Self(tenants)
    }

    /// Spans remembered, and children waiting.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        let sizes = self.0.values().map(|known| known.callers.sizes());
        sizes.fold((0, 0), |sum, next| (sum.0 + next.0, sum.1 + next.1))
    }
}

impl Callers {
    /// Looks for a span among the last flushes.
    pub(crate) fn find(&self, key: SpanKey) -> Option<Found> {
        let flushed = self.recent.iter().rev().find(|flushed| flushed.owners.contains_key(&key))?;
        let name = |place: u32| Arc::clone(&flushed.names[place as usize]);
        let taken_for = flushed.outside.get(&key).filter(|_| !self.answered.contains(&key));
        Some(Found {
            services: flushed.services_of(key).map(name).collect(),
            taken_for: taken_for.map(|outside| (name(outside.callee), *outside)),
        })
    }

    /// What is remembered after one more flush.
    pub(crate) fn after(&self, flushed: Flushed, mut waiting: Vec<Waiting>, answered: Vec<SpanKey>) -> Self {
        let mut recent = self.recent.clone();
        recent.push(Arc::new(flushed));
        let spans = |recent: &[Arc<Flushed>]| recent.iter().map(|flushed| flushed.owners.len()).sum::<usize>();
        while recent.len() > 1 && (recent.len() > MAX_FLUSHES || spans(&recent) > MAX_SPANS) {
            recent.remove(0);
        }
        waiting.retain(|child| child.rounds <= MAX_ROUNDS);
        waiting.drain(..waiting.len().saturating_sub(MAX_WAITING));
        let is_remembered = |key: &SpanKey| recent.iter().any(|flushed| flushed.outside.contains_key(key));
        let answered = self.answered.iter().copied().chain(answered).filter(is_remembered).collect();
        Self { hasher: self.hasher.clone(), recent, waiting: Arc::new(waiting), answered: Arc::new(answered) }
    }

    /// Spans remembered, and children waiting.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.recent.iter().map(|flushed| flushed.owners.len()).sum(), self.waiting.len())
    }
}
