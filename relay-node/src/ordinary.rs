//! The role ordinary node, put together: a user's node without a browser (draft §5, §7).

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::Duration;

use machine::Instant;
use p2psip::{Config, Contact, Event, Peer};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::chores;
use crate::client::Client;
use crate::clock::Clock;
use crate::config::OrdinaryNode;
use crate::crypto::{Workers, entropy};
use crate::identity::{IdentityError, Vault};
use crate::tls::{self, TlsError};

mod applicant;
mod bootstrap;
mod cache;
mod dial;
mod driver;
mod link;
mod membership;

pub use applicant::Applicant;
pub(crate) use dial::Named;
pub use driver::OrdinaryStatus;
pub use membership::MemberError;

use bootstrap::Chain;
use cache::Cache;
use dial::Dialer;
use driver::{Driver, EVENTS, ORDERS, Order};
use membership::Member;

/// Threads for signatures. A phone call needs a dozen of them.
const THREADS: usize = 1;
const ANSWERS: usize = 256;
const RENEWAL_RETRY: Duration = Duration::from_secs(10 * 60);
const RENEWAL_CHECK: Duration = Duration::from_secs(60 * 60);

/// Why an ordinary node does not start.
#[derive(Debug)]
pub enum OrdinaryError {
    /// A TLS file can't be used.
    Tls(TlsError),
    /// The data directory can't be used.
    Identity(IdentityError),
    /// There is no user's certificate to be had.
    Member(MemberError),
    /// The system gives no thread.
    Threads(std::io::Error),
}

impl fmt::Display for OrdinaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Identity(error) => error.fmt(f),
            Self::Member(error) => error.fmt(f),
            Self::Threads(error) => write!(f, "no threads for cryptography: {error}"),
        }
    }
}

impl std::error::Error for OrdinaryError {}

/// An ordinary node that runs. It ends with this value.
#[derive(Debug)]
pub struct RunningOrdinary {
    /// What is known of it.
    pub status: watch::Receiver<OrdinaryStatus>,
    /// What happens to its user. Whoever does not listen takes no calls.
    pub events: mpsc::Receiver<Event>,
    /// The user, `sip:alice@example.org`.
    pub uri: String,
    orders: mpsc::Sender<Order>,
    driver: JoinHandle<()>,
    client: Client,
    member: watch::Receiver<Member>,
    /// What it does on the side.
    _chores: JoinSet<()>,
}

impl RunningOrdinary {
    /// Does something with the machine: go online, call, answer.
    pub async fn act<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Peer, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = tokio::sync::oneshot::channel();
        let act = move |peer: &mut Peer, now: Instant| {
            let _ = done.send(act(peer, now));
        };
        self.orders.send(Order::Act(Box::new(act))).await.ok()?;
        result.await.ok()
    }

    /// What it needs to become a super node.
    #[must_use]
    pub fn applicant(&self) -> Applicant {
        Applicant {
            client: self.client.clone(),
            member: self.member.clone(),
            status: self.status.clone(),
        }
    }

    /// Ends all associations.
    pub async fn leave(mut self) {
        if self.orders.send(Order::Leave).await.is_ok() {
            let _ = (&mut self.driver).await;
        }
    }
}

impl Drop for RunningOrdinary {
    fn drop(&mut self) {
        // Its links would keep the driver alive, and the driver its links.
        let _ = self.orders.try_send(Order::Leave);
    }
}

/// Starts an ordinary node. Its sources of super nodes are gone through behind the caller's back.
///
/// # Errors
/// What keeps it from starting, in words for its operator.
pub async fn start(config: OrdinaryNode) -> Result<RunningOrdinary, OrdinaryError> {
    let clock = Clock::start();
    let tls = tls::client(config.trust.as_deref()).map_err(OrdinaryError::Tls)?;
    let client = Client::new(tls.clone()).through(config.proxy.clone());
    let vault = Vault::open(&config.data).map_err(OrdinaryError::Identity)?;
    let member = membership::obtain(&config, &vault, &client, &clock)
        .await
        .map_err(OrdinaryError::Member)?;
    let overlay = member.anchor.overlay();
    tracing::info!(uri = member.uri, %overlay, "ordinary node");

    let revocations = chores::kept_revocations(&vault, &member.anchor);
    let peer = Peer::new(
        Config {
            anchor: member.anchor.clone(),
            certificate: member.certificate.clone(),
            name: None,
            super_nodes: Vec::new(),
            revocations: (revocations.number() > 0).then_some(revocations),
            seed: entropy(),
            wall: clock.wall_clock(),
        },
        clock.now(),
    );
    let (transports, proxy) = (config.transports(), config.proxy.clone());
    let dialer = Dialer::new(transports, proxy, tls, member.anchor.clone());
    let (orders, ordered) = mpsc::channel(ORDERS);
    let (answers, answered) = mpsc::channel(ANSWERS);
    let (status, known) = watch::channel(OrdinaryStatus::default());
    let (events, happening) = mpsc::channel(EVENTS);
    let workers = Workers::start(THREADS, &member.key, &answers).map_err(OrdinaryError::Threads)?;
    let driver = Driver {
        peer,
        clock,
        dialer: dialer.clone(),
        workers,
        status,
        events,
        orders: orders.downgrade(),
        links: HashMap::new(),
        backlog: VecDeque::new(),
        lost: Vec::new(),
    };
    let driver = tokio::spawn(driver.run(ordered, answered));
    let mut chores = JoinSet::new();
    let chain = Chain {
        config: config.clone(),
        overlay,
        vault: vault.clone(),
        client: client.clone(),
        dialer: dialer.clone(),
        orders: orders.clone(),
        status: known.clone(),
        patience: Chain::PATIENCE,
    };
    chores.spawn(chain.run());
    chores.spawn(remember(vault.clone(), dialer, known.clone()));
    let uri = member.uri.clone();
    let (renewed, current) = watch::channel(member);
    let renewing = renew(
        config,
        vault,
        client.clone(),
        clock,
        renewed,
        orders.clone(),
    );
    chores.spawn(renewing);
    Ok(RunningOrdinary {
        status: known,
        events: happening,
        uri,
        orders,
        driver,
        client,
        member: current,
        _chores: chores,
    })
}

/// Keeps what was learnt for the next start.
async fn remember(vault: Vault, dialer: Dialer, mut status: watch::Receiver<OrdinaryStatus>) {
    let mut kept: (Vec<Contact>, u64) = Default::default();
    while status.changed().await.is_ok() {
        let OrdinaryStatus {
            super_nodes,
            serving,
            revocations,
            ..
        } = status.borrow_and_update().clone();
        if super_nodes != kept.0 {
            Cache::keep(&super_nodes, serving.first(), &dialer, &vault);
            kept.0 = super_nodes;
        }
        if let Some(list) = revocations.filter(|list| list.number() > kept.1) {
            kept.1 = list.number();
            if let Err(error) = vault.write(chores::REVOKED, &list.to_bytes(), 0o644) {
                tracing::warn!("revocations not kept: {error}");
            }
        }
    }
}

async fn renew(
    config: OrdinaryNode,
    vault: Vault,
    client: Client,
    clock: Clock,
    current: watch::Sender<Member>,
    orders: mpsc::Sender<Order>,
) {
    loop {
        let member = current.borrow().clone();
        let wait = membership::until_half_life(&member, clock.wall());
        if !wait.is_zero() {
            sleep(wait.min(RENEWAL_CHECK)).await;
            continue;
        }
        match membership::renew(&config, &vault, &client, &clock, &member).await {
            Ok(renewed) => {
                tracing::info!(
                    until = renewed.certificate.not_after(),
                    "certificate renewed"
                );
                let order = Order::Renewed(Box::new(renewed.certificate.clone()));
                current.send_replace(renewed);
                if orders.send(order).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::warn!("certificate not renewed yet: {error}"),
        }
        sleep(RENEWAL_RETRY).await;
    }
}

#[cfg(test)]
mod tests;
