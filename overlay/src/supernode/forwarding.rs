//! Searches that come from other super nodes: answered, or handed on hop by hop where tables differ.
//!
//! ```text
//! asker -- Find --> hop -- Find --> hop -- Find --> replica
//!                    |<---- Ack -----|<---- Ack -----|
//!   |<----------------------- Found -----------------|
//! ```
//!
//! Whoever is handed a search by another than the asker acknowledges it at once. Who hands it on and hears nothing
//! chooses another next hop; after a few it answers itself that it has nothing. A search says how often it may still be
//! handed on and who has had it, so that it can neither loop nor go on for ever.

use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::resolving::Need;
use super::searching::bounded;
use super::{Offence, Offender, SuperNode, Timer};
use crate::SignedRecord;
use crate::peer::{Find, Message};

/// How often a search may be handed on by nodes whose tables differ.
pub(super) const TTL: u8 = 2;
/// How long a next hop has to acknowledge a search.
const HOP: Duration = Duration::from_millis(500);
/// How many next hops are tried.
const HOPS: usize = 3;
/// How many searches may wait for that.
const FORWARDED: usize = 4_096;

/// A search that was handed on and is not acknowledged yet.
#[derive(Debug)]
pub(super) struct Forwarded {
    /// As it was sent.
    find: Find,
    /// The next hops tried, the one that is waited for last.
    hops: Vec<NodeId>,
    /// Until when that one may acknowledge it.
    until: Instant,
}

impl SuperNode {
    /// Answers a search of another super node, or hands it on to whoever should know.
    pub(super) fn find(&mut self, from: NodeId, mut find: Find, now: Instant) {
        let visited = &find.visited;
        let sent = visited.last() == Some(&from) && visited.first() == Some(&find.asker);
        let hops = visited.len().saturating_sub(1);
        let may_live = hops + usize::from(find.ttl) <= usize::from(TTL);
        if !sent || !may_live || visited.contains(&self.own) {
            return self.misbehaved(Offender::SuperNode(from), Offence::OutOfPlace);
        }
        let (asker, request) = (find.asker, find.request);
        if from != asker {
            self.send_peer(from, &Message::Ack { asker, request }, now);
        }
        if self.forwarded.contains_key(&(asker, request)) {
            // It came round by another way.
            return;
        }
        let wall = self.wall(now);
        let records = bounded(self.store.get(find.key, find.owner.as_deref(), wall));
        let responsible = self.ring.is_replica(self.own, find.key);
        let full = self.forwarded.len() >= FORWARDED;
        if !records.is_empty() || responsible || find.ttl == 0 || full {
            return self.found_here(&find, records, now);
        }
        find.ttl -= 1;
        find.visited.push(self.own);
        let forwarded = Forwarded {
            find,
            hops: Vec::new(),
            until: now,
        };
        self.hand_on(forwarded, now);
    }

    /// Hands a search to the next hop, or answers it if there is none that could know more.
    fn hand_on(&mut self, mut forwarded: Forwarded, now: Instant) {
        let find = &forwarded.find;
        let mut replicas = if self.ring.knows(find.key) {
            self.ring.replicas(find.key)
        } else {
            self.ring.guides().collect()
        };
        replicas.retain(|node| {
            let had = find.visited.contains(node) || forwarded.hops.contains(node);
            !had && *node != find.asker
        });
        let doubtful = |node: &NodeId| self.is_doubtful(*node, now);
        let next = replicas.into_iter().min_by_key(doubtful);
        let Some(next) = next.filter(|_| forwarded.hops.len() < HOPS) else {
            return self.found_here(&forwarded.find, Vec::new(), now);
        };
        let id = (find.asker, find.request);
        let message = Message::Find(find.clone());
        forwarded.hops.push(next);
        forwarded.until = now + HOP;
        self.forwarded.insert(id, forwarded);
        self.timers.set(now + HOP, Timer::Hop(id.0, id.1));
        self.send_peer(next, &message, now);
    }

    /// A next hop has taken a search over. Only the one that it was handed to can say so.
    pub(super) fn acknowledged(&mut self, from: NodeId, asker: NodeId, request: u64) {
        // One that was too slow may say so later.
        let Some(forwarded) = self.forwarded.get(&(asker, request)) else {
            return;
        };
        if forwarded.hops.last() == Some(&from) {
            self.forwarded.remove(&(asker, request));
        } else if !forwarded.hops.contains(&from) {
            self.misbehaved(Offender::SuperNode(from), Offence::Unasked);
        }
    }

    /// A next hop has not said that it took a search over.
    pub(super) fn hop_due(&mut self, asker: NodeId, request: u64, now: Instant) {
        let forwarded = self.forwarded.get(&(asker, request));
        if forwarded.is_some_and(|forwarded| forwarded.until <= now) {
            self.next_hop(asker, request, now);
        }
    }

    fn next_hop(&mut self, asker: NodeId, request: u64, now: Instant) {
        if let Some(forwarded) = self.forwarded.remove(&(asker, request)) {
            self.hand_on(forwarded, now);
        }
    }

    /// A next hop is gone.
    pub(super) fn hop_lost(&mut self, node: NodeId, now: Instant) {
        let waiting = self.forwarded.iter();
        let waiting = waiting.filter(|(_, forwarded)| forwarded.hops.last() == Some(&node));
        for (asker, request) in waiting.map(|(&id, _)| id).collect::<Vec<_>>() {
            self.next_hop(asker, request, now);
        }
    }

    /// The answer goes to the asker directly, whichever way the search came (R16).
    fn found_here(&mut self, find: &Find, records: Vec<SignedRecord>, now: Instant) {
        let (asker, request) = (find.asker, find.request);
        let message = Message::Found { request, records };
        if self.link_to(asker).is_none() && self.address(asker).is_none() {
            let need = Need::Link(asker, Some(message));
            return self.resolve(asker.into(), need, now);
        }
        self.send_peer(asker, &message, now);
    }
}
