//! The associations of ordinary nodes: the super node's side of [`crate::association`].

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Instance, Nonce, RevocationList, Serial};
use machine::Instant;

mod handshake;

use super::guarding::Guarded;
use super::overload::Class;
use super::{Asker, Offence, Offender, State, SuperNode, SuperNodeEvent, SuperNodeOutput, Timer};
use crate::association::{Contact, Denial, FromOrdinary, FromSuperNode, Mode, PutOutcome};
use crate::budget::Budget;
use crate::{Control, LinkId, RecordFault, Refused, SignedRecord, frame};

/// How long the handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// How long an ordinary node may be silent. A browser may wake a hidden page only once a minute.
const SILENCE: Duration = Duration::from_secs(150);
/// How many other super nodes a new association is told of.
const CONTACTS: usize = 8;
/// How many seconds' worth of requests may come at once.
const BURST: u32 = 4;

/// The link of an ordinary node.
#[derive(Debug)]
pub(super) struct Association {
    state: Phase,
    heard: Instant,
    /// The newest revocation list that it has.
    revocations: u64,
    /// Records placed by it.
    pub(super) guarded: Guarded,
}

#[derive(Debug)]
enum Phase {
    /// Nothing has come yet.
    Opened,
    /// The own proof is being signed, or was sent.
    Challenged {
        ordinary: Nonce,
        own: Nonce,
        host: String,
        sent: bool,
    },
    /// The user's proof is being verified.
    Proving(Device),
    Standing(Device),
}

/// A user with all his devices: what he may use is counted over all of them, wherever they are.
#[derive(Debug)]
pub(super) struct User {
    associations: usize,
    budget: Budget,
    flooding: bool,
}

/// Which device of whom.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) uri: String,
    instance: Instance,
    serial: Serial,
    ends: u64,
}

impl SuperNode {
    pub(super) fn association_opened(&mut self, link: LinkId, now: Instant) {
        let full = self.associations.len() >= self.config.limits.associations;
        let shed = full || self.sheds(Class::Association);
        if shed || !matches!(self.state, State::Joined) {
            return self.turn_away(link, Denial::Busy);
        }
        let association = Association {
            state: Phase::Opened,
            heard: now,
            revocations: 0,
            guarded: Guarded::new(),
        };
        self.associations.insert(link, association);
        self.timers.set(now + HANDSHAKE, Timer::Association(link));
    }

    pub(super) fn send_ordinary(&mut self, link: LinkId, message: &FromSuperNode) {
        if self.associations.contains_key(&link) {
            self.push_ordinary(link, message);
        }
    }

    fn push_ordinary(&mut self, link: LinkId, message: &FromSuperNode) {
        let frame = frame::encode(self.overlay(), message);
        self.outbox.push(SuperNodeOutput::Send { link, frame });
    }

    pub(super) fn association_frame(&mut self, link: LinkId, bytes: &[u8], now: Instant) {
        let overlay = self.overlay();
        let Some(association) = self.associations.get_mut(&link) else {
            return;
        };
        association.heard = now;
        if let Phase::Standing(device) = &association.state
            && let Some(user) = self.users.get_mut(&device.uri)
        {
            let rate = self.config.limits.requests;
            if !user.budget.take(rate, rate * BURST, now) {
                // Named once a flood: the report must not cost more than the request.
                if !core::mem::replace(&mut user.flooding, true) {
                    self.misbehaved_ordinary(link, Offence::Flood);
                }
                return self.over_budget(link, bytes);
            }
            user.flooding = false;
        }
        let message = match frame::decode::<FromOrdinary>(overlay, bytes) {
            Ok(message) => message,
            Err(fault) => {
                self.misbehaved_ordinary(link, Offence::Frame(fault));
                return self.deny(link, Denial::Protocol);
            }
        };
        match (message, &association.state) {
            (
                FromOrdinary::Hello {
                    nonce,
                    host,
                    revocations,
                },
                Phase::Opened,
            ) => {
                association.revocations = revocations;
                self.hello(link, nonce, host);
            }
            (
                FromOrdinary::Proof {
                    certificate,
                    signature,
                },
                Phase::Challenged { sent: true, .. },
            ) => self.proof(link, &certificate, signature, now),
            (
                FromOrdinary::Get {
                    request,
                    key,
                    owner,
                    newest,
                },
                Phase::Standing(_),
            ) => self.search(Asker::Ordinary { link, request }, key, owner, newest, now),
            (
                FromOrdinary::Put {
                    request,
                    mode,
                    record,
                },
                Phase::Standing(_),
            ) => self.put(link, request, mode, record, now),
            (
                FromOrdinary::Touch {
                    request,
                    control,
                    signature,
                },
                Phase::Standing(_),
            ) => self.touch(link, request, control, signature, now),
            (FromOrdinary::Ping { number }, Phase::Standing(_)) => {
                self.send_ordinary(link, &FromSuperNode::Pong { number });
            }
            (
                FromOrdinary::Hello { .. }
                | FromOrdinary::Proof { .. }
                | FromOrdinary::Get { .. }
                | FromOrdinary::Put { .. }
                | FromOrdinary::Touch { .. }
                | FromOrdinary::Ping { .. },
                _,
            ) => {
                self.misbehaved_ordinary(link, Offence::OutOfPlace);
                self.deny(link, Denial::Protocol);
            }
        }
    }

    /// A request beyond the budget is answered, not served.
    fn over_budget(&mut self, link: LinkId, bytes: &[u8]) {
        let answer = match frame::decode::<FromOrdinary>(self.overlay(), bytes) {
            Ok(FromOrdinary::Get { request, .. }) => FromSuperNode::Records {
                request,
                records: Vec::new(),
                end: Some(crate::association::SearchEnd::Busy),
            },
            Ok(FromOrdinary::Put { request, .. } | FromOrdinary::Touch { request, .. }) => {
                FromSuperNode::Put {
                    request,
                    outcome: PutOutcome::Refused(Refused::Rate),
                }
            }
            Ok(FromOrdinary::Ping { number }) => FromSuperNode::Pong { number },
            Ok(FromOrdinary::Hello { .. } | FromOrdinary::Proof { .. }) | Err(_) => return,
        };
        self.send_ordinary(link, &answer);
    }

    /// The super nodes to try next time (draft §5.1): this one first, as long as it has more than half of what it takes in
    /// left; then others.
    fn proposals(&mut self) -> Vec<Contact> {
        let crowded = 2 * self.associations.len() > self.config.limits.associations;
        let mut proposals = self.contacts();
        if !crowded && !self.is_busy() {
            let own = Contact {
                node: self.own,
                url: self.config.url.clone(),
            };
            proposals.insert(0, own);
        }
        proposals
    }

    /// Some other super nodes, at random.
    pub(super) fn contacts(&mut self) -> Vec<Contact> {
        let members = self.ring.len();
        // One more, for it may draw itself.
        let mut places = BTreeSet::new();
        for last in members.saturating_sub(CONTACTS + 1)..members {
            let drawn = self.rng.below(last as u32 + 1) as usize;
            if !places.insert(drawn) {
                places.insert(last);
            }
        }
        let nodes = places.into_iter().filter_map(|at| self.ring.other_at(at));
        let known = nodes.filter_map(|node| self.ring.member(node));
        let contacts = known.map(|member| Contact {
            node: member.node(),
            url: member.url().into(),
        });
        let mut contacts: Vec<Contact> = contacts.collect();
        for place in (1..contacts.len()).rev() {
            contacts.swap(place, self.rng.below(place as u32 + 1) as usize);
        }
        contacts.truncate(CONTACTS);
        contacts
    }

    /// A user places his own records only (attack: the certificate of one, the record of another).
    fn put(&mut self, link: LinkId, request: u64, mode: Mode, record: SignedRecord, now: Instant) {
        let asker = Asker::Ordinary { link, request };
        if !self.is_his(link, &record.control) {
            let fault = RecordFault::Owner;
            self.misbehaved_ordinary(link, Offence::Record(fault));
            return self.placed(asker, 0, PutOutcome::Refused(Refused::Record(fault)));
        }
        if let Err(why) = self.begin_place(asker, mode, record, now) {
            if let Refused::Record(fault) = why {
                self.misbehaved_ordinary(link, Offence::Record(fault));
            }
            self.placed(asker, 0, PutOutcome::Refused(why));
        }
    }

    pub(super) fn is_his(&self, link: LinkId, control: &Control) -> bool {
        self.user(link)
            .is_some_and(|user| user.uri == control.owner)
    }

    pub(super) fn user(&self, link: LinkId) -> Option<&Device> {
        match &self.associations.get(&link)?.state {
            Phase::Standing(user) => Some(user),
            Phase::Opened | Phase::Challenged { .. } | Phase::Proving(_) => None,
        }
    }

    pub(super) fn misbehaved_ordinary(&mut self, link: LinkId, how: Offence) {
        let who = self.user(link).map(|user| user.uri.clone());
        self.misbehaved(who.map_or(Offender::Stranger(link), Offender::User), how);
    }

    fn deny(&mut self, link: LinkId, why: Denial) {
        self.turn_away(link, why);
        self.forget_association(link);
    }

    fn turn_away(&mut self, link: LinkId, why: Denial) {
        let super_nodes = self.contacts();
        self.push_ordinary(link, &FromSuperNode::Refused { why, super_nodes });
        self.outbox.push(SuperNodeOutput::Close(link));
    }

    pub(super) fn end_association(&mut self, link: LinkId) {
        self.outbox.push(SuperNodeOutput::Close(link));
        self.forget_association(link);
    }

    /// The link is gone.
    pub(super) fn forget_association(&mut self, link: LinkId) {
        let Some(association) = self.associations.remove(&link) else {
            return;
        };
        self.searches_dropped(link);
        let Phase::Standing(user) = association.state else {
            return;
        };
        if let Some(usage) = self.users.get_mut(&user.uri) {
            usage.associations -= 1;
            if usage.associations == 0 {
                self.users.remove(&user.uri);
            }
        }
        self.event(SuperNodeEvent::Dissociated {
            link,
            uri: user.uri,
            instance: user.instance,
        });
    }

    /// The handshake took too long, the other end is silent, or its credential has ended.
    pub(super) fn association_due(&mut self, link: LinkId, now: Instant) {
        let wall = self.wall(now);
        let Some(association) = self.associations.get(&link) else {
            return;
        };
        let Phase::Standing(user) = &association.state else {
            return self.deny(link, Denial::Protocol);
        };
        if wall > user.ends {
            return self.deny(link, Denial::Expired);
        }
        let silent = now - association.heard;
        if silent >= SILENCE {
            return self.end_association(link);
        }
        let left = Duration::from_millis(user.ends.saturating_sub(wall) + 1);
        let next = left.min(SILENCE - silent);
        self.timers.set(now + next, Timer::Association(link));
    }

    /// Tells every ordinary node of a new revocation list, and ends the associations that it concerns.
    pub(super) fn associations_revoked(&mut self, list: &[u8]) {
        let revocations: RevocationList = self.revocations.clone();
        for link in self.associations.keys().copied().collect::<Vec<_>>() {
            let Some(user) = self.user(link) else {
                continue;
            };
            let revoked = revocations.contains(user.serial);
            let list = list.to_vec();
            self.send_ordinary(link, &FromSuperNode::Revocations { list });
            if revoked {
                self.deny(link, Denial::Revoked);
            }
        }
    }
}
