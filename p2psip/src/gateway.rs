//! Proxies of domains in an overlay: their records, and the way to another domain by them (draft §4.2).
//!
//! ```text
//! proxy of example.net --- add(): proxy location of example.net ---> transit overlay
//! proxy of example.org --- get(example.net) -----------------------> transit overlay
//! proxy of example.org --INVITE bob@example.net, Route: example.net;maddr=address;transport=tls--> proxy of example.net
//! ```
//! The members of a transit overlay are proxies of many domains, and each can place a record under any domain's name. What proves a
//! domain is TLS: the Route names the domain, and the server there has to show its certificate.

use alloc::boxed::Box;
use alloc::vec::Vec;

use credential::NodeId;
use overlay::SignedRecord;
use sip::proxy::Target;

use crate::location::{Location, Protocol, ProxyLocation, Transport};
use crate::proxy_key;

/// The most proxies of one domain that are tried.
const MOST: usize = 4;

/// The record of a domain's proxy that listens at this address by UDP and TCP, and perhaps by TLS.
#[must_use]
pub fn proxy_location(
    domain: &str,
    address: &str,
    ports: (u16, Option<u16>),
    lifetime: u32,
    timestamp: u64,
) -> ProxyLocation {
    let (port, tls) = ports;
    let one = |protocol, port| Transport { protocol, port };
    let mut transports = Vec::from([one(Protocol::Udp, port), one(Protocol::Tcp, port)]);
    transports.extend(tls.map(|port| one(Protocol::Tls, port)));
    ProxyLocation {
        domain: domain.to_ascii_lowercase(),
        lifetime,
        timestamp,
        locations: Vec::from([Location {
            address: address.into(),
            transports,
            contact: None,
            super_node: None,
            preference: 0,
        }]),
    }
}

/// The way of a request for `uri` to the proxies of its domain by these records, which the overlay has verified: to the best, and where
/// that can't be reached to the next one, and at last to `otherwise`. Records of `own` are passed over. With `secured`, places that
/// don't speak TLS are, too.
#[must_use]
pub fn proxy_target(
    uri: &str,
    records: &[SignedRecord],
    own: NodeId,
    secured: bool,
    otherwise: Option<Target>,
) -> Option<Target> {
    let domain = sip::Uri::read(uri).ok()?.host().to_ascii_lowercase();
    let mut places = Vec::new();
    for record in records {
        let control = &record.control;
        let owner: Option<NodeId> = control.owner.parse().ok();
        let his = !control.removed && control.key == proxy_key(&domain);
        if !his || owner.is_none_or(|owner| owner == own) {
            continue;
        }
        let Ok(proxy) = ProxyLocation::read(&record.body) else {
            continue;
        };
        if proxy.domain == domain && proxy.lifetime == control.lifetime {
            places.extend(proxy.locations);
        }
    }
    machine::sort_by_key(&mut places, |place| place.preference);
    let routes = places.iter();
    let routes = routes.filter_map(|place| route(&domain, place, secured));
    let routes: Vec<_> = routes.take(MOST).collect();
    routes.into_iter().rev().fold(otherwise, |next, route| {
        let mut target = Target::new(uri);
        target.route = route;
        target.otherwise = next.map(Box::new);
        Some(target)
    })
}

fn route(domain: &str, place: &Location, secured: bool) -> Option<alloc::string::String> {
    let find = |protocol: Protocol| {
        let mut all = place.transports.iter();
        all.find(|transport| transport.protocol == protocol)
    };
    let known = [
        (Protocol::Tls, ";transport=tls"),
        (Protocol::Udp, ""),
        (Protocol::Tcp, ";transport=tcp"),
    ];
    let mut known = known.into_iter();
    let (transport, parameter) =
        known.find_map(|(protocol, parameter)| Some((find(protocol)?, parameter)))?;
    if secured && transport.protocol != Protocol::Tls {
        return None;
    }
    let port = sip::digits(u64::from(transport.port));
    let parts = [
        "<sip:",
        domain,
        ":",
        &port,
        ";maddr=",
        &place.address,
        parameter,
        ";lr>",
    ];
    Some(sip::joined(&parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use credential::Signature;
    use overlay::{Control, Policy};

    const OWNER: NodeId = NodeId([1; 20]);
    const OWN: NodeId = NodeId([2; 20]);
    const BOB: &str = "sip:bob@Example.net";

    fn record(owner: &str, proxy: &ProxyLocation) -> SignedRecord {
        SignedRecord {
            control: Control {
                overlay: credential::OverlayId([0; 16]),
                key: proxy_key(&proxy.domain),
                owner: owner.into(),
                instance: credential::Instance([0; 16]),
                policy: Policy::default(),
                sequence: 1,
                lifetime: 600,
                no_update: false,
                removed: false,
            },
            body: proxy.to_bytes(),
            certificate: Vec::new(),
            signature: Signature([0; 64]),
        }
    }

    fn routes(records: &[SignedRecord], secured: bool) -> Vec<String> {
        let last = Some(Target::new(BOB));
        let mut next = proxy_target(BOB, records, OWN, secured, last);
        let mut routes = Vec::new();
        while let Some(target) = next {
            assert_eq!(target.uri, BOB);
            routes.push(target.route);
            next = target.otherwise.map(|target| *target);
        }
        routes
    }

    #[test]
    fn r066_r075_proxies_of_the_domain_are_tried_one_after_the_other_and_dns_last() {
        let owner = alloc::format!("{OWNER}");
        let first = proxy_location("example.net", "192.0.2.1", (5060, Some(5061)), 600, 1);
        let mut second = proxy_location("example.net", "sip2.example.net", (5070, None), 600, 1);
        second.locations[0].preference = 1;
        let [first, second] = [first, second].map(|one| record(&owner, &one));
        let tls = "<sip:example.net:5061;maddr=192.0.2.1;transport=tls;lr>";
        let udp = "<sip:example.net:5070;maddr=sip2.example.net;lr>";
        let both = [second, first.clone()];
        assert_eq!(routes(&both, false), [tls, udp, ""]);
        assert_eq!(routes(&both, true), [tls, ""], "who can't prove himself");
        assert_eq!(routes(&[], true), [""]);
    }

    #[test]
    fn r071_r075_what_is_not_said_of_this_domain_leads_nowhere() {
        let owner = alloc::format!("{OWNER}");
        let proxy = proxy_location("example.net", "192.0.2.1", (5060, None), 600, 1);
        let good = record(&owner, &proxy);
        assert_eq!(routes(core::slice::from_ref(&good), false).len(), 2);
        let none = |record: SignedRecord| assert_eq!(routes(&[record], false), [""]);
        none(record("sip:mallory@example.org", &proxy));
        none(record(&alloc::format!("{OWN}"), &proxy));
        let mut other = proxy.clone();
        other.domain = "example.com".into();
        none(record(&owner, &other));
        let mut spoilt = good.clone();
        spoilt.body = other.to_bytes();
        none(spoilt);
        let mut spoilt = good.clone();
        spoilt.control.removed = true;
        none(spoilt);
        let mut spoilt = good;
        spoilt.control.lifetime = 601;
        none(spoilt);
    }
}
