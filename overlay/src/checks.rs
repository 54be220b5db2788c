use alloc::vec::Vec;

use credential::{Certificate, Check, Job, RevocationList, TrustAnchor, Verified, Verify};
use machine::Map;

use crate::{RecordFault, SignedRecord};

/// Signatures that the driver checks, grouped by what depends on them.
#[derive(Debug)]
pub(crate) struct Checks<T> {
    next: u64,
    jobs: Map<Job, (u64, usize)>,
    tasks: Map<u64, Task<T>>,
}

#[derive(Debug)]
struct Task<T> {
    left: usize,
    failed: Option<usize>,
    subject: T,
}

impl<T> Checks<T> {
    pub(crate) const fn new() -> Self {
        Self {
            next: 0,
            jobs: Map::new(),
            tasks: Map::new(),
        }
    }

    /// How many groups wait for the driver.
    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// A number for a job that isn't one of these, from the same space.
    pub(crate) fn job(&mut self) -> Job {
        self.next += 1;
        Job(self.next)
    }

    /// Asks for the signatures that `subject` depends on.
    pub(crate) fn begin(&mut self, subject: T, checks: Vec<Check>) -> Vec<Verify> {
        let task = self.job().0;
        self.tasks.insert(
            task,
            Task {
                left: checks.len(),
                failed: None,
                subject,
            },
        );
        let mut requests = Vec::with_capacity(checks.len());
        for (place, check) in checks.into_iter().enumerate() {
            let job = self.job();
            self.jobs.insert(job, (task, place));
            requests.push(check.with(job));
        }
        requests
    }

    /// Takes an answer. Once all signatures of a subject are known: the subject, and the first that does not hold.
    pub(crate) fn answer(&mut self, answer: Verified) -> Option<(T, Option<usize>)> {
        let (number, place) = self.jobs.remove(&answer.job)?;
        let task = self.tasks.get_mut(&number)?;
        task.left -= 1;
        if !answer.valid && task.failed.is_none_or(|earlier| place < earlier) {
            task.failed = Some(place);
        }
        if task.left > 0 {
            return None;
        }
        let task = self.tasks.remove(&number)?;
        Some((task.subject, task.failed))
    }
}

/// Certificates whose chain was verified: the authority's signature need not be checked twice.
///
/// Kept by their very bytes, so that no collision of a hash lets another one pass.
#[derive(Debug)]
pub(crate) struct Chains {
    /// With when each was learnt.
    known: Map<Vec<u8>, u64>,
    learnt: u64,
    limit: usize,
}

impl Chains {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            known: Map::new(),
            learnt: 0,
            limit,
        }
    }

    pub(crate) fn knows(&self, der: &[u8]) -> bool {
        self.known.contains_key(der)
    }

    pub(crate) fn learn(&mut self, der: &[u8]) {
        if self.known.contains_key(der) {
            return;
        }
        if self.known.len() >= self.limit {
            let oldest = self.known.values().copied().min().unwrap_or(0);
            self.known.retain(|_, learnt| *learnt != oldest);
        }
        self.learnt += 1;
        self.known.insert(der.to_vec(), self.learnt);
    }
}

/// Makes every cheap check of a record's origin and says which signatures remain: the record's, then the chain's.
pub(crate) fn record_checks(
    record: &SignedRecord,
    anchor: &TrustAnchor,
    revocations: &RevocationList,
    chains: &Chains,
    wall: u64,
) -> Result<Vec<Check>, RecordFault> {
    record.check(anchor.overlay(), wall)?;
    let certificate =
        Certificate::read(&record.certificate).map_err(|_| RecordFault::Certificate)?;
    record.check_writer(&certificate)?;
    let chain = anchor
        .admit(&certificate, wall, revocations)
        .map_err(|_| RecordFault::Certificate)?;
    let mut checks = Vec::with_capacity(2);
    checks.push(record.signature_check(&certificate));
    if !chains.knows(&record.certificate) {
        checks.push(chain);
    }
    Ok(checks)
}

/// What it means that one of [`record_checks`] does not hold.
pub(crate) const fn record_fault(failed: usize) -> RecordFault {
    match failed {
        0 => RecordFault::Signature,
        _ => RecordFault::Chain,
    }
}
