//! Super nodes that might be there, in the order in which they are tried.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use credential::NodeId;
use machine::{Instant, Rng};

use crate::Candidate;

/// How many are remembered in all.
const LIMIT: usize = 96;
/// How many are taken from one source at a time: a source that lies costs bounded time (draft §11.1).
const PER_SOURCE: usize = 24;
const BACKOFF: Duration = Duration::from_millis(400);
const LONGEST_BACKOFF: u32 = 4;
/// How long one that misbehaved is left alone.
const BANNED: Duration = Duration::from_secs(600);
/// How long one that turned out to be a super node already associated with is left alone.
const DOUBLE: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Entry {
    url: String,
    node: Option<NodeId>,
    failures: u32,
    not_before: Instant,
}

#[derive(Debug)]
pub(super) struct Candidates {
    entries: Vec<Entry>,
}

impl Candidates {
    pub(super) const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Appends what is new; with the list full, it takes the place of those that failed most.
    pub(super) fn offer(&mut self, offered: impl IntoIterator<Item = Candidate>) {
        for candidate in offered.into_iter().take(PER_SOURCE) {
            if self.entries.iter().any(|known| known.url == candidate.url) {
                continue;
            }
            if host(&candidate.url).is_none() {
                continue;
            }
            if self.entries.len() >= LIMIT {
                let worst = (0..self.entries.len()).max_by_key(|&at| self.entries[at].failures);
                match worst {
                    Some(worst) if self.entries[worst].failures > 0 => {
                        self.entries.remove(worst);
                    }
                    _ => return,
                }
            }
            self.entries.push(Entry {
                url: candidate.url,
                node: candidate.node,
                failures: 0,
                not_before: Instant::EPOCH,
            });
        }
    }

    /// The next one to dial: the first that is due, not in use, and not known to be a node in use.
    pub(super) fn next(
        &self,
        now: Instant,
        mut used: impl FnMut(&str, Option<NodeId>) -> bool,
    ) -> Option<&str> {
        let least = self
            .entries
            .iter()
            .filter(|entry| entry.not_before <= now && !used(&entry.url, entry.node))
            .min_by_key(|entry| entry.failures)?;
        Some(&least.url)
    }

    /// Whether each that is not in use has failed since it served last.
    pub(super) fn all_failed(&self, used: impl Fn(&str, Option<NodeId>) -> bool) -> bool {
        let mut entries = self.entries.iter();
        entries.all(|entry| entry.failures > 0 || used(&entry.url, entry.node))
    }

    /// When one that is left alone now may be tried again.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let later = self.entries.iter().map(|entry| entry.not_before);
        later.filter(|&at| at > now).min()
    }

    pub(super) fn succeeded(&mut self, url: &str, node: NodeId) {
        if let Some(entry) = self.entry(url) {
            entry.failures = 0;
            entry.node = Some(node);
        }
    }

    /// Leaves one alone for a while, longer each time, with jitter so that not all nodes come back at once.
    pub(super) fn failed(&mut self, url: &str, rng: &mut Rng, now: Instant) {
        if let Some(entry) = self.entry(url) {
            let longest = BACKOFF * (1 << entry.failures.min(LONGEST_BACKOFF));
            let jitter = rng.below(longest.as_millis() as u32 / 2);
            entry.failures += 1;
            entry.not_before = now + longest / 2 + Duration::from_millis(u64::from(jitter));
        }
    }

    pub(super) fn misbehaved(&mut self, url: &str, now: Instant) {
        if let Some(entry) = self.entry(url) {
            entry.failures += 1;
            entry.not_before = now + BANNED;
        }
    }

    pub(super) fn is_double(&mut self, url: &str, node: NodeId, now: Instant) {
        if let Some(entry) = self.entry(url) {
            entry.node = Some(node);
            entry.not_before = now + DOUBLE;
        }
    }

    /// Tries all of them again at once, except those that misbehaved.
    pub(super) fn woken(&mut self, now: Instant) {
        for entry in &mut self.entries {
            if entry.not_before - now < DOUBLE {
                entry.not_before = now;
            }
        }
    }

    fn entry(&mut self, url: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.url == url)
    }
}

/// The host of a WebSocket URL, without port and brackets; `None` if it is no such URL.
pub(super) fn host(url: &str) -> Option<&str> {
    let rest = url
        .strip_prefix("wss://")
        .or_else(|| url.strip_prefix("ws://"))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.strip_prefix('[') {
        Some(literal) => literal.split_once(']')?.0,
        None => authority.split(':').next()?,
    };
    (!host.is_empty() && host.len() <= 255).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn host_of_a_url() {
        assert_eq!(
            host("wss://sn1.example.org/p2psip"),
            Some("sn1.example.org")
        );
        assert_eq!(host("ws://127.0.0.1:8080/p2psip"), Some("127.0.0.1"));
        assert_eq!(host("wss://[2001:db8::1]:443/x"), Some("2001:db8::1"));
        assert_eq!(host("https://sn1.example.org/"), None);
        assert_eq!(host("wss://:80/"), None);
    }

    #[test]
    fn a01_no_source_fills_the_list() {
        let mut candidates = Candidates::new();
        for source in 0..50 {
            candidates.offer((0..1000).map(|number| Candidate {
                url: alloc::format!("wss://{source}-{number}.example.org/"),
                node: None,
            }));
        }
        assert_eq!(candidates.entries.len(), LIMIT);
        let from_first = candidates
            .entries
            .iter()
            .filter(|entry| entry.url.starts_with("wss://0-"));
        assert_eq!(from_first.count(), PER_SOURCE);
    }

    #[test]
    fn one_that_failed_waits_and_another_goes_first() {
        let (now, mut rng) = (Instant::EPOCH, Rng::new([1; 32]));
        let mut candidates = Candidates::new();
        candidates.offer(["wss://a/", "wss://b/"].map(|url| Candidate {
            url: url.to_string(),
            node: None,
        }));
        assert_eq!(candidates.next(now, |_, _| false), Some("wss://a/"));
        candidates.failed("wss://a/", &mut rng, now);
        assert_eq!(candidates.next(now, |_, _| false), Some("wss://b/"));
        candidates.failed("wss://b/", &mut rng, now);
        assert_eq!(candidates.next(now, |_, _| false), None);
        let due = candidates.next_due(now).unwrap();
        assert!(due - now >= BACKOFF / 2 && due - now <= BACKOFF);
    }
}
