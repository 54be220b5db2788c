use super::*;
use crate::location::{Location, Protocol, Transport};
use alloc::vec;
use credential::{NodeId, OverlayId, Signature};
use overlay::{Control, Policy};
use sip::Fingerprint;

const DEVICE: Instance = Instance([7; 16]);

fn bob() -> UserLocation {
    UserLocation {
        user: Aor::read("sip:bob@example.org").unwrap(),
        lifetime: 600,
        timestamp: 1,
        instance: Some(DEVICE),
        fingerprints: vec![Fingerprint {
            algorithm: "sha-256".into(),
            digest: vec![1; 32],
        }],
        trickle: true,
        locations: vec![Location {
            address: "sn1.example.org".into(),
            transports: vec![Transport {
                protocol: Protocol::Wss,
                port: 443,
            }],
            contact: None,
            super_node: Some(NodeId([1; 20])),
            preference: 1,
        }],
    }
}

/// What Bob's record with this content says of where to call him.
fn read(location: &UserLocation) -> Option<Target> {
    let user = bob().user;
    let control = Control {
        overlay: OverlayId([0; 16]),
        key: user.key(),
        owner: user.uri().into(),
        instance: DEVICE,
        policy: Policy::default(),
        sequence: 1,
        lifetime: 600,
        no_update: false,
        removed: false,
    };
    let record = SignedRecord {
        control,
        body: location.to_bytes(),
        certificate: Vec::new(),
        signature: Signature([0; 64]),
    };
    Entry::new(user, Instant::EPOCH).target(&record)
}

#[test]
fn a10_r138_a_record_counts_only_for_the_user_device_and_time_that_its_owner_signed() {
    assert_eq!(read(&bob()).unwrap().instance, DEVICE);
    let carol = Aor::read("sip:carol@example.org").unwrap();
    let others: [fn(&mut UserLocation, Aor); 4] = [
        |location, carol| location.user = carol,
        |location, _| location.instance = Some(Instance([8; 16])),
        |location, _| location.instance = None,
        |location, _| location.lifetime = 86_400,
    ];
    for (at, change) in others.into_iter().enumerate() {
        let mut location = bob();
        change(&mut location, carol.clone());
        assert!(read(&location).is_none(), "{at}");
    }
}

#[test]
fn a10_r117_a_record_that_names_no_key_or_no_super_node_leads_nowhere() {
    let mut location = bob();
    location.fingerprints.clear();
    assert!(read(&location).is_none());
    let mut location = bob();
    location.locations[0].super_node = None;
    assert!(read(&location).is_none());
}
