//! One run: a ring in its steady state, members that come and go, and ordinary nodes that look records up.

use std::sync::Arc;
use std::time::Duration;

use credential::{NodeId, Signature};
use machine::WallClock;
use overlay::peer::{About, Announcement};
use overlay::{
    Candidate, Intern as _, Key, Member, OrdinaryConfig, OrdinaryNode, Placement, Seed, SuperNode,
    SuperNodeConfig,
};

use super::authority::{Authority, Papers, WALL};
use super::part::{Part, is_inside};
use super::traffic::Sent;
use super::world::{Host, Node, World};

/// Super nodes that look records up for their ordinary nodes, and how many of those each has.
const ASKERS: usize = 16;
const USERS: usize = 6;
/// Records of each, the quota of an owner.
const RECORDS: usize = 60;
/// Lookups of one of these super nodes in a second: 10,000 ordinary nodes that each call once an hour.
const LOOKUPS: f64 = 2.8;
/// Before anything is measured: the records are placed, links come to stand.
const WARM: Duration = Duration::from_secs(3_600);
/// How long before anything is measured the lookups begin.
const ASKED: Duration = Duration::from_secs(600);
/// When the records are placed.
const PLACING: Duration = Duration::from_secs(60);
/// How many of those that go crash, in tenths; the others take their leave.
const CRASHES: usize = 5;
/// Lookups that are over by then have failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) members: usize,
    /// Median session in hours.
    pub(super) hours: f64,
    pub(super) minutes: u64,
    /// Entries of most members' tables; none where all know all.
    table: Option<usize>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(super) struct Outcome {
    pub(super) scenario: Scenario,
    pub(super) runs: u64,
    pub(super) lookups: u64,
    pub(super) found: u64,
    pub(super) searches: u64,
    pub(super) hops: u64,
    pub(super) right: u64,
    /// Of all lookups that found something, in ms, sorted.
    pub(super) latencies: Vec<f32>,
    pub(super) sent: Sent,
    /// Seconds times super nodes.
    pub(super) time: f64,
    pub(super) changes: u64,
    pub(super) signatures: u64,
    pub(super) events: u64,
    /// Bytes of a super node, with its share of what the simulation itself needs.
    pub(super) memory: f64,
    /// Of the tables compared with who really lives at the end: entries that are wrong, in millionths.
    pub(super) stale: f64,
}

impl Outcome {
    pub(super) fn with(mut self, other: Self) -> Self {
        self.runs += other.runs;
        self.lookups += other.lookups;
        self.found += other.found;
        self.searches += other.searches;
        self.hops += other.hops;
        self.right += other.right;
        self.latencies.extend(other.latencies);
        self.latencies.sort_by(f32::total_cmp);
        self.sent += other.sent;
        self.time += other.time;
        self.changes += other.changes;
        self.signatures += other.signatures;
        self.events += other.events;
        self.memory = self.memory.max(other.memory);
        self.stale = (self.stale * (self.runs - 1) as f64 + other.stale) / self.runs as f64;
        self
    }

    pub(super) fn percentile(&self, share: f64) -> f64 {
        let place = (self.latencies.len() as f64 * share) as usize;
        let latency = self.latencies.get(place).or(self.latencies.last());
        latency.map_or(f64::NAN, |latency| f64::from(*latency))
    }
}

struct Run {
    scenario: Scenario,
    world: World,
    authority: Authority,
    alive: Vec<Host>,
    askers: Vec<Host>,
    users: Vec<Host>,
    keys: Vec<Key>,
    number: u64,
}

impl Scenario {
    pub(super) fn new(members: usize, hours: f64, minutes: u64) -> Self {
        Self {
            members,
            hours,
            minutes,
            table: None,
        }
    }

    /// The same with smaller tables.
    pub(super) fn with_tables_of(self, table: Option<usize>) -> Self {
        Self { table, ..self }
    }

    fn part(&self) -> Part {
        Part::new(self.members, self.table)
    }

    /// Members that come in a second; as many go.
    pub(super) fn rate(&self) -> f64 {
        self.members as f64 * std::f64::consts::LN_2 / (self.hours * 3_600.0)
    }

    pub(super) fn run(self, seed: u64) -> anyhow::Result<Outcome> {
        let before = resident();
        let mut run = Run {
            scenario: self,
            world: World::new(seed),
            authority: Authority::new()?,
            alive: Vec::new(),
            askers: Vec::new(),
            users: Vec::new(),
            keys: Vec::new(),
            number: 0,
        };
        run.build()?;
        run.people()?;
        run.go()?;
        let memory = (resident() - before).max(0.0) / self.members as f64;
        Ok(run.outcome(memory))
    }
}

impl Run {
    fn config(&mut self, papers: &Papers, number: u64, seeds: Vec<Seed>) -> SuperNodeConfig {
        let name = format!("sn{number}.example.org");
        SuperNodeConfig {
            anchor: self.authority.anchor.clone(),
            certificate: papers.certificate.clone(),
            statement: papers.statement,
            revocations: self.authority.revocations(),
            hosts: vec![name.clone()],
            url: format!("wss://{name}/p2psip"),
            quic: quic(number),
            stun: Vec::new(),
            seeds,
            limits: self.scenario.part().limits(number),
            clock: WallClock::new(WALL),
            seed: self.world.chance.bytes(),
        }
    }

    /// All members at once, each with the same table.
    fn build(&mut self) -> anyhow::Result<()> {
        let mut all = Vec::new();
        let mut table: Vec<Arc<Member>> = Vec::new();
        for _ in 0..self.scenario.members {
            let number = self.number;
            self.number += 1;
            let papers = self
                .authority
                .super_node(NodeId(self.world.chance.bytes()))?;
            let about = About {
                statement: papers.statement.to_bytes().to_vec(),
                incarnation: WALL - 3_600_000 - number,
                quic: quic(number),
                url: format!("wss://sn{number}.example.org/p2psip"),
                reach: self.scenario.part().reach(number),
            };
            let signature = Signature([0; 64]);
            if let Some(member) = Member::read(Announcement { about, signature }) {
                table.push(self.world.pool.intern(member));
            }
            all.push((papers, number));
        }
        let part = self.scenario.part();
        let mut ring = table.clone();
        ring.sort_unstable_by_key(|member| member.node());
        let guides = ring.iter().filter(|member| member.reach() == 0);
        let guides: Vec<Arc<Member>> = guides.cloned().collect();
        for ((papers, number), own) in all.into_iter().zip(&table) {
            let config = self.config(&papers, number, Vec::new());
            let known = part.known(&ring, &guides, own, &mut self.world.chance);
            let machine = SuperNode::resume(config, &known, self.world.now);
            let host = self.world.add_super_node(machine, papers.der, name(number));
            if self.askers.len() < ASKERS {
                self.askers.push(host);
            } else {
                self.alive.push(host);
            }
        }
        Ok(())
    }

    fn people(&mut self) -> anyhow::Result<()> {
        for number in 0..ASKERS * USERS {
            let user = format!("user{number}");
            let certificate = self.authority.user(&user)?;
            let at = [number % ASKERS, (number + 1 + number / ASKERS) % ASKERS];
            let candidates = at.map(|at| Candidate {
                url: format!("wss://{}/p2psip", name(at as u64)),
                node: None,
            });
            let config = OrdinaryConfig {
                anchor: self.authority.anchor.clone(),
                certificate,
                revocations: self.authority.revocations(),
                candidates: candidates.to_vec(),
                clock: WallClock::new(WALL),
                seed: self.world.chance.bytes(),
            };
            let machine = OrdinaryNode::new(config, self.world.now);
            let host = self.world.add_ordinary(machine);
            self.users.push(host);
        }
        self.wait(Duration::from_secs(5));
        for record in 0..RECORDS {
            for at in 0..self.users.len() {
                let key = Key::of(format!("record {record} of {at}").as_bytes());
                let overlay = self.authority.overlay();
                self.world.with_on(self.users[at], |on, now| {
                    let placement = Placement::lasting(86_400);
                    on.machine
                        .update(overlay, key, vec![7; 300], placement, now);
                });
                self.keys.push(key);
            }
            self.wait(PLACING / RECORDS as u32);
        }
        self.wait(Duration::from_secs(5));
        Ok(())
    }

    fn wait(&mut self, pause: Duration) {
        let end = self.world.now + pause;
        self.world.run_until(end);
    }

    fn go(&mut self) -> anyhow::Result<()> {
        let measured = self.world.now + WARM;
        let end = measured + Duration::from_secs(60 * self.scenario.minutes);
        let rate = self.scenario.rate();
        let lookups = LOOKUPS * ASKERS as f64;
        let (mut change, mut lookup) = (self.world.now, self.world.now + (WARM - ASKED));
        let mut before = None;
        loop {
            let next = change.min(lookup).min(end);
            if before.is_none() && next >= measured {
                self.world.run_until(measured);
                before = Some((self.world.sent, self.world.signatures));
                self.world.got.clear();
                self.world.searches.forget();
            }
            self.world.run_until(next);
            if next >= end {
                break;
            }
            if next == change {
                // One goes, one comes.
                let place = self.world.chance.below(self.alive.len());
                let gone = self.alive.swap_remove(place);
                if self.world.chance.below(10) < CRASHES {
                    self.world.crash(gone);
                } else {
                    self.world.leave(gone);
                }
                self.join()?;
                change = change + self.world.chance.pause(rate);
            } else {
                let user = self.users[self.world.chance.below(self.users.len())];
                let key = self.keys[self.world.chance.below(self.keys.len())];
                self.world.get(user, key, self.authority.overlay());
                lookup = lookup + self.world.chance.pause(lookups);
            }
        }
        let (sent, signatures) = before.unwrap_or_default();
        self.world.sent = self.world.sent.since(&sent);
        self.world.signatures -= signatures;
        self.wait(PATIENCE);
        Ok(())
    }

    fn join(&mut self) -> anyhow::Result<()> {
        let number = self.number;
        self.number += 1;
        let papers = self
            .authority
            .super_node(NodeId(self.world.chance.bytes()))?;
        let mut seeds = Vec::new();
        for _ in 0..2 {
            let host = self.alive[self.world.chance.below(self.alive.len())];
            if let Node::Sn(sn) = &self.world.nodes[host] {
                seeds.push(Seed {
                    node: sn.node,
                    quic: String::from("seed"),
                });
            }
        }
        let config = self.config(&papers, number, seeds);
        let machine = SuperNode::new(config, self.world.now);
        let host = self.world.add_super_node(machine, papers.der, name(number));
        self.alive.push(host);
        Ok(())
    }

    /// How many entries of the tables are wrong, in millionths: dead ones that are in, living ones that are not.
    fn stale(&self) -> f64 {
        let living: std::collections::HashSet<NodeId> = self
            .world
            .nodes
            .iter()
            .filter_map(|node| match node {
                Node::Sn(sn) => Some(sn.node),
                Node::On(_) | Node::Dead => None,
            })
            .collect();
        let (mut wrong, mut all) = (0_usize, 0_usize);
        for &host in self.askers.iter().chain(self.alive.iter().take(100)) {
            if let Node::Sn(sn) = &self.world.nodes[host] {
                let (own, reach) = (sn.node, sn.machine.reach());
                let known = sn.machine.members().map(|(node, _)| node);
                let known: Vec<NodeId> =
                    known.filter(|node| is_inside(own, reach, *node)).collect();
                let living = living.iter().filter(|node| is_inside(own, reach, **node));
                let right = living
                    .clone()
                    .filter(|node| known.binary_search(node).is_ok());
                let (should, right) = (living.clone().count(), right.count());
                wrong += known.len() - right + should - right;
                all += should;
            }
        }
        wrong as f64 / all.max(1) as f64 * 1e6
    }

    fn outcome(self, memory: f64) -> Outcome {
        let stale = self.stale();
        let scenario = self.scenario;
        let found = self.world.got.iter().filter(|got| got.found);
        let mut latencies: Vec<f32> = found.map(|got| got.took.as_secs_f32() * 1_000.0).collect();
        latencies.sort_by(f32::total_cmp);
        let unfinished = self.world.unfinished(PATIENCE);
        let searches = &self.world.searches;
        let seconds = (60 * scenario.minutes) as f64;
        Outcome {
            scenario,
            runs: 1,
            lookups: (self.world.got.len() + unfinished) as u64,
            found: latencies.len() as u64,
            searches: searches.answered,
            hops: searches.hops,
            right: searches.right,
            latencies,
            sent: self.world.sent,
            time: seconds * scenario.members as f64,
            changes: (scenario.rate() * 2.0 * seconds) as u64,
            signatures: self.world.signatures,
            events: self.world.events_done,
            memory,
            stale,
        }
    }
}

fn name(number: u64) -> String {
    format!("sn{number}.example.org")
}

fn quic(number: u64) -> String {
    format!("203.0.{}.{}:5062", number / 250 % 250, number % 250)
}

/// Bytes of this process in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1);
    pages.and_then(|pages| pages.parse().ok()).unwrap_or(0.0) * 4_096.0
}
