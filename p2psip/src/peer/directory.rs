use alloc::vec::Vec;
use core::time::Duration;

use credential::{Certificate, Instance};
use machine::{Instant, Map};
use overlay::{GetError, OrdinaryNode, QueryId, Reading, SignedRecord};
use sip::{CallId, Target};

use super::registration::contact;
use crate::location::UserLocation;
use crate::{Aor, EndReason};

/// How long what was found serves a call.
const FRESH: Duration = Duration::from_secs(10);
/// How many users are kept.
const MAXIMUM: usize = 16;

/// Where a callee is, or why that is not known.
pub(super) type Answer = Result<Vec<Target>, EndReason>;

/// What is to be told: the call, and where its callee is.
pub(super) type Told = (CallId, Answer);

/// Looks users up, and remembers for a moment what it found.
#[derive(Debug)]
pub(super) struct Directory {
    /// This device, which a user never calls from itself.
    own: Instance,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    user: Aor,
    query: Option<QueryId>,
    finished: Instant,
    found: Map<Instance, (u64, Target)>,
    /// A record was there that can't be used.
    spoilt: bool,
    error: Option<EndReason>,
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    call: CallId,
    /// What it was told already.
    told: Option<Vec<Target>>,
}

impl Directory {
    pub(super) fn new(own: Instance) -> Self {
        let entries = Vec::new();
        Self { own, entries }
    }

    /// Looks a user up if he isn't known.
    pub(super) fn warm(&mut self, user: &Aor, node: &mut OrdinaryNode, now: Instant) {
        self.entry(user, false, node, now);
    }

    /// Looks a user up for a call. With `again`, what is remembered does not count.
    ///
    /// What is known already is told at once; more may follow from [`records`](Self::records).
    pub(super) fn find(
        &mut self,
        call: CallId,
        user: &Aor,
        again: bool,
        node: &mut OrdinaryNode,
        now: Instant,
    ) -> Option<Answer> {
        let entry = self.entry(user, again, node, now);
        entry.waiting.retain(|waiting| waiting.call != call);
        let known = entry.targets();
        let told = if again || known.is_empty() {
            None
        } else {
            Some(known)
        };
        if entry.query.is_some() {
            let waiting = Waiting {
                call,
                told: told.clone(),
            };
            entry.waiting.push(waiting);
            return told.map(Ok);
        }
        Some(entry.answer())
    }

    /// A call is over or needs no more.
    pub(super) fn forget(&mut self, call: CallId) {
        for entry in &mut self.entries {
            entry.waiting.retain(|waiting| waiting.call != call);
        }
    }

    /// Takes in what a search found. Says too whether a record among it can't be used.
    pub(super) fn records(
        &mut self,
        query: QueryId,
        records: &[SignedRecord],
        last: bool,
        now: Instant,
    ) -> (Vec<Told>, bool) {
        let own = self.own;
        let Some(entry) = self.by_query(query) else {
            return (Vec::new(), false);
        };
        let spoilt_before = core::mem::take(&mut entry.spoilt);
        for record in records {
            entry.take(record, own);
        }
        let told = if last {
            entry.finish(None, now)
        } else {
            entry.tell()
        };
        (told, entry.spoilt && !spoilt_before)
    }

    /// Takes in that a search failed.
    pub(super) fn failed(&mut self, query: QueryId, error: GetError, now: Instant) -> Vec<Told> {
        let reason = match error {
            GetError::NotFound => EndReason::NotFound,
            GetError::Gone => EndReason::Offline,
            GetError::Refused => EndReason::RecordRefused,
            GetError::CredentialExpired => EndReason::CredentialExpired,
            GetError::NotAMember(_)
            | GetError::Timeout
            | GetError::NoSuperNode
            | GetError::Busy
            | GetError::TooMany => EndReason::Network,
        };
        match self.by_query(query) {
            Some(entry) => entry.finish(Some(reason), now),
            None => Vec::new(),
        }
    }

    fn by_query(&mut self, query: QueryId) -> Option<&mut Entry> {
        let mut entries = self.entries.iter_mut();
        entries.find(|entry| entry.query == Some(query))
    }

    /// The entry of a user, with a search under way unless what is known is fresh.
    fn entry(
        &mut self,
        user: &Aor,
        again: bool,
        node: &mut OrdinaryNode,
        now: Instant,
    ) -> &mut Entry {
        let at = match self.entries.iter().position(|entry| entry.user == *user) {
            Some(at) => at,
            None => {
                if self.entries.len() == MAXIMUM {
                    let idle = |entry: &Entry| entry.waiting.is_empty();
                    let old = self.entries.iter().position(idle).unwrap_or(0);
                    let old = self.entries.remove(old);
                    old.query.into_iter().for_each(|query| node.cancel(query));
                }
                self.entries.push(Entry::new(user.clone(), now));
                self.entries.len() - 1
            }
        };
        let entry = &mut self.entries[at];
        let fresh = !entry.found.is_empty() && now - entry.finished < FRESH;
        if entry.query.is_none() && (again || !fresh) {
            entry.found.clear();
            entry.spoilt = false;
            entry.error = None;
            let key = entry.user.key();
            let owner = Some(entry.user.uri());
            // An old version that a super node brings up again must not pass for the newest.
            entry.query = Some(node.get(node.overlay(), key, owner, Reading::Newest, now));
        }
        entry
    }
}

/// Says whether a record was signed by a super node that speaks for a phone. The overlay has read its certificate before.
pub(crate) fn is_delegated(record: &SignedRecord) -> bool {
    Certificate::read(&record.certificate).is_ok_and(|one| one.registrar().is_some())
}

impl Entry {
    fn new(user: Aor, now: Instant) -> Self {
        Self {
            user,
            query: None,
            finished: now,
            found: Map::new(),
            spoilt: false,
            error: None,
            waiting: Vec::new(),
        }
    }

    /// Takes in one record that the overlay has verified: chain, signature, lifetime, sequence, and that it is of the key and
    /// the owner that were asked for.
    fn take(&mut self, record: &SignedRecord, own: Instance) {
        let control = &record.control;
        if control.removed || control.instance == own {
            return;
        }
        let Some(target) = self.target(record) else {
            self.spoilt = true;
            return;
        };
        let newer = |(sequence, _): &(u64, Target)| *sequence < control.sequence;
        if self.found.get(&control.instance).is_none_or(newer) {
            self.found
                .insert(control.instance, (control.sequence, target));
        }
    }

    /// What the record says of the user, provided that it says it of this user and device.
    fn target(&self, record: &SignedRecord) -> Option<Target> {
        let control = &record.control;
        let location = UserLocation::read(&record.body).ok()?;
        let his = location.user == self.user
            && control.lifetime == location.lifetime
            && location.instance == Some(control.instance);
        let mut routes = Vec::new();
        for place in &location.locations {
            if let Some(node) = place.super_node {
                routes.push(node);
            }
        }
        routes.dedup();
        if !his || routes.is_empty() || location.fingerprints.is_empty() {
            return None;
        }
        Some(Target {
            instance: control.instance,
            uri: contact(&self.user, control.instance),
            routes,
            fingerprints: location.fingerprints,
            bridged: is_delegated(record),
        })
    }

    fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (_, target) in self.found.values() {
            targets.push(target.clone());
        }
        targets
    }

    fn answer(&self) -> Answer {
        if !self.found.is_empty() {
            return Ok(self.targets());
        }
        Err(match self.error {
            Some(reason) => reason,
            None if self.spoilt => EndReason::RecordRefused,
            None => EndReason::Offline,
        })
    }

    /// Tells whoever waits what is new.
    fn tell(&mut self) -> Vec<Told> {
        let targets = self.targets();
        if targets.is_empty() {
            return Vec::new();
        }
        let mut told = Vec::new();
        for waiting in &mut self.waiting {
            if waiting.told.as_ref() != Some(&targets) {
                waiting.told = Some(targets.clone());
                told.push((waiting.call, Ok(targets.clone())));
            }
        }
        told
    }

    fn finish(&mut self, error: Option<EndReason>, now: Instant) -> Vec<Told> {
        self.query = None;
        self.finished = now;
        self.error = error;
        if !self.found.is_empty() {
            let told = self.tell();
            self.waiting.clear();
            return told;
        }
        let answer = self.answer();
        let mut told = Vec::new();
        for waiting in self.waiting.drain(..) {
            told.push((waiting.call, answer.clone()));
        }
        told
    }
}

#[cfg(test)]
mod tests;
