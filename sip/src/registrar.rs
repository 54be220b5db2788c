//! The registrar: who is where (RFC 3261, section 10; Path of RFC 3327, outbound of RFC 5626, GRUU of RFC 5627).
//!
//! ```text
//! REGISTER ---> register() ---> status and header lines of the response
//!                   |
//!                   +---> Event::Bound, Refreshed, Unbound: the record of that user is to be placed, renewed, removed
//! INVITE -----> lookup() ----> targets in order of preference
//! ```
//! A REGISTER is taken whole or not at all. It needs no transaction: one that comes twice changes nothing the second
//! time and is answered alike. Temporary GRUUs and third-party registration are left out.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use hashbrown::HashTable;
use machine::{Instant, Outbox};

use crate::message::Message;
use crate::proxy::Target;
use crate::{Peer, Uri, siphash};

mod answer;
mod binding;
mod request;

pub use answer::Answer;
use binding::Binding;

/// What a registrar takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The shortest time that a binding may be asked for, in seconds; less is answered 423.
    pub shortest: u32,
    /// The longest time that a binding is given, in seconds.
    pub longest: u32,
    /// The time of a binding that asks for none, in seconds.
    pub usual: u32,
    /// The most contacts of one user.
    pub contacts: usize,
    /// The most users.
    pub users: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            shortest: 60,
            longest: 7200,
            usual: 3600,
            contacts: 16,
            users: 2_000_000,
        }
    }
}

/// What happened to a user's bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The bindings are other ones now, at least one: [`Registrar::contacts`] has them.
    Bound {
        /// The address of record.
        aor: Arc<str>,
    },
    /// The bindings are the same and last longer.
    Refreshed {
        /// The address of record.
        aor: Arc<str>,
    },
    /// The last binding is gone.
    Unbound {
        /// The address of record.
        aor: Arc<str>,
    },
}

/// A contact of a user, as [`Registrar::contacts`] tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact<'a> {
    /// The URI.
    pub uri: &'a str,
    /// The device (`+sip.instance`, without angle brackets), if it said so.
    pub instance: Option<&'a str>,
    /// The q, times 1000.
    pub preference: u16,
    /// When it ends.
    pub until: Instant,
    /// The flow on which it is reached (RFC 5626), if it has to be that one.
    pub flow: Option<Peer>,
}

/// The bindings of a domain's users, in memory.
#[derive(Debug)]
pub struct Registrar {
    limits: Limits,
    secret: [u8; 16],
    table: HashTable<u32>,
    users: Vec<Option<User>>,
    free: Vec<u32>,
    /// The users to look at, by second.
    due: BTreeMap<u64, Vec<u32>>,
    events: Outbox<Event>,
}

#[derive(Debug)]
struct User {
    aor: Arc<str>,
    bindings: Vec<Binding>,
    /// The second at which `due` names this user.
    scheduled: u64,
}

impl User {
    fn earliest(&self) -> u64 {
        let ends = self.bindings.iter().map(|binding| second(binding.until));
        ends.min().unwrap_or(u64::MAX)
    }
}

impl Registrar {
    /// A registrar without users. `secret` is random, so that nobody outside can choose users that fall together.
    #[must_use]
    pub fn new(limits: Limits, secret: [u8; 16]) -> Self {
        Self {
            limits,
            secret,
            table: HashTable::new(),
            users: Vec::new(),
            free: Vec::new(),
            due: BTreeMap::new(),
            events: Outbox::default(),
        }
    }

    /// Takes in a REGISTER that came from `source`, whose sender may register the user in its To. The response is what
    /// comes back, sent to where the request came from.
    pub fn register(&mut self, request: &Message, source: Peer, now: Instant) -> Answer {
        match self.take(request, source, now) {
            Ok(answer) | Err(answer) => answer,
        }
    }

    /// How many users have bindings.
    #[must_use]
    pub fn users(&self) -> usize {
        self.users.len() - self.free.len()
    }

    /// Where a request for `uri` goes: an address of record, or a GRUU, which means one device of it. Empty if the user
    /// is not here.
    #[must_use]
    pub fn lookup(&self, uri: &Uri, now: Instant) -> Vec<Target> {
        let Some(user) = self.find(&uri.address_of_record()) else {
            return Vec::new();
        };
        let mut bindings: Vec<&Binding> = user.bindings.iter().collect();
        bindings.retain(|binding| binding.until > now);
        if let Some(device) = uri.parameter("gr") {
            let is_device = |instance: &str| instance.eq_ignore_ascii_case(device);
            bindings.retain(|binding| binding.instance().is_some_and(is_device));
        }
        // The flow that was registered last comes first.
        machine::sort_by_key(&mut bindings, |binding| core::cmp::Reverse(binding.made));
        let mut targets: Vec<Target> = Vec::with_capacity(bindings.len());
        let mut devices: Vec<Option<&str>> = Vec::with_capacity(bindings.len());
        for binding in bindings {
            let device = binding.instance();
            let known = devices
                .iter()
                .position(|one| *one == device && device.is_some());
            match known {
                Some(place) => push(&mut targets[place].otherwise, binding.target()),
                None => {
                    targets.push(binding.target());
                    devices.push(device);
                }
            }
        }
        machine::sort_by_key(&mut targets, |target| core::cmp::Reverse(target.preference));
        targets
    }

    /// The contacts of a user.
    pub fn contacts(&self, aor: &str) -> impl Iterator<Item = Contact<'_>> {
        let user = self.find(aor);
        let bindings = user.map(|user| user.bindings.iter());
        bindings.into_iter().flatten().map(|binding| Contact {
            uri: binding.uri(),
            instance: binding.instance(),
            preference: binding.preference,
            until: binding.until,
            flow: binding.flow,
        })
    }

    /// Says that nothing can be sent on a flow any more: bindings that had no other way are dropped.
    pub fn flow_failed(&mut self, aor: &str, flow: Peer) {
        let Some(index) = self.index(aor) else { return };
        let Some(user) = &mut self.users[index as usize] else {
            return;
        };
        let before = user.bindings.len();
        user.bindings
            .retain(|binding| binding.flow != Some(flow) || flow.connection == 0);
        if user.bindings.len() < before {
            self.changed(index);
        }
    }

    /// Takes the next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Says when [`handle_timeout`](Self::handle_timeout) is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (second, _) = self.due.first_key_value()?;
        Some(Instant::EPOCH + Duration::from_secs(*second))
    }

    /// Drops the bindings that have ended.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(first) = self.due.first_entry() {
            let at = *first.key();
            if Instant::EPOCH + Duration::from_secs(at) > now {
                return;
            }
            for index in first.remove() {
                let user = self.users.get_mut(index as usize).and_then(Option::as_mut);
                if let Some(user) = user.filter(|user| user.scheduled == at) {
                    let before = user.bindings.len();
                    user.bindings.retain(|binding| binding.until > now);
                    let fewer = user.bindings.len() < before;
                    user.scheduled = u64::MAX;
                    if fewer {
                        self.changed(index);
                    } else {
                        self.schedule(index);
                    }
                }
            }
        }
    }

    /// Tells that a user's bindings are others now, and forgets a user without any.
    fn changed(&mut self, index: u32) {
        let Some(user) = &self.users[index as usize] else {
            return;
        };
        let aor = user.aor.clone();
        if user.bindings.is_empty() {
            let hash = self.hash(&aor);
            if let Ok(entry) = self.table.find_entry(hash, |one| *one == index) {
                entry.remove();
            }
            self.users[index as usize] = None;
            self.free.push(index);
            self.events.push(Event::Unbound { aor });
        } else {
            self.schedule(index);
            self.events.push(Event::Bound { aor });
        }
    }

    /// Sees to it that a user is looked at when its first binding ends. One that lasts longer now stays where it is, and is put
    /// off when it is looked at: a refresh costs nothing here.
    fn schedule(&mut self, index: u32) {
        let Some(user) = &mut self.users[index as usize] else {
            return;
        };
        let earliest = user.earliest();
        if earliest < user.scheduled {
            user.scheduled = earliest;
            self.due.entry(earliest).or_default().push(index);
        }
    }

    fn hash(&self, aor: &str) -> u64 {
        siphash::hash(&self.secret, &[aor.as_bytes()])
    }

    fn index(&self, aor: &str) -> Option<u32> {
        let is_it = |index: &u32| {
            let user = self.users.get(*index as usize).and_then(Option::as_ref);
            user.is_some_and(|user| *user.aor == *aor)
        };
        self.table.find(self.hash(aor), is_it).copied()
    }

    fn find(&self, aor: &str) -> Option<&User> {
        self.users[self.index(aor)? as usize].as_ref()
    }

    /// The user's place, a new one if there is none.
    fn place(&mut self, aor: &str) -> u32 {
        if let Some(index) = self.index(aor) {
            return index;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.users.push(None);
            self.users.len() as u32 - 1
        });
        self.users[index as usize] = Some(User {
            aor: aor.into(),
            bindings: Vec::new(),
            scheduled: u64::MAX,
        });
        let (users, secret) = (&self.users, &self.secret);
        let rehash = |index: &u32| {
            let user = users.get(*index as usize).and_then(Option::as_ref);
            user.map_or(0, |user| siphash::hash(secret, &[user.aor.as_bytes()]))
        };
        let hash = siphash::hash(secret, &[aor.as_bytes()]);
        self.table.insert_unique(hash, index, rehash);
        index
    }
}

/// Puts a target behind the last one of a chain.
fn push(chain: &mut Option<Box<Target>>, target: Target) {
    match chain {
        Some(next) => push(&mut next.otherwise, target),
        None => *chain = Some(Box::new(target)),
    }
}

/// The first whole second at or after an instant.
fn second(at: Instant) -> u64 {
    let since = at.since_epoch();
    since.as_secs() + u64::from(since.subsec_nanos() > 0)
}
