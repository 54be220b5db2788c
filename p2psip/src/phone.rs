//! Phones in the overlay: the records of the P2P registrar, and what the P2P proxy makes of them (draft §4.2, §4.3).
//!
//! ```text
//! phone --REGISTER--> super node 1: registrar --- user location, owner: super node 1 ---> overlay
//! caller ---INVITE--> super node 2: proxy ------- get() ---------------------------------> overlay
//!                                   proxy --INVITE, Route: super node 1--> proxy --INVITE--> phone
//! ```
//! The record is the draft's, with the address of the registrar's own proxy. It is signed by the super node, not by the
//! user, and whoever reads it can tell: its owner is a node id. A user's own record is never taken for a phone's.

use alloc::vec::Vec;

use credential::NodeId;
use overlay::SignedRecord;
use sip::proxy::Target;

use crate::Aor;
use crate::location::{Location, Protocol, Transport, UserLocation};

/// The record that says that a phone of `user` is registered at the super node whose proxy has this address, by UDP and TCP.
#[must_use]
pub fn phone_location(
    user: Aor,
    address: &str,
    port: u16,
    lifetime: u32,
    timestamp: u64,
) -> UserLocation {
    let transport = |protocol| Transport { protocol, port };
    UserLocation {
        user,
        lifetime,
        timestamp,
        instance: None,
        fingerprints: Vec::new(),
        trickle: false,
        locations: alloc::vec![Location {
            address: address.into(),
            transports: alloc::vec![transport(Protocol::Udp), transport(Protocol::Tcp)],
            contact: None,
            super_node: None,
            preference: 0,
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
mod tests {
    use super::*;
    use alloc::string::String;
    use credential::Signature;
    use overlay::{Control, Key, Policy};

    const OWNER: NodeId = NodeId([1; 20]);
    const OWN: NodeId = NodeId([2; 20]);

    fn record(owner: &str, location: &UserLocation) -> SignedRecord {
        SignedRecord {
            control: Control {
                overlay: credential::OverlayId([0; 16]),
                key: location.user.key(),
                owner: owner.into(),
                instance: credential::Instance([0; 16]),
                policy: Policy::default(),
                sequence: 1,
                lifetime: 600,
                no_update: false,
                removed: false,
            },
            body: location.to_bytes(),
            certificate: Vec::new(),
            signature: Signature([0; 64]),
        }
    }

    fn bob() -> UserLocation {
        let user = Aor::read("sip:bob@example.org").unwrap();
        phone_location(user, "192.0.2.1", 5060, 600, 1)
    }

    #[test]
    fn r070_r077_a_phones_record_leads_to_the_proxy_of_its_registrar() {
        let found = |uri: &str, record: &SignedRecord| {
            let targets = phone_targets(uri, core::slice::from_ref(record), OWN);
            targets
                .into_iter()
                .map(|target| (target.uri, target.route))
                .collect::<Vec<_>>()
        };
        let owner = alloc::format!("{OWNER}");
        let good = record(&owner, &bob());
        let uri = "sip:bob@example.org;x=1";
        assert_eq!(
            found(uri, &good),
            [(uri.into(), "<sip:192.0.2.1:5060;lr>".into())]
        );
        assert_eq!(found("sip:carol@example.org", &good), []);
        // A page's record is for pages, whatever is in it; one's own registrar knows better.
        assert_eq!(found(uri, &record("sip:bob@example.org", &bob())), []);
        assert_eq!(found(uri, &record(&alloc::format!("{OWN}"), &bob())), []);
        let mut spoilt = good.clone();
        spoilt.control.removed = true;
        assert_eq!(found(uri, &spoilt), []);
        let mut spoilt = good.clone();
        spoilt.control.lifetime = 601;
        assert_eq!(found(uri, &spoilt), [], "the lifetimes differ");
        let mut spoilt = good;
        spoilt.control.key = Key::of(b"x");
        assert_eq!(found(uri, &spoilt), []);
        let mut secured = bob();
        secured.locations[0].transports.remove(0);
        let tcp = "<sip:192.0.2.1:5060;transport=tcp;lr>";
        assert_eq!(
            found(uri, &record(&owner, &secured)),
            [(uri.into(), String::from(tcp))]
        );
        secured.locations[0].transports[0].protocol = Protocol::Wss;
        assert_eq!(found(uri, &record(&owner, &secured)), []);
    }
}
