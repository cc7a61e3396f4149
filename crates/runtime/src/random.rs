//! The only place that rolls dice.

use rand::TryRng as _;
use rand::rngs::SysRng;

/// Random bytes from the operating system, fit for secrets. Cheap to clone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Random;

impl Random {
    /// Fills `N` bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give; there is no safe way to go on without.
    pub fn bytes<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        SysRng.try_fill_bytes(&mut bytes).expect("the operating system provides randomness");
        bytes
    }

    /// A number in `0.0..1.0`, for jitter.
    pub fn fraction(self) -> f64 {
        let bits = u64::from_le_bytes(self.bytes::<8>()) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}
