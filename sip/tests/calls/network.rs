//! A network in virtual time: user agents, super nodes' edges, links with delay, and somebody in the middle.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use credential::NodeId;
use machine::{Instant, Machine, Rng, WallClock};
use sip::edge::{Action, Edge, Source};
use sip::{Account, CallId, Event, Fingerprint, FlowId, Input, Message, Output, Target, UserAgent};

use crate::authority::{Authority, User, WALL, verify};
pub(crate) use crate::scene::{ended, established, incoming, sdp};

/// One way between a user and his super node, and between two super nodes.
const HOP: Duration = Duration::from_millis(10);

pub(crate) struct Agent {
    pub(crate) ua: UserAgent,
    pub(crate) user: User,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) events: Vec<Event>,
    flows: BTreeMap<FlowId, NodeId>,
}

#[derive(Clone)]
enum Arrival {
    AtEdge {
        node: NodeId,
        source: Source,
        message: Vec<u8>,
    },
    AtAgent {
        agent: usize,
        flow: FlowId,
        message: Vec<u8>,
    },
    Input {
        agent: usize,
        input: Crypto,
    },
}

#[derive(Clone)]
enum Crypto {
    Signed(credential::Signed),
    Verified(credential::Verified),
    Down(FlowId),
}

/// What somebody in the middle does with a message that is about to arrive at an agent.
pub(crate) enum Fate {
    Deliver,
    Drop,
    Twice,
    Late(Duration),
    Become(Vec<u8>),
}

type Middle = Box<dyn FnMut(usize, &Message, &[u8]) -> Fate>;

pub(crate) struct Network {
    pub(crate) authority: Authority,
    pub(crate) now: Instant,
    pub(crate) agents: Vec<Agent>,
    edges: BTreeMap<NodeId, Edge>,
    dead: BTreeSet<NodeId>,
    queue: BTreeMap<(Instant, u64), Arrival>,
    flows: BTreeMap<FlowId, usize>,
    last: u64,
    /// `agent <first line>` of everything that arrived at an agent.
    pub(crate) trace: Vec<String>,
    /// The messages themselves.
    pub(crate) seen: Vec<(usize, Vec<u8>)>,
    pub(crate) middle: Option<Middle>,
    /// What the middle dropped.
    pub(crate) held: Vec<Vec<u8>>,
    /// What the agents sent.
    pub(crate) sent: Vec<String>,
}

pub(crate) fn node(number: u8) -> NodeId {
    NodeId([number; 20])
}

impl Network {
    /// A network of `count` super nodes, numbered from 1.
    pub(crate) fn new(count: u8) -> Self {
        let edges = (1..=count).map(|number| (node(number), Edge::new(node(number), [number; 16])));
        Self {
            authority: Authority::new(7),
            now: Instant::EPOCH,
            agents: Vec::new(),
            edges: edges.collect(),
            dead: BTreeSet::new(),
            queue: BTreeMap::new(),
            flows: BTreeMap::new(),
            last: 0,
            trace: Vec::new(),
            seen: Vec::new(),
            middle: None,
            held: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Adds the device `instance` of a user, connected to the super nodes.
    pub(crate) fn join(&mut self, name: &str, instance: u8, nodes: &[u8]) -> usize {
        let user = self
            .authority
            .user(&format!("sip:{name}@example.org"), instance);
        self.join_as(user, nodes)
    }

    pub(crate) fn join_as(&mut self, user: User, nodes: &[u8]) -> usize {
        let account = Account {
            uri: user.uri.clone(),
            name: Some(format!("Mx {}", &user.uri[4..])),
            instance: user.instance,
            certificate: user.certificate.clone(),
        };
        let agent = self.agents.len();
        let rng = Rng::new([agent as u8 + 1; 32]);
        let digest = vec![user.instance.0[0]; 32];
        self.agents.push(Agent {
            ua: UserAgent::new(
                account,
                self.authority.anchor.clone(),
                WallClock::new(WALL),
                rng,
            ),
            user,
            fingerprint: Fingerprint {
                algorithm: "sha-256".into(),
                digest,
            },
            events: Vec::new(),
            flows: BTreeMap::new(),
        });
        for number in nodes {
            self.connect(agent, *number);
        }
        agent
    }

    pub(crate) fn connect(&mut self, agent: usize, number: u8) -> FlowId {
        self.last += 1;
        let flow = FlowId(self.last);
        let user = &self.agents[agent].user;
        let edge = self.edges.get_mut(&node(number)).unwrap();
        edge.flow_up(flow, &user.uri, user.instance, true);
        self.agents[agent].flows.insert(flow, node(number));
        self.flows.insert(flow, agent);
        let input = Input::FlowUp {
            flow,
            super_node: node(number),
            secure: true,
        };
        self.agents[agent].ua.handle_input(input, self.now);
        self.drain(agent);
        flow
    }

    /// The location of an agent as its signed record would give it.
    pub(crate) fn target(&self, agent: usize) -> Target {
        let agent = &self.agents[agent];
        Target {
            instance: agent.user.instance,
            uri: format!("{};gr={}", agent.user.uri, agent.user.instance),
            routes: agent.flows.values().copied().collect(),
            fingerprints: vec![agent.fingerprint.clone()],
            bridged: false,
        }
    }

    /// Starts a call from one agent to others (devices of one user).
    pub(crate) fn call(&mut self, from: usize, to: &[usize]) -> CallId {
        let targets = to.iter().map(|agent| self.target(*agent)).collect();
        let peer = self.agents[to[0]].user.uri.clone();
        let offer = sdp(&self.agents[from].fingerprint, "offer");
        self.call_at(from, &peer, offer, targets)
    }

    /// Calls somebody with a given offer, at locations taken from elsewhere.
    pub(crate) fn call_at(
        &mut self,
        from: usize,
        peer: &str,
        offer: String,
        targets: Vec<sip::Target>,
    ) -> CallId {
        self.with(from, |ua, now| {
            let call = ua.call(peer, now);
            ua.offer(call, offer, now);
            ua.locations(call, targets, now);
            call
        })
    }

    /// Lets an agent's user do something.
    pub(crate) fn with<R>(
        &mut self,
        agent: usize,
        act: impl FnOnce(&mut UserAgent, Instant) -> R,
    ) -> R {
        let result = act(&mut self.agents[agent].ua, self.now);
        self.drain(agent);
        result
    }

    /// Kills a super node: its flows break, its links too.
    pub(crate) fn kill(&mut self, number: u8) {
        self.dead.insert(node(number));
        for agent in 0..self.agents.len() {
            let flows = self.agents[agent].flows.iter();
            let gone: Vec<_> = flows
                .filter(|(_, at)| **at == node(number))
                .map(|(flow, _)| *flow)
                .collect();
            for flow in gone {
                self.agents[agent].flows.remove(&flow);
                self.enqueue(
                    HOP,
                    Arrival::Input {
                        agent,
                        input: Crypto::Down(flow),
                    },
                );
            }
        }
    }

    /// Has a super node swallow everything.
    pub(crate) fn silence(&mut self, number: u8) {
        self.dead.insert(node(number));
    }

    /// Breaks one agent's flows to a super node that lives on.
    pub(crate) fn cut(&mut self, agent: usize, number: u8) {
        let flows = self.agents[agent].flows.iter();
        let gone: Vec<_> = flows
            .filter(|(_, at)| **at == node(number))
            .map(|(flow, _)| *flow)
            .collect();
        for flow in gone {
            self.agents[agent].flows.remove(&flow);
            self.edges.get_mut(&node(number)).unwrap().flow_down(flow);
            self.agents[agent]
                .ua
                .handle_input(Input::FlowDown { flow }, self.now);
        }
        self.drain(agent);
    }

    /// Runs for a while.
    pub(crate) fn run(&mut self, milliseconds: u64) {
        let end = self.now + Duration::from_millis(milliseconds);
        loop {
            let arrival = self.queue.keys().next().map(|(at, _)| *at);
            let timeouts = self.agents.iter().enumerate();
            let timeout = timeouts
                .filter_map(|(agent, one)| Some((one.ua.poll_timeout()?, agent)))
                .min();
            let next = match (arrival, timeout) {
                (Some(arrival), Some((timer, agent))) if timer < arrival => (timer, Some(agent)),
                (Some(arrival), _) => (arrival, None),
                (None, Some((timer, agent))) => (timer, Some(agent)),
                (None, None) => break,
            };
            if next.0 > end {
                break;
            }
            self.now = self.now.max(next.0);
            match next.1 {
                Some(agent) => {
                    self.agents[agent].ua.handle_timeout(self.now);
                    self.drain(agent);
                }
                None => {
                    let (_, arrival) = self.queue.pop_first().unwrap();
                    self.arrive(arrival);
                }
            }
        }
        self.now = end;
    }

    /// Takes an agent's events.
    pub(crate) fn events(&mut self, agent: usize) -> Vec<Event> {
        std::mem::take(&mut self.agents[agent].events)
    }

    /// Puts bytes on an agent's first flow as if a super node had sent them.
    pub(crate) fn inject(&mut self, agent: usize, message: Vec<u8>) {
        let flow = *self.agents[agent].flows.keys().next().unwrap();
        self.agents[agent]
            .ua
            .handle_input(Input::Received { flow, message }, self.now);
        self.drain(agent);
    }

    /// The last message that arrived at an agent and begins so.
    pub(crate) fn last_seen(&self, agent: usize, start: &str) -> Vec<u8> {
        let mut all = self.seen.iter().rev();
        let found = all.find(|(at, bytes)| *at == agent && bytes.starts_with(start.as_bytes()));
        found
            .unwrap_or_else(|| panic!("no {start}: {:#?}", self.trace))
            .1
            .clone()
    }

    pub(crate) fn count(&self, agent: usize, start: &str) -> usize {
        let all = self.seen.iter();
        all.filter(|(at, bytes)| *at == agent && bytes.starts_with(start.as_bytes()))
            .count()
    }

    fn enqueue(&mut self, delay: Duration, arrival: Arrival) {
        self.last += 1;
        self.queue.insert((self.now + delay, self.last), arrival);
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::AtEdge {
                node,
                source,
                message,
            } => self.at_edge(node, source, &message),
            Arrival::AtAgent {
                agent,
                flow,
                message,
            } => {
                if self.agents[agent].flows.contains_key(&flow) {
                    self.at_agent(agent, flow, message);
                }
            }
            Arrival::Input { agent, input } => {
                let input = match input {
                    Crypto::Signed(signed) => Input::Signed(signed),
                    Crypto::Verified(verified) => Input::Verified(verified),
                    Crypto::Down(flow) => Input::FlowDown { flow },
                };
                self.agents[agent].ua.handle_input(input, self.now);
                self.drain(agent);
            }
        }
    }

    fn at_edge(&mut self, node: NodeId, source: Source, message: &[u8]) {
        if self.dead.contains(&node) {
            return;
        }
        let mut actions = Vec::new();
        let _ = self
            .edges
            .get_mut(&node)
            .unwrap()
            .receive(source, message, &mut actions);
        self.act(node, actions);
    }

    fn is_alive(&self, node: NodeId) -> bool {
        self.edges.contains_key(&node) && !self.dead.contains(&node)
    }

    fn act(&mut self, node: NodeId, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::ToFlow { flow, message } => {
                    let agent = self.flows[&flow];
                    self.enqueue(
                        HOP,
                        Arrival::AtAgent {
                            agent,
                            flow,
                            message,
                        },
                    );
                }
                Action::ToSuperNode { node: to, message } if !self.is_alive(to) => {
                    let mut actions = Vec::new();
                    self.edges
                        .get_mut(&node)
                        .unwrap()
                        .undeliverable(&message, &mut actions);
                    self.act(node, actions);
                }
                Action::ToSuperNode { node: to, message } => {
                    let source = Source::SuperNode(node);
                    self.enqueue(
                        HOP,
                        Arrival::AtEdge {
                            node: to,
                            source,
                            message,
                        },
                    );
                }
            }
        }
    }

    fn at_agent(&mut self, agent: usize, flow: FlowId, mut message: Vec<u8>) {
        if let Some(middle) = &mut self.middle
            && let Ok(parsed) = Message::parse(message.clone())
        {
            match middle(agent, &parsed, &message) {
                Fate::Deliver => {}
                Fate::Drop => {
                    self.held.push(message);
                    return;
                }
                Fate::Twice => self.deliver(agent, flow, message.clone()),
                Fate::Late(delay) => {
                    // It will meet the middle again, so the middle decides by counting.
                    self.enqueue(
                        delay,
                        Arrival::AtAgent {
                            agent,
                            flow,
                            message,
                        },
                    );
                    return;
                }
                Fate::Become(other) => message = other,
            }
        }
        self.deliver(agent, flow, message);
    }

    fn deliver(&mut self, agent: usize, flow: FlowId, message: Vec<u8>) {
        let text = String::from_utf8_lossy(&message);
        let line = text.lines().next().unwrap_or("").to_string();
        self.trace
            .push(format!("{:?} {agent} {line}", self.now.since_epoch()));
        self.seen.push((agent, message.clone()));
        self.agents[agent]
            .ua
            .handle_input(Input::Received { flow, message }, self.now);
        self.drain(agent);
    }

    fn drain(&mut self, agent: usize) {
        while let Some(output) = self.agents[agent].ua.poll_output() {
            let moment = Duration::from_millis(1);
            match output {
                Output::Send { flow, message } => {
                    let text = String::from_utf8_lossy(&message).to_string();
                    assert!(
                        Message::parse(message.clone()).is_ok() || text.starts_with("SIP/2.0 400"),
                        "{text}"
                    );
                    self.sent.push(text);
                    if let Some(node) = self.agents[agent].flows.get(&flow) {
                        let arrival = Arrival::AtEdge {
                            node: *node,
                            source: Source::Flow(flow),
                            message,
                        };
                        self.enqueue(HOP, arrival);
                    }
                }
                Output::Sign(sign) => {
                    let input = Crypto::Signed(self.agents[agent].user.sign(&sign));
                    self.enqueue(moment, Arrival::Input { agent, input });
                }
                Output::Verify(one) => {
                    let input = Crypto::Verified(verify(&one));
                    self.enqueue(moment, Arrival::Input { agent, input });
                }
                Output::Event(event) => self.agents[agent].events.push(event),
            }
        }
    }
}
