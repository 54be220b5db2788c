//! The flows of RFC 3665, message by message, and what else phones say to each other through proxies: RFC 3311, 3428, 3515, 3856,
//! 3891, 4028, 6665.

use core::time::Duration;

use sip::message::Name;

use crate::world::{ALICE, BOB, CAROL, Side, World};

/// An INVITE of alice's to bob, with her password, that has come to him.
fn invited(world: &mut World) -> (Side, sip::Message) {
    let mut alice = world.side(ALICE, "alice@atlanta", "bob@biloxi");
    world.ask(&mut alice, "INVITE", "");
    world.expects(&mut alice, "407 INVITE");
    world.ask(&mut alice, "ACK", "");
    alice.forget();
    let lines = "Session-Expires: 1800;refresher=uac\r\nSupported: timer\r\n";
    world.prove(&mut alice, "INVITE", lines);
    let invite = world.taken(BOB);
    (alice, invite)
}

/// A call of alice's to bob that he has answered: both sides of it.
fn call(world: &mut World) -> (Side, Side) {
    let (mut alice, invite) = invited(world);
    world.answer(BOB, &invite, "180 Ringing", "");
    world.expects(&mut alice, "180 INVITE");
    let expires = "Session-Expires: 1800;refresher=uac\r\nRequire: timer\r\n";
    let bob = world.answer(BOB, &invite, "200 OK", expires);
    world.expects(&mut alice, "200 INVITE");
    world.ask(&mut alice, "ACK", "");
    assert_eq!(world.taken(BOB).method_text(), "ACK");
    (alice, bob)
}

/// A request within a dialog, answered; it arrives as it was sent.
fn passes(world: &mut World, from: &mut Side, to: &'static str, method: &str, lines: &str) {
    world.ask(from, method, lines);
    let request = world.taken(to);
    assert_eq!(request.method_text(), method);
    let text = String::from_utf8(request.as_bytes().to_vec()).unwrap();
    assert!(text.contains(lines), "{text}");
    let status = if method == "REFER" {
        "202 Accepted"
    } else {
        "200 OK"
    };
    world.answer(to, &request, status, "");
    world.expects(from, &format!("{} {method}", &status[..3]));
}

#[test]
fn r054_r076_rfc_3665_section_2_1_a_new_registration() {
    let mut world = World::new();
    let mut bob = world.side(BOB, "bob@biloxi", "bob@biloxi");
    world.register(&mut bob);
    world.expects(&mut bob, "401 REGISTER");
    bob.forget();
    world.prove(&mut bob, "REGISTER", "");
    world.expects(&mut bob, "200 REGISTER");
    assert_eq!(
        world.trace(),
        [
            "bob->P2 REGISTER",
            "P2->bob 401 REGISTER",
            "bob->P2 REGISTER",
            "P2->bob 200 REGISTER"
        ]
    );
}

#[test]
fn r054_r071_rfc_3665_section_3_2_a_session_through_two_proxies() {
    let mut world = World::registered();
    let (_, mut bob) = call(&mut world);
    assert_eq!(
        world.trace(),
        [
            "alice->P1 INVITE",
            "P1->alice 100 INVITE",
            "P1->alice 407 INVITE",
            "alice->P1 ACK",
            "alice->P1 INVITE",
            "P1->alice 100 INVITE",
            "P1->P2 INVITE",
            "P2->P1 100 INVITE",
            "P2->bob INVITE",
            "bob->P2 180 INVITE",
            "P2->P1 180 INVITE",
            "P1->alice 180 INVITE",
            "bob->P2 200 INVITE",
            "P2->P1 200 INVITE",
            "P1->alice 200 INVITE",
            "alice->P1 ACK",
            "P1->P2 ACK",
            "P2->bob ACK",
        ]
    );
    // "3.7: Session with re-INVITE", by the same way.
    passes(&mut world, &mut bob, ALICE, "INVITE", "");
    let trace = world.trace();
    assert_eq!(trace.first().unwrap(), "bob->P2 INVITE");
    assert_eq!(trace.last().unwrap(), "P2->bob 200 INVITE");
    world.ask(&mut bob, "ACK", "");
    assert_eq!(world.taken(ALICE).method_text(), "ACK");
    world.trace();
    passes(&mut world, &mut bob, ALICE, "BYE", "");
    assert_eq!(
        world.trace(),
        [
            "bob->P2 BYE",
            "P2->P1 BYE",
            "P1->alice BYE",
            "alice->P1 200 BYE",
            "P1->P2 200 BYE",
            "P2->bob 200 BYE",
        ]
    );
}

#[test]
fn r054_rfc_3665_section_3_8_no_answer_and_a_cancel() {
    let mut world = World::registered();
    let (mut alice, invite) = invited(&mut world);
    world.answer(BOB, &invite, "180 Ringing", "");
    world.expects(&mut alice, "180 INVITE");
    world.trace();
    alice.forget();
    world.ask(&mut alice, "CANCEL", "");
    let cancel = world.taken(BOB);
    assert_eq!(cancel.method_text(), "CANCEL");
    world.answer(BOB, &cancel, "200 OK", "");
    world.answer(BOB, &invite, "487 Request Terminated", "");
    world.expects(&mut alice, "200 CANCEL");
    world.expects(&mut alice, "487 INVITE");
    world.ask(&mut alice, "ACK", "");
    assert_eq!(world.taken(BOB).method_text(), "ACK");
    assert_eq!(
        world.trace(),
        [
            "alice->P1 CANCEL",
            "P1->alice 200 CANCEL",
            "P1->P2 CANCEL",
            "P2->P1 200 CANCEL",
            "P2->bob CANCEL",
            "bob->P2 200 CANCEL",
            "bob->P2 487 INVITE",
            "P2->bob ACK",
            "P2->P1 487 INVITE",
            "P1->P2 ACK",
            "P1->alice 487 INVITE",
            "alice->P1 ACK",
        ]
    );
}

#[test]
fn r054_rfc_3665_sections_3_9_and_3_11_busy_and_away() {
    for status in ["486 Busy Here", "480 Temporarily Unavailable"] {
        let mut world = World::registered();
        let (mut alice, invite) = invited(&mut world);
        world.trace();
        world.answer(BOB, &invite, status, "");
        let answer = format!("{} INVITE", &status[..3]);
        world.expects(&mut alice, &answer);
        world.ask(&mut alice, "ACK", "");
        assert_eq!(
            world.trace(),
            [
                format!("bob->P2 {answer}"),
                "P2->bob ACK".to_owned(),
                format!("P2->P1 {answer}"),
                "P1->P2 ACK".to_owned(),
                format!("P1->alice {answer}"),
                "alice->P1 ACK".to_owned(),
            ]
        );
    }
}

#[test]
fn r054_rfc_3665_section_3_10_no_response() {
    let mut world = World::registered();
    let (mut alice, _) = invited(&mut world);
    world.trace();
    world.pass(Duration::from_millis(32_200));
    for _ in 0..6 {
        assert_eq!(world.taken(BOB).method_text(), "INVITE");
    }
    world.expects(&mut alice, "408 INVITE");
    world.ask(&mut alice, "ACK", "");
    let trace = world.trace();
    let again = trace.iter().filter(|one| *one == "P2->bob INVITE");
    assert_eq!(again.count(), 6, "timer A doubles until timer B");
    let end = [
        "P2->P1 408 INVITE",
        "P1->P2 ACK",
        "P1->alice 408 INVITE",
        "alice->P1 ACK",
    ];
    assert!(trace.ends_with(&end.map(String::from)), "{trace:?}");
}

#[test]
fn r054_session_timers_and_updates_pass_as_they_are_sent() {
    let mut world = World::registered();
    let (mut alice, mut bob) = call(&mut world);
    let refresh = "Session-Expires: 1800;refresher=uac\r\n";
    passes(&mut world, &mut alice, BOB, "UPDATE", refresh);
    passes(&mut world, &mut bob, ALICE, "UPDATE", "Min-SE: 90\r\n");
}

#[test]
fn r054_a_call_is_transferred_blindly_and_after_asking() {
    for attended in [false, true] {
        let mut world = World::registered();
        let (alice, mut bob) = call(&mut world);
        let replaces = format!("?Replaces={}%3Bto-tag%3Dx%3Bfrom-tag%3Dy", alice.id());
        let header = if attended { replaces.as_str() } else { "" };
        let refer = format!("Refer-To: <sip:carol@biloxi.example.com{header}>\r\n");
        passes(&mut world, &mut bob, ALICE, "REFER", &refer);
        // What comes of it is told within the dialog of the call.
        let mut alice = alice;
        let told = "Event: refer\r\nSubscription-State: active\r\n";
        passes(&mut world, &mut alice, BOB, "NOTIFY", told);
        let mut next = world.side(ALICE, "alice@atlanta", "carol@biloxi");
        world.ask(&mut next, "INVITE", "");
        world.expects(&mut next, "407 INVITE");
        world.ask(&mut next, "ACK", "");
        next.forget();
        let lines = if attended {
            "Replaces: call7;to-tag=x;from-tag=y\r\nRequire: replaces\r\n"
        } else {
            ""
        };
        world.prove(&mut next, "INVITE", lines);
        let invite = world.taken(CAROL);
        assert_eq!(invite.named("Replaces").count(), usize::from(attended));
        world.answer(CAROL, &invite, "200 OK", "");
        world.expects(&mut next, "200 INVITE");
        passes(&mut world, &mut bob, ALICE, "BYE", "");
    }
}

#[test]
fn r054_presence_is_subscribed_to_and_told_by_the_same_way() {
    let mut world = World::registered();
    let mut alice = world.side(ALICE, "alice@atlanta", "bob@biloxi");
    let wish = "Event: presence\r\nExpires: 600\r\nAccept: application/pidf+xml\r\n";
    world.ask(&mut alice, "SUBSCRIBE", wish);
    world.expects(&mut alice, "407 SUBSCRIBE");
    alice.forget();
    world.prove(&mut alice, "SUBSCRIBE", wish);
    let subscribe = world.taken(BOB);
    let routes: Vec<_> = subscribe.list(Name::RecordRoute).collect();
    for proxy in ["192.0.2.111", "192.0.2.222"] {
        assert!(routes.iter().any(|one| one.contains(proxy)), "{routes:?}");
    }
    let mut bob = world.answer(BOB, &subscribe, "200 OK", "Expires: 600\r\n");
    world.expects(&mut alice, "200 SUBSCRIBE");
    world.trace();
    let told = "Event: presence\r\nSubscription-State: active;expires=600\r\n";
    passes(&mut world, &mut bob, ALICE, "NOTIFY", told);
    assert_eq!(
        world.trace(),
        [
            "bob->P2 NOTIFY",
            "P2->P1 NOTIFY",
            "P1->alice NOTIFY",
            "alice->P1 200 NOTIFY",
            "P1->P2 200 NOTIFY",
            "P2->bob 200 NOTIFY",
        ]
    );
}

#[test]
fn r054_a_message_goes_by_both_proxies_and_leaves_no_dialog() {
    let mut world = World::registered();
    let mut alice = world.side(ALICE, "alice@atlanta", "bob@biloxi");
    world.ask(&mut alice, "MESSAGE", "");
    world.expects(&mut alice, "407 MESSAGE");
    alice.forget();
    world.prove(&mut alice, "MESSAGE", "");
    let message = world.taken(BOB);
    assert_eq!(message.field(Name::RecordRoute), None);
    world.answer(BOB, &message, "200 OK", "");
    world.expects(&mut alice, "200 MESSAGE");
}
