//! Floods: what one who sends too much costs, and what the others notice of it.

use std::time::Duration;

use credential::Signature;
use overlay::association::{FromOrdinary, FromSuperNode, Mode, PutOutcome};
use overlay::peer::{Find, Message};
use overlay::{Limits, OrdinaryEvent, QueryId, Reading, Refused, frame};
use sim::HostId;

use crate::node::Node;
use crate::raw::{Raw, node};
use crate::world::{World, key};

/// Looks a key up so many times, one after the other, and returns how long each took, sorted.
fn latencies(world: &mut World, on: HostId, names: &[&str]) -> Vec<Duration> {
    let mut all: Vec<Duration> = names
        .iter()
        .map(|name| {
            let begin = world.network.now();
            let overlay = world.overlay();
            let query = world.with_on(on, |on, now| {
                on.get(overlay, key(name), None, Reading::Quick, now)
            });
            world.network.run_until(Duration::from_secs(10), |network| {
                answered(network.host(on), query)
            });
            world.network.now() - begin
        })
        .collect();
    all.sort();
    all
}

fn answered(node: &Node, query: QueryId) -> bool {
    let Node::On(on) = node else { return false };
    on.events.iter().any(|event| {
        matches!(event, OrdinaryEvent::Records { query: of, .. }
            | OrdinaryEvent::GetFailed { query: of, .. } if *of == query)
    })
}

fn send_gets(world: &mut World, raw: Raw, count: u64) {
    for request in 0..count {
        let get = FromOrdinary::Get {
            request,
            key: key(&format!("nothing {request}")),
            owner: None,
            newest: true,
        };
        let bytes = frame::encode(world.overlay(), &get);
        world.send_bytes(raw, bytes);
    }
}

#[test]
fn a16_r134_ten_thousand_gets_in_a_second_of_one_do_not_slow_the_others() {
    let mut world = World::with_super_nodes(70, 6);
    let alice = world.user("alice", &[0, 1]);
    let names: Vec<String> = (0..20).map(|number| format!("name {number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        world.network.run_for(Duration::from_millis(300));
        world.update(alice, key(name), b"here").unwrap();
    }
    let reader = world.user("reader", &[0, 2]);
    let quiet = latencies(&mut world, reader, &names);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let raw = world.raw_user(&mallory, 0);
    let mut flooded = Vec::new();
    // For as long as all the others' searches take: 500 in every 50 ms.
    for chunk in names.chunks(1) {
        send_gets(&mut world, raw, 500);
        flooded.extend(latencies(&mut world, reader, chunk));
    }
    flooded.sort();
    let p99 = |all: &[Duration]| all[all.len() * 99 / 100];
    assert!(
        p99(&flooded) <= p99(&quiet) + Duration::from_millis(20),
        "{:?} with the flood, {:?} without",
        p99(&flooded),
        p99(&quiet)
    );
    // What it costs the ring is what one user may ask for, not what he sends.
    let limits = Limits::default();
    world.network.keep_log();
    send_gets(&mut world, raw, 10_000);
    world.network.run_for(Duration::from_secs(1));
    let finds = world.network.take_log().into_iter().filter(|traffic| {
        let message = postcard::from_bytes(traffic.payload.get(17..).unwrap_or_default());
        matches!(message, Ok(Message::Find(_)))
    });
    let allowed = limits.requests as usize * 5 * 5;
    let finds = finds.count();
    assert!(finds <= allowed, "{finds} searches between super nodes");
}

#[test]
fn a18_r136_a_flood_of_forged_records_costs_a_bounded_number_of_verifications() {
    let mut world = World::with_super_nodes(71, 3);
    let alice = world.authority.user("sip:alice@example.org", 1);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    let mut first = world.record(&mallory, key("k"), b"body", |_| {});
    first.signature = Signature([1; 64]);
    let raw = world.raw_user(&mallory, 0);
    let cost = |world: &World| -> usize {
        let nodes = world.super_nodes.iter();
        nodes.map(|&id| world.sn(id).verifications).sum()
    };
    let before = cost(&world);
    for request in 0..5_000 {
        let record = first.clone();
        let mode = Mode::Update;
        let put = FromOrdinary::Put {
            request,
            mode,
            record,
        };
        let bytes = frame::encode(world.overlay(), &put);
        world.send_bytes(raw, bytes);
    }
    // Records that fail a cheap check cost none at all.
    let of_alice = world.raw_user(&alice, 0);
    let settled = cost(&world);
    for request in 0..100 {
        let record = world.record(&alice, key("k"), b"body", |control| control.lifetime = 0);
        let mode = Mode::Update;
        let put = FromOrdinary::Put {
            request,
            mode,
            record,
        };
        let bytes = frame::encode(world.overlay(), &put);
        world.send_bytes(of_alice, bytes);
    }
    world.network.run_for(Duration::from_secs(1));
    assert_eq!(cost(&world), settled, "cheap checks first");
    // Two signatures a record, as many records as a user may send, and never any at the replicas.
    let spent = settled - before;
    let allowed = Limits::default().requests as usize * 6 * 2;
    assert!(spent <= allowed, "{spent} verifications");
    let good = world.record(&alice, key("k"), b"passes", |_| {});
    assert_eq!(world.put(of_alice, Mode::Update, good), PutOutcome::Stored);
}

#[test]
fn a19_r137_a_hot_key_is_served_by_all_its_replicas() {
    let mut world = World::with_super_nodes(72, 10);
    let alice = world.user("alice", &[0, 1]);
    world.update(alice, key("hot"), b"here").unwrap();
    // Every other super node asks for it a hundred times at once.
    let mut askers = Vec::new();
    for number in 0..8 {
        let identity = world.authority.super_node(node(100 + number));
        let raw = world.raw_member(&identity, 0);
        askers.push((node(100 + number), raw));
    }
    world.network.run_for(Duration::from_secs(2));
    let reader = world.user("reader", &[2, 3]);
    let quiet = latencies(&mut world, reader, &["hot", "hot", "hot"]);
    for (asker, raw) in &askers {
        for request in 0..500 {
            let find = Find {
                asker: *asker,
                request,
                key: key("hot"),
                owner: None,
                ttl: 2,
                visited: vec![*asker],
            };
            let bytes = frame::encode(world.overlay(), &Message::Find(find));
            world.send_bytes(*raw, bytes);
        }
    }
    let hot = latencies(&mut world, reader, &["hot"; 20]);
    let bound = quiet[2] + Duration::from_millis(50);
    assert!(hot[19] <= bound, "{:?} against {:?}", hot[19], quiet[2]);
    let flooded: Vec<_> = askers
        .iter()
        .map(|(_, raw)| world.heard::<Message>(*raw).len())
        .collect();
    assert!(flooded.iter().all(|&heard| heard > 0), "{flooded:?}");
}

#[test]
fn a17_r135_an_account_has_one_quota_however_many_connections_it_has() {
    let mut world = World::new(73);
    world.limits = Limits {
        user_associations: 8,
        ..Limits::default()
    };
    world.grow(3);
    let bob = world.user("bob", &[0, 1]);
    let mallory = world.authority.user("sip:mallory@example.org", 1);
    // A thousand connections: few are let in.
    let mut standing = Vec::new();
    for (at, count) in [(0, 400), (1, 300), (2, 300)] {
        let crowd = world.raw_crowd(&mallory, at, count).into_iter();
        let (refused, welcome): (Vec<_>, Vec<_>) =
            crowd.partition(|&raw| world.denied(raw).is_some());
        assert_eq!(welcome.len() + refused.len(), count);
        standing.extend(welcome);
    }
    assert_eq!(standing.len(), 3 * 8);
    // Each adds junk, under own keys and under Bob's.
    let quota = Limits::default().owner_records;
    let mut sent = 0;
    for (number, raw) in standing.iter().cycle().take(400).enumerate() {
        if number % 24 == 0 {
            world.network.run_for(Duration::from_secs(1));
        }
        let name = if number % 2 == 0 {
            format!("user location|victim{number}@example.org")
        } else {
            format!("junk {number}")
        };
        let record = world.record(&mallory, key(&name), b"junk", |_| {});
        let request = number as u64;
        let mode = Mode::Add;
        let put = FromOrdinary::Put {
            request,
            mode,
            record,
        };
        let bytes = frame::encode(world.overlay(), &put);
        world.send_bytes(*raw, bytes);
        sent += 1;
    }
    world.network.run_for(Duration::from_secs(3));
    assert_eq!(sent, 400);
    for &id in &world.super_nodes {
        let stored = world.sn(id).machine.stored();
        assert!(stored <= quota, "{stored} records");
    }
    let refused = standing
        .iter()
        .flat_map(|&raw| world.heard::<FromSuperNode>(raw))
        .filter(|answer| {
            matches!(
                answer,
                FromSuperNode::Put {
                    outcome: PutOutcome::Refused(Refused::Quota),
                    ..
                }
            )
        });
    assert!(refused.count() >= 100);
    world.update(bob, key("bob"), b"passes").unwrap();
    assert_eq!(world.bodies(bob, key("bob")), Ok(vec![b"passes".to_vec()]));
}
