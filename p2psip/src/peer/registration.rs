use alloc::vec::Vec;
use core::time::Duration;

use credential::{Instance, NodeId};
use machine::{Instant, sort_by_key};
use overlay::{Key, LinkId, OrdinaryNode, Placement, QueryId};
use sip::Fingerprint;

use super::Event;
use crate::Aor;
use crate::location::{Location, Transport, UserLocation};

/// Seconds that a location record lives.
const LIFETIME: u32 = 3600;
/// After this a record is placed again, though nothing has changed.
const HALF_LIFE: Duration = Duration::from_secs(LIFETIME as u64 / 2);
/// The first pause after a failure; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Keeps the user's location record in the overlay (draft §4.1) while he wants to be callable.
#[derive(Debug)]
pub(super) struct Registration {
    user: Aor,
    instance: Instance,
    fingerprint: Option<Fingerprint>,
    placing: Option<QueryId>,
    removing: Option<QueryId>,
    /// When the record is to be placed next.
    due: Option<Instant>,
    /// Something changed while a placement was under way.
    changed: bool,
    failures: u32,
    timestamp: u64,
    /// Where the user is reached besides.
    #[cfg(feature = "phones")]
    besides: Option<Location>,
    /// What was placed last.
    body: Vec<u8>,
    online: bool,
}

impl Registration {
    pub(super) fn new(user: Aor, instance: Instance) -> Self {
        Self {
            user,
            instance,
            fingerprint: None,
            placing: None,
            removing: None,
            due: None,
            changed: false,
            failures: 0,
            timestamp: 0,
            #[cfg(feature = "phones")]
            besides: None,
            body: Vec::new(),
            online: false,
        }
    }

    /// The user wants to be callable, with this fingerprint.
    pub(super) fn begin(&mut self, fingerprint: Fingerprint, now: Instant) {
        if self.fingerprint.as_ref() != Some(&fingerprint) {
            self.fingerprint = Some(fingerprint);
            self.touch(now);
        }
    }

    /// Where the user is reached besides, by plain SIP.
    #[cfg(feature = "phones")]
    pub(super) fn also_at(&mut self, place: Location) {
        self.besides = Some(place);
    }

    /// What the record says, or who signs it, has changed.
    pub(super) fn touch(&mut self, now: Instant) {
        if self.fingerprint.is_none() {
            return;
        }
        self.failures = 0;
        if self.placing.is_some() {
            self.changed = true;
        } else {
            self.due = Some(now);
        }
    }

    /// All who kept a record are gone: it is placed again soon, though not by all users at the same moment, nor without
    /// end for a super node that makes it up.
    pub(super) fn lost(&mut self, key: Key, now: Instant) {
        if key == self.user.key() && self.fingerprint.is_some() && self.placing.is_none() {
            let soon = now + (FIRST_PAUSE + self.spread(4 * FIRST_PAUSE));
            self.due = Some(self.due.map_or(soon, |due| due.min(soon)));
        }
    }

    /// A part of a time that differs from device to device, so that those who began together do not go on together.
    fn spread(&self, time: Duration) -> Duration {
        time * u32::from(self.instance.0[15]) / 256
    }

    /// The user doesn't want to be callable any more.
    pub(super) fn end(&mut self, node: &mut OrdinaryNode, now: Instant) -> Option<Event> {
        let wanted = self.fingerprint.take().is_some();
        self.due = None;
        self.changed = false;
        let placing = self.placing.take();
        if let Some(query) = placing {
            node.cancel(query);
        }
        let placed = core::mem::take(&mut self.online) || placing.is_some();
        if wanted && placed {
            let key = self.user.key();
            self.removing = Some(node.remove(node.overlay(), key, Some(self.instance), now));
            return None;
        }
        self.removing.is_none().then_some(Event::Offline)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Places the record if it is time; waits for an association if there is none.
    pub(super) fn run(&mut self, node: &mut OrdinaryNode, now: Instant) {
        let Some(fingerprint) = &self.fingerprint else {
            return;
        };
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = None;
        let locations = self.locations(node);
        if locations.is_empty() {
            return;
        }
        let mut record = UserLocation {
            user: self.user.clone(),
            lifetime: LIFETIME,
            timestamp: self.timestamp,
            instance: Some(self.instance),
            fingerprints: [fingerprint.clone()].into(),
            trickle: true,
            locations,
        };
        let placement = Placement::lasting(LIFETIME);
        // The same words need no later time stamp, and then are not sent again: see `OrdinaryNode::update`.
        let mut body = record.to_bytes();
        if body != self.body {
            self.timestamp = node.network_time(now).max(self.timestamp + 1);
            record.timestamp = self.timestamp;
            body = record.to_bytes();
            self.body.clone_from(&body);
        }
        self.placing = Some(node.update(node.overlay(), self.user.key(), body, placement, now));
    }

    /// The super nodes that this device is associated with, in order of association.
    fn locations(&self, node: &OrdinaryNode) -> Vec<Location> {
        let mut associations: Vec<(LinkId, NodeId, &str)> = node.associations().collect();
        sort_by_key(&mut associations, |(link, _, _)| *link);
        let contact = contact(&self.user, self.instance);
        let mut locations = Vec::new();
        for (_, node, url) in associations {
            if let Some((address, transport)) = Transport::of_url(url) {
                locations.push(Location {
                    address,
                    transports: [transport].into(),
                    contact: Some(contact.clone()),
                    super_node: Some(node),
                    preference: locations.len() as u16 + 1,
                });
            }
        }
        #[cfg(feature = "phones")]
        if !locations.is_empty() {
            locations.extend(self.besides.clone());
        }
        locations
    }

    /// Takes in that a placement or removal is done; `None` if it is not this one's.
    pub(super) fn placed(&mut self, query: QueryId, now: Instant) -> Option<Event> {
        if self.removing == Some(query) {
            self.removing = None;
            return self.fingerprint.is_none().then_some(Event::Offline);
        }
        if self.placing != Some(query) {
            return None;
        }
        self.placing = None;
        self.failures = 0;
        self.due = Some(if core::mem::take(&mut self.changed) {
            now
        } else {
            now + (HALF_LIFE - self.spread(HALF_LIFE / 8))
        });
        (!core::mem::replace(&mut self.online, true)).then_some(Event::Online)
    }

    /// Takes in that a placement or removal failed.
    pub(super) fn failed(&mut self, query: QueryId, now: Instant) -> Option<Event> {
        if self.removing == Some(query) {
            // Nobody waits for a second attempt, and the record ends by itself.
            self.removing = None;
            return self.fingerprint.is_none().then_some(Event::Offline);
        }
        if self.placing != Some(query) {
            return None;
        }
        self.placing = None;
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(6));
        self.failures += 1;
        self.due = Some(if core::mem::take(&mut self.changed) {
            now
        } else {
            now + (pause.min(LONGEST_PAUSE) + self.spread(pause / 2))
        });
        let first = core::mem::take(&mut self.online) || self.failures == 1;
        first.then_some(Event::NotOnline)
    }
}

/// The URI of one of a user's devices, whatever super node it is behind (RFC 5627).
pub(super) fn contact(user: &Aor, instance: Instance) -> alloc::string::String {
    sip::joined(&[user.uri(), ";gr=", &instance.urn()])
}
