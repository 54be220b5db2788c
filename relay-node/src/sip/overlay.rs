use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use machine::Instant;
use p2psip::{Aor, Placement, phone_location, phone_targets};
use sip::proxy::{Lookup, Target};
use sip::registrar::Registrar;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::clock::Clock;
use crate::node::Api;

/// How long a search in the overlay may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a record that could not be placed waits for the next try.
const AGAIN: Duration = Duration::from_secs(2);
/// A record lives at least so many seconds, so that phones that register every minute don't place one every minute.
const SHORTEST: u32 = 600;
/// Searches and placements on their way.
const MOST: usize = 10_000;

/// What the overlay tells.
pub(super) enum Told {
    /// Where a user is; nowhere, if he was not found.
    Found {
        lookup: Lookup,
        targets: Vec<Target>,
    },
    /// The record of a user was not placed, and no later one is on its way.
    NotPlaced { aor: Arc<str> },
}

/// The overlay, as far as it knows of phones.
pub(super) struct Overlay {
    api: Option<Api>,
    clock: Clock,
    host: String,
    port: u16,
    /// When the record of each user has to be placed again.
    due: HashMap<Arc<str>, Instant>,
    searches: JoinSet<(Lookup, Vec<Target>)>,
    placements: JoinSet<(Arc<str>, u64, bool)>,
    /// The last placement of each user that is on its way.
    latest: HashMap<Arc<str>, u64>,
    next: u64,
}

impl Overlay {
    /// The overlay of a super node whose phones are reached at this address; none, if there is no super node.
    pub(super) fn new(api: Option<Api>, clock: Clock, host: &str, port: u16) -> Self {
        Self {
            api,
            clock,
            host: host.to_owned(),
            port,
            due: HashMap::new(),
            searches: JoinSet::new(),
            placements: JoinSet::new(),
            latest: HashMap::new(),
            next: 0,
        }
    }

    /// Begins to look for a user who is not registered here.
    pub(super) fn find(&mut self, lookup: Lookup, uri: String) {
        let api = self.api.as_ref().filter(|_| self.searches.len() < MOST);
        let key = Aor::read(&uri).map(|user| user.key());
        let asked = api
            .zip(key)
            .and_then(|(api, key)| Some((api.get(key)?, api.node)));
        self.searches.spawn(async move {
            let Some((answered, own)) = asked else {
                return (lookup, Vec::new());
            };
            match timeout(PATIENCE, answered).await {
                Ok(Ok(Ok(records))) => (lookup, phone_targets(&uri, &records, own)),
                Ok(Ok(Err(_)) | Err(_)) | Err(_) => (lookup, Vec::new()),
            }
        });
    }

    /// What comes of a search or a placement; `None` if neither is on its way.
    pub(super) async fn next(&mut self) -> Option<Told> {
        loop {
            tokio::select! {
                Some(found) = self.searches.join_next() => {
                    if let Ok((lookup, targets)) = found {
                        return Some(Told::Found { lookup, targets });
                    }
                }
                Some(ended) = self.placements.join_next() => {
                    let Ok((aor, number, placed)) = ended else { continue };
                    if self.latest.get(&aor) == Some(&number) {
                        self.latest.remove(&aor);
                        if !placed {
                            return Some(Told::NotPlaced { aor });
                        }
                    }
                }
                else => return None,
            }
        }
    }

    /// Places a user's record as his bindings are now, if they are `changed`, or it has used up half of its life.
    pub(super) fn note(&mut self, aor: &Arc<str>, registrar: &Registrar, changed: bool) {
        let Some(api) = &self.api else { return };
        let now = self.clock.now();
        let until = registrar.contacts(aor).map(|contact| contact.until).max();
        if !changed && self.due.get(aor).is_some_and(|due| *due > now) {
            return;
        }
        let Some(user) = Aor::read(aor) else { return };
        let lifetime = match until {
            Some(until) => {
                let left = until.saturating_duration_since(now).as_secs();
                let lifetime = u32::try_from(left).unwrap_or(SHORTEST).max(SHORTEST);
                let half = Duration::from_secs(u64::from(lifetime / 2));
                self.due.insert(aor.clone(), now + half);
                lifetime
            }
            // Nobody is to find him any more: what is placed last lives for a moment.
            None => {
                self.due.remove(aor);
                1
            }
        };
        let key = user.key();
        let location = phone_location(user, &self.host, self.port, lifetime, self.clock.wall());
        if self.placements.len() >= MOST {
            // The next refresh tries again.
            self.due.remove(aor);
            return;
        }
        let begun = api.update(key, location.to_bytes(), Placement::lasting(lifetime));
        let (aor, number) = (aor.clone(), self.next);
        self.next += 1;
        self.latest.insert(aor.clone(), number);
        self.placements.spawn(async move {
            let placed = match begun {
                Some(answered) => matches!(answered.await, Ok(Ok(_))),
                None => false,
            };
            if !placed {
                tracing::debug!(%aor, "the record of a phone was not placed");
                sleep(AGAIN).await;
            }
            (aor, number, placed)
        });
    }
}
