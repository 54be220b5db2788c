//! The virtual network keeps its promises.

use std::collections::VecDeque;
use std::time::Duration;

use machine::Instant;
use sim::{Action, Fact, Host, HostId, Network};

/// Dials when told to, notes what happens, and wakes every second to say so.
#[derive(Default)]
struct Probe {
    facts: Vec<(Instant, Fact)>,
    actions: VecDeque<Action>,
    wake: Option<Instant>,
    woken: usize,
}

impl Host for Probe {
    fn handle(&mut self, fact: Fact, now: Instant) {
        self.facts.push((now, fact));
    }
    fn wake(&mut self, now: Instant) {
        self.woken += 1;
        self.wake = Some(now + Duration::from_secs(1));
    }
    fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }
    fn poll_wake(&self) -> Option<Instant> {
        self.wake
    }
}

fn pair() -> (Network<Probe>, HostId, HostId) {
    let mut network = Network::new([1; 32]);
    let alice = network.add(Probe::default(), "alice");
    let bob = network.add(Probe::default(), "bob");
    network.with(alice, |alice, _| dial(alice, "bob"));
    network.run_for(Duration::from_millis(100));
    (network, alice, bob)
}

fn dial(host: &mut Probe, address: &str) {
    let address = address.to_owned();
    host.actions.push_back(Action::Dial { token: 1, address });
}

fn send(network: &mut Network<Probe>, from: HostId, payload: u8) {
    network.with(from, |host, _| {
        let connection = host.facts.iter().find_map(|(_, fact)| match fact {
            Fact::Opened { connection, .. } => Some(*connection),
            _ => None,
        });
        host.actions.push_back(Action::Send {
            connection: connection.expect("connected"),
            payload: vec![payload],
        });
    });
}

fn received(network: &Network<Probe>, host: HostId) -> Vec<u8> {
    let facts = network.host(host).facts.iter();
    let payloads = facts.filter_map(|(_, fact)| match fact {
        Fact::Received { payload, .. } => Some(payload[0]),
        _ => None,
    });
    payloads.collect()
}

fn was_closed(network: &Network<Probe>, host: HostId) -> bool {
    let mut facts = network.host(host).facts.iter();
    facts.any(|(_, fact)| matches!(fact, Fact::Closed { .. }))
}

#[test]
fn messages_arrive_in_order_whatever_is_lost() {
    let (mut network, alice, bob) = pair();
    network.set_loss(300);
    network.set_latency(Duration::from_millis(10), Duration::from_millis(90));
    for number in 0..100 {
        send(&mut network, alice, number);
    }
    network.run_for(Duration::from_secs(20));
    assert_eq!(received(&network, bob), (0..100).collect::<Vec<u8>>());
}

#[test]
fn latency_is_what_was_set() {
    let (mut network, alice, bob) = pair();
    network.set_latency(Duration::from_millis(250), Duration::ZERO);
    send(&mut network, alice, 7);
    network.run_for(Duration::from_millis(249));
    assert!(received(&network, bob).is_empty());
    network.run_for(Duration::from_millis(1));
    assert_eq!(received(&network, bob), [7]);
}

#[test]
fn killing_is_noticed_and_isolating_is_not() {
    let (mut network, alice, bob) = pair();
    network.isolate(bob);
    send(&mut network, alice, 1);
    network.run_for(Duration::from_secs(5));
    assert!(received(&network, bob).is_empty());
    assert!(!was_closed(&network, alice));
    network.heal();
    network.run_for(Duration::from_secs(1));
    assert!(
        was_closed(&network, alice),
        "the connection did not outlive it"
    );

    let (mut network, alice, bob) = pair();
    network.kill(bob);
    network.run_for(Duration::from_secs(1));
    assert!(was_closed(&network, alice));
    network.with(alice, |alice, _| dial(alice, "bob"));
    network.run_for(Duration::from_secs(1));
    let last = network.host(alice).facts.last().expect("an answer");
    assert_eq!(last.1, Fact::Refused { token: 1 });
}

#[test]
fn only_the_two_that_are_cut_off_are() {
    let (mut network, alice, bob) = pair();
    let carol = network.add(Probe::default(), "carol");
    network.cut(alice, bob);
    network.with(alice, |alice, _| dial(alice, "carol"));
    network.run_for(Duration::from_secs(1));
    assert!(matches!(
        network.host(carol).facts.last(),
        Some((_, Fact::Opened { token: None, .. }))
    ));
    send(&mut network, alice, 1);
    network.run_for(Duration::from_secs(1));
    assert!(received(&network, bob).is_empty());
}

#[test]
fn hosts_are_woken_when_they_wish() {
    let (mut network, alice, _) = pair();
    network.with(alice, |alice, now| {
        alice.wake = Some(now + Duration::from_millis(500))
    });
    network.run_for(Duration::from_secs(10));
    assert_eq!(network.host(alice).woken, 10);
    // An earlier wish counts at once.
    network.with(alice, |alice, now| alice.wake = Some(now));
    network.run_for(Duration::from_millis(1));
    assert_eq!(network.host(alice).woken, 11);
}
