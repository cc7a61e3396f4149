//! Counter-based random numbers: the n-th draw of a key is a pure function of the key and n.
//!
//! Floating point is used only through addition, subtraction, multiplication and division, which IEEE 754 fixes to the
//! last bit, so the results are the same on every machine. That is why `exp` is written out here.

/// What a draw is for; two streams never share a sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Arrival = 1,
    Journey,
    Person,
    Trace,
    Shift,
    Attack,
    Load,
    Instance,
    Database,
}

/// A sequence of draws for one key.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    key: u64,
    drawn: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64: every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// `e` to the power of `x`, the same bits everywhere; `x` is held within what a latency may need.
fn exp(x: f64) -> f64 {
    let x = x.clamp(-40.0, 40.0);
    let twos = (x * std::f64::consts::LOG2_E + 0.5).floor();
    let rest = x - twos * std::f64::consts::LN_2;
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..=14 {
        term = term * rest / f64::from(n);
        sum += term;
    }
    sum * f64::from_bits(((1023 + twos as i64) as u64) << 52)
}

impl Dice {
    pub(crate) fn new(seed: u64, stream: Stream, entity: u64, tick: u64) -> Self {
        let key = mix(seed.wrapping_add(GOLDEN));
        let key = mix(key ^ (stream as u64).wrapping_mul(GOLDEN));
        let key = mix(key ^ entity.wrapping_add(GOLDEN));
        let key = mix(key ^ tick.wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self { key, drawn: 0 }
    }

    /// 64 fresh bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.key.wrapping_add(self.drawn.wrapping_mul(GOLDEN)))
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound.max(1))) >> 64) as u64
    }

    /// A number from `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `share` times in a thousand.
    pub(crate) fn per_mille(&mut self, share: u64) -> bool {
        self.below(1000) < share
    }

    /// From 0 (possible) to 1 (not possible).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of the weighted choices; the weights' sum is at least 1.
    pub(crate) fn weighted<T: Copy>(&mut self, choices: &[(u64, T)]) -> T {
        let total = choices.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(total);
        for (weight, choice) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        choices[choices.len() - 1].1
    }

    /// One of the choices, all alike; there is at least one.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }

    /// A log-normal number with this median and spread (the deviation of its logarithm, in thousandths), never more than
    /// twenty medians: timeouts cut the tail of real latencies too.
    pub(crate) fn log_normal(&mut self, median: u64, spread_per_mille: u64) -> u64 {
        let mut sum = 0u64;
        for _ in 0..3 {
            let bits = self.bits();
            sum += (bits & 0xffff) + ((bits >> 16) & 0xffff) + ((bits >> 32) & 0xffff) + (bits >> 48);
        }
        // twelve uniform parts have a variance of one: near enough to normal for latencies
        let normal = sum as f64 / 65_536.0 - 6.0;
        let scaled = median as f64 * exp(normal * spread_per_mille as f64 / 1000.0);
        (scaled as u64).clamp(1, median.saturating_mul(20).max(1))
    }

    /// How many arrivals there are when `mean` are expected.
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        let mut arrivals = 0;
        // parts of at most 16 keep the product far from underflow
        let mut left = mean.max(0.0);
        while left > 0.0 {
            let part = left.min(16.0);
            left -= part;
            let floor = exp(-part);
            let mut product = self.unit();
            while product > floor {
                arrivals += 1;
                product *= self.unit();
            }
        }
        arrivals
    }

    /// A rank from 0 to `ranks - 1`, the low ones far more often: Zipf-Mandelbrot with the first 50 ranks flattened, so
    /// that no single person makes a visible share of the traffic. `log_span` is ln((ranks + 50) / 50).
    pub(crate) fn zipf(&mut self, ranks: u64, log_span: f64) -> u64 {
        let rank = 50.0 * exp(self.unit() * log_span) - 50.0;
        (rank as u64).min(ranks - 1)
    }

    /// This many fresh bytes in lower-case hex, at most 32 bytes.
    pub(crate) fn hex(&mut self, bytes: usize) -> String {
        let mut text = String::with_capacity(bytes * 2);
        while text.len() < bytes * 2 {
            text.push_str(&format!("{:016x}", self.bits()));
        }
        text.truncate(bytes * 2);
        text
    }
}

#[cfg(test)]
mod tests;
