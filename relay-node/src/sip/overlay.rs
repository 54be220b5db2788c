use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use machine::Instant;
use p2psip::{
    Aor, Placement, SignedRecord, Whereabouts, phone_location, phone_targets, whereabouts,
};
use sip::proxy::Lookup;
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
    /// Where a user is.
    Found {
        lookup: Lookup,
        uri: String,
        place: Whereabouts,
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
    searches: JoinSet<(Lookup, String, Whereabouts)>,
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
            .and_then(|(api, key)| Some((api.get(key)?, api.clone())));
        self.searches.spawn(async move {
            let mut place = Whereabouts::Nowhere;
            if let Some((answered, api)) = asked
                && let Ok(Ok(Ok(records))) = timeout(PATIENCE, answered).await
            {
                place = located(&api, &uri, &records);
            }
            (lookup, uri, place)
        });
    }

    /// What comes of a search or a placement; `None` if neither is on its way.
    pub(super) async fn next(&mut self) -> Option<Told> {
        loop {
            tokio::select! {
                Some(found) = self.searches.join_next() => {
                    if let Ok((lookup, uri, place)) = found {
                        return Some(Told::Found { lookup, uri, place });
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

    /// Says whether this super node signs the records of phones by its own name: where no login server gives certificates for them.
    pub(super) fn signs(&self) -> bool {
        self.api.as_ref().is_some_and(|api| api.login.is_none())
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

/// Where a user is by these records. In a network with a login server, phones are certified, and nothing else counts; in one without, super
/// nodes are believed about phones.
pub(super) fn located(api: &Api, uri: &str, records: &[SignedRecord]) -> Whereabouts {
    let place = whereabouts(uri, records, api.node);
    if place != Whereabouts::Nowhere || api.login.is_some() {
        return place;
    }
    let targets = phone_targets(uri, records, api.node);
    if targets.is_empty() {
        Whereabouts::Nowhere
    } else {
        Whereabouts::Phones(targets)
    }
}

/// The hosts from which a phone's SIP comes.
pub(super) fn hosts(registrar: &Registrar, aor: &str) -> Vec<IpAddr> {
    let contacts = registrar.contacts(aor);
    let hosts = contacts.filter_map(|contact| match contact.flow {
        Some(flow) => Some(flow.address.ip()),
        None => {
            let uri = sip::Uri::read(contact.uri).ok()?;
            uri.host().trim_matches(['[', ']']).parse().ok()
        }
    });
    hosts.collect()
}
