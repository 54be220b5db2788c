//! Rings too large for everybody to be linked with everybody.

use std::collections::BTreeSet;
use std::time::Duration;

use credential::NodeId;
use overlay::peer::{Departure, Event, Gone, Message, Part};
use overlay::{Offence, SuperNodeEvent, frame};
use sim::HostId;

use crate::authority::{Identity, WALL};
use crate::churn::{all_found, fill};
use crate::node::Node;
use crate::world::World;

/// So many super nodes, and time enough for them to find each other.
fn crowd(seed: u8, count: usize) -> World {
    let mut world = World::new(seed);
    world.network.set_silence(Duration::from_millis(2_500));
    // A few begin, or all would ask the same two at once.
    world.grow(4);
    for batch in 0..(count - 4).div_ceil(16) {
        for _ in 0..16.min(count - 4 - 16 * batch) {
            world.add_super_node();
        }
        world.network.run_for(Duration::from_secs(4));
    }
    assert!(all_know(&mut world, count, 60), "the ring is complete");
    world
}

fn members(world: &World, id: HostId) -> usize {
    world.sn(id).machine.members().count()
}

/// Whether all living super nodes know so many members within so many seconds.
fn all_know(world: &mut World, count: usize, seconds: u64) -> bool {
    let nodes = world.super_nodes.clone();
    for _ in 0..seconds * 2 {
        let known = nodes.iter().map(|&id| members(world, id));
        if known.into_iter().all(|known| known == count) {
            return true;
        }
        world.network.run_for(Duration::from_millis(500));
    }
    let living: Vec<NodeId> = nodes
        .iter()
        .map(|&id| world.sn(id).machine.node())
        .collect();
    for &id in &nodes {
        let machine = &world.sn(id).machine;
        let known: Vec<NodeId> = machine.members().map(|(node, _)| node).collect();
        let dead: Vec<_> = known.iter().filter(|node| !living.contains(node)).collect();
        let missing: Vec<_> = living.iter().filter(|node| !known.contains(node)).collect();
        if !dead.is_empty() || !missing.is_empty() {
            println!("{}: dead {dead:?} missing {missing:?}", machine.node());
        }
    }
    false
}

#[test]
fn a25_a_hundred_split_in_two_under_churn_are_one_ring_again() {
    let mut world = crowd(120, 100);
    let keys = fill(&mut world, 24);
    let reader = world.user("reader", &[0, 1]);
    for _ in 0..5 {
        let lost = world.super_nodes.remove(20);
        world.network.kill(lost);
    }
    for number in 100..105 {
        world.add_super_node_named(number);
    }
    assert!(all_know(&mut world, 100, 120));
    let (left, right) = world.super_nodes.split_at(50);
    let (left, right) = (left.to_vec(), right.to_vec());
    for &one in &left {
        for &other in &right {
            world.network.cut(one, other);
        }
    }
    world.network.run_for(Duration::from_secs(60));
    assert!(world.super_nodes.iter().all(|&id| members(&world, id) < 75));
    world.network.heal();
    assert!(all_know(&mut world, 100, 30), "one ring within 30 s");
    world.network.run_for(Duration::from_secs(15));
    all_found(&mut world, reader, &keys);
    assert!(world.offences().is_empty(), "{:?}", world.offences());
}

#[test]
fn a_newcomer_gets_the_table_from_one_of_its_seeds() {
    let mut world = crowd(124, 60);
    world.network.run_for(Duration::from_secs(30));
    world.network.keep_log();
    world.network.take_log();
    let newcomer = world.add_super_node();
    assert!(all_know(&mut world, 61, 60));
    let sent = world.network.take_log().into_iter();
    let announced =
        sent.filter(|traffic| traffic.to == newcomer)
            .filter_map(
                |traffic| match traffic.payload.get(17..).map(postcard::from_bytes) {
                    Some(Ok(Message::Announcements { announcements })) => Some(announcements.len()),
                    _ => None,
                },
            );
    let announced: usize = announced.sum();
    // Some it knows by their Hello.
    assert!((50..=62).contains(&announced), "{announced}");
}

/// How often somebody was told by News that this member is there, or gone.
fn told_of(world: &mut World, node: NodeId) -> (usize, usize) {
    let (mut up, mut gone) = (0, 0);
    for traffic in world.network.take_log() {
        let message = traffic.payload.get(17..).map(postcard::from_bytes);
        let Some(Ok(Message::News { parts })) = message else {
            continue;
        };
        for event in parts.iter().flat_map(|part| &part.events) {
            match event {
                Event::Up(told) => {
                    up += usize::from(told.about.statement.get(1..21) == Some(node.0.as_slice()));
                }
                Event::Gone(told) => gone += usize::from(told.gone.node == node),
            }
        }
    }
    (up, gone)
}

#[test]
fn each_member_is_told_once_by_news_who_comes_and_who_leaves() {
    let mut world = crowd(125, 100);
    world.network.run_for(Duration::from_secs(30));
    world.network.keep_log();
    for _ in 0..5 {
        world.network.take_log();
        let newcomer = world.add_super_node();
        assert!(all_know(&mut world, 101, 60));
        world.network.run_for(Duration::from_secs(20));
        let node = world.sn(newcomer).machine.node();
        let (told, _) = told_of(&mut world, node);
        assert!((90..=130).contains(&told), "{told}");

        world.super_nodes.retain(|id| *id != newcomer);
        world.with_sn(newcomer, |sn, now| sn.leave(now));
        assert!(all_know(&mut world, 100, 60));
        world.network.run_for(Duration::from_secs(60));
        // Its neighbours it tells itself, too.
        let (_, told) = told_of(&mut world, node);
        assert!((90..=150).contains(&told), "{told}");
    }
}

#[test]
fn a23_news_that_a_super_node_withholds_reach_all_by_other_ways() {
    let mut world = crowd(121, 60);
    let overlay = world.overlay();
    for at in (0..60).step_by(5) {
        world.network.with(world.super_nodes[at], |node, _| {
            let Node::Sn(sn) = node else { return };
            sn.evil = Some(Box::new(move |_, bytes| {
                let message = frame::decode::<Message>(overlay, &bytes);
                let is_news = matches!(&message, Ok(Message::News { parts }) if !parts.is_empty());
                (!is_news).then_some(bytes).into_iter().collect()
            }));
        });
    }
    let newcomer = world.add_super_node();
    world.network.run_for(Duration::from_secs(5));
    assert!(members(&world, newcomer) >= 60);
    assert!(all_know(&mut world, 61, 240));
}

#[test]
fn a_silent_member_of_a_large_ring_is_lost_to_all_and_few_ask_after_it() {
    let mut world = crowd(122, 60);
    world.network.run_for(Duration::from_secs(30));
    let silent = world.super_nodes.remove(30);
    world.network.isolate(silent);
    world.network.keep_log();
    world.network.take_log();
    assert!(all_know(&mut world, 59, 40));
    let (mut asked, mut reporters) = (0, BTreeSet::new());
    for traffic in world.network.take_log() {
        match traffic.payload.get(17..).map(postcard::from_bytes) {
            Some(Ok(Message::Ping { .. })) if traffic.to == silent => asked += 1,
            Some(Ok(Message::News { parts })) if traffic.from != silent => {
                let events = parts.into_iter().flat_map(|part| part.events);
                reporters.extend(events.filter_map(|event| match event {
                    Event::Gone(Departure { gone, .. }) => gone.reporter,
                    Event::Up(_) => None,
                }));
            }
            _ => {}
        }
    }
    assert!(asked <= 12, "{asked}");
    assert_eq!(reporters.len(), 1, "one tells all: {reporters:?}");
    // And it comes back.
    world.network.heal();
    world.super_nodes.push(silent);
    assert!(all_know(&mut world, 60, 60));
}

fn gone(node: NodeId, incarnation: u64, at: u64, reporter: NodeId) -> Gone {
    Gone {
        node,
        incarnation,
        at,
        reporter: Some(reporter),
    }
}

fn news(until: NodeId, world: &World, gone: Gone, identity: &Identity) -> Message {
    let signature = identity.sign(&gone.message(world.overlay()));
    let events = vec![Event::Gone(Departure { gone, signature })];
    let parts = vec![Part { until, events }];
    Message::News { parts }
}

#[test]
fn a23_a_false_report_of_a_loss_is_refuted_and_counts_only_from_neighbours() {
    let mut world = crowd(123, 60);
    let mut nodes: Vec<(NodeId, HostId)> = world
        .super_nodes
        .iter()
        .map(|&id| (world.sn(id).machine.node(), id))
        .collect();
    nodes.sort_unstable();
    let (victim, of_victim) = nodes[30];
    let told = world.super_nodes[0];
    let told = nodes.iter().position(|(_, id)| *id == told).unwrap();
    let incarnation = |world: &World| world.sn(of_victim).machine.incarnation().unwrap();
    let lost = |world: &World| {
        let events = world
            .super_nodes
            .iter()
            .flat_map(|&id| &world.sn(id).events);
        let lost = events
            .filter(|event| matches!(event, SuperNodeEvent::MemberLost(node) if *node == victim));
        lost.count()
    };
    let until = nodes[told].0;
    let life = incarnation(&world);
    // Somebody far off; a neighbour whose signature it is not; one who dates it ahead.
    let far = world.sn(nodes[5].1).identity.clone();
    let near = world.sn(nodes[29].1).identity.clone();
    let raw = world.raw_peer(&far, 0);
    let now = world.wall();
    let far_off = news(until, &world, gone(victim, life, now, nodes[5].0), &far);
    world.say(raw, &far_off);
    let forged = news(until, &world, gone(victim, life, now, nodes[29].0), &far);
    world.say(raw, &forged);
    let ahead = news(
        until,
        &world,
        gone(victim, life, now + 3_600_000, nodes[29].0),
        &near,
    );
    world.say(raw, &ahead);
    world.network.run_for(Duration::from_secs(15));
    let offences = world.offences();
    let announced = offences
        .iter()
        .filter(|(_, how)| *how == Offence::Announcement);
    assert_eq!(announced.count(), 2, "{offences:?}");
    assert_eq!((lost(&world), incarnation(&world)), (0, life));
    // A neighbour who lies: the victim says that it lives.
    let lie = news(
        until,
        &world,
        gone(victim, life, world.wall(), nodes[29].0),
        &near,
    );
    world.say(raw, &lie);
    world.network.run_for(Duration::from_secs(20));
    assert_eq!(lost(&world), 0);
    let next = incarnation(&world);
    assert!(next > life && next > WALL);
    // The same lie again, and another one of the same liar: no effect.
    world.say(raw, &lie);
    let lie = news(
        until,
        &world,
        gone(victim, next, world.wall(), nodes[29].0),
        &near,
    );
    world.say(raw, &lie);
    world.network.run_for(Duration::from_secs(20));
    assert_eq!((lost(&world), incarnation(&world)), (0, next));
}
