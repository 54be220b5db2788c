//! How an association comes about: the super node proves itself first, then the ordinary node.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use credential::{Certificate, Challenge, Check, NodeId, Nonce, Role, Signature, Subject};
use machine::Instant;

use super::candidates::host;
use super::link::{BEAT, State};
use super::{Awaited, Misbehaviour, OrdinaryEvent, OrdinaryNode, OrdinaryOutput, Timer, Waiting};
use crate::association::{Contact, FromOrdinary};
use crate::{Candidate, LinkId};

/// Clocks that differ by less are left alone, in milliseconds.
const SKEW: u64 = 5_000;
/// How many super nodes, STUN servers one may name.
const NAMED: usize = 16;

impl OrdinaryNode {
    pub(super) fn up(&mut self, id: LinkId, now: Instant) {
        let nonce = self.rng.bytes();
        let revocations = self.revocations.number();
        let Some(link) = self.links.get_mut(&id) else {
            self.outbox.push(OrdinaryOutput::Close(id));
            return;
        };
        if !matches!(link.state, State::Dialling) {
            return;
        }
        link.state = State::Greeted { nonce };
        link.heard = now;
        let host = host(&link.url).unwrap_or_default().to_ascii_lowercase();
        self.send(
            id,
            &FromOrdinary::Hello {
                nonce,
                host,
                revocations,
            },
        );
    }

    /// Checks who the super node says it is, and has its proof verified while the own one is made.
    pub(super) fn challenged(
        &mut self,
        id: LinkId,
        own: Nonce,
        nonce: Nonce,
        certificate: &[u8],
        signature: Signature,
        now: Instant,
    ) {
        let Ok(certificate) = Certificate::read(certificate) else {
            return self.misbehaved(id, Misbehaviour::Certificate, now);
        };
        let node = match certificate.subject() {
            Subject::SuperNode { node } => *node,
            Subject::User { .. } | Subject::Authority => {
                return self.misbehaved(id, Misbehaviour::NotASuperNode, now);
            }
        };
        let wall = self.clock.at(now);
        let Ok(chain) = self.anchor.admit(&certificate, wall, &self.revocations) else {
            return self.misbehaved(id, Misbehaviour::Certificate, now);
        };
        let overlay = self.overlay();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let host = host(&link.url).unwrap_or_default();
        let challenge = Challenge {
            overlay,
            ordinary: &own,
            super_node: &nonce,
            node,
            host,
        };
        let (Some(theirs), Some(ours)) = (
            challenge.message(Role::SuperNode),
            challenge.message(Role::OrdinaryNode),
        ) else {
            return;
        };
        link.node = Some(node);
        link.serial = Some(certificate.serial());
        link.state = State::Proving {
            own: None,
            proved: false,
        };
        let proof = Check {
            key: certificate.public_key(),
            message: theirs,
            signature,
        };
        self.check(Waiting::SuperNode(id), vec![proof, chain]);
        self.sign(Awaited::Proof(id), ours);
    }

    pub(super) fn super_node_checked(&mut self, id: LinkId, failed: Option<usize>, now: Instant) {
        match failed {
            Some(0) => return self.misbehaved(id, Misbehaviour::Proof, now),
            Some(_) => return self.misbehaved(id, Misbehaviour::Certificate, now),
            None => {}
        }
        let Some(node) = self.links.get(&id).and_then(|link| link.node) else {
            return;
        };
        if self.links.iter().any(|(&other, link)| {
            other != id
                && link.node == Some(node)
                && matches!(link.state, State::Proved | State::Standing)
        }) {
            return self.drop_double(id, node, now);
        }
        if let Some(link) = self.links.get_mut(&id)
            && let State::Proving { proved, .. } = &mut link.state
        {
            *proved = true;
        }
        self.prove(id);
    }

    pub(super) fn proof_signed(&mut self, id: LinkId, signature: Signature) {
        if let Some(link) = self.links.get_mut(&id)
            && let State::Proving { own, .. } = &mut link.state
        {
            *own = Some(signature);
        }
        self.prove(id);
    }

    /// Proves itself, once the super node has.
    fn prove(&mut self, id: LinkId) {
        let certificate = self.certificate.der().to_vec();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let State::Proving {
            own: Some(signature),
            proved: true,
        } = link.state
        else {
            return;
        };
        link.state = State::Proved;
        self.send(
            id,
            &FromOrdinary::Proof {
                certificate,
                signature,
            },
        );
    }

    pub(super) fn welcomed(
        &mut self,
        id: LinkId,
        time: u64,
        super_nodes: Vec<Contact>,
        mut stun: Vec<String>,
        revocations: Option<Vec<u8>>,
        now: Instant,
    ) {
        let wall = self.clock.at(now);
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let Some(node) = link.node else { return };
        link.state = State::Standing;
        link.skew = if time.abs_diff(wall) < SKEW {
            0
        } else {
            time.saturating_sub(wall) as i64 - wall.saturating_sub(time) as i64
        };
        let url = link.url.clone();
        self.candidates.succeeded(&url, node);
        self.deniers.clear();
        self.served(now);
        self.timers.set(now + BEAT, Timer::Beat(id));
        stun.truncate(NAMED);
        self.event(OrdinaryEvent::Associated {
            link: id,
            node,
            url,
            stun,
        });
        self.learn(super_nodes);
        if let Some(list) = revocations {
            self.revocations_offered(id, &list, now);
        }
        if self.standing().count() >= self.wanted {
            for spare in self.links.keys_where(|_, link| !link.stands()) {
                self.links.remove(&spare);
                self.outbox.push(OrdinaryOutput::Close(spare));
            }
        }
        self.dial(now);
        self.association_changed(now);
    }

    pub(super) fn learn(&mut self, mut super_nodes: Vec<Contact>) {
        super_nodes.truncate(NAMED);
        if super_nodes.is_empty() {
            return;
        }
        self.candidates
            .offer(super_nodes.iter().map(|contact| Candidate {
                url: contact.url.clone(),
                node: Some(contact.node),
            }));
        self.event(OrdinaryEvent::SuperNodes(super_nodes));
    }

    fn drop_double(&mut self, id: LinkId, node: NodeId, now: Instant) {
        if let Some(link) = self.links.remove(&id) {
            self.candidates.is_double(&link.url, node, now);
            self.outbox.push(OrdinaryOutput::Close(id));
        }
        self.dial(now);
    }
}
