//! Placing: the super node that was asked has all replicas store the record, and waits for a quorum.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use credential::{Certificate, NodeId, Signature};
use machine::Instant;

use super::overload::Class;
use super::resolving::{Need, Views};
use super::store::{Intent, Pen, Verdict};
use super::{Asker, Offence, Offender, SuperNode, SuperNodeEvent, Timer, Waiting};
use crate::association::{FromSuperNode, Mode, PutOutcome};
use crate::checks::{record_checks, record_fault};
use crate::peer::{Message, SlotId};
use crate::record::owner;
use crate::{Control, Key, PlaceError, RecordFault, Refused, SignedRecord};

/// How long the replicas may take.
const DEADLINE: Duration = Duration::from_millis(2_000);
/// How many placings may be under way.
pub(super) const PLACINGS: usize = 4_096;

/// A record on its way to its replicas.
#[derive(Debug)]
pub(super) struct Placing {
    asker: Asker,
    slot: SlotId,
    key: Key,
    sequence: u64,
    removed: bool,
    waiting: BTreeSet<NodeId>,
    /// Who the replicas are. A quorum of each of these has to store it.
    views: Views,
    stored: BTreeSet<NodeId>,
    absent: BTreeSet<NodeId>,
    /// Those who say that the record is not theirs to keep.
    strangers: BTreeSet<NodeId>,
    refusals: BTreeMap<Refused, usize>,
}

impl Placing {
    /// What it has come to, if that is settled.
    fn outcome(&self) -> Option<PutOutcome> {
        // A replica that has nothing to remove does not stand in the way of those that have.
        let done = |node: &NodeId| self.stored.contains(node) || self.absent.contains(node);
        let open = |node: &NodeId| done(node) || self.waiting.contains(node);
        let void = |node: &NodeId| self.strangers.contains(node);
        // Whoever names members that are not responsible has said nothing.
        let views = self.views.iter().filter(|view| !are_most(view, void));
        let mut views = views.peekable();
        let hopeless = views.peek().is_none() || !views.clone().all(|view| are_most(view, open));
        if !hopeless && !self.stored.is_empty() && views.all(|view| are_most(view, done)) {
            return Some(PutOutcome::Stored);
        }
        if !hopeless && !self.waiting.is_empty() {
            return None;
        }
        Some(self.refusal())
    }

    /// The reason that most replicas gave.
    fn refusal(&self) -> PutOutcome {
        let most = self.refusals.iter().max_by_key(|(_, count)| **count);
        most.map_or(PutOutcome::Timeout, |(why, _)| PutOutcome::Refused(*why))
    }
}

/// Who wants to know what became of a record here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Another super node, or this one.
    pub(super) node: NodeId,
    /// Its number for it.
    pub(super) request: u64,
    /// It sent a touch.
    pub(super) touch: bool,
}

/// What goes to the replicas.
#[derive(Debug, Clone)]
pub(super) enum Parcel {
    /// A whole record, verified.
    Record(Mode, SignedRecord),
    /// What a replica that has the body can make a record of.
    Touch {
        control: Control,
        signature: Signature,
    },
}

impl Parcel {
    const fn control(&self) -> &Control {
        match self {
            Self::Record(_, record) => &record.control,
            Self::Touch { control, .. } => control,
        }
    }

    fn message(self, request: u64) -> Message {
        match self {
            Self::Record(mode, record) => Message::Place {
                request,
                mode,
                record,
            },
            Self::Touch { control, signature } => Message::Touch {
                request,
                control,
                signature,
            },
        }
    }
}

impl SuperNode {
    /// Verifies a record before the replicas are troubled with it: whoever sends them a forged one is to blame himself.
    pub(super) fn begin_place(
        &mut self,
        asker: Asker,
        mode: Mode,
        record: SignedRecord,
        now: Instant,
    ) -> Result<(), Refused> {
        let checks = record_checks(
            &record,
            &self.config.anchor,
            &self.revocations,
            &self.chains,
            self.wall(now),
        )
        .map_err(Refused::Record)?;
        if self.sheds(Class::Record) {
            return Err(Refused::Busy);
        }
        let waiting = Waiting::Put {
            asker,
            mode,
            record,
        };
        self.check(waiting, checks);
        Ok(())
    }

    pub(super) fn put_checked(
        &mut self,
        asker: Asker,
        mode: Mode,
        record: SignedRecord,
        failed: Option<usize>,
        now: Instant,
    ) {
        let Some(failed) = failed else {
            self.chains.learn(&record.certificate);
            return self.place(asker, Parcel::Record(mode, record), now);
        };
        let fault = record_fault(failed);
        if let Asker::Ordinary { link, .. } = asker {
            self.misbehaved_ordinary(link, Offence::Record(fault));
        }
        self.placed(asker, 0, PutOutcome::Refused(Refused::Record(fault)));
    }

    /// Hands a record to all its replicas.
    pub(super) fn place(&mut self, asker: Asker, parcel: Parcel, now: Instant) {
        let key = parcel.control().key;
        if self.placings.len() >= PLACINGS {
            return self.placed(asker, 0, PutOutcome::Refused(Refused::Busy));
        }
        match self.keepers(key, now) {
            Some(views) => self.place_at(asker, parcel, views, now),
            None => self.resolve(key, Need::Place(asker, parcel), now),
        }
    }

    /// Hands a record to those who keep it.
    pub(super) fn place_at(&mut self, asker: Asker, parcel: Parcel, views: Views, now: Instant) {
        let control = parcel.control();
        let replicas: BTreeSet<NodeId> = views.iter().flatten().copied().collect();
        if replicas.is_empty() {
            return self.placed(asker, 0, PutOutcome::Refused(Refused::Busy));
        }
        let number = self.number();
        let placing = Placing {
            asker,
            slot: SlotId::of(control),
            key: control.key,
            sequence: control.sequence,
            removed: control.removed,
            waiting: replicas.clone(),
            views,
            stored: BTreeSet::new(),
            absent: BTreeSet::new(),
            strangers: BTreeSet::new(),
            refusals: BTreeMap::new(),
        };
        self.placings.insert(number, placing);
        self.timers.set(now + DEADLINE, Timer::Placing(number));
        for node in replicas {
            if node != self.own {
                self.send_peer(node, &parcel.clone().message(number), now);
                continue;
            }
            let mut origin = Origin {
                node,
                request: number,
                touch: false,
            };
            match parcel.clone() {
                Parcel::Record(mode, record) => {
                    self.place_checked(origin, mode, record, None, now);
                }
                Parcel::Touch { control, signature } => {
                    origin.touch = true;
                    self.store_touch(origin, control, signature, now);
                }
            }
        }
    }

    /// A replica's part: cheap checks first, then the signatures, then the store.
    pub(super) fn store_record(
        &mut self,
        origin: Origin,
        mode: Mode,
        record: SignedRecord,
        now: Instant,
    ) {
        if let Err(why) = self.begin_store(origin, mode, record, now) {
            self.store_answered(origin, PutOutcome::Refused(why), now);
        }
    }

    fn begin_store(
        &mut self,
        origin: Origin,
        mode: Mode,
        record: SignedRecord,
        now: Instant,
    ) -> Result<(), Refused> {
        if !self.ring.is_near(self.own, record.control.key) {
            return Err(Refused::NotResponsible);
        }
        let checks = record_checks(
            &record,
            &self.config.anchor,
            &self.revocations,
            &self.chains,
            self.wall(now),
        )
        .map_err(|fault| self.fault(origin, fault, now))?;
        let intent = Intent::Put(mode);
        if self
            .store
            .consider(&record, pen(&record).instance, intent, self.wall(now))?
            == Verdict::Known
        {
            self.store_answered(origin, PutOutcome::Stored, now);
            return Ok(());
        }
        if self.checks.len() >= self.config.limits.checks {
            return Err(Refused::Busy);
        }
        let waiting = Waiting::Place {
            origin,
            mode,
            record,
        };
        self.check(waiting, checks);
        Ok(())
    }

    pub(super) fn place_checked(
        &mut self,
        origin: Origin,
        mode: Mode,
        record: SignedRecord,
        failed: Option<usize>,
        now: Instant,
    ) {
        let outcome = match failed {
            Some(failed) => Err(self.fault(origin, record_fault(failed), now)),
            // Only now does it count against the owner: a forger can't use up somebody else's rate.
            None => {
                self.chains.learn(&record.certificate);
                self.write(mode, record, now)
            }
        };
        let outcome = match outcome {
            Ok(_) => PutOutcome::Stored,
            Err(why) => PutOutcome::Refused(why),
        };
        self.store_answered(origin, outcome, now);
    }

    fn write(
        &mut self,
        mode: Mode,
        record: SignedRecord,
        now: Instant,
    ) -> Result<Verdict, Refused> {
        let (pen, intent, wall) = (pen(&record), Intent::Put(mode), self.wall(now));
        let verdict = self.store.consider(&record, pen.instance, intent, wall)?;
        if verdict == Verdict::New && !self.store.may_write(&record.control.owner, now) {
            return Err(Refused::Rate);
        }
        self.store.put(record, pen, intent, wall)
    }

    /// A record is faulty. Of a touch that is nobody's fault: the body here may be another one.
    fn fault(&mut self, origin: Origin, fault: RecordFault, now: Instant) -> Refused {
        if origin.touch {
            self.touch_failed(origin.node, now);
            return Refused::Absent;
        }
        if origin.node != self.own {
            self.accuse(origin.node, fault, now);
        }
        Refused::Record(fault)
    }

    pub(super) fn store_answered(&mut self, origin: Origin, outcome: PutOutcome, now: Instant) {
        let (node, request) = (origin.node, origin.request);
        if node == self.own {
            self.replica_answered(node, request, outcome);
        } else {
            self.send_peer(node, &Message::Placed { request, outcome }, now);
        }
    }

    pub(super) fn replica_answered(&mut self, from: NodeId, number: u64, outcome: PutOutcome) {
        // An answer may come after the quorum.
        let Some(placing) = self.placings.get_mut(&number) else {
            return;
        };
        if !placing.waiting.remove(&from) {
            return self.misbehaved(Offender::SuperNode(from), Offence::Unasked);
        }
        match outcome {
            PutOutcome::Stored => {
                placing.stored.insert(from);
            }
            PutOutcome::Refused(why) => {
                match why {
                    Refused::NotFound => placing.absent.insert(from),
                    Refused::NotResponsible => placing.strangers.insert(from),
                    _ => false,
                };
                *placing.refusals.entry(why).or_default() += 1;
            }
            PutOutcome::Timeout => {}
        }
        if let Some(outcome) = placing.outcome() {
            self.end_placing(number, outcome);
        }
    }

    pub(super) fn placing_due(&mut self, number: u64) {
        if self.placings.contains_key(&number) {
            self.end_placing(number, PutOutcome::Timeout);
        }
    }

    fn end_placing(&mut self, number: u64, outcome: PutOutcome) {
        if let Some(placing) = self.placings.remove(&number) {
            if outcome == PutOutcome::Timeout {
                self.resolving.doubt(placing.key);
            }
            if let Asker::Ordinary { link, .. } = placing.asker
                && outcome == PutOutcome::Stored
            {
                self.guard(link, placing.slot, placing.key, placing.removed);
            }
            self.placed(placing.asker, placing.sequence, outcome);
        }
    }

    /// Tells whoever asked this super node.
    pub(super) fn placed(&mut self, asker: Asker, sequence: u64, outcome: PutOutcome) {
        match asker {
            Asker::Ordinary { link, request } => {
                self.send_ordinary(link, &FromSuperNode::Put { request, outcome });
            }
            // Nothing is placed to find out whether it is there.
            Asker::Guard { .. } => {}
            Asker::Own(query) => self.event(match outcome {
                PutOutcome::Stored => SuperNodeEvent::Placed { query, sequence },
                PutOutcome::Refused(why) => SuperNodeEvent::PlaceFailed {
                    query,
                    error: PlaceError::Refused(why),
                },
                PutOutcome::Timeout => SuperNodeEvent::PlaceFailed {
                    query,
                    error: PlaceError::Timeout,
                },
            }),
        }
    }
}

/// Whether more than half of a list are such.
fn are_most(view: &[NodeId], such: impl Fn(&NodeId) -> bool) -> bool {
    view.iter().filter(|node| such(node)).count() > view.len() / 2
}

/// What the store must know of the certificate that a record carries. Its cheap checks have read it before.
pub(super) fn pen(record: &SignedRecord) -> Pen {
    let certificate = Certificate::read(&record.certificate).ok();
    let instance = certificate.as_ref().and_then(owner);
    Pen {
        instance: instance.map_or(record.control.instance, |(_, instance)| instance),
        serial: certificate.as_ref().map(Certificate::serial),
        ends: certificate.map_or(0, |certificate| certificate.not_after()),
    }
}
