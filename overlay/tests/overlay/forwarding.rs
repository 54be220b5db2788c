//! Searches that are handed on hop by hop, because somebody asked a super node that is not responsible.

use std::time::Duration;

use overlay::peer::{Find, Message};
use overlay::{Offence, Offender, frame};
use sim::{Fact, HostId};

use crate::node::Node;
use crate::raw::{Raw, node};
use crate::world::{World, key};

const REQUEST: u64 = 7;

/// A ring in which alice has a record, the super nodes that keep it, nearest first, and one that does not.
fn ring(seed: u8) -> (World, Vec<HostId>, usize) {
    let mut world = World::with_super_nodes(seed, 12);
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key("k"), b"here").unwrap();
    let replicas = world.sn(world.super_nodes[0]).machine.replicas(key("k"));
    let host = |node| {
        let mut all = world.super_nodes.iter();
        *all.find(|&&id| world.sn(id).machine.node() == node)
            .unwrap()
    };
    let hosts: Vec<HostId> = replicas.into_iter().map(host).collect();
    let other = (0..12).find(|&at| !hosts.contains(&world.super_nodes[at]));
    let other = other.unwrap();
    (world, hosts, other)
}

/// Has a super node say nothing of searches.
fn silence(world: &mut World, host: HostId) {
    let overlay = world.overlay();
    world.network.with(host, |node, _| {
        let Node::Sn(sn) = node else { return };
        sn.evil = Some(Box::new(move |_, bytes| {
            let message = frame::decode::<Message>(overlay, &bytes);
            let of_search = matches!(message, Ok(Message::Ack { .. } | Message::Found { .. }));
            (!of_search).then_some(bytes).into_iter().collect()
        }));
    });
}

fn ask(world: &mut World, asker: Raw) {
    let find = Find {
        asker: node(77),
        request: REQUEST,
        key: key("k"),
        owner: None,
        ttl: 2,
        visited: vec![node(77)],
    };
    world.say(asker, &Message::Find(find));
}

/// How many records came in each answer, by whatever link.
fn answers(world: &World, asker: Raw) -> Vec<usize> {
    let facts = world.facts(asker.host).iter();
    let frames = facts.filter_map(|fact| match fact {
        Fact::Received { payload, .. } => Some(payload),
        _ => None,
    });
    let answers = frames.filter_map(|frame| match frame::decode(world.overlay(), frame) {
        Ok(Message::Found { request, records }) if request == REQUEST => Some(records.len()),
        _ => None,
    });
    answers.collect()
}

#[test]
fn r137_a_hop_that_does_not_acknowledge_is_replaced_by_another() {
    let (mut world, replicas, other) = ring(60);
    let asker = world.authority.super_node(node(77));
    let asker = world.raw_member(&asker, other);
    silence(&mut world, replicas[0]);
    ask(&mut world, asker);
    assert_eq!(answers(&world, asker), [], "the first hop says nothing");
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(
        answers(&world, asker),
        [1],
        "the second one answers directly"
    );
    assert!(world.offences().is_empty(), "{:?}", world.offences());
}

#[test]
fn a20_nobody_else_can_acknowledge_a_search_in_a_hops_place() {
    let (mut world, replicas, other) = ring(61);
    let asker = world.authority.super_node(node(77));
    let asker = world.raw_member(&asker, other);
    let liar = world.authority.super_node(node(78));
    let liar = world.raw_peer(&liar, other);
    silence(&mut world, replicas[0]);
    ask(&mut world, asker);
    let ack = Message::Ack {
        asker: node(77),
        request: REQUEST,
    };
    world.say(liar, &ack);
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(answers(&world, asker), [1]);
    let unasked = (Offender::SuperNode(node(78)), Offence::Unasked);
    assert_eq!(world.offences(), [unasked]);
}

#[test]
fn a20_r137_a_search_ends_after_a_few_hops_that_say_nothing() {
    let (mut world, replicas, other) = ring(62);
    let asker = world.authority.super_node(node(77));
    let asker = world.raw_member(&asker, other);
    for &replica in &replicas {
        silence(&mut world, replica);
    }
    world.network.keep_log();
    world.network.take_log();
    ask(&mut world, asker);
    world.network.run_for(Duration::from_secs(4));
    assert_eq!(answers(&world, asker), [0], "the first hop itself answers");
    let from = world.super_nodes[other];
    let log = world.network.take_log().into_iter();
    let handed_on = log.filter(|traffic| {
        let message = frame::decode::<Message>(world.overlay(), &traffic.payload);
        traffic.from == from && matches!(message, Ok(Message::Find(_)))
    });
    assert_eq!(handed_on.count(), 3);
}

#[test]
fn r137_a_search_goes_to_another_hop_at_once_when_one_is_lost() {
    let (mut world, replicas, other) = ring(63);
    let asker = world.authority.super_node(node(77));
    let asker = world.raw_member(&asker, other);
    silence(&mut world, replicas[0]);
    ask(&mut world, asker);
    world.network.kill(replicas[0]);
    world.network.run_for(Duration::from_millis(200));
    assert_eq!(answers(&world, asker), [1]);
}
