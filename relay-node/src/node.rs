//! The role super node, put together.

use std::fmt;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use credential::{NodeId, OverlayId, RevocationList};
use p2psip::{
    GetError, Key as RecordKey, PlaceError, Placement, SignedRecord, SuperNode as SuperNodeCore,
    SuperNodeConfig, SuperNodeInput,
};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::calls::Call;
use crate::chores::{self, Chores};
use crate::client::Client;
use crate::clock::Clock;
use crate::config::SuperNode;
use crate::crypto::{Key, Workers, entropy};
use crate::direct::Door;
use crate::driver::{ARRIVALS, Arrival, Driver, Sources, Status, SuperNodeMachine};
use crate::enrol::{self, EnrolError};
use crate::http::{self, Origins, Site};
use crate::identity::{Identity, IdentityError, Vault};
use crate::links::{LinkError, Links};
use crate::multicast::Offer;
use crate::naming::{Finder, Giver};
use crate::probe::Prober;
use crate::shelf::Shelf;
use crate::sip::WebSockets;
use crate::stun;
use crate::thread::Thread;
use crate::tls::{self, TlsError};

mod relay;

/// Messages of other super nodes that may wait.
const LINK_EVENTS: usize = 4_096;
/// Answers of the crypto threads that may wait.
const ANSWERS: usize = 2_048;

/// Why a super node does not start.
#[derive(Debug)]
pub enum NodeError {
    /// A TLS file can't be used.
    Tls(TlsError),
    /// An address can't be listened on.
    Listen(&'static str, SocketAddr, std::io::Error),
    /// The data directory can't be used.
    Identity(IdentityError),
    /// There is no certificate to be had.
    Enrol(EnrolError),
    /// The links can't be opened.
    Links(LinkError),
    /// The STUN and TURN server does not start.
    Relay(std::io::Error),
    /// The system gives no thread.
    Threads(std::io::Error),
}

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::Listen(what, address, error) => {
                write!(f, "{what} can't listen on {address}: {}", in_words(error))
            }
            Self::Identity(error) => error.fmt(f),
            Self::Enrol(error) => error.fmt(f),
            Self::Links(error) => write!(f, "links to other super nodes: {error}"),
            Self::Relay(error) => write!(f, "the STUN and TURN server: {error}"),
            Self::Threads(error) => write!(f, "no threads for cryptography: {error}"),
        }
    }
}

impl std::error::Error for NodeError {}

/// A super node that runs.
#[derive(Debug)]
pub struct RunningNode {
    /// What is known of it.
    pub status: watch::Receiver<Status>,
    /// Its id.
    pub node: NodeId,
    /// The overlay that it is in.
    pub overlay: OverlayId,
    /// Its key.
    pub(crate) key: Key,
    /// Its configuration, with the addresses that were bound.
    pub config: SuperNode,
    /// Where WebSockets of programs outside go, once there is a SIP server.
    pub(crate) phones: Arc<OnceLock<WebSockets>>,
    arrivals: mpsc::Sender<Arrival>,
    identity: watch::Receiver<Identity>,
    door: Door,
    client: Client,
    driver: JoinHandle<()>,
    /// Where the driver and the links are.
    thread: Thread,
    /// End with the node, as its sockets do.
    tasks: JoinSet<()>,
    _offer: Option<Offer>,
    /// The STUN and TURN server.
    _relay: stun::Running,
}

impl RunningNode {
    /// The node and its addresses, for whoever started it.
    #[must_use]
    pub fn description(&self) -> serde_json::Value {
        serde_json::json!({
            "node": self.node.to_string(),
            "page": self.config.url.as_str(),
            "ws": self.config.url.websocket(),
            "quic": self.config.quic_public(),
            "stun": self.config.stun_public(),
            "turn": self.config.relay_urls(),
        })
    }

    /// The overlay's API for another role of this program.
    #[must_use]
    pub(crate) fn api(&self) -> Api {
        Api {
            node: self.node,
            overlay: self.overlay,
            arrivals: self.arrivals.clone(),
            identity: self.identity.clone(),
            door: self.door.clone(),
            client: self.client.clone(),
            login: self.config.login.clone(),
            url: self.config.url.websocket(),
        }
    }

    /// Looks a key up, all records or those of one owner (draft §9).
    ///
    /// # Errors
    /// Why there is none; [`GetError::Timeout`] if the node ends meanwhile.
    pub async fn get(
        &self,
        key: RecordKey,
        owner: Option<String>,
    ) -> Result<Vec<SignedRecord>, GetError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Get { key, owner, answer }).await;
        answered.await.unwrap_or(Err(GetError::Timeout))
    }

    /// Places a record of the node's own, signed by its key (draft §9), and gives its sequence.
    ///
    /// # Errors
    /// Why it is not placed; [`PlaceError::Timeout`] if the node ends meanwhile.
    pub async fn update(
        &self,
        key: RecordKey,
        body: Vec<u8>,
        placement: Placement,
    ) -> Result<u64, PlaceError> {
        let (answer, answered) = oneshot::channel();
        let call = Call::Update {
            key,
            body,
            placement,
            answer,
        };
        self.call(call).await;
        answered.await.unwrap_or(Err(PlaceError::Timeout))
    }

    /// The super nodes that keep a key's records, the responsible one first; none if the node has ended.
    pub async fn replicas(&self, key: RecordKey) -> Vec<NodeId> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Replicas { key, answer }).await;
        answered.await.unwrap_or_default()
    }

    async fn call(&self, call: Call) {
        // If the node has ended, the answer's sender is dropped with the call.
        let _ = self.arrivals.send(Arrival::Called(call)).await;
    }

    /// Leaves the overlay and closes every connection and every socket.
    pub async fn leave(mut self) {
        if self.arrivals.send(Arrival::Leave).await.is_ok() {
            let _ = self.driver.await;
        }
        self.thread.end().await;
        self.tasks.shutdown().await;
    }

    /// Waits until the node ends by itself, which it should not.
    pub async fn ended(&mut self) {
        let _ = (&mut self.driver).await;
    }
}

/// What another role of this program asks the super node for.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    /// The super node.
    pub(crate) node: NodeId,
    /// The overlay that it is in.
    pub(crate) overlay: OverlayId,
    arrivals: mpsc::Sender<Arrival>,
    /// What it is certified as.
    pub(crate) identity: watch::Receiver<Identity>,
    /// Where associations inside the node are told of.
    pub(crate) door: Door,
    /// Asks servers.
    pub(crate) client: Client,
    /// The login server, if there is one.
    pub(crate) login: Option<crate::config::Origin>,
    /// Its WebSocket address.
    pub(crate) url: String,
}

impl Api {
    /// Looks a key up. Asked in the order of the calls, or not at all if too much waits.
    pub(crate) fn get(
        &self,
        key: RecordKey,
    ) -> Option<oneshot::Receiver<Result<Vec<SignedRecord>, GetError>>> {
        let (answer, answered) = oneshot::channel();
        let call = Call::Get {
            key,
            owner: None,
            answer,
        };
        self.call(call).then_some(answered)
    }

    /// Places a record of the node's own, in the order of the calls, or not at all if too much waits.
    pub(crate) fn update(
        &self,
        key: RecordKey,
        body: Vec<u8>,
        placement: Placement,
    ) -> Option<oneshot::Receiver<Result<u64, PlaceError>>> {
        let (answer, answered) = oneshot::channel();
        let call = Call::Update {
            key,
            body,
            placement,
            answer,
        };
        self.call(call).then_some(answered)
    }

    fn call(&self, call: Call) -> bool {
        self.arrivals.try_send(Arrival::Called(call)).is_ok()
    }
}

/// Starts the super node of this project.
///
/// # Errors
/// See [`start_with`].
pub async fn start(config: SuperNode) -> Result<RunningNode, NodeError> {
    start_with(config, SuperNodeCore::new).await
}

/// Starts a super node with a machine that `make` builds: the real one, or one that wraps it for a test.
///
/// # Errors
/// What keeps it from starting, in words for its operator.
pub async fn start_with<M: SuperNodeMachine>(
    mut config: SuperNode,
    make: impl FnOnce(SuperNodeConfig, machine::Instant) -> M,
) -> Result<RunningNode, NodeError> {
    let clock = Clock::start();
    let tls = match (&config.certificate, &config.key) {
        (Some(certificate), Some(key)) => {
            Some(tls::follow(certificate, key).map_err(NodeError::Tls)?)
        }
        (_, _) => None,
    };
    // All addresses first: a port in use should be said before the login server is asked.
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|error| NodeError::Listen("the page", config.listen, error))?;
    let mut tasks = JoinSet::new();
    let stun = config.stun();
    let answering = relay::listen(&config, tls.clone())?;
    let quic = config.quic();
    let socket = UdpSocket::bind(quic).map_err(|error| NodeError::Listen("QUIC", quic, error))?;
    let bound = |local: std::io::Result<SocketAddr>, wanted| local.unwrap_or(wanted);
    config.settle(
        bound(listener.local_addr(), config.listen),
        bound(socket.local_addr(), quic),
        bound(answering.udp.local_addr(), stun),
    );
    let client = tls::client(config.trust.as_deref()).map_err(NodeError::Tls)?;
    let client = Client::new(client);
    let vault = Vault::open(&config.data).map_err(NodeError::Identity)?;
    let identity = enrol::enrol(&config, &vault, &client, &clock)
        .await
        .map_err(NodeError::Enrol)?;
    let relaying = relay::start(&config, &vault, &identity, answering, clock)?;
    let overlay = identity.anchor.overlay();
    tracing::info!(node = %identity.node, %overlay, domain = identity.domain, "super node");

    let list = chores::kept_revocations(&vault, &identity.anchor);
    let seeds = chores::seeds(&vault, &client, &config, identity.node).await;
    let (arrivals, arriving) = mpsc::channel(ARRIVALS);
    let (link_events, linking) = mpsc::channel(LINK_EVENTS);
    let (answers, answered) = mpsc::channel(ANSWERS);
    let (status, known) = watch::channel(Status::default());
    let (revocations, revoked) = watch::channel(list.clone());
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let workers = Workers::start(cores, &identity.key, &answers).map_err(NodeError::Threads)?;
    let (shelf, kept) = Shelf::open(&config.data).map_err(NodeError::Threads)?;
    let mut machine = make(
        machine_config(&config, &identity, list, seeds, &clock),
        clock.now(),
    );
    machine.handle_input(SuperNodeInput::Restored(kept), clock.now());
    let (identities, current) = watch::channel(identity.clone());
    let own = relay::own(&config, &vault)?;
    let giver = Giver::new(clock, identities.subscribe(), revoked.clone(), own);
    let giver = Arc::new(giver);
    let (finder, named) = Finder::new(giver.clone(), client.clone(), known.clone());
    machine.core().name_relays(Arc::new(named));
    tasks.spawn(finder.run());
    let door = Door {
        arrivals: arrivals.clone(),
        numbers: Arc::new(AtomicU64::new(1)),
        secure: config.certificate.is_some(),
    };
    let thread = Thread::start().map_err(NodeError::Threads)?;
    let links = {
        let _there = thread.runtime().enter();
        Links::open(
            socket,
            clock,
            current,
            revoked.clone(),
            link_events,
            door.clone(),
        )
        .map_err(NodeError::Links)?
    };
    let driver = Driver::new(machine, clock, links, workers, status, revocations, shelf);
    let driver = thread.runtime().spawn(driver.run(Sources {
        arrivals: arriving,
        own: arrivals.downgrade(),
        peers: linking,
        done: answered,
    }));

    let entrance = door.clone();
    let origins = follow_members(&config, clock, known.clone());
    let prober = Prober::new(
        clock,
        client.clone(),
        identities.subscribe(),
        revoked.clone(),
    );
    let mut site = Site::new(
        &config,
        &identity,
        clock,
        origins,
        known.clone(),
        door,
        prober,
    );
    site.giver = Some(giver);
    let phones = site.phones.clone();
    tasks.spawn(http::serve(listener, tls, Arc::new(site)));
    let (known_identity, inner, asking) = (identities.subscribe(), entrance, client.clone());
    let chores = Chores {
        config: config.clone(),
        clock,
        client,
        vault,
        arrivals: arrivals.clone(),
        status: known.clone(),
    };
    chores.start(identities, revoked, &mut tasks);
    Ok(RunningNode {
        status: known,
        identity: known_identity,
        door: inner,
        client: asking,
        node: identity.node,
        overlay,
        phones,
        key: identity.key.clone(),
        tasks,
        _offer: offer(&config, &identity),
        _relay: relaying,
        config,
        arrivals,
        driver,
        thread,
    })
}

/// Answers on the local network, if that is of use to anybody.
fn offer(config: &SuperNode, identity: &Identity) -> Option<Offer> {
    if !config.multicast || config.url.is_loopback() {
        return None;
    }
    let (ws, quic) = (config.url.websocket(), config.quic_public());
    Offer::start(identity.anchor.overlay(), identity.node, &ws, &quic)
        .inspect_err(|error| tracing::info!("no answers on the local network: {error}"))
        .ok()
}

fn machine_config(
    config: &SuperNode,
    identity: &Identity,
    revocations: RevocationList,
    seeds: Vec<(credential::NodeId, String)>,
    clock: &Clock,
) -> SuperNodeConfig {
    let host = |origin: &crate::config::Origin| origin.host().to_owned();
    SuperNodeConfig {
        anchor: identity.anchor.clone(),
        certificate: identity.certificate.clone(),
        statement: identity.statement,
        hosts: config.urls().map(host).collect(),
        url: config.url.websocket(),
        quic: config.quic_public(),
        stun: vec![format!("stun:{}", config.stun_public())],
        seeds,
        limits: p2psip::Limits {
            bytes: config.storage << 20,
            maintenance: config.maintenance,
            table: config.table,
            ..p2psip::Limits::default()
        },
        revocations: (revocations.number() > 0).then_some(revocations),
        seed: entropy(),
        wall: clock.wall_clock(),
    }
}

/// Keeps the list of welcome origins in step with the membership.
fn follow_members(
    config: &SuperNode,
    clock: Clock,
    mut status: watch::Receiver<Status>,
) -> watch::Receiver<Origins> {
    let always = config.urls().chain(&config.origins).cloned().collect();
    let (origins, followed) = watch::channel(Origins::new(always));
    tokio::spawn(async move {
        loop {
            let members = status.borrow_and_update().members.clone();
            let websockets = members.iter().map(|(_, websocket)| websocket.as_str());
            origins.send_modify(|origins| origins.set_members(websockets, clock.now()));
            if status.changed().await.is_err() {
                return;
            }
        }
    });
    followed
}

/// What an operator can do about an address that can't be had.
pub(crate) fn in_words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another program has it; stop that program or choose another port".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE".to_owned()
        }
        std::io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
