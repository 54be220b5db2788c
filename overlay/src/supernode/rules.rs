//! What may be stored, replaced, removed: the draft's §9, sequences, and quotas.

use credential::Instance;

use super::store::{Intent, Store, Verdict};
use crate::association::Mode;
use crate::{RecordFault, Refused, SignedRecord, Writer};

/// How many records one key may have, of all owners together.
const PER_KEY: usize = 256;

impl Store {
    /// Decides whether a record may be stored, apart from its signatures. `writer` is its certificate's device.
    pub(super) fn consider(
        &self,
        record: &SignedRecord,
        writer: Instance,
        intent: Intent,
        wall: u64,
    ) -> Result<Verdict, Refused> {
        let control = &record.control;
        if intent == Intent::Put(Mode::Remove) && !control.removed
            || matches!(intent, Intent::Put(Mode::Add | Mode::Update)) && control.removed
        {
            return Err(Refused::Record(RecordFault::Tombstone));
        }
        let entries = self.under(control.key);
        let stored = entries
            .iter()
            .find(|entry| entry.record.control.is_same_slot(control));
        let Some(stored) = stored else {
            return match intent {
                Intent::Put(Mode::Remove) => Err(Refused::NotFound),
                Intent::Put(Mode::Add | Mode::Update) | Intent::Copy => {
                    self.has_room(record, entries.len())
                }
            };
        };
        if stored.record == *record {
            return Ok(Verdict::Known);
        }
        let old = &stored.record.control;
        if !old.removed && stored.lives(wall) {
            if intent == Intent::Put(Mode::Add) {
                return Err(Refused::Exists);
            }
            if old.no_update {
                return Err(Refused::NotUpdatable);
            }
            let allowed = if control.removed {
                old.policy.remove
            } else {
                old.policy.update
            };
            let may = match allowed {
                Writer::Nobody => false,
                Writer::Instance => writer == control.instance,
                Writer::Owner => true,
            };
            if !may {
                return Err(Refused::Policy);
            }
        } else if intent == Intent::Put(Mode::Remove) {
            return Err(Refused::NotFound);
        }
        if control.sequence <= old.sequence {
            return Err(Refused::Older(old.sequence));
        }
        let growth = record.size().saturating_sub(stored.record.size());
        self.has_bytes(&control.owner, growth)?;
        Ok(Verdict::New)
    }

    fn has_room(&self, record: &SignedRecord, beside: usize) -> Result<Verdict, Refused> {
        if self.len() >= self.limits.records || beside >= PER_KEY {
            return Err(Refused::Full);
        }
        let owner = &record.control.owner;
        if self.records_of(owner) >= self.limits.owner_records {
            return Err(Refused::Quota);
        }
        self.has_bytes(owner, record.size())?;
        Ok(Verdict::New)
    }

    fn has_bytes(&self, owner: &str, more: usize) -> Result<(), Refused> {
        if self.bytes() + more > self.limits.bytes {
            return Err(Refused::Full);
        }
        if self.bytes_of(owner) + more > self.limits.owner_bytes {
            return Err(Refused::Quota);
        }
        Ok(())
    }
}
