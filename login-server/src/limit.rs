use core::hash::{BuildHasher, Hash};
use core::net::IpAddr;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::sync::{Mutex, PoisonError};

/// What is limited; each has its own count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    Page,
    SignIn,
    Account,
    Create,
    Guest,
    Credential,
    Phone,
    Report,
}

/// How many seconds to wait before asking again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) u64);

/// Counts requests by the generic cell rate algorithm: eight bytes for each key, never more than [`MOST`] keys.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    /// Keyed hash of class and key -> when the key's bucket will be empty again, in milliseconds since 1970.
    table: Mutex<HashMap<u64, u64>>,
    hasher: RandomState,
}

/// Keys remembered at once. Whoever comes when the table is full shares one bucket with the others of the class.
const MOST: usize = 65_536;
const MINUTE: u64 = 60_000;

impl Limiter {
    /// Counts one request under a key; refuses it when `per_minute` of them came within a minute.
    pub(crate) fn count(
        &self,
        class: Class,
        key: impl Hash,
        per_minute: u32,
        now: u64,
    ) -> Result<(), Wait> {
        let interval = (MINUTE / u64::from(per_minute.max(1))).max(1);
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slot = self.hasher.hash_one((class, key));
        if table.len() >= MOST && !table.contains_key(&slot) {
            table.retain(|_, empty| *empty > now);
            if table.len() >= MOST {
                slot = self.hasher.hash_one(class);
            }
        }
        let empty = table.entry(slot).or_insert(now);
        let filled = (*empty).max(now).saturating_add(interval);
        let over = filled.saturating_sub(now).saturating_sub(MINUTE);
        if over > 0 {
            return Err(Wait(over.div_ceil(1_000)));
        }
        *empty = filled;
        Ok(())
    }
}

/// What counts as one address: a whole IPv4 address, or the /64 that one IPv6 subscriber has at least.
pub(crate) fn address(peer: IpAddr) -> [u8; 8] {
    match peer.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0, 0, 0, 0, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h, ..] = v6.octets();
            [a, b, c, d, e, f, g, h]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_by_one() {
        let limiter = Limiter::default();
        for _ in 0..6 {
            assert_eq!(limiter.count(Class::SignIn, "a", 6, 1_000), Ok(()));
        }
        assert_eq!(limiter.count(Class::SignIn, "a", 6, 1_000), Err(Wait(10)));
        assert_eq!(
            limiter.count(Class::SignIn, "b", 6, 1_000),
            Ok(()),
            "another key"
        );
        assert_eq!(
            limiter.count(Class::Guest, "a", 6, 1_000),
            Ok(()),
            "another class"
        );
        assert_eq!(limiter.count(Class::SignIn, "a", 6, 10_999), Err(Wait(1)));
        assert_eq!(limiter.count(Class::SignIn, "a", 6, 11_000), Ok(()));
        assert_eq!(limiter.count(Class::SignIn, "a", 6, 11_000), Err(Wait(10)));
    }

    #[test]
    fn the_table_is_bounded_and_a_full_one_still_limits() {
        let limiter = Limiter::default();
        for key in 0..MOST + 100 {
            let _ = limiter.count(Class::Page, key, 2, 0);
        }
        assert!(limiter.table.lock().unwrap().len() <= MOST + 1);
        assert!(limiter.count(Class::Page, "newcomer", 2, 0).is_err());
        assert_eq!(
            limiter.count(Class::Page, "newcomer", 2, MINUTE),
            Ok(()),
            "old keys made room"
        );
    }

    #[test]
    fn one_subscriber_is_one_address() {
        let same = ["2001:db8::1", "2001:db8::2"].map(|text| address(text.parse().unwrap()));
        assert_eq!(same[0], same[1]);
        let mapped = ["::ffff:192.0.2.1", "192.0.2.1"].map(|text| address(text.parse().unwrap()));
        assert_eq!(mapped[0], mapped[1]);
        assert_ne!(mapped[0], address("192.0.2.2".parse().unwrap()));
    }
}
