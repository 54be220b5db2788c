use core::fmt;

/// The cryptographic generator of one machine, a function of its seed: the key stream of ChaCha with 12 rounds.
///
/// The driver seeds it from the system's entropy; a test seeds it with a constant and gets the same run again. The cipher
/// is written out here, in loops, because a crate's unrolled one is a tenth of a whole browser node; the tests compare
/// the two.
#[derive(Clone)]
pub struct Rng {
    /// Constant, key, block number, stream, as RFC 8439 section 2.3 lays them out, with a block number of 64 bits.
    input: [u32; 16],
    block: [u32; 16],
    /// How many bytes of the block are used up.
    used: usize,
}

impl Rng {
    /// Makes the generator that belongs to a seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        let mut input = [0; 16];
        input[..4].copy_from_slice(&CONSTANT);
        for (word, bytes) in input[4..12].iter_mut().zip(seed.as_chunks().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self {
            input,
            block: [0; 16],
            used: BLOCK,
        }
    }

    /// Draws `N` bytes: a nonce, a tag, a token.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Draws a 32-bit number.
    pub fn number(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    /// Draws a number below `bound`, nearly uniformly; 0 for a bound of 0.
    pub fn below(&mut self, bound: u32) -> u32 {
        ((u64::from(self.number()) * u64::from(bound)) >> 32) as u32
    }

    /// Makes the generator of a child machine.
    pub fn fork(&mut self) -> Self {
        Self::new(self.bytes())
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.used == BLOCK {
                self.refill();
            }
            *byte = self.block[self.used / 4].to_le_bytes()[self.used % 4];
            self.used += 1;
        }
    }

    fn refill(&mut self) {
        let mut state = self.input;
        for _ in 0..ROUNDS / 2 {
            for quarter in &QUARTERS {
                quarter_round(&mut state, *quarter);
            }
        }
        for ((word, state), input) in self.block.iter_mut().zip(state).zip(self.input) {
            *word = state.wrapping_add(input);
        }
        let (low, carry) = self.input[12].overflowing_add(1);
        self.input[12] = low;
        self.input[13] = self.input[13].wrapping_add(u32::from(carry));
        self.used = 0;
    }
}

impl fmt::Debug for Rng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rng")
    }
}

/// RFC 8439, section 2.1.
fn quarter_round(state: &mut [u32; 16], [a, b, c, d]: [usize; 4]) {
    for (x, y, z, left) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
        state[x] = state[x].wrapping_add(state[y]);
        state[z] = (state[z] ^ state[x]).rotate_left(left);
    }
}

/// "expand 32-byte k".
const CONSTANT: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
const ROUNDS: usize = 12;
/// Bytes of a block.
const BLOCK: usize = 64;
/// The columns, then the diagonals.
const QUARTERS: [[usize; 4]; 8] = [
    [0, 4, 8, 12],
    [1, 5, 9, 13],
    [2, 6, 10, 14],
    [3, 7, 11, 15],
    [0, 5, 10, 15],
    [1, 6, 11, 12],
    [2, 7, 8, 13],
    [3, 4, 9, 14],
];

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha12Rng;
    use rand_core::{Rng as _, SeedableRng};

    use super::*;

    #[test]
    fn draws_the_key_stream_of_chacha12() {
        for seed in [[0; 32], [1; 32], core::array::from_fn(|at| at as u8 * 7)] {
            let mut expected = [0; 1_000];
            ChaCha12Rng::from_seed(seed).fill_bytes(&mut expected);
            let mut rng = Rng::new(seed);
            let (start, rest) = (rng.bytes::<3>(), rng.bytes::<997>());
            assert_eq!(start, expected[..3]);
            assert_eq!(rest, expected[3..]);
        }
    }

    #[test]
    fn block_number_carries() {
        let mut rng = Rng::new([5; 32]);
        rng.input[12] = u32::MAX;
        rng.bytes::<64>();
        assert_eq!(rng.input[12..14], [0, 1]);
    }

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
