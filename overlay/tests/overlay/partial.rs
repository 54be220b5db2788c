//! Rings in which some know all members, and others a part.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use credential::NodeId;
use overlay::association::PutOutcome;
use overlay::peer::{Announcement, Message};
use overlay::{GetError, Key, Limits, Offence, PlaceError, SuperNodeEvent, frame};
use sim::HostId;

use crate::churn::{all_found, fill};
use crate::node::Node;
use crate::raw::node;
use crate::world::{World, key};

const TABLE: usize = 40;

/// So many super nodes that know all, and so many that can't afford it.
fn mixed(seed: u8, full: usize, partial: usize) -> World {
    let mut world = World::new(seed);
    world.network.set_silence(Duration::from_millis(2_500));
    world.grow(4);
    for batch in 0..(full - 4).div_ceil(16) {
        for _ in 0..16.min(full - 4 - 16 * batch) {
            world.add_super_node();
        }
        world.network.run_for(Duration::from_secs(4));
    }
    assert!(agree(&mut world, 60), "those who know all know each other");
    add_partial(&mut world, partial);
    assert!(agree(&mut world, 120), "everybody knows his part");
    world
}

fn add_partial(world: &mut World, count: usize) {
    world.limits.table = TABLE;
    for _ in 0..count {
        world.add_super_node();
        world.network.run_for(Duration::from_secs(1));
    }
    world.limits = Limits::default();
}

fn place(node: NodeId) -> u64 {
    u64::from_be_bytes(node.0[..8].try_into().unwrap())
}

/// Whether a member that reaches so far knows another one.
fn knows(own: NodeId, reach: u8, other: NodeId) -> bool {
    let (own, other) = (place(own), place(other));
    let apart = own.wrapping_sub(other).min(other.wrapping_sub(own));
    reach == 0 || apart < 1 << (64 - reach)
}

/// Who of the living is missing in somebody's part, and who is in it and dead.
fn wrong(world: &World) -> Vec<(NodeId, u8, NodeId)> {
    let machines = world.super_nodes.iter().map(|&id| &world.sn(id).machine);
    let living: BTreeSet<NodeId> = machines.clone().map(|machine| machine.node()).collect();
    let mut wrong = Vec::new();
    for machine in machines {
        let (own, reach) = (machine.node(), machine.reach());
        let known: BTreeSet<NodeId> = machine.members().map(|(node, _)| node).collect();
        let differing = known.symmetric_difference(&living);
        let inside = differing.filter(|&&other| knows(own, reach, other));
        wrong.extend(inside.map(|&other| (own, reach, other)));
    }
    wrong
}

/// Whether within so many seconds everybody knows exactly those whom he should.
fn agree(world: &mut World, seconds: u64) -> bool {
    for _ in 0..seconds {
        if wrong(world).is_empty() {
            return true;
        }
        world.network.run_for(Duration::from_secs(1));
    }
    println!("{:?}", wrong(world));
    false
}

fn partial(world: &World) -> Vec<usize> {
    let all = 0..world.super_nodes.len();
    all.filter(|&at| world.sn(world.super_nodes[at]).machine.reach() > 0)
        .collect()
}

fn whole(world: &World) -> Vec<usize> {
    let all = 0..world.super_nodes.len();
    all.filter(|&at| world.sn(world.super_nodes[at]).machine.reach() == 0)
        .collect()
}

#[test]
fn r002_r007_members_that_know_a_part_find_and_place_every_record() {
    let mut world = mixed(130, 48, 12);
    let few = partial(&world);
    assert!(few.len() >= 10, "{few:?}");
    world.network.run_for(Duration::from_secs(40));
    for &at in &few {
        let known = world.sn(world.super_nodes[at]).machine.members().count();
        // An eighth more does not make it know less at once.
        assert!(known <= TABLE + TABLE / 8, "{known}");
    }
    let keys = fill(&mut world, 24);
    let writer = world.user("writer", &[few[2], few[3]]);
    let reader = world.user("reader", &[few[0], few[1]]);
    all_found(&mut world, reader, &keys);
    assert_eq!(world.get(reader, key("nobody")), Err(GetError::NotFound));
    let mine: Vec<Key> = (0..16).map(|n| key(&format!("mine {n}"))).collect();
    for &key in &mine {
        let expected = world.sn(world.super_nodes[0]).machine.replicas(key);
        let kept = |world: &World| -> usize {
            let machines = world.super_nodes.iter().map(|&id| &world.sn(id).machine);
            let keepers = machines.filter(|machine| expected.contains(&machine.node()));
            keepers.map(|machine| machine.stored()).sum()
        };
        let before = kept(&world);
        world.update(writer, key, b"here").unwrap();
        assert!(kept(&world) >= before + 3);
    }
    let other = world.user("other", &[0, 1]);
    for &key in &mine {
        assert_eq!(world.bodies(other, key), Ok(vec![b"here".to_vec()]));
    }
    for (n, &key) in mine.iter().enumerate() {
        if n % 2 == 0 {
            world.remove(writer, key, None).unwrap();
            assert_eq!(world.get(reader, key), Err(GetError::Gone));
        }
    }
    assert!(world.offences().is_empty(), "{:?}", world.offences());
}

#[test]
fn a25_r022_r023_nothing_is_lost_when_members_come_and_go_where_some_know_a_part() {
    let mut world = mixed(131, 48, 12);
    let few = partial(&world);
    let keys = fill(&mut world, 24);
    world.network.keep_log();
    world.network.take_log();
    for at in [few[8], few[4], 30, 20] {
        let lost = world.super_nodes.remove(at);
        world.network.kill(lost);
        world.network.run_for(Duration::from_secs(12));
    }
    let leaving = world.super_nodes.remove(25);
    world.with_sn(leaving, |sn, now| sn.leave(now));
    world.network.run_for(Duration::from_secs(8));
    world.network.kill(leaving);
    world.limits.table = TABLE;
    for number in 60..62 {
        world.add_super_node_named(number);
    }
    assert!(agree(&mut world, 240), "everybody knows his part again");
    // What is news to a part only is told to it only.
    let log = world.network.take_log();
    let told = |all: &[usize]| {
        let hosts: Vec<HostId> = all.iter().map(|&at| world.super_nodes[at]).collect();
        let news = log.iter().filter(|traffic| {
            let message = frame::decode::<Message>(world.overlay(), &traffic.payload);
            let is_news = matches!(&message, Ok(Message::News { parts }) if !parts.is_empty());
            is_news && hosts.contains(&traffic.to)
        });
        news.map(|traffic| traffic.payload.len()).sum::<usize>() / hosts.len()
    };
    let (by_few, by_all) = (told(&partial(&world)), told(&whole(&world)));
    assert!(by_few * 10 < by_all * 9, "{by_few} of {by_all} bytes");
    let few = partial(&world);
    let reader = world.user("reader", &[few[0], few[1]]);
    all_found(&mut world, reader, &keys);
    assert!(world.offences().is_empty(), "{:?}", world.offences());
}

#[test]
fn a_member_that_knows_a_part_is_linked_with_anybody_else() {
    let mut world = mixed(132, 48, 2);
    let own = world.super_nodes[partial(&world)[0]];
    let machine = &world.sn(own).machine;
    let (node, reach) = (machine.node(), machine.reach());
    let known: Vec<NodeId> = machine.members().map(|(node, _)| node).collect();
    let all = world.sn(world.super_nodes[0]).machine.members();
    let all: Vec<NodeId> = all.map(|(node, _)| node).collect();
    let mut strangers = all.iter().filter(|other| !known.contains(other));
    let stranger = *strangers.next().unwrap();
    assert!(!knows(node, reach, stranger));
    world.with_sn(own, |sn, now| sn.connect(stranger, now));
    world.with_sn(own, |sn, now| sn.connect(NodeId([0xab; 20]), now));
    world.network.run_for(Duration::from_secs(2));
    assert!(world.sn(own).machine.link(stranger).is_some());
    let failed = SuperNodeEvent::PeerFailed(NodeId([0xab; 20]));
    assert!(world.sn(own).events.contains(&failed));
}

/// What a super node says about who keeps a key.
fn keepers(world: &mut World, key: Key) -> Vec<Announcement> {
    let identity = world.authority.super_node(node(99));
    let raw = world.raw_peer(&identity, 0);
    world.say(raw, &Message::Who { request: 9, key });
    let mut heard = world.heard::<Message>(raw).into_iter();
    let keepers = heard.find_map(|message| match message {
        Message::Keepers { announcements, .. } => Some(announcements),
        _ => None,
    });
    keepers.unwrap()
}

/// Those of these lists that are far from the truth.
fn far_off(
    lies: [Vec<Announcement>; 2],
) -> impl Fn(Vec<Announcement>) -> Vec<Announcement> + 'static {
    let first = |all: &[Announcement]| -> Vec<u8> {
        let bytes = all.iter().filter_map(|one| one.about.statement.get(1));
        bytes.copied().collect()
    };
    move |truth| {
        let right = first(&truth);
        let far = |lie: &&Vec<Announcement>| {
            let named = first(lie);
            let apart = named
                .iter()
                .flat_map(|a| right.iter().map(|b| a.abs_diff(*b)));
            apart.min() > Some(40)
        };
        lies.iter().find(far).cloned().unwrap_or_default()
    }
}

/// Of those that are asked who keeps a key, the first one answers this, each time.
fn first_lies(world: &mut World, lie: impl Fn(Vec<Announcement>) -> Vec<Announcement> + 'static) {
    let overlay = world.overlay();
    let lied: Rc<RefCell<BTreeSet<u64>>> = Rc::default();
    let lie = Rc::new(lie);
    for &id in &world.super_nodes.clone() {
        let (lied, lie) = (lied.clone(), lie.clone());
        world.network.with(id, |node, _| {
            let Node::Sn(sn) = node else { return };
            sn.evil = Some(Box::new(move |_, bytes| {
                match frame::decode::<Message>(overlay, &bytes) {
                    Ok(Message::Keepers {
                        request,
                        announcements,
                    }) if lied.borrow_mut().insert(request) => {
                        let announcements = lie(announcements);
                        let message = Message::Keepers {
                            request,
                            announcements,
                        };
                        vec![frame::encode(overlay, &message)]
                    }
                    _ => vec![bytes],
                }
            }));
        });
    }
}

#[test]
fn a21_a_guide_that_names_others_hides_no_record() {
    let mut world = mixed(133, 48, 4);
    let few = partial(&world);
    let keys = fill(&mut world, 24);
    let wrong = [
        keepers(&mut world, Key([0x10; 20])),
        keepers(&mut world, Key([0x90; 20])),
    ];
    let reader = world.user("reader", &[few[0], few[1]]);
    let writer = world.user("writer", &[few[2], few[3]]);
    first_lies(&mut world, far_off(wrong));
    all_found(&mut world, reader, &keys);
    // And what is said to be stored is stored where others look for it.
    let other = world.user("other", &[0, 1]);
    for n in 0..12 {
        let key = key(&format!("mine {n}"));
        world.update(writer, key, b"here").unwrap();
        assert_eq!(world.bodies(other, key), Ok(vec![b"here".to_vec()]));
    }
}

#[test]
fn a21_a23_what_a_guide_makes_up_of_others_counts_for_nothing() {
    let mut world = mixed(134, 48, 2);
    let few = partial(&world);
    let keys = fill(&mut world, 12);
    let reader = world.user("reader", &[few[0], few[1]]);
    first_lies(&mut world, |mut truth| {
        for announcement in &mut truth {
            announcement.about.incarnation += 1;
            announcement.about.quic = "evil:quic".into();
        }
        truth
    });
    all_found(&mut world, reader, &keys);
    let offences = world.offences();
    let forged = offences
        .iter()
        .filter(|(_, how)| *how == Offence::Announcement);
    assert!(forged.count() > 0, "{offences:?}");
}

#[test]
fn a21_a_guide_and_those_whom_it_names_can_not_pass_a_record_for_stored() {
    let mut world = mixed(135, 48, 2);
    let overlay = world.overlay();
    let few = partial(&world);
    let wrong = [
        keepers(&mut world, Key([0x10; 20])),
        keepers(&mut world, Key([0x90; 20])),
    ];
    let writer = world.user("writer", &[few[0], few[1]]);
    let own = few
        .iter()
        .map(|&at| &world.sn(world.super_nodes[at]).machine);
    let own: Vec<(NodeId, u8)> = own.map(|own| (own.node(), own.reach())).collect();
    let unknown = |key: &Key| {
        own.iter()
            .all(|&(node, reach)| !knows(node, reach, NodeId(key.0)))
    };
    let mut keys = (0..).map(|n| key(&format!("mine {n}")));
    let key = keys.find(unknown).unwrap();
    let right = world.sn(world.super_nodes[0]).machine.replicas(key);
    first_lies(&mut world, far_off(wrong));
    for &id in &world.super_nodes.clone() {
        world.network.with(id, |node, _| {
            let Node::Sn(sn) = node else { return };
            // Those who should keep it say nothing, all others that they do.
            let silent = right.contains(&sn.machine.node());
            let mut lie = sn.evil.take().unwrap();
            sn.evil = Some(Box::new(move |link, bytes| {
                match frame::decode::<Message>(overlay, &bytes) {
                    Ok(Message::Placed { .. }) if silent => Vec::new(),
                    Ok(Message::Placed { request, .. }) => {
                        let outcome = PutOutcome::Stored;
                        let stored = Message::Placed { request, outcome };
                        vec![frame::encode(overlay, &stored)]
                    }
                    _ => lie(link, bytes),
                }
            }));
        });
    }
    assert_eq!(world.update(writer, key, b"here"), Err(PlaceError::Timeout));
}

#[test]
fn a23_nobody_makes_guides_of_his_friends_unasked() {
    let mut world = mixed(136, 48, 0);
    // It has room for some more.
    world.limits.table = 47;
    world.add_super_node();
    world.network.run_for(Duration::from_secs(2));
    assert!(agree(&mut world, 60));
    let own = partial(&world)[0];
    let id = world.super_nodes[own];
    let guides = |world: &World| world.sn(id).machine.members().count();
    let before = guides(&world);
    let (node, reach) = (world.sn(id).machine.node(), world.sn(id).machine.reach());
    let friends: Vec<NodeId> = (0..=255_u8)
        .map(|first| NodeId([first; 20]))
        .filter(|friend| !knows(node, reach, *friend))
        .take(20)
        .collect();
    let identities: Vec<_> = friends
        .iter()
        .map(|friend| world.authority.super_node(*friend))
        .collect();
    let announcements = identities
        .iter()
        .map(|identity| world.announcement(identity, |_| ()));
    let announcements = announcements.collect();
    let raw = world.raw_peer(&identities[0], own);
    world.say(raw, &Message::Announcements { announcements });
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(guides(&world), before, "it has enough");
    assert!(before < 44, "{before}");
}
