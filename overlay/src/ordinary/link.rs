//! One association: from the dialling to the heartbeat. The message flow stands in [`crate::association`].

use alloc::string::{String, ToString};
use alloc::vec;
use core::time::Duration;

use credential::{NodeId, Nonce, RevocationList, Serial, Signature};
use machine::{Instant, Map};

use super::{Misbehaviour, OrdinaryEvent, OrdinaryNode, OrdinaryOutput, Parting, Timer, Waiting};
use crate::association::{Denial, FromOrdinary, FromSuperNode};
use crate::{LinkId, frame};

/// How many associations it keeps, so that losing a super node loses nothing (R11).
pub(super) const WANTED: usize = 2;
/// How many it tries at one time when the first do not answer.
const PARALLEL: usize = 4;
/// After how long without success one more is tried.
const IMPATIENCE: Duration = Duration::from_millis(400);
/// How long a node waits that nobody served, by chance between half of it and one and a half. It doubles each time: so often
/// once all have been tried, and so often before.
const CALM: Duration = Duration::from_millis(500);
const LONGEST_CALM: u32 = 5;
const LONGEST_SEARCH: u32 = 2;
/// After so many refusals all super nodes have much to do; how long a node that has an association leaves them alone then.
/// Others got theirs at other moments, so they don't come back all at once.
const HARD: u32 = 2;
const SPARE: Duration = Duration::from_secs(30);
/// How long dialling and proving may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a standing association may take to answer that it lives. Two misses and it is dead, and a network that
/// stalls for a second is forgiven.
pub(super) const BEAT: Duration = Duration::from_millis(700);
const MISSES: u8 = 2;
/// How long one that answered is left alone, unless there is reason to doubt it: a super node has thousands of them.
const REST: Duration = Duration::from_secs(5);
/// How long after a renewal, and after each other, the associations change over to the new credential.
pub(super) const ROTATION: Duration = Duration::from_secs(15);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) url: String,
    pub(super) node: Option<NodeId>,
    /// The super node's certificate's, to notice that it is revoked.
    pub(super) serial: Option<Serial>,
    pub(super) state: State,
    pub(super) heard: Instant,
    asked: Option<Instant>,
    misses: u8,
    /// When the next beat is due; timers before have lost their meaning.
    pub(super) beat: Instant,
    /// The own credential's that it stands by.
    credential: Serial,
    /// What to add to the own clock to get the super node's, if they differ much.
    pub(super) skew: i64,
}

#[derive(Debug)]
pub(super) enum State {
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

fn in_use(links: &Map<LinkId, Link>, url: &str, node: Option<NodeId>) -> bool {
    let mut links = links.values();
    links.any(|link| link.url == url || (node.is_some() && link.node == node))
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
        if !self.is_active() || standing >= self.wanted {
            self.tries = WANTED;
            return;
        }
        if now < self.calm {
            self.dial_due = Some(self.calm);
            return;
        }
        let tries = self.tries.min(PARALLEL);
        while self.links.len() - standing < tries {
            let used = |url: &str, node| in_use(&self.links, url, node);
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
        if self.links.values().any(|link| !link.stands()) {
            let most = if self.refusals == 0 { PARALLEL } else { WANTED };
            self.tries = (self.tries + 1).min(most);
        }
        self.dial(now);
    }

    /// An association did not come about, perhaps because the super node is `busy`. Another one is tried at once, but when that
    /// has no time either, or all have failed, all may have too much to do, and whoever came again soon would keep it so.
    /// Those not tried yet are not left waiting long: who says that it is busy proves nothing.
    fn not_served(&mut self, busy: bool, now: Instant) {
        let used = |url: &str, node| in_use(&self.links, url, node);
        let all = self.candidates.all_failed(used);
        if all || (busy && self.refusals > 0) {
            let most = match (all, busy) {
                (true, true) => LONGEST_CALM,
                (true, false) => LONGEST_CALM - 1,
                (false, _) => LONGEST_SEARCH,
            };
            let calm = CALM * (1 << self.refusals.min(most));
            let jitter = self.rng.below(calm.as_millis() as u32);
            self.calm = now + calm / 2 + Duration::from_millis(u64::from(jitter));
            self.tries = 1;
        }
        self.refusals += u32::from(all || busy);
        self.turned_away += u32::from(busy);
    }

    /// An association stands. When it was hard to get, whoever has none yet goes before this node's second one.
    pub(super) fn served(&mut self, now: Instant) {
        if self.turned_away >= HARD {
            self.calm = now + SPARE;
        }
        (self.refusals, self.turned_away) = (0, 0);
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
                credential: self.certificate.serial(),
                state: State::Dialling,
                heard: now,
                asked: None,
                misses: 0,
                beat: now,
                skew: 0,
            },
        );
        self.outbox.push(OrdinaryOutput::Dial { link, url });
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
            (FromSuperNode::Lost { key }, State::Standing) => {
                self.placed.remove(&key);
                self.event(OrdinaryEvent::Lost(key));
            }
            (FromSuperNode::Pong { .. }, State::Standing) => {}
            (
                FromSuperNode::Challenge { .. }
                | FromSuperNode::Welcome { .. }
                | FromSuperNode::Records { .. }
                | FromSuperNode::Put { .. }
                | FromSuperNode::Revocations { .. }
                | FromSuperNode::Lost { .. }
                | FromSuperNode::Pong { .. },
                _,
            ) => self.misbehaved(id, Misbehaviour::OutOfPlace, now),
        }
    }

    pub(super) fn revocations_offered(&mut self, id: LinkId, list: &[u8], now: Instant) {
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
        let revoked = self.links.keys_where(|_, link| {
            link.serial
                .is_some_and(|serial| self.revocations.contains(serial))
        });
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
                if !self.deniers.contains(&node) {
                    self.deniers.push(node);
                }
                if self.deniers.len() >= WANTED {
                    return self.credential_ended(now);
                }
            }
        }
        if let Some(link) = self.links.get(&id) {
            self.candidates.failed(&link.url, &mut self.rng, now);
            if why == Denial::Busy {
                self.not_served(true, now);
            }
            self.end(id, Parting::Denied(why), now);
        }
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

    /// The link is gone by itself.
    pub(super) fn down(&mut self, id: LinkId, busy: bool, now: Instant) {
        if let Some(link) = self.links.get(&id) {
            let stood = link.stands();
            self.candidates.failed(&link.url, &mut self.rng, now);
            if !stood {
                self.not_served(busy, now);
            }
            self.forget(id, Parting::Broken, now);
        }
    }

    /// Ends the link for something that another try may mend.
    pub(super) fn close(&mut self, id: LinkId, why: Parting, now: Instant) {
        if let Some(link) = self.links.get(&id) {
            let stood = link.stands();
            self.candidates.failed(&link.url, &mut self.rng, now);
            if !stood {
                self.not_served(false, now);
            }
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
        if link.stands() && self.standing().next().is_none() {
            self.calm = now;
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
        if now < link.beat {
            return;
        }
        let mut pace = BEAT;
        match link.asked.take() {
            // The answer may wait behind this beat: whoever was stopped himself has nobody to blame.
            Some(asked) if link.heard < asked && now - asked >= 2 * BEAT => {}
            Some(asked) if link.heard < asked => link.misses += 1,
            Some(_) => (link.misses, pace) = (0, REST),
            None => {}
        }
        if link.misses >= MISSES {
            return self.close(id, Parting::Silent, now);
        }
        link.beat = now + pace;
        self.timers.set(link.beat, Timer::Beat(id));
        if pace == BEAT {
            link.asked = Some(now);
            let number = self.rng.number();
            self.send(id, &FromOrdinary::Ping { number });
        }
    }

    /// Asks those that rest at once: something waits for an answer, or the network has changed.
    pub(super) fn doubt(&mut self, now: Instant) {
        for id in self
            .links
            .keys_where(|_, link| link.stands() && link.asked.is_none())
        {
            if let Some(link) = self.links.get_mut(&id) {
                link.beat = now;
            }
            self.beat(id, now);
        }
    }

    /// Ends one association that stands by an old credential, if another one stands meanwhile.
    pub(super) fn rotate(&mut self, now: Instant) {
        let current = self.certificate.serial();
        let old = self
            .links
            .keys_where(|_, link| link.stands() && link.credential != current);
        let Some(&first) = old.first() else {
            return;
        };
        self.timers.set(now + ROTATION, Timer::Rotate);
        if self.standing().count() >= self.wanted {
            self.end(first, Parting::Own, now);
        }
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
