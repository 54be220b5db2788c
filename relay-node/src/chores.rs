//! What a super node does on the side: it reports itself to the bootstrap servers, looks for further members there,
//! fetches revocations, renews its certificate, and remembers its peers for the next start.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{NodeId, RevocationList, TrustAnchor};
use login_server::wire::{Report, SuperNodes, report_text};
use p2psip::SuperNodeInput;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::client::{Client, ClientError};
use crate::clock::Clock;
use crate::config::{Origin, SuperNode};
use crate::crypto;
use crate::driver::{Arrival, Status};
use crate::enrol;
use crate::identity::{Identity, Vault};

const REPORT: Duration = Duration::from_secs(20);
/// While the node knows nobody else it asks more often.
const LONELY: Duration = Duration::from_secs(2);
const LONELY_TIMES: u32 = 15;
/// Each so many reports, look for members that are in no table here: the other half of a split.
const LOOK_EVERY: u32 = 15;
const REVOCATIONS: Duration = Duration::from_secs(60);
const RENEWAL_RETRY: Duration = Duration::from_secs(10 * 60);
const RENEWAL_CHECK: Duration = Duration::from_secs(60 * 60);
/// Super nodes remembered for the next start, and most taken from one bootstrap server.
const REMEMBERED: usize = 64;
/// The file with the newest revocation list.
pub(crate) const REVOKED: &str = "revocations.bin";

/// A super node to join by, as kept in `peers.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Peer {
    node: String,
    quic: String,
}

/// What all chores need.
#[derive(Clone)]
pub(crate) struct Chores {
    pub(crate) config: SuperNode,
    pub(crate) clock: Clock,
    pub(crate) client: Client,
    pub(crate) vault: Vault,
    pub(crate) arrivals: mpsc::Sender<Arrival>,
    pub(crate) status: watch::Receiver<Status>,
}

impl Chores {
    /// Starts them all. They end with `tasks`.
    pub(crate) fn start(
        self,
        identity: watch::Sender<Identity>,
        revocations: watch::Receiver<RevocationList>,
        tasks: &mut JoinSet<()>,
    ) {
        let current = identity.subscribe();
        tasks.spawn(self.clone().report(current.clone()));
        tasks.spawn(self.clone().fetch_revocations(current, revocations.clone()));
        tasks.spawn(self.clone().keep_revocations(revocations));
        tasks.spawn(self.clone().remember());
        tasks.spawn(self.renew(identity));
    }

    async fn report(self, identity: watch::Receiver<Identity>) {
        let mut rounds = 0_u32;
        loop {
            let current = identity.borrow().clone();
            self.report_once(&current).await;
            let lonely = self.status.borrow().members.len() < 2;
            // At the start, whoever was remembered or listed is being tried.
            if (lonely || rounds.is_multiple_of(LOOK_EVERY)) && rounds > 0 {
                let mut found = named(&self.config, current.node);
                found.extend(listed(&self.client, &self.config.bootstrap(), current.node).await);
                if !found.is_empty() {
                    let seeds = SuperNodeInput::Seeds(found);
                    if self.arrivals.send(Arrival::Fact(seeds)).await.is_err() {
                        return;
                    }
                }
            }
            rounds = rounds.saturating_add(1);
            let hurry = lonely && rounds < LONELY_TIMES;
            sleep(if hurry { LONELY } else { REPORT }).await;
        }
    }

    async fn report_once(&self, identity: &Identity) {
        let (timestamp, ws) = (self.clock.wall(), self.config.url.websocket());
        let quic = self.config.quic_public();
        let overlay = identity.anchor.overlay().to_string();
        let text = report_text(&overlay, timestamp, &ws, &quic);
        let report = Report {
            certificate: STANDARD.encode(identity.certificate.der()),
            timestamp,
            ws,
            quic,
            signature: STANDARD.encode(identity.key.sign(text.as_bytes()).0),
        };
        for server in self.config.bootstrap() {
            if let Err(error) = self.client.send(&server, "/super-nodes", &report).await {
                tracing::warn!(%server, "not reported: the bootstrap server {error}");
            }
        }
    }

    async fn fetch_revocations(
        self,
        identity: watch::Receiver<Identity>,
        known: watch::Receiver<RevocationList>,
    ) {
        loop {
            let anchor = identity.borrow().anchor.clone();
            if let Some(path) = &self.config.revocations {
                match std::fs::read(path) {
                    Ok(bytes) => self.offer_revocations(&bytes, &anchor, &known).await,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                    Err(error) => tracing::warn!("{}: {error}", path.display()),
                }
            }
            let Some(login) = &self.config.login else {
                sleep(REVOCATIONS).await;
                continue;
            };
            match self.client.fetch(login, "/revocations").await {
                Ok(bytes) => self.offer_revocations(&bytes, &anchor, &known).await,
                Err(ClientError::Refused(status, _)) if status.as_u16() == 404 => {}
                Err(error) => tracing::debug!("revocations: the login server {error}"),
            }
            sleep(REVOCATIONS).await;
        }
    }

    /// Hands a list to the machine, which verifies it, if it is newer than the one at hand.
    async fn offer_revocations(
        &self,
        bytes: &[u8],
        anchor: &TrustAnchor,
        known: &watch::Receiver<RevocationList>,
    ) {
        let newer = RevocationList::read(bytes).filter(|list| {
            list.number() > known.borrow().number() && anchor.admit_revocations(list).is_ok()
        });
        if let Some(list) = newer {
            let fact = Arrival::Fact(SuperNodeInput::Revocations(list));
            let _ = self.arrivals.send(fact).await;
        }
    }

    /// Keeps what the machine has verified for the next start.
    async fn keep_revocations(self, mut verified: watch::Receiver<RevocationList>) {
        while verified.changed().await.is_ok() {
            let bytes = verified.borrow_and_update().to_bytes();
            if let Err(error) = self.vault.write(REVOKED, &bytes, 0o644) {
                tracing::warn!("revocations not kept: {error}");
            }
        }
    }

    async fn remember(mut self) {
        while self.status.changed().await.is_ok() {
            let peers = {
                let status = self.status.borrow_and_update();
                let known = status
                    .members
                    .iter()
                    .filter_map(|(node, _)| status.addresses.get_key_value(node));
                let peer = |(node, quic): (&NodeId, &String)| Peer {
                    node: node.to_string(),
                    quic: quic.clone(),
                };
                known.take(REMEMBERED).map(peer).collect::<Vec<_>>()
            };
            if peers.is_empty() {
                // The last ones known are worth more than nobody.
                continue;
            }
            let Ok(text) = serde_json::to_vec_pretty(&peers) else {
                continue;
            };
            if let Err(error) = self.vault.write("peers.json", &text, 0o644) {
                tracing::warn!("peers not remembered: {error}");
            }
        }
    }

    async fn renew(self, identity: watch::Sender<Identity>) {
        loop {
            let current = identity.borrow().clone();
            let wait = enrol::until_half_life(&current, self.clock.wall());
            if !wait.is_zero() {
                sleep(wait.min(RENEWAL_CHECK)).await;
                continue;
            }
            let Self {
                config,
                vault,
                client,
                clock,
                ..
            } = &self;
            match enrol::renew(config, vault, client, clock, &current).await {
                Ok(renewed) => {
                    tracing::info!(
                        until = renewed.certificate.not_after(),
                        "certificate renewed"
                    );
                    let fact = Arrival::Renewed(
                        Box::new(renewed.certificate.clone()),
                        Box::new(renewed.statement),
                    );
                    let rest = enrol::rest(&renewed, clock.wall());
                    identity.send_replace(renewed);
                    if self.arrivals.send(fact).await.is_err() {
                        return;
                    }
                    sleep(rest.min(RENEWAL_CHECK)).await;
                }
                Err(error) => {
                    tracing::warn!("certificate not renewed yet: {error}");
                    let rest = enrol::rest(&current, clock.wall());
                    sleep(rest.min(RENEWAL_RETRY)).await;
                }
            }
        }
    }
}

/// The super nodes to join by: those remembered and those that the configuration names, or else those that a bootstrap
/// server names (draft §5.1).
pub(crate) async fn seeds(
    vault: &Vault,
    client: &Client,
    config: &SuperNode,
    own: NodeId,
) -> Vec<(NodeId, String)> {
    let remembered: Vec<Peer> = vault
        .read("peers.json")
        .ok()
        .flatten()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let mut known: Vec<_> = remembered
        .into_iter()
        .filter_map(|peer| Some((peer.node.parse().ok()?, peer.quic)))
        .filter(|(node, _)| *node != own)
        .take(REMEMBERED)
        .collect();
    for (node, quic) in named(config, own) {
        if !known.iter().any(|(other, _)| *other == node) {
            known.push((node, quic));
        }
    }
    if known.is_empty() {
        listed(client, &config.bootstrap(), own).await
    } else {
        known
    }
}

/// The super nodes that the configuration names.
fn named(config: &SuperNode, own: NodeId) -> Vec<(NodeId, String)> {
    let seeds = config.seeds.iter().filter(|seed| seed.node != own);
    seeds
        .map(|seed| (seed.node, seed.quic.clone()))
        .take(REMEMBERED)
        .collect()
}

/// The newest revocation list that was kept, if the authority signed it.
pub(crate) fn kept_revocations(vault: &Vault, anchor: &TrustAnchor) -> RevocationList {
    vault
        .read(REVOKED)
        .ok()
        .flatten()
        .and_then(|bytes| RevocationList::read(&bytes))
        .filter(|list| {
            anchor
                .admit_revocations(list)
                .is_ok_and(|check| crypto::verify(&check.key, &check.message, &check.signature))
        })
        .unwrap_or_else(|| RevocationList::empty(anchor.overlay()))
}

async fn listed(client: &Client, servers: &[Origin], own: NodeId) -> Vec<(NodeId, String)> {
    let mut asking = JoinSet::new();
    for server in servers.iter().cloned() {
        let client = client.clone();
        asking.spawn(async move {
            let listed: Result<SuperNodes, _> = client.read(&server, "/super-nodes").await;
            listed.map_err(|error| (server, error))
        });
    }
    let mut found: Vec<(NodeId, String)> = Vec::new();
    while let Some(answer) = asking.join_next().await {
        match answer {
            Ok(Ok(listed)) => {
                for entry in listed.super_nodes.into_iter().take(REMEMBERED) {
                    match entry.node.parse() {
                        Ok(node) if node != own && !found.iter().any(|(seen, _)| *seen == node) => {
                            found.push((node, entry.quic));
                        }
                        Ok(_) | Err(_) => {}
                    }
                }
            }
            Ok(Err((server, error))) => {
                tracing::warn!(%server, "no super nodes named: the bootstrap server {error}");
            }
            Err(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// A bootstrap server that names `count` super nodes to everybody, and tells when it is asked.
    async fn server(count: usize) -> (Origin, mpsc::Receiver<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let entry = |number: usize| {
            format!(
                r#"{{"node":"{number:040x}","ws":"ws://127.0.0.1:1/p2psip","quic":"127.0.0.1:{number}"}}"#
            )
        };
        let entries: Vec<_> = (1..=count).map(entry).collect();
        let body = format!(r#"{{"super_nodes":[{}]}}"#, entries.join(","));
        let (asked, asking) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = asked.send(()).await;
                let _ = stream.read(&mut [0; 1024]).await;
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (origin.parse().unwrap(), asking)
    }

    fn config(server: &Origin) -> SuperNode {
        let text = format!(
            "data = \"unused\"\nlisten = \"127.0.0.1:0\"\nurl = \"http://127.0.0.1:0\"\nbootstrap = [\"{server}\"]\n"
        );
        toml::from_str(&text).unwrap()
    }

    fn vault() -> (tempfile::TempDir, Vault) {
        let directory = tempfile::tempdir().unwrap();
        let vault = Vault::open(directory.path()).unwrap();
        (directory, vault)
    }

    fn client() -> Client {
        Client::new(crate::tls::client(None).unwrap())
    }

    const OWN: NodeId = NodeId([9; 20]);

    #[tokio::test]
    async fn r086_r091_remembered_super_nodes_come_before_the_bootstrap_server() {
        let (server, mut asked) = server(3).await;
        let (_directory, vault) = vault();
        let found = seeds(&vault, &client(), &config(&server), OWN).await;
        assert_eq!(found.len(), 3);
        assert!(asked.try_recv().is_ok());
        let remembered = vec![Peer {
            node: NodeId([1; 20]).to_string(),
            quic: "192.0.2.1:4433".to_owned(),
        }];
        let text = serde_json::to_vec(&remembered).unwrap();
        vault.write("peers.json", &text, 0o644).unwrap();
        let found = seeds(&vault, &client(), &config(&server), OWN).await;
        assert_eq!(found, [(NodeId([1; 20]), "192.0.2.1:4433".to_owned())]);
        assert!(asked.try_recv().is_err(), "the bootstrap server was asked");
    }

    #[tokio::test]
    async fn r091_r092_super_nodes_that_the_configuration_names_make_servers_needless() {
        let (server, mut asked) = server(3).await;
        let (_directory, vault) = vault();
        let mut config = config(&server);
        config.seeds = vec![
            format!("{}@192.0.2.1:4433", NodeId([1; 20]))
                .parse()
                .unwrap(),
            format!("{OWN}@192.0.2.9:4433").parse().unwrap(),
        ];
        let found = seeds(&vault, &client(), &config, OWN).await;
        assert_eq!(found, [(NodeId([1; 20]), "192.0.2.1:4433".to_owned())]);
        assert!(asked.try_recv().is_err(), "the bootstrap server was asked");
    }

    #[tokio::test]
    async fn a01_bootstrap_server_that_names_a_thousand_is_not_followed_to_all() {
        let (server, _asked) = server(1_000).await;
        let (_directory, vault) = vault();
        let found = seeds(&vault, &client(), &config(&server), OWN).await;
        assert_eq!(found.len(), REMEMBERED);
    }

    #[tokio::test]
    async fn broken_memory_is_no_reason_not_to_start() {
        let (server, _asked) = server(1).await;
        let (_directory, vault) = vault();
        vault.write("peers.json", b"{ nonsense", 0o644).unwrap();
        let found = seeds(&vault, &client(), &config(&server), OWN).await;
        assert_eq!(found.len(), 1);
    }
}
