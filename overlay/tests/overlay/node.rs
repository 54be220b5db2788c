//! Both machines as hosts of a virtual network, with the cryptography done on the spot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use credential::{Certificate, NodeId};
use machine::{Instant, Machine};
use overlay::peer::SlotId;
use overlay::{
    LinkId, OrdinaryEvent, OrdinaryInput, OrdinaryNode, OrdinaryOutput, SuperNode, SuperNodeEvent,
    SuperNodeInput, SuperNodeOutput,
};
use sim::{Action, ConnectionId, Fact, Host};

use crate::authority::{Identity, Verifier};

/// What goes over a connection: first who dials and with which certificate, then frames.
///
/// A super node takes a connection whose first byte is `QUIC` for a link to a super node: the certificate that the
/// other end has proved follows, as TLS would have it.
const QUIC: u8 = 0xff;
const WEB_SOCKET: u8 = 0xfe;

pub(crate) struct On {
    pub(crate) machine: OrdinaryNode,
    pub(crate) events: Vec<OrdinaryEvent>,
    pub(crate) identity: Rc<Identity>,
    verifier: Verifier,
    links: BTreeMap<LinkId, ConnectionId>,
    actions: VecDeque<Action>,
}

pub(crate) struct Sn {
    pub(crate) machine: SuperNode,
    pub(crate) events: Vec<SuperNodeEvent>,
    pub(crate) identity: Rc<Identity>,
    verifier: Verifier,
    dials: BTreeMap<u64, NodeId>,
    actions: VecDeque<Action>,
    /// Connections whose preface has come.
    open: BTreeSet<ConnectionId>,
    /// How many signatures it has had checked.
    pub(crate) verifications: usize,
    /// What it has kept over a restart.
    pub(crate) disk: BTreeMap<SlotId, Vec<u8>>,
    /// What this node alters on its way out, if it is evil.
    pub(crate) evil: Option<Evil>,
}

/// Rewrites an outgoing frame, drops it, or sends several.
pub(crate) type Evil = Box<dyn FnMut(LinkId, Vec<u8>) -> Vec<Vec<u8>>>;

/// A host that a test plays by hand.
#[derive(Default)]
pub(crate) struct Puppet {
    pub(crate) facts: Vec<Fact>,
    pub(crate) actions: VecDeque<Action>,
    /// What it says first to whoever dials it.
    pub(crate) greeting: Option<Vec<u8>>,
}

pub(crate) enum Node {
    On(Box<On>),
    Sn(Box<Sn>),
    Puppet(Puppet),
}

impl On {
    pub(crate) fn new(machine: OrdinaryNode, identity: Rc<Identity>) -> Self {
        let mut on = Self {
            machine,
            events: Vec::new(),
            identity,
            verifier: Verifier,
            links: BTreeMap::new(),
            actions: VecDeque::new(),
        };
        on.drain(Instant::EPOCH);
        on
    }

    pub(crate) fn drain(&mut self, now: Instant) {
        while let Some(output) = self.machine.poll_output() {
            let input = match output {
                OrdinaryOutput::Dial { link, url } => {
                    let address = url.split('/').nth(2).unwrap().to_owned();
                    let token = link.0;
                    self.actions.push_back(Action::Dial { token, address });
                    continue;
                }
                OrdinaryOutput::Send { link, frame } => {
                    if let Some(&connection) = self.links.get(&link) {
                        let payload = frame;
                        self.actions.push_back(Action::Send {
                            connection,
                            payload,
                        });
                    }
                    continue;
                }
                OrdinaryOutput::Close(link) => {
                    if let Some(connection) = self.links.remove(&link) {
                        self.actions.push_back(Action::Close { connection });
                    }
                    continue;
                }
                OrdinaryOutput::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                OrdinaryOutput::Sign(request) => {
                    OrdinaryInput::Signed(self.identity.signed(&request))
                }
                OrdinaryOutput::Verify(request) => {
                    OrdinaryInput::Verified(self.verifier.verified(&request))
                }
            };
            self.machine.handle_input(input, now);
        }
    }

    fn handle(&mut self, fact: Fact, now: Instant) {
        let link = |links: &BTreeMap<LinkId, ConnectionId>, wanted: ConnectionId| {
            let mut links = links.iter();
            links
                .find(|(_, connection)| **connection == wanted)
                .map(|(link, _)| *link)
        };
        let input = match fact {
            Fact::Opened { connection, token } => {
                let link = LinkId(token.unwrap());
                self.links.insert(link, connection);
                let payload = vec![WEB_SOCKET];
                self.actions.push_back(Action::Send {
                    connection,
                    payload,
                });
                OrdinaryInput::Up(link)
            }
            Fact::Refused { token } => OrdinaryInput::Down(LinkId(token)),
            Fact::Received {
                connection,
                payload,
            } => match link(&self.links, connection) {
                Some(link) => OrdinaryInput::Frame {
                    link,
                    frame: payload,
                },
                None => return,
            },
            Fact::Closed { connection } => match link(&self.links, connection) {
                Some(link) => {
                    self.links.remove(&link);
                    OrdinaryInput::Down(link)
                }
                None => return,
            },
        };
        self.machine.handle_input(input, now);
        self.drain(now);
    }
}

impl Sn {
    pub(crate) fn new(machine: SuperNode, identity: Rc<Identity>) -> Self {
        let mut sn = Self {
            machine,
            events: Vec::new(),
            identity,
            verifier: Verifier,
            dials: BTreeMap::new(),
            actions: VecDeque::new(),
            open: BTreeSet::new(),
            verifications: 0,
            disk: BTreeMap::new(),
            evil: None,
        };
        sn.drain(Instant::EPOCH);
        sn
    }

    pub(crate) fn drain(&mut self, now: Instant) {
        while let Some(output) = self.machine.poll_output() {
            let input = match output {
                SuperNodeOutput::Dial { node, address } => {
                    let token = self.dials.len() as u64;
                    self.dials.insert(token, node);
                    self.actions.push_back(Action::Dial { token, address });
                    continue;
                }
                SuperNodeOutput::Send { link, frame } => {
                    let frames = match &mut self.evil {
                        Some(evil) => evil(link, frame),
                        None => vec![frame],
                    };
                    for payload in frames {
                        let connection = ConnectionId(link.0);
                        self.actions.push_back(Action::Send {
                            connection,
                            payload,
                        });
                    }
                    continue;
                }
                SuperNodeOutput::Close(link) => {
                    let connection = ConnectionId(link.0);
                    self.actions.push_back(Action::Close { connection });
                    continue;
                }
                SuperNodeOutput::Persist { keep, forget } => {
                    self.disk.extend(keep);
                    self.disk.retain(|slot, _| !forget.contains(slot));
                    continue;
                }
                SuperNodeOutput::Event(event) => {
                    self.events.push(event);
                    continue;
                }
                SuperNodeOutput::Sign(request) => {
                    SuperNodeInput::Signed(self.identity.signed(&request))
                }
                SuperNodeOutput::Verify(request) => {
                    self.verifications += 1;
                    SuperNodeInput::Verified(self.verifier.verified(&request))
                }
            };
            self.machine.handle_input(input, now);
        }
    }

    fn handle(&mut self, fact: Fact, now: Instant) {
        let input = match fact {
            Fact::Opened { connection, token } => {
                if token.is_some() {
                    self.send_preface(connection);
                }
                return;
            }
            Fact::Refused { token } => SuperNodeInput::DialFailed(self.dials[&token]),
            Fact::Received {
                connection,
                payload,
            } => {
                let link = LinkId(connection.0);
                if !self.open.insert(connection) {
                    let frame = payload;
                    SuperNodeInput::Frame { link, frame }
                } else {
                    match payload.split_first() {
                        Some((&QUIC, certificate)) => {
                            let dialled_by_other = certificate.first() == Some(&1);
                            if dialled_by_other {
                                self.answer_preface(connection);
                            }
                            let certificate = certificate[1..].to_vec();
                            SuperNodeInput::PeerOpened { link, certificate }
                        }
                        _ => SuperNodeInput::AssociationOpened(link),
                    }
                }
            }
            Fact::Closed { connection } => SuperNodeInput::Closed(LinkId(connection.0)),
        };
        self.machine.handle_input(input, now);
        self.drain(now);
    }

    fn send_preface(&mut self, connection: ConnectionId) {
        let payload = preface(&self.identity.certificate, 1);
        self.actions.push_back(Action::Send {
            connection,
            payload,
        });
    }

    fn answer_preface(&mut self, connection: ConnectionId) {
        let payload = preface(&self.identity.certificate, 0);
        self.actions.push_back(Action::Send {
            connection,
            payload,
        });
    }
}

/// What TLS would have told the other end.
pub(crate) fn preface(certificate: &Certificate, dialled: u8) -> Vec<u8> {
    [&[QUIC, dialled][..], certificate.der()].concat()
}

impl Host for Node {
    fn handle(&mut self, fact: Fact, now: Instant) {
        match self {
            Self::On(on) => on.handle(fact, now),
            Self::Sn(sn) => sn.handle(fact, now),
            Self::Puppet(puppet) => {
                if let Fact::Opened {
                    connection,
                    token: None,
                } = fact
                    && let Some(payload) = puppet.greeting.clone()
                {
                    puppet.actions.push_back(Action::Send {
                        connection,
                        payload,
                    });
                }
                puppet.facts.push(fact);
            }
        }
    }

    fn wake(&mut self, now: Instant) {
        match self {
            Self::On(on) => {
                on.machine.handle_timeout(now);
                on.drain(now);
            }
            Self::Sn(sn) => {
                sn.machine.handle_timeout(now);
                sn.drain(now);
            }
            Self::Puppet(_) => {}
        }
    }

    fn poll_action(&mut self) -> Option<Action> {
        match self {
            Self::On(on) => on.actions.pop_front(),
            Self::Sn(sn) => sn.actions.pop_front(),
            Self::Puppet(puppet) => puppet.actions.pop_front(),
        }
    }

    fn poll_wake(&self) -> Option<Instant> {
        match self {
            Self::On(on) => on.machine.poll_timeout(),
            Self::Sn(sn) => sn.machine.poll_timeout(),
            Self::Puppet(_) => None,
        }
    }
}
