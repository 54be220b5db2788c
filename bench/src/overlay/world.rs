//! The network: super nodes and ordinary nodes as they are, in virtual time.
//!
//! A message takes half a round trip; a lost packet delays it and all after it on its connection by a time-out. A dial
//! takes a round trip at the end that dials and half of one more at the other. Nobody is told that a node has crashed:
//! a dial into the void fails after the driver's time, and a message that is not acknowledged closes its connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use credential::{NodeId, Signature, Signed, Verified};
use machine::{Instant, Machine as _};
use overlay::{
    Intern, LinkId, Member, OrdinaryEvent, OrdinaryInput, OrdinaryNode, OrdinaryOutput, QueryId,
    SuperNode, SuperNodeEvent, SuperNodeInput, SuperNodeOutput,
};

use super::chance::Chance;
use super::search::Searches;
use super::traffic::Sent;

mod connections;
mod queue;

use connections::Connection;
use queue::{Event, Queue};

/// Between ordinary node and super node.
const ACCESS: Duration = Duration::from_millis(15);

pub(super) type Host = usize;

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
    events: Queue,
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
            events: Queue::default(),
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
        while let Some((at, event)) = self.events.pop(end) {
            self.now = at;
            self.events_done += 1;
            self.happen(event);
        }
        self.now = end;
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
                self.events.push(due, Event::Wake(host));
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
