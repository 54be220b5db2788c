//! Whether a node can be reached from outside (draft §7): a super node tries, on the wish of an ordinary node.
//!
//! ```text
//! ordinary node                          super node
//!  | listens where it would as a super node   |
//!  |-- POST /probe {certificate, public_key, quic, url, timestamp, signature} -->|
//!  |<- QUIC handshake at `quic`, then as much as can be sent --------------------|
//!  |<- GET `url`/.well-known/partyline ------------------------------------------|
//!  |<- {reached, upload, why} ---------------------------------------------------|
//! ```
//!
//! At both places the node must prove that it holds the key under `public_key`: in QUIC by TLS, over HTTP by naming it.
//! The super node tries only addresses of the host that asks, so that nobody can have a third party knocked at; and
//! from a socket that has never sent anything there, so that a NAT does not take it for an answer.

use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{Certificate, PublicKey, Refusal, RevocationList, Signature};
use machine::Instant;
use serde::{Deserialize, Serialize};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::client::Client;
use crate::clock::Clock;
use crate::config::Origin;
use crate::crypto;
use crate::identity::Identity;

mod reach;
mod target;

pub(crate) use target::Target;

/// Body of `POST /probe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The user's certificate.
    pub(crate) certificate: String,
    /// The key that the node has as a super node.
    pub(crate) public_key: String,
    /// Where it would listen for other super nodes, `host:port`.
    pub(crate) quic: String,
    /// Where it would listen for ordinary nodes, an origin.
    pub(crate) url: String,
    /// Milliseconds since 1970.
    pub(crate) timestamp: u64,
    /// Over [`text`], by the certificate's key.
    pub(crate) signature: String,
}

/// Answer of `POST /probe`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// Whether the node was reached at both places.
    pub(crate) reached: bool,
    /// What it could send, in bit/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) upload: Option<f64>,
    /// Why it was not reached.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
}

/// What the user signs. `overlay` is the overlay id in hex.
pub(crate) fn text(overlay: &str, request: &Request) -> String {
    let Request {
        public_key,
        quic,
        url,
        timestamp,
        ..
    } = request;
    format!("partyline probe 1\n{overlay}\n{timestamp}\n{public_key}\n{quic}\n{url}")
}

/// Why nothing was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no request.
    Form,
    /// The certificate does not count.
    Certificate(Refusal),
    /// The signature or the time stamp is wrong.
    Proof,
    /// The user asks too often, or too many ask.
    Busy,
    /// An address is another host's.
    Elsewhere,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("that is no request for a probe"),
            Self::Certificate(refusal) => refusal.fmt(f),
            Self::Proof => f.write_str(
                "the request is not signed by the certificate's key, or the clock is wrong",
            ),
            Self::Busy => f.write_str("ask again in a while"),
            Self::Elsewhere => f.write_str("the addresses are not those of the host that asks"),
        }
    }
}

/// How far a time stamp may be off, in milliseconds.
const SKEW: u64 = 10 * 60 * 1_000;
/// How long one user waits for his next probe.
const PAUSE: Duration = Duration::from_secs(5);
/// Users that are remembered for that.
const REMEMBERED: usize = 4_096;
/// Probes at one time.
const PARALLEL: usize = 4;
const PATIENCE: Duration = Duration::from_secs(8);

/// The side of the super node.
pub(crate) struct Prober {
    clock: Clock,
    client: Client,
    identity: watch::Receiver<Identity>,
    revocations: watch::Receiver<RevocationList>,
    slots: Semaphore,
    /// How long a try may take.
    patience: Duration,
    asked: Mutex<HashMap<String, Instant>>,
}

impl Prober {
    pub(crate) fn new(
        clock: Clock,
        client: Client,
        identity: watch::Receiver<Identity>,
        revocations: watch::Receiver<RevocationList>,
    ) -> Self {
        Self {
            clock,
            client,
            identity,
            revocations,
            slots: Semaphore::new(PARALLEL),
            patience: PATIENCE,
            asked: Mutex::default(),
        }
    }

    /// Tries to reach whoever asks.
    pub(crate) async fn answer(&self, body: &[u8], from: IpAddr) -> Result<Found, Refused> {
        let request: Request = serde_json::from_slice(body).map_err(|_| Refused::Form)?;
        let key = self.admit(&request)?;
        let _slot = self.slots.try_acquire().map_err(|_| Refused::Busy)?;
        let origin: Origin = request.url.parse().map_err(|_| Refused::Form)?;
        let quic = own_address(&request.quic, from).await?;
        own_address(&format!("{}:{}", origin.host(), origin.port()), from).await?;
        let trying = async {
            let upload = reach::quic(quic, &key).await?;
            reach::http(&self.client, &origin, &request.public_key).await?;
            Ok(upload)
        };
        let tried = timeout(self.patience, trying).await;
        Ok(
            match tried.unwrap_or_else(|_| Err("no answer".to_owned())) {
                Ok(upload) => Found {
                    reached: true,
                    upload,
                    why: String::new(),
                },
                Err(why) => Found {
                    reached: false,
                    upload: None,
                    why,
                },
            },
        )
    }

    /// Checks who asks, and gives the key that he must hold.
    fn admit(&self, request: &Request) -> Result<PublicKey, Refused> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| Refused::Form);
        let anchor = self.identity.borrow().anchor.clone();
        let certificate =
            Certificate::read(&decode(&request.certificate)?).map_err(|_| Refused::Form)?;
        let wall = self.clock.wall();
        let check = anchor
            .admit(&certificate, wall, &self.revocations.borrow())
            .map_err(Refused::Certificate)?;
        let (user, _) = certificate
            .user()
            .ok_or(Refused::Certificate(Refusal::Role))?;
        if request.timestamp.abs_diff(wall) > SKEW {
            return Err(Refused::Proof);
        }
        let signature = Signature::from_slice(&decode(&request.signature)?).ok_or(Refused::Form)?;
        let text = text(&anchor.overlay().to_string(), request);
        let proved = crypto::verify(&check.key, &check.message, &check.signature)
            && crypto::verify(&certificate.public_key(), text.as_bytes(), &signature);
        if !proved {
            return Err(Refused::Proof);
        }
        // Whoever asks in another's name keeps nobody waiting.
        self.count(user)?;
        PublicKey::from_spki(&decode(&request.public_key)?).ok_or(Refused::Form)
    }

    fn count(&self, user: &str) -> Result<(), Refused> {
        let now = self.clock.now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, last| now - *last < PAUSE);
        if asked.contains_key(user) || asked.len() >= REMEMBERED {
            return Err(Refused::Busy);
        }
        asked.insert(user.to_owned(), now);
        Ok(())
    }
}

/// Resolves an address, which must be one of the host that asks.
async fn own_address(address: &str, from: IpAddr) -> Result<SocketAddr, Refused> {
    let from = from.to_canonical();
    let mut found = tokio::net::lookup_host(address)
        .await
        .map_err(|_| Refused::Elsewhere)?;
    found
        .find(|found| found.ip().to_canonical() == from)
        .ok_or(Refused::Elsewhere)
}

/// A local address of the same family.
fn any(like: SocketAddr) -> SocketAddr {
    match like {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

#[cfg(test)]
mod tests;
