//! The P2P proxy's part beyond its own overlay (draft §4.2): further domains in further overlays, a transit overlay in which proxies
//! find each other, the records of this proxy, and a location server for whom the overlay does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use credential::OverlayId;
use p2psip::{Aor, Key, Placement, SignedRecord};
use p2psip::{Whereabouts, proxy_key, proxy_location, proxy_target};
use sip::Uri;
use sip::proxy::{Lookup, Target};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::overlay::located;
use crate::clock::Clock;
use crate::config::Sip;
use crate::node::Api;

/// How long a search in an overlay may take: DNS still has to have its turn within the patience of whoever asks.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long a record that could not be placed waits for the next try.
const AGAIN: Duration = Duration::from_secs(2);
/// Searches on their way.
const MOST: usize = 10_000;
/// Seconds that the record of a proxy lives.
pub(super) const LIFETIME: u32 = 3_600;

/// The overlays that this process is in.
#[derive(Debug, Clone)]
pub(crate) struct Overlays(Arc<watch::Sender<BTreeMap<OverlayId, Api>>>);

impl Overlays {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }

    /// A node of this process is a super node of an overlay.
    pub(crate) fn add(&self, overlay: OverlayId, api: Api) {
        self.0.send_modify(|all| {
            all.insert(overlay, api);
        });
    }

    fn get(&self, overlay: OverlayId) -> Option<Api> {
        self.0.borrow().get(&overlay).cloned()
    }

    /// Waits until this process is in an overlay.
    async fn wait(&self, overlay: OverlayId) -> Option<Api> {
        let mut seen = self.0.subscribe();
        let all = seen.wait_for(|all| all.contains_key(&overlay)).await;
        all.ok()?.get(&overlay).cloned()
    }
}

/// Finds what is not in the node's own overlay.
pub(super) struct Gateway {
    overlays: Overlays,
    /// Further domains, each in its overlay.
    domains: BTreeMap<String, OverlayId>,
    transit: Option<OverlayId>,
    location_server: Option<String>,
    /// Whether other proxies have to prove their domain.
    secured: bool,
    searches: JoinSet<(Lookup, Vec<Target>)>,
    /// Keep the records of this proxy placed.
    _records: JoinSet<()>,
}

impl Gateway {
    /// The gateway of a proxy that listens at `ports`, UDP and TCP first, then TLS. Its records say so, in the overlay of each domain and
    /// in the transit overlay.
    pub(super) fn new(
        config: &Sip,
        own: Option<OverlayId>,
        overlays: Overlays,
        ports: (u16, Option<u16>),
        clock: Clock,
        lifetime: u32,
    ) -> Self {
        let domains = config.domains();
        let chief = config.domain.to_ascii_lowercase();
        let homes = domains.clone().into_iter();
        let mut places: BTreeSet<_> = homes.chain(own.map(|own| (chief.clone(), own))).collect();
        let transit = config.transit;
        if let Some(transit) = transit {
            let names: BTreeSet<_> = domains.keys().cloned().chain([chief]).collect();
            places.extend(names.into_iter().map(|name| (name, transit)));
        }
        let mut records = JoinSet::new();
        for (domain, overlay) in places {
            let kept = Kept {
                address: config.host(),
                domain,
                ports,
                lifetime,
                clock,
            };
            records.spawn(kept.keep(overlays.clone(), overlay));
        }
        Self {
            overlays,
            domains,
            transit,
            location_server: config.location_server.clone(),
            secured: config.certificate.is_some(),
            searches: JoinSet::new(),
            _records: records,
        }
    }

    /// Begins to look for a user of another domain than the chief one. False if he is of that.
    pub(super) fn find(&mut self, lookup: Lookup, uri: &str, chief: &str) -> bool {
        let host = Uri::read(uri).map_or_else(|_| String::new(), |uri| uri.host().to_lowercase());
        if host == chief || self.searches.len() >= MOST {
            return false;
        }
        let uri = uri.to_owned();
        match self.domains.get(&host) {
            Some(overlay) => {
                let api = self.overlays.get(*overlay);
                let server = self.location_server(&uri);
                self.searches.spawn(async move {
                    let key = Aor::read(&uri).map(|user| user.key());
                    let targets = match api.zip(key) {
                        Some((api, key)) => match located(&api, &uri, &look(&api, key).await) {
                            Whereabouts::Phones(targets) => targets,
                            Whereabouts::Pages | Whereabouts::Nowhere => Vec::new(),
                        },
                        None => Vec::new(),
                    };
                    (lookup, if targets.is_empty() { server } else { targets })
                });
            }
            None if self.transit.is_some() => {
                let api = self.transit.and_then(|overlay| self.overlays.get(overlay));
                let secured = self.secured;
                self.searches.spawn(async move {
                    let dns = Target::new(&uri);
                    let target = match api {
                        Some(api) => {
                            let records = look(&api, proxy_key(&host)).await;
                            proxy_target(&uri, &records, api.node, secured, Some(dns))
                        }
                        None => Some(dns),
                    };
                    (lookup, target.into_iter().collect())
                });
            }
            None => return false,
        }
        true
    }

    /// Where a request goes for a user of an own domain whom the overlay does not know: to the location server, if there is one.
    pub(super) fn location_server(&self, uri: &str) -> Vec<Target> {
        let server = self.location_server.iter();
        let target = server.map(|server| {
            let mut target = Target::new(uri);
            target.route = format!("<{server};lr>");
            target
        });
        target.collect()
    }

    /// What comes of a search; `None` if none is on its way.
    pub(super) async fn next(&mut self) -> Option<(Lookup, Vec<Target>)> {
        loop {
            if let Ok(found) = self.searches.join_next().await? {
                return Some(found);
            }
        }
    }
}

async fn look(api: &Api, key: Key) -> Vec<SignedRecord> {
    let Some(answered) = api.get(key) else {
        return Vec::new();
    };
    match timeout(PATIENCE, answered).await {
        Ok(Ok(Ok(records))) => records,
        Ok(Ok(Err(_)) | Err(_)) | Err(_) => Vec::new(),
    }
}

/// A record of this proxy.
struct Kept {
    domain: String,
    address: String,
    ports: (u16, Option<u16>),
    lifetime: u32,
    clock: Clock,
}

impl Kept {
    /// Places the record once this process has joined the overlay, and a fresh one whenever half of its life is over.
    async fn keep(self, overlays: Overlays, overlay: OverlayId) {
        let key = proxy_key(&self.domain);
        loop {
            let Some(api) = overlays.wait(overlay).await else {
                return;
            };
            let wall = self.clock.wall();
            let record =
                proxy_location(&self.domain, &self.address, self.ports, self.lifetime, wall);
            let begun = api.update(key, record.to_bytes(), Placement::lasting(self.lifetime));
            let placed = match begun {
                Some(answered) => matches!(answered.await, Ok(Ok(_))),
                None => false,
            };
            if placed {
                sleep(Duration::from_secs(u64::from(self.lifetime)) / 2).await;
            } else {
                tracing::debug!(self.domain, %overlay, "the record of the proxy was not placed");
                sleep(AGAIN).await;
            }
        }
    }
}
