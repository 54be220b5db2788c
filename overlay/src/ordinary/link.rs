//! One association: from the dialling to the heartbeat. The message flow stands in [`crate::association`].

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{
    Certificate, Challenge, Check, NodeId, Nonce, RevocationList, Role, Serial, Signature, Subject,
};
use machine::Instant;

use super::candidates::host;
use super::{
    Awaited, Misbehaviour, OrdinaryEvent, OrdinaryNode, OrdinaryOutput, Parting, Timer, Waiting,
};
use crate::association::{Contact, Denial, FromOrdinary, FromSuperNode};
use crate::{Candidate, LinkId, frame};

/// How many associations it keeps, so that losing a super node loses nothing (R11).
pub(super) const WANTED: usize = 2;
/// How many it tries at one time when the first do not answer.
const PARALLEL: usize = 4;
/// After how long without success one more is tried.
const IMPATIENCE: Duration = Duration::from_millis(400);
/// How long dialling and proving may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often a standing association is asked whether it lives, and how long it may take to answer.
const BEAT: Duration = Duration::from_secs(1);
/// Clocks that differ by less are left alone.
const SKEW: u64 = 60_000;
/// How many super nodes, STUN servers one may name.
const NAMED: usize = 16;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) url: String,
    pub(super) node: Option<NodeId>,
    /// The super node's certificate's, to notice that it is revoked.
    serial: Option<Serial>,
    state: State,
    heard: Instant,
    asked: Option<Instant>,
    /// What to add to the own clock to get the super node's, if they differ much.
    skew: i64,
}

#[derive(Debug)]
enum State {
    Dialling,
    Greeted {
        nonce: Nonce,
    },
    /// The super node's proof is being verified, the own one made.
    Proving {
        own: Option<Signature>,
        proved: bool,
    },
    Proved,
    Standing,
}

impl Link {
    pub(super) fn stands(&self) -> bool {
        matches!(self.state, State::Standing)
    }
}

impl OrdinaryNode {
    pub(super) fn standing(&self) -> impl Iterator<Item = (LinkId, &Link)> {
        let links = self.links.iter().map(|(&id, link)| (id, link));
        links.filter(|(_, link)| link.stands())
    }

    /// Dials until two associations stand, and says when to look again.
    pub(super) fn dial(&mut self, now: Instant) {
        self.dial_due = None;
        let standing = self.standing().count();
        if !self.is_active() || standing >= WANTED {
            self.tries = WANTED;
            return;
        }
        let tries = self.tries.min(PARALLEL);
        while self.links.len() - standing < tries {
            let links = &self.links;
            let used = |url: &str, node: Option<NodeId>| {
                let mut links = links.values();
                links.any(|link| link.url == url || (node.is_some() && link.node == node))
            };
            let Some(url) = self.candidates.next(now, used).map(ToString::to_string) else {
                break;
            };
            self.dial_one(url, now);
        }
        let due = if self.links.len() > standing {
            Some(now + IMPATIENCE)
        } else {
            self.candidates.next_due(now)
        };
        self.dial_due = due;
    }

    /// One more try at a time, for those under way take long.
    pub(super) fn dial_impatiently(&mut self, now: Instant) {
        self.tries = (self.tries + 1).min(PARALLEL);
        self.dial(now);
    }

    fn dial_one(&mut self, url: String, now: Instant) {
        self.next += 1;
        let link = LinkId(self.next);
        self.timers.set(now + PATIENCE, Timer::Patience(link));
        self.links.insert(
            link,
            Link {
                url: url.clone(),
                node: None,
                serial: None,
                state: State::Dialling,
                heard: now,
                asked: None,
                skew: 0,
            },
        );
        self.outbox.push(OrdinaryOutput::Dial { link, url });
    }

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

    pub(super) fn send(&mut self, link: LinkId, message: &FromOrdinary) {
        let frame = frame::encode(self.overlay(), message);
        self.outbox.push(OrdinaryOutput::Send { link, frame });
    }

    pub(super) fn frame(&mut self, id: LinkId, bytes: &[u8], now: Instant) {
        let overlay = self.overlay();
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        link.heard = now;
        let message = match frame::decode::<FromSuperNode>(overlay, bytes) {
            Ok(message) => message,
            Err(fault) => return self.misbehaved(id, Misbehaviour::Frame(fault), now),
        };
        match (message, &link.state) {
            (
                FromSuperNode::Challenge {
                    nonce,
                    certificate,
                    signature,
                },
                &State::Greeted { nonce: own },
            ) => self.challenged(id, own, nonce, &certificate, signature, now),
            (
                FromSuperNode::Welcome {
                    time,
                    super_nodes,
                    stun,
                    revocations,
                },
                State::Proved,
            ) => self.welcomed(id, time, super_nodes, stun, revocations, now),
            (FromSuperNode::Refused { why, super_nodes }, _) => {
                self.learn(super_nodes);
                self.denied(id, why, now);
            }
            (
                FromSuperNode::Records {
                    request,
                    records,
                    end,
                },
                State::Standing,
            ) => self.records(id, request, records, end, now),
            (FromSuperNode::Put { request, outcome }, State::Standing) => {
                self.put_answered(id, request, outcome, now);
            }
            (FromSuperNode::Revocations { list }, State::Standing) => {
                self.revocations_offered(id, &list, now);
            }
            (FromSuperNode::Pong { .. }, State::Standing) => {}
            (
                FromSuperNode::Challenge { .. }
                | FromSuperNode::Welcome { .. }
                | FromSuperNode::Records { .. }
                | FromSuperNode::Put { .. }
                | FromSuperNode::Revocations { .. }
                | FromSuperNode::Pong { .. },
                _,
            ) => self.misbehaved(id, Misbehaviour::OutOfPlace, now),
        }
    }

    /// Checks who the super node says it is, and has its proof verified while the own one is made.
    fn challenged(
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

    fn welcomed(
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
        if self.standing().count() >= WANTED {
            let spare: Vec<LinkId> = self.links.keys().copied().collect();
            for other in spare {
                if self.links.get(&other).is_some_and(|link| !link.stands()) {
                    self.links.remove(&other);
                    self.outbox.push(OrdinaryOutput::Close(other));
                }
            }
        }
        self.dial(now);
        self.association_changed(now);
    }

    fn learn(&mut self, mut super_nodes: Vec<Contact>) {
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

    fn revocations_offered(&mut self, id: LinkId, list: &[u8], now: Instant) {
        let list = RevocationList::read(list);
        let check = list
            .as_ref()
            .and_then(|list| self.anchor.admit_revocations(list).ok());
        let (Some(list), Some(check)) = (list, check) else {
            return self.misbehaved(id, Misbehaviour::Revocations, now);
        };
        if list.number() > self.revocations.number() {
            self.check(Waiting::Revocations(id, list), vec![check]);
        }
    }

    pub(super) fn revocations_checked(
        &mut self,
        id: LinkId,
        list: RevocationList,
        failed: Option<usize>,
        now: Instant,
    ) {
        if failed.is_some() {
            return self.misbehaved(id, Misbehaviour::Revocations, now);
        }
        if list.number() <= self.revocations.number() {
            return;
        }
        self.revocations = list.clone();
        self.event(OrdinaryEvent::Revocations(list));
        let revoked = self.links.iter().filter(|(_, link)| {
            link.serial
                .is_some_and(|serial| self.revocations.contains(serial))
        });
        let revoked: Vec<LinkId> = revoked.map(|(&id, _)| id).collect();
        for link in revoked {
            self.misbehaved(link, Misbehaviour::Certificate, now);
        }
        self.check_credential(now);
    }

    /// The super node sends the ordinary node away.
    fn denied(&mut self, id: LinkId, why: Denial, now: Instant) {
        let proved = self
            .links
            .get(&id)
            .filter(|link| matches!(link.state, State::Proved | State::Standing));
        let node = proved.and_then(|link| link.node);
        match (why, node) {
            (Denial::Busy | Denial::Leaving | Denial::Host | Denial::Protocol, _) | (_, None) => {}
            (
                Denial::Certificate
                | Denial::Overlay
                | Denial::Expired
                | Denial::Revoked
                | Denial::Signature,
                Some(node),
            ) => {
                // One super node may err or lie about the credential. Two different ones settle it.
                self.deniers.insert(node);
                if self.deniers.len() >= WANTED {
                    return self.credential_ended(now);
                }
            }
        }
        self.close(id, Parting::Denied(why), now);
    }

    /// Reports what the other end did, and leaves it alone from now on.
    pub(super) fn misbehaved(&mut self, id: LinkId, how: Misbehaviour, now: Instant) {
        self.report(id, how);
        if let Some(link) = self.links.get(&id) {
            self.candidates.misbehaved(&link.url, now);
        }
        self.end(id, Parting::Misbehaved, now);
    }

    pub(super) fn report(&mut self, id: LinkId, how: Misbehaviour) {
        if let Some(link) = self.links.get(&id) {
            let (node, url) = (link.node, link.url.clone());
            self.event(OrdinaryEvent::Misbehaved { node, url, how });
        }
    }

    fn drop_double(&mut self, id: LinkId, node: NodeId, now: Instant) {
        if let Some(link) = self.links.remove(&id) {
            self.candidates.is_double(&link.url, node, now);
            self.outbox.push(OrdinaryOutput::Close(id));
        }
        self.dial(now);
    }

    /// The link is gone by itself.
    pub(super) fn down(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get(&id) {
            self.candidates.failed(&link.url, &mut self.rng, now);
            self.forget(id, Parting::Broken, now);
        }
    }

    /// Ends the link for something that another try may mend.
    pub(super) fn close(&mut self, id: LinkId, why: Parting, now: Instant) {
        if let Some(link) = self.links.get(&id) {
            self.candidates.failed(&link.url, &mut self.rng, now);
            self.end(id, why, now);
        }
    }

    pub(super) fn end(&mut self, id: LinkId, why: Parting, now: Instant) {
        if self.links.contains_key(&id) {
            self.outbox.push(OrdinaryOutput::Close(id));
            self.forget(id, why, now);
        }
    }

    fn forget(&mut self, id: LinkId, why: Parting, now: Instant) {
        let Some(link) = self.links.remove(&id) else {
            return;
        };
        if link.stands()
            && let Some(node) = link.node
        {
            self.event(OrdinaryEvent::Dissociated {
                link: id,
                node,
                why,
            });
        }
        self.dial(now);
        self.association_lost(id, now);
    }

    pub(super) fn patience_due(&mut self, id: LinkId, now: Instant) {
        if self.links.get(&id).is_some_and(|link| !link.stands()) {
            self.close(id, Parting::Silent, now);
        }
    }

    pub(super) fn beat(&mut self, id: LinkId, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.asked.is_some_and(|asked| link.heard < asked) {
            return self.close(id, Parting::Silent, now);
        }
        link.asked = Some(now);
        self.timers.set(now + BEAT, Timer::Beat(id));
        let number = self.rng.number();
        self.send(id, &FromOrdinary::Ping { number });
    }

    /// The date as the super nodes see it, in milliseconds since 1970. With two that differ, the one nearer to the own
    /// clock counts, so that it takes two liars to move it.
    #[must_use]
    pub fn network_time(&self, now: Instant) -> u64 {
        let skew = self.standing().map(|(_, link)| link.skew);
        let skew = skew.min_by_key(|skew| skew.unsigned_abs()).unwrap_or(0);
        self.clock.at(now).saturating_add_signed(skew)
    }
}
