use std::time::Duration;

use p2psip::{Contact, EndReason, Event, Problem};

use crate::world::{World, fingerprint, sdp};

const ALICE: u8 = 1;
const BOB: u8 = 2;

#[test]
fn r046_r059_peer_is_callable_once_its_record_is_placed() {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.peer("bob", BOB, &[2]);
    world.run_for(Duration::from_secs(2));
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::NotFound);
    world.act(bob, |peer, now| peer.go_online(&fingerprint(BOB), now));
    world.until(bob, |event| *event == Event::Online);
    world.call(alice, ALICE, "bob");
    world.incoming(bob);
}

#[test]
fn r059_r062_peer_that_is_not_callable_calls() {
    let mut world = World::new(3);
    let alice = world.peer("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    world.talk((alice, ALICE), (bob, BOB));
}

#[test]
fn r047_r105_record_outlives_its_lifetime() {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    for _ in 0..5 {
        world.run_for(Duration::from_secs(2399));
        let (call, _) = world.talk((alice, ALICE), (bob, BOB));
        world.act(alice, |peer, now| peer.hang_up(call, now));
        world.end(bob);
    }
    let lapsed = |event: &Event| matches!(event, Event::NotOnline);
    assert!(!world.peers[bob].events.iter().any(lapsed));
}

#[test]
fn r011_r096_peer_keeps_two_associations() {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0]);
    assert_eq!(world.serving(alice).len(), 2, "the second one is learned");
}

#[test]
fn new_fingerprint_replaces_the_record() {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    world.act(bob, |peer, now| peer.go_online(&fingerprint(77), now));
    world.run_for(Duration::from_secs(1));
    world.call(alice, ALICE, "bob");
    let (incoming, _) = world.incoming(bob);
    world.act(bob, |peer, now| peer.answer(incoming, &sdp(77), now));
    world.until(alice, |event| matches!(event, Event::Answered { .. }));
}

#[test]
fn fingerprint_that_is_none_is_refused() {
    let mut world = World::new(3);
    let alice = world.peer("alice", ALICE, &[0, 1]);
    world.act(alice, |peer, now| peer.go_online("sha-256 nonsense", now));
    world.until(alice, |event| *event == Event::NotOnline);
}

#[test]
fn a07_r105_expired_credential_is_reported() {
    let mut world = World::new(3);
    let alice = world.stale_peer("alice", ALICE);
    let expired = Event::Problem(Problem::CredentialExpired);
    world.until(alice, |event| *event == expired);
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::CredentialExpired);
}

#[test]
fn a02_r101_revoked_user_is_sent_away_and_not_heard() {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    let list = world.authority.revoke(&world.peers[alice].certificate);
    world.revoke(&list);
    let revoked = Event::Problem(Problem::CredentialExpired);
    world.until(alice, |event| *event == revoked);
    world.call(bob, BOB, "alice");
    assert!(matches!(
        world.end(bob).0,
        EndReason::RecordRefused | EndReason::NotFound
    ));
}

#[test]
fn wrong_clock_keeps_nobody_from_calling() {
    let mut world = World::new(3);
    let alice = world.mistaken_peer("alice", ALICE, 3 * 3600 * 1000);
    let bob = world.mistaken_peer("bob", BOB, -20 * 60 * 1000);
    let (call, _) = world.talk((alice, ALICE), (bob, BOB));
    world.act(alice, |peer, now| peer.hang_up(call, now));
    world.end(bob);
    world.talk((bob, BOB), (alice, ALICE));
}

#[test]
fn peer_comes_back_after_signing_off() {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    world.act(bob, |peer, now| peer.go_offline(now));
    world.until(bob, |event| *event == Event::Offline);
    world.act(bob, |peer, now| peer.go_online(&fingerprint(BOB), now));
    world.until(bob, |event| *event == Event::Online);
    world.talk((alice, ALICE), (bob, BOB));
}

#[test]
fn r058_device_that_never_signed_off_is_found_at_its_new_place() {
    let mut world = World::new(3);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let old = world.online("bob", BOB, &[2, 1]);
    world.vanish(old);
    world.run_for(Duration::from_secs(1));
    let bob = world.online("bob", BOB, &[0, 2]);
    world.talk((alice, ALICE), (bob, BOB));
}

#[test]
fn r048_a_credential_is_all_that_a_peer_must_be_told() {
    let mut world = World::new(3);
    let bob = world.online("bob", BOB, &[2, 1]);
    // The certificate says which URI and which overlay; no address, no proxy, no registrar is configured.
    let alice = world.peer("alice", ALICE, &[]);
    world.act(alice, |peer, now| peer.go_online(&fingerprint(ALICE), now));
    world.run_for(Duration::from_secs(1));
    assert!(world.serving(alice).is_empty());
    // Whatever source finds a super node first.
    world.act(alice, |peer, now| {
        let url = "ws://sn0.test:80/p2psip".into();
        peer.add_super_nodes(vec![Contact { node: None, url }], now);
    });
    world.until(alice, |event| *event == Event::Online);
    let (call, _) = world.talk((alice, ALICE), (bob, BOB));
    world.act(alice, |peer, now| peer.hang_up(call, now));
    world.end(bob);
    world.talk((bob, BOB), (alice, ALICE));
}

#[test]
fn r082_same_name_in_two_domains_of_one_overlay_is_two_users() {
    let mut world = World::new(3);
    let bob = world.online("bob", BOB, &[2, 1]);
    let of_org = world.online("alice", ALICE, &[0, 1]);
    let of_net = world.online("alice@example.net", 3, &[1, 0]);
    for (name, called, other) in [
        ("alice@example.net", of_net, of_org),
        ("alice@example.org", of_org, of_net),
        ("alice", of_org, of_net),
    ] {
        let call = world.call(bob, BOB, name);
        let (_, caller) = world.incoming(called);
        assert_eq!(caller, "sip:bob@example.org");
        world.act(bob, |peer, now| peer.hang_up(call, now));
        world.end(called);
        world.run_for(Duration::from_secs(1));
        let rang = |event: &Event| matches!(event, Event::Incoming { .. });
        assert!(!world.peers[other].events.iter().any(rang), "{name}");
    }
    // What is typed without a domain belongs to the caller's own.
    world.call(of_net, 3, "bob");
    assert_eq!(world.end(of_net).0, EndReason::NotFound);
}
