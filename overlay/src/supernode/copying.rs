//! Copies: what a newcomer fetches, what replicas owe each other after a change of the ring, what goes on leaving.
//!
//! Two super nodes compare a hash over an arc of the ring; where it differs, one lists its slots, the other sends what
//! is newer on its side and asks for what is newer on the list. It is the one mechanism for joining (copy first,
//! announce after), for re-replication after a crash, and for replicas that missed something.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::owing::Owed;
use super::placing::pen;
use super::store::{Intent, Verdict};
use super::{Offence, Offender, State, SuperNode, Timer, Waiting};
use crate::checks::{record_checks, record_fault};
use crate::peer::{Message, Slot, SlotId};
use crate::{Key, Refused, SignedRecord};

/// After a change of the ring, how long before replicas compare.
const SOON: Duration = Duration::from_millis(300);
/// How often each arc is compared with one other replica, ring changed or not; in a large ring, where a change touches few
/// keys and compares them at once, one of the five arcs each time.
const ROUND: Duration = Duration::from_secs(10);
const LARGE: Duration = Duration::from_secs(12);
/// How often copies go out.
const PACE: Duration = Duration::from_millis(50);
/// The bytes in one message.
const BYTES: usize = 48 * 1024;
/// Slots in one message, and of one arc in all.
const SLOTS: usize = 1_500;
const ARC: usize = 200_000;
/// Arcs that are compared at one time.
const COMPARISONS: usize = 4_096;
/// How long one replica may take to send what it was asked for, before another is asked.
const PATIENCE: Duration = Duration::from_secs(4);
const WANTED: usize = 512;
/// How long a record is kept after the super node ceased to be responsible for it.
const GRACE: Duration = Duration::from_secs(60);
/// How often the store is swept.
const SWEEP: Duration = Duration::from_secs(20);
/// How long handing over on leaving may take.
const PARTING: Duration = Duration::from_secs(3);

/// What is owed to other super nodes.
#[derive(Debug, Default)]
pub(super) struct Copies {
    owed: Owed,
    /// What was sent beyond the rate.
    debt: usize,
    /// Arcs that are being compared: the part of the other's list that has come, and whether what the other lacks is
    /// sent without being asked for.
    lists: BTreeMap<(NodeId, Key, Key), (Vec<Slot>, bool)>,
    /// What was asked for lately: each from one replica.
    wanted: BTreeMap<SlotId, Instant>,
    sync_due: Option<Instant>,
    running: bool,
    /// Which arc was compared last.
    turn: usize,
}

impl Copies {
    /// Whether a slot is to be asked for: not if another replica is about to send it.
    fn wants(&mut self, slot: SlotId, now: Instant) -> bool {
        let asked = self.wanted.entry(slot).or_insert(Instant::EPOCH);
        let wants = *asked <= now;
        if wants {
            *asked = now + PATIENCE;
        }
        wants
    }
}

impl SuperNode {
    /// A joining node has the table: it fetches the records that it will be responsible for, from both its neighbours.
    pub(super) fn fetch_records(&mut self, now: Instant) {
        let (after, last) = self.ring.arc(self.own);
        let mut sources = self.ring.successors(self.own, 2);
        sources.extend(self.ring.predecessors(self.own, 1));
        sources.sort_unstable();
        sources.dedup();
        if let State::Joining(join) = &mut self.state {
            join.sources = Some(sources.iter().map(|&node| (node, false)).collect());
            join.progress(now);
        }
        for node in sources {
            self.compare(node, after, last, true, now);
        }
        self.fetched(now);
    }

    /// A joining node that has all records announces itself.
    fn fetched(&mut self, now: Instant) {
        if let State::Joining(join) = &self.state
            && let Some(sources) = &join.sources
            && join.wanted.is_empty()
            && sources.values().all(|known| *known)
        {
            self.announce(now);
        }
    }

    fn source_done(&mut self, node: NodeId, now: Instant) {
        if let State::Joining(join) = &mut self.state {
            join.progress(now);
            if let Some(sources) = &mut join.sources
                && let Some(known) = sources.get_mut(&node)
            {
                *known = true;
            }
        }
        self.fetched(now);
        self.part_if_done(now);
    }

    fn arrived(&mut self, slot: SlotId, now: Instant) {
        self.copies.wanted.remove(&slot);
        if let State::Joining(join) = &mut self.state {
            join.progress(now);
            join.wanted.remove(&slot);
        }
        self.fetched(now);
    }

    /// The ring has changed: replicas compare soon.
    pub(super) fn sync_soon(&mut self, now: Instant) {
        if self.copies.sync_due.is_none() {
            self.copies.sync_due = Some(now + SOON);
            self.timers.set(now + SOON, Timer::Sync);
        }
    }

    pub(super) fn sync_due(&mut self, now: Instant) {
        self.copies.sync_due = None;
        for (after, last, others) in self.ring.segments(self.own) {
            for node in others.into_iter().take(super::ring::REPLICAS) {
                // The other does the same: whoever lacks something asks one of those that have it.
                self.compare(node, after, last, false, now);
            }
        }
    }

    /// Now and then each arc is compared with one of the others that keep it.
    pub(super) fn copy_round(&mut self, now: Instant) {
        let small = self.is_small();
        let pause = if small { ROUND } else { LARGE };
        self.timers.set(now + pause, Timer::CopyRound);
        if !matches!(self.state, State::Joined) {
            return;
        }
        self.copies.turn = (self.copies.turn + 1) % super::ring::REPLICAS;
        let turn = self.copies.turn;
        for (at, (after, last, others)) in self.ring.segments(self.own).into_iter().enumerate() {
            if !others.is_empty() && (small || at == turn) {
                let node = others[self.rng.below(others.len() as u32) as usize];
                self.compare(node, after, last, true, now);
            }
        }
    }

    fn compare(&mut self, node: NodeId, after: Key, last: Key, push: bool, now: Instant) {
        if self.copies.lists.len() >= COMPARISONS {
            self.copies.lists.clear();
        }
        let under_way = self.copies.lists.entry((node, after, last)).or_default();
        under_way.1 |= push;
        let digest = self.store.digest(after, last, self.wall(now));
        let message = Message::Compare {
            after,
            last,
            digest,
        };
        self.send_peer(node, &message, now);
    }

    pub(super) fn compared(
        &mut self,
        node: NodeId,
        after: Key,
        last: Key,
        digest: u64,
        now: Instant,
    ) {
        let wall = self.wall(now);
        if self.store.digest(after, last, wall) == digest {
            return self.send_peer(node, &Message::Same { after, last }, now);
        }
        let slots = self.store.slots(after, last, wall);
        let mut chunks = slots.chunks(SLOTS).peekable();
        if chunks.peek().is_none() {
            let message = Message::Slots {
                after,
                last,
                slots: Vec::new(),
                more: false,
            };
            return self.send_peer(node, &message, now);
        }
        while let Some(chunk) = chunks.next() {
            let message = Message::Slots {
                after,
                last,
                slots: chunk.to_vec(),
                more: chunks.peek().is_some(),
            };
            self.send_peer(node, &message, now);
        }
    }

    pub(super) fn same(&mut self, node: NodeId, after: Key, last: Key, now: Instant) {
        self.copies.lists.remove(&(node, after, last));
        self.source_done(node, now);
    }

    /// Compares the other's list with the own slots: sends what is newer here, asks for what is newer there.
    pub(super) fn slots_listed(
        &mut self,
        node: NodeId,
        (after, last): (Key, Key),
        slots: Vec<Slot>,
        more: bool,
        now: Instant,
    ) {
        // Of an arc that nobody asked for.
        let Some((list, _)) = self.copies.lists.get_mut(&(node, after, last)) else {
            return;
        };
        if list.len() + slots.len() > ARC {
            self.copies.lists.remove(&(node, after, last));
            return self.misbehaved(Offender::SuperNode(node), Offence::Flood);
        }
        list.extend(slots);
        if more {
            return;
        }
        let list = self.copies.lists.remove(&(node, after, last));
        let (theirs, push) = list.unwrap_or_default();
        let theirs: BTreeMap<SlotId, u64> = theirs
            .into_iter()
            .map(|slot| (slot.id, slot.sequence))
            .collect();
        let wanted: BTreeSet<SlotId> = theirs
            .iter()
            .filter(|(id, sequence)| self.store.sequence(**id).is_none_or(|own| own < **sequence))
            .map(|(id, _)| *id)
            .collect();
        let mine = self.store.slots(after, last, self.wall(now));
        for slot in mine.into_iter().filter(|_| push) {
            if theirs
                .get(&slot.id)
                .is_none_or(|theirs| *theirs < slot.sequence)
            {
                self.owe(node, slot.id, now);
            }
        }
        let mut all: Vec<SlotId> = wanted.iter().copied().collect();
        match &mut self.state {
            State::Joining(join) => join.wanted.extend(wanted),
            State::Joined => all.retain(|slot| self.copies.wants(*slot, now)),
            // Whoever goes takes nothing more.
            State::Leaving | State::Left => all.clear(),
        }
        for chunk in all.chunks(WANTED) {
            let slots = chunk.to_vec();
            self.send_peer(node, &Message::Want { slots }, now);
        }
        self.source_done(node, now);
    }

    pub(super) fn wanted(&mut self, node: NodeId, slots: Vec<SlotId>, now: Instant) {
        for slot in slots.into_iter().take(WANTED) {
            self.owe(node, slot, now);
        }
    }

    fn owe(&mut self, node: NodeId, slot: SlotId, now: Instant) {
        self.copies.owed.push(node, slot);
        if !self.copies.running {
            self.copies.running = true;
            self.timers.set(now, Timer::Copy);
        }
    }

    /// Sends as many copies as the pace allows.
    pub(super) fn copy_due(&mut self, now: Instant) {
        let wall = self.wall(now);
        let allowed = self.config.limits.copy_rate as usize / (1_000 / PACE.as_millis() as usize);
        let mut bytes = self.copies.debt;
        let mut batches: BTreeMap<NodeId, Vec<SignedRecord>> = BTreeMap::new();
        while bytes < allowed.max(1)
            && let Some((node, slot)) = self.copies.owed.pop()
        {
            if let Some(record) = self.store.record(slot, wall) {
                bytes += record.size();
                batches.entry(node).or_default().push(record.clone());
            }
        }
        self.copies.debt = bytes.saturating_sub(allowed.max(1));
        for (node, records) in batches {
            // One record is at most 19 KiB: what exceeds the pace still fits the frame.
            for part in split(records) {
                self.send_peer(node, &Message::Copies { records: part }, now);
            }
        }
        self.copies.running = !self.copies.owed.is_empty();
        if self.copies.running {
            self.timers.set(now + PACE, Timer::Copy);
        } else {
            self.part_if_done(now);
        }
    }

    pub(super) fn copies(&mut self, from: NodeId, records: Vec<SignedRecord>, now: Instant) {
        for record in records {
            let slot = SlotId::of(&record.control);
            match self.take_copy(from, record, now) {
                Ok(true) => {}
                Ok(false) | Err(()) => self.arrived(slot, now),
            }
        }
    }

    /// True if its signatures are being checked.
    fn take_copy(&mut self, from: NodeId, record: SignedRecord, now: Instant) -> Result<bool, ()> {
        let checks = record_checks(
            &record,
            &self.config.anchor,
            &self.revocations,
            &self.chains,
            self.wall(now),
        );
        let checks = checks.map_err(|fault| {
            // A record may have ended on its way.
            if fault != crate::RecordFault::Expired {
                self.accuse(from, fault, now);
            }
        })?;
        let verdict =
            self.store
                .consider(&record, pen(&record).instance, Intent::Copy, self.wall(now));
        if verdict.map_err(|_: Refused| ())? == Verdict::Known {
            return Ok(false);
        }
        if self.checks.len() >= self.config.limits.checks {
            return Err(());
        }
        self.check(Waiting::Copy { from, record }, checks);
        Ok(true)
    }

    pub(super) fn copy_checked(
        &mut self,
        from: NodeId,
        record: SignedRecord,
        failed: Option<usize>,
        now: Instant,
    ) {
        let slot = SlotId::of(&record.control);
        match failed {
            Some(failed) => {
                self.accuse(from, record_fault(failed), now);
            }
            None => {
                self.chains.learn(&record.certificate);
                let (pen, wall) = (pen(&record), self.wall(now));
                // Refused if a newer one has come meanwhile, which is as good.
                let _ = self.store.put(record, pen, Intent::Copy, wall);
            }
        }
        self.arrived(slot, now);
    }

    /// Drops what has ended; hands on, and later drops, what others are responsible for now.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.timers.set(now + SWEEP, Timer::Sweep);
        let wall = self.wall(now);
        self.store.sweep(wall, now);
        self.copies.wanted.retain(|_, until| *until > now);
        if !matches!(self.state, State::Joined) {
            return;
        }
        let (ring, own) = (&self.ring, self.own);
        let foreign = self
            .store
            .part_with(|key| ring.is_replica(own, key), GRACE, now);
        for (slot, key) in foreign {
            if let Some(&node) = self.ring.replicas(key).first() {
                self.owe(node, slot, now);
            }
        }
    }

    /// Leaving: whoever takes its place for a key gets the record, and other replicas what they lack, then all are told.
    pub(super) fn begin_leave(&mut self, now: Instant) {
        if !matches!(self.state, State::Joined) {
            return self.left();
        }
        self.state = State::Leaving;
        // A replica may have become one a moment ago, and have nothing yet.
        self.copies.lists.clear();
        for (after, last, others) in self.ring.segments(self.own) {
            for node in others {
                self.compare(node, after, last, true, now);
            }
        }
        let all: Vec<(SlotId, Key)> = self.store.all().collect();
        for (slot, key) in all {
            // Its own place is taken by the member after the last replica.
            let replicas = self.ring.replicas(key);
            let heir = replicas.last().and_then(|&last| {
                let next = self.ring.successors(last, 1).first().copied()?;
                (!replicas.contains(&next)).then_some(next)
            });
            if let Some(heir) = heir {
                self.owe(heir, slot, now);
            }
        }
        self.timers.set(now + PARTING, Timer::Parting);
        self.part_if_done(now);
    }

    /// A leaving node that has nothing left to hand on says that it leaves.
    fn part_if_done(&mut self, now: Instant) {
        if !self.copies.running && self.copies.lists.is_empty() {
            self.parted(now);
        }
    }

    pub(super) fn parted(&mut self, now: Instant) {
        if let State::Leaving = self.state
            && !self.leave_announced
        {
            self.leave_announced = true;
            self.announce_leaving(now);
        }
    }
}

/// Parts that each fit into a frame.
fn split(records: Vec<SignedRecord>) -> Vec<Vec<SignedRecord>> {
    let mut parts: Vec<Vec<SignedRecord>> = Vec::new();
    let mut bytes = usize::MAX;
    for record in records {
        bytes = bytes.saturating_add(record.size());
        if bytes > BYTES {
            parts.push(Vec::new());
            bytes = record.size();
        }
        if let Some(part) = parts.last_mut() {
            part.push(record);
        }
    }
    parts
}

impl SuperNode {
    /// How many records and tombstones it keeps.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.store.len()
    }
}
