//! Links to other super nodes: dialled when needed, probed along the ring.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Certificate, NodeId, Serial};
use machine::Instant;

use super::resolving::Need;
use super::{Offence, Offender, SuperNode, SuperNodeEvent, SuperNodeOutput, Timer};
use crate::budget::Budget;
use crate::peer::Message;
use crate::{LinkId, RecordFault, frame};

/// How long a dial may take before it counts as failed.
const DIAL: Duration = Duration::from_millis(1_500);
/// How often a member that can't be dialled is tried before it is lost.
const ATTEMPTS: u8 = 2;
/// How many frames wait for one dial.
const QUEUE: usize = 256;
/// Messages of one super node in a second in the long run, and at once.
const MESSAGES: (u32, u32) = (4_000, 8_000);

/// How many links one super node may have; both may dial at the same moment.
const LINKS: usize = 3;
/// After how many forgeries a super node is left alone, for how long, and how many such are remembered.
const FORGERIES: u32 = 8;
const BAN: Duration = Duration::from_secs(600);
const FORGERS: usize = 1_024;

/// Requests whose answer costs much more than they do, of one link in a second and at once.
const HEAVY: (u32, u32) = (50, 500);

/// A link whose other end is an admitted super node.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) node: NodeId,
    pub(super) serial: Serial,
    pub(super) heard: Instant,
    pub(super) asked: Option<Instant>,
    pub(super) misses: u8,
    /// Since when it has to show that it lives, because somebody doubts it.
    pub(super) suspected: Option<Instant>,
    budget: Budget,
    heavy: Budget,
    pub(super) fetches: Budget,
    pub(super) wrong_touches: Budget,
    flooding: bool,
}

/// A dial under way.
#[derive(Debug, Default)]
pub(super) struct Dial {
    queue: Vec<Vec<u8>>,
    attempts: u8,
    /// Tells this attempt from earlier ones.
    number: u64,
    /// The layer above waits for it.
    wanted: bool,
}

impl SuperNode {
    /// The TLS of the driver has verified the chain and that the other end holds the key. What its role is, and whether
    /// it counts in this overlay, is decided here.
    pub(super) fn peer_opened(&mut self, link: LinkId, certificate: &[u8], now: Instant) {
        let Ok(certificate) = Certificate::read(certificate) else {
            return self.refuse_peer(link, Offence::Certificate);
        };
        let wall = self.wall(now);
        let admitted = self
            .config
            .anchor
            .admit(&certificate, wall, &self.revocations);
        if admitted.is_err() {
            return self.refuse_peer(link, Offence::Certificate);
        }
        let Some(node) = certificate.node() else {
            return self.refuse_peer(link, Offence::Role);
        };
        if node == self.own || self.state.has_left() || self.is_banned(node, now) {
            return self.outbox.push(SuperNodeOutput::Close(link));
        }
        let links = self.ready.entry(node).or_default();
        let surplus = if links.len() >= LINKS {
            links.pop_first()
        } else {
            None
        };
        links.insert(link);
        if let Some(oldest) = surplus {
            self.peers.remove(&oldest);
            self.event(SuperNodeEvent::PeerDown { link: oldest, node });
            self.outbox.push(SuperNodeOutput::Close(oldest));
        }
        if self.peers.len() >= self.config.limits.links {
            self.spare_link();
        }
        let peer = Peer {
            node,
            serial: certificate.serial(),
            heard: now,
            asked: None,
            misses: 0,
            suspected: None,
            budget: Budget::new(),
            heavy: Budget::new(),
            fetches: Budget::new(),
            wrong_touches: Budget::new(),
            flooding: false,
        };
        self.peers.insert(link, peer);
        self.event(SuperNodeEvent::PeerUp { link, node });
        self.greet(link);
        if let Some(dial) = self.dials.remove(&node) {
            for frame in dial.queue {
                self.outbox.push(SuperNodeOutput::Send { link, frame });
            }
        }
    }

    fn refuse_peer(&mut self, link: LinkId, how: Offence) {
        self.misbehaved(Offender::Stranger(link), how);
        self.outbox.push(SuperNodeOutput::Close(link));
    }

    pub(super) fn peer_frame(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        let overlay = self.overlay();
        let Some(peer) = self.peers.get_mut(&link) else {
            return;
        };
        let node = peer.node;
        peer.heard = now;
        peer.misses = 0;
        let message = if peer.budget.take(MESSAGES.0, MESSAGES.1, now) {
            frame::decode::<Message>(overlay, bytes).map(|message| {
                let within = !is_heavy(&message) || peer.heavy.take(HEAVY.0, HEAVY.1, now);
                within.then_some(message)
            })
        } else {
            Ok(None)
        };
        match message {
            Ok(Some(message)) => {
                peer.flooding = false;
                self.peer_message(link, node, message, now);
            }
            // Named once a flood.
            Ok(None) if core::mem::replace(&mut peer.flooding, true) => {}
            Ok(None) => self.misbehaved(Offender::SuperNode(node), Offence::Flood),
            Err(fault) => self.forged(node, Offence::Frame(fault), now),
        }
    }

    pub(super) fn peer_closed(&mut self, link: LinkId, now: Instant) {
        let Some(peer) = self.peers.remove(&link) else {
            return;
        };
        let node = peer.node;
        self.event(SuperNodeEvent::PeerDown { link, node });
        if let Some(links) = self.ready.get_mut(&node) {
            links.remove(&link);
            if !links.is_empty() {
                return;
            }
            self.ready.remove(&node);
        }
        self.searches_lost(node, now);
        self.guide_lost(node, now);
        self.untold(node, now);
        let near = self.is_small() || self.concerns(node);
        if near && self.ring.member(node).is_some() {
            self.dial(node, now);
        }
    }

    /// The newest link: an older one may be what is left of a process that died.
    pub(super) fn link_to(&self, node: NodeId) -> Option<LinkId> {
        self.ready.get(&node)?.last().copied()
    }

    pub(super) fn send_link(&mut self, link: LinkId, message: &Message) {
        let frame = frame::encode(self.overlay(), message);
        self.outbox.push(SuperNodeOutput::Send { link, frame });
    }

    /// Sends to a super node, by a new link if there is none.
    pub(super) fn send_peer(&mut self, node: NodeId, message: &Message, now: Instant) {
        if let Some(link) = self.link_to(node) {
            return self.send_link(link, message);
        }
        self.dial(node, now);
        let frame = frame::encode(self.overlay(), message);
        if let Some(dial) = self.dials.get_mut(&node)
            && dial.queue.len() < QUEUE
        {
            dial.queue.push(frame);
        }
    }

    pub(super) fn send_all(&mut self, message: &Message) {
        let links: Vec<LinkId> = self
            .ready
            .values()
            .filter_map(BTreeSet::last)
            .copied()
            .collect();
        for link in links {
            self.send_link(link, message);
        }
    }

    pub(super) fn address(&self, node: NodeId) -> Option<String> {
        if let Some(member) = self.ring.known(node) {
            return Some(member.quic().into());
        }
        if let Some(member) = self.resolving.stranger(node) {
            return Some(member.quic().into());
        }
        let seed = self.seeds.iter().find(|seed| seed.node == node)?;
        Some(seed.quic.clone())
    }

    pub(super) fn dial(&mut self, node: NodeId, now: Instant) {
        if self.dials.contains_key(&node) || self.ready.contains_key(&node) || node == self.own {
            return;
        }
        let Some(address) = self.address(node) else {
            return;
        };
        self.dials.insert(node, Dial::default());
        self.dial_again(node, address, now);
    }

    fn dial_again(&mut self, node: NodeId, address: String, now: Instant) {
        if let Some(dial) = self.dials.get_mut(&node) {
            self.dialled += 1;
            dial.attempts += 1;
            dial.number = self.dialled;
            self.timers.set(now + DIAL, Timer::Dial(node, dial.number));
            self.outbox.push(SuperNodeOutput::Dial { node, address });
        }
    }

    pub(super) fn dial_due(&mut self, node: NodeId, number: u64, now: Instant) {
        let dial = self.dials.get(&node);
        if dial.is_some_and(|dial| dial.number == number) {
            self.dial_failed(node, now);
        }
    }

    pub(super) fn dial_failed(&mut self, node: NodeId, now: Instant) {
        let Some(dial) = self.dials.get(&node) else {
            return;
        };
        if dial.attempts < ATTEMPTS
            && self.ring.member(node).is_some()
            && let Some(address) = self.address(node)
        {
            return self.dial_again(node, address, now);
        }
        let wanted = dial.wanted;
        self.dials.remove(&node);
        if wanted {
            self.event(SuperNodeEvent::PeerFailed(node));
        }
        self.searches_lost(node, now);
        self.guide_lost(node, now);
        self.untold(node, now);
        self.lose(node, now);
    }

    pub(super) fn want_link(&mut self, node: NodeId, now: Instant) {
        if self.ready.contains_key(&node) {
            return;
        }
        if self.ring.is_partial() && self.address(node).is_none() {
            return self.resolve(node.into(), Need::Link(node, None), now);
        }
        self.dial(node, now);
        match self.dials.get_mut(&node) {
            Some(dial) => dial.wanted = true,
            None => self.event(SuperNodeEvent::PeerFailed(node)),
        }
    }

    /// A super node handed over what it must have known to be forged, for it verifies everything itself. After a few
    /// times it is left alone: each costs a verification.
    pub(super) fn forged(&mut self, node: NodeId, how: Offence, now: Instant) {
        self.misbehaved(Offender::SuperNode(node), how);
        if self.forgers.len() >= FORGERS && !self.forgers.contains_key(&node) {
            self.forgers.pop_first();
        }
        let (count, last) = self.forgers.entry(node).or_insert((0, now));
        if now - *last >= BAN {
            *count = 0;
        }
        (*count, *last) = (*count + 1, now);
        if *count >= FORGERIES {
            self.close_links(node);
        }
    }

    /// A super node handed over a faulty record.
    pub(super) fn accuse(&mut self, node: NodeId, fault: RecordFault, now: Instant) {
        let how = Offence::Record(fault);
        if fault.is_plain() {
            self.forged(node, how, now);
        } else {
            self.misbehaved(Offender::SuperNode(node), how);
        }
    }

    fn is_banned(&self, node: NodeId, now: Instant) -> bool {
        let forger = self.forgers.get(&node);
        forger.is_some_and(|(count, last)| *count >= FORGERIES && now - *last < BAN)
    }

    /// Closes the link that has been silent the longest, if nobody near is at its other end.
    fn spare_link(&mut self) {
        let far = self
            .peers
            .iter()
            .filter(|(_, peer)| !self.concerns(peer.node));
        let oldest = far.min_by_key(|(_, peer)| peer.heard);
        let Some((link, node)) = oldest.map(|(link, peer)| (*link, peer.node)) else {
            return;
        };
        self.peers.remove(&link);
        if let Some(links) = self.ready.get_mut(&node) {
            links.remove(&link);
            if links.is_empty() {
                self.ready.remove(&node);
            }
        }
        self.event(SuperNodeEvent::PeerDown { link, node });
        self.outbox.push(SuperNodeOutput::Close(link));
    }

    pub(super) fn close_links(&mut self, node: NodeId) {
        for link in self.ready.remove(&node).unwrap_or_default() {
            self.peers.remove(&link);
            self.event(SuperNodeEvent::PeerDown { link, node });
            self.outbox.push(SuperNodeOutput::Close(link));
        }
    }
}

fn is_heavy(message: &Message) -> bool {
    match message {
        Message::Hello { .. }
        | Message::Digest { .. }
        | Message::Branch { .. }
        | Message::Members { .. }
        | Message::Ask { .. }
        | Message::Fetch { .. }
        | Message::Guides
        | Message::Compare { .. }
        | Message::Slots { .. }
        | Message::Want { .. } => true,
        Message::Announcements { .. }
        | Message::Doubt { .. }
        | Message::News { .. }
        | Message::Ping { .. }
        | Message::Pong { .. }
        | Message::Revocations { .. }
        | Message::Find(_)
        | Message::Ack { .. }
        | Message::Size { .. }
        | Message::Who { .. }
        | Message::Keepers { .. }
        | Message::Found { .. }
        | Message::Place { .. }
        | Message::Touch { .. }
        | Message::Placed { .. }
        | Message::Same { .. }
        | Message::Copies { .. } => false,
    }
}
