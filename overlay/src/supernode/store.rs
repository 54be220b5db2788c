//! The share of the table that a super node keeps.
//!
//! Nothing here checks a signature. Whatever comes in has passed [`Store::consider`] before its signatures were
//! verified, and passes it again when it is put in.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Bound;

use credential::{Instance, RevocationList, Serial};
use machine::Instant;
use serde::{Deserialize, Serialize};

use super::Limits;
use super::ring::first_eight;
use crate::association::Mode;
use crate::budget::Budget;
use crate::key::sha1;
use crate::peer::{Slot, SlotId};
use crate::{Key, Refused, SignedRecord};

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
pub(super) struct Entry {
    id: SlotId,
    pub(super) record: SignedRecord,
    serial: Option<Serial>,
    /// When no reader takes it any more.
    ends: u64,
    /// Until when an earlier version of it could be brought up again. What has ended stays that long as a mark: its
    /// control record without body and certificate.
    until: u64,
    /// Its part of an arc's digest.
    hash: u64,
    /// Since when the super node is no longer responsible for it.
    foreign: Option<Instant>,
}

/// An entry as it is kept over a restart.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) record: SignedRecord,
    pub(super) ends: u64,
    pub(super) until: u64,
}

impl Kept {
    fn of(entry: &Entry) -> Self {
        Self {
            record: entry.record.clone(),
            ends: entry.ends,
            until: entry.until,
        }
    }
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
    pub(super) limits: Limits,
    /// What has changed since it was last taken down.
    changed: BTreeSet<SlotId>,
}

impl Entry {
    /// It is neither a mark nor at its end.
    pub(super) fn lives(&self, wall: u64) -> bool {
        self.ends > wall && self.record.control.ends() > wall
    }
}

impl Store {
    pub(super) const fn new(limits: Limits) -> Self {
        Self {
            keys: BTreeMap::new(),
            slots: BTreeMap::new(),
            owners: BTreeMap::new(),
            bytes: 0,
            limits,
            changed: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn records_of(&self, owner: &str) -> usize {
        self.owners.get(owner).map_or(0, |usage| usage.records)
    }

    pub(super) fn bytes_of(&self, owner: &str) -> usize {
        self.owners.get(owner).map_or(0, |usage| usage.bytes)
    }

    /// All that is stored under a key, marks included.
    pub(super) fn under(&self, key: Key) -> &[Entry] {
        self.keys.get(&key).map_or(&[], Vec::as_slice)
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
        wall: u64,
    ) -> Result<Verdict, Refused> {
        let verdict = self.consider(&record, pen.instance, intent, wall)?;
        if verdict == Verdict::Known {
            return Ok(verdict);
        }
        let id = SlotId::of(&record.control);
        let before = self.take(id).map_or(0, |old| old.until);
        let mut ends = record.control.ends().min(pen.ends);
        if record.control.removed && before > 0 {
            // A tombstone lives as long as what it removes could be replayed.
            ends = before.max(record.control.sequence);
        }
        self.insert(id, record, pen.serial, ends, before.max(ends));
        Ok(verdict)
    }

    fn insert(
        &mut self,
        id: SlotId,
        record: SignedRecord,
        serial: Option<Serial>,
        ends: u64,
        until: u64,
    ) {
        let usage = self.owners.entry(record.control.owner.clone());
        let usage = usage.or_insert(Usage {
            records: 0,
            bytes: 0,
            writes: Budget::new(),
        });
        usage.records += 1;
        usage.bytes += record.size();
        self.bytes += record.size();
        let key = record.control.key;
        self.slots.insert(id, key);
        self.changed.insert(id);
        let entry = Entry {
            id,
            hash: hash(id, record.control.sequence),
            record,
            serial,
            ends,
            until,
            foreign: None,
        };
        self.keys.entry(key).or_default().push(entry);
    }

    fn take(&mut self, id: SlotId) -> Option<Entry> {
        let key = self.slots.remove(&id)?;
        let entries = self.keys.get_mut(&key)?;
        let place = entries.iter().position(|entry| entry.id == id)?;
        let entry = entries.swap_remove(place);
        if entries.is_empty() {
            self.keys.remove(&key);
        }
        self.changed.insert(id);
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
        let wanted = self.under(key).iter().filter(|entry| {
            entry.lives(wall) && owner.is_none_or(|owner| owner == entry.record.control.owner)
        });
        wanted.map(|entry| entry.record.clone()).collect()
    }

    /// Drops what was signed with revoked certificates: no reader takes it any more.
    pub(super) fn revoke(&mut self, revocations: &RevocationList, wall: u64) {
        let revoked = self.entries().filter(|entry| {
            entry
                .serial
                .is_some_and(|serial| revocations.contains(serial))
        });
        for id in revoked.map(|entry| entry.id).collect::<Vec<_>>() {
            self.end(id, wall);
        }
    }

    /// Drops what has ended, and owners of nothing.
    pub(super) fn sweep(&mut self, wall: u64, now: Instant) {
        let ended = self.entries().filter(|entry| {
            entry.ends <= wall && (entry.until <= wall || !entry.record.certificate.is_empty())
        });
        for id in ended.map(|entry| entry.id).collect::<Vec<_>>() {
            self.end(id, wall);
        }
        self.owners
            .retain(|_, usage| usage.records > 0 || !usage.writes.is_full(now));
    }

    /// Takes a record out. Its sequence stays as long as an earlier version could come back.
    fn end(&mut self, id: SlotId, wall: u64) {
        if let Some(mut entry) = self.take(id)
            && entry.until > wall
        {
            entry.record.body = Vec::new();
            entry.record.certificate = Vec::new();
            self.insert(id, entry.record, None, 0, entry.until);
        }
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
        entries.filter(move |entry| entry.lives(wall))
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

    fn entry(&self, id: SlotId) -> Option<&Entry> {
        let entries = self.keys.get(self.slots.get(&id)?)?;
        entries.iter().find(|entry| entry.id == id)
    }

    /// What lives in a slot.
    pub(super) fn record(&self, id: SlotId, wall: u64) -> Option<&SignedRecord> {
        let entry = self.entry(id)?;
        entry.lives(wall).then_some(&entry.record)
    }

    /// The newest sequence that was ever in a slot, as far as it matters.
    pub(super) fn sequence(&self, id: SlotId) -> Option<u64> {
        self.entry(id).map(|entry| entry.record.control.sequence)
    }

    /// Whether something has changed since it was last taken down.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Takes up to `count` slots that have changed, each with what stands in it now.
    pub(super) fn take_changed(&mut self, count: usize) -> Vec<(SlotId, Option<Kept>)> {
        let mut changed = Vec::new();
        while changed.len() < count
            && let Some(id) = self.changed.pop_first()
        {
            changed.push((id, self.entry(id).map(Kept::of)));
        }
        changed
    }

    /// Puts back what was kept, unless something newer is there. It counts against the reserve, but not as a change.
    pub(super) fn restore(&mut self, kept: Kept, serial: Option<Serial>) {
        let id = SlotId::of(&kept.record.control);
        let newer = |own: u64| own >= kept.record.control.sequence;
        let full = self.len() >= self.limits.records
            || self.bytes + kept.record.size() > self.limits.bytes;
        if full || self.sequence(id).is_some_and(newer) {
            return;
        }
        self.take(id);
        self.insert(id, kept.record, serial, kept.ends, kept.until);
        self.changed.remove(&id);
    }

    /// Has a slot of what was kept taken out of it, if nothing stands there.
    pub(super) fn forget(&mut self, id: SlotId) {
        self.changed.insert(id);
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
            store.put(record, pen, Intent::Copy, WALL).unwrap();
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
