//! `relay-node run`: the roles of one or several configuration files in one process.

use std::fmt;
use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::config::{Config, Promotion};
use crate::driver::Status;
use crate::login::{self, LoginError};
use crate::node::{self, NodeError, RunningNode};
use crate::ordinary::{self, OrdinaryError, RunningOrdinary};
use crate::promotion::{self, Promoted};
use crate::sip::{self, Overlays, SipError};

/// Why a process does not start.
#[derive(Debug)]
pub enum RunError {
    /// The role super node does not.
    Node(NodeError),
    /// The role ordinary node does not.
    Ordinary(OrdinaryError),
    /// The role login server or bootstrap server does not.
    Login(LoginError),
    /// The role SIP server does not.
    Sip(SipError),
    /// Signals can't be waited for.
    Signals(std::io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(error) => error.fmt(f),
            Self::Ordinary(error) => error.fmt(f),
            Self::Login(error) => error.fmt(f),
            Self::Sip(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "signals: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

/// What one configuration file makes: a node of one overlay.
///
/// Nothing of it is shared with that of another file: credentials, tables, lists of super nodes, sockets.
#[derive(Debug)]
pub(crate) struct Roles {
    /// What ends with it and needs no goodbye.
    servers: Vec<JoinHandle<()>>,
    pub(crate) node: Option<RunningNode>,
    pub(crate) ordinary: Option<RunningOrdinary>,
    promoted: Option<Promoted>,
}

impl Roles {
    /// Starts all roles of a file.
    ///
    /// What the SIP server of one has to know of the overlays of the others it learns by `overlays`.
    pub(crate) async fn start(config: Config, overlays: Overlays) -> Result<Self, RunError> {
        let mut servers = login::start(config.login.as_ref(), config.bootstrap.as_ref())
            .await
            .map_err(RunError::Login)?;
        let (at_once, later) = match config.promotion {
            Some(rules) => (None, config.super_node.map(|node| (rules, node))),
            None => (config.super_node, None),
        };
        let node = match at_once {
            Some(config) => Some(node::start(config).await.map_err(RunError::Node)?),
            None => None,
        };
        if let Some(node) = &node {
            overlays.add(node.overlay, node.api());
        }
        if let Some(config) = config.sip {
            let overlay = node.as_ref().map(RunningNode::api);
            let sip = sip::start_with(config, overlay, overlays).await;
            let sip = sip.map_err(RunError::Sip)?;
            if let Some(node) = &node {
                let _ = node.phones.set(sip.websockets);
            }
            servers.push(sip.task);
        }
        let ordinary = match config.ordinary_node {
            Some(config) => Some(ordinary::start(config).await.map_err(RunError::Ordinary)?),
            None => None,
        };
        if let (None, None, Some(ordinary)) = (&node, &later, &ordinary) {
            let encouraging = promotion::encourage(Promotion::default(), ordinary.applicant());
            servers.push(tokio::spawn(encouraging));
        }
        let promoted = later
            .zip(ordinary.as_ref())
            .map(|((rules, config), ordinary)| {
                promotion::start(rules, config, ordinary.applicant())
            });
        Ok(Self {
            servers,
            node,
            ordinary,
            promoted,
        })
    }

    /// Leaves the overlay.
    pub(crate) async fn leave(self) {
        if let Some(promoted) = self.promoted {
            promoted.leave().await;
        }
        if let Some(ordinary) = self.ordinary {
            ordinary.leave().await;
        }
        if let Some(node) = self.node {
            node.leave().await;
        }
        for server in self.servers {
            server.abort();
        }
    }
}

/// Runs the roles of all files, one overlay each, until SIGTERM or Ctrl-C, or, as a child of `dev`, until the parent is
/// gone; then leaves cleanly.
///
/// # Errors
/// What keeps a role from starting.
pub async fn run(configs: Vec<Config>, child: bool) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv(), if !child => {}
            () = orphaned(), if child => {}
        }
    };
    tokio::pin!(told);
    let overlays = Overlays::new();
    // Side by side: an overlay whose login server is down keeps no other waiting.
    let mut starting: JoinSet<_> = configs
        .into_iter()
        .map(|config| Roles::start(config, overlays.clone()))
        .collect();
    let mut running = Vec::new();
    loop {
        let started = tokio::select! {
            started = starting.join_next() => started,
            () = &mut told => break,
        };
        match started {
            Some(Ok(roles)) => {
                let roles = roles?;
                if let Some(node) = &roles.node {
                    tokio::spawn(tell_ready(node.description(), node.status.clone()));
                }
                running.push(roles);
            }
            Some(Err(_)) => {}
            None => {
                told.await;
                break;
            }
        }
    }
    let mut leaving: JoinSet<_> = running.into_iter().map(Roles::leave).collect();
    while leaving.join_next().await.is_some() {}
    Ok(())
}

/// Prints one line for whoever started the program, once the super node is a member.
async fn tell_ready(description: serde_json::Value, mut status: watch::Receiver<Status>) {
    if status.wait_for(|status| status.joined).await.is_ok() {
        // Nobody may be listening.
        let _ = writeln!(std::io::stdout(), "ready {description}");
    }
}

/// Resolves when the pipe that the parent holds is closed, which happens however the parent ends.
///
/// A thread of its own waits: one of the runtime's would keep the process from ending.
async fn orphaned() {
    let (told, gone) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = told.send(());
    });
    let _ = gone.await;
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::testing::{Offline, sees};

    /// The file of a super node that is told of one other.
    async fn member(overlay: &Offline, other: &RunningNode) -> Roles {
        let data = overlay.path("member");
        overlay.issue_super_node(data.clone(), 30).unwrap();
        let text = format!(
            "[super_node]\ndata = {data:?}\nlisten = \"127.0.0.1:0\"\nurl = \"http://127.0.0.1:0\"\n\
             stun = \"127.0.0.1:0\"\nseeds = [\"{}@{}\"]\n",
            other.node,
            other.config.quic_public()
        );
        let config = config::parse(Path::new("member.toml"), &text, [], &[]).unwrap();
        Roles::start(config, Overlays::new()).await.unwrap()
    }

    #[tokio::test]
    async fn r018_r019_r020_a_node_of_two_overlays_keeps_them_apart() {
        let overlays = [Offline::new(), Offline::new()];
        let mut others = Vec::new();
        let mut ours = Vec::new();
        for overlay in &overlays {
            let mut other = overlay.super_node("other", &[]).await;
            sees(&mut other, 1).await;
            ours.push(member(overlay, &other).await);
            others.push(other);
        }
        for (roles, other) in ours.iter_mut().zip(&mut others) {
            let node = roles.node.as_mut().unwrap();
            sees(node, 2).await;
            sees(other, 2).await;
            let members = node.status.borrow().members.clone();
            let known = [node.node, other.node];
            assert!(members.iter().all(|(member, _)| known.contains(member)));
        }
        let [first, second] = &overlays;
        let file =
            |overlay: &Offline, name| std::fs::read(overlay.path("member").join(name)).unwrap();
        for name in ["root.der", "node.key", "enrolment.json"] {
            assert_ne!(file(first, name), file(second, name), "{name}");
        }
        // The end of one membership is no end of the other.
        ours.remove(0).leave().await;
        sees(&mut others[0], 1).await;
        let node = ours[0].node.as_mut().unwrap();
        sees(node, 2).await;
    }
}
