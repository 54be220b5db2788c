//! The vectors of `docs/protocol.md`, byte for byte.
#![expect(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use credential::{Instance, NodeId, OverlayId, Signature};
use overlay::association::{
    Contact, Denial, FromOrdinary, FromSuperNode, Mode, PutOutcome, SearchEnd,
};
use overlay::peer::{
    About, Announcement, Departure, Event, Find, Gone, Message, Part, Prefix, Slot, SlotId,
};
use overlay::{Control, Key, Policy, RecordFault, Refused, SignedRecord, Wire, Writer, frame};
use serde::{Serialize, de::DeserializeOwned};

const OVERLAY: OverlayId = OverlayId([0x11; 16]);
const NODE: NodeId = NodeId([0x22; 20]);
const OTHER: NodeId = NodeId([0x33; 20]);
const SEQUENCE: u64 = 1_780_272_000_000;

/// Collects the frames, and sees to it that each is read back as what was written.
#[derive(Default)]
struct Vectors(BTreeMap<String, Vec<u8>>);

impl Vectors {
    /// What is written and read by hand must be what postcard writes and reads.
    fn frame<T>(&mut self, name: &str, message: &T)
    where
        T: Wire + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug,
    {
        let bytes = frame::encode(OVERLAY, message);
        assert_eq!(frame::decode::<T>(OVERLAY, &bytes).as_ref(), Ok(message));
        assert_eq!(
            postcard::from_bytes::<T>(&bytes[17..]).as_ref(),
            Ok(message)
        );
        assert_eq!(postcard::to_allocvec(message).unwrap(), bytes[17..]);
        self.0.insert(name.to_owned(), bytes);
    }

    fn ordinary(&mut self, name: &str, message: FromOrdinary) {
        self.frame(name, &message);
    }

    fn super_node(&mut self, name: &str, message: FromSuperNode) {
        self.frame(name, &message);
    }

    fn peer(&mut self, name: &str, message: Message) {
        self.frame(name, &message);
    }
}

fn record() -> SignedRecord {
    SignedRecord {
        control: Control {
            overlay: OVERLAY,
            key: Key::of(b"user location|alice@example.org"),
            owner: "sip:alice@example.org".into(),
            instance: Instance([0x44; 16]),
            policy: Policy {
                update: Writer::Instance,
                remove: Writer::Owner,
            },
            sequence: SEQUENCE,
            lifetime: 3_600,
            no_update: false,
            removed: false,
        },
        body: b"body".to_vec(),
        certificate: vec![0x30, 0x00],
        signature: Signature([0x55; 64]),
    }
}

fn contact() -> Contact {
    Contact {
        node: OTHER,
        url: "wss://sn2.example.org/p2psip".into(),
    }
}

fn vectors() -> BTreeMap<String, Vec<u8>> {
    let mut all = Vectors::default();
    let mut tombstone = record();
    tombstone.control.removed = true;
    tombstone.body.clear();
    all.0.insert("record-signed".into(), record().message());
    all.0
        .insert("record".into(), postcard::to_allocvec(&record()).unwrap());
    all.0.insert("tombstone-signed".into(), tombstone.message());
    associations(&mut all, tombstone);
    membership(&mut all);
    records(&mut all);
    all.0
}

fn associations(all: &mut Vectors, tombstone: SignedRecord) {
    let key = record().control.key;
    all.ordinary(
        "on-hello",
        FromOrdinary::Hello {
            nonce: [0x66; 32],
            host: "sn1.example.org".into(),
            revocations: 7,
        },
    );
    all.ordinary(
        "on-proof",
        FromOrdinary::Proof {
            certificate: vec![0x30, 0x00],
            signature: Signature([0x77; 64]),
        },
    );
    all.ordinary(
        "on-get",
        FromOrdinary::Get {
            request: 300,
            key,
            owner: Some("sip:alice@example.org".into()),
            newest: true,
        },
    );
    all.ordinary(
        "on-put",
        FromOrdinary::Put {
            request: 301,
            mode: Mode::Update,
            record: record(),
        },
    );
    all.ordinary(
        "on-put-remove",
        FromOrdinary::Put {
            request: 302,
            mode: Mode::Remove,
            record: tombstone,
        },
    );
    all.ordinary(
        "on-touch",
        FromOrdinary::Touch {
            request: 303,
            control: record().control,
            signature: record().signature,
        },
    );
    all.ordinary("on-ping", FromOrdinary::Ping { number: 5 });
    all.super_node(
        "sn-challenge",
        FromSuperNode::Challenge {
            nonce: [0x88; 32],
            certificate: vec![0x30, 0x00],
            signature: Signature([0x99; 64]),
        },
    );
    all.super_node(
        "sn-welcome",
        FromSuperNode::Welcome {
            time: SEQUENCE,
            super_nodes: vec![contact()],
            stun: vec!["stun:sn1.example.org:3478".into()],
            revocations: None,
        },
    );
    all.super_node(
        "sn-refused",
        FromSuperNode::Refused {
            why: Denial::Expired,
            super_nodes: vec![contact()],
        },
    );
    all.super_node(
        "sn-records",
        FromSuperNode::Records {
            request: 300,
            records: vec![record()],
            end: None,
        },
    );
    all.super_node(
        "sn-records-end",
        FromSuperNode::Records {
            request: 300,
            records: Vec::new(),
            end: Some(SearchEnd::Complete),
        },
    );
    all.super_node(
        "sn-put",
        FromSuperNode::Put {
            request: 301,
            outcome: PutOutcome::Stored,
        },
    );
    all.super_node(
        "sn-put-refused",
        FromSuperNode::Put {
            request: 301,
            outcome: PutOutcome::Refused(Refused::Older(SEQUENCE)),
        },
    );
    all.super_node(
        "sn-put-faulty",
        FromSuperNode::Put {
            request: 301,
            outcome: PutOutcome::Refused(Refused::Record(RecordFault::Signature)),
        },
    );
    all.super_node(
        "sn-put-absent",
        FromSuperNode::Put {
            request: 303,
            outcome: PutOutcome::Refused(Refused::Absent),
        },
    );
    all.super_node("sn-lost", FromSuperNode::Lost { key });
    all.super_node("sn-pong", FromSuperNode::Pong { number: 5 });
    all.super_node(
        "sn-revocations",
        FromSuperNode::Revocations { list: vec![1, 2] },
    );
}

fn membership(all: &mut Vectors) {
    let announcement = Announcement {
        about: About {
            statement: vec![0xaa; 142],
            incarnation: SEQUENCE,
            quic: "sn1.example.org:5062".into(),
            url: "wss://sn1.example.org/p2psip".into(),
            reach: 4,
        },
        signature: Signature([0xbb; 64]),
    };
    all.0.insert(
        "announcement-signed".into(),
        announcement.about.message(OVERLAY),
    );
    all.peer(
        "peer-hello",
        Message::Hello {
            announcement: None,
            joining: true,
        },
    );
    comparing(all);
    all.peer(
        "peer-announcements",
        Message::Announcements {
            announcements: vec![announcement.clone()],
        },
    );
    all.peer("peer-ask", Message::Ask { nodes: vec![NODE] });
    all.peer(
        "peer-doubt",
        Message::Doubt {
            node: NODE,
            incarnation: SEQUENCE,
        },
    );
    guiding(all, &announcement);
    let gone = Gone {
        node: NODE,
        incarnation: SEQUENCE,
        at: SEQUENCE + 1_000,
        reporter: Some(OTHER),
    };
    all.0
        .insert("departure-signed".into(), gone.message(OVERLAY));
    let signature = Signature([0xcc; 64]);
    let events = vec![
        Event::Gone(Departure { gone, signature }),
        Event::Up(announcement),
    ];
    let parts = vec![Part {
        until: OTHER,
        events,
    }];
    all.peer("peer-news", Message::News { parts });
    all.peer("peer-alive", Message::News { parts: Vec::new() });
    all.peer("peer-ping", Message::Ping { number: 5 });
    all.peer("peer-pong", Message::Pong { number: 5 });
    all.peer(
        "peer-revocations",
        Message::Revocations { list: vec![1, 2] },
    );
}

fn guiding(all: &mut Vectors, announcement: &Announcement) {
    let size = Message::Size {
        members: 20_000,
        full: 9_000,
        pace: 300,
    };
    all.peer("peer-size", size);
    all.peer("peer-fetch", Message::Fetch { reach: 4 });
    all.peer("peer-guides", Message::Guides);
    let (request, key) = (403, record().control.key);
    all.peer("peer-who", Message::Who { request, key });
    let announcements = vec![announcement.clone()];
    all.peer(
        "peer-keepers",
        Message::Keepers {
            request,
            announcements,
        },
    );
}

fn comparing(all: &mut Vectors) {
    all.peer(
        "peer-digest",
        Message::Digest {
            at: SEQUENCE,
            hash: 0x0102_0304_0506_0708,
            revocations: 7,
        },
    );
    let mut hashes = [0; 16];
    hashes[2] = 0x0102_0304_0506_0708;
    all.peer(
        "peer-branch",
        Message::Branch {
            at: SEQUENCE,
            prefix: Prefix { digits: 0, bits: 0 },
            hashes,
        },
    );
    all.peer(
        "peer-members",
        Message::Members {
            at: SEQUENCE,
            prefix: Prefix {
                digits: 2,
                bits: 0x2200_0000,
            },
            entries: vec![(NODE, SEQUENCE)],
        },
    );
}

fn records(all: &mut Vectors) {
    let key = record().control.key;
    let (after, last) = (Key([0x10; 20]), Key([0x20; 20]));
    let id = SlotId::of(&record().control);
    all.0.insert("slot".into(), id.0.to_vec());
    all.peer(
        "peer-find",
        Message::Find(Find {
            asker: NODE,
            request: 400,
            key,
            owner: None,
            ttl: 2,
            visited: vec![NODE],
        }),
    );
    all.peer(
        "peer-found",
        Message::Found {
            request: 400,
            records: vec![record()],
        },
    );
    all.peer(
        "peer-ack",
        Message::Ack {
            asker: NODE,
            request: 400,
        },
    );
    all.peer(
        "peer-place",
        Message::Place {
            request: 401,
            mode: Mode::Add,
            record: record(),
        },
    );
    all.peer(
        "peer-touch",
        Message::Touch {
            request: 402,
            control: record().control,
            signature: record().signature,
        },
    );
    all.peer(
        "peer-placed",
        Message::Placed {
            request: 401,
            outcome: PutOutcome::Stored,
        },
    );
    all.peer(
        "peer-compare",
        Message::Compare {
            after,
            last,
            digest: 9,
        },
    );
    all.peer("peer-same", Message::Same { after, last });
    let sequence = SEQUENCE;
    all.peer(
        "peer-slots",
        Message::Slots {
            after,
            last,
            slots: vec![Slot { id, sequence }],
            more: false,
        },
    );
    all.peer("peer-want", Message::Want { slots: vec![id] });
    all.peer(
        "peer-copies",
        Message::Copies {
            records: vec![record()],
        },
    );
}

/// The blocks that begin with ` ```vector overlay/<name> `.
fn documented() -> BTreeMap<String, String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("```vector overlay/").skip(1);
    let read = |block: &str| {
        let (name, rest) = block.split_once('\n').unwrap();
        let (hex, _) = rest.split_once("```").unwrap();
        (name.to_owned(), hex.split_whitespace().collect())
    };
    blocks.map(read).collect()
}

#[test]
fn r126_every_message_is_documented_byte_for_byte() {
    let documented = documented();
    for (name, bytes) in vectors() {
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        assert_eq!(documented.get(&name), Some(&hex), "{name}");
    }
    let known = vectors();
    for name in documented.keys() {
        assert!(known.contains_key(name), "{name} is documented only");
    }
}
