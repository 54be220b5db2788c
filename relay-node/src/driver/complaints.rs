use machine::Instant;

/// Misbehaviours that are told of in one second.
const COMPLAINTS: u32 = 10;

/// Keeps whoever misbehaves from filling the log.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    second: u64,
    told: u32,
    kept_back: u64,
}

impl Complaints {
    /// Says whether one more may be told of, and how many were not since the last.
    pub(super) fn admit(&mut self, now: Instant) -> Option<u64> {
        let second = now.since_epoch().as_secs();
        if second != self.second {
            (self.second, self.told) = (second, 0);
        }
        if self.told == COMPLAINTS {
            self.kept_back += 1;
            return None;
        }
        self.told += 1;
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a44_misbehaviour_does_not_fill_the_log() {
        let mut complaints = Complaints::default();
        let told = (0..10_000).filter(|_| complaints.admit(Instant::EPOCH).is_some());
        assert_eq!(told.count(), 10);
        let later = Instant::EPOCH + Duration::from_secs(1);
        assert_eq!(complaints.admit(later), Some(9_990));
        assert_eq!(complaints.admit(later), Some(0));
    }
}
