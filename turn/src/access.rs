use alloc::string::{String, ToString};
use alloc::vec::Vec;
use machine::{Instant, WallClock};

use crate::hash::{Keyed, Table};
use crate::integrity::user_hash;
use crate::server::{Quota, Relaying};
use crate::slab::Number;
use crate::ticket::{Claim, Secret};

/// RFC 8489 §14.3: "A fully compliant USERNAME is at most 509 bytes".
const LONGEST: usize = 509;

/// Who may relay.
#[derive(Debug)]
pub(crate) struct Access {
    passwords: Table<String, String>,
    /// The names that USERHASH stands for.
    hashes: Table<[u8; 32], String>,
    tickets: Option<Secret>,
    wall: WallClock,
    /// Whoever has something at the moment.
    pub(crate) known: Table<String, Number>,
}

/// What somebody has at the moment.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    pub(crate) allocations: u32,
    /// Nanoseconds since the epoch until which the bandwidth is used up.
    used_until: u64,
}

/// Somebody, as far as a user name tells.
#[derive(Debug)]
pub(crate) struct Somebody {
    /// Names the quota.
    pub(crate) identity: String,
    pub(crate) password: String,
    /// Seconds since 1970.
    pub(crate) expires: u64,
    /// Whether the credential is good for something new.
    pub(crate) good: bool,
}

impl Access {
    pub(crate) fn new(relaying: Option<&Relaying>, keyed: Keyed) -> Self {
        let mut access = Self {
            passwords: Table::with_hasher(keyed),
            hashes: Table::with_hasher(keyed),
            tickets: relaying.and_then(|relaying| relaying.tickets.clone()),
            wall: relaying.map_or(WallClock::new(0), |relaying| relaying.wall),
            known: Table::with_hasher(keyed),
        };
        if let Some(relaying) = relaying {
            for (name, password) in &relaying.users {
                access.passwords.insert(name.clone(), password.clone());
                access
                    .hashes
                    .insert(user_hash(name, &relaying.realm), name.clone());
            }
        }
        access
    }

    /// Whether every name that there may be is known by its hash.
    pub(crate) fn knows_hashes(&self) -> bool {
        self.tickets.is_none() && !self.passwords.is_empty()
    }

    /// The name that a request goes by: that in USERNAME, or that which USERHASH stands for.
    pub(crate) fn name<'a>(
        &'a self,
        username: Option<&'a [u8]>,
        hash: Option<&[u8]>,
    ) -> Option<&'a str> {
        match (username, hash) {
            (Some(name), _) if name.len() <= LONGEST => core::str::from_utf8(name).ok(),
            (Some(_), _) => None,
            (None, Some(hash)) => {
                let hash: &[u8; 32] = hash.try_into().ok()?;
                self.hashes.get(hash).map(String::as_str)
            }
            (None, None) => None,
        }
    }

    pub(crate) fn find(&self, name: &str, now: Instant) -> Option<Somebody> {
        if let Some(password) = self.passwords.get(name) {
            return Some(Somebody {
                identity: name.to_string(),
                password: password.clone(),
                expires: u64::MAX,
                good: true,
            });
        }
        let claim = self.tickets.as_ref()?.read(name)?;
        Some(Somebody {
            good: claim.is_good(self.seconds(now)),
            expires: claim.expires,
            identity: claim.pseudonym,
            password: claim.password,
        })
    }

    /// Whether a credential that ended then still keeps what was made with it.
    pub(crate) fn keeps(&self, expires: u64, now: Instant) -> bool {
        Claim::keeps(expires, self.seconds(now))
    }

    fn seconds(&self, now: Instant) -> u64 {
        self.wall.at(now) / 1_000
    }
}

impl Identity {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            allocations: 0,
            used_until: 0,
        }
    }

    /// Counts bytes, and says whether they are within the bandwidth; a second's worth may come at once.
    pub(crate) fn admit(&mut self, bytes: usize, quota: &Quota, now: Instant) -> bool {
        if quota.bandwidth == 0 {
            return true;
        }
        let now = now.since_epoch().as_nanos() as u64;
        let used_until = self.used_until.max(now) + bytes as u64 * 1_000_000_000 / quota.bandwidth;
        let within = used_until <= now + 1_000_000_000;
        if within {
            self.used_until = used_until;
        }
        within
    }
}

/// The addresses in attributes of one type.
pub(crate) fn addresses(
    message: &crate::Message<'_>,
    kind: u16,
) -> Option<Vec<core::net::SocketAddr>> {
    let found = message.attributes().filter(|found| found.kind == kind);
    found.map(|found| message.unmask(found.value)).collect()
}
