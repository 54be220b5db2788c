use std::time::Duration;

use p2psip::{EndReason, Event};

use crate::world::{World, sdp};

const ALICE: u8 = 1;
const BOB: u8 = 2;

fn two(world: &mut World) -> (usize, usize) {
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[2, 1]);
    (alice, bob)
}

#[test]
fn r011_hang_up_arrives_though_the_callees_super_node_died() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let (call, _) = world.talk((alice, ALICE), (bob, BOB));
    let dead = world.serving(bob)[0];
    world.kill(dead);
    let start = world.now;
    world.act(alice, |peer, now| peer.hang_up(call, now));
    assert_eq!(world.end(bob), (EndReason::HungUp, true));
    assert!(
        world.now - start < Duration::from_secs(2),
        "{:?}",
        world.now - start
    );
}

#[test]
fn r011_hang_up_arrives_though_the_callers_super_node_died() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let (_, incoming) = world.talk((alice, ALICE), (bob, BOB));
    let dead = world.serving(alice)[0];
    world.kill(dead);
    let start = world.now;
    world.act(bob, |peer, now| peer.hang_up(incoming, now));
    assert_eq!(world.end(alice), (EndReason::HungUp, true));
    assert!(
        world.now - start < Duration::from_secs(2),
        "{:?}",
        world.now - start
    );
}

#[test]
fn r011_user_is_called_again_soon_after_his_super_node_died() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let dead = world.serving(bob)[0];
    world.kill(dead);
    world.call(alice, ALICE, "bob");
    let start = world.now;
    let (incoming, _) = world.incoming(bob);
    assert!(
        world.now - start < Duration::from_secs(5),
        "{:?}",
        world.now - start
    );
    world.act(bob, |peer, now| peer.answer(incoming, &sdp(BOB), now));
    world.until(alice, |event| matches!(event, Event::Answered { .. }));
}

#[test]
fn r023_record_survives_the_super_node_that_kept_it() {
    let mut world = World::new(4);
    let (alice, bob) = two(&mut world);
    world.kill(3);
    world.run_for(Duration::from_secs(20));
    world.talk((alice, ALICE), (bob, BOB));
}

#[test]
fn peer_without_any_super_node_says_so() {
    let mut world = World::new(3);
    let (alice, _) = two(&mut world);
    for super_node in 0..3 {
        world.kill(super_node);
    }
    world.until(alice, |event| *event == Event::Associations { up: 0 });
    world.call(alice, ALICE, "bob");
    assert_eq!(world.end(alice).0, EndReason::Network);
}

#[test]
fn hang_up_without_any_super_node_ends_the_call_here() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let (call, _) = world.talk((alice, ALICE), (bob, BOB));
    for super_node in 0..3 {
        world.kill(super_node);
    }
    world.run_for(Duration::from_secs(1));
    world.act(alice, |peer, now| peer.hang_up(call, now));
    assert_eq!(world.end(alice), (EndReason::HungUp, false));
}

#[test]
fn hang_up_without_a_network_arrives_when_it_is_back() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let (call, _) = world.talk((alice, ALICE), (bob, BOB));
    world.cut(alice);
    world.run_for(Duration::from_secs(1));
    world.act(alice, |peer, now| peer.hang_up(call, now));
    assert_eq!(world.end(alice), (EndReason::HungUp, false), "here at once");
    world.run_for(Duration::from_secs(4));
    world.restore(alice);
    let start = world.now;
    assert_eq!(world.end(bob), (EndReason::HungUp, true));
    assert!(
        world.now - start < Duration::from_secs(3),
        "{:?}",
        world.now - start
    );
}

#[test]
fn hang_up_reaches_somebody_whose_network_was_away() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    let (_, incoming) = world.talk((alice, ALICE), (bob, BOB));
    world.cut(alice);
    world.run_for(Duration::from_secs(1));
    world.act(bob, |peer, now| peer.hang_up(incoming, now));
    world.run_for(Duration::from_secs(4));
    world.restore(alice);
    let start = world.now;
    assert_eq!(world.end(alice), (EndReason::HungUp, true));
    assert!(
        world.now - start < Duration::from_secs(10),
        "{:?}",
        world.now - start
    );
}

#[test]
fn r011_call_is_renegotiated_after_both_changed_their_super_nodes() {
    let mut world = World::new(4);
    let alice = world.online("alice", ALICE, &[0, 1]);
    let bob = world.online("bob", BOB, &[0, 1]);
    let (call, _) = world.talk((alice, ALICE), (bob, BOB));
    world.kill(0);
    world.run_for(Duration::from_secs(20));
    world.kill(1);
    world.run_for(Duration::from_secs(20));
    world.act(alice, |peer, now| peer.renegotiate(call, &sdp(ALICE), now));
    world.until(bob, |event| matches!(event, Event::Offered { .. }));
}

#[test]
fn r011_peer_is_callable_again_within_seconds() {
    let mut world = World::new(3);
    let (alice, bob) = two(&mut world);
    world.cut(bob);
    world.run_for(Duration::from_secs(30));
    world.restore(bob);
    world.run_for(Duration::from_secs(2));
    world.talk((alice, ALICE), (bob, BOB));
}
