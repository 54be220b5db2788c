//! A refresh without the body: the owner signs the newer version, and whoever has the body completes it.
//!
//! The signature is the record's own, over control record and body. So a replica puts the touch together with the body
//! and the certificate that it has, and judges the result as if the whole record had come. If it has none, or another
//! one, the signature can't hold: it answers [`Refused::Absent`], and the owner sends the whole record.

use credential::{NodeId, Signature};
use machine::Instant;

use super::overload::Class;
use super::placing::{Origin, Parcel};
use super::{Asker, Offence, SuperNode};
use crate::association::{Mode, PutOutcome};
use crate::peer::SlotId;
use crate::{Control, LinkId, RecordFault, Refused, SignedRecord};

/// How many touches of one super node may turn out wrong in a second, and at once: each costs a verification, and who
/// is to blame can't be told.
pub(super) const WRONG: (u32, u32) = (10, 100);

impl SuperNode {
    /// A user touches his own records only.
    pub(super) fn touch(
        &mut self,
        link: LinkId,
        request: u64,
        control: Control,
        signature: Signature,
        now: Instant,
    ) {
        let asker = Asker::Ordinary { link, request };
        if let Err(fault) = self.may_touch(link, &control, now) {
            self.misbehaved_ordinary(link, Offence::Record(fault));
            return self.placed(asker, 0, PutOutcome::Refused(Refused::Record(fault)));
        }
        if self.sheds(Class::Record) {
            return self.placed(asker, 0, PutOutcome::Refused(Refused::Busy));
        }
        self.place(asker, Parcel::Touch { control, signature }, now);
    }

    fn may_touch(&self, link: LinkId, control: &Control, now: Instant) -> Result<(), RecordFault> {
        if !self.is_his(link, control) {
            return Err(RecordFault::Owner);
        }
        if control.removed {
            return Err(RecordFault::Tombstone);
        }
        control.check(self.overlay(), self.wall(now))
    }

    /// A replica's part.
    pub(super) fn store_touch(
        &mut self,
        origin: Origin,
        control: Control,
        signature: Signature,
        now: Instant,
    ) {
        let wall = self.wall(now);
        let stored = self.store.record(SlotId::of(&control), wall);
        let trusted = self.touches_hold(origin.node, now);
        let Some(stored) = stored.filter(|stored| trusted && !stored.control.removed) else {
            return self.store_answered(origin, PutOutcome::Refused(Refused::Absent), now);
        };
        let record = SignedRecord {
            control,
            body: stored.body.clone(),
            certificate: stored.certificate.clone(),
            signature,
        };
        self.store_record(origin, Mode::Update, record, now);
    }

    /// Whether touches of a super node may still cost a verification.
    fn touches_hold(&self, node: NodeId, now: Instant) -> bool {
        let peer = self.link_to(node).and_then(|link| self.peers.get(&link));
        peer.is_none_or(|peer| peer.wrong_touches.has_left(WRONG.0, WRONG.1, now))
    }

    /// A touch did not fit the record that is here.
    pub(super) fn touch_failed(&mut self, node: NodeId, now: Instant) {
        let link = self.link_to(node);
        if let Some(peer) = link.and_then(|link| self.peers.get_mut(&link)) {
            peer.wrong_touches.take(WRONG.0, WRONG.1, now);
        }
    }
}
