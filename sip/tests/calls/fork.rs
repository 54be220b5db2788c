//! Several devices of one user ring together and stop together.

use sip::{CallId, EndReason, Event};

use crate::network::{Fate, Network, ended, incoming, sdp};

struct Devices {
    net: Network,
    alice: usize,
    call: CallId,
    /// Two devices of bob, and the call at each.
    bobs: [(usize, CallId); 2],
}

fn ringing() -> Devices {
    let mut net = Network::new(4);
    let alice = net.join("alice", 1, &[1]);
    let devices = [net.join("bob", 2, &[3]), net.join("bob", 3, &[4])];
    let call = net.call(alice, &devices);
    net.run(100);
    let bobs = devices.map(|device| {
        let taken = incoming(&net.events(device));
        net.with(device, |ua, now| ua.ring(taken, now));
        (device, taken)
    });
    net.run(200);
    assert_eq!(net.events(alice).len(), 1, "ringing is told once");
    Devices {
        net,
        alice,
        call,
        bobs,
    }
}

impl Devices {
    fn answer(&mut self, which: usize) {
        let (device, taken) = self.bobs[which];
        let answer = sdp(&self.net.agents[device].fingerprint, "answer");
        self.net
            .with(device, |ua, now| ua.answer(taken, answer, now));
    }

    fn end_of(&mut self, which: usize) -> Option<(EndReason, bool)> {
        ended(&self.net.events(self.bobs[which].0))
    }
}

#[test]
fn r058_all_devices_ring_and_the_others_stop_when_one_answers() {
    let mut all = ringing();
    all.answer(1);
    all.net.run(200);
    let instance = all.net.agents[all.bobs[1].0].user.instance;
    let answered = all.net.events(all.alice);
    assert!(
        matches!(&answered[..], [Event::Answered { instance: by, .. }] if *by == instance),
        "{answered:?}"
    );
    assert_eq!(all.end_of(0), Some((EndReason::AnsweredElsewhere, true)));
    assert_eq!(
        all.net.events(all.bobs[1].0),
        [Event::Established {
            call: all.bobs[1].1
        }]
    );
    all.net.run(100_000);
    assert_eq!(all.net.events(all.alice), []);
}

#[test]
fn a46_two_devices_answer_at_once() {
    let mut all = ringing();
    all.answer(0);
    all.answer(1);
    all.net.run(500);
    assert_eq!(all.net.events(all.alice).len(), 1, "one answer");
    let (first, second) = (all.end_of(0), all.end_of(1));
    assert_eq!(
        (first, second),
        (None, Some((EndReason::AnsweredElsewhere, true)))
    );
    let (alice, call) = (all.alice, all.call);
    all.net.with(alice, |ua, now| ua.hang_up(call, now));
    all.net.run(500);
    assert_eq!(all.end_of(0), Some((EndReason::HungUp, true)));
}

#[test]
fn r058_declining_at_one_device_declines_for_all() {
    let mut all = ringing();
    let (device, taken) = all.bobs[0];
    all.net.with(device, |ua, now| ua.decline(taken, now));
    all.net.run(500);
    assert_eq!(
        ended(&all.net.events(all.alice)),
        Some((EndReason::Declined, true))
    );
    assert_eq!(all.end_of(1), Some((EndReason::Declined, true)));
}

#[test]
fn r058_one_busy_device_leaves_the_others_ringing() {
    let mut all = ringing();
    let (device, taken) = all.bobs[0];
    all.net.with(device, |ua, now| ua.busy(taken, now));
    all.net.run(500);
    assert_eq!(ended(&all.net.events(all.alice)), None);
    let (device, taken) = all.bobs[1];
    all.net.with(device, |ua, now| ua.busy(taken, now));
    all.net.run(500);
    assert_eq!(
        ended(&all.net.events(all.alice)),
        Some((EndReason::Busy, true))
    );
}

#[test]
fn r058_an_unreachable_device_does_not_hold_the_call_up() {
    let mut net = Network::new(4);
    let alice = net.join("alice", 1, &[1]);
    let (near, gone) = (net.join("bob", 2, &[3]), net.join("bob", 3, &[4]));
    let targets = vec![net.target(near), net.target(gone)];
    net.cut(gone, 4);
    let offer = sdp(&net.agents[alice].fingerprint, "offer");
    net.with(alice, |ua, now| {
        let call = ua.call("sip:bob@example.org", now);
        ua.offer(call, offer, now);
        ua.locations(call, targets.clone(), now);
        call
    });
    net.run(100);
    let taken = incoming(&net.events(near));
    let answer = sdp(&net.agents[near].fingerprint, "answer");
    net.with(near, |ua, now| ua.answer(taken, answer, now));
    net.run(20_000);
    assert_eq!(net.events(near), [Event::Established { call: taken }]);
    assert_eq!(ended(&net.events(alice)), None);
}

#[test]
fn r058_give_up_stops_every_device() {
    let mut all = ringing();
    let (alice, call) = (all.alice, all.call);
    all.net.with(alice, |ua, now| ua.hang_up(call, now));
    all.net.run(500);
    assert_eq!(all.end_of(0), Some((EndReason::Cancelled, true)));
    assert_eq!(all.end_of(1), Some((EndReason::Cancelled, true)));
}

#[test]
fn a10_forged_answer_of_one_device_does_not_spoil_the_other() {
    let mut all = ringing();
    let alice = all.alice;
    all.net.middle = Some(Box::new(move |agent, _, bytes| {
        let text = String::from_utf8_lossy(bytes);
        if agent == alice && text.contains("02:02:02") {
            return Fate::Become(text.replace("02:02:02", "66:66:66").into_bytes());
        }
        Fate::Deliver
    }));
    all.answer(0);
    all.net.run(300);
    assert_eq!(all.net.events(alice), []);
    assert_eq!(all.end_of(0), Some((EndReason::MediaRefused, true)));
    all.answer(1);
    all.net.run(300);
    assert!(matches!(
        &all.net.events(alice)[..],
        [Event::Answered { .. }]
    ));
}
