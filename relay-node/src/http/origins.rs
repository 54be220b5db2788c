use std::collections::HashMap;
use std::time::Duration;

use machine::Instant;

use crate::config::Origin;

/// The page of a super node that was lost may still be open for this long.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Whose pages may connect: this node's, those of the overlay's super nodes, and those the operator names.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    always: Vec<Origin>,
    members: Vec<Origin>,
    lost: HashMap<Origin, Instant>,
}

impl Origins {
    pub(crate) fn new(always: Vec<Origin>) -> Self {
        Self {
            always,
            members: Vec::new(),
            lost: HashMap::new(),
        }
    }

    /// Takes over the WebSocket addresses of all super nodes that are members now.
    pub(crate) fn set_members<'a>(
        &mut self,
        websockets: impl Iterator<Item = &'a str>,
        now: Instant,
    ) {
        let members: Vec<_> = websockets.filter_map(Origin::of_websocket).collect();
        for gone in std::mem::take(&mut self.members) {
            if !members.contains(&gone) {
                self.lost.insert(gone, now);
            }
        }
        self.lost.retain(|origin, since| {
            now.saturating_duration_since(*since) < REMEMBERED && !members.contains(origin)
        });
        self.members = members;
    }

    /// Says whether a page of this origin, as a browser names it, may connect.
    pub(crate) fn admit(&self, origin: &str, now: Instant) -> bool {
        let Ok(origin) = origin.parse::<Origin>() else {
            return false;
        };
        self.always.contains(&origin)
            || self.members.contains(&origin)
            || self
                .lost
                .get(&origin)
                .is_some_and(|since| now.saturating_duration_since(*since) < REMEMBERED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn member_stays_welcome_for_a_day_after_it_was_lost() {
        let mut origins = Origins::new(vec!["https://own.example".parse().unwrap()]);
        let start = Instant::EPOCH;
        assert!(origins.admit("https://own.example", start));
        assert!(!origins.admit("https://sn2.example", start));
        origins.set_members(["wss://sn2.example/p2psip"].into_iter(), start);
        assert!(origins.admit("https://sn2.example", start));
        origins.set_members([].into_iter(), start);
        let hour = Duration::from_secs(60 * 60);
        assert!(origins.admit("https://sn2.example", start + hour * 23));
        assert!(!origins.admit("https://sn2.example", start + hour * 25));
        assert!(origins.admit("https://own.example", start + hour * 25));
        assert!(!origins.admit("null", start));
        assert!(!origins.admit("https://own.example.evil.example", start));
    }
}
