//! Names to addresses, against a DNS of our own.

use std::collections::BTreeMap;

use proptest::prelude::*;
use sip::Transport;
use sip::resolve::{Naptr, Question, Records, Search, Srv, Unresolvable};

const SPOKEN: [Transport; 3] = [Transport::Udp, Transport::Tcp, Transport::Tls];

#[derive(Default)]
struct Dns {
    naptr: BTreeMap<&'static str, Vec<Naptr>>,
    srv: BTreeMap<&'static str, Vec<Srv>>,
    address: BTreeMap<&'static str, Vec<&'static str>>,
    asked: Vec<Question>,
}

fn naptr(order: u16, preference: u16, service: &str, replacement: &str) -> Naptr {
    Naptr {
        order,
        preference,
        flags: "s".into(),
        service: service.into(),
        replacement: replacement.into(),
    }
}

fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Srv {
    Srv {
        priority,
        weight,
        port,
        target: target.into(),
    }
}

impl Dns {
    fn resolve(&mut self, uri: &str, seed: u8) -> Vec<String> {
        let mut search = Search::new(uri, &SPOKEN, [seed; 32]).unwrap();
        while let Some(question) = search.poll() {
            let records = match &question {
                Question::Naptr(name) => {
                    Records::Naptr(self.naptr.get(&**name).cloned().unwrap_or_default())
                }
                Question::Srv(name) => {
                    Records::Srv(self.srv.get(&**name).cloned().unwrap_or_default())
                }
                Question::Address(name) => {
                    let all = self.address.get(&**name).cloned().unwrap_or_default();
                    Records::Address(all.iter().map(|ip| ip.parse().unwrap()).collect())
                }
            };
            search.answer(&question, records);
            self.asked.push(question);
        }
        let peers = search.peers().expect("nothing more is asked");
        peers.iter().map(ToString::to_string).collect()
    }
}

/// The example of RFC 3263, section 4.1, with addresses.
fn example() -> Dns {
    let mut dns = Dns::default();
    dns.naptr.insert(
        "example.com",
        vec![
            naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com."),
            naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com"),
            naptr(100, 50, "SIP+D2U", "_sip._udp.example.com"),
            naptr(10, 50, "SIP+D2S", "_sip._sctp.example.com"),
            naptr(10, 50, "E2U+email", "x.example.com"),
        ],
    );
    dns.srv.insert(
        "_sips._tcp.example.com",
        vec![srv(0, 1, 5061, "server1.example.com.")],
    );
    dns.srv.insert(
        "_sip._tcp.example.com",
        vec![
            srv(1, 1, 5060, "Server2.example.com"),
            srv(0, 1, 5070, "server1.example.com"),
        ],
    );
    dns.address
        .insert("server1.example.com", vec!["192.0.2.1", "2001:db8::1"]);
    dns.address.insert("server2.example.com", vec!["192.0.2.2"]);
    dns.address.insert("example.com", vec!["192.0.2.9"]);
    dns
}

#[test]
fn r073_naptr_then_srv_then_addresses() {
    let mut dns = example();
    assert_eq!(
        dns.resolve("sip:bob@example.com", 0),
        [
            "tls 192.0.2.1:5061",
            "tls [2001:db8::1]:5061",
            "tcp 192.0.2.1:5070",
            "tcp [2001:db8::1]:5070",
            "tcp 192.0.2.2:5060"
        ]
    );
    assert_eq!(dns.asked.len(), 6, "each name once: {:?}", dns.asked);
    assert_eq!(
        dns.resolve("sips:bob@example.com", 0),
        ["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061"]
    );
}

#[test]
fn r073_what_the_uri_says_is_not_asked_for() {
    for (uri, peers, questions) in [
        ("sip:192.0.2.7", &["udp 192.0.2.7:5060"][..], 0),
        ("sip:192.0.2.7:5090", &["udp 192.0.2.7:5090"], 0),
        ("sips:192.0.2.7", &["tls 192.0.2.7:5061"], 0),
        (
            "sip:[2001:db8::7];transport=TCP",
            &["tcp [2001:db8::7]:5060"],
            0,
        ),
        (
            "sip:b@example.com;maddr=192.0.2.8",
            &["udp 192.0.2.8:5060"],
            0,
        ),
        ("sip:b@example.com:5070", &["udp 192.0.2.9:5070"], 1),
        ("sips:b@example.com:5070", &["tls 192.0.2.9:5070"], 1),
        (
            "sip:b@example.com:5070;transport=tcp",
            &["tcp 192.0.2.9:5070"],
            1,
        ),
        (
            "sip:b@EXAMPLE.com;transport=udp",
            &["udp 192.0.2.9:5060"],
            2,
        ),
        (
            "sip:b@example.com;transport=tls",
            &["tls 192.0.2.1:5061", "tls [2001:db8::1]:5061"],
            2,
        ),
        ("sip:b@nowhere.example", &[], 5),
    ] {
        let mut dns = example();
        assert_eq!(dns.resolve(uri, 0), peers, "{uri}");
        assert_eq!(dns.asked.len(), questions, "{uri}: {:?}", dns.asked);
    }
    let new = |uri: &str, spoken: &[Transport]| Search::new(uri, spoken, [0; 32]).err();
    assert_eq!(new("tel:123", &SPOKEN), Some(Unresolvable::Uri));
    assert_eq!(
        new("sip:a;transport=sctp", &SPOKEN),
        Some(Unresolvable::Transport)
    );
    assert_eq!(
        new("sips:a;transport=udp", &SPOKEN),
        Some(Unresolvable::Transport)
    );
    assert_eq!(new("sips:a", &SPOKEN[..2]), Some(Unresolvable::Transport));
}

#[test]
fn without_naptr_each_transport_is_asked_for() {
    let mut dns = example();
    dns.naptr.clear();
    let peers = dns.resolve("sip:bob@example.com", 0);
    assert_eq!(
        peers.first().map(String::as_str),
        Some("tcp 192.0.2.1:5070")
    );
    assert_eq!(
        peers.last().map(String::as_str),
        Some("tls [2001:db8::1]:5061")
    );
    // A single dot: decidedly not available, so the domain's own address is not tried either.
    dns.srv = BTreeMap::from([("_sip._udp.example.com", vec![srv(0, 0, 0, ".")])]);
    assert!(dns.resolve("sip:bob@example.com", 0).is_empty());
    // No SRV at all: the domain itself.
    dns.srv.clear();
    assert_eq!(
        dns.resolve("sip:bob@example.com", 0),
        ["udp 192.0.2.9:5060"]
    );
    assert_eq!(
        dns.resolve("sips:bob@example.com", 0),
        ["tls 192.0.2.9:5061"]
    );
}

#[test]
fn weights_share_the_load() {
    let mut dns = example();
    dns.srv.insert(
        "_sip._udp.example.com",
        vec![
            srv(1, 60, 1, "server1.example.com"),
            srv(1, 40, 2, "server2.example.com"),
            srv(0, 0, 3, "server2.example.com"),
        ],
    );
    let mut first = 0;
    for seed in 0..200 {
        let peers = dns.resolve("sip:b@example.com;transport=udp", seed);
        assert!(
            peers[0].ends_with(":3"),
            "the lowest priority comes first: {peers:?}"
        );
        first += u32::from(peers[1].ends_with(":1"));
    }
    assert!(
        (90..150).contains(&first),
        "{first} of 200 should be about 120"
    );
}

#[test]
fn a44_dns_that_answers_without_end_finds_one() {
    let mut dns = Dns::default();
    dns.srv.insert(
        "_sip._udp.example.com",
        (0..5000)
            .map(|n| srv(n, 1, n, "server1.example.com"))
            .collect(),
    );
    dns.address
        .insert("server1.example.com", vec!["192.0.2.1"; 500]);
    assert_eq!(dns.resolve("sip:b@example.com;transport=udp", 0).len(), 16);
    // What was not asked for is not taken.
    let mut search = Search::new("sip:b@example.com", &SPOKEN, [0; 32]).unwrap();
    let stranger = Question::Address("example.com".into());
    search.answer(
        &stranger,
        Records::Address(vec!["192.0.2.66".parse().unwrap()]),
    );
    assert_eq!(search.peers(), None);
}

proptest! {
    #[test]
    fn any_uri_comes_to_an_end(uri in "sips?:[a-z@.:;=0-9\\[\\]]{0,40}", seed in any::<u8>()) {
        if Search::new(&uri, &SPOKEN, [0; 32]).is_ok() {
            let mut dns = example();
            dns.resolve(&uri, seed);
            prop_assert!(dns.asked.len() < 20);
        }
    }
}
