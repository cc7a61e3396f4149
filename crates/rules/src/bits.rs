//! Rows of a batch as a set: one bit each.

/// A set of rows. All sets of one batch have the same length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    rows: usize,
}

impl Bits {
    /// No row of so many.
    pub fn none(rows: usize) -> Self {
        Self { words: vec![0; rows.div_ceil(64)], rows }
    }

    /// Every row of so many.
    pub fn all(rows: usize) -> Self {
        let mut all = Self { words: vec![u64::MAX; rows.div_ceil(64)], rows };
        all.cut();
        all
    }

    /// The rows for which something holds.
    pub fn collect(rows: usize, mut holds: impl FnMut(usize) -> bool) -> Self {
        let mut bits = Self::none(rows);
        (0..rows).filter(|row| holds(*row)).for_each(|row| bits.set(row));
        bits
    }

    /// Puts a row in; one that does not exist is left out.
    pub fn set(&mut self, row: usize) {
        if let Some(word) = self.words.get_mut(row / 64).filter(|_| row < self.rows) {
            *word |= 1 << (row % 64);
        }
    }

    /// Whether a row is in it.
    pub fn has(&self, row: usize) -> bool {
        self.words.get(row / 64).is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// Keeps the rows that the other set has too.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(left, right)| *left &= right);
        self
    }

    /// Takes in the rows of the other set.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(left, right)| *left |= right);
        self
    }

    /// Keeps the rows that the other set does not have.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        self.words.iter_mut().zip(&other.words).for_each(|(left, right)| *left &= !right);
        self
    }

    /// Whether there is no row in it.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The set, unless it is empty.
    pub fn some(self) -> Option<Self> {
        (!self.is_empty()).then_some(self)
    }

    /// The rows in it, in order.
    pub fn rows(&self) -> impl Iterator<Item = usize> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(at * 64 + bit)
            })
        })
    }

    fn cut(&mut self) {
        let beyond = self.rows % 64;
        if let Some(last) = self.words.last_mut().filter(|_| beyond != 0) {
            *last &= (1 << beyond) - 1;
        }
    }
}
