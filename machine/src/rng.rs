use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng};

/// The cryptographic generator of one machine, a function of its seed.
///
/// The driver seeds it from the system's entropy; a test seeds it with a constant and gets the same run again.
#[derive(Debug, Clone)]
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// Makes the generator that belongs to a seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// Draws `N` bytes: a nonce, a tag, a token.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    /// Draws a 32-bit number.
    pub fn number(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Draws a number below `bound`, nearly uniformly; 0 for a bound of 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.number()) * u64::from(bound)) >> 32) as u32
    }

    /// Makes the generator of a child machine.
    pub fn fork(&mut self) -> Self {
        Self::new(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_same_run() {
        let (mut a, mut b) = (Rng::new([7; 32]), Rng::new([7; 32]));
        assert_eq!(a.bytes::<40>(), b.bytes::<40>());
        assert_eq!(a.fork().number(), b.fork().number());
        assert_ne!(a.bytes::<16>(), Rng::new([8; 32]).bytes::<16>());
    }

    #[test]
    fn below_stays_below() {
        let mut rng = Rng::new([1; 32]);
        assert!((0..1000).all(|_| rng.below(5) < 5));
        assert_eq!(rng.below(0), 0);
    }
}
