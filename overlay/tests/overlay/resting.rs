//! How an ordinary node notices that a super node has gone without a word, and what that costs.

use std::time::Duration;

use machine::Machine;
use overlay::association::FromOrdinary;
use overlay::{OrdinaryInput, Reading};
use sim::HostId;

use crate::node::Node;
use crate::world::{World, key};

/// Alice has two associations of three that are to be had, and both rest.
fn at_rest(seed: u8) -> (World, HostId) {
    let mut world = World::with_super_nodes(seed, 3);
    let alice = world.user("alice", &[0, 1]);
    assert!(world.associated(alice, 2));
    world.network.run_for(Duration::from_secs(2));
    (world, alice)
}

fn pings(world: &mut World, from: HostId) -> usize {
    let sent = world.network.take_log().into_iter();
    let pings = sent.filter(|traffic| {
        let message = traffic.payload.get(17..).map(postcard::from_bytes);
        traffic.from == from && matches!(message, Some(Ok(FromOrdinary::Ping { .. })))
    });
    pings.count()
}

/// Takes all away that alice is associated with, and says whether she has noticed within the time.
fn notices(world: &mut World, alice: HostId, limit: Duration) -> bool {
    world.network.run_until(limit, |network| {
        matches!(network.host(alice), Node::On(on) if on.machine.associations().count() == 0)
    })
}

#[test]
fn an_association_at_rest_is_asked_every_five_seconds() {
    let (mut world, alice) = at_rest(131);
    world.network.keep_log();
    world.network.run_for(Duration::from_secs(60));
    let asked = pings(&mut world, alice);
    assert!((18..=26).contains(&asked), "{asked} times by two");
    assert_eq!(world.on(alice).machine.associations().count(), 2);
}

#[test]
fn r011_a_super_node_that_is_gone_without_a_word_is_noticed_at_rest() {
    let (mut world, alice) = at_rest(132);
    world.network.isolate(alice);
    assert!(notices(&mut world, alice, Duration::from_millis(6_600)));
}

#[test]
fn r011_who_waits_for_an_answer_or_changes_networks_notices_sooner() {
    for woken in [false, true] {
        let (mut world, alice) = at_rest(133);
        // Both have just been asked.
        world.network.keep_log();
        while pings(&mut world, alice) == 0 {
            world.network.run_for(Duration::from_millis(100));
        }
        world.network.run_for(Duration::from_secs(1));
        world.network.isolate(alice);
        world.with_on(alice, |on, now| {
            if woken {
                on.handle_input(OrdinaryInput::Woken, now);
            } else {
                on.get(on.overlay(), key("bob"), None, Reading::Newest, now);
            }
        });
        let limit = Duration::from_millis(if woken { 1_500 } else { 2_000 });
        assert!(notices(&mut world, alice, limit), "woken: {woken}");
    }
}
