//! The ordinary node: two associations, the API of draft §9, and the checks of everything that comes back.

mod candidates;
mod handshake;
mod interface;
mod link;
mod placing;
mod reading;

use alloc::string::ToString;
use alloc::vec::Vec;

use credential::{
    Certificate, Check, Instance, Job, NodeId, OverlayId, RevocationList, Sign, Signed,
    TrustAnchor, Verified,
};
use machine::{Instant, Machine, Map, Outbox, Rng, WallClock};

pub use self::interface::{
    Misbehaviour, OrdinaryConfig, OrdinaryEvent, OrdinaryInput, OrdinaryOutput, Parting,
};

use self::candidates::Candidates;
use self::link::Link;
use self::placing::Put;
use self::reading::{Get, Seen};
use crate::association::Mode;
use crate::checks::{Chains, Checks};
use crate::timers::Timers;
use crate::{GetError, Key, LinkId, PlaceError, Placement, QueryId, Reading, SignedRecord};

/// A node that lacks the duty of a super node: it associates with two of them and uses their overlay.
#[derive(Debug)]
pub struct OrdinaryNode {
    anchor: TrustAnchor,
    certificate: Certificate,
    revocations: RevocationList,
    clock: WallClock,
    rng: Rng,
    state: State,
    candidates: Candidates,
    links: Map<LinkId, Link>,
    /// How many associations it keeps.
    wanted: usize,
    /// How many dials may be under way at one time.
    tries: usize,
    dial_due: Option<Instant>,
    /// How often in a row nobody served it, and until when it dials nobody for that.
    refusals: u32,
    /// How many of them because a super node was busy.
    turned_away: u32,
    calm: Instant,
    /// Super nodes that refused the credential.
    deniers: Vec<NodeId>,
    calls: Map<QueryId, Call>,
    requests: Map<u64, (QueryId, LinkId)>,
    seen: Seen,
    /// Certificate and body of the own records that super nodes have, hashed: they need not go there again.
    placed: Map<Key, [u8; 20]>,
    last_sequence: u64,
    checks: Checks<Waiting>,
    signing: Map<Job, Awaited>,
    chains: Chains,
    timers: Timers<Timer>,
    /// Numbers links, calls and requests.
    next: u64,
    outbox: Outbox<OrdinaryOutput>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    /// The credential has ended.
    Expired,
    /// The user signed out.
    Left,
}

/// A call of the API under way.
#[derive(Debug)]
enum Call {
    Get(Get),
    Put(Put),
}

/// What depends on signatures that the driver checks.
#[derive(Debug)]
enum Waiting {
    SuperNode(LinkId),
    Revocations(LinkId, RevocationList),
    Record {
        query: QueryId,
        link: LinkId,
        record: SignedRecord,
    },
}

/// What a signature is made for.
#[derive(Debug)]
enum Awaited {
    Proof(LinkId),
    /// A record with this sequence.
    Record(QueryId, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    /// How long a link may take until it stands.
    Patience(LinkId),
    /// The heartbeat of a standing one.
    Beat(LinkId),
    Hedge(QueryId),
    Call(QueryId),
    Credential,
    /// The next association changes over to the renewed credential.
    Rotate,
}

/// How many calls may be under way.
const CALLS: usize = 64;
/// How many verified certificates are remembered.
const CHAINS: usize = 32;

impl OrdinaryNode {
    /// Starts a node; it dials at once.
    #[must_use]
    pub fn new(config: OrdinaryConfig, now: Instant) -> Self {
        let mut candidates = Candidates::new();
        candidates.offer(config.candidates);
        let mut node = Self {
            anchor: config.anchor,
            certificate: config.certificate,
            revocations: config.revocations,
            clock: config.clock,
            rng: Rng::new(config.seed),
            state: State::Active,
            candidates,
            links: Map::new(),
            wanted: link::WANTED,
            tries: link::WANTED,
            dial_due: None,
            refusals: 0,
            turned_away: 0,
            calm: Instant::EPOCH,
            deniers: Vec::new(),
            calls: Map::new(),
            requests: Map::new(),
            seen: Seen::default(),
            placed: Map::new(),
            last_sequence: 0,
            checks: Checks::new(),
            signing: Map::new(),
            chains: Chains::new(CHAINS),
            timers: Timers::new(),
            next: 0,
            outbox: Outbox::default(),
        };
        node.check_credential(now);
        node.dial(now);
        node
    }

    /// The overlay that it is a member of.
    #[must_use]
    pub fn overlay(&self) -> OverlayId {
        self.anchor.overlay()
    }

    /// Keeps one association only: for a user who is no more reachable than his super node.
    pub fn keep_one_association(&mut self) {
        self.wanted = 1;
    }

    /// The associations that stand: link, super node, URL.
    pub fn associations(&self) -> impl Iterator<Item = (LinkId, NodeId, &str)> {
        let standing = self.standing();
        standing.filter_map(|(id, link)| Some((id, link.node?, link.url.as_str())))
    }

    /// Looks a key up (draft §9). Ends with [`OrdinaryEvent::Records`] with `last`, or [`OrdinaryEvent::GetFailed`].
    ///
    /// With an `owner`, records of anybody else under the key are left out.
    pub fn get(
        &mut self,
        overlay: OverlayId,
        key: Key,
        owner: Option<&str>,
        reading: Reading,
        now: Instant,
    ) -> QueryId {
        let query = self.query();
        let owner = owner.map(ToString::to_string);
        let error = match self.refusal(overlay) {
            None => {
                self.begin_get(query, key, owner, reading, false, now);
                return query;
            }
            Some(PlaceError::NotAMember(overlay)) => GetError::NotAMember(overlay),
            Some(PlaceError::CredentialExpired) => GetError::CredentialExpired,
            Some(_) => GetError::TooMany,
        };
        self.event(OrdinaryEvent::GetFailed { query, error });
        query
    }

    /// Places a record beside those that exist (draft §9); fails if the same owner and device has one there.
    ///
    /// Ends with [`OrdinaryEvent::Placed`] or [`OrdinaryEvent::PlaceFailed`].
    pub fn add(
        &mut self,
        overlay: OverlayId,
        key: Key,
        body: Vec<u8>,
        placement: Placement,
        now: Instant,
    ) -> QueryId {
        self.place(overlay, Mode::Add, key, body, placement, now)
    }

    /// Replaces the record of this owner and device, or creates it (draft §9). The body that is stored already is not
    /// sent again: only its newer version is signed.
    ///
    /// Ends with [`OrdinaryEvent::Placed`] or [`OrdinaryEvent::PlaceFailed`].
    pub fn update(
        &mut self,
        overlay: OverlayId,
        key: Key,
        body: Vec<u8>,
        placement: Placement,
        now: Instant,
    ) -> QueryId {
        self.place(overlay, Mode::Update, key, body, placement, now)
    }

    /// Removes this owner's records under the key (draft §9): those of one device, or of all.
    ///
    /// Ends with [`OrdinaryEvent::Placed`] or [`OrdinaryEvent::PlaceFailed`].
    pub fn remove(
        &mut self,
        overlay: OverlayId,
        key: Key,
        instance: Option<Instance>,
        now: Instant,
    ) -> QueryId {
        let query = self.query();
        match self.refusal(overlay) {
            Some(error) => self.put_failed(query, error),
            None => self.begin_remove(query, key, instance, now),
        }
        query
    }

    /// Forgets a call; no event follows for it.
    pub fn cancel(&mut self, query: QueryId) {
        self.calls.remove(&query);
        self.requests.retain(|_, (other, _)| *other != query);
    }

    /// Replaces the credential by a renewed one. Associations change over to it one after the other.
    pub fn renew(&mut self, certificate: Certificate, now: Instant) {
        self.certificate = certificate;
        self.deniers.clear();
        if self.state == State::Expired {
            self.state = State::Active;
        }
        self.check_credential(now);
        self.dial(now);
        self.timers.set(now + link::ROTATION, Timer::Rotate);
    }

    /// Ends all associations and dials no more: the user signed out.
    pub fn leave(&mut self, now: Instant) {
        self.stop(State::Left, now);
    }

    fn place(
        &mut self,
        overlay: OverlayId,
        mode: Mode,
        key: Key,
        body: Vec<u8>,
        placement: Placement,
        now: Instant,
    ) -> QueryId {
        let query = self.query();
        match self.refusal(overlay) {
            Some(error) => self.put_failed(query, error),
            None => self.begin_put(query, mode, key, body, placement, now),
        }
        query
    }

    /// Why a call can't even begin.
    fn refusal(&self, overlay: OverlayId) -> Option<PlaceError> {
        if overlay != self.overlay() {
            Some(PlaceError::NotAMember(overlay))
        } else if !self.is_active() {
            Some(PlaceError::CredentialExpired)
        } else if self.calls.len() >= CALLS {
            Some(PlaceError::TooMany)
        } else {
            None
        }
    }

    fn is_active(&self) -> bool {
        self.state == State::Active
    }

    fn query(&mut self) -> QueryId {
        self.next += 1;
        QueryId(self.next)
    }

    /// A number for a request that belongs to a call and goes by a link.
    fn request(&mut self, query: QueryId, link: LinkId) -> u64 {
        self.next += 1;
        self.requests.insert(self.next, (query, link));
        self.next
    }

    fn event(&mut self, event: OrdinaryEvent) {
        self.outbox.push(OrdinaryOutput::Event(event));
    }

    fn sign(&mut self, purpose: Awaited, message: Vec<u8>) {
        let job = self.checks.job();
        self.signing.insert(job, purpose);
        self.outbox
            .push(OrdinaryOutput::Sign(Sign { job, message }));
    }

    fn check(&mut self, subject: Waiting, checks: Vec<Check>) {
        for request in self.checks.begin(subject, checks) {
            self.outbox.push(OrdinaryOutput::Verify(request));
        }
    }

    fn signed(&mut self, signed: Signed, now: Instant) {
        match self.signing.remove(&signed.job) {
            Some(Awaited::Proof(link)) => self.proof_signed(link, signed.signature),
            Some(Awaited::Record(query, sequence)) => {
                self.record_signed(query, sequence, signed.signature, now);
            }
            None => {}
        }
    }

    fn verified(&mut self, verified: Verified, now: Instant) {
        let Some((subject, failed)) = self.checks.answer(verified) else {
            return;
        };
        match subject {
            Waiting::SuperNode(link) => self.super_node_checked(link, failed, now),
            Waiting::Revocations(link, list) => self.revocations_checked(link, list, failed, now),
            Waiting::Record {
                query,
                link,
                record,
            } => self.record_checked(query, link, record, failed, now),
        }
    }

    /// An association came up: calls that wait for one go on.
    fn association_changed(&mut self, now: Instant) {
        for query in self.queries() {
            self.get_on(query, now);
            self.put_on(query, now);
        }
    }

    fn association_lost(&mut self, link: LinkId, now: Instant) {
        self.requests.retain(|_, (_, other)| *other != link);
        for query in self.queries() {
            self.get_link_lost(query, link, now);
            self.put_link_lost(query, link, now);
        }
    }

    fn queries(&self) -> Vec<QueryId> {
        self.calls.keys_where(|_, _| true)
    }

    /// Looks whether the own credential still counts, and when to look again.
    fn check_credential(&mut self, now: Instant) {
        let wall = self.clock.at(now);
        let ends = self.certificate.not_after();
        if ends < wall || self.revocations.contains(self.certificate.serial()) {
            return self.credential_ended(now);
        }
        let left = core::time::Duration::from_millis(ends - wall + 1);
        self.timers.set(now + left, Timer::Credential);
    }

    fn credential_ended(&mut self, now: Instant) {
        if self.is_active() {
            self.stop(State::Expired, now);
            self.event(OrdinaryEvent::CredentialExpired);
        }
    }

    fn stop(&mut self, state: State, now: Instant) {
        self.state = state;
        for link in self.links.keys_where(|_, _| true) {
            self.end(link, Parting::Own, now);
        }
        for query in self.queries() {
            match self.calls.remove(&query) {
                Some(Call::Get(get)) if !get.is_removal() => {
                    let error = GetError::CredentialExpired;
                    self.event(OrdinaryEvent::GetFailed { query, error });
                }
                Some(Call::Get(_) | Call::Put(_)) => {
                    self.put_failed(query, PlaceError::CredentialExpired);
                }
                None => {}
            }
        }
        self.requests.clear();
    }

    fn due(&mut self, timer: Timer, now: Instant) {
        match timer {
            Timer::Patience(link) => self.patience_due(link, now),
            Timer::Beat(link) => self.beat(link, now),
            Timer::Hedge(query) => {
                if self.calls.contains_key(&query) {
                    self.doubt(now);
                }
                self.get_hedged(query, now);
                self.put_hedged(query, now);
            }
            Timer::Call(query) => {
                self.get_on(query, now);
                self.put_on(query, now);
            }
            Timer::Credential => self.check_credential(now),
            Timer::Rotate => self.rotate(now),
        }
    }
}

impl Machine for OrdinaryNode {
    type Input = OrdinaryInput;
    type Output = OrdinaryOutput;

    fn handle_input(&mut self, input: OrdinaryInput, now: Instant) {
        match input {
            OrdinaryInput::Up(link) => self.up(link, now),
            OrdinaryInput::Frame { link, frame } => self.frame(link, &frame, now),
            OrdinaryInput::Down(link) => self.down(link, false, now),
            OrdinaryInput::Busy(link) => self.down(link, true, now),
            OrdinaryInput::Signed(signed) => self.signed(signed, now),
            OrdinaryInput::Verified(verified) => self.verified(verified, now),
            OrdinaryInput::Candidates(candidates) => {
                self.candidates.offer(candidates);
                self.dial(now);
            }
            OrdinaryInput::Woken => {
                self.doubt(now);
                self.candidates.woken(now);
                self.calm = now;
                self.dial(now);
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop(now) {
            self.due(timer, now);
        }
        if self.dial_due.is_some_and(|due| due <= now) {
            self.dial_impatiently(now);
        }
    }

    fn poll_output(&mut self) -> Option<OrdinaryOutput> {
        self.outbox.pop()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.timers.next(), self.dial_due]
            .into_iter()
            .flatten()
            .min()
    }
}
