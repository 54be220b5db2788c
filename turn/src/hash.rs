use core::hash::{BuildHasher, Hasher};
use machine::Rng;

/// Keyed hashing for tables whose keys strangers choose: who meets whom in a table can't be arranged from outside.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keyed([u64; 2]);

/// Folds one product after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Folding {
    state: u64,
    key: u64,
}

/// A table with keyed hashing.
pub(crate) type Table<K, V> = hashbrown::HashMap<K, V, Keyed>;

impl Keyed {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self([
            u64::from_le_bytes(rng.bytes()),
            u64::from_le_bytes(rng.bytes()) | 1,
        ])
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding {
            state: self.0[0],
            key: self.0[1],
        }
    }
}

impl Folding {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.key);
        self.state = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for Folding {
    fn finish(&self) -> u64 {
        let product = u128::from(self.state ^ self.key.rotate_left(32)) * u128::from(self.key);
        (product >> 64) as u64 ^ product as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word) ^ (bytes.len() as u64) << 56);
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.fold(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.fold(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.fold(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.fold(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.fold(number as u64);
    }
}
