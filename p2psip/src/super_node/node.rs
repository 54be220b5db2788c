use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Certificate, MemberStatement, NodeId, RevocationList};
use machine::{Instant, Machine, Outbox, Rng};
use overlay::{Key, Offence, Offender, Placement, QueryId, Relays, Seed};
use sip::FlowId;
use sip::edge::{Action, Edge, Refusal, Source};

use super::{Misconduct, SuperNodeConfig, SuperNodeEvent, SuperNodeInput, SuperNodeOutput};
use crate::LinkId;

/// A super node: the overlay's part and the SIP edge.
#[derive(Debug)]
pub struct SuperNode {
    overlay: overlay::SuperNode,
    edge: Edge,
    links: BTreeMap<LinkId, Link>,
    waiting: BTreeMap<NodeId, Vec<Vec<u8>>>,
    outbox: Outbox<SuperNodeOutput>,
}

/// What is at the other end of a link.
#[derive(Debug)]
enum Link {
    /// An ordinary node, associated or not yet.
    Ordinary(Flow),
    /// A super node, once the overlay has checked which; before that, the SIP that came early.
    SuperNode {
        node: Option<NodeId>,
        early: Vec<Vec<u8>>,
    },
}

/// The SIP side of an association.
#[derive(Debug)]
struct Flow {
    secure: bool,
    user: Option<String>,
    /// When all that came would have been due, had it come evenly.
    due: Instant,
}

/// An ordinary node may send one SIP message in this time, in the long run ..
const PACE: Duration = Duration::from_millis(25);
/// .. and so much ahead of that: a call with all its candidates is some 50 messages.
const BURST: Duration = Duration::from_secs(10);
/// How many SIP messages wait for one link to another super node.
const MAX_WAITING: usize = 256;
/// The first byte of a binary message that carries SIP which is not UTF-8; no version of the overlay has it.
const SIP_FRAME: u8 = 0;

impl SuperNode {
    /// A super node that begins to join at once.
    #[must_use]
    pub fn new(config: SuperNodeConfig, now: Instant) -> Self {
        let mut rng = Rng::new(config.seed);
        let edge = Edge::new(config.statement.node, rng.bytes());
        let overlay = config.anchor.overlay();
        let config = overlay::SuperNodeConfig {
            revocations: config
                .revocations
                .unwrap_or_else(|| RevocationList::empty(overlay)),
            anchor: config.anchor,
            certificate: config.certificate,
            statement: config.statement,
            hosts: config.hosts,
            url: config.url,
            quic: config.quic,
            stun: config.stun,
            seeds: seeds(config.seeds),
            limits: config.limits,
            clock: config.wall,
            seed: rng.bytes(),
        };
        let mut node = Self {
            overlay: overlay::SuperNode::new(config, now),
            edge,
            links: BTreeMap::new(),
            waiting: BTreeMap::new(),
            outbox: Outbox::default(),
        };
        node.pump(now);
        node
    }

    /// The super nodes that it knows, itself included: id and WebSocket address.
    pub fn members(&self) -> impl Iterator<Item = (NodeId, &str)> {
        self.overlay.members()
    }

    /// Has it name relays to ordinary nodes.
    pub fn name_relays(&mut self, relays: Arc<dyn Relays>) {
        self.overlay.name_relays(relays);
    }

    /// Leaves the overlay: hands its records on, says so, and closes its links.
    pub fn leave(&mut self, now: Instant) {
        self.overlay.leave(now);
        self.pump(now);
    }

    /// Takes over a renewed certificate and statement of the same node.
    pub fn set_credential(
        &mut self,
        certificate: Certificate,
        statement: MemberStatement,
        now: Instant,
    ) {
        self.overlay.renew(certificate, statement, now);
        self.pump(now);
    }

    /// Looks a key up for the super node itself, all records or those of one owner (draft §9). The answer is
    /// [`SuperNodeEvent::Got`].
    pub fn get(&mut self, key: Key, owner: Option<&str>, now: Instant) -> QueryId {
        let query = self.overlay.get(self.overlay.overlay(), key, owner, now);
        self.pump(now);
        query
    }

    /// Places a record of the super node itself, whose owner is its node id. The answer is [`SuperNodeEvent::Placed`].
    pub fn update(
        &mut self,
        key: Key,
        body: Vec<u8>,
        placement: Placement,
        now: Instant,
    ) -> QueryId {
        let overlay = self.overlay.overlay();
        let query = self.overlay.update(overlay, key, body, placement, now);
        self.pump(now);
        query
    }

    /// The super nodes that keep a key's records, the responsible one first.
    #[must_use]
    pub fn replicas(&self, key: Key) -> Vec<NodeId> {
        self.overlay.replicas(key)
    }

    fn frame(&mut self, link: LinkId, bytes: Vec<u8>, now: Instant) {
        match bytes.split_first() {
            Some((&SIP_FRAME, message)) => self.sip_from_flow(link, message, now),
            _ => self.tell(overlay::SuperNodeInput::Frame { link, frame: bytes }, now),
        }
    }

    fn sip_from_flow(&mut self, link: LinkId, message: &[u8], now: Instant) {
        let Some(Link::Ordinary(flow)) = self.links.get_mut(&link) else {
            return;
        };
        let user = flow.user.clone();
        let who = user.map_or(Offender::Stranger(link), Offender::User);
        if !flow.admits(now) {
            let how = Misconduct::Overlay(Offence::Flood);
            self.event(SuperNodeEvent::Misbehaved { who, how });
            return;
        }
        let mut actions = Vec::new();
        let source = Source::Flow(FlowId(link.0));
        if let Err(refusal) = self.edge.receive(source, message, &mut actions) {
            self.misbehaved(who, refusal);
        }
        self.act(actions, now);
    }

    fn sip_from_peer(&mut self, link: LinkId, message: Vec<u8>, now: Instant) {
        let node = match self.links.get_mut(&link) {
            Some(Link::SuperNode {
                node: Some(node), ..
            }) => *node,
            Some(Link::SuperNode { node: None, early }) => {
                if early.len() < MAX_WAITING {
                    early.push(message);
                }
                return;
            }
            Some(Link::Ordinary(_)) | None => return,
        };
        let mut actions = Vec::new();
        let source = Source::SuperNode(node);
        if let Err(refusal) = self.edge.receive(source, &message, &mut actions) {
            self.misbehaved(Offender::SuperNode(node), refusal);
        }
        self.act(actions, now);
    }

    /// A device that is not connected is nobody's fault.
    fn misbehaved(&mut self, who: Offender, refusal: Refusal) {
        if refusal != Refusal::FlowFailed {
            let how = Misconduct::Sip(refusal);
            self.event(SuperNodeEvent::Misbehaved { who, how });
        }
    }

    fn act(&mut self, actions: Vec<Action>, now: Instant) {
        for action in actions {
            match action {
                Action::ToFlow { flow, message } => self.send_to_flow(LinkId(flow.0), message),
                Action::ToSuperNode { node, message } => {
                    self.send_to_super_node(node, message, now)
                }
            }
        }
    }

    fn send_to_flow(&mut self, link: LinkId, message: Vec<u8>) {
        let output = match String::from_utf8(message) {
            Ok(text) => SuperNodeOutput::Text { link, text },
            Err(error) => {
                let mut bytes = error.into_bytes();
                bytes.insert(0, SIP_FRAME);
                SuperNodeOutput::Frame { link, bytes }
            }
        };
        self.outbox.push(output);
    }

    fn send_to_super_node(&mut self, node: NodeId, message: Vec<u8>, now: Instant) {
        if let Some(link) = self.overlay.link(node) {
            self.outbox.push(SuperNodeOutput::PeerSip { link, message });
            return;
        }
        let waiting = self.waiting.entry(node).or_default();
        if waiting.len() >= MAX_WAITING {
            self.undeliverable(&message, now);
            return;
        }
        let first = waiting.is_empty();
        waiting.push(message);
        if first {
            self.overlay.connect(node, now);
        }
    }

    fn undeliverable(&mut self, message: &[u8], now: Instant) {
        let mut actions = Vec::new();
        self.edge.undeliverable(message, &mut actions);
        self.act(actions, now);
    }

    fn tell(&mut self, input: overlay::SuperNodeInput, now: Instant) {
        self.overlay.handle_input(input, now);
    }

    /// Passes on what the overlay's part wants, until it wants nothing more.
    fn pump(&mut self, now: Instant) {
        while let Some(output) = self.overlay.poll_output() {
            let output = match output {
                overlay::SuperNodeOutput::Dial { node, address } => {
                    SuperNodeOutput::Dial { node, address }
                }
                overlay::SuperNodeOutput::Send { link, frame } => match self.links.get(&link) {
                    Some(Link::SuperNode { .. }) => {
                        SuperNodeOutput::PeerFrame { link, bytes: frame }
                    }
                    Some(Link::Ordinary(_)) => SuperNodeOutput::Frame { link, bytes: frame },
                    None => continue,
                },
                overlay::SuperNodeOutput::Close(link) => match self.links.remove(&link) {
                    Some(Link::SuperNode { .. }) => SuperNodeOutput::PeerClose { link },
                    Some(Link::Ordinary(_)) => SuperNodeOutput::Close { link },
                    None => continue,
                },
                overlay::SuperNodeOutput::Persist { keep, forget } => {
                    SuperNodeOutput::Persist { keep, forget }
                }
                overlay::SuperNodeOutput::Sign(sign) => SuperNodeOutput::Sign(sign),
                overlay::SuperNodeOutput::Verify(verify) => SuperNodeOutput::Verify(verify),
                overlay::SuperNodeOutput::Event(event) => {
                    self.overlay_event(event, now);
                    continue;
                }
            };
            self.outbox.push(output);
        }
    }

    fn overlay_event(&mut self, event: overlay::SuperNodeEvent, now: Instant) {
        use overlay::SuperNodeEvent as Event;
        match event {
            Event::Joined => {
                let members = self.overlay.members().count();
                self.event(SuperNodeEvent::Joined { members });
                // It is one of them itself from now on.
                self.members_changed();
            }
            Event::Associated {
                link,
                uri,
                instance,
            } => {
                if let Some(Link::Ordinary(flow)) = self.links.get_mut(&link) {
                    flow.user = Some(uri.clone());
                    let secure = flow.secure;
                    self.edge.flow_up(FlowId(link.0), &uri, instance, secure);
                }
                self.event(SuperNodeEvent::Associated {
                    link,
                    uri,
                    instance,
                });
            }
            Event::Dissociated {
                link,
                uri,
                instance,
            } => {
                self.edge.flow_down(FlowId(link.0));
                self.event(SuperNodeEvent::Dissociated {
                    link,
                    uri,
                    instance,
                });
            }
            Event::PeerUp { link, node } => self.peer_up(link, node, now),
            Event::PeerDown { .. } => {}
            Event::PeerFailed(node) => {
                for message in self.waiting.remove(&node).unwrap_or_default() {
                    self.undeliverable(&message, now);
                }
            }
            Event::MemberUp { .. } | Event::MemberLost(_) => {
                self.members_changed();
            }
            Event::Revocations(list) => self.event(SuperNodeEvent::Revocations(list)),
            Event::Misbehaved { who, how } => {
                let how = Misconduct::Overlay(how);
                self.event(SuperNodeEvent::Misbehaved { who, how });
            }
            Event::Left => self.event(SuperNodeEvent::Left),
            Event::Restored { records, damaged } => {
                self.event(SuperNodeEvent::Restored { records, damaged });
            }
            Event::Records { query, records, .. } => self.event(SuperNodeEvent::Got {
                query,
                records: Ok(records),
            }),
            Event::GetFailed { query, error } => self.event(SuperNodeEvent::Got {
                query,
                records: Err(error),
            }),
            Event::Placed { query, sequence } => self.event(SuperNodeEvent::Placed {
                query,
                sequence: Ok(sequence),
            }),
            Event::PlaceFailed { query, error } => self.event(SuperNodeEvent::Placed {
                query,
                sequence: Err(error),
            }),
        }
    }

    fn members_changed(&mut self) {
        let members = self.overlay.members();
        let members = members.map(|(node, url)| (node, url.into())).collect();
        self.event(SuperNodeEvent::Members { members });
    }

    fn peer_up(&mut self, link: LinkId, node: NodeId, now: Instant) {
        for message in self.waiting.remove(&node).unwrap_or_default() {
            self.outbox.push(SuperNodeOutput::PeerSip { link, message });
        }
        if let Some(Link::SuperNode { node: known, early }) = self.links.get_mut(&link) {
            *known = Some(node);
            for message in core::mem::take(early) {
                self.sip_from_peer(link, message, now);
            }
        }
    }

    fn event(&mut self, event: SuperNodeEvent) {
        self.outbox.push(SuperNodeOutput::Event(event));
    }
}

impl Machine for SuperNode {
    type Input = SuperNodeInput;
    type Output = SuperNodeOutput;

    fn handle_input(&mut self, input: SuperNodeInput, now: Instant) {
        use SuperNodeInput as Input;
        use overlay::SuperNodeInput as Below;
        match input {
            Input::Opened { link, secure } => {
                self.links
                    .insert(link, Link::Ordinary(Flow::new(secure, now)));
                self.tell(Below::AssociationOpened(link), now);
            }
            Input::PeerOpened { link, certificate } => {
                let early = Vec::new();
                self.links
                    .insert(link, Link::SuperNode { node: None, early });
                self.tell(Below::PeerOpened { link, certificate }, now);
            }
            Input::Closed { link } | Input::PeerClosed { link } => {
                self.links.remove(&link);
                self.tell(Below::Closed(link), now);
            }
            Input::Frame { link, bytes } => self.frame(link, bytes, now),
            Input::PeerFrame { link, bytes } => {
                self.tell(Below::Frame { link, frame: bytes }, now);
            }
            Input::Text { link, text } => self.sip_from_flow(link, text.as_bytes(), now),
            Input::PeerSip { link, message } => self.sip_from_peer(link, message, now),
            Input::DialFailed { node } => self.tell(Below::DialFailed(node), now),
            Input::Signed(signed) => self.tell(Below::Signed(signed), now),
            Input::Verified(verified) => self.tell(Below::Verified(verified), now),
            Input::Load(load) => self.tell(Below::Load(load), now),
            Input::Restored(kept) => self.tell(Below::Restored(kept), now),
            Input::Revocations(list) => self.tell(Below::Revocations(list), now),
            Input::Seeds(more) => self.tell(Below::Seeds(seeds(more)), now),
        }
        self.pump(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.overlay.handle_timeout(now);
        self.pump(now);
    }

    fn poll_output(&mut self) -> Option<SuperNodeOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.overlay.poll_timeout()
    }
}

impl Flow {
    const fn new(secure: bool, now: Instant) -> Self {
        Self {
            secure,
            user: None,
            due: now,
        }
    }

    /// Says whether one more message is within the limits (GCRA).
    fn admits(&mut self, now: Instant) -> bool {
        let due = self.due.max(now) + PACE;
        let within = due - now <= BURST;
        if within {
            self.due = due;
        }
        within
    }
}

fn seeds(seeds: Vec<(NodeId, String)>) -> Vec<Seed> {
    let seed = |(node, quic)| Seed { node, quic };
    seeds.into_iter().map(seed).collect()
}
