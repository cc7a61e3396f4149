//! Groups in order of use: a list through their places, so that a use costs the same however many there are.

const NONE: u32 = u32::MAX;

/// Places by last use.
#[derive(Debug)]
pub struct Recency {
    /// By place, the neighbours: the one used before it and the one used after it.
    links: Vec<(u32, u32)>,
    oldest: u32,
    newest: u32,
}

impl Default for Recency {
    fn default() -> Self {
        Self { links: Vec::new(), oldest: NONE, newest: NONE }
    }
}

impl Recency {
    /// Notes that a place was used; a new one joins.
    pub fn touch(&mut self, place: u32) {
        if self.newest == place {
            return;
        }
        if self.links.len() <= place as usize {
            self.links.resize(place as usize + 1, (NONE, NONE));
        }
        self.leave(place);
        self.links[place as usize] = (self.newest, NONE);
        match self.links.get_mut(self.newest as usize) {
            Some(newest) => newest.1 = place,
            None => self.oldest = place,
        }
        self.newest = place;
    }

    /// Takes a place out; one that is not in it stays so.
    pub fn leave(&mut self, place: u32) {
        let Some((before, after)) = self.links.get(place as usize).copied() else { return };
        if before == NONE && self.oldest != place {
            return;
        }
        match self.links.get_mut(before as usize) {
            Some(before) => before.1 = after,
            None => self.oldest = after,
        }
        match self.links.get_mut(after as usize) {
            Some(after) => after.0 = before,
            None => self.newest = before,
        }
        self.links[place as usize] = (NONE, NONE);
    }

    /// The place that was used least recently.
    pub fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Every place, least recently used first.
    pub fn places(&self) -> impl Iterator<Item = u32> + '_ {
        let mut next = self.oldest;
        std::iter::from_fn(move || {
            let place = next;
            next = self.links.get(place as usize)?.1;
            Some(place)
        })
    }
}
