//! What the tests of this crate share: an overlay with a real login server, and identities in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use credential::{Certificate, NodeId};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use login_server::wire::{Credential, EnrolRequest, Enrolment, GuestRequest};
use login_server::{Lifetimes, Limits, LoginConfig, LoginServer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::ca::{self, Action, CaError, Issue, Whom};
use crate::clock::Clock;
use crate::config::{self, SuperNode};
use crate::crypto::Key;
use crate::identity::{Identity, Vault};
use crate::login::server_clock;
use crate::node::{self, RunningNode};

mod line;
mod meddler;
mod zone;

pub(crate) use line::{Line, response};
pub(crate) use meddler::Meddler;
pub(crate) use zone::Zone;

pub(crate) struct Overlay {
    pub(crate) server: LoginServer,
    pub(crate) clock: Clock,
    directory: tempfile::TempDir,
}

impl Overlay {
    pub(crate) async fn new() -> Self {
        let clock = Clock::start();
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("login");
        let mut config = LoginConfig::new(data, "example.org", "http://127.0.0.1:9");
        config.limits = Limits::development();
        config.lifetimes = Lifetimes::default();
        let server = LoginServer::open(config, server_clock(clock))
            .await
            .unwrap();
        Self {
            server,
            clock,
            directory,
        }
    }

    /// A super node, enrolled by a token of its own.
    pub(crate) async fn super_node(&self) -> Identity {
        let key = Key::generate();
        let enrolment = self.enrolment(&key).await;
        let vault = self.directory.path().join(&enrolment.node);
        Vault::open(&vault)
            .unwrap()
            .keep(&key, &enrolment, self.clock.wall())
            .unwrap()
    }

    pub(crate) async fn enrolment(&self, key: &Key) -> Enrolment {
        let hour = Duration::from_secs(3600);
        let request = EnrolRequest {
            token: self.server.enrolment_token(1, hour).await.unwrap(),
            public_key: STANDARD.encode(key.public().to_spki()),
            names: vec!["http://127.0.0.1:9".to_owned()],
            quic: "127.0.0.1:9".to_owned(),
        };
        self.post("/enrol", &request).await
    }

    /// A super node's identity with a guest's certificate in the place of its own.
    pub(crate) async fn user_as_super_node(&self) -> Identity {
        let mut identity = self.super_node().await;
        let request = GuestRequest {
            public_key: STANDARD.encode(identity.key.public().to_spki()),
            instance: "00010203-0405-0607-0809-0a0b0c0d0e0f".to_owned(),
            name: None,
        };
        let credential: Credential = self.post("/guest", &request).await;
        let der = STANDARD.decode(credential.certificate).unwrap();
        identity.certificate = Certificate::read(&der).unwrap();
        identity
    }

    pub(crate) async fn revoke(&self, node: NodeId) -> credential::RevocationList {
        assert!(self.server.revoke_super_node(node).await.unwrap());
        self.server.revocations().await.unwrap()
    }

    async fn post<A: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> A {
        let body = Full::new(Bytes::from(serde_json::to_vec(question).unwrap()));
        let request = Request::post(path)
            .header("host", "127.0.0.1:9")
            .header("content-type", "application/json")
            .body(body)
            .unwrap();
        let from = SocketAddr::from(([127, 0, 0, 1], 9));
        let response = self.server.handle(request, from).await;
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(
            status.is_success(),
            "{path}: {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).unwrap()
    }
}

/// An overlay without any server: its authority in one directory, its nodes in others, all in this process.
pub(crate) struct Offline {
    pub(crate) directory: tempfile::TempDir,
}

/// Joining a ring takes seconds; a busy machine gets much more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

impl Offline {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let made = Self { directory };
        let domain = "example.org".to_owned();
        let ca = made.ca();
        made.act(Action::New { ca, domain }).unwrap();
        made
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.path("ca")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn act(&self, action: Action) -> Result<String, CaError> {
        ca::act(&action, &Clock::start())
    }

    fn issue(&self, out: PathBuf, days: u32) -> Issue {
        Issue {
            ca: self.ca(),
            out,
            public_key: None,
            days,
        }
    }

    /// Has a super node's certificate issued into a directory.
    pub(crate) fn issue_super_node(&self, out: PathBuf, days: u32) -> Result<String, CaError> {
        let whom = Whom::SuperNode(self.issue(out, days));
        self.act(Action::Issue { whom })
    }

    /// Has a user's certificate issued, and says where it is.
    pub(crate) fn user(&self, name: &str) -> PathBuf {
        let data = self.path(name);
        let issue = self.issue(data.clone(), 30);
        let name = name.to_owned();
        let whom = Whom::User { name, issue };
        self.act(Action::Issue { whom }).unwrap();
        data
    }

    /// Starts a super node that is told of these others, and of no server.
    pub(crate) async fn super_node(&self, name: &str, others: &[&RunningNode]) -> RunningNode {
        let data = self.path(name);
        self.issue_super_node(data.clone(), 30).unwrap();
        let seed = |node: &&RunningNode| format!("{}@{}", node.node, node.config.quic_public());
        let seeds: Vec<_> = others.iter().map(seed).collect();
        let more = format!("url = \"http://127.0.0.1:0\"\nseeds = {seeds:?}\n");
        node::start(super_node_config(&data, &more)).await.unwrap()
    }

    /// Starts a super node that speaks TLS as `localhost`.
    pub(crate) async fn secure_super_node(
        &self,
        name: &str,
        others: &[&RunningNode],
    ) -> RunningNode {
        let data = self.path(name);
        self.issue_super_node(data.clone(), 30).unwrap();
        let (certificate, key) = self.tls();
        let seed =
            |node: &&RunningNode| format!("{}@127.0.0.1:{}", node.node, node.config.quic().port());
        let seeds: Vec<_> = others.iter().map(seed).collect();
        let more = format!(
            "url = \"https://localhost:0\"\nseeds = {seeds:?}\ncertificate = {certificate:?}\nkey = {key:?}\n"
        );
        node::start(super_node_config(&data, &more)).await.unwrap()
    }

    /// A TLS certificate for `localhost`, which is its own authority.
    pub(crate) fn tls(&self) -> (PathBuf, PathBuf) {
        let (certificate, key) = (self.path("tls.pem"), self.path("tls.key"));
        if !certificate.exists() {
            let pair = rcgen::KeyPair::generate().unwrap();
            let names = vec!["localhost".to_owned()];
            let params = rcgen::CertificateParams::new(names).unwrap();
            std::fs::write(&key, pair.serialize_pem()).unwrap();
            std::fs::write(&certificate, params.self_signed(&pair).unwrap().pem()).unwrap();
        }
        (certificate, key)
    }
}

/// The configuration of a super node at ports of the system's choice.
pub(crate) fn super_node_config(data: &Path, more: &str) -> SuperNode {
    let text = format!(
        "[super_node]\ndata = {data:?}\nlisten = \"127.0.0.1:0\"\nstun = \"127.0.0.1:0\"\n{more}"
    );
    let config = config::parse(Path::new("node.toml"), &text, [], &[]).unwrap();
    config.super_node.unwrap()
}

/// Waits until a super node is a member of a ring of this size.
pub(crate) async fn sees(node: &mut RunningNode, members: usize) {
    let seen = node
        .status
        .wait_for(|status| status.joined && status.members.len() == members);
    timeout(PATIENCE, seen).await.unwrap().unwrap();
}
