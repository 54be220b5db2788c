//! The share of the table that a super node keeps: what may be stored, replaced, removed.
//!
//! Nothing here checks a signature. Whatever comes in has passed [`Store::consider`] before its signatures were
//! verified, and passes it again when it is put in.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use credential::{Instance, RevocationList, Serial};
use machine::Instant;

use super::Limits;
use super::ring::first_eight;
use crate::association::Mode;
use crate::budget::Budget;
use crate::key::sha1;
use crate::peer::{Slot, SlotId};
use crate::{Key, RecordFault, Refused, SignedRecord, Writer};

/// How many records one key may have, of all owners together.
const PER_KEY: usize = 256;

/// What a record is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Intent {
    /// What an ordinary node asks for.
    Put(Mode),
    /// What another replica hands over.
    Copy,
}

/// What storing would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The very same record is stored already.
    Known,
    /// It takes a new slot, or replaces what is in it.
    New,
}

/// What a record was signed with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pen {
    /// The device.
    pub(super) instance: Instance,
    /// The certificate's number.
    pub(super) serial: Option<Serial>,
    /// When the certificate ends; no reader takes the record after that.
    pub(super) ends: u64,
}

#[derive(Debug)]
struct Entry {
    id: SlotId,
    record: SignedRecord,
    serial: Option<Serial>,
    ends: u64,
    /// Its part of an arc's digest.
    hash: u64,
    /// Since when the super node is no longer responsible for it.
    foreign: Option<Instant>,
}

#[derive(Debug)]
struct Usage {
    records: usize,
    bytes: usize,
    writes: Budget,
}

#[derive(Debug)]
pub(super) struct Store {
    keys: BTreeMap<Key, Vec<Entry>>,
    slots: BTreeMap<SlotId, Key>,
    owners: BTreeMap<String, Usage>,
    bytes: usize,
    limits: Limits,
}

impl Store {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            keys: BTreeMap::new(),
            slots: BTreeMap::new(),
            owners: BTreeMap::new(),
            bytes: 0,
            limits,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Decides whether a record may be stored, apart from its signatures. `writer` is its certificate's device.
    pub(super) fn consider(
        &self,
        record: &SignedRecord,
        writer: Instance,
        intent: Intent,
    ) -> Result<Verdict, Refused> {
        let control = &record.control;
        if intent == Intent::Put(Mode::Remove) && !control.removed
            || matches!(intent, Intent::Put(Mode::Add | Mode::Update)) && control.removed
        {
            return Err(Refused::Record(RecordFault::Tombstone));
        }
        let entries = self.keys.get(&control.key).map_or(&[][..], Vec::as_slice);
        let stored = entries
            .iter()
            .find(|entry| entry.record.control.is_same_slot(control));
        let Some(stored) = stored else {
            return match intent {
                Intent::Put(Mode::Remove) => Err(Refused::NotFound),
                Intent::Put(Mode::Add | Mode::Update) | Intent::Copy => {
                    self.has_room(record, entries.len())
                }
            };
        };
        if stored.record == *record {
            return Ok(Verdict::Known);
        }
        let old = &stored.record.control;
        if !old.removed {
            if intent == Intent::Put(Mode::Add) {
                return Err(Refused::Exists);
            }
            if old.no_update {
                return Err(Refused::NotUpdatable);
            }
            let allowed = if control.removed {
                old.policy.remove
            } else {
                old.policy.update
            };
            let may = match allowed {
                Writer::Nobody => false,
                Writer::Instance => writer == control.instance,
                Writer::Owner => true,
            };
            if !may {
                return Err(Refused::Policy);
            }
        } else if intent == Intent::Put(Mode::Remove) {
            return Err(Refused::NotFound);
        }
        if control.sequence <= old.sequence {
            return Err(Refused::Older(old.sequence));
        }
        let growth = record.size().saturating_sub(stored.record.size());
        self.has_bytes(&control.owner, growth)?;
        Ok(Verdict::New)
    }

    fn has_room(&self, record: &SignedRecord, beside: usize) -> Result<Verdict, Refused> {
        if self.slots.len() >= self.limits.records || beside >= PER_KEY {
            return Err(Refused::Full);
        }
        let usage = self.owners.get(&record.control.owner);
        if usage.is_some_and(|usage| usage.records >= self.limits.owner_records) {
            return Err(Refused::Quota);
        }
        self.has_bytes(&record.control.owner, record.size())?;
        Ok(Verdict::New)
    }

    fn has_bytes(&self, owner: &str, more: usize) -> Result<(), Refused> {
        if self.bytes + more > self.limits.bytes {
            return Err(Refused::Full);
        }
        let used = self.owners.get(owner).map_or(0, |usage| usage.bytes);
        if used + more > self.limits.owner_bytes {
            return Err(Refused::Quota);
        }
        Ok(())
    }

    /// Counts a write of an owner who has proved himself; false if he writes too often.
    pub(super) fn may_write(&mut self, owner: &str, now: Instant) -> bool {
        let rate = self.limits.owner_writes;
        match self.owners.get_mut(owner) {
            Some(usage) => usage.writes.take(rate, rate * 8, now),
            None => true,
        }
    }

    /// Stores a record whose signatures hold.
    pub(super) fn put(
        &mut self,
        record: SignedRecord,
        pen: Pen,
        intent: Intent,
    ) -> Result<Verdict, Refused> {
        let verdict = self.consider(&record, pen.instance, intent)?;
        if verdict == Verdict::Known {
            return Ok(verdict);
        }
        let (id, key) = (SlotId::of(&record.control), record.control.key);
        let mut ends = record.control.ends().min(pen.ends);
        let hash = hash(id, record.control.sequence);
        let old = self.take(id);
        if let Some(old) = &old
            && record.control.removed
        {
            // A tombstone lives as long as what it removes could be replayed.
            ends = old.ends.max(record.control.sequence);
        }
        let usage = self.owners.entry(record.control.owner.clone());
        let usage = usage.or_insert(Usage {
            records: 0,
            bytes: 0,
            writes: Budget::new(),
        });
        usage.records += 1;
        usage.bytes += record.size();
        self.bytes += record.size();
        self.slots.insert(id, key);
        self.keys.entry(key).or_default().push(Entry {
            id,
            record,
            serial: pen.serial,
            ends,
            hash,
            foreign: None,
        });
        Ok(verdict)
    }

    fn take(&mut self, id: SlotId) -> Option<Entry> {
        let key = self.slots.remove(&id)?;
        let entries = self.keys.get_mut(&key)?;
        let place = entries.iter().position(|entry| entry.id == id)?;
        let entry = entries.swap_remove(place);
        if entries.is_empty() {
            self.keys.remove(&key);
        }
        let size = entry.record.size();
        self.bytes -= size;
        if let Some(usage) = self.owners.get_mut(&entry.record.control.owner) {
            usage.records -= 1;
            usage.bytes -= size;
        }
        Some(entry)
    }

    /// The records and tombstones of a key that still live.
    pub(super) fn get(&self, key: Key, owner: Option<&str>, wall: u64) -> Vec<SignedRecord> {
        let entries = self.keys.get(&key).map_or(&[][..], Vec::as_slice);
        let wanted = entries.iter().filter(|entry| {
            let control = &entry.record.control;
            entry.ends > wall
                && control.ends() > wall
                && owner.is_none_or(|owner| owner == control.owner)
        });
        wanted.map(|entry| entry.record.clone()).collect()
    }

    /// Drops what was signed with revoked certificates: no reader takes it any more.
    pub(super) fn revoke(&mut self, revocations: &RevocationList) {
        let revoked = self.entries().filter(|entry| {
            entry
                .serial
                .is_some_and(|serial| revocations.contains(serial))
        });
        for id in revoked.map(|entry| entry.id).collect::<Vec<_>>() {
            self.take(id);
        }
    }

    /// Drops what has ended, and owners of nothing.
    pub(super) fn sweep(&mut self, wall: u64, now: Instant) {
        let ended = self.entries().filter(|entry| entry.ends <= wall);
        for id in ended.map(|entry| entry.id).collect::<Vec<_>>() {
            self.take(id);
        }
        self.owners
            .retain(|_, usage| usage.records > 0 || !usage.writes.is_full(now));
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.keys.values().flatten()
    }

    fn on_arc(&self, after: Key, last: Key, wall: u64) -> impl Iterator<Item = &Entry> {
        let one = (Bound::Excluded(after), Bound::Included(last));
        let to_end = (Bound::Excluded(after), Bound::Unbounded);
        let from_start = (Bound::Unbounded, Bound::Included(last));
        let (first, second) = if after < last {
            (self.keys.range(one), None)
        } else {
            (self.keys.range(to_end), Some(self.keys.range(from_start)))
        };
        let inside = first.chain(second.into_iter().flatten());
        let entries = inside.flat_map(|(_, entries)| entries);
        entries.filter(move |entry| entry.ends > wall && entry.record.control.ends() > wall)
    }

    /// A hash over what lives on an arc; equal for equal contents, whatever the order.
    pub(super) fn digest(&self, after: Key, last: Key, wall: u64) -> u64 {
        let hashes = self.on_arc(after, last, wall).map(|entry| entry.hash);
        hashes.fold(0, |digest, hash| digest ^ hash)
    }

    /// What lives on an arc, by key and thus in the order in which the arc is walked from key 0 on.
    pub(super) fn slots(&self, after: Key, last: Key, wall: u64) -> Vec<Slot> {
        let slots = self.on_arc(after, last, wall).map(|entry| Slot {
            id: entry.id,
            sequence: entry.record.control.sequence,
        });
        slots.collect()
    }

    pub(super) fn record(&self, id: SlotId) -> Option<&SignedRecord> {
        let key = self.slots.get(&id)?;
        let entries = self.keys.get(key)?;
        let entry = entries.iter().find(|entry| entry.id == id)?;
        Some(&entry.record)
    }

    pub(super) fn sequence(&self, id: SlotId) -> Option<u64> {
        self.record(id).map(|record| record.control.sequence)
    }

    /// All slots, for handing over.
    pub(super) fn all(&self) -> impl Iterator<Item = (SlotId, Key)> {
        self.slots.iter().map(|(&id, &key)| (id, key))
    }

    /// Marks what it is no longer responsible for, and returns what is newly so. What has been so for `grace` goes.
    pub(super) fn part_with(
        &mut self,
        is_own: impl Fn(Key) -> bool,
        grace: core::time::Duration,
        now: Instant,
    ) -> Vec<(SlotId, Key)> {
        let (mut newly, mut over) = (Vec::new(), Vec::new());
        for (&key, entries) in &mut self.keys {
            let own = is_own(key);
            for entry in entries {
                match entry.foreign {
                    _ if own => entry.foreign = None,
                    None => {
                        entry.foreign = Some(now);
                        newly.push((entry.id, key));
                    }
                    Some(since) if now - since >= grace => over.push(entry.id),
                    Some(_) => {}
                }
            }
        }
        for id in over {
            self.take(id);
        }
        newly
    }
}

fn hash(id: SlotId, sequence: u64) -> u64 {
    first_eight(&sha1(&[&id.0[..], &sequence.to_be_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use credential::{OverlayId, Signature};

    const WALL: u64 = 1_000_000;

    fn store(keys: impl IntoIterator<Item = u8>) -> Store {
        let mut store = Store::new(Limits::default());
        for first in keys {
            let record = SignedRecord {
                control: crate::Control {
                    overlay: OverlayId([1; 16]),
                    key: Key([first; 20]),
                    owner: "sip:alice@example.org".to_string(),
                    instance: Instance([1; 16]),
                    policy: crate::Policy::default(),
                    sequence: WALL,
                    lifetime: 60,
                    no_update: false,
                    removed: false,
                },
                body: Vec::new(),
                certificate: Vec::new(),
                signature: Signature([0; 64]),
            };
            let pen = Pen {
                instance: Instance([1; 16]),
                serial: None,
                ends: u64::MAX,
            };
            store.put(record, pen, Intent::Copy).unwrap();
        }
        store
    }

    #[test]
    fn arcs_are_cut_as_keys_say() {
        let keys = [3, 50, 100, 150, 200, 250];
        let store = store(keys);
        for (after, last) in [(50, 200), (200, 50), (0, 255), (255, 0), (100, 100), (1, 2)] {
            let (after, last) = (Key([after; 20]), Key([last; 20]));
            let inside = keys
                .iter()
                .filter(|first| Key([**first; 20]).is_within(&after, &last));
            assert_eq!(store.slots(after, last, WALL).len(), inside.count());
        }
    }

    #[test]
    fn digest_is_equal_for_equal_contents_only() {
        let all = (Key([0; 20]), Key([0; 20]));
        let digest = |store: &Store| store.digest(all.0, all.1, WALL);
        assert_eq!(digest(&store([1, 2, 3])), digest(&store([3, 1, 2])));
        assert_ne!(digest(&store([1, 2, 3])), digest(&store([1, 2])));
        let mut swept = store([1, 2, 3]);
        assert_eq!(
            swept.digest(all.0, all.1, WALL + 60_000),
            0,
            "what has ended does not count"
        );
        swept.sweep(WALL + 60_000, Instant::EPOCH);
        assert_eq!((swept.len(), swept.bytes), (0, 0));
        assert!(swept.owners.is_empty());
    }
}
