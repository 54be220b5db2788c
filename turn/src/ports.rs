use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use machine::Rng;

/// The ports of relayed addresses: which are taken, and on which of them a socket is open.
///
/// Servers side by side share one.
#[derive(Debug)]
pub struct Ports {
    least: u16,
    count: u32,
    /// By family, IPv4 and IPv6.
    taken: [Vec<AtomicU64>; 2],
    open: [Vec<AtomicU64>; 2],
}

/// How often a port is drawn before the free ones are counted off.
const DRAWS: u32 = 16;

impl Ports {
    /// All ports from the least to the most, with them.
    #[must_use]
    pub fn new(least: u16, most: u16) -> Self {
        let count = u32::from(most.saturating_sub(least)) + 1;
        let bits = || {
            let words = count.div_ceil(64);
            (0..words).map(|_| AtomicU64::new(0)).collect()
        };
        Self {
            least,
            count,
            taken: [bits(), bits()],
            open: [bits(), bits()],
        }
    }

    /// How many are taken, of both families.
    #[must_use]
    pub fn taken(&self) -> u32 {
        let words = self.taken.iter().flatten();
        words
            .map(|word| word.load(Ordering::Relaxed).count_ones())
            .sum()
    }

    /// Takes a port that nobody foresees.
    pub(crate) fn take(&self, v6: bool, wish: Wish, rng: &mut Rng) -> Option<u16> {
        let start = rng.below(self.count);
        let drawn = (0..DRAWS).map(|draw| {
            if draw == 0 {
                start
            } else {
                rng.below(self.count)
            }
        });
        for index in drawn.chain((0..self.count).map(|step| (start + step) % self.count)) {
            let port = self.least + index as u16;
            if !wish.fits(port) {
                continue;
            }
            if self.set(&self.taken[usize::from(v6)], port) {
                if wish != Wish::Pair || self.take_this(v6, port + 1) {
                    return Some(port);
                }
                self.give(v6, port);
            }
        }
        None
    }

    fn take_this(&self, v6: bool, port: u16) -> bool {
        u32::from(port - self.least) < self.count && self.set(&self.taken[usize::from(v6)], port)
    }

    /// Gives a port back.
    pub(crate) fn give(&self, v6: bool, port: u16) {
        self.clear(&self.open[usize::from(v6)], port);
        self.clear(&self.taken[usize::from(v6)], port);
    }

    pub(crate) fn set_open(&self, v6: bool, port: u16) {
        self.set(&self.open[usize::from(v6)], port);
    }

    /// Whether a relayed address with this port is alive.
    pub(crate) fn is_open(&self, v6: bool, port: u16) -> bool {
        self.place(port).is_some_and(|(word, bit)| {
            self.open[usize::from(v6)][word].load(Ordering::Relaxed) & bit != 0
        })
    }

    fn place(&self, port: u16) -> Option<(usize, u64)> {
        let index = u32::from(port.checked_sub(self.least)?);
        (index < self.count).then_some((index as usize / 64, 1 << (index % 64)))
    }

    /// Sets a port's bit; whether it was clear.
    fn set(&self, words: &[AtomicU64], port: u16) -> bool {
        self.place(port)
            .is_some_and(|(word, bit)| words[word].fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    fn clear(&self, words: &[AtomicU64], port: u16) {
        if let Some((word, bit)) = self.place(port) {
            words[word].fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// What a client wants of its port (RFC 8656 §18.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Any,
    Even,
    /// Even, and the next one kept.
    Pair,
}

impl Wish {
    fn fits(self, port: u16) -> bool {
        self == Self::Any || port.is_multiple_of(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_given_once_and_comes_back() {
        let ports = Ports::new(50_001, 50_100);
        let mut rng = Rng::new([1; 32]);
        let mut taken: Vec<_> = (0..100)
            .map_while(|_| ports.take(false, Wish::Any, &mut rng))
            .collect();
        assert_eq!(ports.take(false, Wish::Any, &mut rng), None);
        assert!(ports.take(true, Wish::Any, &mut rng).is_some());
        assert!(!taken.is_sorted());
        taken.sort_unstable();
        assert!(taken.iter().copied().eq(50_001..=50_100));
        for port in taken {
            ports.give(false, port);
        }
        assert_eq!(ports.taken(), 1);
    }

    #[test]
    fn pairs_begin_with_an_even_port_and_end_with_the_range() {
        let ports = Ports::new(50_001, 50_006);
        let mut rng = Rng::new([2; 32]);
        let mut pairs: Vec<_> = (0..9)
            .map_while(|_| ports.take(false, Wish::Pair, &mut rng))
            .collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [50_002, 50_004]);
        assert_eq!(ports.take(false, Wish::Even, &mut rng), Some(50_006));
        assert_eq!(ports.take(false, Wish::Any, &mut rng), Some(50_001));
        assert_eq!(ports.taken(), 6);
    }

    #[test]
    fn a_port_is_open_from_its_opening_until_it_is_given_back() {
        let ports = Ports::new(1_000, 2_000);
        assert!(!ports.is_open(false, 1_500));
        ports.set_open(false, 1_500);
        assert!(ports.is_open(false, 1_500) && !ports.is_open(true, 1_500));
        ports.give(false, 1_500);
        assert!(
            !ports.is_open(false, 1_500)
                && !ports.is_open(false, 9)
                && !ports.is_open(false, 60_000)
        );
    }
}
