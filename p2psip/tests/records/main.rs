//! Location records (draft §8): vectors, the draft's own examples, an independent writer, and hostile bytes.
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod hostile;
mod vectors;

use p2psip::credential::{Instance, NodeId};
use p2psip::location::{Location, Protocol, Transport, UserLocation};
use p2psip::{Aor, ProxyLocation};
use sip::Fingerprint;

pub(crate) fn location() -> UserLocation {
    let instance = Instance([0x11; 16]);
    let place = |address: &str, port, node, preference| Location {
        address: address.into(),
        transports: vec![Transport {
            protocol: Protocol::Wss,
            port,
        }],
        contact: Some(format!("sip:alice@example.org;gr={instance}")),
        super_node: Some(NodeId([node; 20])),
        preference,
    };
    UserLocation {
        user: Aor::read("sip:alice@example.org").unwrap(),
        lifetime: 3600,
        timestamp: 1_795_401_240_000,
        instance: Some(instance),
        fingerprints: vec![Fingerprint {
            algorithm: "sha-256".into(),
            digest: (0..32).collect(),
        }],
        trickle: true,
        locations: vec![
            place("sn1.example.org", 443, 0xa1, 1),
            place("192.0.2.7", 8443, 0xa2, 2),
        ],
    }
}

pub(crate) fn proxy() -> ProxyLocation {
    ProxyLocation {
        domain: "example.org".into(),
        lifetime: 36000,
        timestamp: 198_023_422,
        locations: vec![Location {
            address: "178.14.234.21".into(),
            transports: vec![
                Transport {
                    protocol: Protocol::Tcp,
                    port: 5060,
                },
                Transport {
                    protocol: Protocol::Udp,
                    port: 5060,
                },
            ],
            contact: None,
            super_node: None,
            preference: u16::MAX,
        }],
    }
}
