//! `relay-node run`: the roles of one configuration file in one process.

use std::fmt;
use std::io::Write;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::config::Config;
use crate::driver::Status;
use crate::login::{self, LoginError};
use crate::node::{self, NodeError};
use crate::ordinary::{self, OrdinaryError};
use crate::promotion;

/// Why a process does not start.
#[derive(Debug)]
pub enum RunError {
    /// The role super node does not.
    Node(NodeError),
    /// The role ordinary node does not.
    Ordinary(OrdinaryError),
    /// The role login server or bootstrap server does not.
    Login(LoginError),
    /// Signals can't be waited for.
    Signals(std::io::Error),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(error) => error.fmt(f),
            Self::Ordinary(error) => error.fmt(f),
            Self::Login(error) => error.fmt(f),
            Self::Signals(error) => write!(f, "signals: {error}"),
        }
    }
}

impl std::error::Error for RunError {}

/// Runs all roles until SIGTERM or Ctrl-C, or, as a child of `dev`, until the parent is gone; then leaves cleanly.
///
/// # Errors
/// What keeps a role from starting.
pub async fn run(config: Config, child: bool) -> Result<(), RunError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(RunError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(RunError::Signals)?;
    let starting = async {
        let servers = login::start(config.login.as_ref(), config.bootstrap.as_ref())
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
        let ordinary = match config.ordinary_node {
            Some(config) => Some(ordinary::start(config).await.map_err(RunError::Ordinary)?),
            None => None,
        };
        let promoted = later
            .zip(ordinary.as_ref())
            .map(|((rules, config), ordinary)| {
                promotion::start(rules, config, ordinary.applicant())
            });
        Ok((servers, node, ordinary, promoted))
    };
    let told = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv(), if !child => {}
            () = orphaned(), if child => {}
        }
    };
    tokio::pin!(told);
    let (servers, node, ordinary, promoted) = tokio::select! {
        started = starting => started?,
        () = &mut told => return Ok(()),
    };
    if let Some(node) = &node {
        tokio::spawn(tell_ready(node.description(), node.status.clone()));
    }
    told.await;
    if let Some(promoted) = promoted {
        promoted.leave().await;
    }
    if let Some(ordinary) = ordinary {
        ordinary.leave().await;
    }
    if let Some(node) = node {
        node.leave().await;
    }
    for server in servers {
        server.abort();
    }
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
