//! Where a node finds super nodes (draft §5.1), in the draft's order: the local network, those of its last runs, the last
//! good one, those that the configuration names, a bootstrap server.
//!
//! One source after the other: the next is asked when none of those named so far has answered well within some
//! seconds. So a bootstrap server has nothing to do when an earlier source works, and a source that lies costs
//! that long. How many are tried at a time is the machine's matter, which also takes only so many from each.

use std::time::Duration;

use login_server::wire::SuperNodes;
use p2psip::Contact;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::cache::Cache;
use super::dial::{Dialer, Named};
use super::driver::{Order, OrdinaryStatus};
use crate::client::Client;
use crate::config::{OrdinaryNode, Origin};
use crate::crypto::entropy;
use crate::identity::Vault;
use crate::multicast;

/// How long those that one source named are tried before the next source is asked.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long a node is without any association before it begins at the first source again.
const LOST: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Most that are taken from one source.
const MOST: usize = 24;

/// Who may know super nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    Multicast,
    Cached,
    Last,
    Seeds,
    Bootstrap,
}

const ORDER: [Source; 5] = [
    Source::Multicast,
    Source::Cached,
    Source::Last,
    Source::Seeds,
    Source::Bootstrap,
];

/// Keeps an ordinary node supplied with super nodes to try.
pub(super) struct Chain {
    pub(super) config: OrdinaryNode,
    pub(super) overlay: credential::OverlayId,
    pub(super) vault: Vault,
    pub(super) client: Client,
    pub(super) dialer: Dialer,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) status: watch::Receiver<OrdinaryStatus>,
    /// How long each source has.
    pub(super) patience: Duration,
}

impl Chain {
    pub(super) const PATIENCE: Duration = PATIENCE;

    /// Runs until the node ends.
    pub(super) async fn run(mut self) {
        let mut pause = FIRST_PAUSE;
        loop {
            match self.once().await {
                Some(source) => {
                    tracing::info!(?source, "found a super node");
                    pause = FIRST_PAUSE;
                    if self.lost().await.is_err() {
                        return;
                    }
                }
                None => {
                    tracing::warn!(
                        "no super node found; looking again in {} s",
                        pause.as_secs()
                    );
                    // With jitter: those who lost the same super nodes don't come back at once.
                    let [jitter] = entropy::<1>();
                    sleep(pause.mul_f64(0.75 + f64::from(jitter) / 512.0)).await;
                    pause = (pause * 2).min(LAST_PAUSE);
                }
            }
            if self.orders.is_closed() {
                return;
            }
        }
    }

    /// Goes through the sources until an association stands, and says whose super node that may be.
    pub(super) async fn once(&mut self) -> Option<Source> {
        for source in ORDER {
            let mut named = self.ask(source).await;
            named.truncate(MOST);
            if named.is_empty() {
                continue;
            }
            tracing::debug!(?source, count = named.len(), "super nodes to try");
            for entry in &named {
                if let Some(quic) = &entry.quic {
                    self.dialer.learn(&entry.url, quic);
                }
            }
            let contact = |Named { node, url, .. }| Contact { node, url };
            let contacts = named.into_iter().map(contact).collect();
            self.orders.send(Order::SuperNodes(contacts)).await.ok()?;
            let stands = self.status.wait_for(|status| status.associations > 0);
            if let Ok(Ok(_)) = timeout(self.patience, stands).await {
                return Some(source);
            }
        }
        None
    }

    /// Resolves when no association has stood for a while.
    async fn lost(&mut self) -> Result<(), watch::error::RecvError> {
        loop {
            self.status
                .wait_for(|status| status.associations == 0)
                .await?;
            let back = self.status.wait_for(|status| status.associations > 0);
            match timeout(LOST, back).await {
                Ok(back) => drop(back?),
                Err(_) => return Ok(()),
            }
        }
    }

    async fn ask(&self, source: Source) -> Vec<Named> {
        match source {
            Source::Multicast if self.config.multicast => multicast::look(self.overlay, MOST).await,
            Source::Multicast => Vec::new(),
            Source::Cached => Cache::read(&self.vault).cached(),
            Source::Last => Cache::read(&self.vault).last(),
            Source::Seeds => self.config.seeds.iter().map(seed).collect(),
            Source::Bootstrap => self.listed().await,
        }
    }

    async fn listed(&self) -> Vec<Named> {
        let mut named = Vec::new();
        for server in self.config.bootstrap() {
            match self
                .client
                .read::<SuperNodes>(&server, "/super-nodes")
                .await
            {
                Ok(listed) => {
                    let entries = listed.super_nodes.into_iter().take(MOST);
                    named.extend(entries.map(|entry| Named {
                        node: entry.node.parse().ok(),
                        url: entry.ws,
                        quic: Some(entry.quic),
                    }));
                }
                Err(error) => tracing::warn!(%server, "the bootstrap server {error}"),
            }
        }
        named
    }
}

fn seed(origin: &Origin) -> Named {
    Named {
        node: None,
        url: origin.websocket(),
        quic: None,
    }
}
