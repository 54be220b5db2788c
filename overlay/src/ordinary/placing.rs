//! `add`, `update`, `remove`: signs the record and has a super node place it.

use alloc::vec::Vec;
use core::time::Duration;

use credential::{Instance, Signature};
use machine::{Instant, Map};

use super::reading::{DEADLINE, Found, is_own};
use super::{Awaited, Call, OrdinaryEvent, OrdinaryNode, Timer};
use crate::association::{FromOrdinary, Mode, PutOutcome};
use crate::key::sha1;
use crate::record::{MAX_AHEAD, MAX_BODY, MAX_LIFETIME, message, owner};
use crate::{
    Control, GetError, Key, LinkId, PlaceError, Placement, Policy, QueryId, Reading, Refused,
    SignedRecord,
};

/// How long an association may take before the other one is asked, too.
pub(super) const PUT_HEDGE: Duration = Duration::from_millis(1_000);
/// How many of the own records are known to be stored.
const PLACED: usize = 64;

/// An `add`, `update` or `remove` under way.
#[derive(Debug)]
pub(super) struct Put {
    mode: Mode,
    /// What is still to be placed; the first one is under way. More than one only when several devices' records go.
    items: Vec<Item>,
    /// The first one, signed.
    record: Option<SignedRecord>,
    asked: Map<LinkId, Option<PutOutcome>>,
    deadline: Instant,
    hedged: bool,
    /// The sequence was raised once because a newer version was stored.
    raised: bool,
    sequence: u64,
    /// The super nodes have body and certificate.
    touch: bool,
}

#[derive(Debug)]
struct Item {
    control: Control,
    body: Vec<u8>,
}

impl OrdinaryNode {
    pub(super) fn begin_put(
        &mut self,
        query: QueryId,
        mode: Mode,
        key: Key,
        body: Vec<u8>,
        placement: Placement,
        now: Instant,
    ) {
        if body.len() > MAX_BODY {
            return self.put_failed(query, PlaceError::TooLarge);
        }
        if placement.lifetime == 0 || placement.lifetime > MAX_LIFETIME {
            return self.put_failed(query, PlaceError::Lifetime);
        }
        let Some((_, instance)) = owner(&self.certificate) else {
            return self.put_failed(query, PlaceError::CredentialExpired);
        };
        let control = self.control(key, instance, placement, mode == Mode::Remove);
        let items = Vec::from([Item { control, body }]);
        self.start_put(query, mode, items, now);
    }

    /// Removes one device's record, or looks first which there are.
    pub(super) fn begin_remove(
        &mut self,
        query: QueryId,
        key: Key,
        instance: Option<Instance>,
        now: Instant,
    ) {
        let Some(instance) = instance else {
            let owner = owner(&self.certificate).map(|(owner, _)| owner);
            return self.begin_get(query, key, owner, Reading::Newest, true, now);
        };
        let mut control = self.control(key, instance, Placement::lasting(MAX_LIFETIME), true);
        control.instance = instance;
        let body = Vec::new();
        let items = Vec::from([Item { control, body }]);
        self.start_put(query, Mode::Remove, items, now);
    }

    pub(super) fn found_for_removal(
        &mut self,
        query: QueryId,
        key: Key,
        found: Found,
        now: Instant,
    ) {
        let records = match found {
            Ok(records) => records,
            Err(error) => return self.put_failed(query, from_get(error)),
        };
        let mut items = Vec::new();
        for record in records {
            if is_own(&record, &self.certificate) {
                let control = Control {
                    key,
                    removed: true,
                    lifetime: MAX_LIFETIME,
                    no_update: false,
                    ..record.control
                };
                let body = Vec::new();
                items.push(Item { control, body });
            }
        }
        if items.is_empty() {
            return self.put_failed(query, PlaceError::Refused(Refused::NotFound));
        }
        self.start_put(query, Mode::Remove, items, now);
    }

    fn control(
        &self,
        key: Key,
        instance: Instance,
        placement: Placement,
        removed: bool,
    ) -> Control {
        let owner = owner(&self.certificate).map(|(owner, _)| owner);
        Control {
            overlay: self.overlay(),
            key,
            owner: owner.unwrap_or_default(),
            instance,
            policy: if removed {
                Policy::default()
            } else {
                placement.policy
            },
            sequence: 0,
            lifetime: placement.lifetime,
            no_update: placement.no_update,
            removed,
        }
    }

    fn start_put(&mut self, query: QueryId, mode: Mode, items: Vec<Item>, now: Instant) {
        let deadline = now + DEADLINE;
        let item = items.first();
        let known = item.and_then(|item| Some((self.placed.get(&item.control.key)?, item)));
        let touch = mode == Mode::Update
            && known.is_some_and(|(placed, item)| *placed == self.contents(&item.body));
        self.calls.insert(
            query,
            Call::Put(Put {
                touch,
                mode,
                items,
                record: None,
                asked: Map::new(),
                deadline,
                hedged: false,
                raised: false,
                sequence: 0,
            }),
        );
        self.timers.set(deadline, Timer::Call(query));
        self.sign_put(query, now);
    }

    /// Gives the first item its sequence and has it signed.
    fn sign_put(&mut self, query: QueryId, now: Instant) {
        let sequence = self.network_time(now).max(self.last_sequence + 1);
        let Some(Call::Put(put)) = self.calls.get_mut(&query) else {
            return;
        };
        let Some(item) = put.items.first_mut() else {
            return;
        };
        self.last_sequence = sequence;
        put.sequence = sequence;
        put.record = None;
        put.asked.clear();
        item.control.sequence = sequence;
        let message = message(&item.control, &item.body);
        self.timers.set(now + PUT_HEDGE, Timer::Hedge(query));
        self.sign(Awaited::Record(query, sequence), message);
    }

    pub(super) fn record_signed(
        &mut self,
        query: QueryId,
        sequence: u64,
        signature: Signature,
        now: Instant,
    ) {
        let certificate = self.certificate.der().to_vec();
        let Some(Call::Put(put)) = self.calls.get_mut(&query) else {
            return;
        };
        let Some(item) = put.items.first() else {
            return;
        };
        if item.control.sequence != sequence {
            return;
        }
        put.record = Some(SignedRecord {
            control: item.control.clone(),
            body: item.body.clone(),
            certificate,
            signature,
        });
        self.put_on(query, now);
    }

    /// Sends the record by the next association that has not had it, if that is due.
    pub(super) fn put_on(&mut self, query: QueryId, now: Instant) {
        let links = self.links.keys_where(|_, link| link.stands());
        let Some(Call::Put(put)) = self.calls.get_mut(&query) else {
            return;
        };
        if now >= put.deadline {
            return self.put_overdue(query);
        }
        let Some(record) = put.record.clone() else {
            return;
        };
        let under_way = put.asked.values().filter(|outcome| outcome.is_none());
        if under_way.count() > usize::from(put.hedged) {
            return;
        }
        let next = links.into_iter().find(|link| !put.asked.contains_key(link));
        let Some(link) = next else {
            if !put.asked.is_empty() && put.asked.values().all(Option::is_some) {
                self.put_overdue(query);
            }
            return;
        };
        put.asked.insert(link, None);
        let (mode, touch) = (put.mode, put.touch);
        let request = self.request(query, link);
        let message = if touch {
            FromOrdinary::Touch {
                request,
                control: record.control,
                signature: record.signature,
            }
        } else {
            FromOrdinary::Put {
                request,
                mode,
                record,
            }
        };
        self.send(link, &message);
    }

    /// What is left out of a touch.
    fn contents(&self, body: &[u8]) -> [u8; 20] {
        sha1(&[self.certificate.der(), body])
    }

    pub(super) fn put_answered(
        &mut self,
        link: LinkId,
        request: u64,
        outcome: PutOutcome,
        now: Instant,
    ) {
        let Some(&(query, asked)) = self.requests.get(&request) else {
            return;
        };
        if asked != link {
            return;
        }
        self.requests.remove(&request);
        let ahead = self.network_time(now).saturating_add(MAX_AHEAD);
        let Some(Call::Put(put)) = self.calls.get_mut(&query) else {
            return;
        };
        let Some(answer) = put.asked.get_mut(&link) else {
            return;
        };
        *answer = Some(outcome);
        match outcome {
            PutOutcome::Stored => self.item_placed(query, now),
            PutOutcome::Refused(Refused::Older(stored)) if !put.raised && stored < ahead => {
                put.raised = true;
                self.last_sequence = self.last_sequence.max(stored);
                self.drop_requests(query);
                self.sign_put(query, now);
            }
            PutOutcome::Refused(Refused::Absent) if put.touch => {
                put.touch = false;
                put.asked.clear();
                self.drop_requests(query);
                self.put_on(query, now);
            }
            // The other super node may do better.
            PutOutcome::Timeout | PutOutcome::Refused(Refused::Busy | Refused::NotResponsible) => {
                self.put_on(query, now);
            }
            PutOutcome::Refused(why) => {
                self.end_put(query);
                self.put_failed(query, PlaceError::Refused(why));
            }
        }
    }

    fn item_placed(&mut self, query: QueryId, now: Instant) {
        self.drop_requests(query);
        let Some(Call::Put(put)) = self.calls.get_mut(&query) else {
            return;
        };
        let record = put.record.take();
        if !put.items.is_empty() {
            self.seen.note(&put.items.remove(0).control);
        }
        let (left, sequence) = (put.items.len(), put.sequence);
        if let Some(record) = record {
            let key = record.control.key;
            self.placed.remove(&key);
            if !record.control.removed && self.placed.len() < PLACED {
                let contents = sha1(&[&record.certificate, &record.body]);
                self.placed.insert(key, contents);
            }
        }
        if left == 0 {
            self.end_put(query);
            return self.event(OrdinaryEvent::Placed { query, sequence });
        }
        if let Some(Call::Put(put)) = self.calls.get_mut(&query) {
            put.raised = false;
        }
        self.sign_put(query, now);
    }

    pub(super) fn put_hedged(&mut self, query: QueryId, now: Instant) {
        if let Some(Call::Put(put)) = self.calls.get_mut(&query) {
            put.hedged = true;
            self.put_on(query, now);
        }
    }

    pub(super) fn put_link_lost(&mut self, query: QueryId, link: LinkId, now: Instant) {
        if let Some(Call::Put(put)) = self.calls.get_mut(&query) {
            put.asked.remove(&link);
        }
        self.put_on(query, now);
    }

    /// Every association that there is has failed, or time is up.
    fn put_overdue(&mut self, query: QueryId) {
        let Some(Call::Put(put)) = self.calls.get(&query) else {
            return;
        };
        let refusal = put.asked.values().find_map(|outcome| match outcome {
            Some(PutOutcome::Refused(why)) => Some(PlaceError::Refused(*why)),
            Some(PutOutcome::Stored | PutOutcome::Timeout) | None => None,
        });
        let nobody = if put.asked.is_empty() {
            PlaceError::NoSuperNode
        } else {
            PlaceError::Timeout
        };
        self.end_put(query);
        self.put_failed(query, refusal.unwrap_or(nobody));
    }

    fn end_put(&mut self, query: QueryId) {
        self.calls.remove(&query);
        self.drop_requests(query);
    }

    fn drop_requests(&mut self, query: QueryId) {
        self.requests.retain(|_, (other, _)| *other != query);
    }

    pub(super) fn put_failed(&mut self, query: QueryId, error: PlaceError) {
        self.event(OrdinaryEvent::PlaceFailed { query, error });
    }
}

fn from_get(error: GetError) -> PlaceError {
    match error {
        GetError::NotAMember(overlay) => PlaceError::NotAMember(overlay),
        GetError::NotFound | GetError::Gone | GetError::Refused => {
            PlaceError::Refused(Refused::NotFound)
        }
        GetError::Timeout => PlaceError::Timeout,
        GetError::NoSuperNode => PlaceError::NoSuperNode,
        GetError::Busy => PlaceError::Refused(Refused::Busy),
        GetError::CredentialExpired => PlaceError::CredentialExpired,
        GetError::TooMany => PlaceError::TooMany,
    }
}
