//! Whatever users do and whatever arrives, in any order: no crash, every call ends once, nothing stays behind.

use std::collections::BTreeMap;

use machine::Machine;
use sip::{CallId, Candidate, Event};

use crate::network::{Network, established, sdp};

/// A small generator; the seed decides the run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The calls that an agent was told of, and how often each has ended.
type Told = BTreeMap<CallId, usize>;

fn collect(net: &mut Network, agent: usize, told: &mut Told) {
    for event in net.events(agent) {
        match event {
            Event::Incoming { call, .. } => {
                assert_eq!(told.insert(call, 0), None);
            }
            Event::Ended { call, .. } => *told.get_mut(&call).unwrap() += 1,
            Event::LocationsWanted { .. } | Event::Misbehaved { .. } => {}
            Event::Ringing { call, .. }
            | Event::Answered { call, .. }
            | Event::Established { call }
            | Event::Candidates { call, .. }
            | Event::Offered { call, .. }
            | Event::Renegotiated { call, .. }
            | Event::NotRenegotiated { call, .. } => {
                assert_eq!(told[&call], 0, "{event:?} after the end")
            }
        }
    }
}

#[test]
fn a46_any_order_of_what_users_do_ends_every_call_once() {
    for seed in 1..120 {
        let mut dice = Dice(seed);
        let mut net = Network::new(4);
        let agents = [
            net.join("alice", 1, &[1, 2]),
            net.join("bob", 2, &[3, 4]),
            net.join("bob", 3, &[4]),
        ];
        let mut told: [Told; 3] = Default::default();
        for step in 0..60 {
            let one = dice.below(3) as usize;
            let agent = agents[one];
            let calls: Vec<CallId> = told[one].keys().copied().collect();
            let call = calls
                .get(dice.below(calls.len().max(1) as u64) as usize)
                .copied();
            let call = call.unwrap_or(CallId(99));
            let text = sdp(&net.agents[agent].fingerprint, &format!("u{step}"));
            let candidate = Candidate {
                mid: "0".into(),
                line: format!("candidate:{step}"),
                ufrag: format!("u{}", step / 9),
            };
            match dice.below(16) {
                0 | 1 if calls.len() < 6 => {
                    let others: &[usize] = if one == 0 { &agents[1..] } else { &agents[..1] };
                    let call = net.call(agent, others);
                    told[one].insert(call, 0);
                }
                2 | 3 => net.with(agent, |ua, now| ua.ring(call, now)),
                4..=6 => net.with(agent, |ua, now| ua.answer(call, text, now)),
                7 => net.with(agent, |ua, now| ua.decline(call, now)),
                8 => net.with(agent, |ua, now| ua.busy(call, now)),
                9 => net.with(agent, |ua, now| ua.hang_up(call, now)),
                10 => net.with(agent, |ua, now| ua.renegotiate(call, text, now)),
                11 => net.with(agent, |ua, now| ua.refuse_offer(call, now)),
                12 => net.with(agent, |ua, now| ua.candidate(call, candidate, now)),
                13 => net.with(agent, |ua, now| ua.end_of_candidates(call, now)),
                14 if dice.below(3) == 0 => {
                    let number = 1 + dice.below(4) as u8;
                    net.cut(agent, number);
                    net.run(dice.below(40));
                    net.connect(agent, number);
                }
                _ => net.with(agent, |ua, now| ua.not_acceptable(call, now)),
            }
            net.run([0, 1, 5, 30, 300][dice.below(5) as usize]);
            for (agent, told) in agents.iter().zip(&mut told) {
                collect(&mut net, *agent, told);
            }
        }
        for (agent, told) in agents.iter().zip(&told) {
            for call in told.keys() {
                net.with(*agent, |ua, now| ua.hang_up(*call, now));
            }
        }
        net.run(200_000);
        for (agent, told) in agents.iter().zip(&mut told) {
            collect(&mut net, *agent, told);
            assert!(
                told.values().all(|ends| *ends == 1),
                "seed {seed}: {told:?}"
            );
            assert_eq!(net.agents[*agent].ua.poll_timeout(), None, "seed {seed}");
        }
    }
}

#[test]
fn a35_spoilt_messages_never_crash_a_call() {
    let (net, _) = established();
    let samples = net.seen.clone();
    let mut dice = Dice(7);
    let (mut net, sides) = established();
    for round in 0..4000 {
        let (_, sample) = &samples[dice.below(samples.len() as u64) as usize];
        let mut bytes = sample.clone();
        for _ in 0..=dice.below(3) {
            let at = dice.below(bytes.len() as u64) as usize;
            match dice.below(4) {
                0 => bytes[at] ^= 1 << dice.below(8),
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, dice.below(256) as u8),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let (agent, _) = sides[dice.below(2) as usize];
        net.inject(agent, bytes);
        if round % 50 == 0 {
            net.run(1);
        }
    }
    net.run(200_000);
}
