//! A network in memory and in virtual time: super nodes, peers, links with latency, and P-256 for real.

mod drive;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use machine::{Instant, Machine, WallClock};
use p2psip::credential::{Certificate, Instance, NodeId, OverlayId, RevocationList};
use p2psip::{
    CallId, Config, Contact, EndReason, Event, Input, LinkId, Peer, SuperNode, SuperNodeConfig,
    SuperNodeEvent, SuperNodeInput,
};

use crate::authority::{Authority, Key, WALL};

/// How long anything takes from one node to another.
pub(crate) const LATENCY: Duration = Duration::from_millis(10);
/// How long it takes to make or check a signature.
const CRYPTO: Duration = Duration::from_millis(1);
/// When a super node gives up on another that is dead, dialled or linked.
const SILENCE: Duration = Duration::from_secs(3);
const DOMAIN: &str = "example.org";
pub(crate) const OVERLAY: OverlayId = OverlayId([7; 16]);

/// What a super node sends, before it leaves.
pub(crate) enum Wire {
    /// An overlay message to an ordinary node.
    Frame(Vec<u8>),
    /// SIP to an ordinary node.
    Text(String),
    /// SIP to another super node.
    Sip(Vec<u8>),
}

/// Changes what an evil super node sends.
pub(crate) type Evil = Box<dyn FnMut(&mut Wire)>;

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) authority: Authority,
    pub(crate) super_nodes: Vec<Host<SuperNode, SuperNodeEvent>>,
    pub(crate) peers: Vec<Host<Peer, Event>>,
    mail: BTreeMap<(Instant, u64), Mail>,
    posted: u64,
    next_link: u64,
}

/// A machine and what its driver keeps.
pub(crate) struct Host<M, E> {
    pub(crate) machine: M,
    key: Key,
    pub(crate) certificate: Certificate,
    node: NodeId,
    url: String,
    pub(crate) alive: bool,
    connected: bool,
    /// The other end of each link.
    links: BTreeMap<LinkId, (End, LinkId)>,
    pub(crate) events: VecDeque<E>,
    pub(crate) evil: Option<Evil>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Peer(usize),
    SuperNode(usize),
}

enum Mail {
    Peer(usize, Input),
    SuperNode(usize, SuperNodeInput),
}

impl World {
    /// So many super nodes that know each other.
    pub(crate) fn new(super_nodes: u8) -> Self {
        let mut world = Self {
            now: Instant::EPOCH,
            authority: Authority::new(OVERLAY),
            super_nodes: Vec::new(),
            peers: Vec::new(),
            mail: BTreeMap::new(),
            posted: 0,
            next_link: 0,
        };
        for number in 0..super_nodes {
            world.add_super_node(number);
            world.run_for(Duration::from_secs(2));
        }
        world.run_for(Duration::from_secs(3));
        for node in &world.super_nodes {
            assert_eq!(node.machine.members().count(), usize::from(super_nodes));
        }
        world
    }

    fn add_super_node(&mut self, number: u8) {
        let node = NodeId([number * 0x40 + 0x11; 20]);
        let (certificate, key, statement) = self.authority.node(node);
        let url = format!("ws://sn{number}.test:80/p2psip");
        let seeds = self.super_nodes.iter();
        let config = SuperNodeConfig {
            anchor: self.authority.anchor.clone(),
            certificate: certificate.clone(),
            statement,
            hosts: vec![format!("sn{number}.test")],
            url: url.clone(),
            quic: format!("sn{number}.test:1"),
            stun: vec![format!("stun:sn{number}.test:3478")],
            seeds: seeds
                .map(|seed| (seed.node, String::from("seed:1")))
                .collect(),
            limits: p2psip::Limits::default(),
            revocations: None,
            seed: [number + 1; 32],
            wall: WallClock::new(WALL),
        };
        let machine = SuperNode::new(config, self.now);
        self.super_nodes.push(Host {
            machine,
            key,
            certificate,
            node,
            url,
            alive: true,
            connected: true,
            links: BTreeMap::new(),
            events: VecDeque::new(),
            evil: None,
        });
        self.drain_super_node(usize::from(number));
    }

    /// A user on a device, who tries these super nodes in this order; of another domain, if the name says so.
    pub(crate) fn peer(&mut self, name: &str, device: u8, super_nodes: &[usize]) -> usize {
        self.peer_with(name, device, super_nodes, false, WALL)
    }

    /// A user whose certificate has ended.
    pub(crate) fn stale_peer(&mut self, name: &str, device: u8) -> usize {
        self.peer_with(name, device, &[0, 1], true, WALL)
    }

    /// A user whose device has the wrong date, by so many milliseconds.
    pub(crate) fn mistaken_peer(&mut self, name: &str, device: u8, skew: i64) -> usize {
        let wall = WALL.saturating_add_signed(skew);
        let peer = self.peer_with(name, device, &[1, 2], false, wall);
        self.act(peer, |peer, now| peer.go_online(&fingerprint(device), now));
        self.until(peer, |event| *event == Event::Online);
        self.run_for(Duration::from_secs(2));
        peer
    }

    fn peer_with(
        &mut self,
        name: &str,
        device: u8,
        super_nodes: &[usize],
        stale: bool,
        wall: u64,
    ) -> usize {
        let uri = match name.contains('@') {
            true => format!("sip:{name}"),
            false => format!("sip:{name}@{DOMAIN}"),
        };
        let instance = Instance([device; 16]);
        let (certificate, key) = self.authority.user(&uri, instance, stale);
        let contact = |at: &usize| Contact {
            node: None,
            url: self.super_nodes[*at].url.clone(),
        };
        let config = Config {
            anchor: self.authority.anchor.clone(),
            certificate: certificate.clone(),
            name: Some(name.to_uppercase()),
            super_nodes: super_nodes.iter().map(contact).collect(),
            revocations: None,
            seed: [device + 100; 32],
            wall: WallClock::new(wall),
        };
        let machine = Peer::new(config, self.now);
        self.peers.push(Host {
            machine,
            key,
            certificate,
            node: NodeId([0; 20]),
            url: String::new(),
            alive: true,
            connected: true,
            links: BTreeMap::new(),
            events: VecDeque::new(),
            evil: None,
        });
        let at = self.peers.len() - 1;
        self.drain_peer(at);
        at
    }

    /// A peer that is online: associated twice, its record placed.
    pub(crate) fn online(&mut self, name: &str, device: u8, super_nodes: &[usize]) -> usize {
        let peer = self.peer(name, device, super_nodes);
        self.act(peer, |peer, now| peer.go_online(&fingerprint(device), now));
        self.until(peer, |event| *event == Event::Online);
        self.run_for(Duration::from_secs(2));
        self.peers[peer].events.clear();
        peer
    }

    /// Uses a peer as its driver would.
    pub(crate) fn act<T>(&mut self, peer: usize, act: impl FnOnce(&mut Peer, Instant) -> T) -> T {
        let result = act(&mut self.peers[peer].machine, self.now);
        self.drain_peer(peer);
        result
    }

    /// Starts a call with an offer.
    pub(crate) fn call(&mut self, caller: usize, device: u8, target: &str) -> CallId {
        self.act(caller, |peer, now| {
            let call = peer.call(target, now);
            peer.offer(call, &sdp(device), now);
            call
        })
    }

    /// Runs until the peer reports such an event, and takes it and all before it away.
    pub(crate) fn until(&mut self, peer: usize, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = self.now + Duration::from_secs(120);
        let mut seen = Vec::new();
        loop {
            while let Some(event) = self.peers[peer].events.pop_front() {
                if wanted(&event) {
                    return event;
                }
                seen.push(event);
            }
            assert!(self.now < deadline && self.step(deadline), "only {seen:?}");
        }
    }

    /// Runs until a call of the peer is over; the reason, and whether the other side ended it.
    pub(crate) fn end(&mut self, peer: usize) -> (EndReason, bool) {
        match self.until(peer, |event| matches!(event, Event::Ended { .. })) {
            Event::Ended { reason, remote, .. } => (reason, remote),
            _ => unreachable!("only the end is waited for"),
        }
    }

    /// Runs until the peer is called; the call and the caller's URI.
    pub(crate) fn incoming(&mut self, peer: usize) -> (CallId, String) {
        match self.until(peer, |event| matches!(event, Event::Incoming { .. })) {
            Event::Incoming { call, caller, .. } => (call, caller.uri),
            _ => unreachable!("only a call is waited for"),
        }
    }

    /// Brings a call to where both talk; the call's names at both ends.
    pub(crate) fn talk(&mut self, caller: (usize, u8), callee: (usize, u8)) -> (CallId, CallId) {
        let name = self.peers[callee.0]
            .certificate
            .user()
            .unwrap()
            .0
            .to_string();
        let call = self.call(caller.0, caller.1, &name);
        let (incoming, _) = self.incoming(callee.0);
        self.act(callee.0, |peer, now| {
            peer.answer(incoming, &sdp(callee.1), now);
        });
        self.until(caller.0, |event| matches!(event, Event::Answered { .. }));
        self.until(callee.0, |event| matches!(event, Event::Established { .. }));
        (call, incoming)
    }

    pub(crate) fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// A process is killed: its sockets close, the links between super nodes fall silent.
    pub(crate) fn kill(&mut self, super_node: usize) {
        let host = &mut self.super_nodes[super_node];
        host.alive = false;
        for (end, link) in std::mem::take(&mut host.links).into_values() {
            match end {
                End::Peer(at) => self.post(LATENCY, Mail::Peer(at, Input::Closed { link })),
                End::SuperNode(at) => {
                    let closed = SuperNodeInput::PeerClosed { link };
                    self.post(SILENCE, Mail::SuperNode(at, closed));
                }
            }
        }
    }

    /// A page is closed without a word: its sockets close.
    pub(crate) fn vanish(&mut self, peer: usize) {
        for (end, link) in std::mem::take(&mut self.peers[peer].links).into_values() {
            if let End::SuperNode(at) = end {
                self.post(
                    LATENCY,
                    Mail::SuperNode(at, SuperNodeInput::Closed { link }),
                );
            }
        }
        self.peers[peer].alive = false;
    }

    /// A device loses its network: its sockets close, and nothing it dials answers.
    pub(crate) fn cut(&mut self, peer: usize) {
        self.peers[peer].connected = false;
        for (mine, (end, link)) in std::mem::take(&mut self.peers[peer].links) {
            self.post(LATENCY, Mail::Peer(peer, Input::Closed { link: mine }));
            if let End::SuperNode(at) = end {
                self.post(
                    LATENCY,
                    Mail::SuperNode(at, SuperNodeInput::Closed { link }),
                );
            }
        }
    }

    /// The network is back, and the browser says so.
    pub(crate) fn restore(&mut self, peer: usize) {
        self.peers[peer].connected = true;
        self.post(LATENCY, Mail::Peer(peer, Input::Network));
    }

    /// A modified page sends text of its own on the peer's first link.
    pub(crate) fn inject(&mut self, peer: usize, text: &str) {
        let (end, link) = *self.peers[peer].links.values().next().unwrap();
        if let End::SuperNode(at) = end {
            let text = text.into();
            self.post(
                LATENCY,
                Mail::SuperNode(at, SuperNodeInput::Text { link, text }),
            );
        }
    }

    /// The login server publishes a revocation list.
    pub(crate) fn revoke(&mut self, list: &RevocationList) {
        for at in 0..self.super_nodes.len() {
            let list = SuperNodeInput::Revocations(list.clone());
            self.post(LATENCY, Mail::SuperNode(at, list));
        }
        self.run_for(Duration::from_secs(1));
    }

    /// Where a peer is associated, the first of its associations first.
    pub(crate) fn serving(&self, peer: usize) -> Vec<usize> {
        let ends = self.peers[peer].links.values();
        let super_node = |(end, _): &(End, LinkId)| match end {
            End::SuperNode(at) => *at,
            End::Peer(_) => unreachable!("a peer links to super nodes"),
        };
        ends.map(super_node).collect()
    }

    /// Takes the next thing that happens before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let peers = self.peers.iter().enumerate();
        let peers = peers
            .filter(|(_, host)| host.alive)
            .filter_map(|(at, host)| Some((host.machine.poll_timeout()?, End::Peer(at))));
        let nodes = self.super_nodes.iter().enumerate();
        let nodes = nodes
            .filter(|(_, host)| host.alive)
            .filter_map(|(at, host)| Some((host.machine.poll_timeout()?, End::SuperNode(at))));
        let timer = peers.chain(nodes).min_by_key(|(due, _)| *due);
        let mail = self.mail.first_key_value().map(|((due, _), _)| *due);
        match (timer, mail) {
            (Some((due, who)), mail) if mail.is_none_or(|mail| due < mail) => {
                if due > end {
                    return false;
                }
                let late = due < self.now;
                self.now = self.now.max(due);
                self.fire(who);
                assert!(
                    !late || self.due(who).is_none_or(|next| next > due),
                    "a timer spins"
                );
                true
            }
            (_, Some(due)) if due <= end => {
                self.now = self.now.max(due);
                let (_, mail) = self.mail.pop_first().unwrap();
                self.deliver(mail);
                true
            }
            _ => false,
        }
    }

    fn due(&self, who: End) -> Option<Instant> {
        match who {
            End::Peer(at) => self.peers[at].machine.poll_timeout(),
            End::SuperNode(at) => self.super_nodes[at].machine.poll_timeout(),
        }
    }

    fn fire(&mut self, who: End) {
        match who {
            End::Peer(at) => {
                self.peers[at].machine.handle_timeout(self.now);
                self.drain_peer(at);
            }
            End::SuperNode(at) => {
                self.super_nodes[at].machine.handle_timeout(self.now);
                self.drain_super_node(at);
            }
        }
    }
}

/// The fingerprint of a device.
pub(crate) fn fingerprint(device: u8) -> String {
    let digest = vec![format!("{device:02X}"); 32].join(":");
    format!("sha-256 {digest}")
}

/// A description as a browser writes it.
pub(crate) fn sdp(device: u8) -> String {
    let fingerprint = fingerprint(device);
    format!(
        "v=0\r\no=- {device} 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n\
         a=ice-ufrag:ufr{device}\r\na=ice-pwd:passwordpasswordpassword\r\na=ice-options:trickle\r\n\
         a=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=sendrecv\r\na=rtcp-mux\r\n\
         a=rtpmap:111 opus/48000/2\r\n"
    )
}
