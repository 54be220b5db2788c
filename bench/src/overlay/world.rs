//! The network: super nodes and ordinary nodes as they are, in virtual time.
//!
//! A message takes half a round trip; a lost packet delays it and all after it on its connection by a time-out. A dial
//! takes a round trip at the end that dials and half of one more at the other. Nobody is told that a node has crashed:
//! a dial into the void fails after the driver's time, and a message that is not acknowledged closes its connection.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credential::{NodeId, Signature, Signed, Verified};
use machine::{Instant, Machine as _};
use overlay::{
    Intern, LinkId, Member, OrdinaryEvent, OrdinaryInput, OrdinaryNode, OrdinaryOutput, QueryId,
    SuperNode, SuperNodeEvent, SuperNodeInput, SuperNodeOutput,
};

use super::chance::{Chance, round_trip};
use super::search::Searches;
use super::traffic::{self, ACKNOWLEDGEMENTS, HANDSHAKES, Owed, Purpose, Sent};

/// Of so many packets one is lost.
const LOSS: usize = 200;
/// A connection on which nothing is acknowledged is closed after this.
const SILENCE: Duration = Duration::from_millis(2_500);
/// When a driver gives up a dial.
const HANDSHAKE: Duration = Duration::from_secs(3);
/// Between ordinary node and super node.
const ACCESS: Duration = Duration::from_millis(15);

pub(super) type Host = usize;

#[derive(Debug)]
enum Event {
    Wake(Host),
    Opened {
        to: Host,
        connection: u64,
    },
    Unreached {
        to: Host,
        node: NodeId,
    },
    Frame {
        to: Host,
        connection: u64,
        frame: Vec<u8>,
    },
    Closed {
        to: Host,
        connection: u64,
    },
}

#[derive(Debug)]
struct Queued {
    at: Instant,
    number: u64,
    event: Event,
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

pub(super) struct Sn {
    pub(super) machine: Box<SuperNode>,
    pub(super) node: NodeId,
    certificate: Arc<[u8]>,
}

pub(super) struct On {
    pub(super) machine: Box<OrdinaryNode>,
    links: HashMap<LinkId, u64>,
    /// When each get() began.
    gets: HashMap<QueryId, Instant>,
    pub(super) placed: u64,
    pub(super) refused: u64,
}

pub(super) enum Node {
    Sn(Sn),
    On(On),
    /// Crashed, or left.
    Dead,
}

struct Connection {
    /// The one that dialled, and the other.
    ends: [Host; 2],
    one_way: Duration,
    /// When the latest message arrives, each way.
    last: [Instant; 2],
    owed: [Owed; 2],
    /// Sent when nobody knew yet what the connection is for.
    opening: Option<u64>,
    between_super_nodes: bool,
}

/// How a get() went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Got {
    pub(super) took: Duration,
    pub(super) found: bool,
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: Vec<Node>,
    by_id: HashMap<NodeId, Host>,
    by_host: HashMap<String, Host>,
    connections: HashMap<u64, Connection>,
    events: BinaryHeap<Reverse<Queued>>,
    woken: Vec<Option<Instant>>,
    next: u64,
    seed: u64,
    pub(super) chance: Chance,
    pub(super) pool: Arc<Pool>,
    pub(super) sent: Sent,
    pub(super) signatures: u64,
    pub(super) events_done: u64,
    pub(super) searches: Searches,
    pub(super) got: Vec<Got>,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            now: Instant::EPOCH,
            nodes: Vec::new(),
            by_id: HashMap::new(),
            by_host: HashMap::new(),
            connections: HashMap::new(),
            events: BinaryHeap::new(),
            woken: Vec::new(),
            next: 0,
            seed,
            chance: Chance::new(seed),
            pool: Arc::default(),
            sent: Sent::default(),
            signatures: 0,
            events_done: 0,
            searches: Searches::default(),
            got: Vec::new(),
        }
    }

    pub(super) fn add_super_node(
        &mut self,
        mut machine: SuperNode,
        certificate: Arc<[u8]>,
        name: String,
    ) -> Host {
        let host = self.nodes.len();
        let node = machine.node();
        machine.share(Arc::clone(&self.pool) as Arc<dyn Intern>);
        self.by_id.insert(node, host);
        self.by_host.insert(name, host);
        self.nodes.push(Node::Sn(Sn {
            machine: Box::new(machine),
            node,
            certificate,
        }));
        self.woken.push(None);
        self.settle(host);
        host
    }

    pub(super) fn add_ordinary(&mut self, machine: OrdinaryNode) -> Host {
        let host = self.nodes.len();
        self.nodes.push(Node::On(On {
            machine: Box::new(machine),
            links: HashMap::new(),
            gets: HashMap::new(),
            placed: 0,
            refused: 0,
        }));
        self.woken.push(None);
        self.settle(host);
        host
    }

    /// Ends a process without a word.
    pub(super) fn crash(&mut self, host: Host) {
        if let Node::Sn(sn) = &self.nodes[host] {
            self.by_id.remove(&sn.node);
        }
        self.nodes[host] = Node::Dead;
    }

    pub(super) fn leave(&mut self, host: Host) {
        let now = self.now;
        if let Node::Sn(sn) = &mut self.nodes[host] {
            sn.machine.leave(now);
        }
        self.settle(host);
    }

    pub(super) fn with_on(&mut self, host: Host, action: impl FnOnce(&mut On, Instant)) {
        let now = self.now;
        if let Node::On(on) = &mut self.nodes[host] {
            action(on, now);
        }
        self.settle(host);
    }

    pub(super) fn get(&mut self, host: Host, key: overlay::Key, overlay: credential::OverlayId) {
        self.with_on(host, |on, now| {
            let reading = overlay::Reading::Quick;
            let query = on.machine.get(overlay, key, None, reading, now);
            on.gets.insert(query, now);
        });
    }

    /// Lookups that have been under way for longer than this.
    pub(super) fn unfinished(&self, patience: Duration) -> usize {
        let late = |began: &&Instant| self.now - **began >= patience;
        let nodes = self.nodes.iter().filter_map(|node| match node {
            Node::On(on) => Some(on.gets.values().filter(late).count()),
            Node::Sn(_) | Node::Dead => None,
        });
        nodes.sum()
    }

    /// Lets time pass.
    pub(super) fn run_until(&mut self, end: Instant) {
        while self
            .events
            .peek()
            .is_some_and(|Reverse(next)| next.at <= end)
            && let Some(Reverse(next)) = self.events.pop()
        {
            self.now = next.at;
            self.events_done += 1;
            self.happen(next.event);
        }
        self.now = end;
    }

    fn push(&mut self, at: Instant, event: Event) {
        self.next += 1;
        let number = self.next;
        self.events.push(Reverse(Queued { at, number, event }));
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::Wake(host) => {
                if self.woken[host] == Some(now) {
                    self.woken[host] = None;
                }
                match &mut self.nodes[host] {
                    Node::Sn(sn) => sn.machine.handle_timeout(now),
                    Node::On(on) => on.machine.handle_timeout(now),
                    Node::Dead => return,
                }
                self.settle(host);
            }
            Event::Opened { to, connection } => self.opened(to, connection),
            Event::Unreached { to, node } => {
                if let Node::Sn(sn) = &mut self.nodes[to] {
                    sn.machine
                        .handle_input(SuperNodeInput::DialFailed(node), now);
                }
                self.settle(to);
            }
            Event::Frame {
                to,
                connection,
                frame,
            } => self.arrived(to, connection, frame),
            Event::Closed { to, connection } => {
                if self
                    .connections
                    .get(&connection)
                    .is_some_and(|c| c.ends.contains(&to))
                {
                    self.closed(to, connection);
                }
            }
        }
    }

    fn opened(&mut self, to: Host, connection: u64) {
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

    fn arrived(&mut self, to: Host, connection: u64, frame: Vec<u8>) {
        let now = self.now;
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        let other = state.ends[usize::from(state.ends[0] == to)];
        if matches!(self.nodes[to], Node::Dead) {
            // Nothing comes back: the sender sees it after a while.
            return self.push(
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
    fn closed(&mut self, to: Host, connection: u64) {
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

    /// Does what a host asks for, and notes when to wake it.
    fn settle(&mut self, host: Host) {
        loop {
            match &mut self.nodes[host] {
                Node::Sn(sn) => match sn.machine.poll_output() {
                    Some(output) => self.of_super_node(host, output),
                    None => break,
                },
                Node::On(on) => match on.machine.poll_output() {
                    Some(output) => self.of_ordinary(host, output),
                    None => break,
                },
                Node::Dead => return,
            }
        }
        let due = match &self.nodes[host] {
            Node::Sn(sn) => sn.machine.poll_timeout(),
            Node::On(on) => on.machine.poll_timeout(),
            Node::Dead => None,
        };
        if let Some(due) = due {
            let due = due.max(self.now);
            if self.woken[host].is_none_or(|earlier| due < earlier) {
                self.woken[host] = Some(due);
                self.push(due, Event::Wake(host));
            }
        }
    }

    fn of_super_node(&mut self, host: Host, output: SuperNodeOutput) {
        let now = self.now;
        let input = match output {
            SuperNodeOutput::Dial { node, .. } => return self.dial(host, node),
            SuperNodeOutput::Send { link, frame } => return self.send(host, link.0, frame),
            SuperNodeOutput::Close(link) => return self.close(host, link.0),
            SuperNodeOutput::Event(SuperNodeEvent::Left) => return self.crash(host),
            SuperNodeOutput::Event(_) | SuperNodeOutput::Persist { .. } => return,
            SuperNodeOutput::Sign(request) => SuperNodeInput::Signed(Signed {
                job: request.job,
                signature: Signature([0; 64]),
            }),
            SuperNodeOutput::Verify(request) => {
                self.signatures += 1;
                let (job, valid) = (request.job, true);
                SuperNodeInput::Verified(Verified { job, valid })
            }
        };
        if let Node::Sn(sn) = &mut self.nodes[host] {
            sn.machine.handle_input(input, now);
        }
    }

    fn of_ordinary(&mut self, host: Host, output: OrdinaryOutput) {
        let now = self.now;
        let input = match output {
            OrdinaryOutput::Dial { link, url } => {
                let name = url.split('/').nth(2).unwrap_or_default();
                let to = self.by_host.get(name).copied();
                if let Some(to) = to.filter(|&to| matches!(self.nodes[to], Node::Sn(_))) {
                    let connection = self.connect(host, to, ACCESS, false);
                    if let Node::On(on) = &mut self.nodes[host] {
                        on.links.insert(link, connection);
                    }
                }
                return;
            }
            OrdinaryOutput::Send { link, frame } => {
                if let Node::On(on) = &self.nodes[host]
                    && let Some(&connection) = on.links.get(&link)
                {
                    self.send(host, connection, frame);
                }
                return;
            }
            OrdinaryOutput::Close(link) => {
                if let Node::On(on) = &mut self.nodes[host]
                    && let Some(connection) = on.links.remove(&link)
                {
                    self.close(host, connection);
                }
                return;
            }
            OrdinaryOutput::Event(event) => return self.heard(host, &event),
            OrdinaryOutput::Sign(request) => OrdinaryInput::Signed(Signed {
                job: request.job,
                signature: Signature([0; 64]),
            }),
            OrdinaryOutput::Verify(request) => {
                let (job, valid) = (request.job, true);
                OrdinaryInput::Verified(Verified { job, valid })
            }
        };
        if let Node::On(on) = &mut self.nodes[host] {
            on.machine.handle_input(input, now);
        }
    }

    fn heard(&mut self, host: Host, event: &OrdinaryEvent) {
        let Node::On(on) = &mut self.nodes[host] else {
            return;
        };
        let (query, found) = match event {
            OrdinaryEvent::Records { query, records, .. } if !records.is_empty() => (query, true),
            OrdinaryEvent::GetFailed { query, .. } => (query, false),
            OrdinaryEvent::Placed { .. } => {
                on.placed += 1;
                return;
            }
            OrdinaryEvent::PlaceFailed { .. } => {
                on.refused += 1;
                return;
            }
            _ => return,
        };
        if let Some(began) = on.gets.remove(query) {
            let took = self.now - began;
            self.got.push(Got { took, found });
        }
    }

    fn dial(&mut self, host: Host, node: NodeId) {
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
                self.push(self.now + HANDSHAKE, Event::Unreached { to, node });
            }
        }
    }

    fn connect(
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
        self.push(
            there,
            Event::Opened {
                to: from,
                connection,
            },
        );
        self.push(there + one_way, Event::Opened { to, connection });
        connection
    }

    fn send(&mut self, from: Host, connection: u64, frame: Vec<u8>) {
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
        self.push(
            at,
            Event::Frame {
                to,
                connection,
                frame,
            },
        );
    }

    fn close(&mut self, from: Host, connection: u64) {
        let Some(state) = self.connections.get(&connection) else {
            return;
        };
        let end = usize::from(state.ends[0] != from);
        let to = state.ends[1 - end];
        let at = (self.now + state.one_way).max(state.last[end]);
        self.push(at, Event::Closed { to, connection });
    }
}

/// One copy of every announcement for all.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<HashMap<(NodeId, u64), Arc<Member>>>);

impl Intern for Pool {
    fn intern(&self, member: Member) -> Arc<Member> {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (member.node(), member.incarnation());
        Arc::clone(pool.entry(name).or_insert_with(|| Arc::new(member)))
    }
}
