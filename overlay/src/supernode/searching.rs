//! Search (draft §4.4.1): the own store, then three replicas at once; the holder answers the asker directly.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::Instant;

use super::forwarding::TTL;
use super::overload::Class;
use super::resolving::Need;
use super::{Asker, SuperNode, SuperNodeEvent, Timer, Waiting};
use crate::association::{FromSuperNode, SearchEnd};
use crate::checks::{record_checks, record_fault};
use crate::peer::{Find, Message, SlotId};
use crate::{GetError, Key, LinkId, RecordFault, SignedRecord};

/// How many replicas are asked at once.
const AT_ONCE: usize = 3;
/// Among whom so many must have a link already: else all replicas are asked at once, since the quickest of five handshakes
/// keeps nobody waiting for long.
const LINKED: usize = 2;
/// After how long the other replicas are asked, too.
const WAVE: Duration = Duration::from_millis(600);
/// How long a search may take.
const DEADLINE: Duration = Duration::from_millis(1_800);
/// How many searches may be under way.
pub(super) const SEARCHES: usize = 4_096;
/// How many records one answer carries, and how many bytes.
const RECORDS: usize = 64;
const BYTES: usize = 56 * 1024;

/// A search for somebody who asked this super node.
#[derive(Debug)]
pub(super) struct Search {
    asker: Asker,
    key: Key,
    owner: Option<String>,
    /// Replicas not asked yet, nearest first.
    further: Vec<NodeId>,
    /// All replicas known so far, itself among them if it is one.
    known: BTreeSet<NodeId>,
    /// Guides are still being asked who the replicas are.
    unresolved: bool,
    /// Who the replicas are does not depend on the word of one guide.
    certain: bool,
    waiting: BTreeSet<NodeId>,
    /// How many replicas have answered.
    answers: usize,
    found: BTreeMap<SlotId, SignedRecord>,
    /// Whose signatures are being verified: what comes again, byte by byte, is not verified again.
    checking: Vec<SignedRecord>,
    deadline: Instant,
}

impl SuperNode {
    /// Looks into its own store first and asks the replicas only on a miss (R15), unless `newest` wants them all.
    pub(super) fn search(
        &mut self,
        asker: Asker,
        key: Key,
        owner: Option<String>,
        newest: bool,
        now: Instant,
    ) {
        let wall = self.wall(now);
        let own = self.store.get(key, owner.as_deref(), wall);
        let views = self.keepers(key, now);
        let unresolved = views.is_none();
        let known: BTreeSet<NodeId> = views.iter().flatten().flatten().copied().collect();
        let is_replica = known.contains(&self.own);
        let mut others: Vec<NodeId> = views.into_iter().flatten().flatten().collect();
        others.retain(|&node| node != self.own);
        if (is_replica && !own.is_empty() && !newest) || (others.is_empty() && !unresolved) {
            return self.answer(asker, own, Some(SearchEnd::Complete));
        }
        let shed = matches!(asker, Asker::Ordinary { .. }) && self.sheds(Class::Search);
        if shed || self.searches.len() >= SEARCHES {
            return self.answer(asker, Vec::new(), Some(SearchEnd::Busy));
        }
        // Live links first: whoever is being lost just now answers late or never.
        let mut further = in_turn(others);
        further.sort_by_key(|&node| (self.is_doubtful(node, now), self.link_to(node).is_none()));
        let linked = further.iter().take(AT_ONCE);
        let linked = linked.filter(|&&node| self.link_to(node).is_some());
        let at_once = if linked.count() < LINKED {
            usize::MAX
        } else {
            AT_ONCE
        };
        let request = self.number();
        let search = Search {
            asker,
            key,
            owner,
            further,
            known,
            unresolved,
            certain: true,
            waiting: BTreeSet::new(),
            answers: usize::from(is_replica),
            found: own
                .iter()
                .map(|record| (SlotId::of(&record.control), record.clone()))
                .collect(),
            checking: Vec::new(),
            deadline: now + DEADLINE,
        };
        self.searches.insert(request, search);
        self.timers.set(now + WAVE, Timer::Wave(request));
        self.timers.set(now + DEADLINE, Timer::Search(request));
        if !own.is_empty() {
            self.answer(asker, own, None);
        }
        if unresolved {
            return self.resolve(key, Need::Search(request), now);
        }
        self.ask_replicas(request, at_once, now);
    }

    /// A guide has said who the replicas are: those whom nobody has named before are asked, too.
    pub(super) fn search_widened(&mut self, request: u64, view: Vec<NodeId>, now: Instant) {
        let own = self.own;
        let Some(search) = self.searches.get_mut(&request) else {
            return;
        };
        for node in view {
            if !search.known.insert(node) {
                continue;
            }
            if node == own {
                search.answers += 1;
            } else {
                search.further.push(node);
            }
        }
        let count = AT_ONCE.saturating_sub(search.waiting.len());
        self.ask_replicas(request, count, now);
    }

    /// No further guide is asked who the replicas are.
    pub(super) fn search_resolved(&mut self, request: u64, certain: bool, now: Instant) {
        if let Some(search) = self.searches.get_mut(&request) {
            search.unresolved = false;
            search.certain = certain;
            self.search_on(request, now);
        }
    }

    fn ask_replicas(&mut self, request: u64, count: usize, now: Instant) {
        let own = self.own;
        let Some(search) = self.searches.get_mut(&request) else {
            return;
        };
        let count = count.min(search.further.len());
        let nodes: Vec<NodeId> = search.further.drain(..count).collect();
        search.waiting.extend(&nodes);
        let find = Find {
            asker: own,
            request,
            key: search.key,
            owner: search.owner.clone(),
            ttl: TTL,
            visited: Vec::from([own]),
        };
        for node in nodes {
            self.send_peer(node, &Message::Find(find.clone()), now);
        }
    }

    pub(super) fn found(
        &mut self,
        from: NodeId,
        request: u64,
        records: Vec<SignedRecord>,
        now: Instant,
    ) {
        // An answer may come after the search is over.
        let Some(search) = self.searches.get_mut(&request) else {
            return;
        };
        // Each replica is heard once. Whoever answers for a node that handed the search on brings records, but does
        // not stand for another's answer: a few liars could answer for all.
        if search.waiting.remove(&from) {
            search.answers += 1;
        }
        for record in records.into_iter().take(RECORDS) {
            if let Err(fault) = self.take_found(from, request, record, now) {
                self.accuse(from, fault, now);
            }
        }
        self.search_on(request, now);
    }

    fn take_found(
        &mut self,
        from: NodeId,
        request: u64,
        record: SignedRecord,
        now: Instant,
    ) -> Result<(), RecordFault> {
        let wall = self.wall(now);
        let Some(search) = self.searches.get_mut(&request) else {
            return Ok(());
        };
        if record.control.key != search.key {
            return Err(RecordFault::Key);
        }
        let owner = search.owner.as_ref();
        if owner.is_some_and(|owner| *owner != record.control.owner) {
            return Err(RecordFault::OtherOwner);
        }
        let known = search.found.get(&SlotId::of(&record.control));
        if known.is_some_and(|known| known.control.sequence >= record.control.sequence) {
            return Ok(());
        }
        if search.checking.contains(&record) {
            return Ok(());
        }
        let checks = record_checks(
            &record,
            &self.config.anchor,
            &self.revocations,
            &self.chains,
            wall,
        )?;
        if self.checks.len() < self.config.limits.checks {
            search.checking.push(record.clone());
            let waiting = Waiting::Found {
                from,
                request,
                record,
            };
            self.check(waiting, checks);
        }
        Ok(())
    }

    pub(super) fn found_checked(
        &mut self,
        from: NodeId,
        request: u64,
        record: SignedRecord,
        failed: Option<usize>,
        now: Instant,
    ) {
        if let Some(failed) = failed {
            self.accuse(from, record_fault(failed), now);
        } else {
            self.chains.learn(&record.certificate);
        }
        let Some(search) = self.searches.get_mut(&request) else {
            return;
        };
        search.checking.retain(|other| *other != record);
        let slot = SlotId::of(&record.control);
        let known = search.found.get(&slot);
        let newer = known.is_none_or(|known| known.control.sequence < record.control.sequence);
        if failed.is_none() && newer {
            search.found.insert(slot, record.clone());
            let asker = search.asker;
            self.answer(asker, Vec::from([record]), None);
        }
        self.search_on(request, now);
    }

    /// Ends a search that is complete; "not found" needs an answer or a time-out from all replicas.
    fn search_on(&mut self, request: u64, now: Instant) {
        let Some(search) = self.searches.get(&request) else {
            return;
        };
        if now >= search.deadline {
            return self.end_search(request);
        }
        // A quorum has every acknowledged write among its answers: nothing newer can be missing.
        let quorum = search.answers > search.known.len() / 2 && !search.unresolved;
        if quorum && search.checking.is_empty() && !search.found.is_empty() {
            return self.end_search(request);
        }
        if !search.waiting.is_empty() || !search.checking.is_empty() {
            return;
        }
        if search.found.values().all(|record| record.control.removed) && !search.further.is_empty()
        {
            return self.ask_replicas(request, usize::MAX, now);
        }
        if !search.unresolved {
            self.end_search(request);
        }
    }

    fn end_search(&mut self, request: u64) {
        let Some(search) = self.searches.remove(&request) else {
            return;
        };
        if search.found.is_empty() {
            self.resolving.doubt(search.key);
        }
        // Where one guide alone has said who the replicas are, it may have left them out.
        let heard = search.answers > 0 && (search.certain || !search.found.is_empty());
        let end = if heard {
            SearchEnd::Complete
        } else {
            SearchEnd::Timeout
        };
        match search.asker {
            Asker::Own(query) => return self.own_search_ended(query, search.found, end),
            Asker::Guard { link, slot } => return self.guarded(link, slot, &search.found, end),
            Asker::Ordinary { .. } => {}
        }
        self.answer(search.asker, Vec::new(), Some(end));
    }

    pub(super) fn wave_due(&mut self, request: u64, now: Instant) {
        self.ask_replicas(request, usize::MAX, now);
        self.search_on(request, now);
    }

    pub(super) fn search_due(&mut self, request: u64) {
        self.end_search(request);
    }

    /// A replica is gone: nobody waits for it any more.
    pub(super) fn searches_lost(&mut self, node: NodeId, now: Instant) {
        self.hop_lost(node, now);
        let concerned = self
            .searches
            .iter_mut()
            .filter_map(|(&request, search)| search.waiting.remove(&node).then_some(request));
        for request in concerned.collect::<Vec<_>>() {
            self.ask_replicas(request, 1, now);
            self.search_on(request, now);
        }
    }

    /// Hands an answer to whoever asked this super node.
    fn answer(&mut self, asker: Asker, records: Vec<SignedRecord>, end: Option<SearchEnd>) {
        match asker {
            Asker::Ordinary { link, request } => {
                let records = bounded(records);
                let message = FromSuperNode::Records {
                    request,
                    records,
                    end,
                };
                self.send_ordinary(link, &message);
            }
            Asker::Own(_) | Asker::Guard { .. } => {
                let Some(end) = end else { return };
                let found = records
                    .into_iter()
                    .map(|record| (SlotId::of(&record.control), record))
                    .collect();
                match asker {
                    Asker::Own(query) => self.own_search_ended(query, found, end),
                    Asker::Guard { link, slot } => self.guarded(link, slot, &found, end),
                    Asker::Ordinary { .. } => {}
                }
            }
        }
    }

    fn own_search_ended(
        &mut self,
        query: crate::QueryId,
        found: BTreeMap<SlotId, SignedRecord>,
        end: SearchEnd,
    ) {
        let any = !found.is_empty();
        let records: Vec<SignedRecord> = found
            .into_values()
            .filter(|record| !record.control.removed)
            .collect();
        if !records.is_empty() {
            let last = true;
            return self.event(SuperNodeEvent::Records {
                query,
                records,
                last,
            });
        }
        let error = match end {
            _ if any => GetError::Gone,
            SearchEnd::Complete => GetError::NotFound,
            SearchEnd::Timeout => GetError::Timeout,
            SearchEnd::Busy => GetError::Busy,
        };
        self.event(SuperNodeEvent::GetFailed { query, error });
    }

    /// Whoever asked is gone.
    pub(super) fn searches_dropped(&mut self, gone: LinkId) {
        self.searches.retain(
            |_, search| !matches!(search.asker, Asker::Ordinary { link, .. } if link == gone),
        );
    }
}

/// Each once, as they come first.
fn in_turn(nodes: Vec<NodeId>) -> Vec<NodeId> {
    let mut seen = BTreeSet::new();
    let nodes = nodes.into_iter();
    nodes.filter(|&node| seen.insert(node)).collect()
}

/// As many records as fit into one frame; those of a key beyond that are found by owner.
pub(super) fn bounded(records: Vec<SignedRecord>) -> Vec<SignedRecord> {
    let mut bytes = 0;
    let fitting = records.into_iter().take(RECORDS).take_while(|record| {
        bytes += record.size();
        bytes <= BYTES
    });
    fitting.collect()
}
