//! What survives a restart: each change of the store goes to the driver a moment later, and comes back at the start.
//!
//! ```text
//! kept = format (1) | record | ends (varint, ms) | until (varint, ms) | first 8 bytes of the SHA-1 of all before
//! ```
//!
//! The driver keeps these bytes by slot and reads nothing of them. A write is acknowledged before it is kept: other
//! replicas have it. What has ended or was removed is kept as long as an older version could be brought up again, so
//! that sequences rise over a restart, too.

use alloc::vec::Vec;
use core::time::Duration;

use credential::Certificate;
use machine::Instant;

use super::ring::first_eight;
use super::store::Kept;
use super::{SuperNode, SuperNodeEvent, SuperNodeOutput, Timer};
use crate::key::sha1;
use crate::peer::SlotId;

/// How long changes are gathered before they are kept.
const GATHER: Duration = Duration::from_millis(250);
/// How many slots go into one batch: at most 10 MiB, and mostly less than one.
const BATCH: usize = 512;
const FORMAT: u8 = 1;

impl SuperNode {
    /// Something may have changed in the store.
    pub(super) fn keep_soon(&mut self, now: Instant) {
        if !self.keeping && self.store.has_changed() {
            self.keeping = true;
            self.timers.set(now + GATHER, Timer::Keep);
        }
    }

    pub(super) fn keep_due(&mut self) {
        self.keeping = false;
        while self.store.has_changed() {
            let (mut keep, mut forget) = (Vec::new(), Vec::new());
            for (slot, kept) in self.store.take_changed(BATCH) {
                match kept {
                    Some(kept) => keep.push((slot, encode(&kept))),
                    None => forget.push(slot),
                }
            }
            self.outbox.push(SuperNodeOutput::Persist { keep, forget });
        }
    }

    /// Takes back what was kept. What is damaged or has ended is left out and no longer kept.
    pub(super) fn restored(&mut self, entries: Vec<(SlotId, Vec<u8>)>, now: Instant) {
        let (mut records, mut damaged) = (0, 0);
        let wall = self.wall(now);
        for (slot, bytes) in entries {
            let kept = decode(&bytes).filter(|kept| {
                let control = &kept.record.control;
                SlotId::of(control) == slot && control.overlay == self.overlay()
            });
            match kept {
                Some(kept) if kept.until > wall => {
                    records += 1;
                    self.restore(kept, now);
                }
                Some(_) => self.store.forget(slot),
                None => {
                    damaged += 1;
                    self.store.forget(slot);
                }
            }
        }
        self.event(SuperNodeEvent::Restored { records, damaged });
    }

    /// Its signatures were checked before it was kept. Whether its certificate still counts is looked at again.
    fn restore(&mut self, mut kept: Kept, now: Instant) {
        let wall = self.wall(now);
        let certificate = Certificate::read(&kept.record.certificate).ok();
        let admitted = certificate.filter(|certificate| {
            let anchor = &self.config.anchor;
            anchor.admit(certificate, wall, &self.revocations).is_ok()
        });
        if admitted.is_none() {
            kept.ends = 0;
            kept.record.body = Vec::new();
            kept.record.certificate = Vec::new();
        }
        let serial = admitted.map(|certificate| certificate.serial());
        self.store.restore(kept, serial);
    }
}

fn encode(kept: &Kept) -> Vec<u8> {
    // A vector never refuses bytes, and nothing here is a sequence of unknown length.
    let mut bytes = postcard::to_extend(kept, Vec::from([FORMAT])).unwrap_or_default();
    let sum = first_eight(&sha1(&[&bytes]));
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Kept> {
    let (content, sum) = bytes.split_last_chunk::<8>()?;
    let (&FORMAT, kept) = content.split_first()? else {
        return None;
    };
    let whole = first_eight(&sha1(&[content])) == u64::from_be_bytes(*sum);
    whole.then(|| postcard::from_bytes(kept).ok())?
}
