use core::fmt;

use credential::NodeId;
use serde::{Deserialize, Serialize};

use sha1::{Digest, Sha1};

/// A place on the ring: the hash of a resource's name, or a super node's id.
///
/// On the wire it is what a node id is, read by the same code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "NodeId", into = "NodeId")]
pub struct Key(pub [u8; 20]);

impl Key {
    /// The key of a resource: the SHA-1 of its name's bytes, such as `user location|alice@example.org`.
    #[must_use]
    pub fn of(name: &[u8]) -> Self {
        Self(sha1(&[name]))
    }

    /// Says whether it lies on the arc that begins after `after` and ends with `last`, clockwise.
    ///
    /// An arc whose two ends are the same place is the whole ring.
    #[must_use]
    pub fn is_within(&self, after: &Self, last: &Self) -> bool {
        if after < last {
            after < self && self <= last
        } else {
            after < self || self <= last
        }
    }
}

impl From<NodeId> for Key {
    fn from(node: NodeId) -> Self {
        Self(node.0)
    }
}

impl From<Key> for NodeId {
    fn from(key: Key) -> Self {
        Self(key.0)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        NodeId(self.0).fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The SHA-1 of some parts, one after the other.
pub(crate) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn key(first: u8) -> Key {
        let mut bytes = [0; 20];
        bytes[0] = first;
        Key(bytes)
    }

    #[test]
    fn r042_key_is_the_sha1_of_the_name() {
        assert_eq!(
            Key::of(b"user location|alice@example.org").to_string(),
            "948ab814d0394ca9c2aa99294be0d6a74f159c5a"
        );
    }

    #[test]
    fn arcs_wrap_round_the_ring() {
        assert!(key(5).is_within(&key(4), &key(5)));
        assert!(!key(4).is_within(&key(4), &key(5)));
        assert!(key(250).is_within(&key(200), &key(3)));
        assert!(key(2).is_within(&key(200), &key(3)));
        assert!(!key(100).is_within(&key(200), &key(3)));
        assert!(key(9).is_within(&key(9), &key(9)));
    }

    #[test]
    fn r043_keys_spread_evenly() {
        let mut buckets = [0_u32; 64];
        for number in 0..100_000_u32 {
            let name = alloc::format!("user location|user{number}@example.org");
            buckets[usize::from(Key::of(name.as_bytes()).0[0] >> 2)] += 1;
        }
        let expected = 100_000.0 / 64.0;
        let chi: f64 = buckets
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2) / expected)
            .sum();
        assert!(chi < 103.4, "63 degrees of freedom, 0.1 %: {chi}");
    }
}
