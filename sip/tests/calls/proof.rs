//! Nothing rings and no media is told of before it is proved.

use credential::{RevocationList, Serial};
use sip::{EndReason, Event, Input, Misbehaviour};

use crate::authority::{Authority, WALL};
use crate::network::{Fate, Network, ended, established, incoming, sdp};

/// Two users, each with a super node of his own.
fn two() -> (Network, usize, usize) {
    let mut net = Network::new(2);
    let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[2]));
    (net, alice, bob)
}

/// Calls bob while somebody changes what arrives at him; says the statuses that came back and what both heard.
fn altered(change: impl Fn(&str) -> String + 'static) -> (Vec<u16>, Vec<Event>, Vec<Event>) {
    let (mut net, alice, bob) = two();
    net.middle = Some(Box::new(move |agent, message, bytes| {
        if agent == bob && message.method_text() == "INVITE" {
            return Fate::Become(change(&String::from_utf8_lossy(bytes)).into_bytes());
        }
        Fate::Deliver
    }));
    net.call(alice, &[bob]);
    net.run(300);
    let statuses = net
        .trace
        .iter()
        .filter_map(|line| line.split(" SIP/2.0 ").nth(1));
    let statuses = statuses
        .filter_map(|rest| rest[..3].parse().ok())
        .filter(|status| *status != 100)
        .collect();
    (statuses, net.events(alice), net.events(bob))
}

fn refused(change: impl Fn(&str) -> String + 'static, status: u16, reason: EndReason) {
    let (statuses, alice, bob) = altered(change);
    assert_eq!(statuses, [status]);
    assert_eq!(ended(&alice), Some((reason, true)));
    only_a_bad_identity(&bob);
}

/// Whoever saw these events heard nothing of a call.
fn only_a_bad_identity(heard: &[Event]) {
    let how = Misbehaviour::BadIdentity;
    assert!(
        matches!(heard, [Event::Misbehaved { how: seen, .. }] if *seen == how),
        "{heard:?}"
    );
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let mut lines = text.split("\r\n");
    lines
        .find(|line| line.starts_with(name))
        .unwrap_or_else(|| panic!("no {name}"))
}

#[test]
fn a10_unaltered_control() {
    let (statuses, _, bob) = altered(str::to_string);
    assert!(statuses.is_empty());
    incoming(&bob);
}

#[test]
fn a10_fingerprint_in_the_offer_changed() {
    refused(
        |text| text.replace("fingerprint:sha-256 01:01", "fingerprint:sha-256 66:66"),
        438,
        EndReason::IdentityRefused,
    );
}

#[test]
fn a10_fingerprint_in_the_offer_added_or_removed() {
    let line = |text: &str| format!("{}\r\n", header(text, "a=fingerprint"));
    let resize = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let old = header(head, "Content-Length");
        format!(
            "{}\r\n\r\n{body}",
            head.replace(old, &format!("Content-Length: {}", body.len()))
        )
    };
    refused(
        move |text| resize(&text.replace(&line(text), "")),
        438,
        EndReason::IdentityRefused,
    );
    refused(
        move |text| {
            resize(&text.replace(
                &line(text),
                &(line(text) + &line(text).replace("01:01", "66:66")),
            ))
        },
        438,
        EndReason::IdentityRefused,
    );
}

#[test]
fn a10_one_of_two_signed_fingerprints_removed() {
    let (mut net, alice, bob) = two();
    let second = format!("a=fingerprint:sha-256 {}", ["77"; 32].join(":"));
    let offer = sdp(&net.agents[alice].fingerprint, "offer") + &second + "\r\n";
    let blank = format!("a=x{}", " ".repeat(second.len() - 3));
    net.middle = Some(Box::new(move |agent, _, bytes| {
        let text = String::from_utf8_lossy(bytes);
        if agent == bob {
            Fate::Become(text.replace(&second, &blank).into_bytes())
        } else {
            Fate::Deliver
        }
    }));
    let target = net.target(bob);
    net.call_at(alice, "sip:bob@example.org", offer, vec![target]);
    net.run(300);
    assert_eq!(net.count(alice, "SIP/2.0 438"), 1);
}

#[test]
fn a10_section_without_a_key_added() {
    let (mut net, alice, bob) = two();
    let whole = sdp(&net.agents[alice].fingerprint, "offer");
    // The fingerprint stands in the section, not above it.
    let line = format!("{}\r\n", header(&whole, "a=fingerprint"));
    let offer = whole.replace(&line, "") + &line + "a=x-a-line-to-lose\r\n";
    net.middle = Some(Box::new(move |agent, _, bytes| {
        let text = String::from_utf8_lossy(bytes);
        let other = text.replace("a=x-a-line-to-lose", "m=audio 9 RTP/AVP ");
        if agent == bob {
            Fate::Become(other.into_bytes())
        } else {
            Fate::Deliver
        }
    }));
    let target = net.target(bob);
    net.call_at(alice, "sip:bob@example.org", offer, vec![target]);
    net.run(300);
    assert_eq!(net.count(alice, "SIP/2.0 438"), 1);
}

#[test]
fn a10_identity_removed() {
    refused(
        |text| text.replace(&format!("{}\r\n", header(text, "Identity")), ""),
        428,
        EndReason::IdentityRefused,
    );
}

#[test]
fn r117_caller_callee_or_call_changed_on_the_way() {
    refused(
        |text| text.replace("<sip:alice@", "<sip:carol@"),
        438,
        EndReason::IdentityRefused,
    );
    refused(
        |text| {
            let to = header(text, "To:");
            text.replace(to, "To: <sip:dave@example.org>")
        },
        438,
        EndReason::IdentityRefused,
    );
    let (_, _, bob) = altered(|text| text.replace(header(text, "Call-ID"), "Call-ID: another"));
    only_a_bad_identity(&bob);
}

#[test]
fn a14_call_to_somebody_else_or_from_another_device_does_not_ring() {
    // The record of dave that the caller was given leads to bob.
    let (mut net, alice, bob) = two();
    let target = net.target(bob);
    let offer = sdp(&net.agents[alice].fingerprint, "offer");
    net.call_at(alice, "sip:dave@example.org", offer, vec![target]);
    net.run(300);
    assert_eq!(net.count(alice, "SIP/2.0 438"), 1);
    assert_eq!(ended(&net.events(bob)), None);

    // The device that will be spoken to is the one whose certificate signed.
    let device = |text: &str| {
        let contact = header(text, "Contact:");
        text.replace(contact, &contact.replace("urn:uuid:0101", "urn:uuid:0909"))
    };
    refused(device, 438, EndReason::IdentityRefused);
}

#[test]
fn a42_offer_within_a_call_by_somebody_else() {
    let (mut net, [(alice, call), (bob, _)]) = established();
    let mallory = net.authority.user("sip:mallory@example.org", 1);
    let account = sip::Account {
        uri: mallory.uri.clone(),
        name: None,
        instance: mallory.instance,
        certificate: mallory.certificate.clone(),
    };
    net.agents[alice].user = mallory;
    net.with(alice, |ua, now| {
        machine::Machine::handle_input(ua, Input::Renewed(account), now)
    });
    let offer = sdp(&net.agents[alice].fingerprint, "restart");
    net.with(alice, |ua, now| ua.renegotiate(call, offer, now));
    net.run(5);
    // Her super node would refuse the From; one that doesn't hands the request on.
    let invite = net
        .sent
        .iter()
        .rev()
        .find(|text| text.starts_with("INVITE"))
        .unwrap();
    assert!(invite.contains("From: <sip:mallory@"));
    net.inject(bob, invite.clone().into_bytes());
    net.run(5);
    only_a_bad_identity(&net.events(bob));
}

#[test]
fn a42_from_of_an_offer_within_a_call_changed_on_the_way() {
    let (mut net, [(alice, call), (bob, _)]) = established();
    net.middle = Some(Box::new(move |agent, message, bytes| {
        if agent == bob && message.method_text() == "INVITE" {
            let text = String::from_utf8_lossy(bytes);
            let from = header(&text, "From:");
            let other = from.replace("<sip:alice@", "<sip:carol@");
            return Fate::Become(text.replace(from, &other).into_bytes());
        }
        Fate::Deliver
    }));
    let offer = sdp(&net.agents[alice].fingerprint, "restart");
    net.with(alice, |ua, now| ua.renegotiate(call, offer, now));
    net.run(100);
    assert_eq!(net.count(alice, "SIP/2.0 438"), 1);
}

#[test]
fn a06_certificate_of_another_user_over_the_callers_name() {
    let mut net = Network::new(2);
    let mut mallory = net.authority.user("sip:mallory@example.org", 9);
    mallory.uri = "sip:alice@example.org".into();
    let (mallory, bob) = (net.join_as(mallory, &[1]), net.join("bob", 2, &[2]));
    net.call(mallory, &[bob]);
    net.run(300);
    assert_eq!(net.count(mallory, "SIP/2.0 438"), 1);
    assert!(ended(&net.events(mallory)).is_some());
}

#[test]
fn a14_certificate_of_another_overlay_or_expired_or_revoked() {
    let mut net = Network::new(2);
    let bob = net.join("bob", 2, &[2]);
    let foreign = net.join_as(Authority::new(7).user("sip:alice@example.org", 1), &[1]);
    let other = net.join_as(Authority::new(8).user("sip:alice@example.org", 4), &[1]);
    let old = net.authority.user_until("sip:old@example.org", 5, 2026);
    let old = net.join_as(old, &[1]);
    for caller in [foreign, other, old] {
        net.call(caller, &[bob]);
        net.run(300);
        assert_eq!(
            net.count(caller, "SIP/2.0 437"),
            1,
            "{}",
            net.trace.join("\n")
        );
        assert_eq!(
            ended(&net.events(caller)),
            Some((EndReason::CredentialExpired, true))
        );
    }
    let good = net.join("alice", 6, &[1]);
    let overlay = net.authority.anchor.overlay();
    let list = RevocationList::new(overlay, 1, WALL, vec![Serial([9; 16])]).unwrap();
    net.with(bob, |ua, now| {
        machine::Machine::handle_input(ua, Input::Revocations(list), now)
    });
    net.call(good, &[bob]);
    net.run(300);
    assert_eq!(net.count(good, "SIP/2.0 437"), 1);
    let heard = net.events(bob);
    assert!(
        heard
            .iter()
            .all(|event| matches!(event, Event::Misbehaved { .. })),
        "{heard:?}"
    );
}

#[test]
fn a14_stale_identity() {
    for (delay, status) in [(30_000, None), (61_500, Some("SIP/2.0 403"))] {
        let (mut net, alice, bob) = two();
        let target = net.target(bob);
        let offer = sdp(&net.agents[alice].fingerprint, "offer");
        let call = net.with(alice, |ua, now| {
            let call = ua.call("sip:bob@example.org", now);
            ua.offer(call, offer, now);
            call
        });
        net.middle = Some(Box::new(move |agent, message, _| {
            let hold = agent == bob && message.method_text() == "INVITE";
            if hold { Fate::Drop } else { Fate::Deliver }
        }));
        net.run(100);
        net.with(alice, |ua, now| ua.locations(call, vec![target], now));
        net.run(100);
        net.middle = None;
        net.run(delay);
        // What was held back arrives now.
        let invite = net.held.pop().unwrap();
        net.inject(bob, invite);
        net.run(100);
        match status {
            None => drop(incoming(&net.events(bob))),
            Some(status) => assert_eq!(net.count(alice, status), 1, "{:#?}", net.trace),
        }
    }
}

#[test]
fn a14_identity_serves_for_one_call_only() {
    let (mut net, alice, bob) = two();
    let call = net.call(alice, &[bob]);
    net.run(100);
    let invite = net.last_seen(bob, "INVITE");
    net.with(alice, |ua, now| ua.hang_up(call, now));
    net.run(45_000);
    net.events(bob);
    // The call is forgotten, the token is still fresh, and everything else is as it was.
    net.inject(bob, invite);
    net.run(100);
    only_a_bad_identity(&net.events(bob));
}

#[test]
fn r117_fingerprint_changed_in_the_answer_is_refused_before_media() {
    let (mut net, alice, bob) = two();
    net.call(alice, &[bob]);
    net.run(100);
    let taken = incoming(&net.events(bob));
    let wrong = sip::Fingerprint {
        algorithm: "sha-256".into(),
        digest: vec![0x66; 32],
    };
    net.with(bob, |ua, now| ua.answer(taken, sdp(&wrong, "answer"), now));
    net.run(300);
    let events = net.events(alice);
    assert_eq!(ended(&events), Some((EndReason::MediaRefused, true)));
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Answered { .. }))
    );
    assert_eq!((net.count(bob, "ACK"), net.count(bob, "BYE")), (1, 1));
    assert_eq!(
        ended(&net.events(bob)),
        Some((EndReason::MediaRefused, true))
    );
}

#[test]
fn a53_display_name_is_signed_and_cleaned() {
    let mut net = Network::new(2);
    let mut alice = net.authority.user("sip:alice@example.org", 1);
    alice.uri = "sip:alice@example.org".into();
    let (alice, bob) = (net.join_as(alice, &[1]), net.join("bob", 2, &[2]));
    let account = sip::Account {
        uri: "sip:alice@example.org".into(),
        name: Some("A\"\\<b>\r\n\u{202e}x".into()),
        instance: net.agents[alice].user.instance,
        certificate: net.agents[alice].user.certificate.clone(),
    };
    net.with(alice, |ua, now| {
        machine::Machine::handle_input(ua, Input::Renewed(account), now)
    });
    net.middle = Some(Box::new(move |agent, message, bytes| {
        if agent == bob && message.method_text() == "INVITE" {
            let text = String::from_utf8_lossy(bytes);
            let from = header(&text, "From:");
            let name = &from[..from.rfind("<sip:").unwrap()];
            assert!(!from.contains('\n'));
            return Fate::Become(text.replace(name, "From: \"The Bank\" ").into_bytes());
        }
        Fate::Deliver
    }));
    net.call(alice, &[bob]);
    net.run(300);
    let events = net.events(bob);
    let Some(Event::Incoming { caller, .. }) = events.first() else {
        return;
    };
    assert_eq!(caller.name.as_deref(), Some("A\"\\<b>x"));
}

/// Every cut of the Identity, and flipped bits all along it, one at a time.
#[test]
fn a39_identity_cut_or_flipped_anywhere_is_refused() {
    let (mut net, alice, bob) = two();
    net.middle = Some(Box::new(|_, _, _| Fate::Drop));
    net.call(alice, &[bob]);
    net.run(50);
    let first = net.held.iter().find(|bytes| bytes.starts_with(b"INVITE"));
    let invite = String::from_utf8(first.unwrap().clone()).unwrap();
    net.silence(2);
    let identity = header(&invite, "Identity: ").to_string();
    let value = &identity["Identity: ".len()..];
    let mut bad: Vec<Vec<u8>> = (0..value.len())
        .map(|end| value.as_bytes()[..end].to_vec())
        .collect();
    for at in 0..value.len() {
        // All bits of signature and parameters, one of every other byte, another in each of eight neighbours.
        let all = at + 140 > value.len();
        for bit in (0..8).filter(|bit| all || *bit == at % 8) {
            let mut flipped = value.as_bytes().to_vec();
            flipped[at] ^= 1 << bit;
            bad.push(flipped);
        }
    }
    for (number, one) in bad.into_iter().enumerate() {
        let text = invite.replace("z9hG4bK", &format!("z9hG4bK{number}x"));
        let text = text.replace(";tag=", &format!(";tag=t{number}"));
        let (before, after) = text.split_once(&identity).unwrap();
        let bytes = [before.as_bytes(), b"Identity: ", &one, after.as_bytes()].concat();
        net.inject(bob, bytes);
        net.run(2);
        let heard = net.events(bob);
        let refused = |event: &Event| matches!(event, Event::Misbehaved { .. });
        assert!(
            !heard.is_empty() && heard.iter().all(refused),
            "{number} {heard:?}"
        );
    }
    net.inject(bob, invite.into_bytes());
    net.run(2);
    incoming(&net.events(bob));
}
