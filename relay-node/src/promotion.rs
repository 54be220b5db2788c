//! From ordinary node to super node and back (draft §7).
//!
//! Every node is an ordinary one first. One whose file has a `[super_node]` and a `[promotion]` section becomes a super
//! node when it has been associated long enough, has the resources, and a super node has reached it from outside. What
//! makes it one is its certificate, which a login server gives against the operator's token, or which the operator put
//! there. It steps back when super nodes can't reach it any more. Load is no reason: those who give up under
//! load leave theirs to the others, who give up next.

use std::time::Duration;

use machine::Instant;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::config::{Promotion, SuperNode};
use crate::identity::Vault;
use crate::node::{self, NodeError, RunningNode};
use crate::ordinary::Applicant;
use crate::probe::{Found, Target};

/// How often, and after how long each time, an address is asked for again.
const BUSY: u32 = 50;
const MOMENT: Duration = Duration::from_millis(100);
/// What a node that could do more than it does says.
const ENCOURAGEMENT: &str = "this node has what a super node needs, and super nodes are what carries the network: if it can be reached from \
    outside, the sections [super_node] and [promotion] make it one by itself";

/// What a node knows of itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Facts {
    /// Whether an association stands.
    pub(crate) associated: bool,
    /// Processors.
    pub(crate) cores: usize,
    /// Free memory in MiB; `None` if the system does not say.
    pub(crate) memory: Option<u64>,
    /// Load per processor; `None` if the system does not say.
    pub(crate) load: Option<f64>,
}

/// Why a node is no super node yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Lack {
    Uptime,
    Cores,
    Memory,
    Load,
    /// It has just stepped back.
    Rest,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// Nothing now.
    Wait(Lack),
    /// Have a super node try to reach this one.
    Probe,
}

/// What follows from a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Become a super node.
    Promote,
    /// Stay what it is.
    Stay,
    /// Be an ordinary node again.
    StepBack,
}

/// Decides by facts alone.
#[derive(Debug)]
pub(crate) struct Career {
    rules: Promotion,
    promoted: bool,
    /// Since when it has been associated without interruption.
    since: Option<Instant>,
    misses: u32,
    rests_until: Option<Instant>,
}

impl Career {
    pub(crate) fn new(rules: Promotion) -> Self {
        Self {
            rules,
            promoted: false,
            since: None,
            misses: 0,
            rests_until: None,
        }
    }

    /// Says whether to probe now.
    pub(crate) fn look(&mut self, facts: Facts, now: Instant) -> Step {
        if facts.associated {
            self.since.get_or_insert(now);
        } else {
            self.since = None;
        }
        if self.promoted {
            return Step::Probe;
        }
        if self.rests_until.is_some_and(|end| now < end) {
            return Step::Wait(Lack::Rest);
        }
        let uptime = Duration::from_secs(self.rules.uptime);
        if self.since.is_none_or(|since| now - since < uptime) {
            return Step::Wait(Lack::Uptime);
        }
        if facts.cores < self.rules.cores {
            return Step::Wait(Lack::Cores);
        }
        if facts.memory.is_some_and(|free| free < self.rules.memory) {
            return Step::Wait(Lack::Memory);
        }
        if facts.load.is_some_and(|load| load > self.rules.load) {
            return Step::Wait(Lack::Load);
        }
        Step::Probe
    }

    /// Says what follows from a probe; `None` if nobody could be asked, which is no fault of this node's.
    pub(crate) fn probed(&mut self, found: Option<&Found>, now: Instant) -> Verdict {
        let Some(found) = found else {
            return Verdict::Stay;
        };
        let fast = found
            .upload
            .is_none_or(|upload| upload >= self.rules.upload * 1e6);
        match (found.reached, self.promoted) {
            (true, false) if fast => {
                self.promoted = true;
                self.misses = 0;
                Verdict::Promote
            }
            (true, _) => {
                self.misses = 0;
                Verdict::Stay
            }
            (false, false) => Verdict::Stay,
            (false, true) => {
                self.misses += 1;
                if self.misses < self.rules.misses {
                    return Verdict::Stay;
                }
                self.step_back(now);
                Verdict::StepBack
            }
        }
    }

    /// The duty could not be taken on, or was given up.
    pub(crate) fn step_back(&mut self, now: Instant) {
        self.promoted = false;
        self.misses = 0;
        self.rests_until = Some(now + Duration::from_secs(self.rules.rest));
    }
}

/// A node on its way up, and down again. It ends with this value.
#[derive(Debug)]
pub struct Promoted {
    task: JoinHandle<()>,
    end: tokio::sync::watch::Sender<bool>,
    /// The super node that it is now, if it is one.
    pub status: tokio::sync::watch::Receiver<Option<serde_json::Value>>,
}

impl Promoted {
    /// Leaves the overlay, if it is in it.
    pub async fn leave(self) {
        self.end.send_replace(true);
        let _ = self.task.await;
    }
}

/// Begins to look, again and again.
#[must_use]
pub fn start(rules: Promotion, config: SuperNode, applicant: Applicant) -> Promoted {
    let (end, mut ending) = tokio::sync::watch::channel(false);
    let (tell, status) = tokio::sync::watch::channel(None);
    let task = tokio::spawn(async move {
        let mut life = Life {
            config,
            applicant,
            clock: Clock::start(),
            career: Career::new(rules),
            node: None,
            tell,
        };
        let every = Duration::from_secs(rules.every.max(1));
        loop {
            tokio::select! {
                () = life.look() => {}
                _ = ending.wait_for(|end| *end) => break,
            }
            tokio::select! {
                () = sleep(every) => {}
                _ = ending.wait_for(|end| *end) => break,
            }
        }
        life.step_back().await;
    });
    Promoted { task, end, status }
}

/// Tells the operator of a node that stays an ordinary one, once it has been fit for more, how it could carry the network
/// too (draft §11.8). That is all: nobody has to.
pub(crate) async fn encourage(rules: Promotion, applicant: Applicant) {
    let (mut career, clock) = (Career::new(rules), Clock::start());
    while career.look(facts(applicant.is_associated()), clock.now()) != Step::Probe {
        sleep(Duration::from_secs(rules.every.max(1))).await;
    }
    tracing::info!("{ENCOURAGEMENT}");
}

struct Life {
    config: SuperNode,
    applicant: Applicant,
    clock: Clock,
    career: Career,
    node: Option<RunningNode>,
    tell: tokio::sync::watch::Sender<Option<serde_json::Value>>,
}

impl Life {
    async fn look(&mut self) {
        let facts = facts(self.applicant.is_associated());
        match self.career.look(facts, self.clock.now()) {
            Step::Wait(lack) => tracing::debug!(?lack, "not a super node yet"),
            Step::Probe => self.probe().await,
        }
    }

    async fn probe(&mut self) {
        let found = match &self.node {
            Some(node) => self.applicant.ask(&node.config, &node.key).await,
            None => match self.open().await {
                Ok(target) => self.applicant.ask(&target.config, &target.key).await,
                Err(error) => {
                    tracing::warn!("can't be a super node: {error}");
                    None
                }
            },
        };
        if let Some(found) = &found {
            tracing::info!(
                reached = found.reached,
                why = found.why,
                "probed from outside"
            );
        }
        match self.career.probed(found.as_ref(), self.clock.now()) {
            Verdict::Stay => {}
            Verdict::Promote => self.promote().await,
            Verdict::StepBack => {
                tracing::warn!("super nodes don't reach this one any more: an ordinary node again");
                self.step_back().await;
            }
        }
    }

    /// Listens where the super node would.
    async fn open(&self) -> Result<Target, NodeError> {
        let vault = Vault::open(&self.config.data).map_err(NodeError::Identity)?;
        let key = vault.key().map_err(NodeError::Identity)?;
        Target::open(&self.config, key).await
    }

    async fn promote(&mut self) {
        match self.become_super_node().await {
            Ok(node) => {
                tracing::info!(node = %node.node, "promoted to super node");
                self.tell.send_replace(Some(node.description()));
                self.node = Some(node);
            }
            Err(error) => {
                tracing::warn!("not promoted: {error}");
                self.career.step_back(self.clock.now());
            }
        }
    }

    /// The addresses where the node was reached a moment ago may take another moment to be free again.
    async fn become_super_node(&self) -> Result<RunningNode, NodeError> {
        for _ in 0..BUSY {
            match node::start(self.config.clone()).await {
                Err(NodeError::Listen(..)) => sleep(MOMENT).await,
                started => return started,
            }
        }
        node::start(self.config.clone()).await
    }

    async fn step_back(&mut self) {
        if let Some(node) = self.node.take() {
            node.leave().await;
            self.tell.send_replace(None);
        }
    }
}

fn facts(associated: bool) -> Facts {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").ok();
    let load = load.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let memory = std::fs::read_to_string("/proc/meminfo").ok();
    Facts {
        associated,
        cores,
        memory: memory.as_deref().and_then(free_memory),
        load: load.map(|load| load / cores as f64),
    }
}

/// Reads MiB out of `/proc/meminfo`.
fn free_memory(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find(|line| line.starts_with("MemAvailable:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests;
