use p2psip::location::{Location, Protocol, Transport, UserLocation};
use p2psip::{Aor, ProxyLocation};
use proptest::prelude::*;
use sip::Fingerprint;

use crate::location;

fn transports() -> impl Strategy<Value = Vec<Transport>> {
    let protocols = prop::sample::select(vec![
        Protocol::Udp,
        Protocol::Tcp,
        Protocol::Tls,
        Protocol::Ws,
        Protocol::Wss,
    ]);
    let transport = (protocols, 1_u16..).prop_map(|(protocol, port)| Transport { protocol, port });
    prop::collection::vec(transport, 1..5)
}

fn places() -> impl Strategy<Value = Vec<Location>> {
    let place = (
        "[a-z0-9.-]{1,30}",
        transports(),
        prop::option::of("sip:[a-z&<>'\"]{1,20}@example\\.org"),
        prop::option::of(any::<[u8; 20]>()),
        any::<u16>(),
    );
    let place = place.prop_map(
        |(address, transports, contact, node, preference)| Location {
            address,
            transports,
            contact,
            super_node: node.map(p2psip::credential::NodeId),
            preference,
        },
    );
    prop::collection::vec(place, 1..8).prop_map(|mut places| {
        places.sort_by_key(|place| place.preference);
        places
    })
}

fn records() -> impl Strategy<Value = UserLocation> {
    let user = "[a-zA-Z0-9<>&\"' é-]{1,12}".prop_filter_map("a user", |user| {
        let escaped: String = user.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let aor = Aor::read(&format!("sip:{escaped}@example.org"))?;
        (user.trim() == user).then_some(aor)
    });
    let print = any::<[u8; 32]>().prop_map(|digest| Fingerprint {
        algorithm: "sha-256".into(),
        digest: digest.to_vec(),
    });
    (
        user,
        any::<u32>(),
        any::<u64>(),
        prop::option::of(any::<[u8; 16]>()),
        prop::collection::vec(print, 0..4),
        any::<bool>(),
        places(),
    )
        .prop_map(
            |(user, lifetime, timestamp, instance, fingerprints, trickle, locations)| {
                UserLocation {
                    user,
                    lifetime,
                    timestamp,
                    instance: instance.map(p2psip::credential::Instance),
                    fingerprints,
                    trickle,
                    locations,
                }
            },
        )
}

/// The record as `docs/protocol.md` has it, written without the crate's writer.
fn written(record: &UserLocation) -> String {
    let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
    let element = |name: &str, text: &str| format!("<{name}>{}</{name}>", escape(text));
    let mut text = [
        element("version", "1.0"),
        element("type", "user location"),
        element("key", &record.user.key().to_string()),
        element("lifetime", &record.lifetime.to_string()),
        element("timestamp", &record.timestamp.to_string()),
        element("user_URI", record.user.name()),
    ]
    .concat();
    if let Some(instance) = record.instance {
        text += &element("instance", &instance.to_string());
    }
    for print in &record.fingerprints {
        let digits: Vec<String> = print
            .digest
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        text += &element(
            "fingerprint",
            &format!("{} {}", print.algorithm, digits.join(":")),
        );
    }
    if record.trickle {
        text += &element("trickle", "yes");
    }
    for place in &record.locations {
        let transports: Vec<String> = place
            .transports
            .iter()
            .map(|transport| format!("{:?}{}", transport.protocol, transport.port).to_uppercase())
            .collect();
        text += "<location>";
        text += &element("node_IP", &place.address);
        text += &element("transport", &transports.join(" "));
        if let Some(contact) = &place.contact {
            text += &element("contact", contact);
        }
        if let Some(node) = place.super_node {
            text += &element("super_node", &node.to_string());
        }
        if place.preference < u16::MAX {
            text += &element("preference", &place.preference.to_string());
        }
        text += "</location>";
    }
    format!("<resource>{text}</resource>")
}

proptest! {
    #[test]
    fn r038_r039_two_writers_agree_and_what_is_written_is_read(record in records()) {
        let bytes = record.to_bytes();
        prop_assert_eq!(core::str::from_utf8(&bytes).unwrap(), written(&record));
        prop_assert_eq!(UserLocation::read(&bytes), Ok(record));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(UserLocation::read(&bytes).is_err());
        prop_assert!(ProxyLocation::read(&bytes).is_err());
    }

    #[test]
    fn no_mutation_makes_it_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = location().to_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(read) = UserLocation::read(&bytes) {
            prop_assert_eq!(UserLocation::read(&read.to_bytes()), Ok(read));
        }
        let _ = UserLocation::read(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn nesting_does_not_exhaust_the_stack(depth in 0_usize..900) {
        let deep = "<a>".repeat(depth) + &"</a>".repeat(depth);
        let text = String::from_utf8(location().to_bytes()).unwrap();
        let text = text.replace("<trickle>", &(deep + "<trickle>"));
        prop_assert_eq!(UserLocation::read(text.as_bytes()), Ok(location()));
    }
}
