//! Watching over the records that ordinary nodes placed by this super node, so that their owners add them again when
//! all super nodes that kept them are gone at once.
//!
//! Nothing is asked as long as a quorum of those that acknowledged a record are members: then the others get their
//! copies from it. If fewer are left, the record is searched for, and its owner told if nobody has it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::{Asker, SuperNode, Timer};
use crate::association::{FromSuperNode, SearchEnd};
use crate::peer::SlotId;
use crate::{Key, LinkId, SignedRecord};

/// How long after a loss the records are looked at: by then whoever else fell with it is known to be lost.
const AFTER: Duration = Duration::from_secs(2);
/// How long copies may take until those who keep a record now count as those who have it.
const SETTLED: Duration = Duration::from_secs(30);
/// How many searches go out at once, and after how long more of them do.
const AT_ONCE: usize = 64;
const PACE: Duration = Duration::from_millis(200);
/// After how long a search that nobody answered is repeated.
const AGAIN: Duration = Duration::from_secs(5);
/// How many records of one association are watched over.
const GUARDED: usize = 16;

/// The records of one association.
pub(super) type Guarded = BTreeMap<SlotId, Guard>;

/// A record whose owner is associated.
#[derive(Debug)]
pub(super) struct Guard {
    key: Key,
    /// Who had it when that was last known.
    holders: Vec<NodeId>,
    searching: bool,
}

impl SuperNode {
    /// A quorum keeps a record, or its tombstone.
    pub(super) fn guard(&mut self, link: LinkId, slot: SlotId, key: Key, removed: bool) {
        if !self.ring.knows(key) {
            // Whether those who keep it live does not come to be known here.
            return;
        }
        let holders = self.ring.replicas(key);
        let Some(guarded) = self.guarded_of(link) else {
            return;
        };
        if removed {
            guarded.remove(&slot);
        } else if guarded.len() < GUARDED || guarded.contains_key(&slot) {
            let guard = Guard {
                key,
                holders,
                searching: false,
            };
            guarded.insert(slot, guard);
        }
    }

    /// A member is lost.
    pub(super) fn guard_soon(&mut self, now: Instant) {
        self.lost_at = now;
        self.guard_in(AFTER, now);
    }

    fn guard_in(&mut self, pause: Duration, now: Instant) {
        if !self.guarding {
            self.guarding = true;
            self.timers.set(now + pause, Timer::Guard);
        }
    }

    pub(super) fn guard_due(&mut self, now: Instant) {
        self.guarding = false;
        let settled = now - self.lost_at >= SETTLED;
        let (mut doubtful, mut affected) = (Vec::new(), false);
        let ring = &self.ring;
        for (&link, association) in &mut self.associations {
            association.guarded.retain(|_, guard| ring.knows(guard.key));
            for (&slot, guard) in &mut association.guarded {
                let left = guard.holders.iter();
                let left = left.filter(|&&node| ring.member(node).is_some()).count();
                if left == guard.holders.len() {
                    continue;
                }
                affected = true;
                if left > guard.holders.len() / 2 {
                    if settled {
                        guard.holders = ring.replicas(guard.key);
                    }
                } else if !guard.searching && doubtful.len() < AT_ONCE {
                    guard.searching = true;
                    doubtful.push((link, slot, guard.key));
                }
            }
        }
        let next = match doubtful.len() {
            0 => SETTLED,
            AT_ONCE => PACE,
            _ => AGAIN,
        };
        for (link, slot, key) in doubtful {
            let owner = self.user(link).map(|user| user.uri.clone());
            self.search(Asker::Guard { link, slot }, key, owner, true, now);
        }
        if affected {
            self.guard_in(next, now);
        }
    }

    /// The search for a record whose keepers are gone is over.
    pub(super) fn guarded(
        &mut self,
        link: LinkId,
        slot: SlotId,
        found: &BTreeMap<SlotId, SignedRecord>,
        end: SearchEnd,
    ) {
        let here = found.contains_key(&slot);
        let Some(guarded) = self.guarded_of(link) else {
            return;
        };
        let Some(guard) = guarded.get_mut(&slot) else {
            return;
        };
        guard.searching = false;
        let key = guard.key;
        if here {
            let holders = self.ring.replicas(key);
            if let Some(guard) = self.guarded_of(link).and_then(|all| all.get_mut(&slot)) {
                guard.holders = holders;
            }
        } else if end == SearchEnd::Complete {
            guarded.remove(&slot);
            self.send_ordinary(link, &FromSuperNode::Lost { key });
        }
    }

    fn guarded_of(&mut self, link: LinkId) -> Option<&mut Guarded> {
        Some(&mut self.associations.get_mut(&link)?.guarded)
    }
}
