//! Many ordinary nodes in one process: the real state machine, each with WebSockets to real super nodes.
//!
//! Each does what a phone does: it keeps a record under its own name, places it again when its associations change, and
//! when its super node says that the record is lost.

use crate::Farm;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{Certificate, RevocationList, TrustAnchor};
use login_server::OfflineAuthority;
use machine::WallClock;
use overlay::{Candidate, GetError, Key, OrdinaryConfig, OrdinaryNode, PlaceError, Reading};
use relay_node::Clock;
use relay_node::crypto::{self, entropy};
use rustls::ClientConfig;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

mod driver;
mod link;

use driver::{Driver, Order, Whose};

/// Users with their certificates, and how they reach super nodes.
#[derive(Debug)]
pub struct Crowd {
    anchor: TrustAnchor,
    users: Vec<User>,
    tls: Option<Arc<ClientConfig>>,
    clock: Clock,
    wall: WallClock,
}

#[derive(Debug)]
struct User {
    uri: String,
    certificate: Certificate,
    key: crypto::Key,
}

/// How an ordinary node is doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// How many associations it has.
    pub associations: usize,
    /// The sequence of its own record, as it was acknowledged last.
    pub placed: Option<u64>,
    /// How often it was told that its record is lost.
    pub lost: u32,
    /// How often it has dialled.
    pub dials: u32,
}

/// An ordinary node that runs; it vanishes without a word when this is dropped.
#[derive(Debug)]
pub struct Ordinary {
    /// Whose it is.
    pub uri: String,
    /// How it is doing.
    pub standing: watch::Receiver<Standing>,
    orders: mpsc::Sender<Order>,
    driver: JoinHandle<()>,
}

impl Crowd {
    /// Has certificates issued for so many users.
    ///
    /// # Panics
    ///
    /// When the authority does not issue them.
    pub fn new(farm: &Farm, count: usize) -> Self {
        Self::of(farm.authority(), 0..count)
    }

    /// The same for the users of these numbers.
    ///
    /// # Panics
    ///
    /// When the authority does not issue them.
    pub fn of(authority: &OfflineAuthority, numbers: Range<usize>) -> Self {
        let clock = Clock::start();
        let week = 7 * 24 * 3600 * 1_000;
        let user = |number: usize| {
            let (name, key) = (format!("user{number}"), crypto::Key::generate());
            let issued = authority
                .user(key.public(), &name, None, clock.wall(), week)
                .expect("a certificate");
            let der = STANDARD.decode(issued.certificate).expect("base64");
            User {
                uri: issued.uri,
                certificate: Certificate::read(&der).expect("the authority's own certificate"),
                key,
            }
        };
        Self {
            anchor: TrustAnchor::read(authority.root()).expect("the authority's own root"),
            users: numbers.map(user).collect(),
            tls: None,
            clock,
            wall: clock.wall_clock(),
        }
    }

    /// Accepts these certificate authorities (PEM) of super nodes.
    ///
    /// # Panics
    ///
    /// When the file holds none.
    pub fn trust(&mut self, authorities: &Path) {
        let config = relay_node::tls::client(Some(authorities));
        self.tls = Some(config.expect("a file of certificates"));
    }

    /// Who they are.
    pub fn uris(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|user| user.uri.as_str())
    }

    /// Starts the node of one user, by its place among them, which knows these super nodes and tries them in this order. It places its record
    /// at once if it `registers`.
    pub fn start(
        &self,
        number: usize,
        urls: impl IntoIterator<Item = String>,
        registers: bool,
    ) -> Ordinary {
        let user = &self.users[number];
        let candidate = |url| Candidate { url, node: None };
        let config = OrdinaryConfig {
            anchor: self.anchor.clone(),
            certificate: user.certificate.clone(),
            revocations: RevocationList::empty(self.anchor.overlay()),
            candidates: urls.into_iter().map(candidate).collect(),
            clock: self.wall,
            seed: entropy(),
        };
        let node = OrdinaryNode::new(config, self.clock.now());
        let (orders, ordered) = mpsc::channel(16);
        let (state, standing) = watch::channel(Standing::default());
        let mut driver = Driver::new(node, self.clock, user.key.clone(), self.tls.clone(), state);
        if registers {
            driver.register(key(&user.uri), user.uri.clone());
        }
        Ordinary {
            uri: user.uri.clone(),
            standing,
            orders,
            driver: tokio::spawn(driver.run(ordered)),
        }
    }
}

impl Ordinary {
    /// Places a newer version of its record; gives the sequence.
    ///
    /// # Errors
    ///
    /// What the overlay says.
    pub async fn update(&self) -> Result<u64, PlaceError> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(Order::Update(answer)).await;
        answered.await.unwrap_or(Err(PlaceError::NoSuperNode))
    }

    /// Places a record of so many bytes under another name.
    ///
    /// # Errors
    ///
    /// What the overlay says.
    pub async fn place(&self, name: &str, length: usize) -> Result<u64, PlaceError> {
        let (answer, answered) = oneshot::channel();
        let order = Order::Place(name.to_owned(), length, answer);
        let _ = self.orders.send(order).await;
        answered.await.unwrap_or(Err(PlaceError::NoSuperNode))
    }

    /// Looks up the record that somebody has under a name; gives its sequence.
    ///
    /// # Errors
    ///
    /// What the overlay says.
    pub async fn get(&self, name: &str, owner: &str, reading: Reading) -> Result<u64, GetError> {
        let (answer, answered) = oneshot::channel();
        let (name, owner) = (name.to_owned(), owner.to_owned());
        let order = Order::Get(Whose { name, owner }, reading, answer);
        let _ = self.orders.send(order).await;
        let records = answered.await.unwrap_or(Err(GetError::NoSuperNode))?;
        let sequences = records.iter().map(|record| record.control.sequence);
        sequences.max().ok_or(GetError::NotFound)
    }

    /// Waits until it has so many associations and, if it registers, its record is placed.
    pub async fn stands(&mut self, associations: usize, placed: bool) {
        let stands = |standing: &Standing| {
            standing.associations >= associations && (standing.placed.is_some() || !placed)
        };
        let _ = self.standing.wait_for(stands).await;
    }
}

impl Drop for Ordinary {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Where the records of a name are; everybody has one under his own, `sip:alice@example.org`.
pub fn key(name: &str) -> Key {
    Key::of(name.as_bytes())
}
