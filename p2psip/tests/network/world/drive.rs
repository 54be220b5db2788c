//! What a driver does: carries out what machines want.

use std::time::Duration;

use machine::Machine;
use p2psip::credential::{NodeId, Signed, Verified};
use p2psip::{Input, LinkId, Output, SuperNodeInput, SuperNodeOutput};

use super::{CRYPTO, End, Host, LATENCY, Mail, SILENCE, Wire, World};
use crate::authority::check;

impl World {
    pub(super) fn deliver(&mut self, mail: Mail) {
        match mail {
            Mail::Peer(at, _) if !self.peers[at].alive => {}
            Mail::Peer(at, input) => {
                if let Input::Closed { link } = &input {
                    self.peers[at].links.remove(link);
                }
                self.peers[at].machine.handle_input(input, self.now);
                self.drain_peer(at);
            }
            Mail::SuperNode(at, input) => {
                let host = &mut self.super_nodes[at];
                if !host.alive {
                    return;
                }
                if let SuperNodeInput::Closed { link } | SuperNodeInput::PeerClosed { link } =
                    &input
                {
                    host.links.remove(link);
                }
                host.machine.handle_input(input, self.now);
                self.drain_super_node(at);
            }
        }
    }

    pub(super) fn post(&mut self, after: Duration, mail: Mail) {
        self.posted += 1;
        self.mail.insert((self.now + after, self.posted), mail);
    }

    fn link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }

    pub(super) fn drain_peer(&mut self, at: usize) {
        while let Some(output) = self.peers[at].machine.poll_output() {
            let host = &mut self.peers[at];
            match output {
                Output::Dial { link, url } => self.dial(at, link, &url),
                Output::Close { link } => {
                    if let Some((End::SuperNode(other), link)) = host.links.remove(&link) {
                        let closed = SuperNodeInput::Closed { link };
                        self.post(LATENCY, Mail::SuperNode(other, closed));
                    }
                }
                Output::Frame { link, bytes } => {
                    if let Some((End::SuperNode(other), link)) = host.links.get(&link).copied() {
                        let frame = SuperNodeInput::Frame { link, bytes };
                        self.post(LATENCY, Mail::SuperNode(other, frame));
                    }
                }
                Output::Text { link, text } => {
                    if let Some((End::SuperNode(other), link)) = host.links.get(&link).copied() {
                        let text = SuperNodeInput::Text { link, text };
                        self.post(LATENCY, Mail::SuperNode(other, text));
                    }
                }
                Output::Sign(sign) => {
                    let signed: Signed = host.key.answer(&sign);
                    self.post(CRYPTO, Mail::Peer(at, Input::Signed(signed)));
                }
                Output::Verify(verify) => {
                    let verified: Verified = check(&verify);
                    self.post(CRYPTO, Mail::Peer(at, Input::Verified(verified)));
                }
                Output::Event(event) => host.events.push_back(event),
            }
        }
    }

    fn dial(&mut self, at: usize, link: LinkId, url: &str) {
        let mut hosts = self.super_nodes.iter();
        let reachable = self.peers[at].connected;
        let Some(other) = hosts.position(|host| reachable && host.url == url && host.alive) else {
            self.post(LATENCY, Mail::Peer(at, Input::Closed { link }));
            return;
        };
        let theirs = self.link();
        self.peers[at]
            .links
            .insert(link, (End::SuperNode(other), theirs));
        self.super_nodes[other]
            .links
            .insert(theirs, (End::Peer(at), link));
        let opened = SuperNodeInput::Opened {
            link: theirs,
            secure: false,
        };
        self.post(LATENCY, Mail::SuperNode(other, opened));
        self.post(LATENCY * 2, Mail::Peer(at, Input::Opened { link }));
    }

    pub(super) fn drain_super_node(&mut self, at: usize) {
        while let Some(output) = self.super_nodes[at].machine.poll_output() {
            let host = &mut self.super_nodes[at];
            match output {
                SuperNodeOutput::Frame { link, bytes } => {
                    if let Some((End::Peer(other), link)) = host.links.get(&link).copied()
                        && let Wire::Frame(bytes) = host.tampered(Wire::Frame(bytes))
                    {
                        self.post(LATENCY, Mail::Peer(other, Input::Frame { link, bytes }));
                    }
                }
                SuperNodeOutput::Text { link, text } => {
                    if let Some((End::Peer(other), link)) = host.links.get(&link).copied()
                        && let Wire::Text(text) = host.tampered(Wire::Text(text))
                    {
                        self.post(LATENCY, Mail::Peer(other, Input::Text { link, text }));
                    }
                }
                SuperNodeOutput::Close { link } | SuperNodeOutput::PeerClose { link } => {
                    match host.links.remove(&link) {
                        Some((End::Peer(other), link)) => {
                            self.post(LATENCY, Mail::Peer(other, Input::Closed { link }));
                        }
                        Some((End::SuperNode(other), link)) => {
                            let closed = SuperNodeInput::PeerClosed { link };
                            self.post(LATENCY, Mail::SuperNode(other, closed));
                        }
                        None => {}
                    }
                }
                SuperNodeOutput::Dial { node, .. } => self.dial_super_node(at, node),
                SuperNodeOutput::PeerFrame { link, bytes } => {
                    if let Some((End::SuperNode(other), link)) = host.links.get(&link).copied() {
                        let frame = SuperNodeInput::PeerFrame { link, bytes };
                        self.post(LATENCY, Mail::SuperNode(other, frame));
                    }
                }
                SuperNodeOutput::PeerSip { link, message } => {
                    if let Some((End::SuperNode(other), link)) = host.links.get(&link).copied()
                        && let Wire::Sip(message) = host.tampered(Wire::Sip(message))
                    {
                        let sip = SuperNodeInput::PeerSip { link, message };
                        self.post(LATENCY, Mail::SuperNode(other, sip));
                    }
                }
                SuperNodeOutput::Sign(sign) => {
                    let signed = host.key.answer(&sign);
                    self.post(CRYPTO, Mail::SuperNode(at, SuperNodeInput::Signed(signed)));
                }
                SuperNodeOutput::Verify(verify) => {
                    let verified = SuperNodeInput::Verified(check(&verify));
                    self.post(CRYPTO, Mail::SuperNode(at, verified));
                }
                SuperNodeOutput::Persist { .. } => {}
                SuperNodeOutput::Event(event) => host.events.push_back(event),
            }
        }
    }

    fn dial_super_node(&mut self, at: usize, node: NodeId) {
        let mut hosts = self.super_nodes.iter();
        let Some(other) = hosts.position(|host| host.node == node && host.alive) else {
            self.post(
                SILENCE,
                Mail::SuperNode(at, SuperNodeInput::DialFailed { node }),
            );
            return;
        };
        let (ours, theirs) = (self.link(), self.link());
        self.super_nodes[at]
            .links
            .insert(ours, (End::SuperNode(other), theirs));
        self.super_nodes[other]
            .links
            .insert(theirs, (End::SuperNode(at), ours));
        for (host, link, other) in [(at, ours, other), (other, theirs, at)] {
            let certificate = self.super_nodes[other].certificate.der().to_vec();
            let opened = SuperNodeInput::PeerOpened { link, certificate };
            self.post(LATENCY * 2, Mail::SuperNode(host, opened));
        }
    }
}

impl<M, E> Host<M, E> {
    fn tampered(&mut self, mut wire: Wire) -> Wire {
        if let Some(evil) = &mut self.evil {
            evil(&mut wire);
        }
        wire
    }
}
