//! Relays that the node names to its users: its own and those of the nearest super nodes, each with a credential.
//!
//! ```text
//! super node                             relay
//!  |-- POST /relay {certificate, timestamp, signature} -->|
//!  |<- {urls, expires, key, names} -----------------------|
//! ```
//!
//! With the two keys the super node makes credentials for its users by itself; `turn::Secret` says how.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{Certificate, NodeId, Refusal, RevocationList, Signature};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use turn::{IssuingKey, Secret};

use crate::client::Client;
use crate::clock::Clock;
use crate::config::Origin;
use crate::crypto;
use crate::driver::Status;
use crate::identity::Identity;

/// Relays of others that are named.
const NAMED: usize = 2;
/// Super nodes that are asked in one round, to find the nearest.
const ASKED: usize = 8;
/// How often; and while there are fewer than could be.
const ROUND: Duration = Duration::from_secs(10 * 60);
const SOON: Duration = Duration::from_secs(5);
/// How far a time stamp may be off, in milliseconds.
const SKEW: u64 = 10 * 60 * 1_000;

/// Body of `POST /relay`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// The super node's certificate.
    pub(crate) certificate: String,
    /// Milliseconds since 1970.
    pub(crate) timestamp: u64,
    /// Over [`text`], by the certificate's key.
    pub(crate) signature: String,
}

/// Answer of `POST /relay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Given {
    /// The relay's addresses, the quickest way first.
    pub(crate) urls: Vec<String>,
    /// Seconds since 1970 when what is made with the keys ends.
    pub(crate) expires: u64,
    /// Makes passwords.
    pub(crate) key: String,
    /// Makes pseudonyms.
    pub(crate) names: String,
}

/// Why nothing is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no request.
    Form,
    /// The certificate does not count.
    Certificate(Refusal),
    /// The signature or the time stamp is wrong.
    Proof,
    /// The node does not relay.
    NoRelay,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form => f.write_str("that is no request for a relay"),
            Self::Certificate(refusal) => refusal.fmt(f),
            Self::Proof => f.write_str(
                "the request is not signed by the certificate's key, or the clock is wrong",
            ),
            Self::NoRelay => f.write_str("this node does not relay"),
        }
    }
}

/// What a super node signs for a relay. `overlay` is the overlay id in hex.
fn text(overlay: &str, relay: NodeId, timestamp: u64) -> String {
    format!("partyline relay 1\n{overlay}\n{relay}\n{timestamp}")
}

/// The side of the relay.
#[derive(Debug)]
pub(crate) struct Giver {
    clock: Clock,
    identity: watch::Receiver<Identity>,
    revocations: watch::Receiver<RevocationList>,
    own: Option<(Secret, Vec<String>)>,
}

impl Giver {
    /// Gives keys of the relay with this secret and these addresses.
    pub(crate) fn new(
        clock: Clock,
        identity: watch::Receiver<Identity>,
        revocations: watch::Receiver<RevocationList>,
        own: Option<(Secret, Vec<String>)>,
    ) -> Self {
        Self {
            clock,
            identity,
            revocations,
            own,
        }
    }

    /// What the node itself makes credentials for its own relay with.
    fn own(&self) -> Option<Relay> {
        let (secret, urls) = self.own.as_ref()?;
        let node = self.identity.borrow().node;
        let key = secret.issuing_key(node.0, self.clock.wall() / 1_000);
        Some(Relay {
            urls: urls.clone(),
            key,
        })
    }

    /// Gives another super node its keys.
    pub(crate) fn answer(&self, body: &[u8]) -> Result<Given, Refused> {
        let (secret, urls) = self.own.as_ref().ok_or(Refused::NoRelay)?;
        let request: Request = serde_json::from_slice(body).map_err(|_| Refused::Form)?;
        let issuer = self.admit(&request)?;
        let key = secret.issuing_key(issuer.0, self.clock.wall() / 1_000);
        Ok(Given {
            urls: urls.clone(),
            expires: key.expires,
            key: STANDARD.encode(key.key),
            names: STANDARD.encode(key.names),
        })
    }

    /// Checks who asks.
    fn admit(&self, request: &Request) -> Result<NodeId, Refused> {
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| Refused::Form);
        let own = self.identity.borrow().clone();
        let certificate =
            Certificate::read(&decode(&request.certificate)?).map_err(|_| Refused::Form)?;
        let wall = self.clock.wall();
        let check = own
            .anchor
            .admit(&certificate, wall, &self.revocations.borrow())
            .map_err(Refused::Certificate)?;
        let node = certificate
            .node()
            .ok_or(Refused::Certificate(Refusal::Role))?;
        if request.timestamp.abs_diff(wall) > SKEW {
            return Err(Refused::Proof);
        }
        let signature = Signature::from_slice(&decode(&request.signature)?).ok_or(Refused::Form)?;
        let text = text(
            &own.anchor.overlay().to_string(),
            own.node,
            request.timestamp,
        );
        let proved = crypto::verify(&check.key, &check.message, &check.signature)
            && crypto::verify(&certificate.public_key(), text.as_bytes(), &signature);
        proved.then_some(node).ok_or(Refused::Proof)
    }
}

/// A relay that can be named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relay {
    urls: Vec<String>,
    key: IssuingKey,
}

/// The relays that are named now, the nearest first.
#[derive(Debug)]
pub(crate) struct Named(watch::Receiver<Vec<Relay>>);

impl p2psip::Relays for Named {
    fn named_to(&self, uri: &str) -> Vec<String> {
        let relays = self.0.borrow();
        let named = relays.iter().map(|Relay { urls, key }| {
            let ticket = key.issue(uri);
            format!("{} {} {}", urls.join(" "), ticket.username, ticket.password)
        });
        named.collect()
    }
}

/// Asks other super nodes for their relays.
pub(crate) struct Finder {
    pub(crate) giver: std::sync::Arc<Giver>,
    pub(crate) client: Client,
    pub(crate) status: watch::Receiver<Status>,
    relays: watch::Sender<Vec<Relay>>,
}

impl Finder {
    /// Makes one, which knows the node's own relay.
    pub(crate) fn new(
        giver: std::sync::Arc<Giver>,
        client: Client,
        status: watch::Receiver<Status>,
    ) -> (Self, Named) {
        let (relays, named) = watch::channel(giver.own().into_iter().collect());
        (
            Self {
                giver,
                client,
                status,
                relays,
            },
            Named(named),
        )
    }

    /// Looks for relays until the node ends.
    pub(crate) async fn run(self) {
        loop {
            let (others, asked) = self.round().await;
            let enough = others.len() >= NAMED.min(asked);
            self.relays
                .send_replace(self.giver.own().into_iter().chain(others).collect());
            sleep(if enough && asked > 0 { ROUND } else { SOON }).await;
        }
    }

    /// The nearest of some other super nodes' relays, and how many were asked.
    async fn round(&self) -> (Vec<Relay>, usize) {
        let own = self.giver.identity.borrow().node;
        let mut members = self.status.borrow().members.clone();
        members.retain(|(node, _)| *node != own);
        // Others each time, so that a nearer one is found in the end.
        let start = usize::from(u16::from_be_bytes(crypto::entropy()));
        let count = members.len().max(1);
        members.rotate_left(start % count);
        members.truncate(ASKED);
        let mut found = Vec::new();
        for (node, websocket) in &members {
            let Some(origin) = Origin::of_websocket(websocket) else {
                continue;
            };
            let begun = Instant::now();
            match self.ask(*node, &origin).await {
                Ok(relay) => found.push((begun.elapsed(), relay)),
                Err(error) => tracing::debug!(%node, "no relay: {error}"),
            }
        }
        found.sort_by_key(|(took, _)| *took);
        (
            found
                .into_iter()
                .map(|(_, relay)| relay)
                .take(NAMED)
                .collect(),
            members.len(),
        )
    }

    async fn ask(&self, relay: NodeId, origin: &Origin) -> Result<Relay, String> {
        // The answer holds secrets.
        if !origin.secure() && !origin.is_loopback() {
            return Err("it would send its keys in clear text".to_owned());
        }
        let identity = self.giver.identity.borrow().clone();
        let timestamp = self.giver.clock.wall();
        let text = text(&identity.anchor.overlay().to_string(), relay, timestamp);
        let request = Request {
            certificate: STANDARD.encode(identity.certificate.der()),
            timestamp,
            signature: STANDARD.encode(identity.key.sign(text.as_bytes()).0),
        };
        let given: Given = self
            .client
            .post(origin, "/relay", &request)
            .await
            .map_err(|error| error.to_string())?;
        given
            .read(identity.node)
            .ok_or_else(|| "its answer is none".to_owned())
    }
}

impl Given {
    fn read(self, issuer: NodeId) -> Option<Relay> {
        let key = |text: &str| STANDARD.decode(text).ok()?.try_into().ok();
        let good = |url: &String| {
            (url.starts_with("turn:") || url.starts_with("turns:"))
                && url.len() < 256
                && !url.contains(char::is_whitespace)
        };
        if self.urls.is_empty() || self.urls.len() > 4 || !self.urls.iter().all(good) {
            return None;
        }
        let key = IssuingKey {
            issuer: issuer.0,
            expires: self.expires,
            key: key(&self.key)?,
            names: key(&self.names)?,
        };
        Some(Relay {
            urls: self.urls,
            key,
        })
    }
}

#[cfg(test)]
mod tests;
