use super::*;
use alloc::string::String;
use alloc::vec;
use credential::{Instance, OverlayId, Signature};
use overlay::{Control, Key, Policy};

use crate::bridged::tests::certificate;

const OWN: NodeId = NodeId([2; 20]);
const OTHER: NodeId = NodeId([1; 20]);
const BOB: &str = "sip:bob@example.org";

fn bob(places: Vec<Location>) -> UserLocation {
    UserLocation {
        user: Aor::read(BOB).unwrap(),
        lifetime: 600,
        timestamp: 1,
        instance: Some(Instance::of_node(OTHER)),
        fingerprints: Vec::new(),
        trickle: true,
        locations: places,
    }
}

/// A record of Bob's, signed by himself or by a super node that speaks for his phone.
fn record(registrar: Option<NodeId>, location: &UserLocation) -> SignedRecord {
    SignedRecord {
        control: Control {
            overlay: OverlayId([0; 16]),
            key: location.user.key(),
            owner: BOB.into(),
            instance: Instance::of_node(OTHER),
            policy: Policy::default(),
            sequence: 1,
            lifetime: 600,
            no_update: false,
            removed: false,
        },
        body: location.to_bytes(),
        certificate: certificate(BOB, registrar),
        signature: Signature([0; 64]),
    }
}

fn routes(place: Whereabouts) -> Vec<String> {
    match place {
        Whereabouts::Phones(targets) => targets.into_iter().map(|target| target.route).collect(),
        Whereabouts::Pages | Whereabouts::Nowhere => Vec::new(),
    }
}

#[test]
fn r070_r077_a_phones_record_leads_to_the_proxy_of_its_registrar() {
    let place = proxy_place("192.0.2.1", 5060);
    let good = record(Some(OTHER), &bob(vec![place.clone()]));
    let uri = "sip:bob@example.org;x=1";
    let found = |uri: &str, records: &[SignedRecord]| whereabouts(uri, records, OWN);
    let one = |record: &SignedRecord| found(uri, core::slice::from_ref(record));
    assert_eq!(routes(one(&good)), ["<sip:192.0.2.1:5060;lr>"]);
    let carol = found("sip:carol@example.org", core::slice::from_ref(&good));
    assert_eq!(carol, Whereabouts::Nowhere);
    // One's own registrar knows better.
    let own = record(Some(OWN), &bob(vec![place.clone()]));
    assert_eq!(one(&own), Whereabouts::Nowhere);
    for spoil in [
        |record: &mut SignedRecord| record.control.removed = true,
        |record: &mut SignedRecord| record.control.lifetime = 601,
        |record: &mut SignedRecord| record.control.key = Key::of(b"x"),
        |record: &mut SignedRecord| record.control.owner = "sip:eve@example.org".into(),
        |record: &mut SignedRecord| record.certificate.clear(),
    ] {
        let mut spoilt = good.clone();
        spoil(&mut spoilt);
        assert_eq!(one(&spoilt), Whereabouts::Nowhere);
    }
    let mut tcp = place.clone();
    tcp.transports.remove(0);
    let tcp = record(Some(OTHER), &bob(vec![tcp]));
    assert_eq!(routes(one(&tcp)), ["<sip:192.0.2.1:5060;transport=tcp;lr>"]);
}

#[test]
fn r077_a_phone_never_stands_in_for_a_user_who_has_a_page() {
    let phone = record(Some(OTHER), &bob(vec![proxy_place("192.0.2.1", 5060)]));
    let page = record(None, &bob(vec![proxy_place("sn1.example.org", 443)]));
    for records in [[phone.clone(), page.clone()], [page, phone]] {
        assert_eq!(whereabouts(BOB, &records, OWN), Whereabouts::Pages);
    }
}
