//! How an association begins: each side proves who it is, the super node first.

use alloc::string::{String, ToString};
use alloc::vec;

use credential::{Certificate, Challenge, Check, Nonce, Refusal, Role, Signature};
use machine::Instant;

use super::{Device, Phase, SILENCE, User};
use crate::LinkId;
use crate::association::{Denial, FromSuperNode};
use crate::budget::Budget;
use crate::supernode::{Awaited, Offence, SuperNode, SuperNodeEvent, Timer, Waiting};

impl SuperNode {
    pub(super) fn hello(&mut self, link: LinkId, ordinary: Nonce, host: String) {
        let own: Nonce = self.rng.bytes();
        let hosts = &self.config.hosts;
        let known = hosts.iter().any(|known| known.eq_ignore_ascii_case(&host));
        let challenge = Challenge {
            overlay: self.overlay(),
            ordinary: &ordinary,
            super_node: &own,
            node: self.own,
            host: &host,
        };
        let (true, Some(message)) = (known, challenge.message(Role::SuperNode)) else {
            self.misbehaved_ordinary(link, Offence::Host);
            return self.deny(link, Denial::Host);
        };
        if let Some(association) = self.associations.get_mut(&link) {
            association.state = Phase::Challenged {
                ordinary,
                own,
                host,
                sent: false,
            };
            self.sign(Awaited::Challenge(link), message);
        }
    }

    pub(in crate::supernode) fn challenge_signed(&mut self, link: LinkId, signature: Signature) {
        let certificate = self.config.certificate.der().to_vec();
        let Some(association) = self.associations.get_mut(&link) else {
            return;
        };
        if let Phase::Challenged { own, sent, .. } = &mut association.state {
            *sent = true;
            let nonce = *own;
            self.send_ordinary(
                link,
                &FromSuperNode::Challenge {
                    nonce,
                    certificate,
                    signature,
                },
            );
        }
    }

    /// Checks who the user says he is, and has his proof verified.
    pub(super) fn proof(
        &mut self,
        link: LinkId,
        certificate: &[u8],
        signature: Signature,
        now: Instant,
    ) {
        let Ok(certificate) = Certificate::read(certificate) else {
            self.misbehaved_ordinary(link, Offence::Certificate);
            return self.deny(link, Denial::Certificate);
        };
        let Some((uri, instance)) = certificate.user() else {
            self.misbehaved_ordinary(link, Offence::Role);
            return self.deny(link, Denial::Certificate);
        };
        let user = Device {
            uri: uri.to_string(),
            instance,
            serial: certificate.serial(),
            ends: certificate.not_after(),
        };
        let anchor = &self.config.anchor;
        let chain = match anchor.admit(&certificate, self.wall(now), &self.revocations) {
            Ok(chain) => chain,
            Err(refusal) => {
                self.misbehaved_ordinary(link, Offence::Certificate);
                return self.deny(link, denial(refusal));
            }
        };
        let overlay = self.overlay();
        let Some(association) = self.associations.get_mut(&link) else {
            return;
        };
        let Phase::Challenged {
            ordinary,
            own,
            host,
            ..
        } = &association.state
        else {
            return;
        };
        let challenge = Challenge {
            overlay,
            ordinary,
            super_node: own,
            node: self.own,
            host,
        };
        let Some(message) = challenge.message(Role::OrdinaryNode) else {
            return;
        };
        association.state = Phase::Proving(user);
        let proof = Check {
            key: certificate.public_key(),
            message,
            signature,
        };
        self.check(Waiting::Proof(link), vec![proof, chain]);
    }

    pub(in crate::supernode) fn proof_checked(
        &mut self,
        link: LinkId,
        failed: Option<usize>,
        now: Instant,
    ) {
        if failed.is_some() {
            self.misbehaved_ordinary(link, Offence::Proof);
            return self.deny(link, Denial::Signature);
        }
        let most = self.config.limits.user_associations;
        let Some(association) = self.associations.get_mut(&link) else {
            return;
        };
        let Phase::Proving(user) = &association.state else {
            return;
        };
        let user = user.clone();
        let usage = self.users.entry(user.uri.clone()).or_insert(User {
            associations: 0,
            budget: Budget::new(),
            flooding: false,
        });
        if usage.associations >= most {
            return self.deny(link, Denial::Busy);
        }
        usage.associations += 1;
        association.state = Phase::Standing(user.clone());
        let relays = self
            .relays
            .iter()
            .flat_map(|relays| relays.named_to(&user.uri));
        let stun = self.config.stun.iter().cloned().chain(relays).collect();
        let behind = association.revocations < self.revocations.number();
        let welcome = FromSuperNode::Welcome {
            time: self.wall(now),
            super_nodes: self.proposals(),
            stun,
            revocations: behind.then(|| self.revocations.to_bytes()),
        };
        self.send_ordinary(link, &welcome);
        self.timers.set(now + SILENCE, Timer::Association(link));
        self.event(SuperNodeEvent::Associated {
            link,
            uri: user.uri,
            instance: user.instance,
        });
    }
}

fn denial(refusal: Refusal) -> Denial {
    match refusal {
        Refusal::Overlay | Refusal::Issuer => Denial::Overlay,
        Refusal::Authority | Refusal::Role => Denial::Certificate,
        Refusal::NotYetValid | Refusal::Expired => Denial::Expired,
        Refusal::Revoked => Denial::Revoked,
        Refusal::Signature => Denial::Signature,
    }
}
