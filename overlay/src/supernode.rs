//! The super node: the ring, the store, the search, and the associations that it serves.

mod comparing;
mod copying;
mod departing;
mod dispatching;
mod entrusting;
mod forwarding;
mod guarding;
mod guiding;
mod interface;
mod joining;
mod keeping;
mod membership;
mod overload;
mod owing;
mod own;
mod peers;
mod placing;
mod probing;
mod reaching;
mod resolving;
mod ring;
mod rules;
mod searching;
mod serving;
mod spreading;
mod store;
mod touching;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Check, Job, MemberStatement, NodeId, RevocationList, Sign};
use machine::{Instant, Machine, Outbox, Rng};

pub use self::interface::{
    Limits, Offence, Offender, Relays, Seed, SuperNodeConfig, SuperNodeEvent, SuperNodeInput,
    SuperNodeOutput,
};
pub use self::ring::{Intern, Member};

use self::copying::Copies;
use self::departing::Suspicion;
use self::forwarding::Forwarded;
use self::joining::Join;
use self::peers::{Dial, Peer};
use self::placing::{Origin, Placing};
use self::resolving::Resolving;
use self::ring::Ring;
use self::searching::Search;
use self::serving::{Association, User};
use self::spreading::Spreading;
use self::store::Store;
use crate::association::Mode;
use crate::checks::{Chains, Checks};
use crate::peer::{About, Announcement, Departure, Gone, SlotId};
use crate::timers::Timers;
use crate::{Control, LinkId, QueryId, SignedRecord};

/// A node of the ring: it keeps a share of the table and serves ordinary nodes.
#[derive(Debug)]
pub struct SuperNode {
    config: SuperNodeConfig,
    own: NodeId,
    seeds: Vec<Seed>,
    revocations: RevocationList,
    rng: Rng,
    state: State,
    /// What it last said of itself.
    announcement: Option<Announcement>,
    leave_announced: bool,
    ring: Ring,
    interner: Option<Arc<dyn Intern>>,
    relays: Option<Arc<dyn Relays>>,
    news: Spreading,
    /// When the word of some members came last.
    heard: BTreeMap<NodeId, Instant>,
    /// Members that somebody has reported lost.
    suspects: BTreeMap<NodeId, Suspicion>,
    /// Members that could not be reached, and until when they are asked last.
    avoided: BTreeMap<NodeId, Instant>,
    /// Who reported whose loss, and when that was refuted.
    refuted: BTreeMap<(NodeId, NodeId), Instant>,
    /// With whom the table is to be compared again, and how many more times after that.
    again: Option<(NodeId, u8)>,
    peers: BTreeMap<LinkId, Peer>,
    ready: BTreeMap<NodeId, BTreeSet<LinkId>>,
    dials: BTreeMap<NodeId, Dial>,
    /// How many dials there have been.
    dialled: u64,
    /// How often, and when last, a super node handed over something forged.
    forgers: BTreeMap<NodeId, (u32, Instant)>,
    store: Store,
    copies: Copies,
    /// How much the machine has to do, as the driver says, in percent.
    reported_load: usize,
    /// Changes of the store are about to be kept.
    keeping: bool,
    /// Ordinary nodes' records are about to be looked for.
    guarding: bool,
    /// When a member was lost last.
    lost_at: Instant,
    associations: BTreeMap<LinkId, Association>,
    users: BTreeMap<String, User>,
    searches: BTreeMap<u64, Search>,
    /// Of other super nodes, by asker and his number for it.
    forwarded: BTreeMap<(NodeId, u64), Forwarded>,
    placings: BTreeMap<u64, Placing>,
    resolving: Resolving,
    /// When it last chose how much of the ring it knows.
    reached_at: Instant,
    last_sequence: u64,
    queries: u64,
    checks: Checks<Waiting>,
    signing: BTreeMap<Job, Awaited>,
    chains: Chains,
    timers: Timers<Timer>,
    outbox: Outbox<SuperNodeOutput>,
}

#[derive(Debug)]
enum State {
    Joining(Box<Join>),
    Joined,
    /// Handing over what it keeps.
    Leaving,
    Left,
}

impl State {
    const fn has_left(&self) -> bool {
        matches!(self, Self::Left)
    }
}

/// For whom something is looked up or placed.
#[derive(Debug, Clone, Copy)]
enum Asker {
    Ordinary {
        link: LinkId,
        request: u64,
    },
    Own(QueryId),
    /// Somebody's record may be lost.
    Guard {
        link: LinkId,
        slot: SlotId,
    },
}

/// What depends on signatures that the driver checks.
#[derive(Debug)]
enum Waiting {
    Proof(LinkId),
    Announcement {
        from: NodeId,
        statement: MemberStatement,
        announcement: Announcement,
        until: NodeId,
    },
    /// A super node that a guide has named.
    Keeper {
        from: NodeId,
        request: u64,
        statement: MemberStatement,
        announcement: Announcement,
    },
    Departure {
        from: NodeId,
        departure: Departure,
        until: NodeId,
    },
    Revocations(Option<NodeId>, RevocationList),
    /// What somebody who asked this super node wants placed.
    Put {
        asker: Asker,
        mode: Mode,
        record: SignedRecord,
    },
    Place {
        origin: Origin,
        mode: Mode,
        record: SignedRecord,
    },
    Found {
        from: NodeId,
        request: u64,
        record: SignedRecord,
    },
    Copy {
        from: NodeId,
        record: SignedRecord,
    },
}

/// What a signature is made for.
#[derive(Debug)]
enum Awaited {
    Challenge(LinkId),
    Announcement(About),
    Departure(Gone),
    Record {
        query: QueryId,
        control: Control,
        body: Vec<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// Patience with a new association, silence of a standing one.
    Association(LinkId),
    Wave(u64),
    Search(u64),
    /// Patience with the next hop of a search: asker, and his number for it.
    Hop(NodeId, u64),
    /// Patience with a guide.
    Who(u64),
    Placing(u64),
    Copy,
    Sync,
    Probe,
    Suspect(LinkId),
    /// The attempt with this number.
    Dial(NodeId, u64),
    Join,
    Round,
    CopyRound,
    Sweep,
    Keep,
    Guard,
    Announce,
    Parting,
    News,
    /// What members have said of themselves has been told by others, or not.
    Direct,
    /// A member has had time to refute its loss.
    Suspicion(NodeId),
    /// A member that was lost may have been reported by others.
    Report(NodeId),
    Again,
}

/// How many verified certificates are remembered.
const CHAINS: usize = 1_024;

impl SuperNode {
    /// Starts a node; it joins by its seeds, or is the first.
    #[must_use]
    pub fn new(config: SuperNodeConfig, now: Instant) -> Self {
        let own = config.statement.node;
        let mut node = Self {
            own,
            seeds: config.seeds.clone(),
            revocations: config.revocations.clone(),
            rng: Rng::new(config.seed),
            state: State::Joining(Box::new(Join::new(now))),
            announcement: None,
            leave_announced: false,
            ring: Ring::new(own),
            interner: None,
            relays: None,
            news: Spreading::default(),
            heard: BTreeMap::new(),
            suspects: BTreeMap::new(),
            avoided: BTreeMap::new(),
            refuted: BTreeMap::new(),
            again: None,
            peers: BTreeMap::new(),
            ready: BTreeMap::new(),
            dials: BTreeMap::new(),
            dialled: 0,
            forgers: BTreeMap::new(),
            store: Store::new(config.limits),
            copies: Copies::default(),
            reported_load: 0,
            keeping: false,
            guarding: false,
            lost_at: now,
            associations: BTreeMap::new(),
            users: BTreeMap::new(),
            searches: BTreeMap::new(),
            forwarded: BTreeMap::new(),
            placings: BTreeMap::new(),
            resolving: Resolving::default(),
            reached_at: now,
            last_sequence: 0,
            queries: 0,
            checks: Checks::new(),
            signing: BTreeMap::new(),
            chains: Chains::new(CHAINS),
            timers: Timers::new(),
            outbox: Outbox::default(),
            config,
        };
        node.seeds.retain(|seed| seed.node != own);
        node.begin_join(now);
        node.sweep(now);
        node.copy_round(now);
        node
    }

    /// Starts a node as a member with a table that it trusts, its own announcement among it: it goes on where it, or
    /// whoever handed it the table, stopped a moment ago.
    #[must_use]
    pub fn resume(config: SuperNodeConfig, members: &[Arc<Member>], now: Instant) -> Self {
        let mut node = Self::new(config, now);
        node.ring.fill(members);
        let own = node.ring.member(node.own);
        node.announcement = own.map(|own| own.announcement().clone());
        if let Some(own) = &node.announcement {
            node.ring
                .set_reach(own.about.reach, node.config.limits.table);
        }
        if node.announcement.is_some() {
            node.state = State::Joined;
            node.timers.clear();
            node.dials.clear();
            node.outbox = Outbox::default();
            let phase = |rng: &mut Rng, most: u32| Duration::from_millis(rng.below(most).into());
            let (sweep, round) = (phase(&mut node.rng, 20_000), phase(&mut node.rng, 10_000));
            node.sweep(now + sweep);
            node.copy_round(now + round);
            let rounds = phase(&mut node.rng, 30_000);
            node.begin_rounds(now + rounds);
        }
        node
    }

    /// Has its table share what it knows of members with other nodes of the process.
    pub fn share(&mut self, interner: Arc<dyn Intern>) {
        self.interner = Some(interner);
    }

    /// Has it name relays to ordinary nodes.
    pub fn name_relays(&mut self, relays: Arc<dyn Relays>) {
        self.relays = Some(relays);
    }

    fn wall(&self, now: Instant) -> u64 {
        self.config.clock.at(now)
    }

    fn query(&mut self) -> QueryId {
        self.queries += 1;
        QueryId(self.queries)
    }

    /// An unpredictable number, so that nobody can answer a request that he has not seen.
    fn number(&mut self) -> u64 {
        u64::from_be_bytes(self.rng.bytes())
    }

    fn event(&mut self, event: SuperNodeEvent) {
        self.outbox.push(SuperNodeOutput::Event(event));
    }

    fn misbehaved(&mut self, who: Offender, how: Offence) {
        self.event(SuperNodeEvent::Misbehaved { who, how });
    }

    fn sign(&mut self, purpose: Awaited, message: Vec<u8>) {
        let job = self.checks.job();
        self.signing.insert(job, purpose);
        self.outbox
            .push(SuperNodeOutput::Sign(Sign { job, message }));
    }

    fn check(&mut self, subject: Waiting, checks: Vec<Check>) {
        for request in self.checks.begin(subject, checks) {
            self.outbox.push(SuperNodeOutput::Verify(request));
        }
    }
}

impl Machine for SuperNode {
    type Input = SuperNodeInput;
    type Output = SuperNodeOutput;

    fn handle_input(&mut self, input: SuperNodeInput, now: Instant) {
        match input {
            SuperNodeInput::AssociationOpened(link) => self.association_opened(link, now),
            SuperNodeInput::PeerOpened { link, certificate } => {
                self.peer_opened(link, &certificate, now);
            }
            SuperNodeInput::DialFailed(node) => self.dial_failed(node, now),
            SuperNodeInput::Frame { link, frame } => {
                if self.associations.contains_key(&link) {
                    self.association_frame(link, &frame, now);
                } else {
                    self.peer_frame(link, &frame, now);
                }
            }
            SuperNodeInput::Closed(link) => {
                self.forget_association(link);
                self.peer_closed(link, now);
            }
            SuperNodeInput::Signed(signed) => self.signed(signed, now),
            SuperNodeInput::Verified(verified) => self.verified(verified, now),
            SuperNodeInput::Revocations(list) => self.revocations_offered(None, list),
            SuperNodeInput::Load(load) => self.reported_load = load.into(),
            SuperNodeInput::Restored(kept) => self.restored(kept, now),
            SuperNodeInput::Seeds(seeds) => {
                for seed in seeds {
                    let known = self.seeds.iter().any(|known| known.node == seed.node);
                    if !known && seed.node != self.own && self.seeds.len() < SEEDS {
                        self.seeds.push(seed);
                    }
                }
                self.dial_seeds(now);
            }
        }
        self.keep_soon(now);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.state.has_left() {
            return;
        }
        while let Some(timer) = self.timers.pop(now) {
            self.due(timer, now);
        }
        self.keep_soon(now);
    }

    fn poll_output(&mut self) -> Option<SuperNodeOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.state.has_left() {
            return None;
        }
        self.timers.next()
    }
}

/// How many seeds are remembered.
const SEEDS: usize = 64;
