//! The connections between hosts: how long they take to open, what gets lost on them, and what they cost.

use std::time::Duration;

use credential::NodeId;
use machine::{Instant, Machine as _};
use overlay::{LinkId, OrdinaryInput, SuperNodeInput};

use super::queue::Event;
use super::{Host, Node, World};
use crate::overlay::chance::round_trip;
use crate::overlay::traffic::{self, ACKNOWLEDGEMENTS, HANDSHAKES, Owed, Purpose};

/// Of so many packets one is lost.
const LOSS: usize = 200;
/// A connection on which nothing is acknowledged is closed after this.
const SILENCE: Duration = Duration::from_millis(2_500);
/// When a driver gives up a dial.
const HANDSHAKE: Duration = Duration::from_secs(3);

pub(super) struct Connection {
    /// The one that dialled, and the other.
    pub(super) ends: [Host; 2],
    one_way: Duration,
    /// When the latest message arrives, each way.
    last: [Instant; 2],
    owed: [Owed; 2],
    /// Sent when nobody knew yet what the connection is for.
    opening: Option<u64>,
    between_super_nodes: bool,
}

impl World {
    pub(super) fn opened(&mut self, to: Host, connection: u64) {
        let now = self.now;
        let Some(state) = self.connections.get(&connection) else {
            return;
        };
        let other = state.ends[usize::from(state.ends[0] == to)];
        let certificate = match &self.nodes[other] {
            Node::Sn(sn) => Some(sn.certificate.to_vec()),
            Node::On(_) | Node::Dead => None,
        };
        match &mut self.nodes[to] {
            Node::Sn(sn) => {
                let link = LinkId(connection);
                let input = match certificate {
                    Some(certificate) => SuperNodeInput::PeerOpened { link, certificate },
                    None => SuperNodeInput::AssociationOpened(link),
                };
                sn.machine.handle_input(input, now);
            }
            Node::On(on) => {
                let link = on.links.iter().find(|(_, number)| **number == connection);
                if let Some((&link, _)) = link {
                    on.machine.handle_input(OrdinaryInput::Up(link), now);
                }
            }
            Node::Dead => {}
        }
        self.settle(to);
    }

    pub(super) fn arrived(&mut self, to: Host, connection: u64, frame: Vec<u8>) {
        let now = self.now;
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let other = state.ends[usize::from(state.ends[0] == to)];
        if matches!(self.nodes[to], Node::Dead) {
            // Nothing comes back: the sender sees it after a while.
            return self.events.push(
                now + SILENCE,
                Event::Closed {
                    to: other,
                    connection,
                },
            );
        }
        if state.between_super_nodes {
            let (purpose, _) = traffic::kind(&frame);
            let end = usize::from(state.ends[0] != to);
            let count = traffic::packets(frame.len());
            for (purpose, bytes) in state.owed[end].receive(count, purpose, now) {
                self.sent.add(purpose, ACKNOWLEDGEMENTS, bytes);
            }
        }
        let sender = match &self.nodes[other] {
            Node::Sn(sn) => Some(sn.node),
            Node::On(_) | Node::Dead => None,
        };
        match &mut self.nodes[to] {
            Node::Sn(sn) => {
                if let Some(sender) = sender {
                    self.searches.arrives(sender, sn.node, &frame);
                }
                let link = LinkId(connection);
                sn.machine
                    .handle_input(SuperNodeInput::Frame { link, frame }, now);
            }
            Node::On(on) => {
                let link = on.links.iter().find(|(_, number)| **number == connection);
                if let Some((&link, _)) = link {
                    on.machine
                        .handle_input(OrdinaryInput::Frame { link, frame }, now);
                }
            }
            Node::Dead => {}
        }
        self.settle(to);
    }

    /// One end learns that a connection is gone.
    pub(super) fn closed(&mut self, to: Host, connection: u64) {
        let now = self.now;
        self.connections.remove(&connection);
        match &mut self.nodes[to] {
            Node::Sn(sn) => {
                let input = SuperNodeInput::Closed(LinkId(connection));
                sn.machine.handle_input(input, now);
            }
            Node::On(on) => {
                let link = on.links.iter().find(|(_, number)| **number == connection);
                if let Some((&link, _)) = link {
                    on.links.remove(&link);
                    on.machine.handle_input(OrdinaryInput::Down(link), now);
                }
            }
            Node::Dead => {}
        }
        self.settle(to);
    }

    pub(super) fn dial(&mut self, host: Host, node: NodeId) {
        let to = self.by_id.get(&node).copied();
        match to {
            Some(to) => {
                let round_trip = round_trip(host as u64, to as u64, self.seed);
                self.connect(host, to, round_trip / 2, true);
            }
            None => {
                // Nobody counts what it was for: the tries of the search are few beside those of the ring.
                self.sent
                    .add(Purpose::Maintenance, HANDSHAKES, traffic::VAIN);
                let to = host;
                self.events
                    .push(self.now + HANDSHAKE, Event::Unreached { to, node });
            }
        }
    }

    pub(super) fn connect(
        &mut self,
        from: Host,
        to: Host,
        one_way: Duration,
        between_super_nodes: bool,
    ) -> u64 {
        self.next += 1;
        let connection = self.next;
        let mut there = self.now + one_way * 2;
        for _ in 0..2 {
            if self.chance.below(LOSS) == 0 {
                there = there + Duration::from_millis(300);
            }
        }
        let state = Connection {
            ends: [from, to],
            one_way,
            last: [there + one_way, there],
            owed: [Owed::default(); 2],
            opening: between_super_nodes.then_some(traffic::DIALLING + traffic::ANSWERING),
            between_super_nodes,
        };
        self.connections.insert(connection, state);
        self.events.push(
            there,
            Event::Opened {
                to: from,
                connection,
            },
        );
        self.events
            .push(there + one_way, Event::Opened { to, connection });
        connection
    }

    pub(super) fn send(&mut self, from: Host, connection: u64, frame: Vec<u8>) {
        let now = self.now;
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let end = usize::from(state.ends[0] != from);
        let to = state.ends[1 - end];
        let packets = traffic::packets(frame.len());
        // At 100 Mbit/s.
        let mut at = now + state.one_way + Duration::from_nanos(frame.len() as u64 * 80);
        let lost = self.chance.below(LOSS) < packets.min(LOSS as u64 / 4) as usize;
        if lost {
            at = at + state.one_way * 3 + traffic::DELAYED;
        }
        at = at.max(state.last[end]);
        state.last[end] = at;
        if state.between_super_nodes {
            let (purpose, kind) = traffic::kind(&frame);
            let again = if lost { 2 } else { 1 };
            self.sent.count(purpose, kind, frame.len());
            let bytes = traffic::bytes(frame.len()) * again;
            let greeting = kind == 0 && purpose == Purpose::Maintenance;
            if let Some(opening) = state.opening.as_mut()
                && greeting
            {
                *opening += bytes;
            } else {
                self.sent.add(purpose, kind, bytes);
                if end == 0
                    && let Some(opening) = state.opening.take()
                {
                    self.sent.add(purpose, HANDSHAKES, opening);
                }
            }
            let (owed, bytes) = state.owed[end].send(now);
            self.sent.add(owed, ACKNOWLEDGEMENTS, bytes);
            if let Node::Sn(sn) = &self.nodes[from] {
                self.searches.leaves(sn.node, &frame, now);
            }
        }
        self.events.push(
            at,
            Event::Frame {
                to,
                connection,
                frame,
            },
        );
    }

    pub(super) fn close(&mut self, from: Host, connection: u64) {
        let Some(state) = self.connections.get(&connection) else {
            return;
        };
        let end = usize::from(state.ends[0] != from);
        let to = state.ends[1 - end];
        let at = (self.now + state.one_way).max(state.last[end]);
        self.events.push(at, Event::Closed { to, connection });
    }
}
