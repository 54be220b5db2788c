//! How searches went, read off the wire.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use credential::NodeId;
use machine::Instant;
use overlay::peer::Message;
use overlay::{Key, frame};

use super::authority::OVERLAY;
use super::traffic::HEAD;

/// A search is over after this.
const OVER: Duration = Duration::from_secs(5);
/// When the others are asked, if the first have not answered.
const FIRST: Duration = Duration::from_millis(600);
/// The variants of the two messages.
const FIND: u8 = 11;
const FOUND: u8 = 12;
const WHO: u8 = 25;

#[derive(Debug)]
struct Search {
    /// When the asker asked first, and whether it has asked others later.
    began: Instant,
    again: bool,
    /// Who has been asked in how many hops.
    asked: Vec<(NodeId, usize)>,
    /// Hops before that: others were asked whom to ask.
    before: usize,
    /// In how many hops the first answer with records was found, and whether only those asked first were needed.
    hops: Option<usize>,
    right: bool,
}

/// What has become of all searches.
#[derive(Debug, Default)]
pub(super) struct Searches {
    running: HashMap<u64, Search>,
    order: VecDeque<(Instant, u64)>,
    /// Who has asked others who keeps a key, and when.
    resolved: HashMap<(NodeId, Key), Instant>,
    /// Searches with an answer, the hops that they took, and those that were right at the first try.
    pub(super) answered: u64,
    pub(super) hops: u64,
    pub(super) right: u64,
    pub(super) unanswered: u64,
}

impl Searches {
    /// A super node sends something.
    pub(super) fn leaves(&mut self, from: NodeId, bytes: &[u8], now: Instant) {
        if bytes.get(HEAD) == Some(&WHO)
            && let Ok(Message::Who { key, .. }) = frame::decode::<Message>(OVERLAY, bytes)
        {
            self.resolved.insert((from, key), now);
        }
        if bytes.get(HEAD) != Some(&FIND) {
            return;
        }
        let Ok(Message::Find(find)) = frame::decode::<Message>(OVERLAY, bytes) else {
            return;
        };
        self.settle(now);
        if find.asker != from {
            return;
        }
        let resolved = self.resolved.remove(&(from, find.key));
        let search = self.running.entry(find.request).or_insert_with(|| {
            self.order.push_back((now, find.request));
            Search {
                began: now,
                again: false,
                asked: Vec::new(),
                before: usize::from(resolved.is_some()),
                hops: None,
                right: false,
            }
        });
        search.again |= now - search.began >= FIRST;
    }

    /// A super node gets something from another.
    pub(super) fn arrives(&mut self, from: NodeId, at: NodeId, bytes: &[u8]) {
        match bytes.get(HEAD) {
            Some(&FIND) => {
                if let Ok(Message::Find(find)) = frame::decode::<Message>(OVERLAY, bytes)
                    && let Some(search) = self.running.get_mut(&find.request)
                {
                    search.asked.push((at, find.visited.len()));
                }
            }
            Some(&FOUND) => {
                if let Ok(Message::Found { request, records }) =
                    frame::decode::<Message>(OVERLAY, bytes)
                    && let Some(search) = self.running.get_mut(&request)
                    && search.hops.is_none()
                    && !records.is_empty()
                {
                    let asked = search.asked.iter().find(|(node, _)| *node == from);
                    search.hops = asked.map(|(_, hops)| *hops);
                    search.right = search.hops == Some(1) && !search.again;
                }
            }
            _ => {}
        }
    }

    /// Counts anew.
    pub(super) fn forget(&mut self) {
        (self.answered, self.hops, self.right, self.unanswered) = (0, 0, 0, 0);
    }

    fn settle(&mut self, now: Instant) {
        while let Some(&(began, request)) = self.order.front()
            && now - began > OVER
        {
            self.order.pop_front();
            let Some(search) = self.running.remove(&request) else {
                continue;
            };
            match search.hops {
                Some(hops) => {
                    self.answered += 1;
                    self.hops += (hops + search.before) as u64;
                    self.right += u64::from(search.right);
                }
                None => self.unanswered += 1,
            }
        }
    }
}
