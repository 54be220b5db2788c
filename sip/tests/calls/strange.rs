//! Requests that a user agent refuses, and bytes that are none.

use sip::{Event, Misbehaviour};

use crate::network::{Network, established, incoming};

/// An INVITE as it arrives at bob, before he saw it.
fn invite() -> (Network, usize, usize, String) {
    let mut net = Network::new(2);
    let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[2]));
    net.call(alice, &[bob]);
    net.run(100);
    incoming(&net.events(bob));
    let text = String::from_utf8(net.last_seen(bob, "INVITE")).unwrap();
    (net, alice, bob, text)
}

fn replace_line(text: &str, name: &str, line: &str) -> String {
    let old = text
        .split_inclusive("\r\n")
        .find(|line| line.starts_with(name))
        .unwrap();
    text.replace(old, line)
}

/// A request outside any call, made from an INVITE.
fn request(invite: &str, method: &str) -> String {
    let (head, _) = invite.split_once("\r\n\r\n").unwrap();
    let mut text = head
        .replacen("INVITE", method, 1)
        .replace(" INVITE", &format!(" {method}"))
        + "\r\n\r\n";
    for name in ["Content-Type", "Content-Length", "Identity"] {
        text = replace_line(&text, name, "");
    }
    text.replace("z9hG4bK", &format!("z9hG4bK{method}"))
        .replace("Call-ID: ", "Call-ID: x")
}

#[test]
fn r054_methods_and_extensions_not_known() {
    let (mut net, alice, bob, text) = invite();
    let mut status = |bytes: String| {
        // The answer finds alice by the Via of the edges only if the edges wrote it, so it is read here.
        net.inject(bob, bytes.into_bytes());
        net.sent.last().cloned().unwrap_or_default()
    };
    assert!(status(request(&text, "MESSAGE")).starts_with("SIP/2.0 405"));
    assert!(status(request(&text, "REGISTER")).contains("\r\nAllow: INVITE"));
    let options = status(request(&text, "OPTIONS"));
    assert!(options.starts_with("SIP/2.0 200") && options.contains("Accept: application/sdp"));
    for method in ["BYE", "PRACK", "INFO", "UPDATE"] {
        assert!(
            status(request(&text, method)).starts_with("SIP/2.0 481"),
            "{method}"
        );
    }
    assert!(status(request(&text, "CANCEL")).starts_with("SIP/2.0 481"));
    let require = replace_line(
        &request(&text, "OPTIONS"),
        "Supported",
        "Require: 100rel, timer, foo\r\n",
    );
    let answer = status(require);
    assert!(
        answer.starts_with("SIP/2.0 420") && answer.contains("\r\nUnsupported: timer, foo\r\n"),
        "{answer}"
    );
    let other = request(&text, "OPTIONS").replacen("sip:bob@", "sip:rob@", 1);
    assert!(status(other).starts_with("SIP/2.0 404"));
    let device = request(&text, "OPTIONS").replacen("urn:uuid:0202", "urn:uuid:0303", 1);
    assert!(status(device).starts_with("SIP/2.0 404"));
    let _ = alice;
}

#[test]
fn r054_offers_that_cannot_be_read() {
    let (mut net, _, bob, text) = invite();
    let fresh = |text: &str| {
        text.replace("z9hG4bK", "z9hG4bKf")
            .replace("Call-ID: ", "Call-ID: f")
    };
    let mut status = |text: String| {
        net.inject(bob, text.into_bytes());
        net.sent.last().cloned().unwrap_or_default()
    };
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let head = format!("{head}\r\n\r\n");
    let none = replace_line(
        &replace_line(&head, "Content-Length", ""),
        "Content-Type",
        "",
    );
    assert!(status(fresh(&none)).starts_with("SIP/2.0 488"));
    let other = replace_line(&text, "Content-Type", "Content-Type: text/plain\r\n");
    assert!(status(fresh(&other)).starts_with("SIP/2.0 415"));
    let bad = format!("{}{}", head, body.replacen("v=0", "v=9", 1));
    assert!(status(fresh(&bad)).starts_with("SIP/2.0 400"));
    let wrong = replace_line(&text, "Content-Length", "Content-Length: 5\r\n");
    let answer = status(fresh(&wrong));
    assert!(
        answer.starts_with("SIP/2.0 400") && answer.contains("Content-Length does not fit"),
        "{answer}"
    );
}

#[test]
fn a13_merged_by_a_proxy_is_refused_merged_by_the_hedge_is_answered() {
    let (mut net, _, bob, text) = invite();
    let hedge = text.replace("z9hG4bK", "z9hG4bKhedge");
    net.inject(bob, hedge.into_bytes());
    assert_eq!(net.events(bob), [], "the same call");
    let fork = text.replace("z9hG4bK", "z9hG4bKfork").replacen(
        ";gr=urn:uuid:02020202-0202-0202-0202-020202020202",
        "",
        1,
    );
    net.inject(bob, fork.into_bytes());
    assert!(net.sent.last().unwrap().starts_with("SIP/2.0 482"));
}

#[test]
fn a44_floods_of_calls_keep_memory_bounded() {
    let (mut net, _, bob, text) = invite();
    for number in 0..2000 {
        let text = text.replace("z9hG4bK", &format!("z9hG4bK{number}"));
        let text = text
            .replace("Call-ID: ", &format!("Call-ID: {number}"))
            .replace(";tag=", &format!(";tag={number}"));
        net.inject(bob, text.into_bytes());
    }
    net.run(50);
    let heard = net.events(bob);
    assert!(heard.iter().all(|event| matches!(
        event,
        Event::Misbehaved {
            how: Misbehaviour::BadIdentity | Misbehaviour::TooManyCalls,
            ..
        }
    )));
}

#[test]
fn r054_update_refreshes_the_target_and_brings_no_offer() {
    let (mut net, [(_, _), (bob, _)]) = established();
    let ack = String::from_utf8(net.last_seen(bob, "ACK")).unwrap();
    let update = ack
        .replacen("ACK", "UPDATE", 1)
        .replace(" ACK", " UPDATE")
        .replace("z9hG4bK", "z9hG4bKu");
    let update = replace_line(&update, "CSeq", "CSeq: 77 UPDATE\r\n");
    net.inject(bob, update.clone().into_bytes());
    assert!(net.sent.last().unwrap().starts_with("SIP/2.0 200"));
    let offer = update
        .replace("CSeq: 77", "CSeq: 78")
        .replace("z9hG4bKu", "z9hG4bKv");
    let offer = replace_line(
        &offer,
        "Content-Length",
        "Content-Type: application/sdp\r\nContent-Length: 5\r\n",
    ) + "v=0\r\n";
    net.inject(bob, offer.into_bytes());
    assert!(net.sent.last().unwrap().starts_with("SIP/2.0 488"));
    let late = update
        .replace("CSeq: 77", "CSeq: 2")
        .replace("z9hG4bKu", "z9hG4bKw");
    net.inject(bob, late.into_bytes());
    assert!(
        net.sent.last().unwrap().starts_with("SIP/2.0 500"),
        "overtaken"
    );
    let again = update.replace("z9hG4bKu", "z9hG4bKx");
    net.inject(bob, again.into_bytes());
    assert!(
        net.sent.last().unwrap().starts_with("SIP/2.0 200"),
        "the same answer again"
    );
}

#[test]
fn a35_bytes_that_are_no_message() {
    let (mut net, _, bob, text) = invite();
    for bad in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\xff",
        b"INVITE",
        b"SIP/2.0 200 OK\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ] {
        net.inject(bob, bad.to_vec());
        assert!(
            matches!(
                net.events(bob)[..],
                [Event::Misbehaved {
                    how: Misbehaviour::Malformed,
                    ..
                }]
            ),
            "{bad:?}"
        );
    }
    // Every cut of a real message: nothing rings by it, nothing panics.
    for end in 0..text.len() {
        net.inject(bob, text.as_bytes()[..end].to_vec());
    }
    assert!(
        net.events(bob)
            .iter()
            .all(|event| matches!(event, Event::Misbehaved { .. }))
    );
    let response = format!("SIP/2.0 200 OK\r\n{}", text.split_once("\r\n").unwrap().1);
    net.inject(bob, response.into_bytes());
    assert!(matches!(
        net.events(bob)[..],
        [Event::Misbehaved {
            how: Misbehaviour::StrayResponse,
            ..
        }]
    ));
}

#[test]
fn a38_multipart_bodies_are_not_taken() {
    let (mut net, _, bob, text) = invite();
    let (head, sdp) = text.split_once("\r\n\r\n").unwrap();
    let part = format!("--b\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n--b--\r\n");
    let nested = format!("--a\r\nContent-Type: multipart/mixed;boundary=b\r\n\r\n{part}--a--\r\n");
    let head = replace_line(
        &format!("{head}\r\n"),
        "Content-Type",
        "Content-Type: multipart/mixed;boundary=b\r\n",
    );
    for (number, body) in ["", "--b", "--b--", &part, &part[..part.len() - 8], &nested]
        .iter()
        .enumerate()
    {
        let head = replace_line(
            &head,
            "Content-Length",
            &format!("Content-Length: {}\r\n", body.len()),
        );
        let head = head
            .replace("z9hG4bK", &format!("z9hG4bK{number}"))
            .replace("Call-ID: ", &format!("Call-ID: {number}"));
        net.inject(bob, format!("{head}\r\n{body}").into_bytes());
        let expected = if body.is_empty() {
            "SIP/2.0 488"
        } else {
            "SIP/2.0 415"
        };
        assert!(net.sent.last().unwrap().starts_with(expected), "{body}");
    }
    assert_eq!(net.events(bob), []);
}

#[test]
fn a43_a_digest_challenge_is_never_answered() {
    for status in [
        "401 Unauthorized\r\nWWW-Authenticate",
        "407 Proxy Authentication Required\r\nProxy-Authenticate",
    ] {
        let mut net = Network::new(2);
        let (alice, bob) = (net.join("alice", 1, &[1]), net.join("bob", 2, &[2]));
        let challenge = format!("SIP/2.0 {status}: Digest realm=\"evil\", nonce=\"1\"");
        net.middle = Some(Box::new(move |agent, message, bytes| {
            if agent == alice && message.status() == Some(180) {
                let text = String::from_utf8_lossy(bytes);
                return crate::network::Fate::Become(
                    text.replacen("SIP/2.0 180 Ringing", &challenge, 1)
                        .into_bytes(),
                );
            }
            crate::network::Fate::Deliver
        }));
        net.call(alice, &[bob]);
        net.run(100);
        let taken = incoming(&net.events(bob));
        net.with(bob, |ua, now| ua.ring(taken, now));
        net.run(300);
        assert!(matches!(
            crate::network::ended(&net.events(alice)),
            Some((sip::EndReason::Failed(401 | 407), true))
        ));
        assert!(net.sent.iter().all(|text| !text.contains("Authorization")));
    }
}
