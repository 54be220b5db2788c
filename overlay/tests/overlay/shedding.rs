//! Overload: what is turned away first, and where those go who were turned away.

use std::time::Duration;

use credential::Certificate;
use machine::Machine as _;
use overlay::association::{Denial, FromOrdinary, FromSuperNode, Mode, PutOutcome, SearchEnd};
use overlay::{Limits, LinkId, OrdinaryInput, OrdinaryOutput, Refused, SuperNodeInput};
use sim::{Fact, HostId, Network};

use crate::node::Node;
use crate::raw::Raw;
use crate::world::{World, key};

fn load(world: &mut World, id: HostId, percent: u8) {
    world.network.with(id, |node, now| {
        if let Node::Sn(sn) = node {
            machine::Machine::handle_input(&mut sn.machine, SuperNodeInput::Load(percent), now);
            sn.drain(now);
        }
    });
}

/// Asks a super node for a key, and returns how that ended.
fn search(world: &mut World, raw: Raw, name: &str) -> (usize, Option<SearchEnd>) {
    let request = world.network.now().since_epoch().as_micros() as u64;
    let get = FromOrdinary::Get {
        request,
        key: key(name),
        owner: None,
        newest: false,
    };
    world.say(raw, &get);
    world.network.run_for(Duration::from_secs(3));
    let (mut found, mut ended) = (0, None);
    for answer in world.heard::<FromSuperNode>(raw) {
        if let FromSuperNode::Records {
            request: of,
            records,
            end,
        } = answer
            && of == request
        {
            found += records.len();
            ended = ended.or(end);
        }
    }
    (found, ended)
}

#[test]
fn associations_go_first_then_searches_then_records_and_nobody_leaves() {
    let mut world = World::with_super_nodes(74, 2);
    let bob = world.authority.user("sip:bob@example.org", 1);
    let raw = world.raw_user(&bob, 0);
    let first = world.super_nodes[0];
    let busy = PutOutcome::Refused(Refused::Busy);
    let steps = [
        (49, false, SearchEnd::Complete, PutOutcome::Stored),
        (50, true, SearchEnd::Complete, PutOutcome::Stored),
        (70, true, SearchEnd::Busy, PutOutcome::Stored),
        (90, true, SearchEnd::Busy, busy),
        (100, true, SearchEnd::Busy, busy),
        (10, false, SearchEnd::Complete, PutOutcome::Stored),
    ];
    for (percent, turned_away, searched, placed) in steps {
        load(&mut world, first, percent);
        let stranger = world.raw_stranger(0);
        world.network.run_for(Duration::from_secs(1));
        let denied = world.denied(stranger) == Some(Denial::Busy);
        assert_eq!(denied, turned_away, "at {percent} %");
        let nowhere = search(&mut world, raw, "nowhere");
        assert_eq!(nowhere, (0, Some(searched)), "at {percent} %");
        let record = world.record(&bob, key("k"), &[percent], |_| {});
        let outcome = world.put(raw, Mode::Update, record);
        assert_eq!(outcome, placed, "at {percent} %");
        // What it keeps it still tells, and who is associated stays so.
        let here = search(&mut world, raw, "k");
        assert_eq!(here, (1, Some(SearchEnd::Complete)), "at {percent} %");
        assert!(!world.is_closed(raw));
        assert_eq!(world.sn(first).machine.members().count(), 2);
    }
}

#[test]
fn those_turned_away_find_room_where_they_are_sent() {
    let mut world = World::new(75);
    world.limits = Limits {
        associations: 20,
        ..Limits::default()
    };
    world.grow(5);
    // All of them know the same super node only, and come at the same moment.
    let users: Vec<HostId> = (0..40)
        .map(|number| {
            let uri = format!("sip:user{number}@example.org");
            let identity = world.authority.user(&uri, 1);
            world.add_ordinary(identity, &[0])
        })
        .collect();
    let begin = world.network.now();
    let settled = world.network.run_until(Duration::from_secs(60), |network| {
        users.iter().all(|&user| {
            matches!(network.host(user), Node::On(on) if on.machine.associations().count() == 2)
        })
    });
    assert!(settled, "everybody has two associations");
    assert!(world.network.now() - begin < Duration::from_secs(30));
    // They were spread by chance, not all sent to the same next one.
    for &id in &world.super_nodes {
        let events = &world.sn(id).events;
        let came = events
            .iter()
            .filter(|event| matches!(event, overlay::SuperNodeEvent::Associated { .. }));
        assert!(came.count() >= 8);
    }
}

#[test]
fn r088_a_super_node_says_whether_it_is_to_be_tried_first_again() {
    let mut world = World::new(92);
    world.limits = Limits {
        associations: 4,
        ..Limits::default()
    };
    world.grow(3);
    let id = world.super_nodes[0];
    let proposed = |world: &mut World, name: &str| {
        let user = world.authority.user(&format!("sip:{name}@example.org"), 1);
        let raw = world.raw_user(&user, 0);
        let (mut own, mut named) = (None, Vec::new());
        for message in world.heard::<FromSuperNode>(raw) {
            match message {
                FromSuperNode::Challenge { certificate, .. } => {
                    own = Certificate::read(&certificate).unwrap().node();
                }
                FromSuperNode::Welcome { super_nodes, .. } => named = super_nodes,
                _ => {}
            }
        }
        let own = own.unwrap();
        let nodes: Vec<_> = named.iter().map(|contact| contact.node).collect();
        assert_eq!(nodes.iter().filter(|node| **node != own).count(), 2);
        nodes.iter().position(|node| *node == own)
    };
    assert_eq!(proposed(&mut world, "alice"), Some(0));
    load(&mut world, id, 30);
    assert_eq!(proposed(&mut world, "bob"), None, "it has much to do");
    load(&mut world, id, 0);
    assert_eq!(
        proposed(&mut world, "carol"),
        None,
        "it serves three of four"
    );
}

#[test]
fn a25_those_turned_away_everywhere_come_back_rarely_and_find_room_when_there_is_some() {
    let mut world = World::with_super_nodes(79, 6);
    for id in world.super_nodes.clone() {
        load(&mut world, id, 60);
    }
    let users: Vec<HostId> = (0..20)
        .map(|number| {
            let uri = format!("sip:user{number}@example.org");
            let identity = world.authority.user(&uri, 1);
            world.add_ordinary(identity, &[0, 1, 2, 3, 4, 5])
        })
        .collect();
    let mut refusals = |seconds| {
        world.network.keep_log();
        world.network.run_for(Duration::from_secs(seconds));
        let refused = world.network.take_log().into_iter().filter(|traffic| {
            let message = traffic.payload.get(17..).map(postcard::from_bytes);
            matches!(message, Some(Ok(FromSuperNode::Refused { .. })))
        });
        refused.count()
    };
    let first = refusals(60);
    assert!(first <= 20 * 12, "{first} in the first minute");
    let second = refusals(60);
    assert!(second <= 20 * 5, "{second} in the second minute");
    for id in world.super_nodes.clone() {
        load(&mut world, id, 0);
    }
    let mut come = |limit, least: usize| {
        let limit = Duration::from_secs(limit);
        world.network.run_until(limit, |network| {
            users
                .iter()
                .all(|&user| associations(network, user) >= least)
        })
    };
    assert!(come(30, 1), "everybody has one association");
    assert!(come(90, 2), "everybody has two");
}

fn associations(network: &Network<Node>, user: HostId) -> usize {
    match network.host(user) {
        Node::On(on) => on.machine.associations().count(),
        _ => 0,
    }
}

#[test]
fn a25_whoever_was_hard_to_serve_asks_for_a_second_association_later() {
    let mut world = World::with_super_nodes(83, 3);
    for id in world.super_nodes.clone() {
        load(&mut world, id, 60);
    }
    let identity = world.authority.user("sip:alice@example.org", 1);
    let alice = world.add_ordinary(identity, &[0, 1, 2]);
    world.network.run_for(Duration::from_secs(20));
    assert_eq!(associations(&world.network, alice), 0);
    for id in world.super_nodes.clone() {
        load(&mut world, id, 0);
    }
    let mut come = |count| {
        let begin = world.network.now();
        let limit = Duration::from_secs(70);
        let come = |network: &Network<Node>| associations(network, alice) == count;
        assert!(world.network.run_until(limit, come));
        world.network.now() - begin
    };
    come(1);
    let second = come(2);
    assert!(second >= Duration::from_secs(25), "{second:?}");
}

#[test]
fn a25_those_whom_nobody_answers_in_time_dial_rarely() {
    let mut world = World::with_super_nodes(80, 1);
    // They take what is sent, and say nothing.
    let silent = world.add_puppet("silent");
    let urls = (0..6).map(|number| {
        let address = format!("silent{number}");
        world.network.add_address(silent, &address);
        format!("wss://{address}/p2psip")
    });
    let urls = urls.collect();
    let identity = world.authority.user("sip:alice@example.org", 1);
    let alice = world.add_ordinary_by(identity, urls);
    let mut dials = |seconds| {
        let count = |world: &World| {
            let facts = world.facts(silent).iter();
            let dials = facts.filter(|fact| matches!(fact, Fact::Opened { .. }));
            dials.count()
        };
        let before = count(&world);
        world.network.run_for(Duration::from_secs(seconds));
        count(&world) - before
    };
    let (first, second) = (dials(60), dials(60));
    assert!(first >= 6 && second >= 3, "{first} and {second}");
    assert!(second <= 15, "{second} in the second minute");
    world.with_on(alice, |on, now| {
        let url = "wss://sn0/p2psip".into();
        let good = overlay::Candidate { url, node: None };
        machine::Machine::handle_input(on, overlay::OrdinaryInput::Candidates(vec![good]), now);
    });
    let found = world.network.run_until(Duration::from_secs(30), |network| {
        matches!(network.host(alice), Node::On(on) if on.machine.associations().count() == 1)
    });
    assert!(found, "the one that answers");
}

/// How often a node dials ten super nodes in its first five seconds when each try ends at once, in this way.
fn dials(end: fn(LinkId) -> OrdinaryInput) -> usize {
    let mut world = World::new(81);
    let identity = world.authority.user("sip:alice@example.org", 1);
    let urls = (0..10).map(|number| format!("wss://sn{number}.example.org/p2psip"));
    let mut node = world.ordinary(&identity, urls.collect());
    let (mut dials, begin) = (0, world.network.now());
    let mut now = begin;
    while now - begin < Duration::from_secs(5) {
        while let Some(output) = node.poll_output() {
            if let OrdinaryOutput::Dial { link, .. } = output {
                dials += 1;
                node.handle_input(end(link), now);
            }
        }
        let Some(next) = node.poll_timeout() else {
            break;
        };
        now = next;
        node.handle_timeout(now);
    }
    dials
}

#[test]
fn a25_a_door_that_is_shut_is_tried_less_than_one_where_nobody_is() {
    let (busy, down) = (dials(OrdinaryInput::Busy), dials(OrdinaryInput::Down));
    assert!((3..=7).contains(&busy), "{busy}");
    assert!(down >= 10, "all are tried at once, and some again: {down}");
}
