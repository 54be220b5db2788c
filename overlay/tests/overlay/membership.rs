//! What hostile super nodes say of the ring, and how long a credential counts.

use std::time::Duration;

use credential::MemberStatement;
use overlay::association::{Denial, FromOrdinary};
use overlay::peer::Message;
use overlay::{SuperNodeEvent, frame};

use crate::authority::WALL;
use crate::raw::node;
use crate::world::World;

#[test]
fn a23_forged_and_old_announcements_change_nothing() {
    let mut world = World::with_super_nodes(50, 3);
    let evil = world.authority.super_node(node(77));
    let raw = world.raw_member(&evil, 0);
    assert!(world.settle(4) || world.sn(world.super_nodes[0]).machine.members().count() == 4);
    let victim = world.super_nodes[1];
    let statement = world.sn(victim).identity.statement.unwrap();
    let identity = world.sn(victim).identity.clone();
    let newcomer = world.authority.super_node(node(6));
    let far = WALL + 3_600_000;
    let ended = world.authority.super_node_until(node(5), Duration::ZERO);
    let forged: Vec<_> = [
        // The victim moves, says mallory.
        world.announcement(&evil, |about| {
            about.statement = statement.to_bytes().to_vec()
        }),
        // A newcomer is there, says mallory.
        world.announcement(&evil, |about| {
            about.statement = newcomer.statement.unwrap().to_bytes().to_vec();
        }),
        // The victim said so himself, but will only say so in an hour, or did so days ago.
        world.announcement(&identity, |about| about.incarnation = far),
        world.announcement(&world.authority.super_node(node(8)), |about| {
            about.incarnation -= 9 * 24 * 3_600_000;
        }),
        // A statement with another key, or garbage in its place.
        world.announcement(&evil, |about| {
            let key = evil.certificate.public_key();
            let statement = MemberStatement { key, ..statement };
            about.statement = statement.to_bytes().to_vec();
        }),
        world.announcement(&evil, |about| about.statement = vec![1; 142]),
        // True once, but its time is over.
        world.announcement(&ended, |_| {}),
        world.announcement(&evil, |about| about.statement.clear()),
        world.announcement(&evil, |about| {
            about.url = "w".repeat(256);
            about.incarnation += 1;
        }),
    ]
    .into();
    for announcement in forged {
        let before = world.offences().len();
        let announcements = vec![announcement.clone()];
        world.say(raw, &Message::Announcements { announcements });
        assert_eq!(
            world.offences().len(),
            before + 1,
            "{:?}",
            announcement.about
        );
    }
    let others: Vec<_> = world.super_nodes.clone();
    for node in others {
        let members: Vec<String> = world
            .sn(node)
            .machine
            .members()
            .map(|(_, url)| url.to_owned())
            .collect();
        assert!(
            members.contains(&"wss://sn1/p2psip".to_owned()),
            "{members:?}"
        );
    }
}

#[test]
fn a23_nobody_is_lost_by_hearsay() {
    let mut world = World::with_super_nodes(51, 4);
    let evil = world.authority.super_node(node(77));
    let victim = world.raw_peer(&evil, 1);
    let hello = world.heard::<Message>(victim).into_iter();
    let announcement = hello.into_iter().find_map(|message| match message {
        Message::Hello { announcement, .. } => announcement,
        _ => None,
    });
    let incarnation = announcement.expect("it has joined").about.incarnation;
    let node = world.sn(world.super_nodes[1]).machine.node();
    let raw = world.raw_peer(&evil, 0);
    // So slow that a probe is often under way when the moment is over.
    world
        .network
        .set_latency(Duration::from_millis(300), Duration::ZERO);
    // The very life that it lives now, at every moment between two probes.
    for _ in 0..800 {
        let lost = Message::Doubt { node, incarnation };
        let bytes = frame::encode(world.overlay(), &lost);
        world.send_bytes(raw, bytes);
        world.network.run_for(Duration::from_millis(23));
    }
    for &node in &world.super_nodes {
        assert_eq!(world.sn(node).machine.members().count(), 4);
        let lost = world.sn(node).events.iter();
        let lost = lost.filter(|event| matches!(event, SuperNodeEvent::MemberLost(_)));
        assert_eq!(lost.count(), 0);
    }
}

#[test]
fn r105_an_association_ends_with_the_credential() {
    let mut world = World::with_super_nodes(54, 1);
    let soon = Duration::from_secs(60);
    let alice = world.authority.user_until("sip:alice@example.org", 1, soon);
    let raw = world.raw_user(&alice, 0);
    for _ in 0..40 {
        world.network.run_for(Duration::from_secs(1));
        world.say(raw, &FromOrdinary::Ping { number: 1 });
    }
    assert_eq!(world.denied(raw), None);
    world.network.run_for(Duration::from_secs(20));
    assert_eq!(world.denied(raw), Some(Denial::Expired));
}

#[test]
fn a23_one_members_chatter_does_not_travel() {
    let mut world = World::with_super_nodes(57, 6);
    let evil = world.authority.super_node(node(77));
    let raw = world.raw_member(&evil, 0);
    world.network.keep_log();
    for number in 1..400 {
        let announcement = world.announcement(&evil, |about| about.incarnation += number);
        let announcements = vec![announcement];
        let message = Message::Announcements { announcements };
        let bytes = frame::encode(world.overlay(), &message);
        world.send_bytes(raw, bytes);
    }
    world.network.run_for(Duration::from_secs(3));
    let log = world.network.take_log().into_iter();
    let passed_on = log.filter(|traffic| traffic.from != raw.host);
    let told = passed_on.map(|traffic| {
        let message = traffic.payload.get(17..).map(postcard::from_bytes);
        match message {
            Some(Ok(Message::News { parts })) => parts.iter().map(|part| part.events.len()).sum(),
            _ => 0,
        }
    });
    assert!(told.sum::<usize>() < 60);
}
