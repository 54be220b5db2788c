//! A whole overlay in virtual time, and the words in which the tests talk about it.

use std::rc::Rc;
use std::time::Duration;

use credential::{Instance, NodeId, OverlayId, RevocationList};
use machine::{Instant, WallClock};
use overlay::{
    Candidate, GetError, Key, Limits, OrdinaryConfig, OrdinaryEvent, OrdinaryNode, PlaceError,
    Placement, QueryId, Reading, Seed, SignedRecord, SuperNode, SuperNodeConfig, SuperNodeEvent,
};
use sim::{HostId, Network};

use crate::authority::{Authority, Identity, WALL};
use crate::node::{Node, On, Puppet, Sn};

pub(crate) struct World {
    pub(crate) authority: Rc<Authority>,
    pub(crate) network: Network<Node>,
    pub(crate) super_nodes: Vec<HostId>,
    pub(crate) seed: u8,
    pub(crate) limits: Limits,
    hosts: u8,
}

impl World {
    pub(crate) fn new(seed: u8) -> Self {
        Self::of(Rc::new(Authority::new(7)), seed)
    }

    pub(crate) fn of(authority: Rc<Authority>, seed: u8) -> Self {
        Self {
            authority,
            network: Network::new([seed; 32]),
            super_nodes: Vec::new(),
            seed,
            limits: Limits::default(),
            hosts: 0,
        }
    }

    /// So many super nodes that have joined each other.
    pub(crate) fn with_super_nodes(seed: u8, count: usize) -> Self {
        let mut world = Self::new(seed);
        world.grow(count);
        world
    }

    pub(crate) fn grow(&mut self, count: usize) {
        let wanted = self.super_nodes.len() + count;
        for _ in 0..count {
            self.add_super_node();
        }
        assert!(self.settle(wanted), "the ring is complete");
    }

    /// Waits until every living super node knows so many members.
    pub(crate) fn settle(&mut self, wanted: usize) -> bool {
        let nodes = self.super_nodes.clone();
        let settled = self.network.run_until(Duration::from_secs(30), |network| {
            let mut members = nodes.iter().map(|&id| match network.host(id) {
                Node::Sn(sn) => sn.machine.members().count(),
                _ => 0,
            });
            members.all(|count| count == wanted)
        });
        self.network.run_for(Duration::from_secs(1));
        settled
    }

    pub(crate) fn overlay(&self) -> OverlayId {
        self.authority.overlay()
    }

    fn entropy(&mut self) -> [u8; 32] {
        self.hosts += 1;
        let mut seed = [self.seed; 32];
        seed[0] = self.hosts;
        seed
    }

    /// Starts a super node that knows the first two as seeds.
    pub(crate) fn add_super_node(&mut self) -> HostId {
        self.add_super_node_named(self.super_nodes.len())
    }

    /// Starts the super node with this number.
    pub(crate) fn add_super_node_named(&mut self, number: usize) -> HostId {
        let place = number;
        let number = number as u8;
        // Spread over the ring, not in the order of starting.
        let mut id = [number; 20];
        id[0] = number.wrapping_mul(151).wrapping_add(self.seed);
        let identity = self.authority.super_node(NodeId(id));
        self.start(identity, place)
    }

    pub(crate) fn add_super_node_as(&mut self, identity: impl Into<Rc<Identity>>) -> HostId {
        self.start(identity, self.super_nodes.len())
    }

    /// How a super node is joined by.
    pub(crate) fn seed_of(&self, at: usize) -> Seed {
        Seed {
            node: self.sn(self.super_nodes[at]).machine.node(),
            quic: format!("sn{at}:quic"),
        }
    }

    fn start(&mut self, identity: impl Into<Rc<Identity>>, number: usize) -> HostId {
        let identity = identity.into();
        let seeds = (0..self.super_nodes.len().min(2)).map(|at| self.seed_of(at));
        let config = SuperNodeConfig {
            anchor: self.authority.anchor.clone(),
            certificate: identity.certificate.clone(),
            statement: identity.statement.unwrap(),
            revocations: RevocationList::empty(self.overlay()),
            hosts: vec![format!("sn{number}")],
            url: format!("wss://sn{number}/p2psip"),
            quic: format!("sn{number}:quic"),
            stun: vec![format!("stun:sn{number}:3478")],
            seeds: seeds.collect(),
            limits: self.limits,
            clock: WallClock::new(WALL),
            seed: self.entropy(),
        };
        let machine = SuperNode::new(config, self.network.now());
        let node = Node::Sn(Box::new(Sn::new(machine, identity)));
        let id = self.network.add(node, &format!("sn{number}"));
        self.network.add_address(id, &format!("sn{number}:quic"));
        self.super_nodes.push(id);
        id
    }

    /// Ends the process of a super node, and starts it anew over what it has kept.
    pub(crate) fn restart(&mut self, at: usize) {
        let old = self.super_nodes[at];
        self.network.kill(old);
        let (identity, disk) = (self.sn(old).identity.clone(), self.sn(old).disk.clone());
        self.start(identity, at);
        let new = self.super_nodes.pop().unwrap();
        self.super_nodes[at] = new;
        let kept = disk.clone().into_iter().collect();
        self.network.with(new, |node, now| {
            if let Node::Sn(sn) = node {
                sn.disk = disk;
                let restored = overlay::SuperNodeInput::Restored(kept);
                machine::Machine::handle_input(&mut sn.machine, restored, now);
                sn.drain(now);
            }
        });
    }

    /// Starts an ordinary node that knows these super nodes.
    pub(crate) fn add_ordinary(
        &mut self,
        identity: impl Into<Rc<Identity>>,
        known: &[usize],
    ) -> HostId {
        let urls = known.iter().map(|at| format!("wss://sn{at}/p2psip"));
        self.add_ordinary_by(identity, urls.collect())
    }

    pub(crate) fn add_ordinary_by(
        &mut self,
        identity: impl Into<Rc<Identity>>,
        urls: Vec<String>,
    ) -> HostId {
        let identity = identity.into();
        let machine = self.ordinary(&identity, urls);
        let number = self.hosts;
        let node = Node::On(Box::new(On::new(machine, identity)));
        self.network.add(node, &format!("on{number}"))
    }

    /// An ordinary node that is nowhere yet.
    pub(crate) fn ordinary(&mut self, identity: &Identity, urls: Vec<String>) -> OrdinaryNode {
        let config = OrdinaryConfig {
            anchor: self.authority.anchor.clone(),
            certificate: identity.certificate.clone(),
            revocations: RevocationList::empty(self.overlay()),
            candidates: urls
                .into_iter()
                .map(|url| Candidate { url, node: None })
                .collect(),
            clock: WallClock::new(WALL),
            seed: self.entropy(),
        };
        OrdinaryNode::new(config, self.network.now())
    }

    /// A user with two associations.
    pub(crate) fn user(&mut self, name: &str, known: &[usize]) -> HostId {
        let uri = format!("sip:{name}@example.org");
        let identity = self.authority.user(&uri, known[0] as u8 + 1);
        let on = self.add_ordinary(identity, known);
        let wanted = known.len().min(2);
        assert!(self.associated(on, wanted), "{name} is associated");
        on
    }

    pub(crate) fn add_puppet(&mut self, address: &str) -> HostId {
        self.network.add(Node::Puppet(Puppet::default()), address)
    }

    pub(crate) fn associated(&mut self, on: HostId, wanted: usize) -> bool {
        self.network.run_until(Duration::from_secs(10), |network| {
            matches!(network.host(on), Node::On(on) if on.machine.associations().count() == wanted)
        })
    }

    pub(crate) fn on(&self, id: HostId) -> &On {
        match self.network.host(id) {
            Node::On(on) => on,
            _ => panic!("no ordinary node"),
        }
    }

    pub(crate) fn sn(&self, id: HostId) -> &Sn {
        match self.network.host(id) {
            Node::Sn(sn) => sn,
            _ => panic!("no super node"),
        }
    }

    pub(crate) fn with_on<R>(
        &mut self,
        id: HostId,
        action: impl FnOnce(&mut OrdinaryNode, Instant) -> R,
    ) -> R {
        self.network.with(id, |node, now| match node {
            Node::On(on) => {
                let result = action(&mut on.machine, now);
                on.drain(now);
                result
            }
            _ => panic!("no ordinary node"),
        })
    }

    pub(crate) fn with_sn<R>(
        &mut self,
        id: HostId,
        action: impl FnOnce(&mut SuperNode, Instant) -> R,
    ) -> R {
        self.network.with(id, |node, now| match node {
            Node::Sn(sn) => {
                let result = action(&mut sn.machine, now);
                sn.drain(now);
                result
            }
            _ => panic!("no super node"),
        })
    }

    pub(crate) fn puppet(&mut self, id: HostId, action: impl FnOnce(&mut Puppet)) {
        self.network.with(id, |node, _| match node {
            Node::Puppet(puppet) => action(puppet),
            _ => panic!("no puppet"),
        });
    }

    /// Replaces one's own record, and waits for the outcome.
    pub(crate) fn update(&mut self, on: HostId, key: Key, body: &[u8]) -> Result<u64, PlaceError> {
        let overlay = self.overlay();
        let body = body.to_vec();
        let query = self.with_on(on, |on, now| {
            on.update(overlay, key, body, Placement::lasting(3600), now)
        });
        self.placed(on, query)
    }

    pub(crate) fn add(
        &mut self,
        on: HostId,
        key: Key,
        body: &[u8],
        placement: Placement,
    ) -> Result<u64, PlaceError> {
        let overlay = self.overlay();
        let body = body.to_vec();
        let query = self.with_on(on, |on, now| on.add(overlay, key, body, placement, now));
        self.placed(on, query)
    }

    pub(crate) fn remove(
        &mut self,
        on: HostId,
        key: Key,
        instance: Option<Instance>,
    ) -> Result<u64, PlaceError> {
        let overlay = self.overlay();
        let query = self.with_on(on, |on, now| on.remove(overlay, key, instance, now));
        self.placed(on, query)
    }

    pub(crate) fn placed(&mut self, on: HostId, query: QueryId) -> Result<u64, PlaceError> {
        self.wait_for(on, |event| match event {
            OrdinaryEvent::Placed {
                query: of,
                sequence,
            } if *of == query => Some(Ok(*sequence)),
            OrdinaryEvent::PlaceFailed { query: of, error } if *of == query => Some(Err(*error)),
            _ => None,
        })
    }

    /// Looks a key up, and waits for the end.
    pub(crate) fn get(&mut self, on: HostId, key: Key) -> Result<Vec<SignedRecord>, GetError> {
        self.get_as(on, key, Reading::Quick)
    }

    pub(crate) fn get_as(
        &mut self,
        on: HostId,
        key: Key,
        reading: Reading,
    ) -> Result<Vec<SignedRecord>, GetError> {
        let overlay = self.overlay();
        let query = self.with_on(on, |on, now| on.get(overlay, key, None, reading, now));
        self.got(on, query)
    }

    pub(crate) fn got(
        &mut self,
        on: HostId,
        query: QueryId,
    ) -> Result<Vec<SignedRecord>, GetError> {
        self.wait_for(on, |event| match event {
            OrdinaryEvent::Records {
                query: of,
                records,
                last: true,
            } if *of == query => Some(Ok(records.clone())),
            OrdinaryEvent::GetFailed { query: of, error } if *of == query => Some(Err(*error)),
            _ => None,
        })
    }

    fn wait_for<R>(&mut self, on: HostId, read: impl Fn(&OrdinaryEvent) -> Option<R>) -> R {
        let find = |network: &Network<Node>| match network.host(on) {
            Node::On(on) => on.events.iter().find_map(&read),
            _ => None,
        };
        self.network
            .run_until(Duration::from_secs(10), |network| find(network).is_some());
        find(&self.network).expect("every call ends with an event")
    }

    /// The bodies found under a key.
    pub(crate) fn bodies(&mut self, on: HostId, key: Key) -> Result<Vec<Vec<u8>>, GetError> {
        let records = self.get(on, key)?;
        let mut bodies: Vec<Vec<u8>> = records.into_iter().map(|record| record.body).collect();
        bodies.sort();
        Ok(bodies)
    }

    /// Everything that super nodes complained of.
    pub(crate) fn offences(&self) -> Vec<(overlay::Offender, overlay::Offence)> {
        let nodes = self.super_nodes.iter().flat_map(|&id| &self.sn(id).events);
        let offences = nodes.filter_map(|event| match event {
            SuperNodeEvent::Misbehaved { who, how } => Some((who.clone(), *how)),
            _ => None,
        });
        offences.collect()
    }

    /// Everything that an ordinary node complained of.
    pub(crate) fn complaints(&self, on: HostId) -> Vec<(Option<NodeId>, overlay::Misbehaviour)> {
        let events = self.on(on).events.iter();
        let complaints = events.filter_map(|event| match event {
            OrdinaryEvent::Misbehaved { node, how, .. } => Some((*node, *how)),
            _ => None,
        });
        complaints.collect()
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::of(name.as_bytes())
}
