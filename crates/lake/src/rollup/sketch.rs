//! Durations by size class, from which percentiles follow.
//!
//! Class 0 holds what took no time; class `1 + 8 e + s` holds durations from `2^(e + s/8)` up to the next, in
//! nanoseconds: the base-2 exponential histogram of OpenTelemetry at scale 3 with the bounds below instead of above. A
//! value told from a class is at most half a class off, a factor of `2^(1/16)`, 4.5 %.

/// Number of size classes.
pub(crate) const CLASSES: usize = 505;
/// Classes per power of two.
const PER_OCTAVE: u32 = 8;
/// `2^(63 + s/8)` for s from 1 to 7, rounded up.
const BOUNDS: [u64; 7] = [
    10_058_158_527_438_640_871,
    10_968_499_650_544_839_024,
    11_961_233_684_655_323_371,
    13_043_817_825_332_782_213,
    14_224_384_202_002_324_190,
    15_511_800_964_685_064_949,
    16_915_738_899_553_466_671,
];

/// The size class of a duration in nanoseconds; negative ones count as 0.
pub(crate) fn class_of(duration_nanos: i64) -> u16 {
    if duration_nanos <= 0 {
        return 0;
    }
    let nanos = duration_nanos as u64;
    let zeros = nanos.leading_zeros();
    let scaled = nanos << zeros;
    let within = BOUNDS.iter().map(|bound| u32::from(scaled >= *bound)).sum::<u32>();
    (1 + (63 - zeros) * PER_OCTAVE + within) as u16
}

/// Where a class begins, in nanoseconds.
fn bound_of(class: f64) -> f64 {
    ((class - 1.0) / f64::from(PER_OCTAVE)).exp2()
}

/// Counts by size class.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sketch {
    /// By class; shorter when the upper classes are empty.
    counts: Vec<i64>,
}

impl Sketch {
    /// Adds `count` durations of a class.
    pub fn add(&mut self, class: u16, count: i64) {
        let class = usize::from(class).min(CLASSES - 1);
        if self.counts.len() <= class {
            self.counts.resize(class + 1, 0);
        }
        self.counts[class] += count;
    }

    /// Adds all that another one has.
    pub fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, more)| *own += more);
    }

    /// The durations in nanoseconds below which the given shares lie; 0 when there are none.
    pub fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [i64; N] {
        // what was taken back from a class that does not have it is nothing
        let total: i64 = self.counts.iter().map(|count| (*count).max(0)).sum();
        shares.map(|share| {
            let place = share * (total - 1).max(0) as f64;
            let mut before = 0.0;
            for (class, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
                let count = *count as f64;
                if place < before + count {
                    let part = (place - before + 0.5) / count;
                    return if class == 0 { 0 } else { bound_of(class as f64 + part).round() as i64 };
                }
                before += count;
            }
            0
        })
    }
}

#[cfg(test)]
mod tests;
