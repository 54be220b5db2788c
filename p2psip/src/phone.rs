//! Phones in the overlay: the records of the P2P registrar, and what the P2P proxy makes of them (draft §4.2, §4.3).
//!
//! ```text
//! phone --REGISTER--> super node 1: registrar --- user location, delegated certificate ---> overlay
//! caller ---INVITE--> super node 2: proxy ------- get() -----------------------------------> overlay
//!                                   proxy --INVITE, Route: super node 1--> proxy --INVITE--> phone
//! page --INVITE, Route: super node 1--> its edge --> line of the phone (module `bridged`) --> proxy --> phone
//! ```
//! A phone's record is a user's, with two kinds of places: the registrar's super node for pages, and its proxy for other proxies.
//! The certificate that signed it says that a super node holds the key. A record of the user's own, from a page, stands above it.

use alloc::vec::Vec;

use credential::{Certificate, NodeId};
use overlay::SignedRecord;
use sip::proxy::Target;

use crate::Aor;
use crate::location::{Location, Protocol, Transport, UserLocation};

/// Where the proxy of a phone's registrar is reached, by UDP and TCP.
#[must_use]
pub fn proxy_place(address: &str, port: u16) -> Location {
    let transport = |protocol| Transport { protocol, port };
    Location {
        address: address.into(),
        transports: alloc::vec![transport(Protocol::Udp), transport(Protocol::Tcp)],
        contact: None,
        super_node: None,
        preference: 100,
    }
}

/// Where a user is, as his records say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whereabouts {
    /// At pages of his own.
    Pages,
    /// At phones, which are registered at other super nodes: the way to their proxies.
    Phones(Vec<Target>),
    /// Nowhere else.
    Nowhere,
}

/// Where a request for `uri` goes by these records, which the overlay has verified. A phone's record counts only where there is none
/// of the user's own; those of `own` are passed over: it knows better.
#[must_use]
pub fn whereabouts(uri: &str, records: &[SignedRecord], own: NodeId) -> Whereabouts {
    let Some(user) = Aor::read(uri) else {
        return Whereabouts::Nowhere;
    };
    let mut targets = Vec::new();
    for record in records {
        let control = &record.control;
        if control.removed || control.key != user.key() || control.owner != user.uri() {
            continue;
        }
        let (Ok(certificate), Ok(location)) = (
            Certificate::read(&record.certificate),
            UserLocation::read(&record.body),
        ) else {
            continue;
        };
        if location.user != user || location.lifetime != control.lifetime {
            continue;
        }
        match certificate.registrar() {
            None => return Whereabouts::Pages,
            Some(node) if node == own => {}
            Some(_) => {
                let mut places = location.locations.iter();
                targets.extend(places.find_map(|place| target(uri, place)));
            }
        }
    }
    if targets.is_empty() {
        Whereabouts::Nowhere
    } else {
        Whereabouts::Phones(targets)
    }
}

/// The record that says that a phone of `user` is registered at the super node whose proxy has this address, by UDP and TCP: one that the
/// super node signs by its own name, where nobody certifies phones.
#[must_use]
pub fn phone_location(
    user: Aor,
    address: &str,
    port: u16,
    lifetime: u32,
    timestamp: u64,
) -> UserLocation {
    UserLocation {
        user,
        lifetime,
        timestamp,
        instance: None,
        fingerprints: Vec::new(),
        trickle: false,
        locations: alloc::vec![Location {
            preference: 0,
            ..proxy_place(address, port)
        }],
    }
}

/// Where a request for `uri` goes by these records, which the overlay has verified: to the proxies at which phones of that user
/// are registered. Those of `own` are passed over: it knows better.
#[must_use]
pub fn phone_targets(uri: &str, records: &[SignedRecord], own: NodeId) -> Vec<Target> {
    let Some(user) = Aor::read(uri) else {
        return Vec::new();
    };
    let mut targets = Vec::new();
    for record in records {
        let control = &record.control;
        let owner: Option<NodeId> = control.owner.parse().ok();
        if control.removed || control.key != user.key() || owner.is_none_or(|owner| owner == own) {
            continue;
        }
        let Ok(location) = UserLocation::read(&record.body) else {
            continue;
        };
        if location.user == user && location.lifetime == control.lifetime {
            targets.extend(
                location
                    .locations
                    .iter()
                    .filter_map(|place| target(uri, place)),
            );
        }
    }
    targets
}

fn target(uri: &str, place: &Location) -> Option<Target> {
    let mut transports = place.transports.iter();
    let (transport, parameter) = transports.find_map(|transport| match transport.protocol {
        Protocol::Udp => Some((transport, "")),
        Protocol::Tcp => Some((transport, ";transport=tcp")),
        Protocol::Tls | Protocol::Ws | Protocol::Wss => None,
    })?;
    let port = sip::digits(u64::from(transport.port));
    let mut target = Target::new(uri);
    target.route = sip::joined(&["<sip:", &place.address, ":", &port, parameter, ";lr>"]);
    Some(target)
}

#[cfg(test)]
mod tests;
