//! Signs of life between neighbours on the ring.
//!
//! In a small ring each probes three neighbours on either side every second, for there every loss touches many records.
//! In a large one each sends something to its successor every few seconds, and only a predecessor that falls silent is
//! probed: two probes without an answer, or two failed dials, and it is lost.

use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::{SuperNode, Timer};
use crate::LinkId;
use crate::peer::Message;

/// How often neighbours are probed in a small ring.
pub(super) const PROBE: Duration = Duration::from_secs(1);
/// How many neighbours on each side are.
const PROBED: usize = 3;
/// The larger the ring, the fewer keys a loss touches: between signs of life pass so many milliseconds for each member,
/// within bounds.
const HURRY: u64 = 83;
const SLOWEST: u64 = 8_000;
/// How long a member that is doubted has for each of two probes.
const SUSPECT: Duration = Duration::from_secs(1);

impl SuperNode {
    pub(super) fn probe(&mut self, now: Instant) {
        if self.is_small() {
            self.timers.set(now + PROBE, Timer::Probe);
            return self.probe_neighbours(now);
        }
        let members = self.ring.estimate() as u64;
        let pause = Duration::from_millis((members * HURRY).clamp(1_000, SLOWEST));
        self.timers.set(now + pause, Timer::Probe);
        if let Some(node) = self.ring.successors(self.own, 1).pop() {
            let parts = alloc::vec::Vec::new();
            self.send_peer(node, &Message::News { parts }, now);
        }
        let Some(node) = self.ring.predecessors(self.own, 1).pop() else {
            return;
        };
        let link = self.link_to(node).and_then(|link| self.peers.get(&link));
        if link.is_none_or(|peer| now - peer.heard > pause * 3 / 2) {
            self.doubt(node, now);
        }
    }

    fn probe_neighbours(&mut self, now: Instant) {
        let mut neighbours = self.ring.successors(self.own, PROBED);
        neighbours.extend(self.ring.predecessors(self.own, PROBED));
        neighbours.sort_unstable();
        neighbours.dedup();
        for node in neighbours {
            let Some(link) = self.link_to(node) else {
                self.dial(node, now);
                continue;
            };
            let Some(peer) = self.peers.get_mut(&link) else {
                continue;
            };
            if peer.asked.is_some_and(|asked| peer.heard < asked) {
                peer.misses += 1;
            }
            if peer.misses >= 2 {
                self.lose(node, now);
            } else {
                if let Some(peer) = self.peers.get_mut(&link) {
                    peer.asked = Some(now);
                }
                self.ping(link);
            }
        }
    }

    fn ping(&mut self, link: LinkId) {
        let number = self.rng.number();
        self.send_link(link, &Message::Ping { number });
    }

    /// Somebody can't reach a member. It has a moment to show that it lives.
    pub(super) fn suspect(&mut self, node: NodeId, incarnation: u64, now: Instant) {
        let member = self.ring.member(node);
        let current = member.is_some_and(|member| member.incarnation() == incarnation);
        let near = self.is_small() || self.concerns(node);
        if node != self.own && current && near {
            self.doubt(node, now);
        }
    }

    fn doubt(&mut self, node: NodeId, now: Instant) {
        let Some(link) = self.link_to(node) else {
            return self.dial(node, now);
        };
        // One question at a time, however many ask for it.
        if let Some(peer) = self.peers.get_mut(&link)
            && peer.suspected.is_none()
        {
            peer.suspected = Some(now);
            peer.misses = 0;
            self.timers.set(now + SUSPECT, Timer::Suspect(link));
            self.ping(link);
        }
    }

    pub(super) fn suspect_due(&mut self, link: LinkId, now: Instant) {
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let node = peer.node;
        let Some(since) = peer.suspected else {
            return;
        };
        if peer.heard >= since {
            peer.suspected = None;
        } else if peer.misses == 0 {
            peer.misses = 1;
            self.timers.set(now + SUSPECT, Timer::Suspect(link));
            self.ping(link);
        } else {
            self.lose(node, now);
        }
    }
}
