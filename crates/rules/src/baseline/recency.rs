//! Items by key, in the order in which they were used last: finding, using and forgetting one costs the same however many
//! there are.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// No item.
const NONE: u32 = u32::MAX;

/// Identity of what is remembered: the first half of a SHA-256, so that nobody can choose values that are taken for others.
pub type Digest = [u8; 16];

#[derive(Debug)]
struct Slot<T> {
    key: Digest,
    older: u32,
    newer: u32,
    /// `None` in a slot that is free.
    item: Option<T>,
}

/// Items by key and by last use.
#[derive(Debug)]
pub struct Recency<T> {
    index: HashMap<Digest, u32, RandomState>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
}

impl<T> Default for Recency<T> {
    fn default() -> Self {
        Self { index: HashMap::default(), slots: Vec::new(), free: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl<T> Recency<T> {
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn get(&self, key: &Digest) -> Option<&T> {
        self.slots.get(*self.index.get(key)? as usize)?.item.as_ref()
    }

    /// An item without using it.
    pub fn get_mut(&mut self, key: &Digest) -> Option<&mut T> {
        self.slots.get_mut(*self.index.get(key)? as usize)?.item.as_mut()
    }

    /// Uses an item.
    pub fn touch(&mut self, key: &Digest) -> Option<&mut T> {
        let place = *self.index.get(key)?;
        if place != self.newest {
            self.unlink(place);
            self.link_newest(place);
        }
        self.slots.get_mut(place as usize)?.item.as_mut()
    }

    /// Puts an item in as the one used last; there must be none of this key.
    pub fn insert(&mut self, key: Digest, item: T) {
        let place = self.place(key, item);
        self.link_newest(place);
    }

    /// Puts an item in as the one used longest ago; there must be none of this key.
    pub fn insert_oldest(&mut self, key: Digest, item: T) {
        let place = self.place(key, item);
        let newer = std::mem::replace(&mut self.oldest, place);
        if let Some(slot) = self.slots.get_mut(place as usize) {
            slot.newer = newer;
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = place,
            None => self.newest = place,
        }
    }

    pub fn remove(&mut self, key: &Digest) -> Option<T> {
        let place = self.index.remove(key)?;
        self.unlink(place);
        self.free.push(place);
        self.slots.get_mut(place as usize)?.item.take()
    }

    /// The item used longest ago.
    pub fn oldest(&self) -> Option<(&Digest, &T)> {
        let slot = self.slots.get(self.oldest as usize)?;
        Some((&slot.key, slot.item.as_ref()?))
    }

    /// Every item, the one used longest ago first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Digest, &T)> {
        let mut places = Vec::with_capacity(self.len());
        let mut place = self.oldest;
        while let Some(slot) = self.slots.get(place as usize) {
            places.push(place);
            place = slot.newer;
        }
        places.into_iter().filter_map(|place| {
            let slot = self.slots.get(place as usize)?;
            Some((&slot.key, slot.item.as_ref()?))
        })
    }

    fn place(&mut self, key: Digest, item: T) -> u32 {
        let slot = Slot { key, older: NONE, newer: NONE, item: Some(item) };
        let place = match self.free.pop() {
            Some(place) => {
                if let Some(free) = self.slots.get_mut(place as usize) {
                    *free = slot;
                }
                place
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
            }
        };
        self.index.insert(key, place);
        place
    }

    fn link_newest(&mut self, place: u32) {
        let older = std::mem::replace(&mut self.newest, place);
        if let Some(slot) = self.slots.get_mut(place as usize) {
            (slot.older, slot.newer) = (older, NONE);
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = place,
            None => self.oldest = place,
        }
    }

    fn unlink(&mut self, place: u32) {
        let Some((older, newer)) = self.slots.get(place as usize).map(|slot| (slot.older, slot.newer)) else { return };
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }
}
