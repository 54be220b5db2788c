//! What a binding takes of memory. A process of its own, so that nothing else grows beside it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use machine::Instant;
use sip::registrar::{Limits, Registrar};
use sip::{Message, Peer, Transport, Uri};

const USERS: usize = 50_000;

/// The process's memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes: String = line.chars().filter(char::is_ascii_digit).collect();
    kilobytes.parse::<usize>().unwrap() * 1024
}

#[test]
fn r077_a_binding_takes_1200_bytes_at_most() {
    let mut registrar = Registrar::new(Limits::default(), [1; 16]);
    let source = Peer::at(Transport::Udp, "192.0.2.1:5060".parse().unwrap());
    let before = resident();
    for number in 0..USERS {
        let text = format!(
            "REGISTER sip:example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number};rport\r\n\
             From: <sip:user{number}@example.org>;tag={number}\r\nTo: <sip:user{number}@example.org>\r\n\
             Call-ID: {number}-abcdef0123456789@192.0.2.1\r\nCSeq: 1 REGISTER\r\n\
             Contact: <sip:user{number}@192.0.2.1:5060;transport=udp>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-{number:012x}>\"\r\n\
             Expires: 3600\r\nContent-Length: 0\r\n\r\n"
        );
        let request = Message::parse(text.into_bytes()).unwrap();
        let answer = registrar.register(&request, source, Instant::EPOCH);
        assert_eq!(answer.status, 200);
        while registrar.poll_event().is_some() {}
    }
    let each = (resident() - before) / USERS;
    assert!((100..=1200).contains(&each), "{each} bytes");
    assert_eq!(registrar.users(), USERS);
    let uri = Uri::read("sip:user49999@example.org").unwrap();
    assert_eq!(registrar.lookup(&uri, Instant::EPOCH).len(), 1);
}
