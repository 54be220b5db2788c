//! `get`: asks, verifies what comes, asks elsewhere when an answer is bad, slow, or empty.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use credential::{Certificate, Instance};
use machine::{Instant, Map};

use super::{Call, Misbehaviour, OrdinaryEvent, OrdinaryNode, Timer, Waiting};
use crate::association::{FromOrdinary, SearchEnd};
use crate::checks::{record_checks, record_fault};
use crate::{GetError, Key, LinkId, QueryId, Reading, RecordFault, SignedRecord};

/// How long an association may take before the other one is asked, too.
pub(super) const HEDGE: Duration = Duration::from_millis(500);
/// How long a call may take in all.
pub(super) const DEADLINE: Duration = Duration::from_secs(6);
/// How many records one answer may carry, and a call may gather.
const RECORDS: usize = 64;

/// A `get` under way.
#[derive(Debug)]
pub(super) struct Get {
    key: Key,
    owner: Option<String>,
    reading: Reading,
    deadline: Instant,
    asked: Map<LinkId, Asked>,
    /// Verified, newest version of each, with who handed it over.
    records: Vec<(SignedRecord, LinkId)>,
    refused: bool,
    hedged: bool,
    /// Something was added since the last event.
    fresh: bool,
    /// It serves a `remove`: no events.
    removal: bool,
}

impl Get {
    /// It serves a `remove`.
    pub(super) const fn is_removal(&self) -> bool {
        self.removal
    }
}

/// What one association was asked, and how far its answer is.
#[derive(Debug)]
struct Asked {
    end: Option<SearchEnd>,
    checking: usize,
    clean: bool,
    lost: bool,
}

impl Asked {
    fn is_over(&self) -> bool {
        self.lost || (self.end.is_some() && self.checking == 0)
    }
}

/// What a finished `get` came to.
pub(super) type Found = Result<Vec<SignedRecord>, GetError>;

impl OrdinaryNode {
    pub(super) fn begin_get(
        &mut self,
        query: QueryId,
        key: Key,
        owner: Option<String>,
        reading: Reading,
        removal: bool,
        now: Instant,
    ) {
        let deadline = now + DEADLINE;
        let get = Get {
            key,
            owner,
            reading,
            deadline,
            asked: Map::new(),
            records: Vec::new(),
            refused: false,
            hedged: false,
            fresh: false,
            removal,
        };
        self.calls.insert(query, Call::Get(get));
        self.timers.set(deadline, Timer::Call(query));
        self.timers.set(now + HEDGE, Timer::Hedge(query));
        self.get_on(query, now);
    }

    /// Asks as many associations as the reading wants, leaves out those asked before.
    fn ask(&mut self, query: QueryId, wanted: usize) {
        let links = self.links.keys_where(|_, link| link.stands());
        for link in links {
            let Some(Call::Get(get)) = self.calls.get_mut(&query) else {
                return;
            };
            let under_way = get.asked.values().filter(|asked| !asked.is_over()).count();
            if under_way >= wanted {
                return;
            }
            if get.asked.contains_key(&link) {
                continue;
            }
            let newest = get.reading == Reading::Newest || !get.asked.is_empty();
            let (key, owner) = (get.key, get.owner.clone());
            get.asked.insert(
                link,
                Asked {
                    end: None,
                    checking: 0,
                    clean: true,
                    lost: false,
                },
            );
            let request = self.request(query, link);
            self.send(
                link,
                &FromOrdinary::Get {
                    request,
                    key,
                    owner,
                    newest,
                },
            );
        }
    }

    pub(super) fn records(
        &mut self,
        link: LinkId,
        request: u64,
        records: Vec<SignedRecord>,
        end: Option<SearchEnd>,
        now: Instant,
    ) {
        // An answer to a call that is over or cancelled is nothing bad.
        let Some(&(query, asked)) = self.requests.get(&request) else {
            return;
        };
        if asked != link {
            return self.misbehaved(link, Misbehaviour::OutOfPlace, now);
        }
        if end.is_some() {
            self.requests.remove(&request);
        }
        let too_many = records.len() > RECORDS;
        for record in records.into_iter().take(RECORDS) {
            if let Err(fault) = self.take_record(query, link, record, now) {
                self.record_refused(query, link, fault);
            }
        }
        if let Some(asked) = self.asked(query, link) {
            asked.clean &= !too_many;
            asked.end = asked.end.or(end);
        }
        self.get_on(query, now);
    }

    /// Makes the cheap checks of a record and asks for the others.
    fn take_record(
        &mut self,
        query: QueryId,
        link: LinkId,
        record: SignedRecord,
        now: Instant,
    ) -> Result<(), RecordFault> {
        let wall = self.network_time(now);
        let Some(Call::Get(get)) = self.calls.get(&query) else {
            return Ok(());
        };
        if record.control.key != get.key {
            return Err(RecordFault::Key);
        }
        if get
            .owner
            .as_ref()
            .is_some_and(|owner| *owner != record.control.owner)
        {
            return Err(RecordFault::OtherOwner);
        }
        if get.records.iter().any(|(known, _)| *known == record) {
            return Ok(());
        }
        if get.records.len() >= RECORDS {
            return Ok(());
        }
        let checks = record_checks(&record, &self.anchor, &self.revocations, &self.chains, wall)?;
        if self.seen.is_older(&record.control) {
            return Err(RecordFault::Stale);
        }
        if let Some(asked) = self.asked(query, link) {
            asked.checking += 1;
        }
        self.check(
            Waiting::Record {
                query,
                link,
                record,
            },
            checks,
        );
        Ok(())
    }

    pub(super) fn record_checked(
        &mut self,
        query: QueryId,
        link: LinkId,
        record: SignedRecord,
        failed: Option<usize>,
        now: Instant,
    ) {
        if let Some(asked) = self.asked(query, link) {
            asked.checking -= 1;
        }
        match failed {
            Some(failed) => self.record_refused(query, link, record_fault(failed)),
            None => {
                self.chains.learn(&record.certificate);
                self.merge(query, link, record);
            }
        }
        self.get_on(query, now);
    }

    /// Keeps the newest version of each record; whoever handed over an older one is named.
    fn merge(&mut self, query: QueryId, link: LinkId, record: SignedRecord) {
        let is_older = self.seen.note(&record.control);
        let Some(Call::Get(get)) = self.calls.get_mut(&query) else {
            return;
        };
        let known = get
            .records
            .iter_mut()
            .find(|(known, _)| known.control.is_same_slot(&record.control));
        let outdone = match known {
            Some((known, _)) if known.control.sequence == record.control.sequence => None,
            Some((known, from)) if known.control.sequence < record.control.sequence => {
                let outdone = *from;
                *known = record;
                *from = link;
                get.fresh = true;
                (outdone != link).then_some(outdone)
            }
            Some(_) => Some(link),
            None if is_older => Some(link),
            None => {
                get.records.push((record, link));
                get.fresh = true;
                None
            }
        };
        if let Some(outdone) = outdone {
            self.record_refused(query, outdone, RecordFault::Stale);
        }
    }

    fn record_refused(&mut self, query: QueryId, link: LinkId, fault: RecordFault) {
        self.report(link, Misbehaviour::Record(fault));
        if let Some(Call::Get(get)) = self.calls.get_mut(&query) {
            get.refused = true;
            if let Some(asked) = get.asked.get_mut(&link) {
                asked.clean = false;
            }
        }
    }

    /// Does what comes next: ask, tell, or finish.
    pub(super) fn get_on(&mut self, query: QueryId, now: Instant) {
        let Some(Call::Get(get)) = self.calls.get(&query) else {
            return;
        };
        let under_way = get.asked.values().filter(|asked| !asked.is_over()).count();
        let wanted = match get.reading {
            Reading::Quick if get.hedged => 2,
            Reading::Quick => 1,
            Reading::Newest => 2,
        };
        // An honest and complete answer with a live record is enough, except for who wants the newest.
        let settled = get.reading == Reading::Quick
            && get.asked.values().any(|asked| {
                asked.is_over() && asked.clean && asked.end == Some(SearchEnd::Complete)
            })
            && get
                .records
                .iter()
                .any(|(record, _)| !record.control.removed);
        if settled || now >= get.deadline {
            return self.finish_get(query, now);
        }
        if under_way < wanted {
            self.ask(query, wanted);
        }
        let Some(Call::Get(get)) = self.calls.get_mut(&query) else {
            return;
        };
        let heard = !get.asked.is_empty() && get.asked.values().all(Asked::is_over);
        let answered = get.asked.values().any(|asked| asked.end.is_some());
        if heard && answered {
            return self.finish_get(query, now);
        }
        if get.fresh && !get.removal {
            get.fresh = false;
            let records = live(&get.records);
            if !records.is_empty() {
                self.event(OrdinaryEvent::Records {
                    query,
                    records,
                    last: false,
                });
            }
        }
    }

    pub(super) fn get_hedged(&mut self, query: QueryId, now: Instant) {
        if let Some(Call::Get(get)) = self.calls.get_mut(&query) {
            get.hedged = true;
            self.get_on(query, now);
        }
    }

    pub(super) fn finish_get(&mut self, query: QueryId, now: Instant) {
        let Some(Call::Get(get)) = self.calls.remove(&query) else {
            return;
        };
        self.requests.retain(|_, (other, _)| *other != query);
        let mut ends = get.asked.values().filter_map(|asked| asked.end);
        let records = live(&get.records);
        let found: Found = if !records.is_empty() {
            Ok(records)
        } else if !get.records.is_empty() {
            Err(GetError::Gone)
        } else if get.refused {
            Err(GetError::Refused)
        } else if get.asked.is_empty() {
            Err(GetError::NoSuperNode)
        } else if ends.clone().any(|end| end == SearchEnd::Complete) {
            Err(GetError::NotFound)
        } else if ends.any(|end| end == SearchEnd::Busy) {
            Err(GetError::Busy)
        } else {
            Err(GetError::Timeout)
        };
        if get.removal {
            return self.found_for_removal(query, get.key, found, now);
        }
        self.event(match found {
            Ok(records) => OrdinaryEvent::Records {
                query,
                records,
                last: true,
            },
            Err(error) => OrdinaryEvent::GetFailed { query, error },
        });
    }

    pub(super) fn get_link_lost(&mut self, query: QueryId, link: LinkId, now: Instant) {
        if let Some(asked) = self.asked(query, link) {
            asked.lost = true;
        }
        self.get_on(query, now);
    }

    fn asked(&mut self, query: QueryId, link: LinkId) -> Option<&mut Asked> {
        match self.calls.get_mut(&query)? {
            Call::Get(get) => get.asked.get_mut(&link),
            Call::Put(_) => None,
        }
    }
}

fn live(records: &[(SignedRecord, LinkId)]) -> Vec<SignedRecord> {
    let mut live = Vec::new();
    for (record, _) in records {
        if !record.control.removed {
            live.push(record.clone());
        }
    }
    live
}

/// The newest sequence seen of each record, so that a super node can't pass an old one off as new.
#[derive(Debug, Default)]
pub(super) struct Seen {
    newest: Map<(Key, String, Instance), u64>,
}

impl Seen {
    /// How many records are remembered.
    const LIMIT: usize = 512;

    fn is_older(&self, control: &crate::Control) -> bool {
        let slot = (control.key, control.owner.clone(), control.instance);
        self.newest
            .get(&slot)
            .is_some_and(|&newest| control.sequence < newest)
    }

    /// Remembers a verified record; true if a newer one is known.
    pub(super) fn note(&mut self, control: &crate::Control) -> bool {
        let slot = (control.key, control.owner.clone(), control.instance);
        if self.newest.len() >= Self::LIMIT
            && !self.newest.contains_key(&slot)
            && let Some(oldest) = self
                .newest
                .iter()
                .min_by_key(|(_, sequence)| **sequence)
                .map(|(slot, _)| slot.clone())
        {
            self.newest.remove(&oldest);
        }
        let newest = self.newest.get_or_insert(slot, control.sequence);
        let is_older = control.sequence < *newest;
        *newest = control.sequence.max(*newest);
        is_older
    }
}

/// Who may remove what a `get` found.
pub(super) fn is_own(record: &SignedRecord, certificate: &Certificate) -> bool {
    crate::record::owner(certificate).is_some_and(|(owner, _)| owner == record.control.owner)
}
